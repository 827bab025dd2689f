//! One result of a run: a line of the JSON output. The schema is documented in docs/benchmarks.md.

use serde::{Deserialize, Serialize};

use crate::samples::Samples;

/// Version of the schema: a reader refuses others.
pub(crate) const SCHEMA: u32 = 1;

/// Whose figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Of zonecast.
    Ours,
    /// Of other people's software that does the same work.
    Peer,
    /// Of the machine: what no software can be faster than.
    Limit,
    /// Of the data model that ours replaces.
    Baseline,
}

/// A result. Made by [`Figure::new`] and what follows it, kept by [`Bench::record`](crate::bench::Bench::record).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// Scenario that made it, as on the command line.
    pub(crate) scenario: String,
    /// Figures of one work can be compared with each other: `one change at a time, zone of 100,000 records`.
    pub(crate) work: String,
    /// Who did it: `zonecast`, `BIND to BIND`, `UDP echo`.
    pub(crate) subject: String,
    /// Whose figure it is.
    pub(crate) kind: Kind,
    /// How the subject was set up: `tuned`, `as shipped`, or in words.
    pub(crate) settings: String,
    /// What was measured: `p50`, `p99`, `CPU per query`.
    pub(crate) measure: String,
    /// The median of the runs.
    pub(crate) value: Option<f64>,
    /// Of the value: `ms`, `us`, `s`, `B`, `MiB`, `1/s`.
    pub(crate) unit: String,
    /// Smallest and largest of the runs.
    pub(crate) spread: Option<[f64; 2]>,
    /// How often it was run.
    pub(crate) runs: u32,
    /// Samples in all runs together.
    pub(crate) samples: u64,
    /// Whether a smaller value is the better one.
    pub(crate) smaller_is_better: bool,
    /// Row of the targets that it decides: `T1`.
    pub(crate) row: Option<String>,
    /// Value over the value of `against`.
    pub(crate) ratio: Option<f64>,
    /// Peer or limit of the same run.
    pub(crate) against: Option<String>,
    /// What the ratio must not exceed; or, where more is better, must reach.
    pub(crate) target: Option<f64>,
    /// Whether it does.
    pub(crate) met: Option<bool>,
    /// What is missing before it can be measured.
    pub(crate) not_yet: Option<String>,
    /// What there is to know about it: a clock, a size.
    pub(crate) note: Option<String>,
    /// Something else was using the machine.
    pub(crate) noisy: bool,
    /// For a plot of the distribution: fraction of the samples, and the value that so many do not exceed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) distribution: Vec<[f64; 2]>,
    /// For a plot over time: seconds since the start, and the value then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) over_time: Vec<[f64; 2]>,
    /// Version and configuration of the subject, where it is a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configuration: Option<String>,
    /// Commit of zonecast, with `+` when the tree had changes.
    pub(crate) commit: String,
    /// The machine, in one line.
    pub(crate) host: String,
    /// Day on which the run began, `2026-01-31` (UTC).
    #[serde(default)]
    pub(crate) date: String,
}

impl Figure {
    /// Of zonecast, as shipped, smaller being better; the rest is set by the methods below.
    pub(crate) fn new(work: impl Into<String>, subject: impl Into<String>, measure: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA,
            scenario: String::new(),
            work: work.into(),
            subject: subject.into(),
            kind: Kind::Ours,
            settings: "as shipped".into(),
            measure: measure.into(),
            value: None,
            unit: String::new(),
            spread: None,
            runs: 0,
            samples: 0,
            smaller_is_better: true,
            row: None,
            ratio: None,
            against: None,
            target: None,
            met: None,
            not_yet: None,
            note: None,
            noisy: false,
            distribution: Vec::new(),
            over_time: Vec::new(),
            configuration: None,
            commit: String::new(),
            host: String::new(),
            date: String::new(),
        }
    }

    /// A row of the targets that cannot be measured before something is there.
    #[cfg(test)]
    pub(crate) fn not_yet(row: &str, work: &str, needs: &str) -> Self {
        Self { not_yet: Some(format!("not yet: needs {needs}")), ..Self::new(work, "zonecast", "").of_row(row) }
    }

    /// Whose it is.
    pub(crate) fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// How the subject was set up.
    pub(crate) fn settings(self, settings: impl Into<String>) -> Self {
        Self { settings: settings.into(), ..self }
    }

    /// The median and the spread of some runs, one value each.
    pub(crate) fn values(self, values: &[f64], unit: &str) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let spread = sorted.first().zip(sorted.last()).map(|(first, last)| [*first, *last]);
        let runs = u32::try_from(values.len()).unwrap_or(u32::MAX);
        Self { value: median(&sorted), unit: unit.into(), spread, runs, samples: u64::from(runs), ..self }
    }

    /// So many samples made the values.
    pub(crate) fn samples(self, samples: usize) -> Self {
        Self { samples: samples as u64, ..self }
    }

    /// A larger value is the better one.
    pub(crate) fn more_is_better(self) -> Self {
        Self { smaller_is_better: false, ..self }
    }

    /// The row of the targets that it decides.
    pub(crate) fn of_row(self, row: &str) -> Self {
        Self { row: Some(row.into()), ..self }
    }

    /// The ratio to another figure of the same run, with what it must be.
    pub(crate) fn against(self, other: &Self, target: Option<f64>) -> Self {
        let who = format!("{}, {}", other.subject, other.settings);
        match other.value {
            Some(value) => self.against_value(value, who, target),
            None => self,
        }
    }

    /// The ratio to a value: a limit that is named in words.
    pub(crate) fn against_value(self, other: f64, who: impl Into<String>, target: Option<f64>) -> Self {
        let ratio = self.value.map(|value| value / other).filter(|ratio| ratio.is_finite());
        let met = ratio
            .zip(target)
            .map(|(ratio, target)| if self.smaller_is_better { ratio <= target } else { ratio >= target });
        Self { ratio, against: Some(who.into()), target, met, ..self }
    }

    /// What there is to know about it.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// The distribution of these samples, for a plot.
    pub(crate) fn distribution(self, samples: &Samples) -> Self {
        Self { distribution: samples.distribution(), ..self }
    }

    /// A value over time, for a plot.
    pub(crate) fn over_time(self, over_time: Vec<[f64; 2]>) -> Self {
        Self { over_time, ..self }
    }

    /// Configuration of a peer.
    pub(crate) fn configuration(self, configuration: impl Into<String>) -> Self {
        Self { configuration: Some(configuration.into()), ..self }
    }

    /// The p50 with the distribution, and the p99 where there are samples enough to speak of it.
    pub(crate) fn percentiles(samples: &Samples, unit: &str, figure: impl Fn(&str) -> Self) -> Vec<Self> {
        let of = |measure: &str, value: f64| figure(measure).values(&[value], unit).samples(samples.len());
        let p50 = samples.median().map(|p50| of("p50", p50).distribution(samples));
        p50.into_iter().chain(samples.percentile(99.0).map(|p99| of("p99", p99))).collect()
    }

    /// How much of what its target allows it takes: met up to 1.
    pub(crate) fn target_part(&self) -> Option<f64> {
        let (ratio, target) = self.ratio.zip(self.target)?;
        Some(if self.smaller_is_better { ratio / target } else { target / ratio })
    }

    /// Where it stands among others, for people.
    pub(crate) fn key(&self) -> [&str; 5] {
        [&self.scenario, &self.work, &self.subject, &self.settings, &self.measure]
    }
}

/// The middle of sorted values, or the mean of the two there.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_spread_are_of_the_runs() {
        let figure = Figure::new("work", "zonecast", "p50").values(&[3.0, 1.0, 2.0, 9.0], "ms");
        assert_eq!((figure.value, figure.spread, figure.runs), (Some(2.5), Some([1.0, 9.0]), 4));
        assert_eq!(Figure::new("work", "zonecast", "p50").values(&[], "ms").value, None);
    }

    #[test]
    fn a_target_is_met_on_its_side() {
        let peer = Figure::new("work", "BIND to BIND", "p50").values(&[10.0], "ms");
        let ours = |value| Figure::new("work", "zonecast", "p50").values(&[value], "ms");
        assert_eq!(ours(2.0).against(&peer, Some(0.2)).met, Some(true));
        assert_eq!(ours(2.1).against(&peer, Some(0.2)).met, Some(false));
        assert_eq!(ours(90.0).more_is_better().against(&peer, Some(10.0)).met, Some(false));
        assert_eq!(ours(100.0).more_is_better().against(&peer, Some(10.0)).met, Some(true));
        assert_eq!(ours(1.0).against_value(0.0, "nothing", Some(1.0)).met, None);
    }

    #[test]
    fn a_line_reads_back() {
        let figure = Figure::new("work", "zonecast", "p50").values(&[1.5], "ms").of_row("T1").note("a note");
        let line = serde_json::to_string(&figure).unwrap();
        assert_eq!(serde_json::from_str::<Figure>(&line).unwrap(), figure);
    }
}
