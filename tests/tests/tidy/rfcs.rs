//! Each rule of docs/rfcs.md names a test that exists.

use crate::tree::Tree;

/// The RFCs that the page must have rules of.
const WANTED: &[&str] = &[
    "1034", "1035", "1982", "2181", "2308", "3597", "4034", "4035", "4343", "4592", "5001", "5155", "6604", "6672",
    "6891", "7766", "7873", "8020", "8482", "8914", "9018", "9276", "9471",
];

const PAGE: &str = "docs/rfcs.md";

/// What `reader` stands for in the page.
const READER: &str = "edge-reader/tests/reader";

fn wrong(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.0.iter().find(|file| file.path == PAGE) else { return vec![format!("{PAGE} is missing")] };
    let rows: Vec<&str> = page.text.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    let mut violations = Vec::new();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let names: Vec<&str> = cells.last().map_or(vec![], |test| test.split('`').skip(1).step_by(2).collect());
        let [file, test] = names[..] else {
            violations.push(format!("{PAGE}: no file and test: {row}"));
            continue;
        };
        let path = file.strip_prefix("reader/").map_or(file.to_owned(), |rest| format!("{READER}/{rest}"));
        let named = format!("fn {test}(");
        if !tree.0.iter().any(|found| found.path == path && found.text.contains(&named)) {
            violations.push(format!("{PAGE}: {path} has no test {test}"));
        }
    }
    for rfc in WANTED {
        let has = |row: &&str| {
            let first = row.split('|').nth(1).unwrap_or_default();
            first.split([',', ' ']).any(|word| word == *rfc)
        };
        if !rows.iter().any(has) {
            violations.push(format!("{PAGE}: no rule of RFC {rfc}"));
        }
    }
    violations
}

#[test]
fn every_rule_names_a_test() {
    crate::assert_none(&wrong(&Tree::of_project()));
}

#[test]
fn a_test_that_is_gone_is_noticed() {
    let page =
        "| RFC | rule | test |\n| 1034 | x | `reader/a.rs` `here` |\n| 1035 | y | `b.rs` `gone` |\n| 9 | `z` |\n";
    let tree = Tree::of(&[(PAGE, page), ("edge-reader/tests/reader/a.rs", "fn here() {}"), ("b.rs", "fn other() {}")]);
    let found = wrong(&tree);
    assert!(found.iter().any(|line| line.contains("b.rs has no test gone")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("no file and test")), "{found:?}");
    assert!(!found.iter().any(|line| line.contains("RFC 1034") || line.contains("a.rs")), "{found:?}");
}
