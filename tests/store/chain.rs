//! The audit trail is a chain: what was done to it is found, whoever writes it.

use std::process::{Command, Stdio};

use sqlx::{AnyPool, AssertSqlSafe};
use tieline::privacy::egress::{Egress, Origin, Policy, Purpose};
use tieline::store::{Anchor, AuditEvent, Start, Store, StoreError};

use crate::fresh::{Fresh, KEK, bytes_below, count, found_in, on_both};
use crate::plain::tables_before;

on_both! {
    each_column_that_is_changed_is_named
    what_is_removed_moved_or_put_in_is_named
    an_end_that_is_cut_off_is_found
    the_trail_put_back_to_an_earlier_state_is_found_by_an_anchor
    nobody_changes_it_by_mistake
    writers_of_several_processes_make_one_chain
    a_writer_that_is_killed_leaves_a_whole_chain
    events_of_an_earlier_version_are_chained_and_purged
    what_does_not_verify_is_not_purged
    nothing_is_added_behind_a_mark_that_is_not_ours
    changed_settings_are_named_and_not_shown
    anchors_are_added_to_a_file
    refused_connections_are_written_down
}

async fn write(store: &Store, events: usize) {
    for n in 0..events {
        let event = AuditEvent {
            actor: "crm (0123)",
            action: "api-read",
            subject: &format!("CA{n}"),
            outcome: "allowed",
            detail: "call",
            origin: "192.0.2.1",
        };
        store.audit(&event).await.expect("written");
    }
}

async fn faults(store: &Store) -> Vec<String> {
    store.verify_audit(None).await.expect("readable").faults
}

async fn tamper(raw: &AnyPool, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned()))
        .execute(raw)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The database as one that may drop triggers has it.
async fn unguarded(fresh: &Fresh) -> AnyPool {
    let raw = fresh.raw().await;
    for trigger in [
        "audit_events_stay",
        "audit_events_kept",
        "audit_marks_forward",
        "audit_marks_kept",
    ] {
        let table = trigger.rsplit_once('_').map(|(table, _)| table).expect("a table");
        let on = if fresh.dir().is_some() {
            String::new()
        } else {
            format!(" ON {table}")
        };
        tamper(&raw, &format!("DROP TRIGGER {trigger}{on}")).await;
    }
    raw
}

/// A trail of six events, open to everybody.
async fn six(fresh: &Fresh) -> (Store, AnyPool) {
    let store = fresh.open().await;
    write(&store, 6).await;
    assert_eq!(faults(&store).await, Vec::<String>::new());
    (store, unguarded(fresh).await)
}

const ALTERED: &str = "audit event 3 was altered, or put there by somebody else";

async fn each_column_that_is_changed_is_named(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "CREATE TABLE kept AS SELECT * FROM audit_events").await;
    let columns = [
        "actor", "action", "subject", "outcome", "detail", "origin", "previous", "mac",
    ];
    let mut changes: Vec<String> = columns
        .iter()
        .map(|column| format!("{column} = {column} || 'x'"))
        .collect();
    changes.extend(columns.iter().map(|column| format!("{column} = ''")));
    changes.push("at_ms = at_ms + 1".to_owned());
    // From the end of one field to the beginning of the next.
    changes.push("actor = actor || 'a', action = 'pi-read'".to_owned());
    // The proofs of another event.
    changes.push("mac = (SELECT mac FROM kept WHERE seq = 4)".to_owned());
    for change in changes {
        tamper(&raw, &format!("UPDATE audit_events SET {change} WHERE seq = 3")).await;
        assert_eq!(faults(&store).await, [ALTERED], "{change}");
        for statement in [
            "DELETE FROM audit_events",
            "INSERT INTO audit_events SELECT * FROM kept",
        ] {
            tamper(&raw, statement).await;
        }
        assert_eq!(faults(&store).await, Vec::<String>::new());
    }
    tamper(&raw, "UPDATE audit_events SET seq = 9 WHERE seq = 3").await;
    assert_eq!(
        faults(&store).await,
        [
            "audit event 3 is missing",
            "audit events 7 to 8 are missing",
            "audit event 9 was altered, or put there by somebody else",
            "audit events 7 to 9 are behind the end of the trail"
        ]
    );
}

async fn what_is_removed_moved_or_put_in_is_named(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "CREATE TABLE kept AS SELECT * FROM audit_events").await;
    let missing = |what: &str| vec![format!("audit {what}")];
    let altered = |seq: u32| format!("audit event {seq} was altered, or put there by somebody else");
    let swap = [
        "UPDATE audit_events SET seq = 100 WHERE seq = 2",
        "UPDATE audit_events SET seq = 2 WHERE seq = 5",
        "UPDATE audit_events SET seq = 5 WHERE seq = 100",
    ];
    let forged = "INSERT INTO audit_events SELECT 7, at_ms, actor, action, subject, outcome, detail, origin, mac, mac FROM kept WHERE seq = 6";
    let instead = [
        "DELETE FROM audit_events WHERE seq = 4",
        "INSERT INTO audit_events SELECT 4, at_ms, actor, action, subject, outcome, detail, origin, previous, mac FROM kept WHERE seq = 1",
    ];
    let before = "INSERT INTO audit_events SELECT 0, at_ms, actor, action, subject, outcome, detail, origin, previous, mac FROM kept WHERE seq = 1";
    let cases: [(&[&str], Vec<String>); 7] = [
        (
            &["DELETE FROM audit_events WHERE seq = 1"],
            missing("event 1 is missing"),
        ),
        (
            &["DELETE FROM audit_events WHERE seq = 4"],
            missing("event 4 is missing"),
        ),
        (
            &["DELETE FROM audit_events WHERE seq IN (2, 3, 4)"],
            missing("events 2 to 4 are missing"),
        ),
        (&swap, vec![altered(2), altered(5)]),
        (
            &[forged],
            vec![
                altered(7),
                "audit events 7 to 7 are behind the end of the trail".to_owned(),
            ],
        ),
        (&instead, vec![altered(4)]),
        (
            &[before],
            vec!["1 audit events are numbered 0 or lower, before the beginning of the trail".to_owned()],
        ),
    ];
    for (statements, expected) in cases {
        for statement in statements {
            tamper(&raw, statement).await;
        }
        assert_eq!(faults(&store).await, expected, "{statements:?}");
        for statement in [
            "DELETE FROM audit_events",
            "INSERT INTO audit_events SELECT * FROM kept",
        ] {
            tamper(&raw, statement).await;
        }
        assert_eq!(faults(&store).await, Vec::<String>::new());
    }
}

async fn an_end_that_is_cut_off_is_found(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "CREATE TABLE kept AS SELECT * FROM audit_marks").await;
    tamper(&raw, "DELETE FROM audit_events WHERE seq = 6").await;
    assert_eq!(faults(&store).await, ["audit event 6 is missing"]);
    tamper(&raw, "DELETE FROM audit_events WHERE seq > 3").await;
    assert_eq!(faults(&store).await, ["audit events 4 to 6 are missing"]);
    // With a head that fits, for which the key would be needed.
    tamper(
        &raw,
        "UPDATE audit_marks SET seq = 3, mac = (SELECT mac FROM audit_events WHERE seq = 3) WHERE name = 'head'",
    )
    .await;
    let head = "audit_marks: the row head was altered, or belongs to another record";
    assert_eq!(faults(&store).await, [head]);
    tamper(&raw, "DELETE FROM audit_marks").await;
    assert_eq!(
        faults(&store).await,
        [
            "audit_marks: the row head is missing; was it deleted by hand?",
            "audit events 1 to 3 are behind the end of the trail"
        ]
    );
    // A checkpoint that hides what is gone.
    tamper(&raw, "INSERT INTO audit_marks SELECT * FROM kept").await;
    tamper(&raw, "DELETE FROM audit_events WHERE seq < 3").await;
    tamper(
        &raw,
        "INSERT INTO audit_marks SELECT 'checkpoint', seq, mac, seal FROM kept",
    )
    .await;
    let found = faults(&store).await;
    assert_eq!(
        found[0],
        "audit_marks: the row checkpoint was altered, or belongs to another record"
    );
    assert_eq!(found[1], "audit events 1 to 2 are missing");
}

async fn the_trail_put_back_to_an_earlier_state_is_found_by_an_anchor(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "CREATE TABLE kept AS SELECT * FROM audit_marks").await;
    let early = store.audit_head().await.expect("a head");
    write(&store, 2).await;
    let late = store.audit_head().await.expect("a head");
    assert_eq!((early.seq, late.seq), (6, 8));
    for anchor in [&Anchor::start(), &early, &late] {
        let found = store.verify_audit(Some(anchor)).await.expect("readable");
        assert_eq!((found.faults, found.events), (Vec::new(), 8));
        assert_eq!(found.head.as_ref(), Some(&late));
    }
    for statement in [
        "DELETE FROM audit_events WHERE seq > 6",
        "DELETE FROM audit_marks",
        "INSERT INTO audit_marks SELECT * FROM kept",
    ] {
        tamper(&raw, statement).await;
    }
    assert_eq!(faults(&store).await, Vec::<String>::new(), "it was like that once");
    let found = store.verify_audit(Some(&late)).await.expect("readable");
    assert_eq!(
        found.faults,
        ["the trail ends at event 6, and it was anchored at 8: its end was cut off, or an older state was put back"]
    );
    // And when it has grown again.
    write(&store, 3).await;
    assert_eq!(faults(&store).await, Vec::<String>::new());
    let found = store.verify_audit(Some(&late)).await.expect("readable");
    assert_eq!(found.faults, ["audit event 8 is not the one that was anchored"]);
    // Two courses of one trail do not fit together.
    tamper(&raw, "UPDATE audit_events SET previous = previous || '' WHERE seq = 1").await;
    assert_eq!(
        store.verify_audit(Some(&early)).await.expect("readable").faults,
        Vec::<String>::new()
    );
}

async fn nobody_changes_it_by_mistake(fresh: Fresh) {
    let store = fresh.open().await;
    write(&store, 3).await;
    let raw = fresh.raw().await;
    for statement in [
        "UPDATE audit_events SET detail = ''",
        "UPDATE audit_events SET detail = '' WHERE seq = 2",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE seq = 3",
        "DELETE FROM audit_marks",
        "UPDATE audit_marks SET seq = 1",
    ] {
        let refused = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&raw).await;
        assert!(refused.is_err(), "{statement}");
    }
    if fresh.dir().is_none() {
        assert!(sqlx::query("TRUNCATE audit_events").execute(&raw).await.is_err());
    }
    assert_eq!(count(&raw, "SELECT count(*) FROM audit_events").await, 3);
    assert_eq!(faults(&store).await, Vec::<String>::new());
}

async fn writers_of_several_processes_make_one_chain(fresh: Fresh) {
    let mut writing = Vec::new();
    let stores = [
        fresh.open().await,
        fresh.open().await,
        fresh.open().await,
        fresh.open().await,
    ];
    for store in &stores {
        for task in 0..8 {
            let store = store.clone();
            writing.push(tokio::spawn(async move {
                if task % 2 == 0 {
                    write(&store, 4).await;
                } else {
                    for n in 0..4 {
                        let event = AuditEvent {
                            actor: "agent",
                            action: "sms",
                            subject: "",
                            outcome: "counted",
                            detail: &n.to_string(),
                            origin: "call",
                        };
                        assert!(store.audit_within(&event, 1_000).await.expect("counted"));
                    }
                }
            }));
        }
    }
    // Whoever looks meanwhile finds it whole, too.
    while writing.iter().any(|task| !task.is_finished()) {
        assert_eq!(faults(&stores[0]).await, Vec::<String>::new());
    }
    for task in writing {
        task.await.expect("no panic");
    }
    let found = stores[1].verify_audit(None).await.expect("readable");
    assert_eq!((found.faults, found.events), (Vec::new(), 128));
    assert_eq!(found.head.map(|head| head.seq), Some(128));
}

async fn a_writer_that_is_killed_leaves_a_whole_chain(fresh: Fresh) {
    let store = fresh.open().await;
    let mut written = 0;
    for _ in 0..3 {
        let mut writer = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "chain::writes_until_it_is_killed", "--ignored"])
            .env("AUDITED_DATABASE", &fresh.url)
            .env("KEK", KEK)
            .stdout(Stdio::null())
            .spawn()
            .expect("this program again");
        let more = async {
            loop {
                let head = store.audit_head().await.expect("a head").seq;
                if head > written + 20 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let wrote = tokio::time::timeout(std::time::Duration::from_secs(60), more).await;
        writer.kill().expect("killed");
        writer.wait().expect("it is gone");
        wrote.expect("it writes");
        let found = store.verify_audit(None).await.expect("readable");
        assert_eq!(found.faults, Vec::<String>::new());
        written = found.head.expect("a head").seq;
    }
    write(&store, 2).await;
    assert_eq!(faults(&store).await, Vec::<String>::new());
}

#[tokio::test]
#[ignore = "run by a_writer_that_is_killed_leaves_a_whole_chain, as a process of its own"]
async fn writes_until_it_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "which database, from the parent")]
    let Ok(url) = std::env::var("AUDITED_DATABASE") else {
        return;
    };
    let store = Store::open(&crate::fresh::database(&url, true)).await.expect("usable");
    let writing = (0..4).map(|_| write(&store, usize::MAX));
    futures_util::future::join_all(writing).await;
}

async fn events_of_an_earlier_version_are_chained_and_purged(fresh: Fresh) {
    let raw = tables_before("0008", &fresh).await;
    for n in 1..=3 {
        tamper(
            &raw,
            &format!(
                "INSERT INTO audit_events (at_ms, actor, action, subject, outcome, detail) VALUES ({n}000, 'agent', 'sms', 'CA{n}', 'sent', '*23')"
            ),
        )
        .await;
    }
    raw.close().await;
    let opening = (0..3).map(|_| {
        let database = fresh.database(true);
        tokio::spawn(async move { Store::open(&database).await.expect("usable") })
    });
    let stores = futures_util::future::join_all(opening).await;
    let store = stores.into_iter().next_back().expect("one").expect("no panic");
    let events = store.audit_events(10).await.expect("listed");
    let acts: Vec<(i64, &str, &str)> = events
        .iter()
        .map(|event| (event.seq, event.action.as_str(), event.subject.as_str()))
        .collect();
    assert_eq!(
        acts,
        [
            (4, "audit-chained", ""),
            (3, "sms", "CA3"),
            (2, "sms", "CA2"),
            (1, "sms", "CA1")
        ]
    );
    assert!(events[3].at.as_millisecond() == 1000 && events[3].detail == "*23");
    let early = Anchor {
        seq: 2,
        mac: events[2].mac.clone(),
    };
    let purged_through = Anchor {
        seq: 3,
        mac: events[1].mac.clone(),
    };
    write(&store, 2).await;
    let day = std::time::Duration::from_secs(86_400);
    let purged = store.purge_audit(day).await.expect("purged").expect("some");
    assert_eq!((purged.events, &purged.through), (3, &purged_through));
    assert_eq!(store.purge_audit(day).await.expect("purged"), None);
    let events = store.audit_events(10).await.expect("listed");
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [7, 6, 5, 4]);
    assert_eq!(
        (events[0].action.as_str(), events[0].detail.as_str()),
        ("audit-purged", format!("3 events through {purged_through}").as_str())
    );
    let found = store.verify_audit(Some(&purged_through)).await.expect("readable");
    assert_eq!(
        (found.faults, found.events, found.purged),
        (Vec::new(), 4, Some(purged_through.clone()))
    );
    let found = store.verify_audit(Some(&early)).await.expect("readable").faults;
    assert_eq!(
        found,
        ["the anchor cannot be checked: events were purged from 2 through 3 since; use a later one"]
    );
    let other = Anchor { seq: 3, ..early };
    let found = store.verify_audit(Some(&other)).await.expect("readable").faults;
    assert_eq!(found, ["the trail through event 3 is not the one that was anchored"]);
    // What lies behind the checkpoint may go, and nothing else.
    let raw = fresh.raw().await;
    assert!(
        sqlx::query("DELETE FROM audit_events WHERE seq = 4")
            .execute(&raw)
            .await
            .is_err()
    );
    let raw = unguarded(&fresh).await;
    tamper(&raw, "DELETE FROM audit_events WHERE seq = 4").await;
    assert_eq!(faults(&store).await, ["audit event 4 is missing"]);
}

async fn what_does_not_verify_is_not_purged(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "UPDATE audit_events SET detail = 'nothing' WHERE seq = 2").await;
    // All of them are older than nothing, as soon as the clock has gone on.
    let refused = loop {
        match store.purge_audit(std::time::Duration::ZERO).await {
            Ok(None) => tokio::task::yield_now().await,
            done => break done,
        }
    };
    let told = refused.expect_err("it was altered").to_string();
    assert!(told.contains("audit event 2 was altered"), "{told}");
    assert_eq!(count(&raw, "SELECT count(*) FROM audit_events").await, 6);
}

async fn nothing_is_added_behind_a_mark_that_is_not_ours(fresh: Fresh) {
    let (store, raw) = six(&fresh).await;
    tamper(&raw, "UPDATE audit_marks SET seq = 5 WHERE name = 'head'").await;
    let event = AuditEvent {
        actor: "agent",
        action: "sms",
        subject: "",
        outcome: "counted",
        detail: "",
        origin: "call",
    };
    assert!(matches!(store.audit(&event).await, Err(StoreError::Altered { .. })));
    assert!(matches!(
        store.audit_within(&event, 9).await,
        Err(StoreError::Altered { .. })
    ));
    tamper(&raw, "DELETE FROM audit_marks").await;
    assert!(matches!(store.audit(&event).await, Err(StoreError::Missing { .. })));
    // Opening it again makes no new trail either.
    assert!(matches!(
        fresh.open().await.audit(&event).await,
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(count(&raw, "SELECT count(*) FROM audit_events").await, 6);
    // Until somebody says that it shall go on.
    for fault in ["is missing", "was altered"] {
        let mended = store.mend_audit("ann (command line)", "here").await.expect("mended");
        let mended = mended.expect("a head");
        let last = store.audit_events(1).await.expect("listed").remove(0);
        assert_eq!(
            (last.seq, last.action.as_str(), &last.mac),
            (mended.seq, "audit-mended", &mended.mac)
        );
        assert!(last.detail.contains(fault), "{}", last.detail);
        store.audit(&event).await.expect("written");
        assert_eq!(faults(&store).await, Vec::<String>::new());
        assert_eq!(store.mend_audit("ann", "here").await.expect("answered"), None);
        tamper(&raw, "UPDATE audit_marks SET seq = 4000 WHERE name = 'head'").await;
    }
    // Where triggers are as they were made, too.
    let guarded = match fresh.dir() {
        Some(_) => Fresh::sqlite(),
        None => Fresh::postgres().await,
    };
    let store = guarded.open().await;
    write(&store, 2).await;
    let raw = guarded.raw().await;
    tamper(&raw, "UPDATE audit_marks SET seq = 4000").await;
    assert!(store.mend_audit("ann", "here").await.expect("mended").is_some());
    assert_eq!(faults(&store).await, Vec::<String>::new());
}

async fn anchors_are_added_to_a_file(fresh: Fresh) {
    let store = fresh.open().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("anchors.txt");
    for _ in 0..3 {
        write(&store, 2).await;
        store.keep_anchor(&file).await.expect("written");
    }
    let text = std::fs::read_to_string(&file).expect("a file");
    let anchors = text
        .lines()
        .map(|line| line.split_once(' ').expect("time and anchor").1);
    let anchors: Vec<Anchor> = anchors.map(|anchor| anchor.parse().expect("an anchor")).collect();
    assert_eq!(anchors.iter().map(|anchor| anchor.seq).collect::<Vec<_>>(), [2, 4, 6]);
    for anchor in &anchors {
        let found = store.verify_audit(Some(anchor)).await.expect("readable");
        assert_eq!(found.faults, Vec::<String>::new());
    }
    assert!(store.keep_anchor(&dir.path().join("none/anchors.txt")).await.is_err());
}

async fn refused_connections_are_written_down(fresh: Fresh) {
    let store = fresh.open().await;
    let guard = Egress::new(Policy::default());
    let refusals = guard.refusals().expect("nobody else listens");
    assert!(guard.refusals().is_none(), "one listener");
    let public = Origin::named("8.8.8.8", 443, true);
    for purpose in [Purpose::Llm, Purpose::Database] {
        assert!(guard.connectable(purpose, &public).await.is_err());
    }
    drop(guard);
    // It ends with the guard.
    store.clone().audit_refusals(refusals).await;
    let events = store.audit_events(10).await.expect("listed");
    let told: Vec<(&str, &str, &str)> = events
        .iter()
        .map(|event| (event.action.as_str(), event.subject.as_str(), event.detail.as_str()))
        .collect();
    assert_eq!(
        told.len(),
        1,
        "while the database is refused nothing can be written: {told:?}"
    );
    assert!(
        told[0].0 == "egress" && told[0].1 == Purpose::Llm.name() && told[0].2.contains("8.8.8.8"),
        "{told:?}"
    );
}

async fn changed_settings_are_named_and_not_shown(fresh: Fresh) {
    let store = fresh.open().await;
    let start = async |settings: &[(&str, &str)]| {
        let start = Start {
            node: "here",
            version: "1.2.3",
            settings,
        };
        store.note_start(&start).await.expect("noted")
    };
    let first = [("AGENT", "front-desk"), ("LLM_API_KEY", "heliotrope-1")];
    assert_eq!(start(&first).await, ["+AGENT", "+LLM_API_KEY"]);
    assert_eq!(start(&first).await, Vec::<String>::new());
    let second = [("BIND", "127.0.0.1:1"), ("LLM_API_KEY", "heliotrope-2")];
    assert_eq!(start(&second).await, ["+BIND", "LLM_API_KEY", "-AGENT"]);
    let events = store.audit_events(20).await.expect("listed");
    let told: Vec<(&str, &str, &str)> = events
        .iter()
        .map(|event| (event.action.as_str(), event.outcome.as_str(), event.detail.as_str()))
        .collect();
    let (version, loaded) = (("start", "done", "tieline 1.2.3"), ("kek", "loaded", ""));
    assert_eq!(
        told,
        [
            ("settings", "changed", "+BIND LLM_API_KEY -AGENT"),
            loaded,
            version,
            loaded,
            version,
            ("settings", "first", "+AGENT +LLM_API_KEY"),
            loaded,
            version,
        ]
    );
    let all = match fresh.dir() {
        Some(dir) => bytes_below(dir),
        None => fresh.everything().await,
    };
    assert_eq!(found_in(&all, &["heliotrope", "front-desk"]), Vec::<&str>::new());
}
