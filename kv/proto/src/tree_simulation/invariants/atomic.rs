//! A version is seen whole or not at all (P3): two keys are always changed together.

use std::collections::BTreeMap;

use crate::tree_simulation::tree::Tree;

pub(super) fn check(tree: &Tree) {
    for node in &tree.nodes {
        let mut pairs: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for (key, value) in node.disk.state.data.entries() {
            pairs.entry(&key[..3]).or_default().push(value);
        }
        let is_torn = pairs.values().any(|values| values.len() != 2 || values[0] != values[1]);
        assert!(!is_torn, "{} shows half of a version: {pairs:?}", node.peer);
    }
}
