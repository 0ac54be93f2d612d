//! Engines that fail, panic, hang or have no time: an apology or silence, never a dropped call.

use std::time::Duration;

use tieline::turn::policy::Policy;

use crate::engines::{Broken, Gate, Order};
use crate::http_server::{USUAL, tokens};
use crate::phone::{Phone, Seen};
use crate::support::{APOLOGY, NOT_HEARD, Setup, TestServer, policy, until};

async fn is_fine(phone: &mut Phone) {
    let turn = phone.exchange().await;
    assert_eq!((turn.outcome.as_str(), turn.heard.as_str()), ("completed", USUAL));
}

async fn apologises(phone: &mut Phone) {
    let turn = phone.exchange().await;
    assert_eq!((turn.outcome.as_str(), turn.heard.as_str()), ("failed", APOLOGY));
}

async fn health(server: &TestServer) -> (u16, serde_json::Value) {
    let answer = server
        .http
        .get(server.url("/voice/health"))
        .send()
        .await
        .expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_transcriber_that_fails() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    server.stt.give([Order::Fail, Order::Fail]);
    apologises(&mut phone).await;
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn engines_that_panic_are_built_anew() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    server.stt.give([Order::Panic]);
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    server.tts.give([Order::Panic]);
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    assert_eq!(health(&server).await.0, 200);
    phone.hang_up().await;
}

#[tokio::test]
async fn a_transcriber_that_cannot_be_rebuilt_degrades_the_server_and_drops_no_call() {
    for how in [Broken::Fails, Broken::Panics] {
        let (server, _llm) = TestServer::with_llm(Setup::default()).await;
        let mut phone = Phone::greeted(&server, "CA1").await;
        server.stt.break_factory(how);
        server.stt.give([Order::Panic]);
        apologises(&mut phone).await;
        until("the worker's end", || server.app.services.engine.alive() == (0, 1)).await;
        apologises(&mut phone).await;
        apologises(&mut phone).await;
        let (status, health) = health(&server).await;
        assert_eq!((status, &health["configured"]["stt"]), (503, &false.into()));
        assert!(health["reasons"].to_string().contains("speech-to-text"), "{health}");
        phone.hang_up().await;
    }
}

#[tokio::test]
async fn a_transcriber_that_is_too_slow() {
    let (server, _llm) = TestServer::with_llm(Setup {
        policy: Policy {
            transcribe_deadline: Duration::from_millis(200),
            ..policy()
        },
        workers: 2,
        ..Setup::default()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let gate = Gate::default();
    server.stt.give([Order::Wait(gate.clone())]);
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    // What it heard of the old turn comes too late to matter.
    gate.open();
    is_fine(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn a_caller_who_goes_on_while_being_transcribed_is_transcribed_whole() {
    let (server, _llm) = TestServer::with_llm(Setup {
        workers: 2,
        ..Setup::default()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let gate = Gate::default();
    server
        .stt
        .give([Order::Wait(gate.clone()), Order::Hear("all of it".to_owned())]);
    phone.say().await;
    until("the transcriber is at work", || server.stt.jobs().len() == 2).await;
    let turn = phone.exchange().await;
    assert_eq!(
        (turn.caller.as_deref(), turn.heard.as_str()),
        (Some("all of it"), USUAL)
    );
    let samples: Vec<usize> = server.stt.jobs()[1..]
        .iter()
        .map(|job| job.parse().expect("a number"))
        .collect();
    assert!(samples[1] > samples[0] + 16_000 / 2, "{samples:?}");
    gate.open();
    phone.hang_up().await;
}

#[tokio::test]
async fn a_transcriber_that_understands_nothing() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    server.stt.hear(&["", ""]);
    // A short noise is passed over, clear speech is asked for again.
    phone.say().await;
    until("the first transcript", || server.stt.jobs().len() == 2).await;
    phone.frames(&crate::phone::voice(1_300)).await;
    phone.frames(&crate::phone::silence(600)).await;
    let turn = phone.turn().await;
    assert_eq!((turn.caller, turn.heard.as_str()), (None, NOT_HEARD));
    assert!(llm.asked().is_empty());
    is_fine(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn a_synthesizer_that_fails() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    server.tts.give([Order::Fail]);
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    llm.answer([tokens(&["First. ", "Second. ", "Third."])]);
    server.tts.give([Order::Work, Order::Fail]);
    let turn = phone.exchange().await;
    assert_eq!(
        (turn.outcome.as_str(), turn.heard),
        ("failed", format!("First. {APOLOGY}"))
    );
    is_fine(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn a_synthesizer_that_is_too_slow() {
    let (server, _llm) = TestServer::with_llm(Setup {
        policy: Policy {
            synthesize_deadline: Duration::from_millis(200),
            ..policy()
        },
        workers: 2,
        ..Setup::default()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let gate = Gate::default();
    server.tts.give([Order::Wait(gate.clone())]);
    apologises(&mut phone).await;
    is_fine(&mut phone).await;
    gate.open();
    is_fine(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn a_full_queue_costs_a_turn_and_no_call() {
    let (server, _llm) = TestServer::with_llm(Setup {
        queue: 1,
        ..Setup::default()
    })
    .await;
    let mut working = Phone::greeted(&server, "CA1").await;
    let mut waiting = Phone::greeted(&server, "CA2").await;
    let mut refused = Phone::greeted(&server, "CA3").await;
    // One after the other, because the synthesiser's queue is as short.
    let (first, second) = (Gate::default(), Gate::default());
    server
        .stt
        .give([Order::Wait(first.clone()), Order::Wait(second.clone())]);
    working.say().await;
    until("the transcriber is at work", || server.stt.jobs().len() == 2).await;
    waiting.say().await;
    // Which of the two gets the one place is decided by who is first.
    refused.say().await;
    let first_word = |seen: &Seen| match seen {
        Seen::Event(tieline::call::trace::TraceEvent::Agent { text, .. }) => Some(text.clone()),
        Seen::Event(_) | Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
    };
    let (mut loser, mut winner) = tokio::select! {
        text = waiting.until("a word", first_word) => { assert_eq!(text, APOLOGY); (waiting, refused) }
        text = refused.until("a word", first_word) => { assert_eq!(text, APOLOGY); (refused, waiting) }
    };
    assert_eq!(loser.turn().await.outcome, "failed");
    first.open();
    assert_eq!(working.turn().await.heard, USUAL);
    second.open();
    assert_eq!(winner.turn().await.heard, USUAL);
    is_fine(&mut loser).await;
    for phone in [working, loser, winner] {
        phone.hang_up().await;
    }
}
