//! Rules and alerts as texts: whether their own tests cover them, and whether operators can read about them.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::dashboards::panel_queries;
use super::{INSTALL, ops, read_ops};

/// The rules with seconds for minutes, so that a test can wait for them.
pub(super) fn shortened(rules: &str) -> String {
    let short = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 1s\n"),
        _ => line.replace("[5m]", "[5s]").replace("[1m]", "[5s]") + "\n",
    };
    let text: String = rules.lines().map(short).collect();
    assert!(!text.contains("m]") && !text.contains("h]"), "something still takes minutes:\n{text}");
    text
}

/// Names of metrics, of ours and of recording rules, in an expression or a page.
pub(super) fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !is_name(letter));
    words.filter(|word| word.contains("zonecast_") && !word.ends_with('_')).map(str::to_owned).collect()
}

/// What an expression looks at: metrics, with their labels.
pub(super) fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let (name, after) = rest.split_at(rest.find(|letter| !is_name(letter)).unwrap_or(rest.len()));
        let labels = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        if let Some((labels, after)) = labels {
            found.insert(format!("{name}{{{labels}}}"));
            rest = after;
        } else {
            found.extend(name.contains("zonecast_").then(|| name.to_owned()));
            rest = after;
        }
    }
    found
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'
}

/// The metric that the samples of a histogram belong to, or the name itself.
pub(super) fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric)
}

/// What follows a word at the beginnings of lines.
fn named<'a>(rules: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    rules.lines().filter_map(move |line| line.trim().strip_prefix(word))
}

/// Alerts that lack a test in which they fire, one in which they do not, a line for operators, or a link to it.
fn violations(rules: &str, tests: &str, documented: &str, repository: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for alert in named(rules, "- alert: ") {
        for (text, wanted, what) in [
            (tests, format!("alertname: {alert}\n        exp_alerts:"), "no test in which it fires"),
            (tests, format!("alertname: {alert} }}"), "no test in which it is quiet"),
            (documented, format!("\n| `{alert}` |"), "no line in docs/operations.md"),
        ] {
            if !text.contains(&wanted) {
                violations.push(format!("{alert}: {what}"));
            }
        }
    }
    let read: BTreeSet<String> = rules.lines().filter(|line| !line.contains("- record: ")).flat_map(metrics).collect();
    for record in named(rules, "- record: ").filter(|record| !read.contains(*record) && !tests.contains(*record)) {
        violations.push(format!("{record}: neither a test nor an alert reads it"));
    }
    let (alerts, links) = (named(rules, "- alert: ").count(), named(rules, "runbook_url: ").collect::<Vec<_>>());
    let page = format!("{repository}/blob/main/docs/operations.md#alerts");
    if links.len() != alerts || links.iter().any(|link| *link != page) || !documented.contains("\n## Alerts\n") {
        violations.push(format!("{alerts} alerts, and not as many links to {page}"));
    }
    violations
}

/// Whether it succeeded, and what it said.
pub(super) fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    use std::io::Write as _;
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect(INSTALL);
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn rules_and_their_own_tests_hold() {
    for arguments in [
        ["check", "config", "prometheus/prometheus.yml"],
        ["check", "rules", "prometheus/zonecast.rules.yml"],
        ["test", "rules", "prometheus/zonecast.rules.test.yml"],
    ] {
        let file = ops(arguments[2]);
        let (good, said) = promtool(&[arguments[0], arguments[1], file.to_str().unwrap()], "");
        assert!(good, "promtool {arguments:?}: {said}");
    }
}

#[test]
fn every_alert_is_tested_and_documented() {
    let (rules, tests) = (read_ops("prometheus/zonecast.rules.yml"), read_ops("prometheus/zonecast.rules.test.yml"));
    let documented = read_ops("../docs/operations.md");
    assert!(named(&rules, "- alert: ").count() > 10);
    let violations = violations(&rules, &tests, &documented, env!("CARGO_PKG_REPOSITORY"));
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn alerts_without_test_line_or_link_are_noticed() {
    let rules = "- record: a:b:c\n- alert: One\n  runbook_url: x/blob/main/docs/operations.md#alerts\n- alert: Two\n";
    let tests = "- { alertname: One }\n        alertname: One\n        exp_alerts:\n";
    assert_eq!(violations(rules, tests, "\n## Alerts\n\n| `One` |", "x").len(), 5);
}

#[test]
fn every_metric_that_is_looked_at_is_documented() {
    let rules = read_ops("prometheus/zonecast.rules.yml");
    let mut known = metrics(&read_ops("../docs/operations.md"));
    known.extend(named(&rules, "- record: ").map(str::to_owned));
    let mut texts = panel_queries();
    texts.push(("rules".into(), rules));
    for (place, text) in texts {
        for metric in metrics(&text) {
            assert!(known.contains(family(&metric)), "{place}: {metric} is not in docs/operations.md");
        }
    }
}

#[test]
fn what_an_expression_looks_at_is_found() {
    let found = selectors("max by (job) (rate(zonecast_a_total{x=\"}\"[5m])) > 0 and up{job=\"j\"} < a:zonecast_b:c");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a:zonecast_b:c", "up{job=\"j\"}", "zonecast_a_total{x=\"}"]);
}

#[test]
fn nothing_in_shortened_rules_takes_minutes() {
    let text = shortened("  expr: rate(a[5m]) > min_over_time(b[1m])\n  for: 15s\n");
    assert_eq!(text, "  expr: rate(a[5s]) > min_over_time(b[5s])\n  for: 1s\n");
    assert!(std::panic::catch_unwind(|| shortened("expr: rate(a[7m])\n")).is_err());
}
