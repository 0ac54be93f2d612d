//! What is written down of calls whose streams break, whose server stops, or whose database fails.

use std::time::Duration;

use tempfile::TempDir;
use tieline::store::{RecordedCall, Store};

use crate::engines::Order;
use crate::http_server::{HttpServer, tokens};
use crate::phone::Phone;
use crate::support::{GREETING, Setup, TestServer, fresh_store, pace, soon, token_in, until};

async fn server(store: &Store) -> (TestServer, HttpServer) {
    TestServer::with_llm(Setup {
        store: Some(store.clone()),
        ..Setup::default()
    })
    .await
}

/// The caller says something, and hears the beginning of a long answer.
async fn is_being_answered(server: &TestServer, llm: &HttpServer, phone: &mut Phone) {
    llm.answer([tokens(&["This takes a while."])]);
    server.tts.give([Order::Tone(Duration::from_secs(60))]);
    let audio = phone.audio;
    phone.say().await;
    while phone.audio == audio {
        phone.next().await;
    }
}

/// The token of the stream that the carrier is told to open after one has broken.
async fn again(server: &TestServer) -> String {
    let (status, twiml) = server.webhook("/voice/fallback", "CA1").await;
    assert_eq!(status, 200, "{twiml}");
    token_in(&twiml)
}

fn turns(kept: &RecordedCall) -> Vec<(u32, &str)> {
    let turn = kept.turns.iter();
    turn.map(|turn| (turn.number, turn.outcome.as_str())).collect()
}

async fn kept(store: &Store) -> RecordedCall {
    store.call("CA1").await.expect("readable").expect("kept")
}

/// A call as soon as it has ended in the database.
async fn ended(store: &Store) -> RecordedCall {
    let poll = async {
        let mut pace = pace(Duration::from_millis(5));
        loop {
            let found = store.call("CA1").await.ok().flatten();
            if let Some(found) = found.filter(|found| found.call.outcome.is_some()) {
                return found;
            }
            pace.tick().await;
        }
    };
    soon("the end in the database", poll).await
}

#[tokio::test]
async fn a_call_that_is_connected_again_keeps_the_turns_it_had() {
    let (store, _dir) = fresh_store().await;
    let (first, llm) = server(&store).await;
    let mut phone = Phone::greeted(&first, "CA1").await;
    assert_eq!(phone.exchange().await.number, 1);
    // Twilio has given the stream up in the middle of an answer; this server does not know yet.
    is_being_answered(&first, &llm, &mut phone).await;
    let token = again(&first).await;
    phone.closed().await;
    assert_eq!(kept(&store).await.call.outcome, None, "the call goes on");
    let mut phone = Phone::connected(&first, "CA1", &token).await;
    assert_eq!(phone.turn().await.heard, GREETING);
    assert_eq!(phone.exchange().await.number, 1, "as the stream counts");
    drop(phone);
    until("the loss is noticed", || first.app.registry.live() == 0).await;
    // Another server takes it.
    let (second, _llm) = server(&store).await;
    let mut phone = Phone::connected(&second, "CA1", &again(&second).await).await;
    assert_eq!(phone.turn().await.heard, GREETING);
    phone.exchange().await;
    phone.hang_up().await;
    let kept = kept(&store).await;
    let outcomes = turns(&kept);
    let done = "completed";
    let all = [done, done, "cut-off", done, done, done, done];
    let numbered = (0..).zip(all).collect::<Vec<(u32, &str)>>();
    assert_eq!(outcomes, numbered);
    let greetings = [0, 3, 5].map(|n| kept.turns[n].heard.as_str());
    assert_eq!(greetings, [GREETING; 3]);
    assert!([1, 2, 4, 6].iter().all(|&n| !kept.turns[n].said.is_empty()));
    assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
}

#[tokio::test]
async fn the_turn_that_a_stopping_server_cuts_off_is_written_down() {
    let (store, _dir) = fresh_store().await;
    let (server, llm) = server(&store).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    is_being_answered(&server, &llm, &mut phone).await;
    server.app.registry.drain();
    server.app.registry.stop_all();
    phone.closed().await;
    let kept = kept(&store).await;
    assert_eq!(turns(&kept), [(0, "completed"), (1, "cut-off")]);
    assert!(!kept.turns[1].said.is_empty());
    assert_eq!(kept.call.outcome.as_deref(), Some("shutdown"));
}

#[tokio::test]
async fn a_call_that_cannot_be_begun_in_the_database_at_first_is_there_in_the_end() {
    let (store, dir): (Store, TempDir) = fresh_store().await;
    let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
    let raw = sqlx::AnyPool::connect(&url).await.expect("the database");
    let (server, _llm) = server(&store).await;
    let rename = async |statement: &'static str| {
        sqlx::query(statement).execute(&raw).await.expect("renamed");
    };
    rename("ALTER TABLE calls RENAME TO gone").await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.exchange().await;
    rename("ALTER TABLE gone RENAME TO calls").await;
    phone.exchange().await;
    phone.hang_up().await;
    let kept = ended(&store).await;
    let done = "completed";
    assert_eq!(turns(&kept), [(0, done), (1, done), (2, done)]);
    assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
}
