//! What happens to a call before an agent answers it: notice, opening hours, menu, message. Pure: events in, acts out.
//!
//! ```text
//! Notice ──▶ (may it be recorded?) ──▶ Prompt ⇄ Choosing ──▶ (an agent)
//!    └─ closed ────────┴──▶ Greeting ──▶ Tone ──▶ Recording ──▶ Keeping ──▶ Last words
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::dialog::agent::{Agent, Choice, Consent, Line, Way};
use crate::time::SampleRate;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The stream is live.
    Begin,
    /// All that was to be said was heard.
    Heard,
    /// Something of it has no audio; [`Event::Heard`] follows all the same.
    Unsaid,
    /// The caller has pressed a key.
    Key(char),
    /// The time of [`Act::Wait`] is over.
    Waited,
    /// Caller audio, while it is recorded.
    Audio {
        /// Line-rate samples.
        samples: u64,
        /// Whether they hold speech.
        voiced: bool,
    },
    /// What the caller has said after [`Act::Listen`]: yes, no, or nothing that could be made out.
    Said(Option<bool>),
    /// The recording was written down, or could not be.
    Kept(bool),
    /// The caller or the line is gone.
    Gone,
}

/// What to do about it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Say this behind what is being said; [`Event::Heard`] follows when all was heard.
    Say(String),
    /// Stop speaking.
    Hush,
    /// Play the tone behind what is being said.
    Tone,
    /// Send [`Event::Waited`] after this time, unless the caller presses a key before.
    Wait(Duration),
    /// Send [`Event::Said`] once the caller has said something.
    Listen,
    /// The caller knows that the call is recorded, or has answered the question.
    Consent(Answer),
    /// From here on the caller's audio is recorded.
    Record,
    /// The recording is over and is written down.
    Keep,
    /// The agent of this name answers.
    Answer(String),
    /// A person takes over.
    HandOver,
    /// The call ends.
    End(Ended),
}

/// What a caller says to being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// They were not asked: they have heard the notice.
    Told,
    /// Yes, or no; `keyed` on the keypad.
    Given {
        /// Whether they want it, or do not mind.
        yes: bool,
        /// Not by voice.
        keyed: bool,
    },
    /// Nothing that could be made out, though asked again; or what was to be heard first was not.
    None,
}

/// How a call ends that no agent answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The line is closed.
    Closed,
    /// The caller chose the end in the menu.
    Menu,
    /// A message was left.
    Voicemail,
    /// Nobody spoke after the tone.
    NoMessage,
    /// A message was left and could not be written down.
    MessageLost,
}

/// One call.
#[derive(Debug)]
pub struct Flow {
    agent: Arc<Agent>,
    line: Line,
    open: bool,
    state: State,
    /// How often the menu was followed by no key, or by a wrong one.
    misses: u8,
    /// How often it was said.
    prompts: u8,
    acts: VecDeque<Act>,
    /// This server records the calls of this agent.
    recorded: bool,
    /// The caller has not heard all of the notice, or of the question.
    untold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The notice is being said; nothing interrupts it, but a key pressed meanwhile counts afterwards.
    Notice {
        key: Option<char>,
    },
    /// The question whether the call may be recorded is being said again; a key answers it.
    Asking,
    /// It was said, and is to be answered.
    Answering {
        again: bool,
    },
    /// The menu is being said, or was and a key is waited for.
    Prompt,
    /// What precedes the tone is being said.
    Greeting,
    /// The tone is being played.
    Tone,
    Recording(Recording),
    /// The message is being written down.
    Keeping,
    /// The last words are being said.
    Last(Ended),
    /// Another takes it from here.
    Done,
}

/// In line samples, which is the caller's time and not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Recording {
    all: u64,
    voiced: u64,
    /// Since speech was heard last.
    silent: u64,
}

impl Flow {
    /// A call at a line that is open or closed now. `None` if there is nothing to do before the agent answers.
    /// `recorded`: this server records calls.
    pub fn new(agent: &Arc<Agent>, open: bool, recorded: bool) -> Option<Self> {
        let recorded = recorded && agent.recording.is_some();
        let line = agent.line.clone().unwrap_or_default();
        let needed = recorded || !open || line.menu.is_some();
        needed.then(|| Self {
            agent: Arc::clone(agent),
            line,
            open,
            state: State::Notice { key: None },
            misses: 0,
            prompts: 0,
            acts: VecDeque::new(),
            recorded,
            untold: false,
        })
    }

    /// One that does nothing but tell of the recording, or ask: for calls that no line receives.
    pub fn of_consent(agent: &Arc<Agent>) -> Option<Self> {
        let flow = Self::new(agent, true, true).filter(|flow| flow.recorded)?;
        Some(Self {
            line: Line::default(),
            ..flow
        })
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event) {
        match (self.state, event) {
            (State::Notice { .. }, Event::Begin) => self.tell(),
            (State::Notice { .. }, Event::Key(key)) => self.state = State::Notice { key: Some(key) },
            (State::Notice { .. } | State::Asking, Event::Unsaid) => self.untold = true,
            (State::Notice { key }, Event::Heard) => self.told(key),
            (State::Asking, Event::Key(key)) => self.answered(consent_of(key), true),
            (State::Answering { again }, Event::Key(key)) => match consent_of(key) {
                None => self.ask_again(again),
                yes => self.answered(yes, true),
            },
            (State::Asking, Event::Heard) if self.untold => self.settle(Answer::None),
            (State::Asking, Event::Heard) => self.await_answer(true),
            (State::Answering { .. }, Event::Said(Some(yes))) => self.answered(Some(yes), false),
            (State::Answering { again }, Event::Said(None) | Event::Waited) => self.ask_again(again),
            (State::Prompt, Event::Key(key)) => self.chosen(key),
            (State::Prompt, Event::Heard) => {
                let wait = self.line.menu.as_ref().map_or(Duration::ZERO, |menu| menu.wait);
                self.acts.push_back(Act::Wait(wait));
            }
            (State::Prompt, Event::Waited) => self.missed(),
            // Whoever knows the greeting need not hear it.
            (State::Greeting, Event::Key(_)) => {
                self.acts.push_back(Act::Hush);
                self.tone();
            }
            (State::Greeting, Event::Heard) => self.tone(),
            (State::Tone, Event::Heard) => {
                self.state = State::Recording(Recording::default());
                self.acts.push_back(Act::Record);
            }
            (State::Recording(recording), Event::Audio { samples, voiced }) => self.hear(recording, samples, voiced),
            (State::Recording(recording), Event::Key('#')) => self.recorded(recording),
            (State::Recording(recording), Event::Gone) if recording.has_words() => self.keep(),
            (State::Keeping, Event::Kept(true)) => {
                self.last(self.agent.phrases.message_kept.clone(), Ended::Voicemail);
            }
            (State::Keeping, Event::Kept(false)) => {
                self.last(self.agent.phrases.message_lost.clone(), Ended::MessageLost);
            }
            (State::Last(ended), Event::Heard) => {
                self.state = State::Done;
                self.acts.push_back(Act::End(ended));
            }
            // Out of turn: a key in last words, a late timer, audio that nobody records.
            _ => {}
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// What must be heard first.
    fn tell(&mut self) {
        let recording = self.agent.recording.as_ref().filter(|_| self.recorded);
        let recording = recording
            .into_iter()
            .flat_map(|recording| [&recording.notice, &recording.question]);
        let texts: Vec<String> = [&self.agent.notice].into_iter().chain(recording).cloned().collect();
        self.acts
            .extend(texts.into_iter().filter(|text| !text.is_empty()).map(Act::Say));
        if self.acts.is_empty() {
            self.proceed(None);
        }
    }

    /// It was heard; a key may have been pressed meanwhile.
    fn told(&mut self, key: Option<char>) {
        let recording = self.agent.recording.as_ref().filter(|_| self.recorded);
        match (recording.map(|recording| recording.consent), key.and_then(consent_of)) {
            (None, _) => self.proceed(key),
            // Nobody has agreed to what they have not heard.
            (Some(wanted), _) if self.untold => {
                self.acts.push_back(Act::Consent(Answer::None));
                // What answers the question is no key of the menu.
                self.proceed(key.filter(|_| wanted == Consent::Notice));
            }
            (Some(Consent::Notice), _) => {
                self.acts.push_back(Act::Consent(Answer::Told));
                self.proceed(key);
            }
            (Some(Consent::Ask), Some(yes)) => self.answered(Some(yes), true),
            (Some(Consent::Ask), None) => self.await_answer(false),
        }
    }

    fn await_answer(&mut self, again: bool) {
        self.state = State::Answering { again };
        self.acts.extend([Act::Listen, Act::Wait(ANSWER)]);
    }

    /// Nothing could be made of it.
    fn ask_again(&mut self, again: bool) {
        let question = self
            .agent
            .recording
            .as_ref()
            .map(|recording| recording.question.clone());
        match question.filter(|_| !again) {
            Some(question) => {
                self.state = State::Asking;
                self.acts.extend([Act::Hush, Act::Say(question)]);
            }
            None => self.settle(Answer::None),
        }
    }

    /// `None`: a key that says neither.
    fn answered(&mut self, yes: Option<bool>, keyed: bool) {
        if let Some(yes) = yes {
            self.settle(Answer::Given { yes, keyed });
        }
    }

    fn settle(&mut self, answer: Answer) {
        self.acts.extend([Act::Hush, Act::Consent(answer)]);
        self.proceed(None);
    }

    /// The notice was said.
    fn proceed(&mut self, key: Option<char>) {
        if !self.open {
            let way = self.line.hours.as_ref().map_or(Way::End, |hours| hours.then.clone());
            let closed = self.agent.phrases.closed.clone();
            if !matches!(way, Way::Agent(_)) {
                self.acts.push_back(Act::Say(closed));
            }
            return self.go(way, Ended::Closed);
        }
        if self.line.menu.is_none() {
            return self.go(Way::Agent(self.agent.name.clone()), Ended::Menu);
        }
        self.state = State::Prompt;
        match key {
            Some(key) => self.chosen(key),
            None => self.prompt(),
        }
    }

    fn prompt(&mut self) {
        self.prompts += 1;
        if let Some(menu) = &self.line.menu {
            self.acts.push_back(Act::Say(menu.say.clone()));
        }
    }

    fn chosen(&mut self, key: char) {
        self.acts.push_back(Act::Hush);
        let choice = self.line.menu.as_ref().and_then(|menu| menu.keys.get(&key));
        match choice.cloned() {
            Some(Choice::Go(way)) => self.go(way, Ended::Menu),
            Some(Choice::Repeat) if self.prompts < MAX_PROMPTS => self.prompt(),
            Some(Choice::Repeat) => self.give_up(),
            None => {
                self.acts.push_back(Act::Say(self.agent.phrases.wrong_key.clone()));
                self.missed();
            }
        }
    }

    /// No key that leads anywhere was pressed.
    fn missed(&mut self) {
        self.misses += 1;
        let rounds = self.line.menu.as_ref().map_or(0, |menu| menu.rounds);
        if self.misses < rounds && self.prompts < MAX_PROMPTS {
            self.prompt();
        } else {
            self.give_up();
        }
    }

    /// The call goes where calls without a key go.
    fn give_up(&mut self) {
        let default = self.line.menu.as_ref().and_then(|menu| menu.default.clone());
        let own = || Way::Agent(self.agent.name.clone());
        self.go(default.unwrap_or_else(own), Ended::Menu);
    }

    fn go(&mut self, way: Way, end: Ended) {
        let phrases = &self.agent.phrases;
        match way {
            Way::Agent(name) => {
                self.state = State::Done;
                self.acts.push_back(Act::Answer(name));
            }
            Way::Voicemail => {
                self.acts.push_back(Act::Say(phrases.leave_message.clone()));
                self.state = State::Greeting;
            }
            Way::HandOver => {
                self.acts.push_back(Act::HandOver);
                self.state = State::Done;
            }
            Way::End => {
                self.acts.push_back(Act::Say(phrases.goodbye.clone()));
                self.state = State::Last(end);
            }
        }
    }

    fn tone(&mut self) {
        self.acts.push_back(Act::Tone);
        self.state = State::Tone;
    }

    fn hear(&mut self, mut recording: Recording, samples: u64, voiced: bool) {
        recording.all += samples;
        if voiced {
            recording.voiced += samples;
            recording.silent = 0;
        } else {
            recording.silent += samples;
        }
        self.state = State::Recording(recording);
        let limits = &self.line.voicemail;
        let reached = |samples, limit| SampleRate::LINE.duration(samples) >= limit;
        if reached(recording.all, limits.max) || reached(recording.silent, limits.silence) {
            self.recorded(recording);
        }
    }

    /// The caller has finished.
    fn recorded(&mut self, recording: Recording) {
        if recording.has_words() {
            self.keep();
        } else {
            self.last(self.agent.phrases.message_empty.clone(), Ended::NoMessage);
        }
    }

    fn keep(&mut self) {
        self.acts.push_back(Act::Keep);
        self.state = State::Keeping;
    }

    fn last(&mut self, text: String, ended: Ended) {
        self.acts.push_back(Act::Say(text));
        self.acts.push_back(Act::Say(self.agent.phrases.goodbye.clone()));
        self.state = State::Last(ended);
    }
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Closed,
        Self::Menu,
        Self::Voicemail,
        Self::NoMessage,
        Self::MessageLost,
    ];

    /// Lower-case name for records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Menu => "goodbye",
            Self::Voicemail => "voicemail",
            Self::NoMessage => "no-message",
            Self::MessageLost => "message-lost",
        }
    }
}

impl Recording {
    /// Whether anything was said: a click is no message.
    fn has_words(self) -> bool {
        SampleRate::LINE.duration(self.voiced) >= WORD
    }
}

/// What a key says to being recorded.
fn consent_of(key: char) -> Option<bool> {
    match key {
        '1' => Some(true),
        '2' => Some(false),
        _ => None,
    }
}

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(6);
/// However often a caller asks for the menu, it is said no oftener.
const MAX_PROMPTS: u8 = 10;
/// The shortest message.
const WORD: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
