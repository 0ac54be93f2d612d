//! What a server did wrong in one call, counted.

use std::time::Duration;

/// Each fault once, with its number.
#[derive(Debug, Default)]
pub(super) struct Faults {
    seen: Vec<(String, u64, Duration)>,
}

impl Faults {
    /// Tells whether the fault is new.
    pub(super) fn note(&mut self, fault: String, now: Duration) -> bool {
        if let Some((_, count, _)) = self.seen.iter_mut().find(|(known, ..)| *known == fault) {
            *count += 1;
            return false;
        }
        // A server that invents a fault per message fills no memory.
        let room = self.seen.len() < FAULT_KINDS;
        if room {
            self.seen.push((fault, 1, now));
        }
        room
    }

    pub(super) fn list(&self) -> Vec<String> {
        let line = |(fault, count, first): &(String, u64, Duration)| {
            let times = if *count == 1 {
                String::new()
            } else {
                format!("{count} times, first ")
            };
            format!("{fault} ({times}at {:.2} s)", first.as_secs_f64())
        };
        self.seen.iter().map(line).collect()
    }
}

/// Kinds that are kept.
const FAULT_KINDS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_and_bounded() {
        let mut faults = Faults::default();
        assert!(faults.note("a".to_owned(), Duration::from_millis(1500)));
        assert!(!faults.note("a".to_owned(), Duration::from_millis(1700)));
        assert!(faults.note("b".to_owned(), Duration::from_millis(2000)));
        assert_eq!(faults.list(), ["a (2 times, first at 1.50 s)", "b (at 2.00 s)"]);
        for n in 0..100 {
            faults.note(n.to_string(), Duration::ZERO);
        }
        assert_eq!(faults.list().len(), FAULT_KINDS);
        assert!(!faults.note("one more".to_owned(), Duration::ZERO));
    }
}
