//! What SIGTERM sets off: calls go on, new ones are refused, and in the end all are ended.

use crate::http_server::USUAL;
use crate::phone::Phone;
use crate::support::{Setup, TestServer, token_in, until};

#[tokio::test]
async fn a_live_call_goes_on_while_new_ones_are_refused() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    server.app.registry.drain();
    let (status, body) = server.webhook("/voice/incoming", "CA2").await;
    assert_eq!((status, body.as_str()), (503, "the server is draining"));
    assert_eq!(phone.exchange().await.heard, USUAL);
    let health = server
        .http
        .get(server.url("/voice/health"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(health.status(), 503);
    assert!(health.text().await.expect("a text").contains("draining"));
    phone.hang_up().await;
    until("the last call's end", || server.app.registry.live() == 0).await;
}

#[tokio::test]
async fn a_call_that_was_promised_a_stream_still_gets_it() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let token = server.token("CA1").await;
    server.app.registry.drain();
    assert_eq!(server.token("CA1").await, token, "a retried webhook");
    let mut phone = Phone::dial(&server, "CA1").await;
    phone.start(&token).await;
    phone.next().await;
    phone.hang_up().await;
}

#[tokio::test]
async fn in_the_end_all_calls_are_ended_and_may_be_taken_elsewhere() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phones = Vec::new();
    for n in 0..5 {
        phones.push(Phone::greeted(&server, &format!("CA{n}")).await);
    }
    // One is being answered, one speaks.
    phones[0].say().await;
    phones[1].frames(&crate::phone::voice(300)).await;
    server.app.registry.drain();
    server.app.registry.stop_all();
    for phone in &mut phones {
        phone.closed().await;
    }
    until("the end", || server.app.registry.live() == 0).await;
    // Twilio asks the fallback: this server refuses, so that the next URL is tried; another node takes the call.
    assert_eq!(server.webhook("/voice/fallback", "CA0").await.0, 503);
    let other = TestServer::start(Setup::default()).await;
    let (status, twiml) = other.webhook("/voice/fallback", "CA0").await;
    assert_eq!(status, 200);
    token_in(&twiml);
}
