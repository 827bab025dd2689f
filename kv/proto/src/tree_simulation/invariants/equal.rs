//! A copy that stands at a position holds what the core held there, and nothing else (P2).

use crate::tree_simulation::tree::Tree;

pub(super) fn check(tree: &Tree) {
    for node in &tree.nodes {
        let Some(position) = node.disk.state.position else { continue };
        let held = tree.history.at(&position);
        assert!(held.is_some(), "{} stands at {position}, where no core ever stood", node.peer);
        assert!(held == Some(&node.disk.state.data), "{} holds something else at {position}", node.peer);
    }
}
