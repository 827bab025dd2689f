//! The outcome for people.

use std::fmt::{Error, Write as _};

use super::inputs::{MAX_EDGES, REST_MS};
use super::outcome::{Line, Outcome};

/// Of the columns, in two lines.
const HEAD: [[&str; 14]; 2] = [
    [
        "depth",
        "degree",
        "relays",
        "core",
        "relay",
        "p50",
        "p99",
        "last p50",
        "last p99",
        "core out",
        "relay out",
        "core",
        "relay",
        "acks/s",
    ],
    ["", "", "", "serves", "serves", "ms", "ms", "ms", "ms", "MB/s", "MB/s", "CPUs", "CPUs", "at core"],
];

pub(super) fn table(outcome: &Outcome) -> Result<String, Error> {
    let inputs = &outcome.inputs;
    let mut text = String::new();
    writeln!(text, "A model: nothing here was measured at this size.\n")?;
    writeln!(
        text,
        "{} edges in {} cities of 10 regions, cores in {:?}; {} changes/s of {} bytes, {} % of packets lost\n",
        inputs.nodes,
        inputs.cities,
        inputs.core,
        inputs.changes,
        inputs.change_bytes,
        inputs.loss * 100.0
    )?;
    for head in HEAD {
        writeln!(text, "{}", columns(&head.map(str::to_owned)))?;
    }
    for (place, line) in outcome.trees.iter().enumerate() {
        row(&mut text, line, outcome.best == Some(place))?;
    }
    best(&mut text, outcome)?;
    group(&mut text, outcome)?;
    Ok(text)
}

fn row(text: &mut String, line: &Line, is_best: bool) -> Result<(), Error> {
    let shape = [line.depth, line.degree].map(|number| number.to_string());
    let counts = [line.relays, line.core_downstreams, line.relay_downstreams].map(|number| format!("{number:.0}"));
    let start = [&shape[..], &counts[..]].concat();
    if let Some(why) = &line.impossible {
        return writeln!(text, "{}  not possible: {why}", columns(&start));
    }
    let times = [line.p50_ms, line.p99_ms, line.last_p50_ms, line.last_p99_ms].map(|ms| format!("{ms:.1}"));
    let sent = [line.core_bytes, line.relay_bytes].map(|bytes| format!("{:.1}", bytes / 1e6));
    let busy = [line.core_processors, line.relay_processors].map(|processors| format!("{processors:.2}"));
    let all = [&start[..], &times, &sent, &busy, &[format!("{:.0}", line.core_acks)]].concat();
    let best = if is_best { "  best" } else { "" };
    writeln!(text, "{}{best}", columns(&all))
}

/// Each as wide as its head, to the right.
fn columns(cells: &[String]) -> String {
    let [first, second] = HEAD;
    let width = |(one, other): (&str, &str)| one.len().max(other.len()).max(6);
    let cells = cells.iter().zip(first.into_iter().zip(second).map(width));
    cells.map(|(cell, width)| format!("{cell:>width$}")).collect::<Vec<_>>().join("  ")
}

fn best(text: &mut String, outcome: &Outcome) -> Result<(), Error> {
    let Some(best) = outcome.best() else { return writeln!(text, "\nno tree is possible") };
    let levels = if best.depth == 1 { "one level".to_owned() } else { format!("{} levels", best.depth) };
    let Line { depth, degree, relays, .. } = best;
    writeln!(
        text,
        "\nbest: {levels} of relays (depth {depth}), {degree} downstreams each at most, {relays:.0} relays"
    )?;
    writeln!(text, "  last edge: p50 {:.0} ms, p99 {:.0} ms", best.last_p50_ms, best.last_p99_ms)?;
    writeln!(text, "  of all trees whose last edge is at most 5 % later than the earliest, it has the fewest relays")?;
    writeln!(text, "  each relay below the core takes {:.0} ms to name all its edges to a new upstream", best.told_ms)?;
    if best.uncounted > 0.0 {
        let uncounted = best.uncounted;
        writeln!(
            text,
            "  {uncounted:.0} edges get every change, but no receipt counts them: a core knows {MAX_EDGES} nodes"
        )?;
    }
    writeln!(
        text,
        "  a node that sends for more than half of the time combines changes, and rests up to {REST_MS} ms between writes"
    )
}

fn group(text: &mut String, outcome: &Outcome) -> Result<(), Error> {
    let (group, inputs) = (&outcome.group, &outcome.inputs);
    writeln!(text, "\none raft group ends at")?;
    writeln!(text, "  {:.0} changes/s", group.changes)?;
    writeln!(
        text,
        "  {:.0} million records: {:.0} million fit on {} GB of disk, {:.0} million load in {} minutes",
        group.records() / 1e6,
        group.records_on_disk / 1e6,
        inputs.disk,
        group.records_loaded / 1e6,
        inputs.bootstrap_within
    )?;
    writeln!(
        text,
        "  an edge that was away needs a snapshot after {:.0} s at that rate ({:.0} s at {} changes/s)",
        group.away_s, group.away_now_s, inputs.changes
    )?;
    writeln!(text, "beyond: several groups, each with keyspaces of its own")?;
    for groups in &group.groups {
        writeln!(text, "  {:>6.0} changes/s: {:.0}", groups.changes, groups.groups)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::inputs::Inputs;
    use super::*;

    #[test]
    fn it_says_that_it_is_a_model_and_what_is_best() {
        let text = table(&Outcome::of(&Inputs { nodes: 3_000, cities: 30, ..Inputs::default() })).unwrap();
        for part in ["nothing here was measured", "best: ", "one raft group ends at", "9266 changes/s"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
