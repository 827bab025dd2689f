//! From facts to findings: every check, in the order in which one reads.

use super::facts::Facts;
use super::finding::Finding;
use super::{config_check, node_check, system_check};

/// Judges all facts.
#[must_use]
pub(crate) fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for config in &facts.configs {
        config_check::check(facts, config, &mut findings);
    }
    for node in &facts.nodes {
        node_check::check(facts, node, &mut findings);
    }
    system_check::check(facts, &mut findings);
    findings
}
