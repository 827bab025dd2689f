//! Nobody believes that its copy is fresher than it is (P7): what a majority confirmed is passed on and made younger by no
//! more than the time that the news of it was on the way.

use std::time::Duration;

use crate::tree_simulation::tree::{MOST_HUNG, Tree};

/// On a wire, without the time that a node hangs.
const ON_THE_WIRE: Duration = Duration::from_secs(1);

pub(super) fn check(tree: &Tree) {
    for node in &tree.nodes {
        let Some(believed) = node.follower.confirmed() else { continue };
        let hops = u32::try_from(node.follower.path().nodes().len()).unwrap().max(1);
        let most = tree.confirmed + (MOST_HUNG + ON_THE_WIRE) * hops;
        assert!(believed <= most, "{} believes {believed:?}, of {:?}", node.peer, tree.confirmed);
    }
}
