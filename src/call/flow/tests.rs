//! The flow as a table: events, and what is done about each.

use super::*;
use crate::dialog::agent::parse;

const AGENT: &str = r#"
name = "desk"
greeting = "Hello."
system_prompt = "Be brief."
notice = "Calls are recorded."

[phrases]
closed = "Closed."
goodbye = "Bye."
hand_over = "A person."
wrong_key = "Wrong key."
leave_message = "Leave one."
message_kept = "Kept."
message_empty = "Nothing."
message_lost = "Lost."

[line.hours]
time_zone = "UTC"
open = ["mon-fri 09:00-17:00"]
then = "voicemail"

[line.menu]
say = "Menu."
keys = { 1 = "billing", 2 = "voicemail", 3 = "hand-over", 9 = "end", "*" = "repeat" }
wait = "4s"
rounds = 2

[line.voicemail]
max = "30s"
silence = "3s"
"#;

struct Run(Flow);

impl Run {
    fn of(text: &str, open: bool) -> Self {
        let agent = Arc::new(parse(text, "x").unwrap_or_else(|error| panic!("{error}")));
        Self(Flow::new(&agent, open, false).expect("a flow"))
    }

    /// What is done about some events.
    fn does(&mut self, events: &[Event], expected: &[Act]) -> &mut Self {
        for event in events {
            self.0.handle(*event);
        }
        let acts: Vec<Act> = std::iter::from_fn(|| self.0.poll()).collect();
        assert_eq!(acts, expected, "after {events:?}");
        self
    }

    fn at_the_menu() -> Self {
        let mut run = Self::of(AGENT, true);
        run.does(&[Event::Begin], &[say("Calls are recorded.")]);
        run.does(&[Event::Heard], &[say("Menu.")]);
        run
    }

    fn recording() -> Self {
        let mut run = Self::of(AGENT, false);
        run.does(&[Event::Begin], &[say("Calls are recorded.")]);
        run.does(&[Event::Heard], &[say("Closed."), say("Leave one.")]);
        run.does(&[Event::Heard], &[Act::Tone]);
        run.does(&[Event::Heard], &[Act::Record]);
        run
    }
}

fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

fn audio(ms: u64, voiced: bool) -> Event {
    Event::Audio {
        samples: ms * 8,
        voiced,
    }
}

#[test]
fn a_key_chooses_who_answers() {
    Run::at_the_menu().does(&[Event::Key('1')], &[Act::Hush, Act::Answer("billing".to_owned())]);
    Run::at_the_menu()
        .does(&[Event::Heard], &[Act::Wait(Duration::from_secs(4))])
        .does(&[Event::Key('3')], &[Act::Hush, Act::HandOver]);
    Run::at_the_menu()
        .does(&[Event::Key('9')], &[Act::Hush, say("Bye.")])
        .does(&[Event::Key('1')], &[])
        .does(&[Event::Heard], &[Act::End(Ended::Menu)])
        .does(&[Event::Heard, Event::Key('1'), Event::Waited], &[]);
}

#[test]
fn who_presses_nothing_gets_the_default_after_a_while() {
    let wait = [Act::Wait(Duration::from_secs(4))];
    Run::at_the_menu()
        .does(&[Event::Heard], &wait)
        .does(&[Event::Waited], &[say("Menu.")])
        .does(&[Event::Heard], &wait)
        .does(&[Event::Waited], &[Act::Answer("desk".to_owned())]);
    let elsewhere = AGENT.replace("rounds = 2", "rounds = 1\ndefault = \"hand-over\"");
    let mut run = Run::of(&elsewhere, true);
    run.does(&[Event::Begin], &[say("Calls are recorded.")]);
    run.does(&[Event::Heard], &[say("Menu.")]).does(&[Event::Heard], &wait);
    run.does(&[Event::Waited], &[Act::HandOver]);
}

#[test]
fn a_wrong_key_is_told_and_the_menu_has_an_end() {
    Run::at_the_menu()
        .does(&[Event::Key('7')], &[Act::Hush, say("Wrong key."), say("Menu.")])
        .does(
            &[Event::Key('#')],
            &[Act::Hush, say("Wrong key."), Act::Answer("desk".to_owned())],
        );
    let mut run = Run::at_the_menu();
    for _ in 1..MAX_PROMPTS {
        run.does(&[Event::Key('*')], &[Act::Hush, say("Menu.")]);
    }
    run.does(&[Event::Key('*')], &[Act::Hush, Act::Answer("desk".to_owned())]);
}

#[test]
fn keys_do_not_stop_the_notice_and_count_after_it() {
    let mut run = Run::of(AGENT, true);
    run.does(&[Event::Begin], &[say("Calls are recorded.")]);
    run.does(&[Event::Key('7'), Event::Key('1')], &[]);
    run.does(&[Event::Heard], &[Act::Hush, Act::Answer("billing".to_owned())]);
}

#[test]
fn a_closed_line_says_so() {
    let end = AGENT
        .replace("then = \"voicemail\"", "")
        .replace("notice = \"Calls are recorded.\"", "");
    Run::of(&end, false)
        .does(&[Event::Begin], &[say("Closed."), say("Bye.")])
        .does(&[Event::Key('1')], &[])
        .does(&[Event::Heard], &[Act::End(Ended::Closed)]);
    let night = AGENT.replace("then = \"voicemail\"", "then = \"night\"");
    Run::of(&night, false)
        .does(&[Event::Begin], &[say("Calls are recorded.")])
        .does(&[Event::Heard], &[Act::Answer("night".to_owned())]);
}

#[test]
fn without_hours_and_menu_the_agent_answers_at_once() {
    let plain = "name = \"a\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n";
    for (text, open, flows) in [
        (plain.to_owned(), true, false),
        (
            format!("{plain}[line]\nblocked = ['withheld']\n[line.queue]\n"),
            true,
            false,
        ),
        (
            format!("{plain}[line.hours]\ntime_zone = 'UTC'\nopen = []\n"),
            true,
            false,
        ),
        (
            format!("{plain}[line.hours]\ntime_zone = 'UTC'\nopen = []\n"),
            false,
            true,
        ),
    ] {
        let agent = Arc::new(parse(&text, "x").unwrap_or_else(|error| panic!("{error}")));
        assert_eq!(Flow::new(&agent, open, false).is_some(), flows, "{text}");
    }
}

#[test]
fn a_message_ends_with_the_pound_key_silence_or_its_limit() {
    Run::recording()
        .does(&[audio(1_000, true), Event::Key('5')], &[])
        .does(&[Event::Key('#')], &[Act::Keep])
        .does(&[Event::Key('#'), audio(20, true)], &[])
        .does(&[Event::Kept(true)], &[say("Kept."), say("Bye.")])
        .does(&[Event::Heard], &[Act::End(Ended::Voicemail)]);
    Run::recording()
        .does(&[audio(2_980, false), audio(400, true), audio(2_980, false)], &[])
        .does(&[audio(20, false)], &[Act::Keep])
        .does(&[Event::Kept(false)], &[say("Lost."), say("Bye.")])
        .does(&[Event::Heard], &[Act::End(Ended::MessageLost)]);
    let mut run = Run::recording();
    for _ in 0..29 {
        run.does(&[audio(1_000, true)], &[]);
    }
    run.does(&[audio(980, true)], &[])
        .does(&[audio(20, true)], &[Act::Keep]);
}

#[test]
fn nothing_said_is_no_message() {
    Run::recording()
        .does(&[audio(180, true), audio(2_980, false)], &[])
        .does(&[audio(20, false)], &[say("Nothing."), say("Bye.")])
        .does(&[Event::Heard], &[Act::End(Ended::NoMessage)]);
    Run::recording().does(&[audio(180, true), Event::Gone], &[]);
    Run::recording().does(&[audio(200, true), Event::Gone], &[Act::Keep]);
    Run::at_the_menu().does(&[Event::Gone], &[]);
}

#[test]
fn the_greeting_can_be_skipped_by_a_key() {
    Run::at_the_menu()
        .does(&[Event::Key('2')], &[Act::Hush, say("Leave one.")])
        .does(&[Event::Key('#')], &[Act::Hush, Act::Tone])
        .does(&[Event::Key('#')], &[])
        .does(&[Event::Heard], &[Act::Record]);
}

mod random {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Heard),
            Just(Event::Waited),
            Just(Event::Gone),
            Just(Event::Unsaid),
            any::<bool>().prop_map(Event::Kept),
            any::<Option<bool>>().prop_map(Event::Said),
            prop::sample::select(vec!['1', '2', '3', '7', '9', '*', '#']).prop_map(Event::Key),
            (1_u64..4_000, any::<bool>()).prop_map(|(ms, voiced)| audio(ms, voiced)),
        ]
    }

    proptest! {
        /// Whatever happens, a call is answered or ended once, keeps one message at most, and nothing is said afterwards.
        #[test]
        fn every_call_comes_to_one_end(open in any::<bool>(), asks in any::<bool>(), events in prop::collection::vec(event(), 0..60)) {
            let text = if asks { recorded(ASKS) } else { AGENT.to_owned() };
            let agent = Arc::new(parse(&text, "x").expect("a good file"));
            let mut flow = Flow::new(&agent, open, asks).expect("a flow");
            flow.handle(Event::Begin);
            let (mut ends, mut kept, mut begun, mut consents) = (0, 0, 0, 0);
            // At the end everybody is patient, and hangs on.
            let patient = std::iter::repeat_n([Event::Heard, Event::Waited, audio(4_000, false), Event::Kept(true)], 40);
            for event in events.into_iter().chain(patient.flatten()) {
                flow.handle(event);
                while let Some(act) = flow.poll() {
                    prop_assert_eq!(ends, 0, "{:?} after the end", act);
                    match act {
                        Act::Answer(_) | Act::HandOver | Act::End(_) => ends += 1,
                        Act::Keep => kept += 1,
                        Act::Record => begun += 1,
                        Act::Consent(_) => consents += 1,
                        Act::Say(_) | Act::Hush | Act::Tone | Act::Wait(_) | Act::Listen => {}
                    }
                }
            }
            prop_assert_eq!(ends, 1);
            prop_assert!(kept <= begun && begun <= 1);
            prop_assert_eq!(consents, u32::from(asks));
        }
    }
}

/// The desk whose calls are recorded, if the server records any.
fn recorded(consent: &str) -> String {
    format!("{AGENT}\n[recording]\nnotice = \"Recorded.\"\n{consent}")
}

const ASKS: &str = "consent = \"ask\"\nquestion = \"May we?\"\n";

impl Run {
    fn recorded(text: &str) -> Self {
        let agent = Arc::new(parse(text, "x").unwrap_or_else(|error| panic!("{error}")));
        Self(Flow::new(&agent, true, true).expect("a flow"))
    }

    fn asked() -> Self {
        let mut run = Self::recorded(&recorded(ASKS));
        let texts = [say("Calls are recorded."), say("Recorded."), say("May we?")];
        run.does(&[Event::Begin], &texts);
        run
    }
}

fn given(yes: bool, keyed: bool) -> [Act; 3] {
    [Act::Hush, Act::Consent(Answer::Given { yes, keyed }), say("Menu.")]
}

const AWAIT: [Act; 2] = [Act::Listen, Act::Wait(ANSWER)];

#[test]
fn callers_are_told_before_anything_is_recorded() {
    let told = Act::Consent(Answer::Told);
    let mut run = Run::recorded(&recorded(""));
    run.does(&[Event::Begin], &[say("Calls are recorded."), say("Recorded.")]);
    run.does(&[Event::Heard], &[told.clone(), say("Menu.")]);
    // A key that was pressed meanwhile is one of the menu.
    let mut run = Run::recorded(&recorded(""));
    run.does(
        &[Event::Begin, Event::Key('1')],
        &[say("Calls are recorded."), say("Recorded.")],
    );
    run.does(
        &[Event::Heard],
        &[told.clone(), Act::Hush, Act::Answer("billing".to_owned())],
    );
    // Without a line the agent answers at once, and nothing is said where nothing is recorded.
    let plain = "name = \"desk\"\ngreeting = \"Hello.\"\nsystem_prompt = \"x\"\n[recording]\nnotice = \"Recorded.\"\n";
    let agent = Arc::new(parse(plain, "x").unwrap_or_else(|error| panic!("{error}")));
    assert!(Flow::new(&agent, true, false).is_none());
    let mut run = Run::recorded(plain);
    run.does(&[Event::Begin], &[say("Recorded.")]);
    run.does(&[Event::Heard], &[told, Act::Answer("desk".to_owned())]);
}

#[test]
fn a_caller_who_is_asked_answers_by_voice_or_key() {
    for yes in [true, false] {
        Run::asked()
            .does(&[Event::Heard], &AWAIT)
            .does(&[Event::Said(Some(yes))], &given(yes, false));
        let key = Event::Key(if yes { '1' } else { '2' });
        Run::asked()
            .does(&[Event::Heard], &AWAIT)
            .does(&[key], &given(yes, true));
        // Over the question.
        Run::asked().does(&[key], &[]).does(&[Event::Heard], &given(yes, true));
    }
}

#[test]
fn who_gives_no_answer_is_asked_again_and_then_not_recorded() {
    let again = [Act::Hush, say("May we?")];
    let none = [Act::Hush, Act::Consent(Answer::None), say("Menu.")];
    for unclear in [Event::Waited, Event::Said(None), Event::Key('7')] {
        Run::asked()
            .does(&[Event::Heard], &AWAIT)
            .does(&[unclear], &again)
            .does(&[Event::Heard], &AWAIT)
            .does(&[unclear], &none);
    }
    // The second time somebody answers over the question.
    Run::asked()
        .does(&[Event::Heard], &AWAIT)
        .does(&[Event::Waited], &again)
        .does(&[Event::Key('5')], &[])
        .does(&[Event::Key('2')], &given(false, true));
}

#[test]
fn a_notice_or_a_question_without_audio_is_no_consent() {
    let none = Act::Consent(Answer::None);
    let mut run = Run::recorded(&recorded(""));
    run.does(&[Event::Begin], &[say("Calls are recorded."), say("Recorded.")]);
    run.does(&[Event::Unsaid, Event::Heard], &[none.clone(), say("Menu.")]);
    for key in [None, Some('1')] {
        let mut run = Run::asked();
        run.does(&key.map(Event::Key).into_iter().collect::<Vec<_>>(), &[]);
        run.does(&[Event::Unsaid, Event::Heard], &[none.clone(), say("Menu.")]);
    }
    Run::asked()
        .does(&[Event::Heard], &AWAIT)
        .does(&[Event::Waited], &[Act::Hush, say("May we?")])
        .does(&[Event::Unsaid, Event::Heard], &[Act::Hush, none, say("Menu.")]);
}
