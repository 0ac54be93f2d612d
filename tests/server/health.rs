//! `GET /voice/health`.

use serde_json::{Value, json};

use crate::http_server::HttpServer;
use crate::phone::Phone;
use crate::support::{AUTH_TOKEN, Setup, TestServer};

async fn health(server: &TestServer) -> (u16, Value) {
    let answer = server
        .http
        .get(server.url("/voice/health"))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_healthy_server_says_what_is_configured() {
    let llm = HttpServer::start().await;
    let server = TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        llm: Some(llm.url()),
        max_calls: 7,
        ..Setup::default()
    })
    .await;
    let phone = Phone::greeted(&server, "CA1").await;
    let (status, answer) = health(&server).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({"status": "healthy", "service": "tieline", "version": env!("CARGO_PKG_VERSION"),
               "configured": {"llm": true, "twilio": true, "stt": true, "tts": true},
               "active_calls": 1, "max_calls": 7})
    );
    phone.hang_up().await;
}

#[tokio::test]
async fn a_server_without_an_llm_is_degraded() {
    let server = TestServer::start(Setup::default()).await;
    let (status, answer) = health(&server).await;
    assert_eq!((status, &answer["status"]), (503, &"degraded".into()));
    assert_eq!(answer["configured"]["llm"], false);
    assert_eq!(answer["configured"]["twilio"], false);
    assert!(answer["reasons"].to_string().contains("LLM_BASE_URL"), "{answer}");
}

#[tokio::test]
async fn an_llm_that_is_down_is_told_and_not_where_it_is() {
    let llm = HttpServer::start().await;
    llm.answer_get(500);
    for url in [llm.url(), "http://127.0.0.1:1/v1".to_owned()] {
        let server = TestServer::start(Setup {
            llm: Some(url),
            ..Setup::default()
        })
        .await;
        let (status, answer) = health(&server).await;
        assert_eq!(status, 503);
        let reasons = answer["reasons"].to_string();
        assert!(reasons.contains("the LLM endpoint"), "{answer}");
        assert!(!reasons.contains("127.0.0.1"), "anybody may ask: {answer}");
    }
}

#[tokio::test]
async fn an_endpoint_without_a_model_list_is_up() {
    let llm = HttpServer::start().await;
    llm.answer_get(404);
    let server = TestServer::start(Setup {
        llm: Some(llm.url()),
        ..Setup::default()
    })
    .await;
    assert_eq!(health(&server).await.0, 200);
}

#[tokio::test]
async fn the_trace_is_for_the_holder_of_the_token() {
    let server = TestServer::start(Setup::default()).await;
    let token = server.token("CA1").await;
    let ask = |authorization: String, forwarded: bool| {
        let mut request = server.http.get(server.url("/voice/trace/CA1"));
        request = request.header("authorization", authorization);
        if forwarded {
            request = request.header("x-forwarded-for", "192.0.2.1");
        }
        async move { request.send().await.expect("an answer").status().as_u16() }
    };
    assert_eq!(ask(format!("Bearer {token}"), false).await, 200);
    assert_eq!(ask(format!("Bearer {token}"), true).await, 404);
    assert_eq!(ask("Bearer wrong".to_owned(), false).await, 404);
    assert_eq!(ask(token, false).await, 404);
}
