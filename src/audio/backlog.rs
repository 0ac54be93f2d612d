//! The caller's recent audio, addressed by position. What is no longer needed is let go from the front.

/// Samples from `start` on. Memory is bounded: past the limit the oldest are dropped.
#[derive(Debug)]
pub struct Backlog {
    samples: Vec<f32>,
    /// Index in `samples` of the first sample still kept.
    head: usize,
    /// Stream position of `samples[head]`.
    start: u64,
    limit: usize,
}

impl Backlog {
    /// Keeps at most `limit` samples. Room for them is reserved at once, so that a long turn allocates nothing; the
    /// operating system backs only what was written to, and [`Backlog::settle`] keeps that near twice what is kept.
    pub fn new(limit: usize) -> Self {
        Self {
            samples: Vec::with_capacity(limit.saturating_add(2 * spare(limit)).min(RESERVED)),
            head: 0,
            start: 0,
            limit,
        }
    }

    /// Position just after the newest sample.
    pub fn end(&self) -> u64 {
        self.start + (self.samples.len() - self.head) as u64
    }

    /// Where to append. Call [`Backlog::settle`] afterwards.
    pub fn tail(&mut self) -> &mut Vec<f32> {
        &mut self.samples
    }

    /// Enforces the limit and gives freed room back, without allocating.
    pub fn settle(&mut self) {
        let kept = self.samples.len() - self.head;
        if kept > self.limit {
            let drop = kept - self.limit;
            self.head += drop;
            self.start += drop as u64;
        }
        // Move only when at least as much is free as is kept: amortised O(1) per sample.
        let full = self.samples.capacity() - self.samples.len() < spare(self.limit);
        if self.head > self.samples.len() - self.head || (full && self.head > 0) {
            self.samples.copy_within(self.head.., 0);
            self.samples.truncate(self.samples.len() - self.head);
            self.head = 0;
        }
    }

    /// Lets go of everything before `position`.
    pub fn discard_before(&mut self, position: u64) {
        let position = position.clamp(self.start, self.end());
        self.head += (position - self.start) as usize;
        self.start = position;
    }

    /// The samples in `from..to`, cut to what is kept.
    pub fn slice(&self, from: u64, to: u64) -> &[f32] {
        let from = from.clamp(self.start, self.end());
        let to = to.clamp(from, self.end());
        let offset = |position: u64| self.head + (position - self.start) as usize;
        &self.samples[offset(from)..offset(to)]
    }
}

/// Room behind a full backlog for the payloads to come, an eighth of what is kept.
fn spare(limit: usize) -> usize {
    limit / 8
}

/// Two minutes at 16 kHz. Nobody talks longer without a pause, and if somebody does, the room grows.
const RESERVED: usize = 120 * 16_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn old_samples_go_when_the_limit_is_reached() {
        let mut backlog = Backlog::new(10);
        backlog.tail().extend((0..25_u8).map(f32::from));
        backlog.settle();
        assert_eq!(backlog.slice(0, 100), (15..25_u8).map(f32::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_backlog_stays_where_it_is() {
        let mut backlog = Backlog::new(16_000);
        let room = backlog.tail().capacity();
        for _ in 0..1_000 {
            backlog.tail().extend([0.0; 320]);
            backlog.settle();
        }
        assert_eq!(
            (backlog.tail().capacity(), backlog.slice(0, u64::MAX).len()),
            (room, 16_000)
        );
    }

    proptest! {
        #[test]
        fn a_slice_is_what_was_pushed_there(steps in prop::collection::vec((0_usize..500, 0_u64..500), 1..60)) {
            let mut backlog = Backlog::new(2_000);
            let mut pushed: u64 = 0;
            for (count, keep) in steps {
                backlog.tail().extend((pushed..pushed + count as u64).map(|n| n as f32));
                backlog.settle();
                pushed += count as u64;
                prop_assert_eq!(backlog.end(), pushed);
                let kept = backlog.slice(pushed.saturating_sub(300), pushed);
                prop_assert!(kept.iter().enumerate().all(|(n, &sample)| sample == (pushed - kept.len() as u64 + n as u64) as f32));
                backlog.discard_before(pushed.saturating_sub(keep));
            }
        }
    }
}
