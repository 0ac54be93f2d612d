//! The whole program, killed in the middle of a call: what was finished is in the database.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tieline::call::recording::Recordings;
use tieline::caller::{Happened, Level, Pace, Plan, Target, TraceEvent, Utterance, place_call};
use tieline::models::{Manifest, Purpose, locate};
use tieline::speech::Synthesizer as _;
use tieline::speech::piper::{self, Piper};
use tieline::store::RecordingState;

use crate::fresh::{Fresh, KEK, bytes_below, found_in, on_both};

on_both! {
    finished_turns_outlive_a_server_that_is_killed
    what_was_recorded_before_a_kill_can_be_heard
}

/// `tieline serve`, ended with this.
struct Served {
    child: Child,
    url: String,
    /// Everything it writes: data, temporary files, log.
    dir: TempDir,
}

impl Served {
    /// The guided eligibility line.
    fn start(database: &str) -> Self {
        Self::start_with(database, &root().join("agents"), &[])
    }

    fn start_with(database: &str, agents: &Path, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("temporary")).expect("a directory");
        let log = std::fs::File::create(dir.path().join("log.txt")).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tieline"))
            .arg("serve")
            .current_dir(dir.path())
            .env_clear()
            .env("DATABASE_URL", database)
            .env("KEK", KEK)
            .env("BIND", "127.0.0.1:0")
            .env("AGENT", "eligibility")
            .env("AGENTS_DIR", agents)
            .envs(settings.iter().copied())
            .env("MODELS_DIR", models())
            .env("STT_MODEL", "tiny.en")
            .env("TWILIO_VERIFY", "off")
            .env("TMPDIR", dir.path().join("temporary"))
            .env("LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut ready = lines.map_while(Result::ok);
        let url = ready.find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        let url = url.expect("a server that is ready; without models run: tieline models pull");
        Self { child, url, dir }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn finished_turns_outlive_a_server_that_is_killed(fresh: Fresh) {
    fresh.open().await.close().await;
    let mut server = Served::start(&fresh.url);
    let plan = Plan {
        target: Target::Webhook {
            url: format!("{}/voice/incoming", server.url),
            public_url: None,
        },
        auth_token: None,
        account_sid: format!("AC{:032}", 1),
        from: "+15005550006".to_owned(),
        to: "+15005550001".to_owned(),
        turns: spoken(&[
            "I would like to check my coverage.",
            "M B, one, two, three, four, five, six.",
            "March fifteenth, nineteen eighty five.",
            "It is for an office visit.",
        ]),
        pace: Pace::default(),
    };
    let (mut finished, mut call, mut lines) = (Vec::new(), String::new(), 0);
    let ended = place_call(plan, &mut |event| match event.happened {
        Happened::Connected { call_sid } => call = call_sid,
        Happened::Trace(TraceEvent::Turn { turn, .. }) if lines < 3 => finished.push(turn),
        Happened::Trace(TraceEvent::Caller { .. }) => {
            lines += 1;
            // The third turn has words and no answer yet.
            if lines == 3 {
                server.kill();
            }
        }
        Happened::Speaks { .. } | Happened::Answered { .. } | Happened::Trace(_) => {}
        Happened::TraceRefused { .. } | Happened::Fault { .. } => {}
    })
    .await;
    assert!(
        lines >= 3 && finished.len() >= 3,
        "{lines} lines, {finished:?}: {:?}",
        ended.err()
    );
    // As the killed server has left it.
    let left = [bytes_below(server.dir.path()), fresh.everything().await].concat();
    let store = fresh.open().await;
    let trail = store.verify_audit(None).await.expect("readable");
    assert_eq!(trail.faults, Vec::<String>::new());
    let events = store.audit_events(50).await.expect("listed");
    for (action, outcome) in [("start", "done"), ("kek", "loaded"), ("settings", "first")] {
        let told = events
            .iter()
            .any(|event| event.action == action && event.outcome == outcome);
        assert!(told, "{action}: {events:?}");
    }
    let recorded = store.call(&call).await.expect("answered").expect("there");
    assert!(recorded.call.ended_at.is_none() && recorded.call.agent == "eligibility");
    let kept: Vec<u64> = recorded.turns.iter().map(|turn| turn.number.into()).collect();
    let lost: Vec<&u64> = finished.iter().filter(|turn| !kept.contains(turn)).collect();
    assert!(lost.is_empty(), "{lost:?} of {finished:?} are lost");
    let said = recorded
        .turns
        .iter()
        .filter(|turn| !turn.said.is_empty() && !turn.heard.is_empty());
    assert!(said.count() >= 2, "with both sides' words");
    let texts = recorded
        .turns
        .iter()
        .flat_map(|turn| [turn.said.as_str(), turn.heard.as_str()]);
    let texts = texts
        .flat_map(|text| text.split_inclusive(['.', '?']))
        .map(str::trim)
        .filter(|text| text.len() >= 8);
    let private: Vec<&str> = texts
        .chain(["5005550006", "5005550001", "MB123456", "1985-03-15", "Jordan Avery"])
        .collect();
    assert!(private.len() > 8, "{private:?}");
    assert_eq!(found_in(&left, &private), Vec::<&str>::new());
    assert_eq!(found_in(&left, &["is live"]).len(), 1, "its log is there");
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
}

async fn what_was_recorded_before_a_kill_can_be_heard(fresh: Fresh) {
    fresh.open().await.close().await;
    let agents = tempfile::tempdir().expect("a temporary directory");
    for file in std::fs::read_dir(root().join("agents")).expect("a directory") {
        let file = file.expect("an entry");
        let text = std::fs::read_to_string(file.path()).expect("an agent");
        let recorded = format!("{text}\n[recording]\nnotice = \"This call is recorded.\"\n");
        std::fs::write(agents.path().join(file.file_name()), recorded).expect("written");
    }
    let mut server = Served::start_with(&fresh.url, agents.path(), &[("RECORDING", "on")]);
    let turns = spoken(&[
        "I would like to check my coverage.",
        "M B, one, two, three, four, five, six.",
    ]);
    let plan = Plan {
        target: Target::Webhook {
            url: format!("{}/voice/incoming", server.url),
            public_url: None,
        },
        auth_token: None,
        account_sid: format!("AC{:032}", 1),
        from: "+15005550006".to_owned(),
        to: "+15005550001".to_owned(),
        turns: turns.clone(),
        pace: Pace::default(),
    };
    let (mut call, mut spoke) = (String::new(), Vec::new());
    // It may end in an error: its server is gone.
    let _ = place_call(plan, &mut |event| match event.happened {
        Happened::Connected { call_sid } => call = call_sid,
        Happened::Speaks { turn, .. } => {
            spoke.push(event.at);
            if turn == 2 {
                server.kill();
            }
        }
        Happened::Answered { .. } | Happened::Trace(_) => {}
        Happened::TraceRefused { .. } | Happened::Fault { .. } => {}
    })
    .await;
    let [first, second] = spoke[..] else {
        panic!("{spoke:?}")
    };
    server.kill();
    let folder = server.dir.path().join("data/recordings");
    let store = fresh.open().await;
    let recordings = Recordings::new(folder.clone(), store.clone());
    let tape = recordings.read(&call).await.expect("readable").expect("recorded");
    assert!(!tape.played.ended && tape.parts.len() == 1);
    assert_eq!(tape.parts[0].state, RecordingState::Open);
    assert_eq!(
        tape.parts[0].facts.as_ref().map(|facts| facts.consent.answer.as_str()),
        Some("told")
    );
    // What the caller said, to the sample, up to a second before the kill.
    let said: Vec<u8> = turns[0].frames.concat();
    let whole: Vec<u8> = said
        .iter()
        .map(|byte| if *byte == 0x7F { 0xFF } else { *byte })
        .collect();
    let begins = tape
        .played
        .caller
        .windows(800)
        .position(|window| window == &whole[..800]);
    let kept = &tape.played.caller[begins.expect("the beginning of what the caller said")..];
    assert!(kept.starts_with(&whole));
    let (kept, lasted) = (kept.len() as f64 / 8_000.0, (second - first).as_secs_f64());
    assert!(lasted - kept < 1.2, "{kept} s of {lasted} s");
    assert!(tape.played.agent.iter().any(|byte| *byte != 0xFF), "and the greeting");
    // The command line writes what there is, and says that it is not all.
    let wav = agents.path().join("call.wav");
    let exported = Command::new(env!("CARGO_BIN_EXE_tieline"))
        .args(["data", "recording", &call])
        .arg(&wav)
        .current_dir(server.dir.path())
        .env_clear()
        .env("DATABASE_URL", &fresh.url)
        .env("KEK", KEK)
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&exported.stdout);
    assert!(
        exported.status.success() && told.contains("its writer was stopped"),
        "{told}"
    );
    let bytes = std::fs::read(&wav).expect("written");
    assert_eq!(bytes.len(), 44 + 4 * tape.played.caller.len());
    let audited = store.audit_events(5).await.expect("listed");
    assert!(
        audited
            .iter()
            .any(|event| event.action == "export" && event.subject == call)
    );
    // None of it is plain, in any file.
    let left = bytes_below(server.dir.path());
    let varied = |piece: &&[u8]| piece.iter().collect::<HashSet<_>>().len() > 8;
    let pieces: HashSet<&[u8]> = whole.chunks_exact(16).filter(varied).collect();
    assert!(pieces.len() > 300 && !left.windows(16).any(|window| pieces.contains(window)));
    assert_eq!(recordings.verify().await.expect("readable"), Vec::<String>::new());
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
}

fn spoken(texts: &[&str]) -> Vec<Utterance> {
    let manifest = Manifest::load(&models()).expect("a manifest");
    let find = |name: &str, purpose| locate(&manifest, &models(), name, purpose).expect("run: tieline models pull");
    piper::load_runtime(find("onnxruntime", Purpose::Runtime).path()).expect("loads");
    let voice: [PathBuf; 2] = find("en_US-joe-medium", Purpose::Tts)
        .files
        .try_into()
        .expect("two files");
    let mut piper = Piper::load(&voice[0], &voice[1], 1.0, 1).expect("loads");
    let mut say = |text: &&str| {
        let speech = piper.synthesize(text, &|| false).expect("synthesised");
        Utterance::from_samples(
            (*text).to_owned(),
            &speech.samples,
            speech.rate.get(),
            Level::Dbfs(-22.0),
        )
        .expect("speech")
    };
    texts.iter().map(&mut say).collect()
}

fn models() -> PathBuf {
    root().join("models")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
