//! The caller's audio path: payload → μ-law → VAD windows and 16 kHz samples.
//!
//! This runs 50 times a second for every call, so in steady state it allocates nothing.

use crate::audio::backlog::Backlog;
use crate::audio::frame::Reframer;
use crate::audio::mulaw;
use crate::audio::resample::Resampler;
use crate::speech::{Vad, WINDOW};
use crate::time::{MediaTime, SampleRate};
use crate::twilio::message::Media;

/// The receiving side of one call.
pub struct Inbound {
    vad: Box<dyn Vad>,
    reframer: Reframer<i16, WINDOW>,
    resampler: Resampler,
    backlog: Backlog,
    payload: Vec<u8>,
    pcm: Vec<i16>,
    float: Vec<f32>,
    /// Line samples taken so far, inserted silence included.
    received: u64,
    /// Stream time of the first payload, in ms.
    base_ms: Option<u64>,
}

impl Inbound {
    /// Keeps at most `seconds` of audio for the transcriber.
    pub fn new(vad: Box<dyn Vad>, seconds: u64) -> Self {
        let resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("8 to 16 kHz is a valid ratio");
        let limit = seconds.saturating_mul(SampleRate::MODEL.get().into());
        Self {
            vad,
            reframer: Reframer::new(),
            resampler,
            backlog: Backlog::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            payload: Vec::with_capacity(ROOM),
            pcm: Vec::with_capacity(ROOM),
            float: Vec::with_capacity(ROOM),
            received: 0,
            base_ms: None,
        }
    }

    /// Takes one payload and writes one flag for each completed VAD window. `false` if the payload is not base64.
    pub fn take(&mut self, media: &Media<'_>, windows: &mut Vec<bool>) -> bool {
        if !media.decode(&mut self.payload) {
            return false;
        }
        self.pcm.clear();
        let lost = self.lost(media.timestamp_ms);
        self.pcm.resize(lost, 0);
        mulaw::decode_into(&self.payload, &mut self.pcm);
        self.received += self.pcm.len() as u64;
        let vad = &mut self.vad;
        self.reframer
            .push(&self.pcm, |window| windows.push(vad.is_voiced(window)));
        self.float.clear();
        self.float.extend(self.pcm.iter().map(|&sample| mulaw::to_f32(sample)));
        self.resampler.push(&self.float, self.backlog.tail());
        self.backlog.settle();
        true
    }

    /// Audio between two positions, for the transcriber.
    pub fn audio(&self, from: MediaTime, to: MediaTime) -> Vec<f32> {
        self.backlog
            .slice(from.samples() * UPSAMPLING, to.samples() * UPSAMPLING)
            .to_vec()
    }

    /// Lets go of audio that will not be asked for.
    pub fn discard_before(&mut self, position: MediaTime) {
        self.backlog.discard_before(position.samples() * UPSAMPLING);
    }

    /// Samples that are missing before this payload. Silence takes their place, so that media time stays true.
    fn lost(&mut self, timestamp_ms: Option<u64>) -> usize {
        let Some(timestamp) = timestamp_ms else { return 0 };
        let base = *self.base_ms.get_or_insert(timestamp);
        let expected = self.received * 1_000 / u64::from(SampleRate::LINE.get());
        let gap = timestamp.saturating_sub(base).saturating_sub(expected);
        if gap < MIN_GAP_MS {
            return 0;
        }
        if gap > MAX_GAP_MS {
            // A jump this long is a clock that was set, not lost audio: from here on count anew.
            self.base_ms = Some(timestamp.saturating_sub(expected));
            return 0;
        }
        usize::try_from(gap * u64::from(SampleRate::LINE.get()) / 1_000).unwrap_or(0)
    }
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// Room for one second of payload before anything grows.
const ROOM: usize = 8_000;
const UPSAMPLING: u64 = 2;
/// Smaller differences are rounding and jitter.
const MIN_GAP_MS: u64 = 20;
const MAX_GAP_MS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::message::{Inbound as Message, parse};
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    struct Loud;
    impl Vad for Loud {
        fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool {
            window[0] != 0
        }
    }

    fn take(inbound: &mut Inbound, timestamp: u64, payload: &[u8]) -> Vec<bool> {
        let payload = BASE64_STANDARD.encode(payload);
        let text = format!(r#"{{"event":"media","media":{{"timestamp":"{timestamp}","payload":"{payload}"}}}}"#);
        let Ok(Message::Media(media)) = parse(&text) else {
            panic!("not media")
        };
        let mut windows = Vec::new();
        assert!(inbound.take(&media, &mut windows));
        windows
    }

    #[test]
    fn payloads_of_any_length_become_windows() {
        let mut inbound = Inbound::new(Box::new(Loud), 10);
        let mut windows = 0;
        for (n, length) in [1, 159, 160, 161, 8_000].into_iter().enumerate() {
            windows += take(&mut inbound, n as u64, &vec![0x80; length]).len();
        }
        assert_eq!(windows, (1 + 159 + 160 + 161 + 8_000) / 160);
    }

    #[test]
    fn lost_audio_becomes_silence_of_its_length() {
        let mut inbound = Inbound::new(Box::new(Loud), 10);
        assert_eq!(take(&mut inbound, 40, &[0x80; 160]), [true]);
        assert_eq!(take(&mut inbound, 60, &[0x80; 160]), [true]);
        assert_eq!(take(&mut inbound, 140, &[0x80; 160]), [false, false, false, true]);
        assert_eq!(take(&mut inbound, 160, &[0x80; 160]), [true]);
        // A clock that jumps by an hour inserts nothing.
        assert_eq!(take(&mut inbound, 3_600_000, &[0x80; 160]), [true]);
        assert_eq!(take(&mut inbound, 3_600_020, &[0x80; 160]), [true]);
    }

    #[test]
    fn audio_is_addressed_by_media_time() {
        let mut inbound = Inbound::new(Box::new(Loud), 10);
        take(&mut inbound, 0, &[0xFF; 1_600]);
        take(&mut inbound, 200, &[0x80; 1_600]);
        let audio = inbound.audio(MediaTime::from_samples(0), MediaTime::from_samples(3_200));
        assert_eq!(audio.len(), 6_400);
        assert!(audio[..3_000].iter().all(|sample| sample.abs() < 0.01) && audio[4_000] > 0.9);
    }
}
