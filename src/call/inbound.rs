//! The caller's audio path: pieces → windows, judged by the ear → 16 kHz samples.
//!
//! This runs 50 times a second for every call, so in steady state it allocates nothing.

use crate::audio::backlog::Backlog;
use crate::audio::frame::Reframer;
use crate::audio::mulaw;
use crate::audio::resample::Resampler;
use crate::call::socket::Audio;
use crate::speech::WINDOW;
use crate::speech::ear::Ear;
use crate::time::{MediaTime, SampleRate};
use crate::turn::event::Voice;

/// The receiving side of one call.
pub struct Inbound {
    ear: Ear,
    reframer: Reframer<i16, WINDOW>,
    resampler: Resampler,
    backlog: Backlog,
    pcm: Vec<i16>,
    /// A window of the last piece held a key's tones.
    keyed: bool,
    /// Line samples taken so far, inserted silence included.
    received: u64,
    /// Stream time of the first piece, in ms.
    base_ms: Option<u64>,
}

impl Inbound {
    /// Keeps at most `seconds` of audio for the transcriber.
    pub fn new(ear: Ear, seconds: u64) -> Self {
        let resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("8 to 16 kHz is a valid ratio");
        let limit = seconds.saturating_mul(SampleRate::MODEL.get().into());
        Self {
            ear,
            reframer: Reframer::new(),
            resampler,
            backlog: Backlog::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            pcm: Vec::with_capacity(ROOM),
            keyed: false,
            received: 0,
            base_ms: None,
        }
    }

    /// Takes one piece and writes what each completed window holds. A key's tones become silence for the transcriber.
    pub fn take(&mut self, audio: Audio<'_>, windows: &mut Vec<Voice>) {
        self.pcm.clear();
        let lost = self.lost(audio.at_ms);
        self.pcm.resize(lost, 0);
        self.pcm.extend_from_slice(audio.pcm);
        self.received += self.pcm.len() as u64;
        self.keyed = false;
        let Self {
            ear,
            resampler,
            backlog,
            keyed,
            ..
        } = self;
        self.reframer.push(&self.pcm, |window| {
            let heard = ear.window(window);
            windows.push(heard.voice);
            *keyed |= heard.key;
            let audio = if heard.key {
                [0.0; WINDOW]
            } else {
                window.map(mulaw::to_f32)
            };
            resampler.push(&audio, backlog.tail());
        });
        self.backlog.settle();
    }

    /// What the last payload held at the line's rate, behind the silence of what was lost before it.
    pub fn latest(&self) -> &[i16] {
        &self.pcm
    }

    /// Whether a key's tones were in it.
    pub fn keyed(&self) -> bool {
        self.keyed
    }

    /// Takes audio as it is handed to the line, so that its echo is known for what it is.
    pub fn played(&mut self, mulaw: &[u8]) {
        self.ear.played(mulaw);
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

    /// Samples that are missing before this piece. Silence takes their place, so that media time stays true.
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

/// Room for one second before anything grows.
const ROOM: usize = 8_000;
const UPSAMPLING: u64 = 2;
/// Smaller differences are rounding and jitter.
const MIN_GAP_MS: u64 = 20;
const MAX_GAP_MS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::Vad;

    struct Loud;
    impl Vad for Loud {
        fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool {
            window[0] != 0
        }
    }

    fn inbound() -> Inbound {
        Inbound::new(Ear::new(Box::new(Loud), None), 10)
    }

    fn take(inbound: &mut Inbound, timestamp: u64, payload: &[u8]) -> Vec<Voice> {
        let (mut pcm, mut windows) = (Vec::new(), Vec::new());
        mulaw::decode_into(payload, &mut pcm);
        let at_ms = Some(timestamp);
        inbound.take(Audio { at_ms, pcm: &pcm }, &mut windows);
        windows
    }

    #[test]
    fn payloads_of_any_length_become_windows() {
        let mut inbound = inbound();
        let mut windows = 0;
        for (n, length) in [1, 159, 160, 161, 8_000].into_iter().enumerate() {
            windows += take(&mut inbound, n as u64, &vec![0x80; length]).len();
        }
        assert_eq!(windows, (1 + 159 + 160 + 161 + 8_000) / 160);
    }

    #[test]
    fn lost_audio_becomes_silence_of_its_length() {
        let mut inbound = inbound();
        assert_eq!(take(&mut inbound, 40, &[0x80; 160]), [Voice::Sure]);
        assert_eq!(take(&mut inbound, 60, &[0x80; 160]), [Voice::Sure]);
        assert_eq!(
            take(&mut inbound, 140, &[0x80; 160]),
            [Voice::Silent, Voice::Silent, Voice::Silent, Voice::Sure]
        );
        assert_eq!(take(&mut inbound, 160, &[0x80; 160]), [Voice::Sure]);
        // A clock that jumps by an hour inserts nothing.
        assert_eq!(take(&mut inbound, 3_600_000, &[0x80; 160]), [Voice::Sure]);
        assert_eq!(take(&mut inbound, 3_600_020, &[0x80; 160]), [Voice::Sure]);
    }

    #[test]
    fn audio_is_addressed_by_media_time() {
        let mut inbound = inbound();
        take(&mut inbound, 0, &[0xFF; 1_600]);
        take(&mut inbound, 200, &[0x80; 1_600]);
        let audio = inbound.audio(MediaTime::from_samples(0), MediaTime::from_samples(3_200));
        assert_eq!(audio.len(), 6_400);
        assert!(audio[..3_000].iter().all(|sample| sample.abs() < 0.01) && audio[4_000] > 0.9);
    }

    #[test]
    fn a_key_is_silence_for_the_transcriber_and_takes_its_time() {
        let mut inbound = inbound();
        let tone = |n: usize| {
            let wave = |hertz: f32| (std::f32::consts::TAU * hertz * n as f32 / 8_000.0).sin();
            mulaw::encode(mulaw::to_i16(0.2 * (wave(770.0) + wave(1_336.0))))
        };
        take(&mut inbound, 0, &[0x80; 1_600]);
        let heard = take(&mut inbound, 200, &(0..1_600).map(tone).collect::<Vec<u8>>());
        assert!(heard.iter().all(|&voice| voice == Voice::Silent), "{heard:?}");
        take(&mut inbound, 400, &[0x80; 1_600]);
        let audio = inbound.audio(MediaTime::from_samples(0), MediaTime::from_samples(4_800));
        // The resampler rings at the edges.
        let loudest = |audio: &[f32]| audio.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
        assert_eq!(audio.len(), 9_600);
        assert!(loudest(&audio[3_600..6_200]) < 0.02 && audio[3_000] > 0.9 && audio[7_000] > 0.9);
    }
}
