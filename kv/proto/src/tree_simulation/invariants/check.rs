//! Looks at all of them.

use super::{age, atomic, dense, equal, monotone, receipts};
use crate::tree_simulation::tree::Tree;
use crate::{Peer, Position, ReceivedVersion};

/// After each step.
pub(in crate::tree_simulation) fn check(tree: &Tree) {
    equal::check(tree);
    atomic::check(tree);
    age::check(tree);
    receipts::check(tree);
}

/// A node has applied a version.
pub(in crate::tree_simulation) fn applied(
    node: &Peer,
    before: Option<Position>,
    after: Option<Position>,
    version: &ReceivedVersion,
) {
    dense::check(node, before, version);
    monotone::check(node, before, after);
}

/// A node has taken a snapshot in place of what it had.
pub(in crate::tree_simulation) fn loaded(node: &Peer, before: Option<Position>, after: Option<Position>) {
    monotone::check(node, before, after);
}
