//! A recording against a carrier that is simulated in virtual time: its clock, its playing, its delays.

#![expect(
    clippy::disallowed_methods,
    reason = "a simulated clock needs some instant to start from"
)]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::tap::{Tap, Told};
use super::*;
use crate::privacy::chunks::ChunkReader;
use crate::privacy::seal::DataKey;
use crate::turn::event::{MarkName, SentenceId, TurnId};
use crate::turn::playout::{Playout, Step};

/// A recording whose thread is the test.
struct Recorder {
    tap: Tap,
    messages: Receiver<Message>,
    tape: Tape<Vec<u8>>,
    told: Arc<Told>,
    key: DataKey,
}

impl Recorder {
    fn new(room: usize) -> Self {
        let (sender, messages) = sync_channel(room);
        let told = Arc::new(Told::default());
        let (_, written) = oneshot::channel();
        let key = DataKey::random("call/CA1");
        let chunks = ChunkWriter::new(Vec::new(), &key, "id").expect("begun");
        Self {
            tap: Tap::new("CA1", sender, Arc::clone(&told), written),
            messages,
            tape: Tape::new(chunks).expect("begun"),
            told,
            key,
        }
    }

    fn drain(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.tape.take(message).expect("written");
        }
    }

    /// The text of the file.
    fn text(mut self) -> Vec<u8> {
        drop(self.tap);
        while let Ok(message) = self.messages.try_recv() {
            self.tape.take(message).expect("written");
        }
        let never = self.told.never.load(std::sync::atomic::Ordering::Relaxed);
        let (chunks, _) = self.tape.end(never).expect("written");
        let file = chunks.end().expect("ended");
        let reader = ChunkReader::new(&file[..], &self.key, "id").expect("a header");
        reader.read_to_end().expect("whole")
    }

    fn played(self) -> Played {
        play(&self.text()).expect("readable")
    }
}

#[derive(Clone, Copy)]
enum Sent {
    Audio(u8, usize),
    Mark(MarkName),
    Clear,
}

enum Arrives {
    Frame(u8),
    Mark(MarkName),
}

/// The line between, and what is true of it.
struct Carrier {
    start: Instant,
    ms: u64,
    recorder: Recorder,
    playout: Playout,
    /// Sentences that wait: what they are made of, and how many samples of them are left.
    queue: VecDeque<(u8, usize)>,
    sentence: u16,
    /// How long a frame of the carrier lasts by our clock.
    frame_us: u64,
    frames: u64,
    up: VecDeque<(u64, Arrives)>,
    down: VecDeque<(u64, Sent)>,
    buffer: VecDeque<Result<u8, MarkName>>,
    up_ms: fn(u64) -> u64,
    down_ms: fn(u64) -> u64,
    /// What was said and heard, by the carrier's clock.
    caller: Vec<u8>,
    agent: Vec<u8>,
}

impl Carrier {
    fn new(frame_us: u64, up_ms: fn(u64) -> u64, down_ms: fn(u64) -> u64) -> Self {
        Self {
            start: Instant::now(),
            ms: 0,
            recorder: Recorder::new(100_000),
            playout: Playout::new(Duration::from_millis(400)),
            queue: VecDeque::new(),
            sentence: 0,
            frame_us,
            frames: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            buffer: VecDeque::new(),
            up_ms,
            down_ms,
            caller: Vec::new(),
            agent: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.ms)
    }

    fn say(&mut self, byte: u8, samples: usize) {
        self.sentence += 1;
        self.playout.queue(self.id(), samples as u64);
        self.queue.push_back((byte, samples));
    }

    fn id(&self) -> SentenceId {
        SentenceId {
            turn: TurnId(1),
            index: self.sentence,
        }
    }

    fn barge_in(&mut self) {
        self.playout.clear();
        self.queue.clear();
        self.recorder.tap.cleared(self.now());
        self.send(Sent::Clear);
    }

    fn send(&mut self, sent: Sent) {
        let due = self.ms + (self.down_ms)(self.ms);
        let due = due.max(self.down.back().map_or(0, |(due, _)| *due));
        self.down.push_back((due, sent));
    }

    fn arrives(&mut self, what: Arrives) {
        let due = self.ms + (self.up_ms)(self.ms);
        let due = due.max(self.up.back().map_or(0, |(due, _)| *due));
        self.up.push_back((due, what));
    }

    /// One millisecond.
    fn step(&mut self) {
        self.ms += 1;
        self.serve();
        while let Some((_, sent)) = self.down.pop_front_if(|(due, _)| *due <= self.ms) {
            match sent {
                Sent::Audio(byte, samples) => self.buffer.extend(std::iter::repeat_n(Ok(byte), samples)),
                Sent::Mark(name) => self.buffer.push_back(Err(name)),
                Sent::Clear => {
                    let marks: Vec<MarkName> = self.buffer.drain(..).filter_map(Result::err).collect();
                    marks.into_iter().for_each(|name| self.arrives(Arrives::Mark(name)));
                }
            }
        }
        if self.frames * self.frame_us <= self.ms * 1_000 {
            self.tick();
        }
        while let Some((_, what)) = self.up.pop_front_if(|(due, _)| *due <= self.ms) {
            let now = self.now();
            match what {
                Arrives::Frame(byte) => {
                    self.recorder.tap.caller(&[mulaw::decode(byte); PIECE], false, now);
                }
                Arrives::Mark(name) => {
                    self.recorder.tap.marked(name);
                    self.playout.marked(name);
                }
            }
        }
        self.recorder.drain();
    }

    fn serve(&mut self) {
        let (now, mut steps) = (self.now(), Vec::new());
        self.playout.due(now, &mut steps);
        for step in steps {
            match step {
                Step::Audio(samples) => {
                    let (byte, left) = self.queue.front_mut().expect("a sentence");
                    let (byte, samples) = (*byte, samples as usize);
                    *left -= samples;
                    if *left == 0 {
                        self.queue.pop_front();
                    }
                    self.recorder.tap.agent(&vec![byte; samples], now);
                    self.send(Sent::Audio(byte, samples));
                }
                Step::Mark(name) => {
                    self.recorder.tap.mark_sent(name);
                    self.send(Sent::Mark(name));
                }
            }
        }
    }

    /// 20 ms at the carrier.
    fn tick(&mut self) {
        let byte = (self.frames % 120) as u8;
        self.frames += 1;
        self.caller.extend([byte; PIECE]);
        self.arrives(Arrives::Frame(byte));
        let mut played = 0;
        let full = self.agent.len() + PIECE;
        while let Some(next) = self.buffer.front().copied() {
            match next {
                Ok(byte) if played < PIECE => {
                    self.agent.push(byte);
                    played += 1;
                }
                Ok(_) => break,
                Err(name) => self.arrives(Arrives::Mark(name)),
            }
            self.buffer.pop_front();
        }
        self.agent.resize(full, mulaw::SILENCE);
    }

    fn run(&mut self, ms: u64) {
        (0..ms).for_each(|_| self.step());
    }
}

/// What is not silence: of what, from where, how long.
fn sounds(side: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut found: Vec<(u8, usize, usize)> = Vec::new();
    for (at, &byte) in side.iter().enumerate().filter(|(_, byte)| **byte != mulaw::SILENCE) {
        match found.last_mut() {
            Some((of, from, length)) if *of == byte && *from + *length == at => *length += 1,
            _ => found.push((byte, at, 1)),
        }
    }
    found
}

const FRAME: u64 = 20_000;

#[test]
fn in_half_an_hour_neither_side_drifts() {
    // The carrier's clock is 100 ppm slow; frames come up to 55 ms late, marks with them; nothing comes for 3 s, and all of it then.
    let up = |ms: u64| {
        let stalled = if (600_000..603_000).contains(&ms) {
            603_000 - ms
        } else {
            0
        };
        stalled.max(15 + ms * 7_919 % 41)
    };
    let down = |ms: u64| 20 + ms * 104_729 % 31;
    let mut carrier = Carrier::new(FRAME + 2, up, down);
    carrier.run(1_000);
    for n in 0..290_u64 {
        // Two sentences of two turns of phrase, on and off; each fourth time the second comes late, so that the line runs dry.
        carrier.say(1 + (n % 50) as u8, 16_000);
        carrier.run(if n % 4 == 0 { 2_600 } else { 700 });
        carrier.say(51 + (n % 50) as u8, 8_000);
        carrier.run(if n % 4 == 0 { 3_600 } else { 5_500 });
    }
    let (caller, agent) = (std::mem::take(&mut carrier.caller), std::mem::take(&mut carrier.agent));
    let seconds = caller.len() / 8_000;
    assert!(seconds > 1_790, "{seconds} s");
    let lost = carrier.recorder.told.lost.load(std::sync::atomic::Ordering::Relaxed);
    let played = carrier.recorder.played();
    assert_eq!((lost, played.ended), (0, true));
    // All but the last half second, which is on its way.
    let whole = caller.len() - 8_000;
    assert!(
        played.caller[..whole] == caller[..whole],
        "the caller's side is what was said, to the sample"
    );
    let (truth, found) = (sounds(&agent), sounds(&played.agent));
    assert_eq!(found.len(), truth.len());
    let worst = truth.iter().zip(&found).map(|(truth, found)| {
        assert_eq!((truth.0, truth.2), (found.0, found.2), "all of each sentence");
        truth.1.abs_diff(found.1)
    });
    let worst = worst.max().expect("sentences");
    assert!(worst <= PIECE, "off by {worst} samples");
}

#[test]
fn what_was_cleared_is_not_there() {
    let mut carrier = Carrier::new(FRAME, |_| 30, |_| 40);
    carrier.run(500);
    carrier.say(1, 8_000);
    carrier.run(2_000);
    // All of it is on the line within a second; the caller hears 730 ms of it.
    carrier.say(2, 24_000);
    carrier.say(3, 8_000);
    carrier.run(730);
    carrier.barge_in();
    carrier.run(1_000);
    carrier.say(4, 8_000);
    carrier.run(2_000);
    let agent = std::mem::take(&mut carrier.agent);
    let text = carrier.recorder.text();
    let (truth, found) = (sounds(&agent), sounds(&play(&text).expect("readable").agent));
    let bytes = |sounds: &[(u8, usize, usize)]| sounds.iter().map(|sound| sound.0).collect::<Vec<u8>>();
    assert_eq!((bytes(&truth), bytes(&found)), (vec![1, 2, 4], vec![1, 2, 4]));
    for (truth, found) in truth.iter().zip(&found) {
        let ends = (truth.1 + truth.2).abs_diff(found.1 + found.2);
        assert!(
            truth.1.abs_diff(found.1) <= PIECE && ends <= PIECE,
            "{truth:?}: {found:?}"
        );
    }
    // Nor is it in the file.
    let written = text.iter().filter(|byte| **byte == 2).count();
    assert!((5_600..6_400).contains(&written), "{written} samples of 24,000");
}

#[test]
fn keys_are_not_there_and_time_goes_on() {
    let mut carrier = Carrier::new(FRAME, |_| 30, |_| 40);
    carrier.say(200, 80_000);
    carrier.run(3_000);
    let from = carrier.caller.len();
    carrier.recorder.tap.key();
    carrier.run(1_500);
    carrier.recorder.tap.key();
    carrier.run(5_500);
    let caller = std::mem::take(&mut carrier.caller);
    let played = carrier.recorder.played();
    // Half a second before the first key, 2 s after the last one.
    let (begin, end) = (from - 4_000, from + 8 * 3_500);
    let near = 400;
    for side in [&played.caller, &played.agent] {
        let silent = side[begin + near..end - near]
            .iter()
            .all(|byte| *byte == mulaw::SILENCE);
        assert!(silent, "both are silent");
    }
    assert!(played.caller[..begin - near] == caller[..begin - near]);
    assert!(
        played.caller[end + near..end + 8_000] == caller[end + near..end + 8_000],
        "time has gone on"
    );
    assert!(played.agent[end + 8_000..end + 16_000].iter().all(|byte| *byte == 200));
    let pause = played.pauses.first().expect("a pause");
    assert_eq!((played.pauses.len(), pause.why), (1, Why::Keys));
}

#[test]
fn a_tone_in_the_audio_is_silence_as_a_key_is() {
    let mut recorder = Recorder::new(1_000);
    let start = Instant::now();
    let tone = 0x11;
    for n in 0..400_u64 {
        let keyed = (100..110).contains(&n);
        let byte = if (98..112).contains(&n) { tone } else { 0x55 };
        recorder.tap.caller(
            &[mulaw::decode(byte); PIECE],
            keyed,
            start + Duration::from_millis(20 * n),
        );
        recorder.drain();
    }
    let text = recorder.text();
    assert!(!text.windows(8).any(|bytes| bytes == [tone; 8]), "not even in the file");
    let played = play(&text).expect("readable");
    assert_eq!(played.caller.len(), 399 * PIECE + PIECE);
    assert!(played.caller[..70 * PIECE].iter().all(|byte| *byte == 0x55));
    assert!(
        played.caller[220 * PIECE..]
            .iter()
            .filter(|byte| **byte == 0x55)
            .count()
            > 150 * PIECE
    );
}

#[test]
fn what_is_sensitive_or_paused_by_order_is_silence_until_both_are_over() {
    let mut carrier = Carrier::new(FRAME, |_| 30, |_| 40);
    carrier.run(1_000);
    carrier.recorder.tap.sensitive(true);
    carrier.run(1_000);
    assert!(carrier.recorder.tap.operator(true));
    carrier.run(1_000);
    carrier.recorder.tap.sensitive(false);
    carrier.say(200, 8_000);
    carrier.run(2_000);
    carrier.recorder.tap.operator(false);
    carrier.run(2_000);
    let text = carrier.recorder.text();
    assert!(!text.windows(8).any(|bytes| bytes == [200; 8]));
    let played = play(&text).expect("readable");
    let [pause] = played.pauses[..] else {
        panic!("{:?}", played.pauses)
    };
    assert_eq!(pause.why, Why::Sensitive);
    let (from, to) = (pause.from as usize, pause.to.expect("an end") as usize);
    assert!(from.abs_diff(8_000) < 800 && to.abs_diff(40_000) < 800, "{pause:?}");
    assert!(played.caller[from..to].iter().all(|byte| *byte == mulaw::SILENCE));
    assert!(
        played.caller[to + 800..to + 8_000]
            .iter()
            .all(|byte| *byte != mulaw::SILENCE)
    );
}

#[test]
fn a_disk_that_is_too_slow_costs_audio_and_no_time() {
    let mut recorder = Recorder::new(50);
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(20 * n);
    let frame = |n: u64| [mulaw::decode((n % 120) as u8); PIECE];
    for n in 0..500_u64 {
        recorder.tap.caller(&frame(n), false, at(n));
        // For four seconds nothing is written.
        if !(100..300).contains(&n) {
            recorder.drain();
        }
    }
    let lost = recorder.told.lost.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(lost, 151 * PIECE as u64, "all but what had room");
    let played = recorder.played();
    assert_eq!(played.caller.len(), 500 * PIECE);
    for n in 0..500_u64 {
        let found = &played.caller[n as usize * PIECE..][..PIECE];
        let expected = if (150..=300).contains(&n) {
            mulaw::SILENCE
        } else {
            (n % 120) as u8
        };
        assert!(found.iter().all(|byte| *byte == expected), "frame {n}");
    }
}

#[tokio::test]
async fn a_pause_that_finds_no_room_is_kept_all_the_same() {
    for ends in [false, true] {
        let mut recorder = Recorder::new(20);
        let start = Instant::now();
        let at = |n: u64| start + Duration::from_millis(20 * n);
        let secret = 0x11;
        for n in 0..200_u64 {
            if n == 50 {
                recorder.tap.sensitive(true);
            }
            let byte = if n < 50 { 0x55 } else { secret };
            // What is said a moment before the pause is all that is in the queue; then it is full.
            if n < 50 {
                recorder.tap.agent(&[byte; PIECE], at(n));
            }
            recorder.tap.caller(&[mulaw::decode(byte); PIECE], false, at(n));
            if !ends && n == 150 {
                recorder.drain();
            }
        }
        let tap = std::mem::take(&mut recorder.tap);
        tap.end().await;
        let text = recorder.text();
        assert!(!text.windows(8).any(|bytes| bytes == [secret; 8]), "{ends}");
        let played = play(&text).expect("readable");
        assert_eq!(played.pauses.len(), usize::from(!ends), "{ends}");
    }
}

#[test]
fn a_text_that_was_cut_anywhere_is_read_up_to_there() {
    let mut carrier = Carrier::new(FRAME, |_| 30, |_| 40);
    carrier.say(200, 4_000);
    carrier.run(900);
    carrier.recorder.tap.key();
    carrier.run(3_000);
    let text = carrier.recorder.text();
    let all = play(&text).expect("readable");
    for length in (0..text.len()).step_by(37) {
        let cut = play(&text[..length]).expect("readable");
        let mut both = cut.caller.iter().zip(&all.caller);
        let same = both.all(|(cut, all)| cut == all || [*cut, *all].contains(&mulaw::SILENCE));
        let said = |played: &Played| played.caller.iter().filter(|byte| **byte != mulaw::SILENCE).count();
        assert!(!cut.ended && same, "{length}");
        // Twenty bytes of each record are not audio.
        assert!(
            said(&cut) + 4_000 > length / 2 || said(&cut) == said(&all),
            "{length}: {}",
            said(&cut)
        );
    }
    for (text, at) in [(&b"X\x01"[..], 0), (b"T\x02", 0), (b"T\x01Z", 2)] {
        assert_eq!(play(text).err().map(|error| error.at), Some(at));
    }
    let far = [&b"T\x01C"[..], &u64::MAX.to_le_bytes(), &[1, 0]].concat();
    assert!(play(&far).is_err(), "no memory is taken for it");
}
