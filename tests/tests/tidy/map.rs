//! The map of the project, docs/architecture.md, shows every crate and folder of sources, and names nothing that is
//! gone.

use std::collections::BTreeSet;

use crate::tree::{File, Tree};

const MAP: &str = "docs/architecture.md";

/// What stands between backticks, with its line, outside blocks of code.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut code = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        code ^= line.starts_with("```");
        if !code {
            found.extend(line.split('`').skip(1).step_by(2).map(|word| (number, word)));
        }
    }
    found
}

/// Whether a quoted word is a file or folder: one with a slash, or a name that ends as files do.
fn is_path(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte);
    let file = [".rs", ".md", ".toml", ".sh", ".txt"].iter().any(|ending| word.ends_with(ending));
    word.bytes().all(plain) && (file || (word.contains('/') && !word.starts_with('/')))
}

/// Folders of crates, and folders of sources in them.
fn folders(tree: &Tree) -> BTreeSet<String> {
    let packages = tree.with_ending("Cargo.toml").filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
    let mut folders: BTreeSet<String> = packages.map(str::to_owned).collect();
    for file in tree.with_ending(".rs").filter(|file| file.path.contains("/src/")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.extend((!folder.ends_with("/src")).then(|| folder.to_owned()));
    }
    folders
}

/// Folders that the map does not show; those with unit tests alone need not be.
fn missing(tree: &Tree, map: &File) -> Vec<String> {
    let shown: BTreeSet<&str> = quoted(&map.text).into_iter().map(|(_, word)| word.trim_end_matches('/')).collect();
    let folders = folders(tree).into_iter().filter(|folder| !folder.ends_with("/tests"));
    folders
        .filter(|folder| !shown.contains(folder.as_str()))
        .map(|folder| format!("{MAP}: {folder} is missing"))
        .collect()
}

/// Paths of the map that do not exist. In a row of a table, a path may be relative to the folder that the row begins
/// with, or to its sources.
fn gone(tree: &Tree, map: &File) -> Vec<String> {
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        let inside = format!("{path}/");
        tree.0.iter().any(|file| file.path == path || file.path.starts_with(&inside))
    };
    let mut gone = Vec::new();
    let mut row = (0, "");
    for (number, word) in quoted(&map.text) {
        if row.0 != number {
            row = (number, word.trim_end_matches('/'));
        }
        let near = ["", "src/"].map(|between| format!("{}/{between}{word}", row.1));
        let is_there = exists(word) || near.iter().any(|path| exists(path)) || exists(&format!("docs/{word}"));
        if is_path(word) && !is_there {
            gone.push(format!("{MAP}:{number}: {word} does not exist"));
        }
    }
    gone
}

#[test]
fn the_map_shows_what_there_is() {
    let tree = Tree::of_project();
    let map = tree.0.iter().find(|file| file.path == MAP).expect("the map exists");
    crate::assert_none(&[missing(&tree, map), gone(&tree, map)].concat());
}

#[test]
fn holes_in_the_map_are_noticed() {
    let map = "| `a` | `x.rs`, `gone.rs` |\n`a/src/in/`, `b`, `a/none/` and `Some::thing`\n```\n`c/src`\n```\n";
    let tree = Tree::of(&[
        (MAP, map),
        ("a/Cargo.toml", ""),
        ("a/src/x.rs", ""),
        ("a/src/in/y.rs", ""),
        ("a/src/out/z.rs", ""),
        ("c/Cargo.toml", ""),
    ]);
    let map = &tree.0[0];
    assert_eq!(missing(&tree, map), ["a/src/out", "c"].map(|folder| format!("{MAP}: {folder} is missing")));
    assert_eq!(
        gone(&tree, map),
        [format!("{MAP}:1: gone.rs does not exist"), format!("{MAP}:2: a/none/ does not exist")]
    );
}
