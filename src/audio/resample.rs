//! Streaming resampling by rubato's FFT resampler: linear phase, anti-aliased, one stateful instance per direction.
//!
//! Delay is half an FFT block: 10 ms for 8→16 kHz and for 22.05→8 kHz.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, ResamplerConstructionError, WindowFunction};

use crate::time::SampleRate;

/// Converts one mono stream from one rate to another. Never allocates after construction, but for what `output` grows by.
pub struct Resampler {
    fft: Option<Fft<f32>>,
    pending: Vec<f32>,
    scratch: Vec<f32>,
    block_in: usize,
}

impl Resampler {
    /// A resampler between two rates; equal rates pass through.
    pub fn new(from: SampleRate, to: SampleRate) -> Result<Self, ResamplerConstructionError> {
        if from == to {
            return Ok(Self {
                fft: None,
                pending: Vec::new(),
                scratch: Vec::new(),
                block_in: 0,
            });
        }
        let wanted = (from.get() / BLOCKS_PER_SECOND).max(1) as usize;
        let fft = Fft::new(from.get() as usize, to.get() as usize, wanted, 1, FixedSync::Both)?;
        let (block_in, block_out) = (fft.input_frames_next(), fft.output_frames_next());
        Ok(Self {
            fft: Some(fft),
            pending: Vec::with_capacity(block_in),
            scratch: vec![0.0; block_out],
            block_in,
        })
    }

    /// Feeds any number of samples and appends what is ready to `output`.
    pub fn push(&mut self, mut input: &[f32], output: &mut Vec<f32>) {
        if self.fft.is_none() {
            output.extend_from_slice(input);
            return;
        }
        while !input.is_empty() {
            let take = input.len().min(self.block_in - self.pending.len());
            let (now, rest) = input.split_at(take);
            self.pending.extend_from_slice(now);
            input = rest;
            if self.pending.len() == self.block_in {
                self.block(output);
                self.pending.clear();
            }
        }
    }

    fn block(&mut self, output: &mut Vec<f32>) {
        let Some(fft) = &mut self.fft else { return };
        let frames_out = self.scratch.len();
        let input = SequentialSlice::new(&self.pending, 1, self.block_in).expect("pending holds one block");
        let mut out = SequentialSlice::new_mut(&mut self.scratch, 1, frames_out).expect("scratch holds one block");
        let (_, written) = fft
            .process_into_buffer(&input, &mut out, None)
            .expect("block sizes are fixed");
        output.extend_from_slice(&self.scratch[..written]);
    }
}

/// A whole recording from one rate to another, its delay removed.
pub fn resample(samples: &[f32], from: SampleRate, to: SampleRate) -> Result<Vec<f32>, ResamplerConstructionError> {
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    // A block of 100 ms: the longer the block, the steeper the filter, and a clip in memory has no latency to lose.
    // Whole pairs of the ratio's smallest block, because half of an odd block would be a delay of half a sample.
    let (from, to) = (from.get() as usize, to.get() as usize);
    let chunk = (from / 10).next_multiple_of(2 * (from / common_divisor(from, to)));
    let mut fft = Fft::<f32>::new_custom(from, to, chunk, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both)?;
    let input = SequentialSlice::new(samples, 1, samples.len()).expect("one channel holds all samples");
    let output = fft
        .process_all(&input, samples.len(), None)
        .expect("block sizes are fixed");
    Ok(output.take_data())
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// 20 ms blocks: one telephone frame in, one block out.
const BLOCKS_PER_SECOND: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: u32, seconds: f32) -> Vec<f32> {
        let samples = (rate as f32 * seconds) as usize;
        (0..samples)
            .map(|n| 0.5 * (std::f32::consts::TAU * hz * n as f32 / rate as f32).sin())
            .collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn any_rate_pair_keeps_length_level_and_place() {
        for (from, to) in [
            (8_000, 16_000),
            (22_050, 8_000),
            (16_000, 8_000),
            (44_100, 8_000),
            (24_000, 8_000),
            (8_000, 8_000),
        ] {
            let input = tone(440.0, from, 1.0);
            let output = resample(&input, SampleRate::hz(from), SampleRate::hz(to)).expect("rates are valid");
            assert!(
                (output.len() as i64 - i64::from(to)).abs() <= 1,
                "{from}->{to}: {}",
                output.len()
            );
            let middle = to as usize / 4..to as usize * 3 / 4;
            let ideal = tone(440.0, to, 1.0);
            let error: Vec<f32> = output[middle.clone()]
                .iter()
                .zip(&ideal[middle])
                .map(|(a, b)| a - b)
                .collect();
            assert!(rms(&error) < 0.01, "{from}->{to}: error {}", rms(&error));
        }
    }

    #[test]
    fn tones_above_the_new_nyquist_vanish() {
        let output = resample(&tone(6_000.0, 22_050, 1.0), SampleRate::hz(22_050), SampleRate::LINE).expect("valid");
        assert!(rms(&output[2_000..6_000]) < 0.001);
    }

    #[test]
    fn chunking_does_not_change_the_output() {
        let input = tone(300.0, 8_000, 0.5);
        let mut whole = Vec::new();
        Resampler::new(SampleRate::LINE, SampleRate::MODEL)
            .expect("valid")
            .push(&input, &mut whole);
        for chunk in [1, 7, 159, 160, 161, 1_000] {
            let mut pieces = Vec::new();
            let mut resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("valid");
            input.chunks(chunk).for_each(|piece| resampler.push(piece, &mut pieces));
            assert_eq!(whole, pieces, "chunk {chunk}");
        }
    }

    #[test]
    fn one_frame_in_gives_one_block_out() {
        let mut resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("valid");
        let mut output = Vec::new();
        resampler.push(&[0.0; 160], &mut output);
        assert_eq!(output.len(), 320);
    }
}
