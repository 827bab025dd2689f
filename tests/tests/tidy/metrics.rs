//! Metrics: their prefix, their units, and that operators can read about each.

use std::collections::BTreeMap;

use crate::tree::Tree;

/// Ways to name a metric in Rust; the name is the first argument.
const MAKERS: &[&str] = &["Opts::new(", "HistogramOpts::new(", "Counter::new(", "Gauge::new(", "Histogram::new("];

/// Names of metrics and the files that register them.
fn names(tree: &Tree) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for file in tree.shipped() {
        let uses_prometheus = file.text.contains("prometheus");
        for maker in MAKERS.iter().filter(|_| uses_prometheus) {
            let arguments = file.text.split(maker).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            let literals = arguments.filter_map(|rest| rest.split_once('"'));
            found.extend(literals.map(|(name, _)| (name.to_owned(), file.path.clone())));
        }
    }
    found
}

fn violations(names: &BTreeMap<String, String>, documented: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, path) in names {
        if !name.starts_with("zonecast_") {
            violations.push(format!("{path}: {name} has no prefix zonecast_"));
        }
        if ["_ms", "_us", "_millis", "_micros", "_kb", "_mb"].iter().any(|unit| name.ends_with(unit)) {
            violations.push(format!("{path}: {name} is not in base units"));
        }
        if !documented.contains(name) {
            violations.push(format!("{path}: {name} is not in docs/operations.md"));
        }
    }
    violations
}

#[test]
fn metrics_are_named_well_and_documented() {
    let tree = Tree::of_project();
    let documented = tree.with_ending("docs/operations.md").map(|file| file.text.as_str()).next().unwrap_or_default();
    let names = names(&tree);
    assert!(names.len() > 5, "only {names:?} were found");
    crate::assert_none(&violations(&names, documented));
}

#[test]
fn badly_named_metrics_are_noticed() {
    let text =
        "use prometheus::*;\nIntCounter::new(\"zonecast_good_total\", \"x\");\nOpts::new(\n    \"bad_ms\", \"x\");\n";
    let names = names(&Tree::of(&[("a/src/m.rs", text)]));
    assert_eq!(names.len(), 2);
    assert_eq!(violations(&names, "zonecast_good_total").len(), 3);
}
