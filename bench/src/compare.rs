//! `zonecast-bench compare`: what became worse from one run to another. Peers and limits are shown too, since they tell
//! whether it was the machine, but only what is ours can be a regression.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use serde::Serialize;

use crate::figure::{Figure, Kind};
use crate::report::number;
use crate::results;

/// Compares two runs; ends with 1 if something of zonecast became worse.
#[derive(Args)]
pub(crate) struct Compare {
    /// Folder of the earlier run, or its `results.jsonl`.
    earlier: PathBuf,
    /// Folder of the later run, or its `results.jsonl`.
    later: PathBuf,
    /// What is worse by no more than this is no regression, in percent.
    #[arg(long, default_value_t = 10.0, value_name = "PERCENT")]
    threshold: f64,
    /// Print JSON lines instead of a table.
    #[arg(long)]
    json: bool,
    /// Compare though the machines differ.
    #[arg(long)]
    any_host: bool,
}

/// What became of one result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Worse,
    Better,
    Same,
}

/// One result in both runs.
#[derive(Debug, Serialize)]
struct Line {
    scenario: String,
    work: String,
    subject: String,
    settings: String,
    measure: String,
    kind: Kind,
    unit: String,
    earlier: f64,
    later: f64,
    /// Of the earlier value; more is worse or better as `change` says.
    percent: f64,
    change: Change,
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let (earlier, later) = (results::read(&self.earlier)?, results::read(&self.later)?);
        let hosts = earlier.first().zip(later.first()).map(|(one, other)| (&one.host, &other.host));
        if let Some((one, other)) = hosts {
            let advice = "figures of two machines say nothing about a change; --any-host compares them anyway";
            ensure!(self.any_host || one == other, "{one} and {other}: {advice}");
        }
        let lines = compare(&earlier, &later, self.threshold);
        ensure!(!lines.is_empty(), "the two runs have no result in common");
        for line in &lines {
            if self.json {
                println!("{}", serde_json::to_string(line)?);
            } else {
                println!("{}", line.text());
            }
        }
        let ours = || lines.iter().filter(|line| line.kind == Kind::Ours);
        let (worse, all) = (ours().filter(|line| line.is_regression()).count(), ours().count());
        if !self.json {
            let by = self.threshold;
            println!(
                "\n{worse} of {all} results of zonecast are worse by more than {by} % and by more than their spread"
            );
        }
        Ok(ExitCode::from(u8::from(worse > 0)))
    }
}

impl Line {
    fn is_regression(&self) -> bool {
        self.kind == Kind::Ours && self.change == Change::Worse
    }

    fn text(&self) -> String {
        let Self { scenario, work, subject, settings, measure, unit, percent, .. } = self;
        let mark = match self.change {
            Change::Worse => "WORSE ",
            Change::Better => "better",
            Change::Same => "      ",
        };
        let (earlier, later) = (number(self.earlier), number(self.later));
        format!(
            "{mark} {percent:+6.1} %  {earlier} -> {later} {unit}  {scenario}: {work}: {subject}, {settings}: {measure}"
        )
    }
}

/// What both runs have, in the order of the later one.
fn compare(earlier: &[Figure], later: &[Figure], threshold: f64) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for new in later {
        let Some(old) = earlier.iter().find(|old| old.key() == new.key()) else { continue };
        let Some((before, after)) = old.value.zip(new.value).filter(|(before, _)| *before > 0.0) else { continue };
        let percent = 100.0 * (after - before) / before;
        let [scenario, work, subject, settings, measure] = new.key().map(str::to_owned);
        // A result with ratios to two others is there twice.
        let twice = |line: &Line| {
            [&line.scenario, &line.work, &line.subject, &line.settings, &line.measure].map(String::as_str) == new.key()
        };
        if lines.iter().any(twice) {
            continue;
        }
        let change = change(old, new, percent, threshold);
        let (kind, unit) = (new.kind, new.unit.clone());
        lines.push(Line {
            scenario,
            work,
            subject,
            settings,
            measure,
            kind,
            unit,
            earlier: before,
            later: after,
            percent,
            change,
        });
    }
    lines
}

fn change(old: &Figure, new: &Figure, percent: f64, threshold: f64) -> Change {
    let apart = match old.spread.zip(new.spread) {
        Some(([old_low, old_high], [new_low, new_high])) => new_low > old_high || new_high < old_low,
        None => true,
    };
    if percent.abs() <= threshold || !apart {
        Change::Same
    } else if (percent > 0.0) == new.smaller_is_better {
        Change::Worse
    } else {
        Change::Better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(values: &[f64]) -> Figure {
        Figure::new("work", "zonecast", "p50").values(values, "ms")
    }

    fn changes(old: &Figure, new: &Figure) -> Vec<Change> {
        compare(std::slice::from_ref(old), std::slice::from_ref(new), 10.0).iter().map(|line| line.change).collect()
    }

    #[test]
    fn worse_is_on_the_side_that_the_measure_has_it() {
        assert_eq!(changes(&figure(&[1.0]), &figure(&[1.2])), [Change::Worse]);
        assert_eq!(changes(&figure(&[1.2]), &figure(&[1.0])), [Change::Better]);
        let rate = |value| figure(&[value]).more_is_better();
        assert_eq!(changes(&rate(100.0), &rate(80.0)), [Change::Worse]);
        assert_eq!(changes(&rate(100.0), &rate(120.0)), [Change::Better]);
    }

    #[test]
    fn what_lies_within_the_threshold_or_the_spread_is_the_same() {
        assert_eq!(changes(&figure(&[1.0]), &figure(&[1.09])), [Change::Same]);
        assert_eq!(changes(&figure(&[1.0, 1.1, 1.5]), &figure(&[1.4, 1.5, 1.6])), [Change::Same]);
        assert_eq!(changes(&figure(&[1.0, 1.1, 1.2]), &figure(&[1.4, 1.5, 1.6])), [Change::Worse]);
    }

    #[test]
    fn a_slower_peer_is_no_regression() {
        let of = |kind, value: f64| figure(&[value]).kind(kind);
        for (kind, regresses) in [(Kind::Ours, true), (Kind::Peer, false), (Kind::Limit, false)] {
            let lines = compare(&[of(kind, 1.0)], &[of(kind, 2.0)], 10.0);
            assert_eq!(lines.iter().map(Line::is_regression).collect::<Vec<_>>(), [regresses], "{kind:?}");
        }
    }

    #[test]
    fn what_only_one_run_has_is_left_out() {
        let other = Figure::new("other work", "zonecast", "p50").values(&[1.0], "ms");
        assert!(changes(&figure(&[1.0]), &other).is_empty());
        assert!(changes(&Figure::not_yet("T2", "work", "x"), &figure(&[1.0])).is_empty());
    }
}
