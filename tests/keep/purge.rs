//! What is old is deleted, once, by one server, with proof; whoever is killed meanwhile is followed by another.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tieline::retention::{Purge, Purged};
use tieline::store::{Because, Class, Item, NewCall, Record, Who, recording_key};

use crate::fresh::{Fresh, count, found_in, on_both};
use crate::site::{Site, TEST};

on_both! {
    what_is_old_is_deleted_with_proof
    what_was_said_goes_before_the_call
    a_recording_goes_before_what_was_said
    one_server_purges_at_a_time
    a_purge_that_was_killed_goes_on
    files_of_deleted_messages_are_not_forgotten
    what_another_server_has_deleted_goes_here_too
    a_server_purges_by_itself
}

const NONE: Purged = Purged { gone: 0, held: 0 };

async fn what_is_old_is_deleted_with_proof(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.age("calls", "call_sid", "CA1", 2_193).await;
    site.age("voicemails", "id", "b2", 367).await;
    let wrapped: String = sqlx::query_scalar("SELECT wrapped FROM data_keys WHERE id = 'call/CA1'")
        .fetch_one(&site.fresh.raw().await)
        .await
        .expect("a key");
    let shown = site.tieline(&["data", "purge", "--dry-run"]).ok();
    assert_eq!(
        shown,
        "recordings, kept for 90d: 1 would be deleted, 0 on hold\ntranscripts, kept for 2192d: 1 would be deleted, 0 on hold\n\
         calls, kept for 2192d: 1 would be deleted, 0 on hold\nvoicemails, kept for 366d: 1 would be deleted, 0 on hold\n"
    );
    assert!(
        site.recording("CA1").exists() && site.voicemail("b2").exists(),
        "nothing was deleted"
    );
    let said = site.tieline(&["data", "purge"]).ok();
    for told in [
        "recordings: 1 deleted for good",
        "transcripts: 1 deleted for good",
        "calls: 1 deleted for good",
        "voicemails: 1 deleted for good, 0 on hold",
        "audit: 0 deleted",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!site.recording("CA1").exists() && !site.voicemail("b2").exists());
    assert!(site.recording("CA2").exists() && site.voicemail("a1").exists());
    assert!(
        site.store.call("CA1").await.expect("answered").is_none(),
        "its row is gone"
    );
    assert!(site.store.voicemail("b2").await.expect("answered").is_none());
    assert_eq!(
        site.store
            .call("CA2")
            .await
            .expect("answered")
            .expect("there")
            .turns
            .len(),
        3
    );
    for record in [Record::Call("CA1"), Record::Voicemail("b2")] {
        assert!(site.store.deleted_at(record).await.expect("answered").is_some());
    }
    for (subject, detail) in [
        ("call/CA1", "transcripts, kept for 2192d"),
        ("recording/CA1", "recordings, kept for 90d"),
        ("voicemail/b2", "voicemails, kept for 366d"),
    ] {
        let proof = site.proof(subject).await.expect("proof");
        assert_eq!((proof.action.as_str(), proof.detail.as_str()), ("purge", detail));
    }
    let parts: Vec<&str> = (0..=4).map(|part| &wrapped[10 + part * 16..26 + part * 16]).collect();
    assert_eq!(found_in(&site.fresh.everything().await, &parts), Vec::<&str>::new());
    let list = std::fs::read_to_string(site.data().join("shredded.list")).expect("a list");
    let recording = recording_key(site.part("CA1"));
    for id in ["call/CA1", "voicemail/b2", &recording] {
        assert!(list.contains(id), "{list}");
    }
    site.is_whole().await;
    let events = site.store.audit_events(1_000).await.expect("listed").len();
    let again = site.keeper(&[]).purge(TEST, &mut |_, _| {}).await.expect("done");
    assert_eq!(again, Purge::Done(Class::ALL.map(|class| (class, NONE)).to_vec()));
    assert_eq!(
        site.store.audit_events(1_000).await.expect("listed").len(),
        events,
        "nothing to prove"
    );
    let new = NewCall {
        call_sid: "CA1".to_owned(),
        agent: "front-desk".to_owned(),
        ..NewCall::default()
    };
    site.store
        .begin_call(&new)
        .await
        .expect("a carrier that uses an id twice is no failure");
    let dead = site.store.dead_keys().await.expect("listed");
    assert!(dead.iter().any(|dead| dead.id == "call/CA1" && dead.generation == 1));
}

async fn what_was_said_goes_before_the_call(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let rules = [
        ("RETAIN_TRANSCRIPTS", "30d"),
        ("RETAIN_RECORDINGS", "30d"),
        ("RETAIN_VOICEMAILS", "forever"),
        ("RETAIN_AUDIT", "forever"),
    ];
    site.age("calls", "call_sid", "CA1", 31).await;
    site.age("voicemails", "id", "b2", 30_000).await;
    let done = site.keeper(&rules).purge(TEST, &mut |_, _| {}).await.expect("done");
    let Purge::Done(done) = done else { panic!("alone") };
    let gone: Vec<u64> = done.iter().map(|(_, purged)| purged.gone).collect();
    assert_eq!(gone, [1, 1, 0, 0]);
    let left = site.store.call("CA1").await.expect("answered").expect("a row");
    assert!(left.call.shredded && left.call.from.is_none() && left.turns.is_empty());
    assert_eq!(
        (left.call.agent.as_str(), left.call.outcome.as_deref()),
        ("front-desk", Some("goodbye"))
    );
    let raw = site.fresh.raw().await;
    assert_eq!(
        count(&raw, "SELECT count(*) FROM turns WHERE call_sid = 'CA1'").await,
        0
    );
    assert_eq!(
        count(&raw, "SELECT count(*) FROM calls WHERE from_hash IS NULL").await,
        1
    );
    assert_eq!(
        count(&raw, "SELECT count(*) FROM call_subjects WHERE call_sid = 'CA2'").await,
        1
    );
    assert_eq!(
        count(&raw, "SELECT count(*) FROM call_subjects WHERE call_sid = 'CA1'").await,
        0
    );
    assert!(
        site.store.voicemail("b2").await.expect("answered").is_some(),
        "for ever"
    );
    site.is_whole().await;
}

async fn a_recording_goes_before_what_was_said(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.age("calls", "call_sid", "CA1", 91).await;
    let done = site.keeper(&[]).purge(TEST, &mut |_, _| {}).await.expect("done");
    let Purge::Done(done) = done else { panic!("alone") };
    assert_eq!(
        done.iter().map(|(_, purged)| purged.gone).collect::<Vec<_>>(),
        [1, 0, 0, 0]
    );
    assert!(!site.recording("CA1").exists() && site.recording("CA2").exists());
    assert_eq!(
        site.store
            .call("CA1")
            .await
            .expect("answered")
            .expect("there")
            .turns
            .len(),
        3
    );
    assert!(site.proof("recording/CA1").await.is_some() && site.proof("call/CA1").await.is_none());
}

async fn one_server_purges_at_a_time(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.age("calls", "call_sid", "CA1", 3_000).await;
    assert_eq!(site.store.take_lease("purge", "other").await.expect("answered"), None);
    let refused = site.tieline(&["data", "purge"]).refused();
    assert!(refused.contains("another server is purging this database"), "{refused}");
    assert!(site.store.call("CA1").await.expect("answered").is_some());
    site.store.end_lease("purge", "somebody else").await.expect("answered");
    assert!(
        site.store
            .take_lease("purge", "third")
            .await
            .expect("answered")
            .is_some(),
        "it is not theirs to end"
    );
    // It has died long ago.
    site.run("UPDATE leases SET until_ms = 1").await;
    site.tieline(&["data", "purge"]).ok();
    assert!(site.store.call("CA1").await.expect("answered").is_none());
    assert_eq!(
        site.store.take_lease("purge", "other").await.expect("answered"),
        None,
        "it was given back"
    );
}

async fn a_purge_that_was_killed_goes_on(fresh: Fresh) {
    let site = Site::new(fresh).await;
    for number in 0..CALLS {
        let new = NewCall {
            call_sid: format!("CB{number:04}"),
            from: Some("+12125550188".to_owned()),
            to: None,
            agent: "front-desk".to_owned(),
        };
        site.store.begin_call(&new).await.expect("begun");
    }
    site.run("UPDATE calls SET started_at_ms = 1000 WHERE call_sid LIKE 'CB%'")
        .await;
    let mut command = site.command(&["data", "purge"], &[]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let part = lines
        .map_while(Result::ok)
        .find(|line| line == "transcripts: 25 deleted");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(part.is_some(), "a part is done");
    let raw = site.fresh.raw().await;
    let left = "SELECT count(*) FROM data_keys WHERE id LIKE 'call/CB%' AND wrapped IS NOT NULL";
    let (left_then, proofs) = (count(&raw, left).await, PROOFS);
    assert!(left_then > 0 && left_then <= CALLS - 25, "{left_then} are left");
    let proved = count(&raw, proofs).await;
    assert_eq!(proved, CALLS - left_then, "what is deleted is proved, and nothing else");
    site.is_whole().await;
    site.run("UPDATE leases SET until_ms = 1").await;
    site.tieline(&["data", "purge"]).ok();
    assert_eq!(count(&raw, left).await, 0);
    assert_eq!(
        count(&raw, "SELECT count(*) FROM calls WHERE call_sid LIKE 'CB%'").await,
        0
    );
    let list = std::fs::read_to_string(site.data().join("shredded.list")).expect("a list");
    assert_eq!(
        list.matches("call/CB").count() as i64,
        CALLS,
        "those of the one that was killed, too"
    );
    site.is_whole().await;
}

/// Enough for many parts.
const CALLS: i64 = 400;
const PROOFS: &str = "SELECT count(*) FROM audit_events WHERE subject LIKE 'call/CB%' AND outcome = 'deleted' AND detail LIKE 'transcripts%'";

async fn files_of_deleted_messages_are_not_forgotten(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let because = Because {
        who: Who {
            actor: "test",
            origin: "",
        },
        action: "purge",
        detail: "killed before the file was removed",
    };
    site.store
        .retire(&[Item::Voicemail("a1".to_owned())], because)
        .await
        .expect("done");
    assert!(site.voicemail("a1").exists());
    site.is_whole().await;
    site.keeper(&[]).purge(TEST, &mut |_, _| {}).await.expect("done");
    assert!(!site.voicemail("a1").exists() && site.voicemail("b2").exists());
    assert_eq!(
        count(&site.fresh.raw().await, "SELECT count(*) FROM voicemails").await,
        1
    );
}

async fn what_another_server_has_deleted_goes_here_too(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let files = [site.voicemail("a1"), site.recording("CA1")].map(|path| (std::fs::read(&path).expect("a file"), path));
    site.tieline(&["data", "delete", "--caller", "+12125550188", "--yes"])
        .ok();
    // On the other server's disk they are still.
    for (bytes, path) in &files {
        std::fs::write(path, bytes).expect("written");
    }
    site.keeper(&[]).purge(TEST, &mut |_, _| {}).await.expect("done");
    assert!(files.iter().all(|(_, path)| !path.exists()));
}

async fn a_server_purges_by_itself(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.age("calls", "call_sid", "CA1", 3_000).await;
    let list = site.data().join("shredded.list");
    let running = tokio::spawn(site.keeper(&[]).run());
    let purged = async {
        while !std::fs::read_to_string(&list).is_ok_and(|list| list.contains("call/CA1")) {
            // Each question gives the purge its turn.
            site.store.now().await.expect("answered");
        }
    };
    let within = std::time::Duration::from_secs(60);
    tokio::time::timeout(within, purged)
        .await
        .expect("it purges at its start");
    running.abort();
    assert!(site.store.call("CA1").await.expect("answered").is_none());
    let proof = site.proof("call/CA1").await.expect("proof");
    assert_eq!(proof.actor, "retention");
}

/// Who waits for the lock of a table to vacuum it.
async fn vacuuming(raw: &sqlx::AnyPool, statement: &str) -> i32 {
    let question = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = $1 AND wait_event_type = 'Lock'";
    let found = async {
        loop {
            let pid = sqlx::query_scalar(question).bind(statement).fetch_optional(raw).await;
            if let Some(pid) = pid.expect("answered") {
                return pid;
            }
        }
    };
    let within = std::time::Duration::from_secs(60);
    tokio::time::timeout(within, found).await.expect("it comes to it")
}

/// The connection that vacuums all other tables has no time limit.
#[tokio::test]
async fn the_table_of_keys_may_take_as_long_as_the_others_and_the_list_does_not_wait() {
    let site = Site::new(Fresh::postgres().await).await;
    site.age("calls", "call_sid", "CA1", 3_000).await;
    let raw = site.fresh.raw().await;
    let locked = async |statement: &'static str| {
        let mut transaction = raw.begin().await.expect("begun");
        sqlx::query(statement).execute(&mut *transaction).await.expect("locked");
        transaction
    };
    let turns = locked("LOCK TABLE turns IN SHARE UPDATE EXCLUSIVE MODE").await;
    let keys = locked("LOCK TABLE data_keys IN SHARE UPDATE EXCLUSIVE MODE").await;
    let keeper = site.keeper(&[]);
    let purging = tokio::spawn(async move { keeper.purge(TEST, &mut |_, _| {}).await });
    let without_limit = vacuuming(&raw, "VACUUM turns").await;
    let list = std::fs::read_to_string(site.data().join("shredded.list")).expect("a list");
    assert!(list.contains("call/CA1"), "{list}");
    turns.rollback().await.expect("unlocked");
    assert_eq!(vacuuming(&raw, "VACUUM data_keys").await, without_limit);
    keys.rollback().await.expect("unlocked");
    let purged = purging.await.expect("no panic").expect("done");
    assert!(matches!(purged, Purge::Done(_)));
}
