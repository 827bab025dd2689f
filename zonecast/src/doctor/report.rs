//! Findings for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::finding::{Finding, Severity};

/// All findings of a doctor's run, counted by severity; `zonecast doctor --json` prints it as it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether nothing is an error.
    pub healthy: bool,
    /// How many are errors.
    pub errors: usize,
    /// How many may become errors, or could not be found out.
    pub warnings: usize,
    /// How many are as they should be.
    pub ok: usize,
    /// Each, worst first within a node.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Of these.
    #[must_use]
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        let mut nodes: Vec<String> = Vec::new();
        for finding in &findings {
            if !nodes.contains(&finding.node) {
                nodes.push(finding.node.clone());
            }
        }
        // Nodes stay in the order in which they came, and what is said of one stands together.
        findings.sort_by_key(|finding| {
            let place = nodes.iter().position(|node| *node == finding.node);
            (place, std::cmp::Reverse(finding.severity))
        });
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings, ok) = (count(Severity::Error), count(Severity::Warn), count(Severity::Ok));
        Self { healthy: errors == 0, errors, warnings, ok, findings }
    }

    /// As a table: what is wrong each on its lines with what to do, and a line that sums it up.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width =
            |part: fn(&Finding) -> &str| self.findings.iter().map(|it| part(it).len()).max().unwrap_or_default();
        let (node, check) = (width(|it| &it.node), width(|it| it.check));
        for finding in &self.findings {
            let Finding { severity, message, advice, .. } = finding;
            writeln!(out, "{severity:<5}  {:<node$}  {:<check$}  {message}", finding.node, finding.check)?;
            if !advice.is_empty() {
                writeln!(out, "{:1$}-> {advice}", "", node + check + 11)?;
            }
        }
        let plural = |count, what| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        writeln!(out, "{}, {}, {} ok", plural(self.errors, "error"), plural(self.warnings, "warning"), self.ok)
    }
}
