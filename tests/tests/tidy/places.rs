//! Nothing in the project knows the machine or the network that it was written on.

use crate::tree::Tree;

/// Split, so that this file does not break its own rule.
const EVERYWHERE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("shared/", "handbook"),
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("sparse", "+http"),
];

/// Temporary folders come from the system's own setting.
const IN_CODE: &str = concat!("\"/t", "mp");

fn machine_paths(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for file in &tree.0 {
        for (number, line) in (1..).zip(file.text.lines()) {
            let code = file.path.ends_with(".rs").then_some(&IN_CODE);
            let hits = EVERYWHERE.iter().chain(code).filter(|place| line.contains(**place));
            violations.extend(hits.map(|place| format!("{}:{number}: {place}", file.path)));
        }
    }
    violations
}

#[test]
fn no_file_names_a_machine() {
    crate::assert_none(&machine_paths(&Tree::of_project()));
}

#[test]
fn a_machine_is_noticed() {
    let line = format!("let path = {}x\";\ncd {}main\n", IN_CODE, EVERYWHERE[0]);
    assert_eq!(machine_paths(&Tree::of(&[("a.rs", &line), ("b.md", "/etc/passwd\n")])).len(), 2);
}
