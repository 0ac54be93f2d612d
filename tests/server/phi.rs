//! Nothing a caller says or hears, no number and no token reaches the log, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tieline::telemetry::logging;
use tieline::turn::policy::Policy;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::engines::Order;
use crate::http_server::{Answer, chunk, tokens};
use crate::phone::Phone;
use crate::support::{AUTH_TOKEN, FROM, Setup, TestServer, policy};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_word_number_or_token_is_logged() {
    // For the whole process, as in production, so that the engine threads and the libraries are heard too.
    let log = Log::default();
    let output = tracing_subscriber::fmt::layer()
        .with_writer(log.clone())
        .with_ansi(false);
    let subscriber = tracing_subscriber::registry()
        .with(logging::filter("trace"))
        .with(output);
    subscriber.try_init().expect("no other test installs one");

    let (server, llm) = TestServer::with_llm(Setup {
        auth_token: Some(AUTH_TOKEN),
        llm_key: Some("sk-zebra-key"),
        policy: Policy {
            reply_deadline: Duration::from_millis(400),
            ..policy()
        },
        ..Setup::default()
    })
    .await;
    server.stt.hear(&[
        "my member id is zulu 83920174",
        "zulu again",
        "zulu once more",
        "zulu for ever",
        "last zulu",
    ]);
    let echo = br#"zulu 83920174 {"error": {"message": "zulu 83920174"}}"#.to_vec();
    llm.answer([tokens(&["Thank you, quokka. ", "Your plan is walrus."])]);
    let mut phone = Phone::greeted(&server, "CAphi").await;
    let token = server.token("CAphi2").await;
    let turn = phone.exchange().await;
    assert_eq!(turn.heard, "Thank you, quokka. Your plan is walrus.");
    for broken in [
        // Servers like to quote the request in their errors.
        Answer::Full(500, "text/plain", echo.clone()),
        Answer::Full(400, "application/json", echo),
        Answer::Events(vec![chunk("A quokka. "), "{\"broken\": \"walrus".to_owned()]),
    ] {
        llm.answer_always(broken);
        assert_eq!(phone.exchange().await.outcome, "failed");
    }
    server.tts.give([Order::Fail]);
    llm.answer([tokens(&["No walrus."])]);
    assert_eq!(phone.exchange().await.outcome, "failed");
    phone.dtmf('7').await;
    phone.hang_up().await;

    let text = String::from_utf8(log.0.lock().expect("no panic under the lock").clone()).expect("UTF-8");
    assert!(
        text.contains("call CAphi is live") && text.contains("call CAphi ended"),
        "the log is heard"
    );
    let lower = text.to_lowercase();
    let number = FROM.trim_start_matches('+');
    for secret in [
        "zulu",
        "83920174",
        "quokka",
        "walrus",
        number,
        AUTH_TOKEN,
        &token.to_lowercase(),
        "sk-zebra-key",
    ] {
        let line = lower.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
