//! Nothing a caller says or hears, no number and no token reaches the log, at any level.

use std::time::Duration;

use tieline::turn::policy::Policy;

use crate::engines::Order;
use crate::http_server::{Answer, chunk, tokens};
use crate::log::Log;
use crate::phone::Phone;
use crate::support::{AUTH_TOKEN, FROM, Setup, TestServer, policy};

#[tokio::test]
async fn no_word_number_or_token_is_logged() {
    let log = Log::of_the_process();
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

    let number = FROM.trim_start_matches('+');
    let said = ["zulu", "83920174", "quokka", "walrus"];
    let secrets = [number, AUTH_TOKEN, &token, "sk-zebra-key"];
    log.tells_of_the_call_without("CAphi", &[&said[..], &secrets].concat());
}
