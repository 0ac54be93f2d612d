//! Re-framing: payloads of any length in, windows of one length out.

/// Cuts a stream into windows of `N` samples. What does not fill a window waits for the next push.
#[derive(Debug, Clone)]
pub struct Reframer<T, const N: usize> {
    window: [T; N],
    filled: usize,
}

impl<T: Copy + Default, const N: usize> Reframer<T, N> {
    /// An empty re-framer.
    pub fn new() -> Self {
        Self {
            window: [T::default(); N],
            filled: 0,
        }
    }

    /// Feeds `samples`, calling `each` for every window that fills. Never allocates.
    pub fn push(&mut self, mut samples: &[T], mut each: impl FnMut(&[T; N])) {
        while !samples.is_empty() {
            let take = samples.len().min(N - self.filled);
            let (now, rest) = samples.split_at(take);
            self.window[self.filled..self.filled + take].copy_from_slice(now);
            self.filled += take;
            samples = rest;
            if self.filled == N {
                self.filled = 0;
                each(&self.window);
            }
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for Reframer<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_are_the_concatenation_cut_to_length(payloads in prop::collection::vec(prop::collection::vec(any::<i16>(), 0..400), 0..20)) {
            let mut reframer = Reframer::<i16, 160>::new();
            let mut windows = Vec::new();
            for payload in &payloads {
                reframer.push(payload, |window| windows.extend_from_slice(window));
            }
            let whole = payloads.concat();
            prop_assert_eq!(&windows[..], &whole[..whole.len() / 160 * 160]);
        }
    }
}
