//! Times of one run and what may be said about them.

use std::time::Duration;

/// A percentile is quoted from at least so many samples beyond it: 1,000 samples for a p99.
const BEYOND: usize = 10;

/// Fractions of the samples at which the distribution is drawn: finer towards the end, where it matters.
const FRACTIONS: [f64; 22] = [
    0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998,
    0.999, 1.0,
];

/// Sorted times in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    sorted: Vec<f64>,
}

impl Samples {
    /// Of these times.
    pub(crate) fn new(times: &[Duration]) -> Self {
        Self::of(times.iter().map(|time| time.as_secs_f64() * 1000.0).collect())
    }

    /// Of values in any unit.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self { sorted: values }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// What so many of a hundred do not exceed, if there are enough samples to say so.
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "samples are thousands")]
        let beyond = self.len() as f64 * (100.0 - percent) / 100.0;
        #[allow(clippy::cast_precision_loss, reason = "a small constant")]
        let enough = BEYOND as f64;
        // Not quite ten for the sake of rounding.
        (beyond > enough - 0.5).then(|| self.at(percent / 100.0)).flatten()
    }

    /// The middle one; from however few.
    pub(crate) fn median(&self) -> Option<f64> {
        self.at(0.5)
    }

    /// The largest.
    pub(crate) fn max(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// Points of the distribution, for a plot.
    pub(crate) fn distribution(&self) -> Vec<[f64; 2]> {
        FRACTIONS.iter().filter_map(|fraction| Some([*fraction, self.at(*fraction)?])).collect()
    }

    fn at(&self, fraction: f64) -> Option<f64> {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "samples are thousands, and the fraction is between 0 and 1"
        )]
        let rank = (self.len() as f64 * fraction).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_enough_samples() {
        let few = Samples::of((1..=999).map(f64::from).collect());
        assert_eq!(few.percentile(99.0).map(|_| ()), Some(()), "999 samples are a thousand, rounded");
        assert_eq!(Samples::of((1..=900).map(f64::from).collect()).percentile(99.0), None);
        let thousand = Samples::of((1..=1000).rev().map(f64::from).collect());
        assert_eq!((thousand.percentile(50.0), thousand.percentile(99.0)), (Some(500.0), Some(990.0)));
        assert_eq!((thousand.median(), thousand.max()), (Some(500.0), Some(1000.0)));
        assert_eq!(Samples::default().median(), None);
    }

    #[test]
    fn a_distribution_rises() {
        let points = Samples::of(vec![3.0, 1.0, 2.0]).distribution();
        assert_eq!(points.first(), Some(&[0.0, 1.0]));
        assert_eq!(points.last(), Some(&[1.0, 3.0]));
        assert!(points.windows(2).all(|pair| matches!(pair, [[a, b], [c, d]] if a < c && b <= d)));
    }
}
