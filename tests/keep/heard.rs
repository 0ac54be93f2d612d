//! Recordings of calls are given out as they were heard, and come back from a backup unless they were deleted.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tieline::audio::mulaw;
use tieline::call::recording::Recordings;
use tieline::store::{Consent, NewRecording, RecordingFacts, RecordingState, Store, recording_key};

use crate::fresh::{Fresh, database, on_both};
use crate::recordings::{parts, purge, refuse, states};
use crate::site::{CALLER, Site, now, speak, text};

on_both! {
    a_recording_is_given_out_as_it_was_heard
    what_cannot_be_heard_is_said_and_the_rest_given_out
    recordings_come_back_into_their_folder
    what_was_deleted_since_does_not_come_back
    a_recording_that_goes_on_comes_back_as_far_as_it_was
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
    let named = site.recordings().verify().await.expect("readable");
    assert!(
        named.len() == 1 && named[0].contains("call CA1, part 2"),
        "the file of an altered row is no stranger: {named:?}"
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
    // Its row is written, and its server was killed before its file had a header.
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
    std::fs::write(site.recordings().path(&new.id), b"").expect("written");
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
