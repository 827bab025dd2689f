//! A result in one line, as it comes, and numbers as people read them.

use crate::figure::Figure;

/// A result as it comes.
pub(crate) fn one_line(figure: &Figure) -> String {
    let Figure { work, subject, settings, measure, unit, .. } = figure;
    let mut line = format!("{work}: {subject} ({settings})");
    if let Some(why) = &figure.not_yet {
        return format!("{line}: {why}");
    }
    if let Some(value) = figure.value {
        line += &format!(": {measure} {} {unit}", number(value));
    }
    if let Some((ratio, against)) = figure.ratio.zip(figure.against.as_ref()) {
        line += &format!(", {} of {against}", number(ratio));
    }
    if let Some((row, met)) = figure.row.as_ref().zip(figure.met) {
        line += &format!(", {row} {}", if met { "met" } else { "MISSED" });
    }
    line
}

/// With three digits that count.
pub(crate) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if digits >= 6.0 {
        format!("{:.2}M", value / 1e6)
    } else if digits >= 2.0 {
        format!("{value:.0}")
    } else if digits >= 1.0 {
        format!("{value:.1}")
    } else if digits >= 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}
