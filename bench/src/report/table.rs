//! Results as a table for a terminal, and what they say of the targets.

use std::fmt::{Error, Write as _};

use super::rows::ROWS;
use super::works::{ratio, value, works};
use crate::figure::Figure;

/// All results, by scenario and work, and the targets at the end, where a terminal shows them.
pub(crate) fn table(figures: &[Figure]) -> Result<String, Error> {
    let mut text = String::new();
    for work in works(figures) {
        writeln!(text, "\n{}: {}", work.scenario, work.name)?;
        for figure in work.figures {
            let subject = format!("{}, {}", figure.subject, figure.settings);
            if let Some(why) = &figure.not_yet {
                writeln!(text, "  {subject:<42} {why}")?;
                continue;
            }
            let noisy = if figure.noisy { " noisy" } else { "" };
            let line = format!("  {subject:<42} {:<22} {:<30} {}{noisy}", figure.measure, value(figure), ratio(figure));
            writeln!(text, "{}", line.trim_end())?;
        }
    }
    writeln!(text, "\ntargets")?;
    for row in ROWS {
        writeln!(text, "  {:<4} {:<16} {}", row.name, row.verdict(figures).name(), row.work)?;
        for figure in row.figures(figures) {
            let what = figure.not_yet.clone().unwrap_or_else(|| format!("{} {}", figure.measure, ratio(figure)));
            let met = figure.met.map_or("", |met| if met { "met" } else { "MISSED" });
            writeln!(text, "       {met:<7} {}: {what}", figure.work)?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_values_ratios_and_every_target() {
        let peer = Figure::new("a change", "BIND to BIND", "p50").values(&[6.0], "ms").settings("tuned");
        let ours = Figure::new("a change", "zonecast", "p50").values(&[1.0, 2.0, 3.0], "ms");
        let ours = ours.of_row("T1").against(&peer, Some(0.2));
        let text = table(&[ours, peer, Figure::not_yet("T2", "three voters", "voters")]).unwrap();
        for part in
            ["2.00 ms (1.00 to 3.00)", "0.333 of BIND to BIND, tuned, asked: at most 0.200", "MISSED", "needs voters"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(ROWS.iter().all(|row| text.contains(row.work)));
    }
}
