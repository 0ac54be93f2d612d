//! Is what we hear our own audio coming back? Answered by how alike the last moment heard is to anything sent lately.

use crate::audio::mulaw;

/// Remembers what was sent and heard lately, at 4 kHz, which holds most of a voice and quarters the search.
#[derive(Debug, Clone)]
pub struct EchoDetector {
    sent: Recent,
    /// Twice, half a sample of 4 kHz apart: an echo comes with any delay.
    heard: [Recent; 2],
}

impl EchoDetector {
    /// Nothing sent, nothing heard.
    pub fn new() -> Self {
        let mut late = Recent::new(PASSAGE);
        late.push([0].into_iter());
        Self {
            sent: Recent::new(SENT),
            heard: [Recent::new(PASSAGE), late],
        }
    }

    /// Takes line audio on its way out. Pauses between the pieces do not count.
    pub fn sent(&mut self, mulaw: &[u8]) {
        self.sent.push(mulaw.iter().map(|&byte| mulaw::decode(byte)));
    }

    /// Takes the caller's audio, all of it.
    pub fn heard(&mut self, samples: &[i16]) {
        for heard in &mut self.heard {
            heard.push(samples.iter().copied());
        }
    }

    /// The best normalised cross-correlation of the last 180 ms heard with anything sent in the last 2.5 s, 0.0..=1.0;
    /// 0.0 as long as there is too little of either. Costs about 0.8 ms: ask now and then, not for every window.
    pub fn likeness(&self) -> f32 {
        let sent = self.sent.latest();
        let heard = [self.heard[0].latest(), self.heard[1].latest()];
        if heard[0].len() < PASSAGE || heard[1].len() < PASSAGE || sent.len() < PASSAGE {
            return 0.0;
        }
        let loudness = heard.map(|heard| dot(heard, heard));
        let mut energy = f64::from(dot(&sent[..PASSAGE], &sent[..PASSAGE]));
        let mut best = 0.0_f32;
        for (start, passage) in sent.windows(PASSAGE).enumerate() {
            for (heard, loudness) in heard.into_iter().zip(loudness) {
                // An echo is weaker than what caused it, so quieter passages cannot have.
                if loudness > SILENCE && energy as f32 * MOST_GAIN > loudness {
                    let product = dot(heard, passage);
                    best = best.max(product * product / (energy as f32 * loudness));
                }
            }
            if let Some(&next) = sent.get(start + PASSAGE) {
                energy += f64::from(next).powi(2) - f64::from(sent[start]).powi(2);
            }
        }
        best.sqrt().min(1.0)
    }
}

impl Default for EchoDetector {
    fn default() -> Self {
        Self::new()
    }
}

/// The newest samples of a stream at half its rate, in one piece of memory that never grows.
#[derive(Debug, Clone)]
struct Recent {
    samples: Vec<f32>,
    kept: usize,
    /// The filter's memory, newest last.
    last: [f32; 7],
    /// Whether the next sample of the line completes one of ours.
    second: bool,
    /// For the pre-emphasis.
    before: f32,
}

impl Recent {
    fn new(kept: usize) -> Self {
        Self {
            samples: Vec::with_capacity(2 * kept),
            kept,
            last: [0.0; 7],
            second: false,
            before: 0.0,
        }
    }

    fn push(&mut self, samples: impl Iterator<Item = i16>) {
        for sample in samples {
            self.last.copy_within(1.., 0);
            self.last[6] = f32::from(sample) / 32_768.0;
            self.second = !self.second;
            if self.second {
                continue;
            }
            let half: f32 = self.last.iter().zip(HALF_BAND).map(|(sample, tap)| sample * tap).sum();
            // Flattens a voice's spectrum: what is left differs from word to word, not only from pitch to pitch.
            let flat = half - PRE_EMPHASIS * self.before;
            self.before = half;
            if self.samples.len() == 2 * self.kept {
                self.samples.copy_within(self.kept.., 0);
                self.samples.truncate(self.kept);
            }
            self.samples.push(flat);
        }
    }

    fn latest(&self) -> &[f32] {
        &self.samples[self.samples.len().saturating_sub(self.kept)..]
    }
}

/// Sum of products, in lanes so that the compiler may use the processor's vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for n in 0..LANES {
            lanes[n] += a[n] * b[n];
        }
    }
    lanes.iter().sum()
}

/// Samples at 4 kHz: 180 ms, a multiple of the lanes.
const PASSAGE: usize = 720;
/// 2.5 s: the lead over the caller's ear, the delay of the line, the passage, and some.
const SENT: usize = 10_000;
const LANES: usize = 16;
/// Halves the rate; passes 1.4 kHz, stops 2.6 kHz.
const HALF_BAND: [f32; 7] = [-0.031_25, 0.0, 0.281_25, 0.5, 0.281_25, 0.0, -0.031_25];
const PRE_EMPHASIS: f32 = 0.95;
/// Of energy: +3 dB.
const MOST_GAIN: f32 = 2.0;
/// Energy of a passage at about −75 dBFS.
const SILENCE: f32 = 2e-5;

#[cfg(test)]
mod tests {
    use super::*;

    /// Syllables of a voice that is never twice the same: a buzz whose pitch and timbre wander, from a seed.
    fn babble(seed: u32, samples: usize) -> Vec<i16> {
        let mut random = seed;
        let mut next = move || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as f32 / 16_777_216.0
        };
        let (mut phase, mut hertz, mut wanted) = (0.0_f32, 120.0_f32, 120.0_f32);
        let mut timbre = [0.0_f32; 12];
        let mut aim = [0.0_f32; 12];
        let mut wave = |n: usize| {
            if n.is_multiple_of(800) {
                wanted = 90.0 + 120.0 * next();
                aim = std::array::from_fn(|_| next() - 0.5);
            }
            hertz += (wanted - hertz) * 0.003;
            phase = (phase + hertz / 8_000.0).fract();
            for (now, aim) in timbre.iter_mut().zip(aim) {
                *now += (aim - *now) * 0.003;
            }
            let voice = timbre.iter().zip(1_u8..);
            let voice: f32 = voice
                .map(|(share, k)| share * (std::f32::consts::TAU * phase * f32::from(k)).sin())
                .sum();
            mulaw::to_i16(0.2 * voice + 0.004 * (next() - 0.5))
        };
        (0..samples).map(&mut wave).collect()
    }

    fn encode(samples: &[i16]) -> Vec<u8> {
        samples.iter().map(|&sample| mulaw::encode(sample)).collect()
    }

    /// `sent`, `gain` as loud, `delay` samples late, without its lowest and highest tones, through the line's code.
    fn echo(sent: &[i16], gain: f32, delay: usize) -> Vec<i16> {
        let (mut low, mut smooth) = (0.0, 0.0);
        let filtered = sent.iter().map(|&sample| {
            let sample = f32::from(sample) * gain;
            low += (sample - low) * 0.1;
            smooth += (sample - low - smooth) * 0.8;
            mulaw::decode(mulaw::encode(smooth as i16))
        });
        std::iter::repeat_n(0, delay).chain(filtered).collect()
    }

    /// Likeness after each 80 ms of the second second.
    fn likeness(sent: &[i16], heard: &[i16]) -> Vec<f32> {
        let mut detector = EchoDetector::new();
        let mut found = Vec::new();
        for (n, (sent, heard)) in sent.chunks(640).zip(heard.chunks(640)).enumerate() {
            detector.sent(&encode(sent));
            detector.heard(heard);
            if n > 12 {
                found.push(detector.likeness());
            }
        }
        found
    }

    #[test]
    fn a_faint_late_filtered_copy_is_alike() {
        let sent = babble(1, 16_000);
        for gain in [0.5, 0.1, 0.03] {
            for delay in [160, 1_601, 3_999] {
                let found = likeness(&sent, &echo(&sent, gain, delay));
                assert!(
                    found.iter().all(|&likeness| likeness > 0.7),
                    "{gain}, {delay}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn another_voice_and_one_that_drowns_the_echo_are_not() {
        let (sent, other) = (babble(1, 16_000), babble(2, 16_000));
        let alone = likeness(&sent, &other);
        assert!(alone.iter().all(|&likeness| likeness < 0.6), "{alone:?}");
        let both: Vec<i16> = echo(&sent, 0.25, 800)
            .iter()
            .zip(&other)
            .map(|(a, b)| a / 2 + b / 2)
            .collect();
        let both = likeness(&sent, &both);
        assert!(both.iter().all(|&likeness| likeness < 0.6), "{both:?}");
    }

    #[test]
    fn nothing_sent_silence_and_a_much_louder_caller_are_not_alike() {
        let voice = babble(1, 16_000);
        assert!(likeness(&[0; 16_000], &voice).iter().all(|&likeness| likeness == 0.0));
        assert!(likeness(&voice, &[0; 16_000]).iter().all(|&likeness| likeness == 0.0));
        let faint: Vec<i16> = voice.iter().map(|sample| sample / 8).collect();
        assert!(likeness(&faint, &voice).iter().all(|&likeness| likeness < 0.6));
        assert_eq!(EchoDetector::new().likeness(), 0.0);
    }
}
