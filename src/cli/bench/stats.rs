//! Percentiles of a handful of measures.

use serde::Serialize;

/// Where the measures of one stage lie, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Summary {
    /// How many were measured. Beside a p99 of 20 turns it says what that is worth.
    pub(super) n: usize,
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
}

impl Summary {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part| percentile(&values, part).map(tenth);
        Self {
            n: values.len(),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// The value below which a part of the sorted values lies, straight between the two nearest: what `NumPy` does by default.
fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_nearest_values() {
        let summary = Summary::of(vec![40.0, 10.0, 30.0, 20.0]);
        // numpy.percentile([10, 20, 30, 40], [50, 95, 99]) = 25, 38.5, 39.7
        assert_eq!(
            summary,
            Summary {
                n: 4,
                p50: Some(25.0),
                p95: Some(38.5),
                p99: Some(39.7),
                max: Some(40.0)
            }
        );
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_none() {
        let one = Summary::of(vec![7.0]);
        assert_eq!([one.p50, one.p95, one.p99, one.max], [Some(7.0); 4]);
        assert_eq!(Summary::of(Vec::new()), Summary::default());
    }
}
