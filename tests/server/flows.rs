//! What happens to a call before an agent answers: menu, closed line, voicemail, blocked callers, waiting for a free line.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tieline::audio::mulaw;
use tieline::call::trace::TraceEvent;
use tieline::config::{Config, Strings};
use tieline::dialog::agent::{Agent, Agents, parse};
use tieline::dialog::conversation::Staff;
use tieline::privacy::chunks::ChunkReader;
use tieline::privacy::egress::Egress;
use tieline::store::{Record, RecordedCall, Store, Transcript, Voicemail};

use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{AUTH_TOKEN, FROM, Setup, TestServer, form, pace, soon, token_in};

const DESK: &str = r#"
name = "desk"
greeting = "Hello from the desk."
system_prompt = "You are a test."
notice = "Calls are recorded."

[phrases]
closed = "We are closed."
goodbye = "Goodbye now."
busy = "No line is free."
hold = "Please hold & wait."
wrong_key = "Wrong key."
hand_over = "A person takes over."
leave_message = "Leave a message."
message_kept = "It is kept."
message_empty = "No message."
message_lost = "It is lost."

[line]
blocked = ["+1555018*", "withheld"]
"#;

const MENU: &str = r#"
[line.menu]
say = "Press one for billing, two for a message."
keys = { 1 = "billing", 2 = "voicemail", 3 = "hand-over" }
rounds = 1
"#;

const BILLING: &str = r#"
name = "billing"
greeting = "Billing speaks."
system_prompt = "You are a test."
notice = "Calls are recorded."
"#;

/// Never open.
const CLOSED: &str = "[line.hours]\ntime_zone = \"America/New_York\"\nopen = []\n";

struct Office {
    server: TestServer,
    store: Store,
    dir: TempDir,
}

impl Office {
    /// The desk with some tables more, and billing beside it.
    async fn open(tables: &str, max_calls: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let data = dir.path().to_str().expect("UTF-8");
        let strings: Strings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", data)]
            .into_iter()
            .collect();
        let config = Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        let server = TestServer::start(Setup {
            auth_token: Some(AUTH_TOKEN),
            max_calls,
            store: Some(store.clone()),
            voicemail: Some(dir.path().join("voicemail")),
            ..Setup::default()
        })
        .await;
        let agents = dir.path().join("agents");
        std::fs::create_dir(&agents).expect("created");
        let desk = format!("{DESK}{tables}");
        std::fs::write(agents.join("desk.toml"), desk).expect("written");
        std::fs::write(agents.join("billing.toml"), BILLING).expect("written");
        let staff =
            Staff::load(&agents, "desk", Some(store.clone()), |_| None, &Egress::default()).expect("good agents");
        server.staff.send_replace(Arc::new(staff));
        Self { server, store, dir }
    }

    /// The desk alone, as changed by the test: shorter times than a file may have.
    fn change(&self, tables: &str, change: impl FnOnce(&mut Agent)) {
        let mut agent = parse(&format!("{DESK}{tables}"), "desk.toml").expect("a good agent");
        change(&mut agent);
        let staff = Staff::of(
            Agents::single(agent),
            Some(self.store.clone()),
            |_| None,
            &Egress::default(),
        )
        .expect("no tools");
        self.server.staff.send_replace(Arc::new(staff));
    }

    /// What is written of a call once it has ended.
    async fn ended(&self, call_sid: &str) -> RecordedCall {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let found = self.store.call(call_sid).await.expect("readable");
                if let Some(found) = found.filter(|found| found.call.ended_at.is_some()) {
                    return found;
                }
                pace.tick().await;
            }
        };
        soon("the end in the database", poll).await
    }

    /// The only message, once somebody has tried to transcribe it.
    async fn message(&self) -> Voicemail {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let mut found = self.store.recent_voicemails(10).await.expect("readable");
                assert!(found.len() <= 1, "one message");
                if let Some(found) = found.pop().filter(|found| found.transcript != Transcript::Waiting) {
                    return found;
                }
                pace.tick().await;
            }
        };
        soon("the transcript", poll).await
    }

    fn file(&self, message: &Voicemail) -> PathBuf {
        self.dir
            .path()
            .join("voicemail")
            .join(format!("{}.wav.sealed", message.new.id))
    }

    async fn hang_up_follows(&self, call_sid: &str) {
        let (_, twiml) = self.server.webhook("/voice/fallback", call_sid).await;
        assert!(twiml.contains("<Response><Hangup/></Response>"), "{twiml}");
    }
}

/// Goes on until the agent says something, and returns it.
async fn said(phone: &mut Phone) -> String {
    phone
        .until("words of the agent", |seen| {
            let Seen::Event(TraceEvent::Agent { text, .. }) = seen else {
                return None;
            };
            Some(text.clone())
        })
        .await
}

/// Goes on until the tone was played.
async fn heard_the_tone(phone: &mut Phone, sentence: u16) {
    let name = format!("e{}.t0.s{sentence}", phone.clears);
    phone
        .until("the tone's mark", |seen| {
            (*seen == Seen::Mark(name.clone())).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_key_of_the_menu_leads_to_another_agent() {
    let office = Office::open(MENU, 10).await;
    let mut phone = Phone::call(&office.server, "CA1").await;
    assert_eq!(said(&mut phone).await, "Calls are recorded.");
    // Neither words nor keys interrupt the notice, and the key counts afterwards.
    phone.frames(&voice(600)).await;
    phone.dtmf('1').await;
    let greeting = phone.turn().await;
    assert_eq!(greeting.agent, ["Billing speaks."], "the notice is not said twice");
    assert_eq!((phone.clears, greeting.outcome.as_str()), (0, "completed"));
    phone.hang_up().await;
    let call = office.ended("CA1").await.call;
    assert_eq!(
        (call.agent.as_str(), call.outcome.as_deref()),
        ("billing", Some("caller"))
    );
}

#[tokio::test]
async fn a_wrong_key_is_told_and_who_presses_none_gets_the_default() {
    let office = Office::open(MENU, 10).await;
    office.change(&MENU.replace("rounds = 1", "rounds = 3"), |agent| {
        let menu = agent.line.as_mut().and_then(|line| line.menu.as_mut()).expect("a menu");
        menu.wait = Duration::from_millis(20);
    });
    let menu = "Press one for billing, two for a message.";
    let mut phone = Phone::call(&office.server, "CA1").await;
    assert_eq!(
        [said(&mut phone).await, said(&mut phone).await],
        ["Calls are recorded.", menu]
    );
    phone.dtmf('8').await;
    assert_eq!([said(&mut phone).await, said(&mut phone).await], ["Wrong key.", menu]);
    // Nothing is pressed twice over.
    assert_eq!(said(&mut phone).await, menu);
    assert_eq!(phone.turn().await.agent, ["Hello from the desk."]);
    phone.hang_up().await;
    assert_eq!(office.ended("CA1").await.call.agent, "desk");
}

#[tokio::test]
async fn a_stream_that_is_replaced_before_an_agent_answers_leaves_the_call_to_its_successor() {
    let office = Office::open(MENU, 10).await;
    office.change(MENU, |agent| {
        let menu = agent.line.as_mut().and_then(|line| line.menu.as_mut()).expect("a menu");
        menu.wait = Duration::from_secs(3_600);
    });
    let mut half_dead = Phone::call(&office.server, "CA1").await;
    said(&mut half_dead).await;
    // Twilio has given the stream up; this server does not know yet.
    let (_, twiml) = office.server.webhook("/voice/fallback", "CA1").await;
    // Long before it would be given up for its silence.
    let closed = tokio::time::timeout(Duration::from_secs(10), half_dead.closed()).await;
    closed.expect("it hears that it was replaced");
    assert_eq!(office.server.app.registry.end_of("CA1"), None);
    let kept = office.store.call("CA1").await.expect("readable").expect("begun").call;
    assert_eq!((kept.outcome, kept.ended_at), (None, None), "the call goes on");
    let mut second = Phone::connected(&office.server, "CA1", &token_in(&twiml)).await;
    assert_eq!(said(&mut second).await, "Calls are recorded.");
    second.dtmf('1').await;
    assert_eq!(second.turn().await.agent, ["Hello from the desk."]);
    second.hang_up().await;
    assert_eq!(office.ended("CA1").await.call.outcome.as_deref(), Some("caller"));
}

#[tokio::test]
async fn a_hand_over_of_the_menu_is_one() {
    let office = Office::open(MENU, 10).await;
    let mut phone = Phone::call(&office.server, "CA1").await;
    said(&mut phone).await;
    phone.dtmf('3').await;
    assert_eq!(said(&mut phone).await, "A person takes over.");
    phone.closed().await;
    office.hang_up_follows("CA1").await;
    assert_eq!(office.ended("CA1").await.call.outcome.as_deref(), Some("hand-over"));
}

#[tokio::test]
async fn a_closed_line_says_so_and_hangs_up() {
    let office = Office::open(CLOSED, 10).await;
    let mut phone = Phone::call(&office.server, "CA1").await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(said(&mut phone).await);
    }
    assert_eq!(all, ["Calls are recorded.", "We are closed.", "Goodbye now."]);
    phone.closed().await;
    assert!(phone.audio > 0);
    office.hang_up_follows("CA1").await;
    let kept = office.ended("CA1").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("closed"));
    assert!(kept.turns.is_empty() && office.server.app.registry.live() == 0);
}

#[tokio::test]
async fn a_message_is_recorded_as_it_was_said_and_transcribed() {
    let office = Office::open(&format!("{CLOSED}then = \"voicemail\"\n"), 10).await;
    office.server.stt.hear(&["Please call me back."]);
    let mut phone = Phone::call(&office.server, "CA1").await;
    // What is said before the tone is not kept.
    phone.frames(&voice(500)).await;
    heard_the_tone(&mut phone, 3).await;
    let words = [silence(300), voice(1_000), silence(100)].concat();
    phone.frames(&words).await;
    phone.dtmf('#').await;
    assert_eq!(
        [said(&mut phone).await, said(&mut phone).await],
        ["It is kept.", "Goodbye now."]
    );
    phone.closed().await;
    office.hang_up_follows("CA1").await;
    assert_eq!(office.ended("CA1").await.call.outcome.as_deref(), Some("voicemail"));

    let message = office.message().await;
    assert!(message.transcript == Transcript::Done("Please call me back.".to_owned()));
    let new = &message.new;
    assert_eq!(
        (new.call_sid.as_str(), new.agent.as_str(), new.language.as_str()),
        ("CA1", "desk", "en")
    );
    assert!(new.from.as_deref() == Some(FROM) && new.duration_ms == 1_400);
    let path = office.file(&message);
    let file = std::fs::read(&path).expect("the recording");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a directory"))), (0o600, 0o700));
    let digest: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, new.sha256);
    let key = office
        .store
        .data_key(Record::Voicemail(&new.id))
        .await
        .expect("readable");
    let reader = ChunkReader::open(&path, &key.expect("a key"), &new.id).expect("sealed");
    let sealed = file;
    let file = reader.read_to_end().expect("whole");
    assert!(
        !sealed.windows(100).any(|window| window == &file[200..300]),
        "nothing of it is plain"
    );
    // A header of 44 bytes, then each sample as the line had it.
    let samples: Vec<i16> = file[44..]
        .chunks(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let mut expected = Vec::new();
    mulaw::decode_into(&words, &mut expected);
    assert!(samples == expected, "{} samples of {}", samples.len(), expected.len());
}

#[tokio::test]
async fn a_message_ends_with_silence_and_with_hanging_up_and_nothing_is_none() {
    let office = Office::open(MENU, 10).await;
    for (call, sent, ends) in [
        ("CA1", [voice(600), silence(5_100)].concat(), "voicemail"),
        ("CA2", silence(5_100), "no-message"),
        ("CA3", voice(600), "voicemail"),
        ("CA4", silence(600), "caller"),
    ] {
        let mut phone = Phone::call(&office.server, call).await;
        phone.dtmf('2').await;
        heard_the_tone(&mut phone, 2).await;
        phone.frames(&sent).await;
        if sent.len() > 5_000 * 8 {
            let last = if ends == "voicemail" {
                "It is kept."
            } else {
                "No message."
            };
            assert_eq!(said(&mut phone).await, last, "{call}");
            phone.closed().await;
        } else {
            phone.hang_up().await;
        }
        let kept = office.ended(call).await.call;
        assert_eq!(kept.outcome.as_deref(), Some(ends), "{call}");
        let mut all = office.store.recent_voicemails(10).await.expect("readable");
        all.retain(|message| message.new.call_sid == call);
        assert_eq!(all.len(), usize::from(ends == "voicemail"), "{call}");
        assert!(all.iter().all(|message| office.file(message).is_file()));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_written_is_not_said_to_be_kept() {
    let office = Office::open(MENU, 10).await;
    std::fs::write(office.dir.path().join("voicemail"), "in the way").expect("written");
    let mut phone = Phone::call(&office.server, "CA1").await;
    phone.dtmf('2').await;
    heard_the_tone(&mut phone, 2).await;
    phone.frames(&voice(600)).await;
    phone.dtmf('#').await;
    assert_eq!(said(&mut phone).await, "It is lost.");
    phone.closed().await;
    assert_eq!(office.ended("CA1").await.call.outcome.as_deref(), Some("message-lost"));
    assert!(office.store.recent_voicemails(1).await.expect("readable").is_empty());
}

#[tokio::test]
async fn a_blocked_caller_is_refused_before_any_database_work() {
    let office = Office::open("", 10).await;
    office.store.close().await;
    for (from, refused) in [
        ("+15550188123", true),
        ("anonymous", true),
        ("+266696687", true),
        ("", true),
        (FROM, false),
        ("sip:desk@example.org", false),
    ] {
        let mut fields = form(&format!("CA{}", from.len()));
        let field = fields.iter_mut().find(|(key, _)| key == "From").expect("a caller");
        from.clone_into(&mut field.1);
        let (status, twiml) = office.server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await;
        assert_eq!(status, 200);
        assert_eq!(
            twiml.contains("<Response><Reject reason=\"rejected\"/></Response>"),
            refused,
            "{from}: {twiml}"
        );
        assert_eq!(twiml.contains("<Connect"), !refused, "{from}");
        assert_eq!(office.server.post("/voice/incoming", &fields, None).await.0, 403);
    }
    // What we dial ourselves is nobody's to block.
    let mut fields = form("CA99");
    let field = fields
        .iter_mut()
        .find(|(key, _)| key == "Direction")
        .expect("a direction");
    "outbound-api".clone_into(&mut field.1);
    let (_, twiml) = office.server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await;
    assert!(twiml.contains("<Connect"), "{twiml}");
}

/// The path that a waiting call asks next.
fn redirect(twiml: &str, server: &TestServer) -> String {
    let (_, rest) = twiml.split_once("<Redirect method=\"POST\">").expect("a redirect");
    let (url, _) = rest.split_once("</Redirect>").expect("its end");
    url.strip_prefix(&server.signed_base())
        .expect("on this server")
        .to_owned()
}

#[tokio::test]
async fn who_waits_for_a_line_is_connected_when_one_is_free() {
    let office = Office::open("[line.queue]\nrounds = 3\n", 1).await;
    let server = &office.server;
    let first = Phone::greeted(server, "CA1").await;
    let (status, hold) = server.webhook("/voice/incoming", "CA2").await;
    assert_eq!(status, 200);
    assert!(
        hold.contains("<Response><Say language=\"en-US\">Please hold &amp; wait.</Say><Pause length=\"15\"/><Redirect"),
        "{hold}"
    );
    let again = redirect(&hold, server);
    assert_eq!(again, "/voice/queue?round=1");
    assert_eq!(server.post(&again, &form("CA2"), None).await.0, 403);
    let (_, hold) = server.webhook(&again, "CA2").await;
    let again = redirect(&hold, server);
    assert_eq!(again, "/voice/queue?round=2");
    // A caller who waits in vain.
    let (_, end) = server.webhook("/voice/queue?round=3", "CA3").await;
    assert!(end.contains("<Say>No line is free.</Say><Hangup/>"), "{end}");
    assert_eq!(office.ended("CA3").await.call.outcome.as_deref(), Some("busy"));
    first.hang_up().await;
    let (_, twiml) = server.webhook(&again, "CA2").await;
    let mut phone = Phone::dial(server, "CA2").await;
    phone.start(&token_in(&twiml)).await;
    phone.next().await;
    phone.hang_up().await;
    let call = office.ended("CA2").await.call;
    assert_eq!(
        (call.outcome.as_deref(), call.from.as_deref()),
        (Some("caller"), Some(FROM))
    );
}

#[tokio::test]
async fn a_webhook_of_the_queue_that_comes_again_opens_nothing() {
    let office = Office::open("[line.queue]\nrounds = 3\n", 1).await;
    let server = &office.server;
    let first = Phone::greeted(server, "CA1").await;
    let (_, hold) = server.webhook("/voice/incoming", "CA2").await;
    let again = redirect(&hold, server);
    first.hang_up().await;
    office.ended("CA1").await;
    let (_, twiml) = server.webhook(&again, "CA2").await;
    let mut phone = Phone::connected(server, "CA2", &token_in(&twiml)).await;
    phone.turn().await;
    let opens_nothing = async |server: &TestServer, path: &str| {
        let (status, twiml) = server.webhook(path, "CA2").await;
        assert_eq!(status, 200);
        assert!(twiml.contains("<Response><Hangup/></Response>"), "{path}: {twiml}");
    };
    for path in [&again, "/voice/incoming"] {
        opens_nothing(server, path).await;
        assert!(server.app.registry.is_live("CA2"), "{path}: the call goes on");
    }
    phone.hang_up().await;
    office.ended("CA2").await;
    let elsewhere = TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        store: Some(office.store.clone()),
        ..Setup::default()
    })
    .await;
    for server in [server, &elsewhere] {
        for path in [&again, "/voice/incoming"] {
            opens_nothing(server, path).await;
        }
        assert!(!server.app.registry.is_live("CA2"));
    }
    let audited = office.store.audit_events(10).await.expect("readable");
    let repeated = audited
        .iter()
        .filter(|event| (event.subject.as_str(), event.detail.as_str()) == ("CA2", "repeated"));
    assert_eq!(repeated.count(), 6);
}

#[tokio::test]
async fn who_hangs_up_while_waiting_has_a_finished_record() {
    let office = Office::open("", 1).await;
    office.change("[line.queue]\n", |agent| {
        let line = agent.line.as_mut().expect("a line");
        line.queue.as_mut().expect("a queue").wait = Duration::from_millis(1);
    });
    let first = Phone::greeted(&office.server, "CA1").await;
    let (_, hold) = office.server.webhook("/voice/incoming", "CA2").await;
    assert!(hold.contains("<Redirect"), "{hold}");
    assert_eq!(office.ended("CA2").await.call.outcome.as_deref(), Some("left-waiting"));
    first.hang_up().await;
}
