//! What turn-taking costs per window, with everything the driver asks of the machine after one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::turn::event::{Action, Input, Voice};
use tieline::turn::machine::{Machine, Phrases};
use tieline::turn::policy::Policy;

/// A call with its own clock, 20 ms a step.
struct Call {
    machine: Machine,
    now: Instant,
}

impl Call {
    fn new(greeting: &str) -> Self {
        let phrases = Phrases {
            greeting: greeting.to_owned(),
            apology: "Sorry.".to_owned(),
            not_heard: "Pardon?".to_owned(),
            too_long: "Goodbye.".to_owned(),
            ..Phrases::default()
        };
        // A measurement takes days of media time; no turn and no call may end in it.
        let policy = Policy {
            max_turn: FOREVER,
            max_call: FOREVER,
            silence_prompt: FOREVER,
            ..Policy::default()
        };
        let mut call = Self {
            machine: Machine::new(policy, phrases),
            now: start(),
        };
        call.machine.handle(Input::Start, call.now);
        call
    }

    fn step(&mut self, voice: Voice) -> usize {
        self.now += Duration::from_millis(20);
        self.machine.handle(Input::Window { voice, samples: 160 }, self.now);
        black_box(self.machine.needed_from());
        let due = self.machine.poll_timeout(self.now);
        if due.is_some_and(|(at, _)| at <= self.now) {
            self.machine.handle_timeout(self.now);
        }
        std::iter::from_fn(|| self.machine.poll_action()).count()
    }
}

fn machine(c: &mut Criterion) {
    let mut call = Call::new("");
    c.bench_function("machine/idle", |b| b.iter(|| call.step(black_box(Voice::Silent))));

    let mut call = Call::new("");
    c.bench_function("machine/hearing", |b| b.iter(|| call.step(black_box(Voice::Sure))));

    let mut call = Call::new("Hello.");
    let Some(Action::Synthesize { sentence, .. }) = call.machine.poll_action() else {
        unreachable!("the greeting is synthesised first")
    };
    // A sentence that outlasts any measurement.
    let samples = 160 << 40;
    call.machine.handle(
        Input::Synthesized {
            sentence,
            samples,
            words: [].into(),
        },
        call.now,
    );
    c.bench_function("machine/replying_with_playout", |b| {
        b.iter(|| call.step(black_box(Voice::Silent)));
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "a simulated clock needs some instant to start from"
)]
fn start() -> Instant {
    Instant::now()
}

const FOREVER: Duration = Duration::from_secs(1 << 32);

criterion_group!(benches, machine);
criterion_main!(benches);
