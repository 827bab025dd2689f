//! Results put together by what can be compared: scenarios, in them works, in them subjects.

use crate::figure::Figure;

/// The results of one work of one scenario, in the order in which they came.
pub(crate) struct Work<'a> {
    /// As on the command line.
    pub(crate) scenario: &'a str,
    /// What was done.
    pub(crate) name: &'a str,
    /// What came of it.
    pub(crate) figures: Vec<&'a Figure>,
}

/// All works, in the order of their first results.
pub(crate) fn works(figures: &[Figure]) -> Vec<Work<'_>> {
    let mut works: Vec<Work<'_>> = Vec::new();
    for figure in figures {
        let same = |work: &&mut Work<'_>| work.scenario == figure.scenario && work.name == figure.work;
        match works.iter_mut().find(same) {
            Some(work) => work.figures.push(figure),
            None => works.push(Work { scenario: &figure.scenario, name: &figure.work, figures: vec![figure] }),
        }
    }
    works
}

/// Value, unit, and the spread of the runs where there were some.
pub(crate) fn value(figure: &Figure) -> String {
    let Some(value) = figure.value else { return String::new() };
    let spread = figure.spread.filter(|_| figure.runs > 1);
    let spread = spread.map(|[low, high]| format!(" ({} to {})", super::number(low), super::number(high)));
    format!("{} {}{}", super::number(value), figure.unit, spread.unwrap_or_default())
}

/// The ratio and whose it is to.
pub(crate) fn ratio(figure: &Figure) -> String {
    let Some((ratio, against)) = figure.ratio.zip(figure.against.as_ref()) else { return String::new() };
    // Where it is the target itself that it is compared with, everything is said.
    let target = figure.target.filter(|_| !against.starts_with("what T"));
    let asked = target.map(|target| {
        let side = if figure.smaller_is_better { "at most" } else { "at least" };
        format!(", asked: {side} {}", super::number(target))
    });
    format!("{} of {against}{}", super::number(ratio), asked.unwrap_or_default())
}
