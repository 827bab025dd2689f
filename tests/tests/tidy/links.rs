//! Links between documents point at files that exist.

use std::collections::BTreeSet;

use crate::tree::{Tree, root};

fn broken(tree: &Tree, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for file in tree.with_ending(".md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&file.text) {
            let outside = link.contains("://") || link.starts_with("mailto:");
            let (target, anchor) = link.split_once('#').map_or((link, None), |(target, anchor)| (target, Some(anchor)));
            if outside {
                continue;
            }
            let path = if target.is_empty() { file.path.clone() } else { resolve(folder, target) };
            if !exists(&path) {
                violations.push(format!("{}: {link} does not exist", file.path));
            } else if let Some(anchor) = anchor
                && let Some(document) = tree.0.iter().find(|file| file.path == path && path.ends_with(".md"))
                && !anchors(&document.text).contains(anchor)
            {
                violations.push(format!("{}: {link}: no such heading", file.path));
            }
        }
    }
    violations
}

/// Targets of `[text](target)` outside code blocks.
fn links(text: &str) -> Vec<&str> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        if !code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| target).filter(|target| !target.contains(' ')));
        }
    }
    found
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Anchors of headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_resolve() {
    crate::assert_none(&broken(&Tree::of_project(), |path| root().join(path).exists()));
}

#[test]
fn broken_links_are_noticed() {
    let text = "# One two\n[a](b.md) [c](../README.md#here) [d](https://x) [e](#one-two) [f](#no)\n```\n[x](y)\n```\n";
    let tree = Tree::of(&[("docs/a.md", text), ("README.md", "## Here\n")]);
    let found = broken(&tree, |path| tree.0.iter().any(|file| file.path == path));
    assert_eq!(found, ["docs/a.md: b.md does not exist", "docs/a.md: #no: no such heading"]);
}
