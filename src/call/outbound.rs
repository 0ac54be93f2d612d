//! The agent's audio path: queued line audio → pieces to send.
//!
//! The buffers keep their size, so only the first piece, and one longer than all before, makes them grow.

use std::collections::VecDeque;

use crate::engine::LineAudio;

/// The sending side of one call.
#[derive(Default)]
pub struct Outbound {
    queue: VecDeque<(LineAudio, usize)>,
    chunk: Vec<u8>,
}

impl Outbound {
    /// Adds a sentence behind everything queued.
    pub fn queue(&mut self, audio: LineAudio) {
        self.queue.push_back((audio, 0));
    }

    /// The next `samples` of the queue.
    pub fn next(&mut self, samples: u64) -> &[u8] {
        self.chunk.clear();
        let mut wanted = usize::try_from(samples).unwrap_or(usize::MAX);
        while wanted > 0
            && let Some((audio, offset)) = self.queue.front_mut()
        {
            let take = wanted.min(audio.len() - *offset);
            self.chunk.extend_from_slice(&audio[*offset..*offset + take]);
            *offset += take;
            wanted -= take;
            if *offset == audio.len() {
                self.queue.pop_front();
            }
        }
        &self.chunk
    }

    /// Drops the queue.
    pub fn purge(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::audio::line::from_speech;
    use crate::audio::mulaw;
    use crate::time::SampleRate;
    use crate::turn::playout::TRAILING;

    /// Where a reply is cut depends on it.
    #[test]
    fn a_sentence_ends_in_as_much_quiet_as_the_playout_takes_for_granted() {
        let voice: Vec<f32> = (0..8_000).map(|n| 0.3 * (n as f32 * 0.4).sin()).collect();
        let speech = [voice, vec![0.0; 4_000]].concat();
        let (audio, _) = from_speech(&speech, &[], SampleRate::LINE).expect("a valid rate");
        let quiet = audio.iter().rev().take_while(|&&code| mulaw::decode(code).abs() < 300);
        let quiet = quiet.count() as u64;
        assert!((TRAILING..TRAILING + 500).contains(&quiet), "{quiet} quiet samples");
    }
}
