//! Receipts are true, at the core and at each relay, of edges that are told of by name or together with others: no node is
//! said to have what it never had, or on its disk what was never there, and none below a lost relay what was never on its
//! disk.

use crate::EdgeLink;
use crate::tree_simulation::tree::Tree;

pub(super) fn check(tree: &Tree) {
    for (hub, at) in tree.nodes.iter().filter_map(|node| Some((node.hub.as_ref()?, &node.peer))) {
        for said in hub.book.edges() {
            let node = tree.nodes.iter().find(|node| node.peer == said.peer).unwrap();
            let is_unseen = matches!(said.link, EdgeLink::LastKnown(_));
            let had = if is_unseen { node.ever_durable } else { node.ever_applied };
            for (said_to_have, had) in [(said.applied, had), (said.durable, node.ever_durable)] {
                let Some(version) = said_to_have.filter(|version| version.get() > 0) else { continue };
                let is_true = had.is_some_and(|had| had.order() >= (hub.epoch(), version));
                assert!(is_true, "{} is said by {at} to have {version}, {:?}: it had {had:?}", said.peer, said.link);
            }
        }
    }
}
