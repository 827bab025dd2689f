//! How long something takes, as a distribution: a probability for each half of a millisecond.

/// Width of a bin.
const STEP_MS: f64 = 0.5;

/// What takes 5 s or longer counts as 5 s.
const BINS: usize = 10_000;

/// Less than this at an end is left out. The last of 100,000 edges is moved by a hundredth of a percent at most.
const NOTHING: f64 = 1e-13;

/// How long something takes. Independent of everything that it is put together with.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    /// The bin of the first of the parts.
    first: usize,
    /// Together 1.
    parts: Vec<f64>,
}

impl Delay {
    /// Always the same.
    pub(super) fn exactly(ms: f64) -> Self {
        Self { first: bin(ms), parts: vec![1.0] }
    }

    /// Anything up to this, all alike.
    pub(super) fn up_to(ms: f64) -> Self {
        let bins = bin(ms) + 1;
        Self { first: 0, parts: vec![1.0 / count(bins); bins] }
    }

    /// With this median and this 99th percentile: a log-logistic distribution, whose tail is longer than a log-normal
    /// one's.
    pub(super) fn of(p50: f64, p99: f64) -> Self {
        let steep = 99.0_f64.ln() / (p99 / p50).max(1.0 + 1e-9).ln();
        let below = |ms: f64| if ms <= 0.0 { 0.0 } else { 1.0 / (1.0 + (p50 / ms).powf(steep)) };
        Self::cumulative(0, (0..BINS).map(|bin| below((count(bin) + 0.5) * STEP_MS)))
    }

    /// One or the other, each with its probability.
    pub(super) fn either(of: &[(f64, &Self)]) -> Self {
        let first = of.iter().map(|(_, delay)| delay.first).min().unwrap_or_default();
        let end = of.iter().map(|(_, delay)| delay.end()).max().unwrap_or_default();
        let mut parts = vec![0.0; end - first];
        for (probability, delay) in of {
            for (sum, part) in parts.iter_mut().skip(delay.first - first).zip(&delay.parts) {
                *sum += probability * part;
            }
        }
        Self { first, parts }.trimmed()
    }

    /// The one after the other.
    pub(super) fn then(&self, other: &Self) -> Self {
        let mut parts = vec![0.0; self.parts.len() + other.parts.len() - 1];
        for (number, one) in self.parts.iter().enumerate() {
            for (sum, part) in parts.iter_mut().skip(number).zip(&other.parts) {
                *sum += one * part;
            }
        }
        Self { first: self.first + other.first, parts }.trimmed()
    }

    /// The same, and so much more.
    pub(super) fn later(&self, ms: f64) -> Self {
        Self { first: self.first + bin(ms), parts: self.parts.clone() }.trimmed()
    }

    /// When the last of so many has happened, each of them as often as its number says.
    pub(super) fn last(of: &[(f64, Self)]) -> Self {
        let first = of.iter().map(|(_, delay)| delay.first).max().unwrap_or_default();
        let end = of.iter().map(|(_, delay)| delay.end()).max().unwrap_or_default();
        let mut all = vec![1.0; end - first];
        for (number, delay) in of {
            let mut below: f64 = delay.parts.iter().take(first - delay.first).sum();
            let rest = delay.parts.iter().skip(first - delay.first).copied().chain(std::iter::repeat(0.0));
            for (product, part) in all.iter_mut().zip(rest) {
                below += part;
                *product *= below.min(1.0).powf(*number);
            }
        }
        Self::cumulative(first, all.into_iter())
    }

    /// What so many of a hundred do not exceed.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        let mut below = 0.0;
        let is_reached = |part: &f64| {
            below += part;
            below * 100.0 >= percent - 1e-6
        };
        let bin = self.parts.iter().position(is_reached).unwrap_or(self.parts.len() - 1);
        count(self.first + bin) * STEP_MS
    }

    /// From the probability up to each bin.
    fn cumulative(first: usize, below: impl Iterator<Item = f64>) -> Self {
        let mut before = 0.0;
        let mut parts: Vec<f64> = below.map(|below| (below - std::mem::replace(&mut before, below)).max(0.0)).collect();
        if let Some(last) = parts.last_mut() {
            *last += 1.0 - before;
        }
        Self { first, parts }.trimmed()
    }

    fn end(&self) -> usize {
        self.first + self.parts.len()
    }

    /// Without what is next to nothing at the ends, and nothing beyond the last bin.
    fn trimmed(mut self) -> Self {
        let over = self.end().saturating_sub(BINS).min(self.parts.len() - 1);
        let late: f64 = self.parts.drain(self.parts.len() - over..).sum();
        if let Some(last) = self.parts.last_mut() {
            *last += late;
        }
        let is_something = |part: &f64| *part > NOTHING;
        let from = self.parts.iter().position(is_something).unwrap_or_default();
        let to = self.parts.iter().rposition(is_something).map_or(1, |last| last + 1);
        self.parts.truncate(to);
        self.parts.drain(..from);
        self.first = (self.first + from).min(BINS - 1);
        self
    }
}

/// The bin of a delay.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a delay is not negative, and is limited to the bins"
)]
fn bin(ms: f64) -> usize {
    ((ms / STEP_MS).round() as usize).min(BINS - 1)
}

#[allow(clippy::cast_precision_loss, reason = "bins are thousands")]
fn count(bins: usize) -> f64 {
    bins as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(delay: &Delay, percent: f64, ms: f64) -> bool {
        (delay.percentile(percent) - ms).abs() <= STEP_MS
    }

    #[test]
    fn a_distribution_has_the_percentiles_that_it_is_made_of() {
        let delay = Delay::of(20.0, 50.0);
        assert!(is(&delay, 50.0, 20.0) && is(&delay, 99.0, 50.0), "{delay:?}");
        assert!((delay.parts.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(is(&Delay::up_to(100.0), 50.0, 50.0));
    }

    #[test]
    fn delays_after_each_other_add_up() {
        let twice = Delay::exactly(10.0).then(&Delay::up_to(4.0)).then(&Delay::exactly(1.0));
        assert!(is(&twice, 0.1, 11.0) && is(&twice, 100.0, 15.0));
        assert!(is(&Delay::exactly(3.0).later(2.0), 50.0, 5.0));
    }

    #[test]
    fn the_last_of_many_is_late_and_of_one_it_is_itself() {
        let delay = Delay::of(2.0, 4.0);
        let last = |number| Delay::last(&[(number, delay.clone())]);
        assert!(is(&last(1.0), 50.0, 2.0) && is(&last(1.0), 99.0, 4.0));
        // The median of the last of 69 is the 99th percentile of one: 0.99 to the power of 69 is a half.
        assert!(is(&last(69.0), 50.0, 4.0));
        assert!(last(10_000.0).percentile(50.0) > last(100.0).percentile(50.0));
        let with_another = Delay::last(&[(1.0, delay), (1.0, Delay::exactly(70.0))]);
        assert!(is(&with_another, 1.0, 70.0) && is(&with_another, 99.0, 70.0));
    }

    #[test]
    fn either_is_as_likely_as_it_is_said() {
        let either = Delay::either(&[(0.9, &Delay::exactly(5.0)), (0.1, &Delay::exactly(80.0))]);
        assert!(is(&either, 89.0, 5.0) && is(&either, 91.0, 80.0));
    }

    #[test]
    fn what_takes_too_long_counts_as_the_longest() {
        let longest = Delay::exactly(4_000.0).then(&Delay::exactly(4_000.0));
        assert!(is(&longest, 50.0, 4_999.5));
        assert!(is(&longest.then(&Delay::up_to(10.0)), 50.0, 4_999.5));
    }
}
