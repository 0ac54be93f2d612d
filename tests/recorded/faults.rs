//! What goes wrong at the carrier, and what an attacker would like to.

use std::time::Duration;

use tieline::call::recorded::Patience;

use crate::engines::Order;
use crate::exchange::{At, Caller, Exchange, owned, speech};
use crate::support::{Server, Setup, until};

#[tokio::test]
async fn a_recording_that_is_late_is_asked_for_again_and_one_that_stays_is_deleted_later() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    server.stt.hear(&["Is an MRI covered?", "MB123456"]);
    let mut caller = Caller::rings(&server, &exchange, "CAlate").await;
    // Not there yet, too many requests, a broken server: the client tries the last two again by itself, four times at most.
    exchange.answer(
        &[404, 404, 429, 500, 404, 503, 503, 503, 503],
        &[500, 500, 500, 500, 429, 500, 500, 500],
    );
    caller.says(speech(1_000)).await;
    assert_eq!(exchange.fetched().len(), 10);
    server.all_deleted().await;
    assert_eq!(exchange.deleted().len(), 1, "after two rounds of failures");
    caller.says(speech(1_000)).await;
    server.all_deleted().await;
    exchange.is_clean();
    caller
        .post(
            &server.url("/voice/process-speech?step=3&part=0"),
            &[("CallStatus", "completed")].map(owned),
        )
        .await;
    let kept = server.over("CAlate").await;
    let said: Vec<&str> = kept.turns.iter().map(|turn| turn.said.as_str()).collect();
    assert_eq!(said, ["", "Is an MRI covered?", "MB123456"]);
}

#[tokio::test]
async fn what_one_server_could_not_delete_another_one_does() {
    let exchange = Exchange::start().await;
    let setup = |delete_pause, orphaned, store| Setup {
        patience: Patience {
            delete_pause,
            orphaned,
            ..Setup::default().patience
        },
        store,
        ..Setup::default()
    };
    let long = Duration::from_secs(3_600);
    let first = Server::start(&exchange, setup(long, long, None)).await;
    let mut caller = Caller::rings(&first, &exchange, "CAleft").await;
    exchange.answer(&[], &[500; 4]);
    caller.says(speech(1_000)).await;
    until("the deletion that fails", || exchange.refusals_left() == 0).await;
    // It is killed; the next one finds what it has written down.
    let second = Server::start(&exchange, setup(long, Duration::ZERO, Some(first.store.clone()))).await;
    until("the deletion", || exchange.deleted().len() == 1).await;
    second.all_deleted().await;
    exchange.is_clean();
    assert_eq!(
        second.store.undeleted(Duration::ZERO).await.expect("readable"),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_recording_that_the_carrier_does_not_have_yet_is_deleted_once_it_is_there() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAyet").await;
    exchange.answer(&[], &[404, 404]);
    caller.says(speech(1_000)).await;
    server.all_deleted().await;
    assert_eq!(exchange.refusals_left(), 0);
    exchange.is_clean();
}

#[tokio::test]
async fn a_recording_that_is_gone_counts_as_deleted_after_a_while() {
    let exchange = Exchange::start().await;
    let setup = |appears, store| Setup {
        patience: Patience {
            appears,
            orphaned: Duration::ZERO,
            delete_pause: Duration::from_secs(3_600),
            ..Setup::default().patience
        },
        store,
        ..Setup::default()
    };
    let long = Duration::from_secs(3_600);
    let first = Server::start(&exchange, setup(long, None)).await;
    let mut caller = Caller::rings(&first, &exchange, "CAgone").await;
    exchange.answer(&[], &[404]);
    caller.says(speech(1_000)).await;
    until("the first attempt", || exchange.refusals_left() == 0).await;
    let undeleted = async |server: &Server| server.store.undeleted(Duration::ZERO).await.expect("readable");
    assert_eq!(undeleted(&first).await.len(), 1, "it may still appear");
    // Another server finds its id, which was told long ago.
    exchange.answer(&[], &[404]);
    let second = Server::start(&exchange, setup(long, Some(first.store.clone()))).await;
    until("the second attempt", || exchange.refusals_left() == 0).await;
    second.all_deleted().await;
    assert_eq!(undeleted(&second).await, Vec::<String>::new());
    // And so does a server that has waited for long enough.
    exchange.answer(&[], &[404]);
    let third = Server::start(&exchange, setup(Duration::ZERO, None)).await;
    let mut caller = Caller::rings(&third, &exchange, "CAgone").await;
    caller.says(speech(1_000)).await;
    until("the third attempt", || exchange.refusals_left() == 0).await;
    third.all_deleted().await;
    assert_eq!(undeleted(&third).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_recording_that_never_comes_is_apologised_for_and_deleted() {
    let exchange = Exchange::start().await;
    let setup = Setup {
        patience: Patience {
            fetch: Duration::from_millis(30),
            ..Setup::default().patience
        },
        ..Setup::default()
    };
    let server = Server::start(&exchange, setup).await;
    let mut caller = Caller::rings(&server, &exchange, "CAnever").await;
    exchange.answer(&[404; 200], &[]);
    caller.says(speech(1_000)).await;
    assert!(matches!(caller.at, At::Recorded { .. }), "the call goes on");
    server.all_deleted().await;
    exchange.is_clean();
    server
        .app
        .recorder
        .as_ref()
        .expect("calls are recorded")
        .hung_up("CAnever");
    let kept = server.over("CAnever").await;
    assert_eq!(
        kept.turns[1].outcome, "cut-off",
        "whether the apology was heard is not known"
    );
}

#[tokio::test]
async fn engines_that_fail_end_in_the_apology() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAfail").await;
    server.stt.give([Order::Fail]);
    caller.says(speech(1_000)).await;
    server.stt.hear(&["Is an MRI covered?"]);
    server.tts.give([Order::Fail]);
    caller.says(speech(1_000)).await;
    // Not a WAV at all.
    caller.says(b"<html>not found</html>".to_vec()).await;
    caller.is_silent().await;
    server
        .app
        .recorder
        .as_ref()
        .expect("calls are recorded")
        .hung_up("CAfail");
    let kept = server.over("CAfail").await;
    let outcomes: Vec<&str> = kept.turns.iter().map(|turn| turn.outcome.as_str()).collect();
    assert_eq!(outcomes, ["completed", "failed", "failed", "failed"]);
    assert!(
        kept.turns[1..]
            .iter()
            .all(|turn| turn.heard == kept.turns[1].heard && !turn.heard.is_empty())
    );
}

#[tokio::test]
async fn a_call_that_is_not_known_begins_anew_and_one_that_is_over_does_not() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    // Another server's call, or this one's before it was started again.
    let mut caller = Caller::new(&server, &exchange, "CAorphan");
    let fields = caller.recorded(speech(1_000), "");
    let url = server.url("/voice/process-speech?step=5&part=2");
    caller.go_to(&url, &fields).await;
    assert!(caller.answer.contains("step=1&amp;part=0"), "{}", caller.answer);
    assert_eq!((caller.played.len(), exchange.fetched().len()), (1, 0));
    server.all_deleted().await;
    exchange.is_clean();
    // It hangs up; an hour later somebody plays the request again.
    let before = caller.last.clone();
    caller
        .go_to(
            &server.url("/voice/process-speech?step=1&part=0"),
            &[("Digits", "hangup")].map(owned),
        )
        .await;
    server.over("CAorphan").await;
    until("the call's place", || server.app.registry.live() == 0).await;
    caller.go_to(&before.0, &before.1).await;
    assert_eq!(caller.at, At::Over);
    assert!(
        caller.answer.ends_with("<Response><Hangup/></Response>"),
        "{}",
        caller.answer
    );
    // Nothing of it is remembered but in the database.
    let setup = Setup {
        store: Some(server.store.clone()),
        ..Setup::default()
    };
    let restarted = Server::start(&exchange, setup).await;
    let mut caller = Caller::new(&restarted, &exchange, "CAorphan");
    caller
        .go_to(&restarted.url("/voice/process-speech?step=1&part=0"), &[])
        .await;
    assert_eq!((caller.at.clone(), restarted.app.registry.live()), (At::Over, 0));
}

#[tokio::test]
async fn what_is_posted_chooses_nothing_that_is_asked_for() {
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    let mut caller = Caller::rings(&server, &exchange, "CAssrf").await;
    for sid in [
        "../../../trap",
        "RE1/../../trap",
        "http://127.0.0.1/trap",
        "RE1?x=",
        "RE1%2f",
        "",
    ] {
        let At::Recorded { action, .. } = caller.at.clone() else {
            panic!("the caller has the floor")
        };
        let trap = format!("{}/trap", exchange.url);
        caller
            .go_to(&action, &[("RecordingSid", sid), ("RecordingUrl", &trap)].map(owned))
            .await;
    }
    assert_eq!(
        (exchange.fetched(), exchange.deleted()),
        (Vec::<String>::new(), Vec::new())
    );
    exchange.is_clean();
}
