//! What the traces are worth: false cut-offs and dead air.

use serde::Serialize;

use super::audio::Turn;
use super::replay::Trace;
use crate::time::SampleRate;

/// What became of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered after its end, after so many ms of dead air.
    Answered { dead_air: u64 },
    /// Taken as over before its end: at this inner pause, or inside of speech.
    CutOff { pause: Option<usize> },
    /// Not answered within the six seconds of the recording.
    Missed,
}

/// One turn's result.
#[derive(Debug, Clone)]
pub(super) struct Result {
    pub(super) outcome: Outcome,
    /// The inner pauses that the machine met, in ms; the last one is where it was cut off.
    pub(super) met: Vec<u64>,
    pub(super) false_starts: usize,
}

impl Result {
    pub(super) fn of(turn: &Turn, trace: &Trace) -> Self {
        let pauses = turn.pauses();
        let ms = |samples: usize| SampleRate::LINE.duration(samples as u64).as_millis() as u64;
        let lengths = |met: usize| pauses.iter().take(met).map(|pause| ms(pause.len())).collect();
        let (outcome, met) = match trace.ended.map(|at| at as usize) {
            None => (Outcome::Missed, pauses.len()),
            Some(at) if at >= turn.end() => {
                let dead_air = ms(at - turn.end());
                (Outcome::Answered { dead_air }, pauses.len())
            }
            Some(at) => {
                // The latest pause that had begun: a commit may come just after the caller has gone on.
                let pause = pauses.iter().rposition(|pause| pause.start < at);
                (Outcome::CutOff { pause }, pause.map_or(0, |pause| pause + 1))
            }
        };
        Self {
            outcome,
            met: lengths(met),
            false_starts: trace.false_starts,
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Score {
    pub(super) turns: usize,
    /// False cut-offs, % of the turns.
    pub(super) cut_off_percent: f64,
    /// Inner pauses met before a cut-off, and at it.
    pub(super) pauses: usize,
    /// False cut-offs at a pause, % of these.
    pub(super) pause_percent: f64,
    /// The same of the pauses of at most a second.
    pub(super) short_pause_percent: f64,
    /// Never answered.
    pub(super) missed: usize,
    /// Taken as a turn before the caller had said anything.
    pub(super) false_starts: usize,
    /// Of the turns that were not cut off, in ms.
    pub(super) dead_air: DeadAir,
}

/// From the end of the turn to the first audio of the answer, in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct DeadAir {
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) mean: Option<f64>,
}

impl Score {
    pub(super) fn of<'a>(results: impl Iterator<Item = &'a Result>) -> Self {
        let mut score = Self::default();
        let mut waits = Vec::new();
        let (mut cut, mut cut_at_pause, mut cut_at_short, mut short) = (0, 0, 0, 0);
        for result in results {
            score.turns += 1;
            score.pauses += result.met.len();
            score.false_starts += result.false_starts;
            short += result.met.iter().filter(|&&pause| pause <= SHORT_MS).count();
            match result.outcome {
                Outcome::Answered { dead_air } => waits.push(dead_air as f64),
                Outcome::CutOff { pause } => {
                    cut += 1;
                    cut_at_pause += usize::from(pause.is_some());
                    let at_short = pause.is_some() && result.met.last().is_some_and(|&pause| pause <= SHORT_MS);
                    cut_at_short += usize::from(at_short);
                }
                Outcome::Missed => score.missed += 1,
            }
        }
        score.cut_off_percent = percent(cut, score.turns);
        score.pause_percent = percent(cut_at_pause, score.pauses);
        score.short_pause_percent = percent(cut_at_short, short);
        score.dead_air = DeadAir::of(waits);
        score
    }
}

impl DeadAir {
    fn of(mut waits: Vec<f64>) -> Self {
        waits.sort_by(f64::total_cmp);
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        Self {
            p50: percentile(&waits, 0.50),
            p90: percentile(&waits, 0.90),
            p95: percentile(&waits, 0.95),
            mean: (!waits.is_empty()).then(|| mean.round()),
        }
    }
}

/// Straight between the two nearest, as `NumPy` does by default.
fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some((low + (high - low) * place.fract()).round())
}

fn percent(part: usize, of: usize) -> f64 {
    (part as f64 / of.max(1) as f64 * 1_000.0).round() / 10.0
}

/// A pause that a caller makes without losing the thread.
const SHORT_MS: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::super::audio::millis;
    use super::super::set::Half;
    use super::*;

    fn turn() -> Turn {
        Turn {
            id: "x".to_owned(),
            category: "y".to_owned(),
            slot: None,
            half: Half::Tune,
            samples: vec![0.0; millis(9_000)],
            voiced: vec![
                millis(600)..millis(1_000),
                millis(1_400)..millis(2_000),
                millis(3_200)..millis(4_000),
            ],
        }
    }

    fn result(ended_ms: Option<u64>) -> Result {
        let trace = Trace {
            ended: ended_ms.map(|ms| millis(ms) as u64),
            ..Trace::default()
        };
        Result::of(&turn(), &trace)
    }

    #[test]
    fn a_commit_is_a_cut_off_or_dead_air() {
        assert_eq!(result(None).outcome, Outcome::Missed);
        assert_eq!(result(Some(4_360)).outcome, Outcome::Answered { dead_air: 360 });
        assert_eq!(result(Some(4_000)).outcome, Outcome::Answered { dead_air: 0 });
        for (at, pause, met) in [
            (900, None, vec![]),
            (1_300, Some(0), vec![400]),
            (1_440, Some(0), vec![400]),
            (2_800, Some(1), vec![400, 1_200]),
        ] {
            let result = result(Some(at));
            assert_eq!((result.outcome, result.met), (Outcome::CutOff { pause }, met), "{at}");
        }
    }

    #[test]
    fn a_score_counts_what_was_met() {
        let results = [Some(1_300), Some(2_800), Some(4_400), Some(4_600), None].map(result);
        let score = Score::of(results.iter());
        assert_eq!((score.turns, score.missed, score.pauses), (5, 1, 1 + 2 + 2 + 2 + 2));
        assert_eq!(score.cut_off_percent, 40.0);
        assert_eq!(score.pause_percent, 22.2);
        assert_eq!(score.short_pause_percent, 20.0);
        let air = score.dead_air;
        assert_eq!(
            [air.p50, air.p90, air.p95, air.mean],
            [Some(500.0), Some(580.0), Some(590.0), Some(500.0)]
        );
        assert_eq!(Score::of([].iter()).dead_air, DeadAir::default());
    }
}
