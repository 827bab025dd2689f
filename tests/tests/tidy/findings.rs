//! Rules of findings: that operators can read about each in docs/findings.md, with the severity that it has.

use crate::tree::Tree;

/// Enums whose variants are rules, and how bad those are.
const ENUMS: &[(&str, &str, &str)] = &[
    ("builder/src/finding.rs", "pub enum Rule {", "error"),
    ("builder/src/finding.rs", "pub enum Warning {", "warning"),
    ("ingest/src/rule.rs", "pub enum Rule {", "error"),
    ("ingest/src/rule.rs", "pub enum Warning {", "warning"),
    ("ingest/src/manifest.rs", "pub enum ListRule {", "error"),
];

/// Rules with their severities; those that are written out in code may have any.
fn rules(tree: &Tree) -> Vec<(String, &'static str)> {
    let mut rules = Vec::new();
    for (path, head, severity) in ENUMS {
        let text = tree.with_ending(path).map(|file| file.text.as_str()).next().unwrap_or_default();
        let body = text.split_once(head).and_then(|(_, rest)| rest.split_once("\n}")).map_or("", |(body, _)| body);
        let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = variants.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        rules.extend(variants.map(|line| (word(line), *severity)));
    }
    for file in tree.shipped() {
        let written = file.text.split("rule: \"").skip(1).filter_map(|rest| rest.split_once('"'));
        rules.extend(written.map(|(rule, _)| (rule.to_owned(), "")));
    }
    rules
}

/// As programs are told: `CnameAndOther` is `cname-and-other`.
fn word(variant: &str) -> String {
    let mut word = String::new();
    for letter in variant.chars().take_while(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

fn violations(rules: &[(String, &str)], documented: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for (rule, severity) in rules {
        let begin = format!("| `{rule}` | ");
        let rows: Vec<&str> = documented.lines().filter_map(|line| line.strip_prefix(&begin)).collect();
        match rows.as_slice() {
            [row] if row.split('|').next().unwrap_or_default().contains(severity) => {}
            [_] => violations.push(format!("docs/findings.md does not say that {rule} can be: {severity}")),
            rows => violations.push(format!("docs/findings.md has {} rows of {rule}", rows.len())),
        }
    }
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let unknown = rows.filter(|(row, _)| !rules.iter().any(|(rule, _)| rule == row));
    violations.extend(unknown.map(|(row, _)| format!("docs/findings.md: there is no rule {row}")));
    violations
}

#[test]
fn every_rule_of_findings_is_documented() {
    let tree = Tree::of_project();
    let documented = tree.with_ending("docs/findings.md").map(|file| file.text.as_str()).next().unwrap_or_default();
    let rules = rules(&tree);
    for (_, _, severity) in ENUMS {
        assert!(rules.iter().filter(|(_, of)| of == severity).count() > 20, "only {rules:?} were found");
    }
    crate::assert_none(&violations(&rules, documented));
}

#[test]
fn undocumented_rules_are_noticed() {
    let tree = Tree::of(&[
        (
            "ingest/src/rule.rs",
            "pub enum Rule {\n    /// X.\n    SoaOwner {\n        owner: String,\n    },\n    Ttl(u8),\n}\n",
        ),
        ("a/src/x.rs", "Finding { rule: \"held\".into() }"),
    ]);
    let rules = rules(&tree);
    let words: Vec<&str> = rules.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(words, ["soa-owner", "ttl", "held"]);
    let documented = "| `ttl` | warning | x |\n| `held` | error |\n| `held` | error |\n| `gone` | error |\n";
    assert_eq!(violations(&rules, documented).len(), 4);
}
