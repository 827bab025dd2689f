//! What files look like: their length, how they open, that a module names them, and that roots hold no logic.

use std::collections::BTreeSet;

use crate::tree::{Tree, module_files, module_name};

const LONGEST: usize = 800;

fn long(tree: &Tree) -> Vec<String> {
    let lengths = tree.with_ending(".rs").map(|file| (&file.path, file.text.lines().count()));
    lengths.filter(|(_, lines)| *lines > LONGEST).map(|(path, lines)| format!("{path}: {lines} lines")).collect()
}

fn without_story(tree: &Tree) -> Vec<String> {
    tree.with_ending(".rs").filter(|file| !file.text.starts_with("//! ")).map(|file| file.path.clone()).collect()
}

/// Files that no `mod` names and that are no root of a target.
fn orphans(tree: &Tree) -> Vec<String> {
    let mut named = BTreeSet::new();
    for file in tree.with_ending(".rs") {
        for name in file.text.lines().filter_map(|line| module_name(line.trim())) {
            named.extend(module_files(&file.path, name));
        }
    }
    let files = tree.with_ending(".rs").map(|file| &file.path);
    files.filter(|path| !is_root(path, tree) && !named.contains(*path)).cloned().collect()
}

/// Whether Cargo compiles the file as a target of its own.
fn is_root(path: &str, tree: &Tree) -> bool {
    let packages = tree.with_ending("Cargo.toml").filter_map(|file| file.path.strip_suffix("Cargo.toml"));
    let inside = packages.filter_map(|package| path.strip_prefix(package)).min_by_key(|rest| rest.len());
    let Some(parts) = inside.map(|rest| rest.split('/').collect::<Vec<_>>()) else { return false };
    matches!(
        parts.as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "benches" | "examples", _]
            | ["tests" | "benches" | "examples", _, "main.rs"]
            | ["fuzz_targets", _]
    )
}

/// Items of `lib.rs` and `mod.rs` that are more than `mod` and `use`.
fn logic_in_roots(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let is_map = |path: &str| path.ends_with("/lib.rs") || path.ends_with("/mod.rs");
    for file in tree.shipped_and_harness().into_iter().filter(|file| is_map(&file.path)) {
        let without_attributes = file.text.lines().filter(|line| !line.trim().starts_with("#"));
        let text: String = without_attributes.map(|line| line.trim().to_owned() + " ").collect();
        let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
        let allowed = |item: &str| {
            let item = item.strip_prefix("pub").unwrap_or(item).trim_start();
            let item = if item.starts_with('(') { item.split_once(')').map_or(item, |(_, rest)| rest) } else { item };
            let item = item.trim_start();
            item.starts_with("use ") || (item.starts_with("mod ") && !item.contains('{'))
        };
        let wrong = items.filter(|item| !allowed(item)).map(|item| item.chars().take(60).collect::<String>());
        violations.extend(wrong.take(1).map(|item| format!("{}: {item}", file.path)));
    }
    violations
}

impl Tree {
    fn shipped_and_harness(&self) -> Vec<crate::tree::File> {
        let harness = self.test_code().into_iter().filter(|file| file.path.starts_with("tests/src/"));
        self.shipped().into_iter().chain(harness).collect()
    }
}

#[test]
fn no_file_is_long() {
    crate::assert_none(&long(&Tree::of_project()));
    assert_eq!(long(&Tree::of(&[("a.rs", &"\n".repeat(LONGEST + 1)), ("b.rs", &"\n".repeat(LONGEST))])).len(), 1);
}

#[test]
fn every_file_opens_with_what_it_is() {
    crate::assert_none(&without_story(&Tree::of_project()));
    assert_eq!(without_story(&Tree::of(&[("a.rs", "use x;\n//! Late.\n"), ("b.rs", "//! Here.\n")])), ["a.rs"]);
}

#[test]
fn every_file_is_compiled() {
    crate::assert_none(&orphans(&Tree::of_project()));
    let tree = Tree::of(&[
        ("a/Cargo.toml", ""),
        ("a/src/lib.rs", "pub(crate) mod x;\n"),
        ("a/src/x.rs", "mod y;\n"),
        ("a/src/x/y.rs", ""),
        ("a/src/z.rs", ""),
        ("a/src/x/z.rs", ""),
        ("a/tests/t.rs", ""),
    ]);
    assert_eq!(orphans(&tree), ["a/src/z.rs", "a/src/x/z.rs"]);
}

#[test]
fn lib_and_mod_files_hold_no_logic() {
    crate::assert_none(&logic_in_roots(&Tree::of_project()));
    let clean =
        "//! Story.\n#![allow(x)]\nmod a;\n#[cfg(test)]\nmod b;\npub use a::{\n    B,\n    C,\n};\npub(crate) use d;\n";
    assert!(logic_in_roots(&Tree::of(&[("a/src/lib.rs", clean)])).is_empty());
    for logic in ["fn f() {}\n", "mod a {}\n", "const X: u8 = 1;\n"] {
        assert_eq!(logic_in_roots(&Tree::of(&[("a/src/x/mod.rs", &format!("{clean}{logic}"))])).len(), 1, "{logic}");
    }
}
