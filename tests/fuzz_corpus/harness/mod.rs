//! A random call: bytes decide the policy, what the caller does, and how engines and line answer, rightly or wrongly.
//!
//! The replay test and the fuzz target share it, see `fuzz/README.md`.

mod answers;
mod bytes;
mod line;
mod model;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tieline::turn::event::{Action, Input, MarkName, SentenceId, Timer, TurnId, Voice};
use tieline::turn::machine::Machine;
use tieline::turn::policy::Policy;

use bytes::Bytes;
use line::FRAME_SAMPLES;
use model::Model;

/// What a run came to. The same bytes give the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// Of every action, in order.
    pub(crate) hash: u64,
    /// Which actions there were, by [`kind`].
    pub(crate) kinds: u32,
    /// Which timers there were, by [`timer`].
    pub(crate) timers: u32,
    pub(crate) inputs: u32,
    /// Replies that were heard to their end.
    pub(crate) completed: u32,
}

/// Runs a call to its end and panics where a rule is broken. What happens is written into `trace`.
pub(crate) fn run(bytes: &[u8], trace: Option<&mut String>) -> Report {
    let mut bytes = Bytes::new(bytes);
    let mut call = Call::new(&mut bytes, trace);
    if bytes.next() != UNSTARTED {
        call.give(Input::Start);
    }
    for _ in 0..MOST_STEPS {
        if bytes.is_empty() {
            break;
        }
        call.step(&mut bytes);
    }
    call.come_to_rest();
    call.report.completed = call.model.completed;
    call.report
}

/// What the machine has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Transcript(TurnId),
    Judgement(TurnId),
    Reply(TurnId),
    Voice(SentenceId),
}

impl Ask {
    fn turn(self) -> TurnId {
        match self {
            Self::Transcript(turn) | Self::Judgement(turn) | Self::Reply(turn) => turn,
            Self::Voice(sentence) => sentence.turn,
        }
    }
}

struct Call<'a> {
    policy: Policy,
    machine: Machine,
    model: Model,
    base: Instant,
    now: Instant,
    open: Vec<Ask>,
    /// Answered or withdrawn; they may be answered all the same.
    past: Vec<Ask>,
    /// Marks that have been returned, or forgotten.
    old_marks: Vec<MarkName>,
    words: u32,
    report: Report,
    trace: Option<&'a mut String>,
}

impl<'a> Call<'a> {
    #[expect(clippy::disallowed_methods, reason = "virtual time needs some instant to count from")]
    fn new(bytes: &mut Bytes<'_>, trace: Option<&'a mut String>) -> Self {
        let (base, policy, phrases) = (Instant::now(), bytes.policy(), bytes.phrases());
        let mut call = Self {
            machine: Machine::new(policy.clone(), phrases.clone()),
            model: Model::new(policy.clone(), phrases, base),
            policy,
            base,
            now: base,
            open: Vec::new(),
            past: Vec::new(),
            old_marks: Vec::new(),
            words: 0,
            report: Report::default(),
            trace,
        };
        let policy = call.policy.clone();
        call.note('=', || format!("{policy:?}"));
        call
    }

    /// One choice of the bytes.
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let (op, arg) = (bytes.next(), bytes.next());
        match op % 16 {
            0..=3 => {
                let voice = [Voice::Silent, Voice::Sure, Voice::Maybe, Voice::Echo][usize::from(op % 4)];
                self.windows(voice, u32::from(arg % 64) + 1);
            }
            4 => {
                self.windows(Voice::Sure, 20 + u32::from(arg % 8) * 10);
                self.windows(Voice::Silent, 10 + u32::from(arg / 8));
            }
            5 => self.wait(Duration::from_millis(GAPS[usize::from(arg) % GAPS.len()])),
            // Nobody calls when a deadline has passed.
            6 => self.now += Duration::from_millis(GAPS[usize::from(arg) % GAPS.len()]),
            7 => self.time_out(),
            8..=10 if !self.open.is_empty() => {
                let ask = self.open[usize::from(arg) % self.open.len()];
                self.answer(ask, arg / 16, bytes);
            }
            11 if !self.past.is_empty() => {
                let ask = self.past[usize::from(arg) % self.past.len()];
                self.answer(ask, arg / 16, bytes);
            }
            12 => self.marks(arg),
            13 => self.forge(arg, bytes),
            14 => {
                let samples = [0, 1, 79, 240, 800, 8_000, 480_000, u32::MAX][usize::from(arg % 8)];
                let voice = [Voice::Silent, Voice::Sure, Voice::Maybe, Voice::Echo][usize::from(arg / 8 % 4)];
                self.give(Input::Window { voice, samples });
            }
            _ => self.answer_all(),
        }
    }

    fn windows(&mut self, voice: Voice, count: u32) {
        for _ in 0..count {
            self.wait(WINDOW);
            self.give(Input::Window {
                voice,
                samples: FRAME_SAMPLES as u32,
            });
        }
    }

    /// Lets time pass as the driver does: it calls at every deadline.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..MOST_DEADLINES {
            let Some((at, _)) = self.machine.poll_timeout(self.now).filter(|&(at, _)| at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.time_out();
        }
        panic!("more than {MOST_DEADLINES} deadlines within {time:?}");
    }

    fn time_out(&mut self) {
        if let Some((_, why)) = self.machine.poll_timeout(self.now).filter(|&(at, _)| at <= self.now) {
            self.report.timers |= 1 << timer(why);
            self.note('!', || format!("{why:?}"));
        }
        self.machine.handle_timeout(self.now);
        self.perform();
        self.model.timed_out(&self.machine, self.now);
    }

    fn give(&mut self, input: Input) {
        self.report.inputs += 1;
        self.note('<', || format!("{input:?}"));
        self.model.input(&input, self.now);
        self.machine.handle(input, self.now);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            self.report.kinds |= 1 << kind(&action);
            self.note('>', || format!("{action:?}"));
            self.model.action(&action, self.now);
            self.remember(&action);
        }
        self.model.settled(&self.machine, self.now);
    }

    /// Keeps the list of requests as the driver does.
    fn remember(&mut self, action: &Action) {
        let ask = match action {
            Action::Transcribe { turn, .. } => Ask::Transcript(*turn),
            Action::Judge { turn, .. } => Ask::Judgement(*turn),
            Action::Generate { turn } => Ask::Reply(*turn),
            Action::Synthesize { sentence, .. } => Ask::Voice(*sentence),
            Action::Cancel { turn } => return self.withdraw(|ask| ask.turn() == *turn),
            Action::Hush { turn } => return self.withdraw(|ask| matches!(ask, Ask::Voice(of) if of.turn == *turn)),
            Action::Commit { .. }
            | Action::Queue { .. }
            | Action::Send { .. }
            | Action::SendMark(_)
            | Action::Purge
            | Action::Clear
            | Action::TurnEnded(_)
            | Action::Hangup(_) => return,
        };
        self.open.push(ask);
    }

    fn withdraw(&mut self, of: impl Fn(Ask) -> bool) {
        let (gone, open) = self.open.drain(..).partition(|&ask| of(ask));
        self.open = open;
        self.past.extend::<Vec<_>>(gone);
        let surplus = self.past.len().saturating_sub(MOST_PAST);
        self.past.drain(..surplus);
    }

    /// However it went so far: with answers and silence the call calms down, and then a caller who speaks is answered.
    fn come_to_rest(&mut self) {
        self.give(Input::Start);
        if self.model.line.backlog(self.now) > LONG {
            self.give(Input::Stop);
        }
        let quiet = (self.policy.endpointing.max + Duration::from_secs(2)).as_millis() / WINDOW.as_millis();
        let mut calm = 0;
        for _ in 0..MOST_WINDOWS {
            calm = if self.model.is_busy() { 0 } else { calm + 1 };
            if self.model.over || calm > quiet {
                break;
            }
            self.windows(Voice::Silent, 1);
            self.answer_all();
        }
        assert!(self.model.over || calm > quiet, "the call does not come to rest");
        let (transcribed, completed) = (self.model.transcribed(), self.model.completed);
        for n in 0..MOST_WINDOWS {
            if self.model.over || (self.model.transcribed() > transcribed && self.model.completed > completed) {
                return;
            }
            // Longer than any onset, and than what interrupts a prompt.
            self.windows(if n < 200 { Voice::Sure } else { Voice::Silent }, 1);
            self.answer_all();
        }
        panic!("the caller speaks and is not answered");
    }

    fn note(&mut self, direction: char, what: impl FnOnce() -> String) {
        if direction != '>' && self.trace.is_none() {
            return;
        }
        let what = what();
        if direction == '>' {
            // Instants differ from run to run, and only the summary of a turn holds some.
            let stable = what.split("ledger").next().unwrap_or_default();
            for byte in stable.bytes() {
                self.report.hash = (self.report.hash ^ u64::from(byte)).wrapping_mul(FNV);
            }
        }
        let at = self.now.saturating_duration_since(self.base).as_secs_f64();
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{at:>9.3} {direction} {what}");
        }
    }
}

/// A number for each kind of action.
fn kind(action: &Action) -> u32 {
    match action {
        Action::Transcribe { .. } => 0,
        Action::Judge { .. } => 1,
        Action::Commit { .. } => 2,
        Action::Generate { .. } => 3,
        Action::Synthesize { .. } => 4,
        Action::Queue { .. } => 5,
        Action::Send { .. } => 6,
        Action::SendMark(_) => 7,
        Action::Purge => 8,
        Action::Clear => 9,
        Action::Hush { .. } => 10,
        Action::Cancel { .. } => 11,
        Action::TurnEnded(_) => 12,
        Action::Hangup(_) => 13,
    }
}

/// A number for each timer.
fn timer(timer: Timer) -> u32 {
    match timer {
        Timer::TranscribeDeadline => 0,
        Timer::ReplyDeadline => 1,
        Timer::SynthesizeDeadline => 2,
        Timer::Playout => 3,
        Timer::MarkOverdue => 4,
        Timer::Silence => 5,
        Timer::MaxCall => 6,
        Timer::MediaTimeout => 7,
    }
}

const WINDOW: Duration = Duration::from_millis(20);
/// Waits, in milliseconds: the default is long enough for something to happen.
const GAPS: &[u64] = &[500, 0, 1, 20, 100, 2_000, 6_000, 11_000, 130_000, 4_000_000];
/// The first byte after the policy that leaves the call unstarted for now.
const UNSTARTED: u8 = 0xFF;
const MOST_STEPS: usize = 250;
/// Of one wait. The shortest that comes again and again is the playout's, 60 ms.
const MOST_DEADLINES: usize = 100_000;
const MOST_PAST: usize = 16;
/// More queued audio than this is not played to its end.
const LONG: Duration = Duration::from_secs(60);
/// Five minutes.
const MOST_WINDOWS: usize = 15_000;
const FNV: u64 = 0x0100_0000_01b3;
