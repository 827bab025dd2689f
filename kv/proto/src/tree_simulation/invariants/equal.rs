//! A copy that stands at a position holds what the core held there, and nothing else (P2). With a filter it holds just what
//! that lets through.

use crate::Key;
use crate::tree_simulation::tree::Tree;

pub(super) fn check(tree: &Tree) {
    for node in &tree.nodes {
        let Some(position) = node.disk.state.position else { continue };
        let held = tree.history.at(&position);
        assert!(held.is_some(), "{} stands at {position}, where no core ever stood", node.peer);
        let holds = |key: &[u8]| {
            let keyspace = Key::check(key).unwrap();
            node.disk.state.filter.as_ref().is_none_or(|filter| filter.holds_keyspace(keyspace))
        };
        let expected = held.unwrap().entries().filter(|(key, _)| holds(key));
        assert!(expected.eq(node.disk.state.data.entries()), "{} holds something else at {position}", node.peer);
    }
}
