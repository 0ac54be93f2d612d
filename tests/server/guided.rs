//! Forms by telephone: what is said and typed, what tools do meanwhile, and what is written down.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tempfile::TempDir;
use tieline::call::trace::TraceEvent;
use tieline::config::{Config, Strings};
use tieline::dialog::agent::{Agents, parse};
use tieline::dialog::conversation::Staff;
use tieline::privacy::egress::Egress;
use tieline::store::{AuditRecord, Person, RecordedCall, Store};
use tieline::turn::policy::{Policy, Speculation};
use tokio::sync::watch;

use crate::engines::{Gate, Order};
use crate::http_server::{Answer, HttpServer};
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{Setup, TestServer, pace, policy, soon, until};

/// Books at an API that answers as told.
fn booking(api: &HttpServer) -> String {
    format!(
        r#"
name = "line"
greeting = "Hello from the booking line."
system_prompt = "You are a test."

[phrases]
goodbye = "Goodbye now."
hand_over = "A person takes over."
anything_else = "Anything else?"
checking = "One moment."
which_wrong = "What is wrong?"

[[tools]]
name = "book"
description = "Books."
method = "POST"
url = "http://{}/book"
timeout = "20s"
[tools.parameters]
type = "object"
required = ["code"]
properties.code = {{ type = "string" }}

[[forms]]
name = "booking"
description = "Books a visit."
says = ["book*"]
confirm = "The code is {{{{ code }}}}. Is that right?"

[[forms.slots]]
name = "code"
kind = "digits"
min = 4
max = 4
label = "the code"
ask = "What is the code?"

[[forms.actions]]
tool = "book"
[forms.actions.results.ok]
say = "Booked as {{{{ result.number }}}}."
[forms.actions.results.failed]
then = "hand-over"
"#,
        api.address
    )
}

fn seven() -> Answer {
    Answer::Full(200, "application/json", br#"{"number": "seven"}"#.to_vec())
}

struct Line {
    server: TestServer,
    api: HttpServer,
    store: Store,
    _dir: TempDir,
}

impl Line {
    async fn open(speculation: Speculation) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let data = dir.path().to_str().expect("UTF-8");
        let strings: Strings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", data)]
            .into_iter()
            .collect();
        let config = Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        let api = HttpServer::start().await;
        let server = TestServer::start(Setup {
            agent: Some(booking(&api)),
            store: Some(store.clone()),
            policy: Policy {
                speculation,
                ..policy()
            },
            ..Setup::default()
        })
        .await;
        Self {
            server,
            api,
            store,
            _dir: dir,
        }
    }

    fn booked(&self) {
        self.api.answer([seven()]);
    }

    /// The same, once it is let go.
    fn booked_later(&self) -> watch::Sender<bool> {
        let held = watch::Sender::new(false);
        self.api.answer([Answer::Held(held.subscribe(), Box::new(seven()))]);
        held
    }

    /// From now on calls are answered by another agent.
    fn answered_by(&self, file: &str) {
        let agents = Agents::single(parse(file, "test.toml").expect("an agent"));
        let staff = Staff::of(agents, None, |_| None, &Egress::default()).expect("good tools");
        self.server.staff.send_replace(Arc::new(staff));
    }

    /// What is written of a call, as soon as it has so many turns.
    async fn written(&self, call_sid: &str, turns: usize) -> RecordedCall {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let found = self.store.call(call_sid).await.expect("readable");
                if let Some(found) = found.filter(|found| found.turns.len() >= turns) {
                    return found;
                }
                pace.tick().await;
            }
        };
        soon("the turns in the database", poll).await
    }

    /// Up to the question whether the code 1234 is right.
    async fn asked_for_a_yes(&self, call_sid: &str) -> Phone {
        self.server.stt.hear(&["I want to book a visit"]);
        let mut phone = Phone::greeted(&self.server, call_sid).await;
        assert_eq!(phone.exchange().await.agent, ["What is the code?"]);
        for key in "1234#".chars() {
            phone.dtmf(key).await;
        }
        let said = phone.turn().await.agent.join(" ");
        assert!(said.ends_with("Is that right?") && said.contains('4'), "{said}");
        phone
    }

    /// What Twilio is told once the stream has ended.
    async fn after(&self, call_sid: &str) -> String {
        self.server.webhook("/voice/fallback", call_sid).await.1
    }
}

/// Before it is audible, a caller who goes on is still in the turn of the yes.
async fn asks_for_a_moment(phone: &mut Phone) {
    let (mut said, mut audible) = (false, false);
    phone
        .until("the agent is heard to ask for a moment", |seen| {
            match seen {
                Seen::Event(TraceEvent::Agent { text, .. }) => said |= text == "One moment.",
                Seen::Media(_) => audible = true,
                Seen::Event(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => {}
            }
            (said && audible).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_form_is_filled_by_voice_and_keypad_and_every_turn_is_kept() {
    let line = Line::open(Speculation::Off).await;
    line.booked();
    let mut phone = line.asked_for_a_yes("CA1").await;
    let so_far = line.written("CA1", 3).await;
    assert!(so_far.call.ended_at.is_none(), "it is written while the call goes on");
    line.server.stt.hear(&["Yes.", "No, thank you. Goodbye."]);
    let turn = phone.exchange().await;
    assert_eq!(turn.agent, ["Booked as seven.", "Anything else?"]);
    let runs = line.written("CA1", 4).await.tool_runs;
    assert!(runs.len() == 1 && runs[0].tool == "book" && runs[0].outcome == "ok");
    assert_eq!(runs[0].args["code"], "1234");
    let last = phone.exchange().await;
    assert_eq!(
        (last.heard.as_str(), last.outcome.as_str()),
        ("Goodbye now.", "completed")
    );
    phone.closed().await;
    assert!(line.after("CA1").await.contains("<Hangup"));
    let kept = line.written("CA1", 5).await;
    assert_eq!(kept.call.outcome.as_deref(), Some("goodbye"));
    assert!(kept.turns[3].said == "Yes." && kept.turns[3].heard == "Booked as seven. Anything else?");
}

#[tokio::test]
async fn the_transcriber_is_told_the_answers_that_are_expected() {
    let line = Line::open(Speculation::Off).await;
    line.booked();
    let mut phone = line.asked_for_a_yes("CA1").await;
    line.server.stt.give([Order::Expect("correct".to_owned())]);
    assert_eq!(phone.exchange().await.agent, ["Booked as seven.", "Anything else?"]);
    phone.hang_up().await;
}

#[tokio::test]
async fn a_caller_who_wants_a_person_is_handed_over() {
    let line = Line::open(Speculation::Off).await;
    line.server.stt.hear(&["I want to talk to a real person"]);
    let mut phone = Phone::greeted(&line.server, "CA1").await;
    assert_eq!(phone.exchange().await.heard, "A person takes over.");
    phone.closed().await;
    assert!(line.after("CA1").await.contains("<Hangup"));
    assert_eq!(line.written("CA1", 2).await.call.outcome.as_deref(), Some("hand-over"));
}

#[tokio::test]
async fn a_yes_that_is_taken_back_runs_nothing() {
    let line = Line::open(Speculation::Full).await;
    let mut phone = line.asked_for_a_yes("CA1").await;
    let jobs = line.server.stt.jobs().len();
    line.server.stt.hear(&["Yes.", "Yes. No, the code is wrong."]);
    phone.frames(&[voice(400), silence(140)].concat()).await;
    until("the yes was heard", || line.server.stt.jobs().len() > jobs).await;
    phone.frames(&[voice(400), silence(600)].concat()).await;
    let turn = phone.turn().await;
    assert_eq!(turn.caller.as_deref(), Some("Yes. No, the code is wrong."));
    assert!(turn.heard.contains("What is the code?"), "{}", turn.heard);
    assert!(line.api.asked().is_empty(), "nothing was booked");
    phone.hang_up().await;
    assert!(line.written("CA1", 4).await.tool_runs.is_empty());
}

#[tokio::test]
async fn a_caller_who_interrupts_a_slow_tool_has_it_done_once() {
    for typed in [true, false] {
        let mut line = Line::open(Speculation::Off).await;
        line.api.answer([Answer::Stall(Vec::new())]);
        line.booked();
        let mut phone = line.asked_for_a_yes("CA1").await;
        line.server.stt.hear(&["Yes.", "Are you still there?"]);
        phone.say().await;
        asks_for_a_moment(&mut phone).await;
        line.api.arrival().await;
        if typed {
            phone.dtmf('5').await;
            phone.dtmf('#').await;
        } else {
            phone.say().await;
        }
        assert_eq!(phone.turn().await.outcome, "interrupted");
        let turn = phone.turn().await;
        assert_eq!(turn.heard, "Booked as seven. Anything else?", "typed: {typed}");
        let asked = line.api.asked();
        let keys: Vec<Option<&str>> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
        assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
        phone.hang_up().await;
        let runs = line.written("CA1", 5).await.tool_runs;
        assert!(runs.len() == 1 && runs[0].outcome == "ok");
    }
}

#[tokio::test]
async fn a_tool_that_runs_as_the_caller_hangs_up_is_written_down() {
    let mut line = Line::open(Speculation::Off).await;
    let held = line.booked_later();
    let mut phone = line.asked_for_a_yes("CA1").await;
    line.server.stt.hear(&["Yes."]);
    phone.say().await;
    line.api.arrival().await;
    phone.stop().await;
    assert_eq!(phone.turn().await.outcome, "cut-off");
    held.send_replace(true);
    phone.closed().await;
    let call = line.written("CA1", 4).await;
    assert_eq!(call.call.outcome.as_deref(), Some("caller"));
    assert!(call.tool_runs.len() == 1 && call.tool_runs[0].outcome == "ok");
    let audited = line.store.audit_events(10).await.expect("readable");
    let ran = |event: &&AuditRecord| (event.action.as_str(), event.subject.as_str()) == ("tool", "CA1");
    assert_eq!(audited.iter().filter(ran).count(), 1);
}

#[tokio::test]
async fn a_tool_is_told_at_once_whatever_the_caller_says_meanwhile() {
    let mut line = Line::open(Speculation::Full).await;
    let held = line.booked_later();
    let mut phone = line.asked_for_a_yes("CA1").await;
    let gate = Gate::default();
    line.server
        .stt
        .give([Order::Hear("Yes.".to_owned()), Order::Wait(gate.clone())]);
    phone.say().await;
    asks_for_a_moment(&mut phone).await;
    line.api.arrival().await;
    let jobs = line.server.stt.jobs().len();
    // What they say now may go on, so nothing of it is told yet.
    phone.frames(&[voice(400), silence(140)].concat()).await;
    until("it is transcribed", || line.server.stt.jobs().len() > jobs).await;
    held.send_replace(true);
    let told = phone.until("the tool's event", |seen| match seen {
        Seen::Event(TraceEvent::Tool { tool, outcome, .. }) => Some((tool.clone(), outcome.clone())),
        Seen::Event(_) | Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
    });
    assert_eq!(told.await, ("book".to_owned(), "ok".to_owned()));
    gate.open();
    phone.hang_up().await;
}

#[tokio::test]
async fn today_is_the_day_of_the_time_zone() {
    // Their clocks are 26 hours apart.
    let zones = ["Pacific/Kiritimati", "Etc/GMT+12"].map(|zone| TimeZone::get(zone).expect("a zone"));
    for zone in zones {
        let api = HttpServer::start().await;
        let server = TestServer::start(Setup {
            agent: Some(booking(&api).replace("The code is {{ code }}.", "It is {{ today }}.")),
            time_zone: zone.clone(),
            ..Setup::default()
        })
        .await;
        let today = || Timestamp::now().to_zoned(zone.clone()).date().to_string();
        let before = today();
        server.stt.hear(&["I want to book a visit"]);
        let mut phone = Phone::greeted(&server, "CA1").await;
        phone.exchange().await;
        for key in "1234#".chars() {
            phone.dtmf(key).await;
        }
        let heard = phone.turn().await.heard;
        assert!([before, today()].iter().any(|day| heard.contains(day)), "{heard}");
        phone.hang_up().await;
    }
}

#[tokio::test]
async fn whoever_hangs_up_before_a_tool_runs_is_found_by_the_id_they_gave() {
    let line = Line::open(Speculation::Off).await;
    let file = booking(&line.api)
        .replace("name = \"code\"", "name = \"customer_number\"")
        .replace("[\"code\"]", "[\"customer_number\"]")
        .replace("properties.code", "properties.customer_number")
        .replace("{{ code }}", "{{ customer_number }}");
    line.answered_by(&file);
    line.asked_for_a_yes("CA1").await.hang_up().await;
    let poll = async {
        let mut pace = pace(Duration::from_millis(5));
        loop {
            let found = line.store.belongings(Person::Customer("1234")).await.expect("readable");
            if found.calls().any(|call| call == "CA1") {
                return;
            }
            pace.tick().await;
        }
    };
    soon("the call among the customer's", poll).await;
    assert!(line.written("CA1", 3).await.tool_runs.is_empty());
    let other = line.store.belongings(Person::Customer("1235")).await.expect("readable");
    assert_eq!(other.calls().count(), 0);
}

#[tokio::test]
async fn a_new_staff_is_for_new_calls() {
    let line = Line::open(Speculation::Off).await;
    let mut old = Phone::greeted(&line.server, "CA1").await;
    let file = booking(&line.api)
        .replace("What is the code?", "Which code?")
        .replace("Hello from", "Welcome to");
    line.answered_by(&file);
    line.server.stt.hear(&["I want to book", "I want to book"]);
    assert_eq!(old.exchange().await.heard, "What is the code?");
    let mut new = Phone::call(&line.server, "CA2").await;
    assert_eq!(new.turn().await.heard, "Welcome to the booking line.");
    assert_eq!(new.exchange().await.heard, "Which code?");
    old.hang_up().await;
    new.hang_up().await;
}
