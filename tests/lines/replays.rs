//! Who must get nothing: webhooks that come again or are made of overheard ones, tokens of another line, strangers in numbers.

use tieline::store::{AuditRecord, NewCall, Store};
use tieline::twilio::dialect::Dialect;

use crate::handset::{CARRIERS, Handset, Seen, form, headers, lines, post, ring, webhook};
use crate::phone::Phone;
use crate::support::{Setup, TestServer, fresh_store, until, with_moved_borders};

const SIGNED: [Dialect; 3] = [Dialect::SignalWire, Dialect::Telnyx, Dialect::Plivo];
const POLICY_VIOLATION: Option<u16> = Some(1008);

async fn server(store: &Store) -> TestServer {
    TestServer::start(Setup {
        lines: lines(),
        store: Some(store.clone()),
        ..Setup::default()
    })
    .await
}

async fn refused(store: &Store) -> Vec<AuditRecord> {
    let mut events = store.audit_events(5_000).await.expect("readable");
    events.retain(|event| event.outcome == "refused");
    events
}

#[tokio::test]
async fn a_webhook_that_comes_again_opens_no_call_on_any_line() {
    let (store, _dir) = fresh_store().await;
    let server = server(&store).await;
    for dialect in SIGNED {
        let call = format!("{}-1", dialect.name());
        let opens_nothing = async |server: &TestServer| {
            let (status, body) = webhook(server, dialect, "incoming", &call).await;
            assert!(
                status == 200 && body.contains("<Response><Hangup/></Response>"),
                "{call}: {status} {body}"
            );
        };
        let mut handset = Handset::call(&server, dialect, &call).await;
        handset.turn().await;
        opens_nothing(&server).await;
        assert!(server.app.registry.is_live(&call), "the call goes on");
        handset.hang_up().await;
        until("the end", || server.app.registry.live() == 0).await;
        opens_nothing(&server).await;
        // One that knows it from the database alone.
        opens_nothing(&self::server(&store).await).await;
    }
    let repeated = refused(&store).await;
    assert_eq!(repeated.iter().filter(|event| event.detail == "repeated").count(), 9);
}

#[tokio::test]
async fn a_fallback_that_comes_again_does_not_open_a_call_that_was_finished() {
    let (store, _dir) = fresh_store().await;
    for (call, outcome) in [("finished", Some("goodbye")), ("lost", Some("lost")), ("lasts", None)] {
        let new = NewCall {
            call_sid: call.to_owned(),
            agent: "test-desk".to_owned(),
            ..NewCall::default()
        };
        store.begin_call(&new).await.expect("begun");
        if let Some(outcome) = outcome {
            store.end_call(call, outcome).await.expect("ended");
        }
    }
    // It has them from the database alone.
    for dialect in SIGNED {
        let server = server(&store).await;
        for (call, over) in [("finished", true), ("lost", false), ("lasts", false), ("new", false)] {
            let (status, body) = webhook(&server, dialect, "fallback", call).await;
            assert_eq!(status, 200, "{call}: {body}");
            assert_eq!(body.contains("<Response><Hangup/></Response>"), over, "{call}: {body}");
            assert_eq!(server.app.registry.knows(call), !over, "{call}");
        }
    }
}

/// Telnyx signs bytes, and Exotel nothing: there is nothing to be gained there.
#[tokio::test]
async fn a_signed_form_whose_borders_were_moved_is_refused() {
    let (store, _dir) = fresh_store().await;
    let server = server(&store).await;
    for (dialect, id, call) in [
        (Dialect::SignalWire, "CallSid", "5ea1e6d0-c3b2-4a19-88f7-e6d5c4b3a291"),
        (Dialect::Plivo, "CallUUID", "192a3b4c-5d6e-4f88-91a2-b3c0d6e1ea50"),
    ] {
        let path = format!("/{}/incoming", dialect.name());
        let genuine = form(dialect, call);
        let proof = headers(dialect, &server.url(&path), &genuine, 0);
        for forged in with_moved_borders(&genuine, id) {
            assert_eq!(
                headers(dialect, &server.url(&path), &forged, 0),
                proof,
                "it is signed as well"
            );
            assert_eq!(post(&server, &path, &forged, &proof).await.0, 400, "{path} {forged:?}");
        }
        assert_eq!(post(&server, &path, &genuine, &proof).await.0, 200, "{path}");
    }
    for (dialect, longest) in CARRIERS.map(|dialect| (dialect, if dialect == Dialect::Telnyx { 128 } else { 40 })) {
        for (length, status) in [(longest, 200), (longest + 1, 400)] {
            let call = format!("{:a<length$}", dialect.name());
            assert_eq!(
                webhook(&server, dialect, "incoming", &call).await.0,
                status,
                "{} {length}",
                dialect.name()
            );
        }
    }
}

#[tokio::test]
async fn a_token_of_one_line_opens_no_stream_of_another_though_the_accounts_have_one_name() {
    let (store, _dir) = fresh_store().await;
    let server = server(&store).await;
    let token = server.token("CA1").await;
    let signalwire = format!("ws://{}/signalwire/stream", server.address);
    let mut stranger = Handset::dial(Dialect::SignalWire, &signalwire, "CA1").await;
    stranger.start(Some(&token)).await;
    assert_eq!(stranger.closed().await, POLICY_VIOLATION);

    // Nor does SignalWire's own webhook take the call over, before, during or after it.
    let taken_over = async || webhook(&server, Dialect::SignalWire, "fallback", "CA1").await;
    assert_eq!(taken_over().await, (403, "not a call of this account".to_owned()));
    let mut phone = Phone::connected(&server, "CA1", &token).await;
    phone.turn().await;
    assert_eq!(taken_over().await.0, 403);
    assert!(server.app.registry.is_live("CA1"));
    phone.hang_up().await;
    until("the end", || server.app.registry.live() == 0).await;
    assert_eq!(taken_over().await.0, 403);

    // And the other way round.
    let answer = ring(&server, Dialect::SignalWire, "CA2").await;
    let mut stranger = Phone::dial(&server, "CA2").await;
    stranger.start(answer.token.as_deref().expect("a token")).await;
    assert_eq!(stranger.closed().await, POLICY_VIOLATION);
    let (status, _) = server.webhook("/voice/fallback", "CA2").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_flood_of_strangers_gets_no_socket_and_leaves_the_audit_trail_to_others() {
    let (store, _dir) = fresh_store().await;
    let server = server(&store).await;
    for n in 0..FLOOD {
        for dialect in [Dialect::Telnyx, Dialect::Plivo, Dialect::Exotel] {
            let url = format!("ws://{}/{}/stream/call-{n}/guess", server.address, dialect.name());
            let refused = Handset::try_to_dial(dialect, &url, "call").await;
            assert_eq!(refused.err(), Some(403), "{}", dialect.name());
        }
        // It brings its token on the socket.
        let url = format!("ws://{}/signalwire/stream", server.address);
        let mut stranger = Handset::dial(Dialect::SignalWire, &url, "call").await;
        stranger.start(Some("guess")).await;
        assert_eq!(stranger.closed().await, POLICY_VIOLATION);
    }
    assert_eq!(refused(&store).await.len(), 4 * 20, "the first ones of each line");
    // Whoever is refused on a line that is signed is written down all the same.
    let mut guess = Phone::dial(&server, "CA1").await;
    guess.start("guess").await;
    assert_eq!(guess.closed().await, POLICY_VIOLATION);
    let newest = &refused(&store).await[0];
    assert_eq!((newest.subject.as_str(), newest.detail.as_str()), ("CA1", "token"));
    // And who is expected gets in.
    let mut handset = Handset::call(&server, Dialect::Exotel, "call-1").await;
    handset
        .until("the greeting", |seen| matches!(seen, Seen::Media(_)).then_some(()))
        .await;
    handset.hang_up().await;
}

/// Many more than are written down.
const FLOOD: usize = 50;
