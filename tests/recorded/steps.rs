//! What each request leads to: silence, keys, repetitions, waiting, places, the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tieline::call::recorded::Patience;
use tieline::turn::policy::Policy;

use crate::engines::{Gate, Order};
use crate::exchange::{At, Caller, Exchange, owned, speech, written};
use crate::support::{FROM, Server, Setup, soon, until};

#[tokio::test]
async fn whoever_says_nothing_is_asked_twice_and_then_bidden_goodbye() {
    let exchange = Exchange::start().await;
    let setup = Setup {
        policy: Policy {
            silence_prompt: Duration::from_secs(4),
            ..Setup::default().policy
        },
        ..Setup::default()
    };
    let server = Server::start(&exchange, setup).await;
    let mut caller = Caller::rings(&server, &exchange, "CAquiet").await;
    let mut played = Vec::new();
    // A recording ends after 2 s of silence, and 4 s are waited for.
    while caller.at != At::Over {
        caller.is_silent().await;
        played.push(caller.played.len());
        assert!(played.len() <= 6, "{played:?}");
    }
    assert_eq!(played, [1, 2, 2, 3, 3, 4]);
    let kept = server.over("CAquiet").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("silence"));
    let heard: Vec<&str> = kept.turns.iter().map(|turn| turn.heard.as_str()).collect();
    assert_eq!((heard.len(), heard[1]), (4, heard[2]));
    assert!(heard[1].contains("still there"), "{heard:?}");
    assert_eq!(server.stt.jobs().len(), 1, "nothing but the warm-up was transcribed");
}

#[tokio::test]
async fn a_recording_of_noise_is_silence_and_is_deleted() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAnoise").await;
    let hum: Vec<f32> = (0..16_000).map(|n| 0.000_3 * (n as f32 * 0.04).sin()).collect();
    caller.says(written(&hum, tieline::time::SampleRate::LINE)).await;
    assert!(matches!(caller.at, At::Recorded { .. }));
    assert_eq!(
        (caller.played.len(), server.stt.jobs().len()),
        (1, 1),
        "the transcriber is not asked to guess"
    );
    server.all_deleted().await;
    exchange.is_clean();
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_runs_nothing_twice() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAtwice").await;
    let greeting = caller.answer.clone();
    let (_, again) = caller.post(&server.url("/voice/incoming"), &[]).await;
    assert_eq!(again, greeting, "the first request again");
    let gate = Gate::default();
    server.stt.give([Order::Wait(gate.clone())]);
    let At::Recorded { action, .. } = caller.at.clone() else {
        panic!("the caller has the floor")
    };
    let fields = caller.recorded(speech(1_000), "");
    // Twilio has given up waiting and asks again while the first request is still worked on.
    let (mut first, mut second) = (
        Caller::new(&server, &exchange, "CAtwice"),
        Caller::new(&server, &exchange, "CAtwice"),
    );
    let opened = async {
        until("the transcriber", || server.stt.jobs().len() == 2).await;
        gate.open();
    };
    let (one, other, ()) = tokio::join!(first.post(&action, &fields), second.post(&action, &fields), opened);
    assert_eq!((one.0, &one), (200, &other));
    assert_eq!(caller.post(&action, &fields).await, one, "and once more, later");
    assert_eq!(server.stt.jobs().len(), 2, "the warm-up, and one turn");
    server.all_deleted().await;
    exchange.is_clean();
    let later = action.replace("step=1", "step=7");
    assert_eq!(
        caller.post(&later, &fields).await.0,
        409,
        "a step that was never offered"
    );
}

#[tokio::test]
async fn a_slow_turn_is_waited_for_in_pieces() {
    let exchange = Exchange::start().await;
    let setup = Setup {
        patience: Patience {
            soon: Duration::from_millis(1),
            hold: Duration::from_millis(20),
            ..Setup::default().patience
        },
        ..Setup::default()
    };
    let server = Server::start(&exchange, setup).await;
    let mut caller = Caller::rings(&server, &exchange, "CAslow").await;
    let gate = Gate::default();
    server.stt.give([Order::Wait(gate.clone())]);
    let pauses = caller.pauses.clone();
    let opened = async {
        until("a few pauses", || pauses.load(Ordering::SeqCst) > 2).await;
        gate.open();
    };
    tokio::join!(caller.says(speech(1_000)), opened);
    assert!(matches!(caller.at, At::Recorded { .. }));
    assert!(caller.answer.contains("step=2&amp;part=0"), "{}", caller.answer);
    assert_eq!(server.stt.jobs().len(), 2);
    server
        .app
        .recorder
        .as_ref()
        .expect("calls are recorded")
        .hung_up("CAslow");
    let kept = server.over("CAslow").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
    assert_eq!(kept.turns.len(), 2);
}

#[tokio::test]
async fn keys_are_what_is_typed_and_nothing_else() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    server.stt.hear(&["Is an MRI covered?", "It is MB123456."]);
    let mut caller = Caller::rings(&server, &exchange, "CAkeys").await;
    // The finish key ends what is said, and is no input.
    let At::Recorded { action, .. } = caller.at.clone() else {
        panic!("the caller has the floor")
    };
    let fields = caller.recorded(speech(1_000), "#");
    caller.go_to(&action, &fields).await;
    // Keys that come at once need no gathering.
    let At::Recorded { action, .. } = caller.at.clone() else {
        panic!("the caller has the floor")
    };
    let fields = caller.recorded(speech(100), "123456#");
    caller.go_to(&action, &fields).await;
    let At::Recorded { action, .. } = caller.at.clone() else {
        panic!("the caller has the floor")
    };
    let fields = caller.recorded(speech(1_000), "hangup");
    caller.go_to(&action, &fields).await;
    assert_eq!(caller.at, At::Over);
    let kept = server.over("CAkeys").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
    let said: Vec<&str> = kept.turns.iter().map(|turn| turn.said.as_str()).collect();
    assert_eq!(said, ["", "Is an MRI covered?", "(keypad) 123456"]);
    assert_eq!(
        exchange.fetched().len(),
        1,
        "what was said while typing, or before hanging up, is not listened to"
    );
    server.all_deleted().await;
    exchange.is_clean();
}

#[tokio::test]
async fn places_are_kept_and_no_call_begins_while_the_server_drains() {
    let exchange = Exchange::start().await;
    let setup = Setup {
        max_calls: 1,
        ..Setup::default()
    };
    let server = Server::start(&exchange, setup).await;
    let mut first = Caller::rings(&server, &exchange, "CAone").await;
    let second = Caller::rings(&server, &exchange, "CAtwo").await;
    assert!(second.answer.contains("<Reject reason=\"busy\"/>"), "{}", second.answer);
    server.app.registry.drain();
    let mut third = Caller::new(&server, &exchange, "CAthree");
    assert_eq!(third.post(&server.url("/voice/incoming"), &[]).await.0, 503);
    first.says(speech(1_000)).await;
    assert!(
        matches!(first.at, At::Recorded { .. }),
        "the call that is there goes on"
    );
    server.app.registry.stop_all();
    let kept = server.over("CAone").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("shutdown"));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_by_the_fallback() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAlost").await;
    caller.says(speech(1_000)).await;
    let (action, played) = (caller.answer.clone(), caller.played.len());
    let fallback = server.url("/voice/fallback");
    caller.go_to(&fallback, &[]).await;
    assert_eq!(caller.played.len(), played + 1);
    assert_eq!(caller.played[played], caller.played[played - 1], "the same words");
    assert_ne!(caller.answer, action, "from another address");
    assert_eq!(server.stt.jobs().len(), 2, "and nothing was thought of twice");
    caller.says(speech(1_000)).await;
    assert!(caller.answer.contains("step=3&amp;part=0"), "{}", caller.answer);
}

#[tokio::test]
async fn a_first_request_that_comes_again_begins_no_call_that_is_over() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    Caller::rings(&server, &exchange, "CAover").await;
    let recorder = server.app.recorder.as_ref().expect("calls are recorded");
    recorder.hung_up("CAover");
    server.over("CAover").await;
    // Another server, or this one started anew.
    let setup = Setup {
        store: Some(server.store.clone()),
        ..Setup::default()
    };
    let other = Server::start(&exchange, setup).await;
    let mut caller = Caller::new(&other, &exchange, "CAover");
    for path in ["/voice/incoming", "/voice/process-speech", "/api/phone/process-speech"] {
        let (status, document) = caller.post(&other.url(path), &[]).await;
        assert!(
            status == 200 && document.contains("<Response><Hangup/></Response>"),
            "{path}: {status} {document}"
        );
    }
    assert_eq!(other.app.registry.live(), 0);
}

#[tokio::test]
async fn only_twilio_may_post_and_to_look_takes_nothing() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let url = server.url("/api/phone/process-speech?step=0&part=0");
    let fields = [
        ("CallSid", "CAforged"),
        ("AccountSid", crate::support::ACCOUNT),
        ("From", FROM),
    ]
    .map(owned);
    for token in [None, Some("another token")] {
        assert_eq!(server.post(&url, &fields, token).await.0, 403);
    }
    assert_eq!(server.app.registry.live(), 0);
    let mut caller = Caller::new(&server, &exchange, "CAlook");
    let (status, document) = caller.post(&server.url("/api/phone/process-speech"), &[]).await;
    assert_eq!(status, 200, "a number may point here directly");
    let clip = document
        .split("<Play>")
        .nth(1)
        .and_then(|rest| rest.split("</Play>").next());
    let clip = clip.expect("a greeting");
    for expected in [200, 200] {
        let looked = soon("the audio", server.http.head(clip).send())
            .await
            .expect("an answer");
        assert_eq!(looked.status(), expected);
    }
    for expected in [200, 404] {
        let taken = soon("the audio", server.http.get(clip).send())
            .await
            .expect("an answer");
        assert_eq!(taken.status(), expected);
    }
}
