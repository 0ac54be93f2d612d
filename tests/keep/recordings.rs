//! Recordings of calls are deleted by their rows, which say so, and their files on every machine.

use std::time::Duration;

use tieline::call::recording::Recordings;
use tieline::retention::{Purge, Purged};
use tieline::store::{Because, Class, Item, Record, Recording, RecordingState, Store, recording_key};

use crate::fresh::{Fresh, count, on_both};
use crate::site::{Site, TEST, now, speak, text};

on_both! {
    a_deleted_recording_leaves_rows_that_say_so
    what_is_on_hold_is_heard_still
    a_purge_that_was_killed_before_the_files_went_goes_on
    each_server_removes_the_files_of_its_own_folder
    what_was_altered_is_deleted_too_and_found
    what_is_deleted_by_hand_is_found
    what_is_deleted_while_it_is_written_does_not_come_back
}

pub(crate) async fn purge(site: &Site, settings: &[(&str, &str)]) -> Purged {
    let done = site.keeper(settings).purge(TEST, &mut |_, _| {}).await.expect("done");
    let Purge::Done(done) = done else { panic!("alone") };
    assert_eq!(done[0].0, Class::Recordings);
    done[0].1
}

pub(crate) async fn parts(store: &Store, sid: &str) -> Vec<Recording> {
    store.recordings_of(sid).await.expect("readable")
}

pub(crate) fn states(parts: &[Recording]) -> Vec<RecordingState> {
    parts.iter().map(|part| part.state).collect()
}

async fn faults(site: &Site) -> Vec<String> {
    let mut faults = site.store.verify().await.expect("readable").faults;
    faults.extend(site.recordings().verify().await.expect("readable"));
    faults
}

pub(crate) async fn refuse(site: &Site, sid: &str) {
    let before = parts(&site.store, sid).await.len();
    site.begin_recording(sid, "no").end().await;
    let written = async { while parts(&site.store, sid).await.len() == before {} };
    tokio::time::timeout(Duration::from_secs(30), written)
        .await
        .expect("the refusal is written down");
}

async fn a_deleted_recording_leaves_rows_that_say_so(fresh: Fresh) {
    use RecordingState::{Deleted, Refused, Whole};
    let site = Site::new(fresh).await;
    let second = site.record("CA1").await;
    refuse(&site, "CA1").await;
    assert_eq!(states(&parts(&site.store, "CA1").await), [Whole, Whole, Refused]);
    site.age("calls", "call_sid", "CA1", 91).await;
    let shown = site.tieline(&["data", "purge", "--dry-run"]).ok();
    assert!(
        shown.starts_with("recordings, kept for 90d: 1 would be deleted, 0 on hold\n"),
        "{shown}"
    );
    assert_eq!(site.store.recording_deleted_at("CA1").await.expect("answered"), None);
    let said = site.tieline(&["data", "purge"]).ok();
    assert!(said.contains("recordings: 1 deleted for good, 0 on hold"), "{said}");
    let left = parts(&site.store, "CA1").await;
    assert_eq!(states(&left), [Deleted, Deleted, Refused]);
    assert!(left[0].deleted_at.is_some() && left[1].deleted_at.is_some() && left[2].deleted_at.is_none());
    let facts = left[1].facts.as_ref().expect("facts");
    assert_eq!((facts.state, facts.consent.answer.as_str()), (Deleted, "told"));
    assert_eq!((facts.duration_ms, facts.pauses.len()), (1_500, 1));
    assert_eq!(
        site.store.recording_deleted_at("CA1").await.expect("answered"),
        left[1].deleted_at
    );
    let files = [site.recording("CA1"), site.recordings().path(&second.id)];
    assert!(files.iter().all(|file| !file.exists()) && site.recording("CA2").exists());
    assert!(site.recordings().read("CA1").await.expect("answered").is_none());
    assert!(site.recordings().read("CA2").await.expect("answered").is_some());
    let call = site.store.call("CA1").await.expect("answered").expect("there");
    assert_eq!(call.turns.len(), 3, "what was said stays");
    site.is_whole().await;
    let verified = site.tieline(&["data", "verify"]).ok();
    assert!(verified.ends_with(" 0 faults\n"), "{verified}");
    // Once.
    let events = site.store.audit_of("recording/CA1").await.expect("listed");
    assert_eq!(
        (events.len(), events[0].detail.as_str()),
        (1, "recordings, kept for 90d")
    );
    assert_eq!(purge(&site, &[]).await, Purged::default());
    assert_eq!(site.store.audit_of("recording/CA1").await.expect("listed").len(), 1);
    let list = std::fs::read_to_string(site.data().join("shredded.list")).expect("a list");
    for id in [site.part("CA1"), &second.id] {
        assert_eq!(list.matches(&recording_key(id)).count(), 1, "{list}");
    }
    // What comes later goes with the rest of the call, rows and all.
    site.age("calls", "call_sid", "CA1", 2_192).await;
    site.tieline(&["data", "purge"]).ok();
    let raw = site.fresh.raw().await;
    assert_eq!(count(&raw, "SELECT count(*) FROM recordings").await, 1);
    assert!(
        site.store
            .recording_deleted_at("CA1")
            .await
            .expect("answered")
            .is_some()
    );
    site.is_whole().await;
}

async fn what_is_on_hold_is_heard_still(fresh: Fresh) {
    let site = Site::new(fresh).await;
    for sid in ["CA1", "CA2"] {
        site.age("calls", "call_sid", sid, 91).await;
    }
    let hold = site
        .store
        .add_hold(Record::Call("CA1"), "claim", TEST)
        .await
        .expect("added");
    let shown = site.tieline(&["data", "purge", "--dry-run"]).ok();
    assert!(
        shown.starts_with("recordings, kept for 90d: 1 would be deleted, 1 on hold\n"),
        "{shown}"
    );
    assert_eq!(purge(&site, &[]).await, Purged { gone: 1, held: 1 });
    assert!(site.recordings().read("CA1").await.expect("answered").is_some());
    assert!(site.recordings().read("CA2").await.expect("answered").is_none());
    assert!(site.store.release_hold(&hold, "over", TEST).await.expect("released"));
    assert_eq!(purge(&site, &[]).await, Purged { gone: 1, held: 0 });
    assert!(!site.recording("CA1").exists());
    site.is_whole().await;
}

async fn a_purge_that_was_killed_before_the_files_went_goes_on(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let because = Because {
        who: TEST,
        action: "purge",
        detail: "killed before the files were removed",
    };
    let items = [
        Item::Recording("CA1".to_owned()),
        Item::Recording("CA2".to_owned()),
        Item::Content("CA2".to_owned()),
    ];
    site.store.retire(&items, because).await.expect("done");
    assert!(site.recording("CA1").exists() && site.recording("CA2").exists());
    // Neither file is a fault: both are to go.
    site.is_whole().await;
    assert!(site.recordings().read("CA1").await.expect("answered").is_none());
    assert_eq!(purge(&site, &[]).await, Purged::default());
    assert!(!site.recording("CA1").exists() && !site.recording("CA2").exists());
    assert!(site.proof("recording/CA1").await.is_some() && site.proof("call/CA1").await.is_none());
    site.is_whole().await;
}

async fn each_server_removes_the_files_of_its_own_folder(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let live = site.record("CA2").await;
    let other = site.path("other");
    std::fs::create_dir(&other).expect("a directory");
    let here = |name: &str| other.join(name);
    let mut names = vec![site.recording_file("CA1"), site.recording_file("CA2")];
    names.push(format!("{}.rec.sealed", live.id));
    for name in &names {
        let file = site.data().join("recordings").join(name);
        std::fs::copy(file, here(name)).expect("copied");
    }
    std::fs::write(here("stranger.rec.sealed"), "not ours").expect("written");
    site.age("calls", "call_sid", "CA1", 91).await;
    assert_eq!(purge(&site, &[]).await.gone, 1);
    assert!(here(&names[0]).exists(), "another server's folder is its own");
    let theirs = [("RECORDINGS_DIR", text(&other))];
    let recordings = Recordings::new(other.clone(), site.store.clone());
    let told = recordings.verify().await.expect("readable");
    assert!(told.len() == 1 && told[0].contains("stranger"), "{told:?}");
    assert_eq!(purge(&site, &theirs).await.gone, 0);
    assert!(!here(&names[0]).exists() && here(&names[1]).exists() && here(&names[2]).exists());
    site.tieline(&["data", "delete", "--patient", "ZQ909090", "--yes"]).ok();
    assert!(here(&names[1]).exists() && !site.recording("CA2").exists());
    purge(&site, &theirs).await;
    let left: Vec<_> = std::fs::read_dir(&other).expect("readable").collect();
    assert!(left.len() == 1 && here("stranger.rec.sealed").exists(), "{left:?}");
}

async fn what_was_altered_is_deleted_too_and_found(fresh: Fresh) {
    let site = Site::new(fresh).await;
    for sid in ["CA1", "CA2"] {
        site.age("calls", "call_sid", sid, 91).await;
    }
    site.run("UPDATE recordings SET facts_sealed = '1:x' WHERE call_sid = 'CA1'")
        .await;
    assert_eq!(purge(&site, &[]).await.gone, 2);
    assert!(!site.recording("CA1").exists() && !site.recording("CA2").exists());
    let faults = faults(&site).await;
    assert!(
        faults.len() == 1 && faults[0].contains("recordings.facts_sealed of CA1/1/"),
        "{faults:?}"
    );
    assert_eq!(purge(&site, &[]).await.gone, 0);
}

async fn what_is_deleted_by_hand_is_found(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let told = async |told: &str| {
        let faults = faults(&site).await;
        assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:?}");
    };
    // As if it had been deleted with proof.
    site.run("UPDATE recordings SET state = 'deleted' WHERE call_sid = 'CA1'")
        .await;
    told("recordings.state of CA1/1/").await;
    site.run("UPDATE recordings SET state = 'whole'").await;
    site.run("INSERT INTO data_keys (id, shredded_at_ms) SELECT 'recording/' || id, 1 FROM recordings WHERE call_sid = 'CA1'")
        .await;
    told("recordings.state of CA1/1/").await;
    site.run("DELETE FROM data_keys WHERE id LIKE 'recording/%'").await;
    site.is_whole().await;
    let (file, moved) = (site.recording("CA2"), site.path("moved"));
    std::fs::rename(&file, &moved).expect("moved");
    told("the recording of call CA2, part 1: ").await;
    std::fs::rename(&moved, &file).expect("moved back");
    // As if it had never been deleted.
    site.age("calls", "call_sid", "CA1", 91).await;
    assert_eq!(purge(&site, &[]).await.gone, 1);
    site.is_whole().await;
    site.run("UPDATE recordings SET state = 'whole' WHERE call_sid = 'CA1'")
        .await;
    told("recordings.state of CA1/1/").await;
    site.run("UPDATE recordings SET state = 'deleted' WHERE call_sid = 'CA1'")
        .await;
    site.run("DELETE FROM data_keys WHERE id LIKE 'recording/%'").await;
    told("data_keys: the row recording/").await;
    site.run("DELETE FROM recordings WHERE call_sid = 'CA1'").await;
    told("recordings: part 1 of CA1").await;
}

async fn what_is_deleted_while_it_is_written_does_not_come_back(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let mut taps = Vec::new();
    for sid in ["CA1", "CA2"] {
        let mut tap = site.begin_recording(sid, "told");
        speak(&mut tap, &mut now(), 75);
        taps.push(tap);
    }
    let file = async |sid| loop {
        let part = parts(&site.store, sid).await.pop().expect("a part");
        let path = site.recordings().path(&part.id);
        if part.part == 2 && path.exists() {
            return path;
        }
    };
    let both = async { [file("CA1").await, file("CA2").await] };
    let files = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("both are being written");
    site.age("calls", "call_sid", "CA1", 91).await;
    site.age("calls", "call_sid", "CA2", 3_000).await;
    assert_eq!(purge(&site, &[]).await.gone, 2);
    // As if the purge had come before the file.
    for file in &files {
        assert!(!file.exists());
        std::fs::write(file, "what the thread is about to make").expect("written");
    }
    for tap in taps {
        tap.end().await;
    }
    assert!(files.iter().all(|file| !file.exists()));
    use RecordingState::Deleted;
    assert_eq!(states(&parts(&site.store, "CA1").await), [Deleted, Deleted]);
    assert!(parts(&site.store, "CA2").await.is_empty());
    site.is_whole().await;
}
