//! Receipts are true: no node is said to have what it never had, and none below a lost relay what was never on its disk.

use crate::EdgeLink;
use crate::tree_simulation::tree::Tree;

pub(super) fn check(tree: &Tree) {
    let Some(hub) = &tree.nodes[0].hub else { return };
    for said in hub.book.edges() {
        let Some(applied) = said.applied else { continue };
        let node = tree.nodes.iter().find(|node| node.peer == said.peer).unwrap();
        let is_unseen = matches!(said.link, EdgeLink::LastKnown(_));
        let had = if is_unseen { node.ever_durable } else { node.ever_applied };
        let is_true = had.is_some_and(|had| had.order() >= (hub.epoch(), applied));
        assert!(is_true, "{} is said to have {applied}, {:?}: it had {had:?}", said.peer, said.link);
    }
}
