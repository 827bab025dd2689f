//! Rules of the house that a machine can check: CONTRIBUTING.md says why each exists.
//!
//! Every check is a function from a [`tree::Tree`] to violations, run on the project by one test and on a small tree
//! that breaks the rule by another.

#![cfg(test)]

mod arrows;
mod examples;
mod files;
mod findings;
mod hex;
mod links;
mod map;
mod metrics;
mod places;
mod rfcs;
mod signatures;
mod third_party;
mod tree;
mod words;

/// Fails with all violations at once.
fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
