//! The caller's end of a phone line: a playout buffer with marks, and the speech still to be sent. Pure, without a clock.
//!
//! One [`Line::tick`] stands for 20 ms: it takes one frame from the caller and plays one frame of the agent. Audio that
//! arrives in between waits in the buffer, as it does at Twilio. A mark returns when all audio queued before it has
//! played, at once if nothing is buffered, and also when `clear` throws that audio away.

use std::collections::VecDeque;

use crate::audio::mulaw;

/// 20 ms of μ-law at 8 kHz.
pub type Frame = [u8; FRAME_BYTES];

/// Playout buffer, outstanding marks and unsent speech of one call.
#[derive(Debug, Default)]
pub struct Line {
    speech: VecDeque<Frame>,
    buffer: VecDeque<u8>,
    /// Bytes ever put into the buffer.
    queued: u64,
    /// Bytes that left the buffer, played or cleared.
    passed: u64,
    /// Each mark with the value of `queued` when it came.
    marks: VecDeque<(u64, String)>,
    /// Noise on the caller's side, 8 kHz, from the start again after its end.
    background: Vec<i16>,
    place: usize,
    muted: bool,
}

/// What 20 ms of the line brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// The frame to send.
    pub sent: Frame,
    /// What that frame is.
    pub kind: Sent,
    /// The agent's frame as played, silence where the buffer was empty.
    pub played: Frame,
    /// Whether the played frame can be heard.
    pub audible: bool,
    /// Names of the marks to return.
    pub marks: Vec<String>,
}

/// What a sent frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: the caller listens.
    Silence,
    /// Speech, and more of it follows.
    Speech,
    /// The last frame of what the caller says.
    LastSpeech,
}

/// The buffer was full and the audio was thrown away, as Twilio does (warning 31931).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 10 minutes of audio are buffered; the rest is discarded")]
pub struct BufferFull;

impl Line {
    /// A line with noise on the caller's side, under silence and speech alike.
    pub fn over(background: Vec<i16>) -> Self {
        Self {
            background,
            ..Self::default()
        }
    }

    /// Silences the noise, or lets it be heard again where it was left.
    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Puts speech after whatever the caller is saying.
    pub fn speak(&mut self, frames: &[Frame]) {
        self.speech.extend(frames);
    }

    /// Whether the caller still has something to say.
    pub fn is_speaking(&self) -> bool {
        !self.speech.is_empty()
    }

    /// Whether nothing of the agent waits to be played.
    pub fn is_drained(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Milliseconds of the agent that wait to be played.
    pub fn buffered_ms(&self) -> usize {
        self.buffer.len() / BYTES_PER_MS
    }

    /// Takes the agent's audio.
    ///
    /// # Errors
    ///
    /// The buffer holds 10 minutes; what does not fit is dropped as a whole.
    pub fn media(&mut self, payload: &[u8]) -> Result<(), BufferFull> {
        if self.buffer.len() + payload.len() > BUFFER_BYTES {
            return Err(BufferFull);
        }
        self.buffer.extend(payload);
        self.queued += payload.len() as u64;
        Ok(())
    }

    /// Takes a mark; returns its name if it is due at once.
    pub fn mark(&mut self, name: String) -> Option<String> {
        if self.buffer.is_empty() {
            return Some(name);
        }
        self.marks.push_back((self.queued, name));
        None
    }

    /// Throws the buffered audio away; returns the names of all outstanding marks.
    pub fn clear(&mut self) -> Vec<String> {
        self.passed += self.buffer.len() as u64;
        self.buffer.clear();
        self.marks.drain(..).map(|(_, name)| name).collect()
    }

    /// Moves the line on by 20 ms.
    pub fn tick(&mut self) -> Tick {
        let (sent, kind) = match self.speech.pop_front() {
            Some(frame) if self.speech.is_empty() => (frame, Sent::LastSpeech),
            Some(frame) => (frame, Sent::Speech),
            None => (SILENCE, Sent::Silence),
        };
        let sent = self.noisy(sent);
        let mut played = SILENCE;
        let length = self.buffer.len().min(FRAME_BYTES);
        for (slot, byte) in played.iter_mut().zip(self.buffer.drain(..length)) {
            *slot = byte;
        }
        self.passed += length as u64;
        let mut marks = Vec::new();
        while let Some((_, name)) = self.marks.pop_front_if(|(after, _)| *after <= self.passed) {
            marks.push(name);
        }
        Tick {
            sent,
            kind,
            played,
            audible: is_audible(&played[..length]),
            marks,
        }
    }

    fn noisy(&mut self, frame: Frame) -> Frame {
        if self.muted || self.background.is_empty() {
            return frame;
        }
        frame.map(|byte| {
            let noise = self.background[self.place];
            self.place = (self.place + 1) % self.background.len();
            mulaw::encode(mulaw::decode(byte).saturating_add(noise))
        })
    }
}

/// Whether any 20 ms of this μ-law audio can be heard: RMS above 200 of 32768.
pub fn is_audible(payload: &[u8]) -> bool {
    payload.chunks(FRAME_BYTES).any(|frame| {
        let energy: f64 = frame.iter().map(|&byte| f64::from(mulaw::decode(byte)).powi(2)).sum();
        (energy / frame.len() as f64).sqrt() > AUDIBLE_RMS
    })
}

/// Bytes of a frame: 20 ms.
pub const FRAME_BYTES: usize = 160;

/// A frame of silence. μ-law zero is 0xFF; 0x00 would be a bang at full scale.
pub const SILENCE: Frame = [0xFF; FRAME_BYTES];

const BYTES_PER_MS: usize = 8;

/// Twilio's buffer: 10 minutes.
const BUFFER_BYTES: usize = 10 * 60 * 1000 * BYTES_PER_MS;

/// 16-bit RMS above which a frame counts as heard; the same as in the independent client of the benchmark.
const AUDIBLE_RMS: f64 = 200.0;

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: Frame = [0x10; FRAME_BYTES];

    fn names(tick: &Tick) -> Vec<&str> {
        tick.marks.iter().map(String::as_str).collect()
    }

    #[test]
    fn an_idle_line_is_silent_both_ways() {
        let mut line = Line::default();
        let expected = Tick {
            sent: SILENCE,
            kind: Sent::Silence,
            played: SILENCE,
            audible: false,
            marks: Vec::new(),
        };
        assert_eq!(line.tick(), expected);
    }

    #[test]
    fn speech_leaves_frame_by_frame_and_says_which_is_the_last() {
        let mut line = Line::default();
        line.speak(&[LOUD, LOUD]);
        assert!(line.is_speaking());
        assert_eq!(line.tick().kind, Sent::Speech);
        let last = line.tick();
        assert_eq!((last.kind, last.sent), (Sent::LastSpeech, LOUD));
        assert!(!line.is_speaking());
        assert_eq!(line.tick().kind, Sent::Silence);
    }

    #[test]
    fn noise_lies_under_silence_and_speech() {
        let mut line = Line::over(vec![1000, -1000, 300]);
        line.speak(&[[mulaw::encode(8000); FRAME_BYTES]]);
        let speech = line.tick();
        assert_eq!(speech.kind, Sent::LastSpeech);
        let near = |byte: u8, level: i16| (mulaw::decode(byte) - level).abs() < 300;
        assert!(near(speech.sent[0], 9000) && near(speech.sent[1], 7000));
        let silence = line.tick();
        assert_eq!(silence.kind, Sent::Silence);
        // 160 samples on, the noise is at its second.
        let near = |byte: u8, level: i16| (mulaw::decode(byte) - level).abs() < 40;
        assert!(near(silence.sent[0], -1000) && near(silence.sent[1], 300));
        line.mute(true);
        assert_eq!(line.tick().sent, SILENCE);
        line.mute(false);
        assert!(near(line.tick().sent[0], 300));
    }

    #[test]
    fn audio_of_any_length_is_played_in_order_and_padded() {
        let mut line = Line::default();
        line.media(&[1; 100]).expect("room");
        line.media(&[2; 161]).expect("room");
        assert_eq!(line.buffered_ms(), 32);
        let first = line.tick();
        assert_eq!(
            (&first.played[..100], &first.played[100..]),
            (&[1; 100][..], &[2; 60][..])
        );
        let second = line.tick();
        assert_eq!(
            (&second.played[..101], &second.played[101..]),
            (&[2; 101][..], &[0xFF; 59][..])
        );
        assert!(line.is_drained());
    }

    #[test]
    fn a_mark_returns_when_all_before_it_has_played() {
        let mut line = Line::default();
        assert_eq!(line.mark("idle".to_owned()).as_deref(), Some("idle"));
        line.media(&[1; 320]).expect("room");
        assert_eq!(line.mark("a".to_owned()), None);
        assert_eq!(line.mark("b".to_owned()), None);
        line.media(&[1; 1]).expect("room");
        assert_eq!(line.mark("c".to_owned()), None);
        assert!(names(&line.tick()).is_empty());
        assert_eq!(names(&line.tick()), ["a", "b"]);
        assert_eq!(names(&line.tick()), ["c"]);
        assert!(names(&line.tick()).is_empty());
    }

    #[test]
    fn clear_returns_every_mark_and_later_marks_count_from_there() {
        let mut line = Line::default();
        line.media(&[1; 3200]).expect("room");
        line.mark("a".to_owned());
        line.tick();
        assert_eq!(line.clear(), ["a"]);
        assert!(line.is_drained());
        assert!(line.clear().is_empty());
        line.media(&[1; 160]).expect("room");
        assert_eq!(line.mark("b".to_owned()), None);
        assert_eq!(names(&line.tick()), ["b"]);
    }

    #[test]
    fn the_buffer_holds_ten_minutes() {
        let mut line = Line::default();
        let minute = vec![0xFF; 60 * 8000];
        for _ in 0..10 {
            assert_eq!(line.media(&minute), Ok(()));
        }
        assert_eq!(line.media(&[0xFF]), Err(BufferFull));
        assert_eq!(line.buffered_ms(), 600_000);
    }

    #[test]
    fn one_loud_frame_makes_a_message_audible() {
        assert!(!is_audible(&[]));
        assert!(!is_audible(&[0xFF; 1600]));
        let mut message = [0xFF; 480];
        message[320..].fill(0x10);
        assert!(is_audible(&message));
        // A level of 196 stays below the threshold, one of 212 above.
        let below = mulaw::encode(190);
        let above = mulaw::encode(220);
        assert!(!is_audible(&[below; 160]));
        assert!(is_audible(&[above; 160]));
    }
}
