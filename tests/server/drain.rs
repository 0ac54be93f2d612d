//! What SIGTERM sets off: calls go on, new ones are refused, and in the end all are ended.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tieline::call::drain::{Grace, LAST_WORDS, drain};
use tieline::call::trace::TraceEvent;

use crate::http_server::USUAL;
use crate::phone::{Phone, Seen};
use crate::support::{Setup, TestServer, database, fresh_store, soon, token_in, until};

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

/// A call is told to end while somebody else holds the database.
#[tokio::test]
async fn what_was_said_is_written_down_before_the_server_stops() {
    let (store, dir) = fresh_store().await;
    let (server, _llm) = TestServer::with_llm(Setup {
        store: Some(store.clone()),
        ..Setup::default()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.exchange().await;
    let mut other = SqliteConnection::connect(&database(&dir)).await.expect("a connection");
    let lock = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
    lock.expect("the lock");

    let registry = Arc::clone(&server.app.registry);
    let impatient = Grace {
        calls: Duration::ZERO,
        last_words: Duration::ZERO,
    };
    soon("a drain without patience", drain(&registry, impatient)).await;
    assert_eq!(registry.live(), 1, "the call is not written down");

    let grace = Grace {
        last_words: LAST_WORDS,
        ..impatient
    };
    let drained = tokio::spawn(async move { drain(&registry, grace).await });
    phone
        .until("the end of the call", |seen| {
            matches!(seen, Seen::Event(TraceEvent::End)).then_some(())
        })
        .await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(
        !drained.is_finished(),
        "the record waits for the database, and the server for the record"
    );
    let freed = sqlx::query("ROLLBACK").execute(&mut other).await;
    freed.expect("the lock was held");
    soon("the end of the drain", drained).await.expect("no panic");
    let kept = store.call("CA1").await.expect("answered").expect("kept");
    assert_eq!(kept.call.outcome.as_deref(), Some("shutdown"));
    assert_eq!(kept.turns.len(), 2);
}
