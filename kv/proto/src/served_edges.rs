//! The edges that a node serves, and whom nobody above it was told of yet: what a core tells the leader, and a relay its
//! upstream.
//!
//! Only the last news of an edge is kept: an ack covers every version before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{AcceptedLink, Ack, EdgeNews, Peer};

/// Edges by role and name, with the last news of each.
#[derive(Debug, Default)]
pub struct ServedEdges {
    edges: BTreeMap<Peer, EdgeNews>,
    untold: BTreeSet<Peer>,
    /// Nobody is told anything otherwise.
    is_followed: bool,
}

impl ServedEdges {
    /// An edge is served over this connection.
    pub fn accepted(&mut self, peer: &Peer, link: AcceptedLink) {
        let AcceptedLink { session, incarnation, connection, goal, via } = link;
        if self.edges.get(peer).is_some_and(|known| known.session > session) {
            return;
        }
        let peer = peer.clone();
        let (is_gone, is_unseen, ack) = (false, false, None);
        let news = EdgeNews { peer, session, connection, incarnation, goal, is_gone, is_unseen, via, ack };
        let peer = news.peer.clone();
        self.edges.insert(peer.clone(), news);
        self.changed(peer);
    }

    /// An edge said over this connection how far it is.
    pub fn acked(&mut self, peer: &Peer, session: u64, ack: &Ack) {
        if let Some(known) = self.of_session(peer, session) {
            known.ack = Some(ack.clone());
            self.changed(peer.clone());
        }
    }

    /// This connection is gone; or out of sight, as a relay is that the edge is connected to.
    pub fn lost(&mut self, peer: &Peer, session: u64, is_unseen: bool) {
        if let Some(known) = self.of_session(peer, session) {
            (known.is_gone, known.is_unseen) = (true, is_unseen);
            self.changed(peer.clone());
        }
    }

    /// Somebody begins to listen, to whom everybody is news.
    pub fn follow(&mut self) {
        self.untold = self.edges.keys().cloned().collect();
        self.is_followed = true;
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.untold.is_empty()
    }

    /// The news of at most so many edges, which are told with it.
    pub fn take(&mut self, most: usize) -> Vec<EdgeNews> {
        let mut news = Vec::new();
        while news.len() < most
            && let Some(peer) = self.untold.pop_first()
        {
            let Some(known) = self.edges.get(&peer).cloned() else { continue };
            if known.is_gone {
                self.edges.remove(&peer);
            }
            news.push(known);
        }
        news
    }

    fn of_session(&mut self, peer: &Peer, session: u64) -> Option<&mut EdgeNews> {
        self.edges.get_mut(peer).filter(|known| known.session == session)
    }

    fn changed(&mut self, peer: Peer) {
        if self.is_followed {
            self.untold.insert(peer);
        } else if self.edges.get(&peer).is_some_and(|known| known.is_gone) {
            self.edges.remove(&peer);
        }
    }
}
