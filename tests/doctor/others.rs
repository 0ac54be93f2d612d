//! What is wrong elsewhere: the LLM endpoint, the public address.

use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::{NOBODY, doctor};

/// Serves on a free port, until the test ends.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn an_llm_endpoint_is_asked_for_a_token() {
    let events = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
                  \"choices\":[{\"index\":0,\"delta\":{\"content\":\"Yes.\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
    let completions = |path: &str| format!("{path}/chat/completions");
    let router = Router::new()
        .route(
            &completions("/good"),
            post(move || async move { ([(header::CONTENT_TYPE, "text/event-stream")], events) }),
        )
        .route(&completions("/locked"), post(|| async { StatusCode::UNAUTHORIZED }))
        .route(&completions("/silent"), post(|| async { pending::<()>().await }));
    let address = serve(router).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, state, found, remedy) in [
        ("good", "ok", "first token after", ""),
        ("locked", "fail", "HTTP 401", "correct LLM_API_KEY"),
        (
            "silent",
            "fail",
            "nothing came within LLM_DEADLINE (500 ms)",
            "loading its model",
        ),
        ("other", "fail", "HTTP 404", "LLM_BASE_URL"),
    ] {
        let url = format!("http://{address}/{path}");
        let environment = [
            ("LLM_BASE_URL", url.as_str()),
            ("LLM_API_KEY", "5ecret"),
            ("LLM_DEADLINE", "500ms"),
            ("AGENTS_DIR", dir.path().to_str().expect("UTF-8")),
            ("AGENT", "talker"),
        ];
        // One that cannot do without.
        let talker = "name = \"talker\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n";
        std::fs::write(dir.path().join("talker.toml"), talker).expect("written");
        let page = doctor(dir.path(), &[], &environment).await;
        page.says(state, "llm", found, remedy);
        page.says(
            "ok",
            "egress",
            &format!("{address}: LLM_BASE_URL, gets the text of conversations (this machine)"),
            "",
        );
        assert!(!page.text.contains("5ecret"), "{}", page.text);
    }
    let url = format!("{NOBODY}/v1");
    let page = doctor(dir.path(), &[], &[("LLM_BASE_URL", &url)]).await;
    page.says(
        "warn",
        "llm",
        "cannot be reached",
        "Until then the agent guides callers by itself",
    );
}

#[tokio::test]
async fn a_public_url_that_leads_elsewhere_is_told() {
    let other = r#"{"service":"tieline","version":"0.1.0","instance":"00000000000000000000000000000000"}"#;
    let router = Router::new()
        .route(
            "/moved/voice/identity",
            get(|| async { Redirect::permanent("https://new.example.org/x?k=5ecret") }),
        )
        .route(
            "/other/voice/identity",
            get(move || async move { ([(header::CONTENT_TYPE, "application/json")], other) }),
        )
        .route("/shop/voice/identity", get(|| async { "Welcome to our shop" }))
        .route(
            "/down/voice/identity",
            get(|| async { StatusCode::BAD_GATEWAY.into_response() }),
        );
    let address = serve(router).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (path, found, remedy) in [
        (
            "moved",
            "redirects to https://new.example.org/x:",
            "set PUBLIC_URL to the address",
        ),
        (
            "other",
            "leads to another tieline",
            "point the proxy or tunnel at this one",
        ),
        ("shop", "something that is not tieline", "forward every path"),
        ("down", "HTTP 502: the proxy is there", "let it forward to"),
        ("none", "HTTP 404", "leave /none out of PUBLIC_URL"),
    ] {
        let url = format!("http://{address}/{path}");
        let page = doctor(dir.path(), &[], &[("PUBLIC_URL", &url)]).await;
        page.says("fail", "public URL", found, remedy);
        page.says("warn", "public URL", "Twilio cannot reach it", "tunnel");
        assert!(!page.text.contains("5ecret"), "{}", page.text);
    }
    let page = doctor(dir.path(), &[], &[("PUBLIC_URL", NOBODY)]).await;
    page.says(
        "fail",
        "public URL",
        "nothing listens there",
        "start the proxy or tunnel",
    );
    let page = doctor(dir.path(), &[], &[("PUBLIC_URL", "http://voice.invalid")]).await;
    page.says(
        "fail",
        "settings",
        "TWILIO_AUTH_TOKEN is not set",
        "Set TWILIO_AUTH_TOKEN",
    );
    page.says("fail", "public URL", "is not https", "deploy/nginx.conf");
}

#[tokio::test]
async fn before_the_first_start_something_stands_in_for_the_server() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let bind = free.local_addr().expect("an address").to_string();
    drop(free);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let url = format!("http://{bind}");
    let page = doctor(dir.path(), &[], &[("PUBLIC_URL", &url), ("BIND", &bind)]).await;
    page.says("ok", "port", "is free", "");
    page.says("ok", "public URL", "leads to this server", "");
    page.says("ok", "public URL", "WebSockets come through", "");
}
