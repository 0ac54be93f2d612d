//! Hearing a call by the API, and pausing its recording.

use std::path::PathBuf;

use serde_json::json;
use tieline::store::{Because, Item, RecordingState, Scope, Who};

use crate::desk::Desk;
use crate::phone::Phone;
use crate::support::{Setup, pace, soon};

const AGENT: &str = r#"
name = "desk"
greeting = "Hello."
system_prompt = "You are a test."
[recording]
notice = "This call is recorded."
"#;

#[tokio::test]
async fn a_recording_is_heard_by_who_may_and_written_to_the_audit_trail_first() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let recordings: PathBuf = dir.path().join("recordings");
    let desk = Desk::with(Setup {
        agent: Some(AGENT.to_owned()),
        recordings: Some(recordings),
        ..Setup::default()
    })
    .await;
    let [read, operate, phi] = [Scope::Read, Scope::Operate, Scope::Phi];
    let (read, operate, phi) = (
        desk.key(&[read]).await,
        desk.key(&[operate]).await,
        desk.key(&[phi]).await,
    );
    let path = "/api/calls/CA1/recording";
    let mut phone = Phone::call(&desk.server, "CA1").await;
    assert_eq!(phone.turn().await.heard, "Hello.");
    phone.frames(&[0xDC; 16_000]).await;
    assert_eq!(desk.post(path, &operate, &json!({"state": "paused"})).await.status, 202);
    assert_eq!(desk.post(path, &operate, &json!({"state": "on"})).await.status, 202);
    desk.post(path, &operate, &json!({"state": "off"})).await.problem(422);
    desk.post(path, &phi, &json!({"state": "on"})).await.problem(403);
    phone.hang_up().await;
    let poll = async {
        let mut pace = pace(std::time::Duration::from_millis(5));
        loop {
            let parts = desk.store.recordings_of("CA1").await.expect("listed");
            if parts.iter().any(|part| part.state == RecordingState::Whole) {
                return;
            }
            pace.tick().await;
        }
    };
    soon("the end of the recording", poll).await;
    desk.get(path, &read).await.problem(403);
    desk.get(path, &operate).await.problem(403);
    desk.get("/api/calls/CA2/recording", &phi).await.problem(404);
    let request = desk.request(reqwest::Method::GET, path, &phi);
    let answer = soon("the answer", request.send()).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let length: usize = answer.headers()["content-length"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    let wav = answer.bytes().await.expect("a body");
    assert!(wav.len() == length && wav.starts_with(b"RIFF"));
    let frames = wav[44..].chunks_exact(4);
    let caller = frames.filter(|frame| i16::from_le_bytes([frame[0], frame[1]]) == tieline::audio::mulaw::decode(0xDC));
    assert!(caller.count() > 12_000, "what the caller said");
    let audited = desk.store.audit_events(50).await.expect("listed");
    let acts: Vec<(&str, &str)> = audited
        .iter()
        .filter(|event| event.subject == "CA1")
        .map(|event| (event.action.as_str(), event.detail.as_str()))
        .collect();
    assert!(
        acts.contains(&("api-read", "recording")) && acts.contains(&("api-record", "call")),
        "{acts:?}"
    );
    // Its audio first, then all that was said.
    let because = Because {
        who: Who {
            actor: "test",
            origin: "",
        },
        action: "purge",
        detail: "a test",
    };
    let today = desk
        .store
        .now()
        .await
        .expect("answered")
        .strftime("%Y-%m-%d")
        .to_string();
    for item in [Item::Recording("CA1".to_owned()), Item::Content("CA1".to_owned())] {
        desk.store.retire(&[item], because).await.expect("deleted");
        let answer = desk.get(path, &phi).await;
        assert_eq!(answer.problem(410).0, "gone");
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains(&format!("recording was deleted on {today}")),
            "{detail}"
        );
    }
    desk.get("/api/calls/CA2/recording", &phi).await.problem(404);
}
