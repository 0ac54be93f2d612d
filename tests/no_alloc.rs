//! The audio path allocates nothing per frame.
//!
//! Counted: every call of Rust's global allocator on the thread of the test. Not counted: C code's own `malloc`
//! (webrtc-vad allocates when it is created, not per window), and the text message itself, which the WebSocket made.
#![expect(
    unsafe_code,
    reason = "only a global allocator can count allocations, and implementing one is unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use tieline::audio::mulaw;
use tieline::audio::resample::Resampler;
use tieline::call::codec::Codec;
use tieline::call::inbound::Inbound;
use tieline::call::outbound::Outbound;
use tieline::call::recording::tap_into;
use tieline::call::socket::{Outgoing, Received};
use tieline::engine::LineAudio;
use tieline::privacy::chunks::ChunkWriter;
use tieline::privacy::seal::DataKey;
use tieline::speech::WINDOW;
use tieline::speech::ear::Ear;
use tieline::speech::webrtc::WebRtcVad;
use tieline::time::SampleRate;
use tieline::turn::event::{Action, Input, MarkName, SentenceId, TurnId, Voice};
use tieline::turn::machine::{Machine, Phrases};
use tieline::turn::policy::Policy;
use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::Outbound as Encoder;

#[path = "../benches/support/start.rs"]
mod beginning;
#[path = "../benches/support/message.rs"]
mod message;

/// The system's allocator, counting what each thread asks of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    // Neither lazily made nor dropped, so that reading it inside the allocator allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` unchanged, and counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let result = work();
    (ALLOCATIONS.get() - before, result)
}

/// What the driver holds and does for each message, without its socket.
struct Call {
    codec: Codec,
    inbound: Inbound,
    machine: Machine,
    windows: Vec<Voice>,
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
        let mut call = Self {
            codec: Codec::new(Dialect::Twilio, &beginning::start()).expect("our format"),
            inbound: Inbound::new(Ear::new(Box::new(WebRtcVad::new(2)), None), 75),
            machine: Machine::new(Policy::default(), phrases),
            windows: Vec::new(),
            now: start(),
        };
        call.machine.handle(Input::Start, call.now);
        call
    }

    /// As `call::driver` does it. How many actions came of it, and how many windows were voiced.
    fn message(&mut self, text: &str) -> (usize, usize) {
        self.now += Duration::from_millis(20);
        self.windows.clear();
        let Received::Audio(audio) = self.codec.read(text) else {
            panic!("not media")
        };
        self.inbound.take(audio, &mut self.windows);
        for n in 0..self.windows.len() {
            let input = Input::Window {
                voice: self.windows[n],
                samples: WINDOW as u32,
            };
            self.machine.handle(input, self.now);
        }
        self.inbound.discard_before(self.machine.needed_from());
        if self
            .machine
            .poll_timeout(self.now)
            .is_some_and(|(at, _)| at <= self.now)
        {
            self.machine.handle_timeout(self.now);
        }
        let actions = std::iter::from_fn(|| self.machine.poll_action()).count();
        (
            actions,
            self.windows.iter().filter(|&&voice| voice == Voice::Sure).count(),
        )
    }
}

/// A vowel-like buzz that the detector takes for speech, `seconds` long.
fn buzz(seconds: usize) -> impl Iterator<Item = i16> {
    (0..seconds * 8_000).map(|n| {
        let phase = n as f32 / 8_000.0 * std::f32::consts::TAU;
        let wave: f32 = (1..12).map(|k| (130.0 * k as f32 * phase).sin() / k as f32).sum();
        // Syllables: a steady tone would become the detector's idea of noise.
        let syllable = (4.0 * phase).sin().abs();
        mulaw::to_i16(0.2 * wave * syllable)
    })
}

#[test]
fn sealing_a_recording_allocates_nothing_per_frame() {
    let key = DataKey::random("call/CA1");
    let mut writer = ChunkWriter::new(std::io::sink(), &key, "CA1").expect("begun");
    // Ten minutes of both sides.
    let (count, ()) = allocations(|| {
        for _ in 0..30_000 {
            writer.write(&[0x5A; 640]).expect("written");
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_recording_costs_the_audio_loop_no_allocation() {
    let key = DataKey::random("call/CA1");
    let (mut tap, thread) = tap_into(std::io::sink(), &key).expect("a thread");
    let start = start();
    let (caller, agent) = ([1_000_i16; 160], [0x5A_u8; 160]);
    // Ten minutes of both sides, faster than they are written: full, it allocates nothing either.
    let (count, ()) = allocations(|| {
        for n in 0..30_000_u64 {
            let now = start + Duration::from_millis(20 * n);
            tap.caller(&caller, n % 1_000 == 999, now);
            tap.agent(&agent, now);
        }
    });
    // Once in its life: the waiting side's place in the queue, and the warning that some of it is lost.
    assert!(count <= 40, "{count} allocations in 60,000 pieces");
    drop(tap);
    thread.join().expect("no panic").expect("written");
}

#[test]
fn a_frame_of_the_caller_allocates_nothing() {
    let (quiet, spoken) = (6 * 50, 20 * 50);
    let speech: Vec<i16> = std::iter::repeat_n(0, 6 * 8_000).chain(buzz(20)).collect();
    let messages = message::media_messages(&speech);
    assert_eq!(messages.len(), quiet + spoken);
    let mut call = Call::new("");
    // Warm-up: the start of the call, which has actions, and one frame, for which `windows` grows.
    while call.machine.poll_action().is_some() {}
    call.message(&messages[0]);

    let (mut voiced, mut actions) = (0, 0);
    for (n, text) in messages.iter().enumerate().skip(1) {
        let (count, (acted, heard)) = allocations(|| call.message(text));
        assert_eq!(count, 0, "frame {n}");
        voiced += heard;
        actions += acted;
    }
    // It was not idleness: the 20 s were heard as one turn that goes on. The dips of a buzz without a pause count as noise.
    assert!(voiced > spoken * 6 / 10, "{voiced} windows of {spoken} were voiced");
    assert_eq!(actions, 0, "the turn must not have ended");
}

#[test]
fn a_frame_of_the_caller_allocates_nothing_while_the_agent_speaks() {
    let messages = message::media_messages(&vec![0; 30 * 8_000]);
    let mut call = Call::new("Hello.");
    let Some(Action::Synthesize { sentence, .. }) = call.machine.poll_action() else {
        panic!("no greeting")
    };
    let samples = 60 * 8_000;
    call.machine.handle(
        Input::Synthesized {
            sentence,
            samples,
            words: [].into(),
        },
        call.now,
    );
    while call.machine.poll_action().is_some() {}
    // Warm-up: as above, and the first audio action.
    for text in &messages[..10] {
        call.message(text);
    }
    let mut actions = 0;
    for (n, text) in messages.iter().enumerate().skip(10) {
        let (count, (acted, _)) = allocations(|| call.message(text));
        assert_eq!(count, 0, "frame {n}");
        actions += acted;
    }
    assert!(actions > 300, "{actions} messages were due");
}

#[test]
fn sending_audio_allocates_nothing_and_a_mark_a_little() {
    let (mut outbound, mut codec) = (
        Outbound::default(),
        Codec::new(Dialect::Twilio, &beginning::start()).expect("our format"),
    );
    let sentence: LineAudio = vec![0x5A; 8_000 * 10].into();
    // Warm-up: the first message is the longest, the whole lead.
    outbound.queue(LineAudio::clone(&sentence));
    codec.write(Outgoing::Audio(outbound.next(3_200)));
    for samples in std::iter::repeat_n(480, 100) {
        let (count, length) = allocations(|| codec.write(Outgoing::Audio(outbound.next(samples)))[0].len());
        assert_eq!((count, length > 640), (0, true));
    }
    // Once per sentence: the mark's name.
    let name = MarkName {
        epoch: 0,
        sentence: SentenceId {
            turn: TurnId(1),
            index: 0,
        },
    };
    let (count, _) = allocations(|| codec.write(Outgoing::Mark(name))[0].len());
    assert!((1..=2).contains(&count), "{count} allocations for a mark");
    // Once per reply that is interrupted.
    assert_eq!(allocations(|| codec.write(Outgoing::Clear)[0].len()).0, 0);
}

#[test]
fn encoding_a_block_of_speech_allocates_nothing() {
    let mut resampler = Resampler::new(SampleRate::hz(22_050), SampleRate::LINE).expect("valid");
    let encoder = Encoder::new(Dialect::Twilio, "MZ1");
    let (mut line, mut bytes, mut text) = (Vec::new(), Vec::new(), String::new());
    let mut encode = |block: &[f32]| {
        line.clear();
        bytes.clear();
        text.clear();
        resampler.push(block, &mut line);
        mulaw::encode_f32_into(&line, &mut bytes);
        encoder.media(&bytes, &mut text);
        text.len()
    };
    let block = [0.25; 441];
    // Warm-up: one block, for which the buffers grow.
    encode(&block);
    for _ in 0..500 {
        assert_eq!(allocations(|| encode(&block)).0, 0);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a simulated clock needs some instant to start from"
)]
fn start() -> Instant {
    Instant::now()
}
