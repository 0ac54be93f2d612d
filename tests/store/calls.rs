//! Calls, turn by turn, and what is left of them when the process is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;
use tieline::store::{NewCall, Store, StoreError, ToolRun, Turn};

use crate::fresh::{Fresh, count, database, on_both};

on_both! {
    a_call_is_kept_with_its_turns_and_tools
    a_call_must_have_begun
    turns_of_several_calls_at_once_are_all_kept
    turns_outlive_a_store_that_was_not_closed
    turns_outlive_a_process_that_was_killed
    recent_calls_come_newest_first
}

fn call(sid: &str) -> NewCall {
    NewCall {
        call_sid: sid.to_owned(),
        from: Some("+12125550101".to_owned()),
        to: None,
        agent: "front-desk".to_owned(),
    }
}

fn turn(number: u32, heard: &str) -> Turn {
    Turn {
        number,
        said: "What's \"it\" cost?\n¿Cuánto?".to_owned(),
        heard: heard.to_owned(),
        outcome: "answered".to_owned(),
        ledger: json!({ "voice_to_voice_ms": 512.5, "odd": "a\u{0}b", "stt_ms": null }),
    }
}

async fn a_call_is_kept_with_its_turns_and_tools(fresh: Fresh) {
    let store = fresh.open().await;
    assert_eq!(store.begin_call(&call("CA1")).await.expect("begun"), 0);
    let mut again = call("CA1");
    again.agent = "another".to_owned();
    assert_eq!(store.begin_call(&again).await.expect("goes on"), 0);
    for (number, heard) in [(2, ""), (1, "Fifty"), (1, "Fifty dollars."), (1, "Fifty dollars.")] {
        store.save_turn("CA1", &turn(number, heard)).await.expect("saved");
    }
    let run = ToolRun {
        turn: 4,
        tool: "lookup_customer".to_owned(),
        args: json!({ "phone": "+12125550101" }),
        outcome: "found".to_owned(),
        duration_ms: 12,
    };
    store.save_tool_run("CA1", &run).await.expect("saved");
    store.end_call("CA1", "caller hung up").await.expect("ended");
    store.end_call("CA1", "lost").await.expect("ended already");
    let recorded = store.call("CA1").await.expect("answered").expect("there");
    assert!(recorded.turns == [turn(1, "Fifty dollars."), turn(2, "")]);
    assert!(recorded.tool_runs == [run.clone()]);
    let call = recorded.call;
    assert!(call.agent == "front-desk" && call.from.as_deref() == Some("+12125550101") && call.to.is_none());
    assert_eq!(call.outcome.as_deref(), Some("caller hung up"));
    assert!(call.ended_at.is_some_and(|ended| ended >= call.started_at));
    assert!(call.started_at.to_string().starts_with("20"), "{}", call.started_at);
    let free = store.begin_call(&again).await.expect("goes on");
    assert_eq!(free, 5, "the turn of the tool may still come");
    store
        .save_tool_run("CA1", &ToolRun { turn: 5, ..run })
        .await
        .expect("saved");
    let free = store.begin_call(&again).await.expect("goes on");
    assert_eq!(free, 6, "and after a turn of which only a tool's run is kept");
    again.call_sid = "CA2".to_owned();
    assert_eq!(store.begin_call(&again).await.expect("begun"), 0);
    let on = store.call("CA1").await.expect("answered").expect("there").call;
    assert!(
        on.outcome.is_none() && on.ended_at.is_none(),
        "a caller who is back has not ended the call"
    );
    assert!(store.call("CA3").await.expect("answered").is_none());
}

async fn a_call_must_have_begun(fresh: Fresh) {
    let store = fresh.open().await;
    assert!(matches!(
        store.save_turn("CA1", &turn(1, "")).await,
        Err(StoreError::UnknownCall)
    ));
    assert!(matches!(
        store.end_call("CA1", "lost").await,
        Err(StoreError::UnknownCall)
    ));
    let bad = Turn {
        said: "a\0b".to_owned(),
        ..turn(1, "")
    };
    assert!(matches!(
        store.save_turn("CA1", &bad).await,
        Err(StoreError::BadText { field: "said" })
    ));
}

async fn turns_of_several_calls_at_once_are_all_kept(fresh: Fresh) {
    let store = fresh.open().await;
    let calls = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let sid = format!("CA{n}");
            store.begin_call(&call(&sid)).await?;
            for number in 1..=5 {
                store.save_turn(&sid, &turn(number, "yes")).await?;
            }
            store.end_call(&sid, "done").await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("saved");
    }
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM turns").await, 60);
}

async fn turns_outlive_a_store_that_was_not_closed(fresh: Fresh) {
    let store = fresh.open().await;
    store.begin_call(&call("CA1")).await.expect("begun");
    store.save_turn("CA1", &turn(1, "yes")).await.expect("saved");
    drop(store);
    let recorded = fresh.open().await.call("CA1").await.expect("answered").expect("there");
    assert!(recorded.turns == [turn(1, "yes")]);
}

/// The child is this binary again, running [`saves_turns_until_killed`].
async fn turns_outlive_a_process_that_was_killed(fresh: Fresh) {
    fresh.open().await.close().await;
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "calls::saves_turns_until_killed", "--ignored", "--nocapture"])
        .env(CHILD, &fresh.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this binary starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let saved = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(SAVED)?.parse::<u32>().ok());
    let last = saved.take(25).last().expect("saved turns");
    // SIGKILL, in the middle of whatever it does.
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let recorded = fresh.open().await.call("CA1").await.expect("answered").expect("there");
    assert_eq!(last, 25);
    let numbers: Vec<u32> = recorded.turns.iter().map(|turn| turn.number).collect();
    assert!(
        numbers.len() >= 25 && numbers.iter().copied().eq(1..=numbers.len() as u32),
        "{numbers:?}"
    );
}

#[tokio::test]
#[ignore = "run by turns_outlive_a_process_that_was_killed, which kills it"]
async fn saves_turns_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a parent tells its child")]
    let Ok(url) = std::env::var(CHILD) else { return };
    let store = Store::open(&database(&url, true)).await.expect("usable");
    store.begin_call(&call("CA1")).await.expect("begun");
    for number in 1..100_000 {
        store.save_turn("CA1", &turn(number, "yes")).await.expect("saved");
        println!("\n{SAVED}{number}");
    }
}

async fn recent_calls_come_newest_first(fresh: Fresh) {
    let store = fresh.open().await;
    for n in 0..5 {
        store.begin_call(&call(&format!("CA{n}"))).await.expect("begun");
    }
    let raw = fresh.raw().await;
    sqlx::query("UPDATE calls SET started_at_ms = started_at_ms + 60000 WHERE call_sid = 'CA3'")
        .execute(&raw)
        .await
        .expect("changed");
    let recent = store.recent_calls(2).await.expect("listed");
    assert!(recent.len() == 2 && recent[0].call_sid == "CA3");
}

const CHILD: &str = "TIELINE_TEST_CHILD_DATABASE";
const SAVED: &str = "saved turn ";
