//! Recordings of calls: deleted by their rows, given out as they were heard, and not brought back.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tieline::audio::mulaw;
use tieline::call::recording::Recordings;
use tieline::retention::{Purge, Purged};
use tieline::store::{
    Because, Class, Consent, Item, NewRecording, Record, Recording, RecordingFacts, RecordingState, Store,
    recording_key,
};

use crate::fresh::{Fresh, count, database, on_both};
use crate::site::{CALLER, Site, TEST, now, speak, text};

on_both! {
    a_deleted_recording_leaves_rows_that_say_so
    what_is_on_hold_is_heard_still
    a_purge_that_was_killed_before_the_files_went_goes_on
    each_server_removes_the_files_of_its_own_folder
    what_was_altered_is_deleted_too_and_found
    what_is_deleted_by_hand_is_found
    what_is_deleted_while_it_is_written_does_not_come_back
    a_recording_is_given_out_as_it_was_heard
    what_cannot_be_heard_is_said_and_the_rest_given_out
    recordings_come_back_into_their_folder
    what_was_deleted_since_does_not_come_back
    a_recording_that_goes_on_comes_back_as_far_as_it_was
}

async fn purge(site: &Site, settings: &[(&str, &str)]) -> Purged {
    let done = site.keeper(settings).purge(TEST, &mut |_, _| {}).await.expect("done");
    let Purge::Done(done) = done else { panic!("alone") };
    assert_eq!(done[0].0, Class::Recordings);
    done[0].1
}

async fn parts(store: &Store, sid: &str) -> Vec<Recording> {
    store.recordings_of(sid).await.expect("readable")
}

fn states(parts: &[Recording]) -> Vec<RecordingState> {
    parts.iter().map(|part| part.state).collect()
}

async fn faults(site: &Site) -> Vec<String> {
    let mut faults = site.store.verify().await.expect("readable").faults;
    faults.extend(site.recordings().verify().await.expect("readable"));
    faults
}

async fn refuse(site: &Site, sid: &str) {
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

fn exported(site: &Site, name: &str) -> (bool, String, Value) {
    let out = site.path(name);
    let said = site.tieline(&["data", "export", "--patient", "ZQ909090", "--out", text(&out)]);
    let file = std::fs::read_to_string(out.join("person.json")).expect("a file");
    (said.good, said.out, serde_json::from_str(&file).expect("JSON"))
}

/// Both sides, as bytes of the line.
fn heard(wav: &Path) -> (Vec<u8>, Vec<u8>) {
    let wav = std::fs::read(wav).expect("a file");
    assert!(wav.starts_with(b"RIFF"));
    let side = |at: usize| {
        let frames = wav[44..].chunks_exact(4);
        frames
            .map(|frame| mulaw::encode(i16::from_le_bytes([frame[at], frame[at + 1]])))
            .collect::<Vec<u8>>()
    };
    (side(0), side(2))
}

fn spoken(side: &[u8]) -> usize {
    side.iter().filter(|byte| **byte == CALLER).count()
}

async fn a_recording_is_given_out_as_it_was_heard(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.record("CA1").await;
    refuse(&site, "CA1").await;
    site.age("calls", "call_sid", "CA2", 91).await;
    purge(&site, &[]).await;
    let (good, said, file) = exported(&site, "out");
    assert!(good, "{said}");
    let one = &file["calls"][0]["recording"];
    assert_eq!(
        (&one["audio"], &one["ended"]),
        (&"recording-CA1.wav".into(), &true.into())
    );
    assert_eq!(one["parts"].as_array().map(Vec::len), Some(3));
    let part = &one["parts"][1];
    assert_eq!((&part["part"], &part["state"]), (&2.into(), &"whole".into()));
    assert_eq!((&part["duration_ms"], &part["lost_ms"]), (&1_500.into(), &0.into()));
    assert_eq!(part["consent"]["notice"], "This call is recorded, bumblebee.");
    assert_eq!(part["consent"]["answer"], "told");
    assert_eq!(part["consent"]["at"], "2026-11-21T20:00:00Z");
    assert_eq!(part["pauses"][0]["from_ms"], 500);
    assert_eq!(part["pauses"][0]["to_ms"], 1_000);
    assert_eq!(part["pauses"][0]["why"], "operator");
    assert_eq!(one["parts"][2]["consent"]["answer"], "no");
    let (caller, agent) = heard(&site.path("out/recording-CA1.wav"));
    assert_eq!(spoken(&caller), 2 * 8_000, "a second of each part");
    assert!(caller.len() >= 2 * 12_000 && agent.len() == caller.len() && spoken(&agent) == 0);
    let two = &file["calls"][1]["recording"];
    assert_eq!(two["audio"], Value::Null);
    assert_eq!(two["parts"][0]["state"], "deleted");
    assert!(two["parts"][0]["deleted_at"].is_string());
    assert!(!site.path("out/recording-CA2.wav").exists());
    let events = file["audit"].as_array().expect("a list").iter();
    let deleted = events.filter(|event| event["subject"] == "recording/CA2" && event["action"] == "purge");
    assert_eq!(deleted.count(), 1);
    assert_eq!(file["unreadable"], Value::Array(Vec::new()));
}

async fn what_cannot_be_heard_is_said_and_the_rest_given_out(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let second = site.record("CA1").await;
    let path = site.recordings().path(&second.id);
    let mut bytes = std::fs::read(&path).expect("a file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    site.run("UPDATE recordings SET facts_sealed = '1:x' WHERE call_sid = 'CA2'")
        .await;
    let (good, said, file) = exported(&site, "out");
    assert!(!good);
    for told in [
        "not in it: the recording of call CA1, part 2: ",
        "not in it: the recording of call CA2: recordings.facts_sealed of CA2/1/",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert_eq!(file["unreadable"].as_array().map(Vec::len), Some(2));
    let one = &file["calls"][0]["recording"];
    assert_eq!(
        (&one["parts"][1]["state"], &one["ended"]),
        (&"whole".into(), &false.into())
    );
    let (caller, _) = heard(&site.path("out/recording-CA1.wav"));
    assert!(spoken(&caller) >= 8_000, "the first part");
    assert_eq!(file["calls"][1]["recording"], Value::Null);
    assert_eq!(
        file["calls"][1]["turns"].as_array().map(Vec::len),
        Some(3),
        "the rest of the call"
    );
    // Who asks for the recording alone is told that it is not whole.
    assert!(site.recordings().read("CA1").await.is_err());
}

/// Into a folder of its own, beside another `DATA_DIR`; what was said, and the database.
async fn restored(site: &Site, backup: &Path, name: &str, into: &Fresh) -> (String, Recordings) {
    let (data, folder) = (site.path(name), site.path(&format!("{name}-recordings")));
    let list = site.data().join("shredded.list");
    let args = [
        "data",
        "restore",
        text(backup),
        "--into",
        &into.url,
        "--shred-list",
        text(&list),
    ];
    let settings = [("DATA_DIR", text(&data)), ("RECORDINGS_DIR", text(&folder))];
    let said = site.tieline_with(&args, &settings).ok();
    assert!(said.ends_with(" 0 faults\n"), "{said}");
    assert!(!data.join("recordings").exists());
    let store = Store::open(&database(&into.url, true)).await.expect("usable");
    (said, Recordings::new(folder, store))
}

async fn recordings_come_back_into_their_folder(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.record("CA1").await;
    refuse(&site, "CA2").await;
    // From another folder than that in DATA_DIR, too.
    let moved = site.path("moved");
    std::fs::rename(site.data().join("recordings"), &moved).expect("moved");
    let backup = site.path("backup.tieline");
    let said = site.tieline_with(&["data", "backup", text(&backup)], &[("RECORDINGS_DIR", text(&moved))]);
    assert!(said.ok().contains(" and 5 files"));
    let here = Recordings::new(moved, site.store.clone());
    for (number, into) in [Fresh::sqlite(), Fresh::postgres().await].iter().enumerate() {
        let (said, there) = restored(&site, &backup, &format!("data-{number}"), into).await;
        assert!(said.contains("and 5 files; 0 records were deleted since"), "{said}");
        for sid in ["CA1", "CA2"] {
            let (one, other) = (
                here.read(sid).await.expect("read"),
                there.read(sid).await.expect("read"),
            );
            let (one, other) = (one.expect("there"), other.expect("there"));
            assert!(one.played == other.played && one.parts == other.parts && other.played.ended);
        }
    }
    // A file that is not here is told of, and the backup is not good.
    let told = site
        .tieline(&["data", "backup", text(&site.path("other.tieline"))])
        .refused();
    assert!(
        told.contains("the files of these records are not here") && told.contains(&recording_key(site.part("CA1"))),
        "{told}"
    );
}

async fn what_was_deleted_since_does_not_come_back(fresh: Fresh) {
    let site = Site::new(fresh).await;
    refuse(&site, "CA1").await;
    let backup = site.path("backup.tieline");
    site.tieline(&["data", "backup", text(&backup)]).ok();
    site.age("calls", "call_sid", "CA1", 91).await;
    assert_eq!(purge(&site, &[]).await.gone, 1);
    let at = site.store.recording_deleted_at("CA1").await.expect("answered");
    for (number, into) in [Fresh::sqlite(), Fresh::postgres().await].iter().enumerate() {
        let (said, there) = restored(&site, &backup, &format!("data-{number}"), into).await;
        assert!(said.contains("and 3 files; 1 records were deleted since"), "{said}");
        assert!(!there.path(site.part("CA1")).exists() && there.path(site.part("CA2")).exists());
        let store = Store::open(&database(&into.url, true)).await.expect("usable");
        let left = parts(&store, "CA1").await;
        assert_eq!(states(&left), [RecordingState::Deleted, RecordingState::Refused]);
        assert_eq!(left[0].deleted_at, at);
        let facts = left[0].facts.as_ref().expect("facts");
        assert_eq!((facts.duration_ms, facts.consent.answer.as_str()), (1_500, "told"));
        assert!(there.read("CA1").await.expect("answered").is_none());
        assert!(there.read("CA2").await.expect("answered").is_some());
        // It is dead there as well: a backup of that one does not bring it back either.
        let dead = store.dead_keys().await.expect("listed");
        assert!(dead.iter().any(|dead| dead.id == recording_key(site.part("CA1"))));
    }
    // Nor does one that was made afterwards.
    let later = site.path("later.tieline");
    site.tieline(&["data", "backup", text(&later)]).ok();
    let (said, there) = restored(&site, &later, "data-later", &Fresh::sqlite()).await;
    assert!(said.contains("and 3 files; 0 records were deleted since"), "{said}");
    assert!(there.read("CA1").await.expect("answered").is_none());
}

async fn a_recording_that_goes_on_comes_back_as_far_as_it_was(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let mut tap = site.begin_recording("CA1", "told");
    let mut clock = now();
    speak(&mut tap, &mut clock, 100);
    let written = async {
        loop {
            let part = parts(&site.store, "CA1").await.pop().expect("a part");
            let file = site.recordings().path(&part.id);
            if part.part == 2 && file.metadata().is_ok_and(|file| file.len() > 8_000) {
                return part.id;
            }
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(30), written).await;
    let id = written.expect("a second is on the disk");
    // Its row is written, and its server was killed before its file was.
    let new = NewRecording {
        id: "0b".repeat(16),
        call_sid: "CA2".to_owned(),
        facts: RecordingFacts {
            consent: Consent {
                asked: "notice".to_owned(),
                notice: "Recorded.".to_owned(),
                answer: "told".to_owned(),
                by: String::new(),
                at: "2026-11-21T20:00:00Z".parse().expect("a time"),
            },
            state: RecordingState::Open,
            duration_ms: 0,
            lost_ms: 0,
            pauses: Vec::new(),
        },
        age_ms: 0,
    };
    site.store.begin_recording(&new).await.expect("begun");
    let backup = site.path("backup.tieline");
    site.tieline(&["data", "backup", text(&backup)]).ok();
    speak(&mut tap, &mut clock, 100);
    tap.end().await;
    for (number, into) in [Fresh::sqlite(), Fresh::postgres().await].iter().enumerate() {
        let (said, there) = restored(&site, &backup, &format!("data-{number}"), into).await;
        assert!(said.contains("and 5 files; 0 records were deleted since"), "{said}");
        let tape = there.read("CA1").await.expect("readable").expect("recorded");
        assert_eq!(states(&tape.parts), [RecordingState::Whole, RecordingState::Open]);
        assert_eq!(tape.parts[1].id, id);
        assert!(!tape.played.ended);
        let kept = spoken(&tape.played.caller) - 8_000;
        assert!(
            (6_000..=16_000).contains(&kept),
            "{kept}: up to a second less than was said by then"
        );
        let tape = there.read("CA2").await.expect("readable").expect("recorded");
        assert_eq!(states(&tape.parts), [RecordingState::Whole, RecordingState::Failed]);
        let facts = tape.parts[1].facts.as_ref().expect("facts");
        assert_eq!(
            (facts.state, facts.consent.notice.as_str()),
            (RecordingState::Failed, "Recorded.")
        );
    }
}
