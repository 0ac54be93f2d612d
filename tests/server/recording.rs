//! Recordings of calls: what is in them, when, and what is not.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tieline::audio::mulaw;
use tieline::call::command::{AnsweredBy, Command};
use tieline::call::opening::{Direction, Opening};
use tieline::call::recording::{Recordings, Tape, Why};
use tieline::call::registry::Parties;
use tieline::caller::{Pace, Plan, Target, Utterance, place_call};
use tieline::store::{Because, Item, Recording, RecordingState, Store, Who};
use tieline::twilio::dialect::Dialect;

use crate::engines::Order;
use crate::http_server::tokens;
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{ACCOUNT, FROM, Setup, TestServer, fresh_store, pace, soon, token_in, until};

const NOTICE: &str = r#"
name = "desk"
greeting = "Hello from the desk."
system_prompt = "You are a test."
[recording]
notice = "This call is recorded."
"#;

const ASK: &str = r#"
name = "desk"
greeting = "Hello from the desk."
system_prompt = "You are a test."
notice = "A machine speaks."
[recording]
consent = "ask"
notice = "This call is recorded."
question = "Is that all right?"
"#;

const CARD: &str = r#"
name = "desk"
greeting = "Hello from the desk."
system_prompt = "You are a test."
[recording]
notice = "This call is recorded."

[[forms]]
name = "pay"
description = "Pays."
says = ["pay*"]
confirm = "The card is {{ card }}. Is that right?"
[[forms.slots]]
name = "card"
kind = "digits"
min = 4
max = 4
label = "the card"
ask = "What is the card?"
sensitive = true
"#;

struct Site {
    server: TestServer,
    store: Store,
    dir: TempDir,
}

impl Site {
    async fn open(agent: &str, setup: Setup) -> Self {
        let (store, dir) = fresh_store().await;
        let recordings = setup.recordings.unwrap_or_else(|| dir.path().join("recordings"));
        let server = TestServer::start(Setup {
            agent: Some(agent.to_owned()),
            store: Some(store.clone()),
            recordings: Some(recordings),
            ..setup
        })
        .await;
        Self { server, store, dir }
    }

    fn recordings(&self) -> Recordings {
        Recordings::new(self.dir.path().join("recordings"), self.store.clone())
    }

    async fn tape(&self) -> Option<Tape> {
        self.recordings().read("CA1").await.expect("readable")
    }

    /// The parts, once there are so many that have ended.
    async fn parts(&self, call_sid: &str, ended: usize) -> Vec<Recording> {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let parts = self.store.recordings_of(call_sid).await.expect("readable");
                if parts.iter().filter(|part| part.state != RecordingState::Open).count() >= ended {
                    return parts;
                }
                pace.tick().await;
            }
        };
        soon("the end of the recording", poll).await
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join("recordings"));
        entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    }

    async fn faults(&self) -> Vec<String> {
        let mut faults = self.store.verify().await.expect("readable").faults;
        faults.extend(self.recordings().verify().await.expect("readable"));
        faults
    }
}

/// Waits until the mark of a sentence that is said before the agent answers has gone back.
async fn heard(phone: &mut Phone, sentence: u16) {
    let name = format!("e{}.t0.s{sentence}", phone.clears);
    phone
        .until("the sentence's mark", |seen| {
            (*seen == Seen::Mark(name.clone())).then_some(())
        })
        .await;
}

async fn greeted(site: &Site) -> Phone {
    let mut phone = Phone::call(&site.server, "CA1").await;
    assert_eq!(phone.turn().await.heard, "Hello from the desk.");
    phone
}

/// Where there is sound, a pause of 50 ms or less being part of it.
fn sounds(samples: &[i16]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, _) in samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sample.unsigned_abs() > 40)
    {
        match found.last_mut() {
            Some((_, end)) if at - *end < 400 => *end = at,
            _ => found.push((at, at)),
        }
    }
    found
}

fn decoded(bytes: &[u8]) -> Vec<i16> {
    bytes.iter().map(|byte| mulaw::decode(*byte)).collect()
}

/// In real time, against the simulated caller's own recording of what it sent and heard.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_where_the_caller_had_them() {
    let (site, llm) = {
        let llm = crate::http_server::HttpServer::start().await;
        let setup = Setup {
            llm: Some(llm.url()),
            ..Setup::default()
        };
        (Site::open(NOTICE, setup).await, llm)
    };
    llm.answer([tokens(&["One. ", "Two."]), tokens(&["Three."])]);
    let tone = |ms| Order::Tone(Duration::from_millis(ms));
    site.server.tts.give([tone(300), tone(700), tone(450), tone(900)]);
    let said = voice(600);
    let frames = said.chunks_exact(160).map(|frame| frame.try_into().expect("a frame"));
    let utterance = Utterance {
        label: "a buzz".to_owned(),
        frames: frames.collect(),
    };
    let plan = Plan {
        target: Target::Webhook {
            url: site.server.url("/voice/incoming"),
            public_url: None,
        },
        auth_token: None,
        account_sid: ACCOUNT.to_owned(),
        from: FROM.to_owned(),
        to: "+15550100200".to_owned(),
        turns: vec![utterance.clone(), utterance],
        pace: Pace {
            quiet: Duration::from_millis(300),
            ..Pace::default()
        },
    };
    let mut nobody = |_| {};
    let report = tokio::time::timeout(Duration::from_secs(40), Box::pin(place_call(plan, &mut nobody)));
    let report = report.await.expect("in time").expect("a call");
    assert_eq!(report.errors, Vec::<String>::new());
    let sid = &report.call_sid;
    let parts = site.parts(sid, 1).await;
    let facts = parts[0].facts.as_ref().expect("facts");
    assert_eq!(
        (parts.len(), parts[0].state, facts.lost_ms),
        (1, RecordingState::Whole, 0)
    );
    assert_eq!(
        (facts.consent.answer.as_str(), facts.consent.notice.as_str()),
        ("told", "This call is recorded.")
    );
    let tape = site.recordings().read(sid).await.expect("readable").expect("recorded");
    let (caller, agent) = (decoded(&tape.played.caller), decoded(&tape.played.agent));
    let theirs: Vec<[i16; 2]> = report.recording.samples().collect();
    let side = |side: usize| theirs.iter().map(|both| both[side]).collect::<Vec<i16>>();
    let (their_caller, their_agent) = (side(0), side(1));
    // The recording begins after the notice.
    let (ours, first) = (sounds(&caller), sounds(&their_caller));
    assert_eq!((ours.len(), first.len()), (2, 2));
    let offset = first[0].0 - ours[0].0;
    assert!(offset > 0, "what was before the notice's end is not there");
    let length = caller.len().min(their_caller.len() - offset) - 4_000;
    assert!(
        caller[..length] == their_caller[offset..][..length],
        "the caller's side, to the sample"
    );
    let after: Vec<(usize, usize)> = sounds(&their_agent[offset..]);
    let found = sounds(&agent);
    assert_eq!(found.len(), after.len(), "{found:?} {after:?}");
    assert!(found.len() >= 3, "{found:?}");
    let worst = found
        .iter()
        .zip(&after)
        .map(|(ours, theirs)| ours.0.abs_diff(theirs.0).max(ours.1.abs_diff(theirs.1)));
    let worst = worst.max().expect("sounds");
    assert!(worst <= 160, "off by {worst} samples: {found:?} {after:?}");
    // Nothing of it is plain anywhere.
    let everything = crate::support::bytes_below(site.dir.path());
    let voice = &said[1_000..1_016];
    assert!(!everything.windows(16).any(|bytes| bytes == voice));
    assert_eq!(site.faults().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_caller_who_says_no_is_not_recorded_and_goes_on() {
    for keyed in [true, false] {
        let site = Site::open(ASK, Setup::default()).await;
        site.server.stt.hear(&["No, thank you."]);
        let mut phone = Phone::call(&site.server, "CA1").await;
        heard(&mut phone, 2).await;
        if keyed {
            phone.dtmf('2').await;
        } else {
            phone.frames(&[voice(500), silence(900)].concat()).await;
        }
        assert_eq!(phone.turn().await.heard, "Hello from the desk.");
        phone.frames(&silence(500)).await;
        phone.hang_up().await;
        let parts = site.parts("CA1", 1).await;
        let facts = parts[0].facts.as_ref().expect("facts");
        assert_eq!((parts.len(), parts[0].state), (1, RecordingState::Refused));
        let consent = &facts.consent;
        assert_eq!(
            (consent.answer.as_str(), consent.by.as_str()),
            ("no", if keyed { "key" } else { "voice" })
        );
        assert_eq!(consent.notice, "This call is recorded. Is that all right?");
        assert!(site.files().is_empty() && site.tape().await.is_none());
        assert_eq!(site.faults().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn nothing_from_before_a_yes_is_kept() {
    let site = Site::open(ASK, Setup::default()).await;
    let mut phone = Phone::call(&site.server, "CA1").await;
    phone.frames(&[0xEE; 8_000]).await;
    heard(&mut phone, 2).await;
    phone.frames(&[0xEE; 8_000]).await;
    phone.dtmf('1').await;
    assert_eq!(phone.turn().await.heard, "Hello from the desk.");
    phone.frames(&[0xDC; 16_000]).await;
    phone.hang_up().await;
    let part = site.parts("CA1", 1).await.remove(0);
    let facts = part.facts.expect("facts");
    assert_eq!(
        (part.state, facts.consent.answer.as_str(), facts.consent.by.as_str()),
        (RecordingState::Whole, "yes", "key")
    );
    let played = site.tape().await.expect("recorded").played;
    assert!(!played.caller.contains(&0xEE));
    assert_eq!(played.caller.iter().filter(|byte| **byte == 0xDC).count(), 16_000);
    assert!(sounds(&decoded(&played.agent)).len() == 1, "the greeting");
}

#[tokio::test]
async fn a_notice_that_has_no_audio_has_told_nobody() {
    let site = Site::open(NOTICE, Setup::default()).await;
    site.server.tts.give([Order::Fail]);
    let mut phone = greeted(&site).await;
    phone.frames(&[0xDC; 16_000]).await;
    phone.hang_up().await;
    let part = site.parts("CA1", 1).await.remove(0);
    let facts = part.facts.expect("facts");
    assert_eq!(
        (part.state, facts.consent.answer.as_str()),
        (RecordingState::Refused, "none")
    );
    assert!(site.files().is_empty() && site.tape().await.is_none());
}

#[tokio::test]
async fn keys_and_what_an_operator_pauses_are_silence() {
    let site = Site::open(NOTICE, Setup::default()).await;
    let mut phone = greeted(&site).await;
    phone.frames(&[0xDC; 24_000]).await;
    phone.frames(&[0x9A; 1_600]).await;
    phone.dtmf('4').await;
    phone.frames(&[0xDD; 24_000]).await;
    let order = |paused| {
        site.server
            .app
            .registry
            .command("CA1", Command::Record { paused })
            .expect("live");
    };
    // What was sent before is in the recording before the order is, once the agent has answered it.
    let settle = async |phone: &mut Phone| {
        site.server
            .app
            .registry
            .command("CA1", Command::Say("Now.".to_owned()))
            .expect("live");
        phone.turn().await;
    };
    settle(&mut phone).await;
    order(true);
    settle(&mut phone).await;
    phone.frames(&[0xAB; 8_000]).await;
    settle(&mut phone).await;
    order(false);
    settle(&mut phone).await;
    phone.frames(&[0xDE; 8_000]).await;
    phone.hang_up().await;
    let facts = site.parts("CA1", 1).await.remove(0).facts.expect("facts");
    let whys: Vec<&str> = facts.pauses.iter().map(|pause| pause.why.as_str()).collect();
    assert_eq!(whys, ["keys", "operator"]);
    let played = site.tape().await.expect("recorded").played;
    let count = |byte: u8| played.caller.iter().filter(|found| **found == byte).count();
    assert_eq!(
        (count(0x9A), count(0xAB)),
        (0, 0),
        "neither the tones nor what was paused"
    );
    // Half a second before the key, and two after it.
    assert!((20_000..=22_000).contains(&count(0xDC)), "{}", count(0xDC));
    assert!((7_000..=8_000).contains(&count(0xDD)), "{}", count(0xDD));
    assert_eq!(count(0xDE), 8_000);
    assert_eq!(played.caller.len(), played.agent.len());
}

#[tokio::test]
async fn a_sensitive_slot_is_silence_until_it_is_confirmed() {
    let site = Site::open(CARD, Setup::default()).await;
    site.server
        .stt
        .hear(&["I want to pay.", "4 1 1 1", "Yes.", "Thank you."]);
    let mut phone = greeted(&site).await;
    assert_eq!(phone.exchange().await.heard, "What is the card?");
    assert!(phone.exchange().await.heard.contains("Is that right?"));
    phone.exchange().await;
    phone.exchange().await;
    phone.hang_up().await;
    site.parts("CA1", 1).await;
    let played = site.tape().await.expect("recorded").played;
    let whys: Vec<Why> = played.pauses.iter().map(|pause| pause.why).collect();
    assert_eq!(whys, [Why::Sensitive]);
    // Four times the caller spoke.
    let found = sounds(&decoded(&played.caller));
    assert_eq!(found.len(), 2, "what they wanted, and what they said last: {found:?}");
    let pause = played.pauses[0];
    assert!(found[0].1 as u64 <= pause.from && found[1].0 as u64 >= pause.to.expect("an end"));
}

#[tokio::test]
async fn a_sensitive_answer_that_is_corrected_is_silence_too() {
    let site = Site::open(CARD, Setup::default()).await;
    site.server.stt.hear(&[
        "I want to pay.",
        "4 1 1 1",
        "Yes.",
        "No, it is 4 1 1 2, not 4 1 1 1.",
        "Thank you.",
    ]);
    let mut phone = greeted(&site).await;
    phone.exchange().await;
    assert!(phone.exchange().await.heard.contains("Is that right?"));
    // The caller interrupts what follows the yes.
    site.server.tts.give([Order::Tone(Duration::from_secs(60))]);
    let audio = phone.audio;
    phone.say().await;
    while phone.audio == audio {
        phone.next().await;
    }
    phone.say().await;
    assert_eq!(phone.turn().await.outcome, "interrupted");
    assert_eq!(phone.turn().await.outcome, "completed");
    phone.hang_up().await;
    site.parts("CA1", 1).await;
    let played = site.tape().await.expect("recorded").played;
    let found = sounds(&decoded(&played.caller));
    assert_eq!(found.len(), 1, "what they wanted, and nothing else: {found:?}");
}

#[tokio::test]
async fn a_call_goes_on_where_its_recording_cannot_be_written() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let setup = Setup {
        // No folder can be there.
        recordings: Some(file.path().join("recordings")),
        ..Setup::default()
    };
    let site = Site::open(NOTICE, setup).await;
    let mut phone = greeted(&site).await;
    phone.frames(&[0xDC; 16_000]).await;
    let parts = site.parts("CA1", 1).await;
    assert_eq!(parts[0].state, RecordingState::Failed);
    site.server
        .app
        .registry
        .command("CA1", Command::Say("Still here.".to_owned()))
        .expect("live");
    assert_eq!(phone.turn().await.heard, "Still here.");
    phone.hang_up().await;
}

#[tokio::test]
async fn a_stream_that_is_connected_again_has_a_part_of_its_own() {
    let site = Site::open(NOTICE, Setup::default()).await;
    let mut phone = greeted(&site).await;
    phone.frames(&[0xDC; 16_000]).await;
    drop(phone);
    site.parts("CA1", 1).await;
    let (_, twiml) = site.server.webhook("/voice/fallback", "CA1").await;
    let mut phone = Phone::connected(&site.server, "CA1", &token_in(&twiml)).await;
    assert_eq!(phone.turn().await.heard, "Hello from the desk.");
    phone.frames(&[0xDD; 16_000]).await;
    phone.hang_up().await;
    let parts = site.parts("CA1", 2).await;
    assert_eq!(parts.iter().map(|part| part.part).collect::<Vec<_>>(), [1, 2]);
    let played = site.tape().await.expect("recorded").played;
    let count = |byte: u8| played.caller.iter().filter(|found| **found == byte).count();
    assert_eq!((count(0xDC), count(0xDD), played.ended), (16_000, 16_000, true));
    assert_eq!(site.faults().await, Vec::<String>::new());
}

async fn recorded(site: &Site, call_sid: &str, byte: u8) -> Recording {
    let mut phone = Phone::call(&site.server, call_sid).await;
    phone.turn().await;
    phone.frames(&vec![byte; 40_000]).await;
    phone.hang_up().await;
    site.parts(call_sid, 1).await.remove(0)
}

#[tokio::test]
async fn whatever_is_done_to_a_file_or_a_row_is_named() {
    let site = Site::open(NOTICE, Setup::default()).await;
    let (one, two) = (recorded(&site, "CA1", 0xDC).await, recorded(&site, "CA2", 0xDD).await);
    assert_eq!(site.faults().await, Vec::<String>::new());
    let path = |part: &Recording| {
        let files = site.files();
        files
            .into_iter()
            .find(|path| path.to_string_lossy().contains(&part.id))
            .expect("a file")
    };
    let (first, second) = (path(&one), path(&two));
    let (whole, other) = (
        std::fs::read(&first).expect("read"),
        std::fs::read(&second).expect("read"),
    );
    let named = async |what: &str, sid: &str| {
        let faults = site.faults().await;
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains(&format!("call {sid}, part 1"))),
            "{what}: {faults:?}"
        );
    };
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&first, altered).expect("written");
        named("altered", "CA1").await;
    }
    std::fs::write(&first, &whole[..whole.len() - 30]).expect("written");
    named("cut", "CA1").await;
    std::fs::write(&first, &other).expect("written");
    std::fs::write(&second, &whole).expect("written");
    named("swapped", "CA1").await;
    named("swapped", "CA2").await;
    std::fs::write(&second, &other).expect("written");
    std::fs::remove_file(&first).expect("removed");
    named("missing", "CA1").await;
    std::fs::write(&first, &whole).expect("written");
    assert_eq!(site.faults().await, Vec::<String>::new());

    sqlx::any::install_default_drivers();
    let raw = sqlx::AnyPool::connect(&crate::support::database(&site.dir))
        .await
        .expect("the database");
    sqlx::query("UPDATE recordings SET state = 'open' WHERE call_sid = 'CA1'")
        .execute(&raw)
        .await
        .expect("changed");
    let faults = site.faults().await;
    assert!(
        faults.iter().any(|fault| fault.contains("recordings.state of CA1/1")),
        "{faults:?}"
    );
    sqlx::query("DELETE FROM recordings WHERE call_sid = 'CA1'")
        .execute(&raw)
        .await
        .expect("deleted");
    let faults = site.faults().await;
    assert!(
        faults.iter().any(|fault| fault.contains("recordings: part 1 of CA1")),
        "{faults:?}"
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.contains(&one.id) && fault.contains("no recording")),
        "{faults:?}"
    );
}

#[tokio::test]
async fn a_shredded_call_cannot_be_heard_and_its_files_are_swept() {
    let site = Site::open(NOTICE, Setup::default()).await;
    recorded(&site, "CA1", 0xDC).await;
    assert!(site.tape().await.is_some());
    let because = Because {
        who: Who {
            actor: "test",
            origin: "",
        },
        action: "delete",
        detail: "",
    };
    let items = [Item::Content("CA1".to_owned())];
    site.store.retire(&items, because).await.expect("deleted");
    assert!(site.tape().await.is_none(), "at once");
    assert!(site.store.recordings_of("CA1").await.expect("listed").is_empty());
    assert_eq!((site.files().len(), site.faults().await), (1, Vec::new()));
    assert_eq!(site.recordings().sweep().await.expect("swept"), 1);
    assert!(site.files().is_empty());
    assert_eq!(site.recordings().sweep().await.expect("nothing to do"), 0);
}

#[tokio::test]
async fn without_a_notice_of_its_own_an_agent_is_not_recorded() {
    let plain = NOTICE.split("[recording]").next().expect("a file");
    let site = Site::open(plain, Setup::default()).await;
    let mut phone = greeted(&site).await;
    phone.frames(&[0xDC; 16_000]).await;
    phone.hang_up().await;
    assert!(site.store.recordings_of("CA1").await.expect("listed").is_empty() && site.files().is_empty());
}

#[tokio::test]
async fn a_call_that_we_place_is_recorded_after_the_notice_and_a_machine_is_not() {
    for machine in [true, false] {
        let site = Site::open(NOTICE, Setup::default()).await;
        let opening = Opening {
            direction: Direction::Outbound,
            agent: Some("desk".to_owned()),
            message: Some("Please call us back.".to_owned()),
            ..Opening::default()
        };
        let registry = &site.server.app.registry;
        let account = Dialect::Twilio.account(ACCOUNT);
        let token = registry.expect_with("CA1", &account, Parties::default(), Some(opening), now());
        let mut phone = Phone::connected(&site.server, "CA1", &token.expect("expected")).await;
        until("the stream is live", || registry.is_live("CA1")).await;
        let heard = if machine {
            // The notice's mark has not gone back yet.
            let answered = registry.answered_by("CA1", AnsweredBy::MachineEndBeep);
            answered.expect("live");
            "Please call us back."
        } else {
            "Hello from the desk."
        };
        loop {
            let turn = phone.turn().await;
            if turn.heard == heard {
                break;
            }
        }
        if machine {
            phone.closed().await;
            assert!(site.store.recordings_of("CA1").await.expect("listed").is_empty());
        } else {
            phone.hang_up().await;
            let facts = site.parts("CA1", 1).await.remove(0).facts.expect("facts");
            assert_eq!(facts.consent.answer, "told");
        }
        assert_eq!(site.files().is_empty(), machine);
    }
}

#[tokio::test]
async fn a_machine_that_is_left_no_message_is_hung_up_on_during_the_notice() {
    for (by, before) in [
        (AnsweredBy::MachineEndBeep, false),
        (AnsweredBy::Fax, false),
        (AnsweredBy::MachineEndSilence, true),
    ] {
        let site = Site::open(NOTICE, Setup::default()).await;
        let opening = Opening {
            direction: Direction::Outbound,
            agent: Some("desk".to_owned()),
            ..Opening::default()
        };
        let registry = &site.server.app.registry;
        let account = Dialect::Twilio.account(ACCOUNT);
        let token = registry.expect_with("CA1", &account, Parties::default(), Some(opening), now());
        let token = token.expect("expected");
        if before {
            registry.answered_by("CA1", by).expect("expected");
        }
        let mut phone = Phone::connected(&site.server, "CA1", &token).await;
        if !before {
            until("the stream is live", || registry.is_live("CA1")).await;
            // The notice's mark has not gone back yet.
            registry.answered_by("CA1", by).expect("live");
        }
        phone.closed().await;
        let call = site.store.call("CA1").await.expect("readable").expect("kept").call;
        assert_eq!(call.outcome.as_deref(), Some("machine"), "{by:?}");
        assert!(registry.was_finished("CA1"));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a token has expired is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}
