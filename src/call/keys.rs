//! Keys of the caller's telephone, gathered into what they type.

use std::time::{Duration, Instant};

/// What is being typed. "#" ends it, and so does a pause.
#[derive(Debug, Default)]
pub(super) struct Keys {
    typed: String,
    last: Option<Instant>,
}

impl Keys {
    /// One more key. `Some` if it was the last.
    pub(super) fn press(&mut self, key: char, now: Instant) -> Option<String> {
        if key == '#' {
            return self.take();
        }
        if self.typed.len() < MAX_KEYS {
            self.typed.push(key);
        }
        self.last = Some(now);
        None
    }

    /// When they are complete if no more come.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + PAUSE)
    }

    /// What was typed, if the pause is long enough.
    pub(super) fn finished(&mut self, now: Instant) -> Option<String> {
        self.due().filter(|due| *due <= now)?;
        self.take()
    }

    fn take(&mut self) -> Option<String> {
        self.last = None;
        Some(std::mem::take(&mut self.typed)).filter(|typed| !typed.is_empty())
    }
}

/// Between two keys of one number; people look for the next.
const PAUSE: Duration = Duration::from_secs(2);
/// No number is longer.
const MAX_KEYS: usize = 40;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn keys_end_with_the_hash_or_a_pause() {
        let start = Instant::now();
        let mut keys = Keys::default();
        assert_eq!(keys.press('#', start), None);
        assert_eq!((keys.press('1', start), keys.press('2', start)), (None, None));
        assert_eq!(keys.press('#', start), Some("12".to_owned()));
        assert_eq!(keys.due(), None);
        keys.press('7', start);
        assert_eq!(keys.finished(start + PAUSE / 2), None);
        assert_eq!(keys.finished(start + PAUSE), Some("7".to_owned()));
        assert_eq!(keys.finished(start + 2 * PAUSE), None);
    }
}
