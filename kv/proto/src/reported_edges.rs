//! What another node tells of the edges that it serves, put into the terms of the node that hears it: connections have
//! numbers of their own here.

use std::collections::BTreeMap;

use crate::{AcceptedLink, Ack, EdgeNews, Epoch, FoldLevel, FoldOf, FoldStep, MAX_EDGES, Peer};

/// Most edges of one node: an eighth of the book, so that no node can fill it.
pub const MAX_REPORTED: usize = MAX_EDGES / 8;

/// The edges that one other node serves.
#[derive(Debug)]
pub struct ReportedEdges {
    /// The name of the relay that tells of them, if it is one.
    relay: Option<String>,
    fold: FoldOf,
    /// How far all of them have come of whom it has told together.
    level: Option<(Epoch, FoldLevel)>,
    sessions: BTreeMap<Peer, Session>,
}

/// A connection of an edge to the other node.
#[derive(Clone, Copy, Debug)]
struct Session {
    there: u64,
    here: u64,
}

/// What the book is to be told of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It is served over a connection that is new here.
    Accepted(AcceptedLink),
    /// It said over this connection how far it is.
    Acked(u64, Ack),
    /// From now on it has what all have of whom this one tells together, as came over this connection.
    InStep(u64, FoldOf),
    /// That is so no more, and the edge has said nothing over this connection.
    OutOfStep(u64),
    /// This connection is gone.
    Gone(u64),
    /// The relay that serves it is gone, and with it what is known of this connection.
    OutOfSight(u64),
}

impl ReportedEdges {
    /// None yet; of a relay of this name, or of a core. The number is one that no connection here has, nor anybody else who
    /// tells of edges.
    #[must_use]
    pub fn new(relay: Option<String>, number: u64) -> Self {
        let fold = FoldOf { number, is_below: relay.is_some() };
        Self { relay, fold, level: None, sessions: BTreeMap::new() }
    }

    /// Who tells of them together.
    #[must_use]
    pub fn fold(&self) -> FoldOf {
        self.fold
    }

    /// Takes news of an edge; `next_session` numbers connections here. Says nothing when the other node has told of as many
    /// edges as it may.
    pub fn take(&mut self, news: EdgeNews, next_session: impl FnOnce() -> u64) -> Option<Vec<Reported>> {
        let EdgeNews { is_gone, is_unseen, is_in_step, .. } = news;
        let (peer, there, ack) = (news.peer.clone(), news.session, news.ack.clone());
        let mut told = Vec::new();
        let known = self.sessions.get(&peer).filter(|known| known.there == there).map(|known| known.here);
        let here = match known {
            Some(here) => here,
            // Nobody heard of it while it was there; an earlier connection is gone as well.
            None if is_gone => {
                let earlier = self.sessions.remove(&peer);
                return Some(earlier.map(|earlier| Reported::Gone(earlier.here)).into_iter().collect());
            }
            None if self.sessions.len() >= MAX_REPORTED && !self.sessions.contains_key(&peer) => return None,
            None => {
                // It has connected there anew: the earlier connection is gone.
                told.extend(self.sessions.get(&peer).map(|earlier| Reported::Gone(earlier.here)));
                let here = next_session();
                told.push(Reported::Accepted(self.link(here, news)));
                self.sessions.insert(peer.clone(), Session { there, here });
                here
            }
        };
        match ack {
            Some(ack) => {
                told.push(Reported::Acked(here, ack));
                told.extend((is_in_step && !is_gone).then_some(Reported::InStep(here, self.fold)));
            }
            None if known.is_some() && !is_gone => told.push(Reported::OutOfStep(here)),
            None => {}
        }
        if is_gone {
            told.push(if is_unseen { Reported::OutOfSight(here) } else { Reported::Gone(here) });
            self.sessions.remove(&peer);
        }
        Some(told)
    }

    fn link(&self, session: u64, news: EdgeNews) -> AcceptedLink {
        let EdgeNews { incarnation, connection, goal, via, .. } = news;
        let (via, is_below) = (via.or_else(|| self.relay.clone()), self.fold.is_below);
        AcceptedLink { session, incarnation, connection, goal, via, is_below }
    }

    /// Takes how far all are of whom the other node tells together, and how long that took to them. Says nothing when that is
    /// less far than before.
    #[must_use]
    pub fn step(&mut self, mut step: FoldStep) -> Option<FoldStep> {
        let is_back = self
            .level
            .is_some_and(|(epoch, level)| step.epoch < epoch || (step.epoch == epoch && !level.is_within(&step.level)));
        if is_back {
            return None;
        }
        self.level = Some((step.epoch, step.level));
        // It names nobody whom it does not serve.
        if step.times.slowest().is_some_and(|slowest| !self.sessions.contains_key(&slowest.peer)) {
            step.times.forget_slowest();
        }
        Some(step)
    }

    /// The other node is gone: what is to be told of each edge that it served.
    pub fn end(&mut self) -> Vec<(Peer, Reported)> {
        let is_relay = self.relay.is_some();
        let end = |(peer, session): (Peer, Session)| {
            (peer, if is_relay { Reported::OutOfSight(session.here) } else { Reported::Gone(session.here) })
        };
        std::mem::take(&mut self.sessions).into_iter().map(end).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Version;

    fn news(session: u64, is_gone: bool) -> EdgeNews {
        EdgeNews {
            peer: Peer::edge("edge-1"),
            session,
            connection: session,
            incarnation: 7,
            goal: Version::new(2),
            is_gone,
            is_unseen: false,
            via: None,
            ack: None,
            is_in_step: false,
        }
    }

    fn accepted(session: u64, connection: u64) -> Reported {
        let (goal, via) = (Version::new(2), Some("relay-1".into()));
        Reported::Accepted(AcceptedLink { session, incarnation: 7, connection, goal, via, is_below: true })
    }

    #[test]
    fn an_edge_that_comes_back_to_its_relay_leaves_no_connection_open() {
        let (mut edges, mut last) = (ReportedEdges::new(Some("relay-1".into()), 1), 10);
        let mut take = |news| {
            edges.take(news, || {
                last += 1;
                last
            })
        };
        assert_eq!(take(news(3, false)), Some(vec![accepted(11, 3)]));
        assert_eq!(take(news(3, false)), Some(vec![Reported::OutOfStep(11)]));
        assert_eq!(take(news(5, false)), Some(vec![Reported::Gone(11), accepted(12, 5)]));
        // It was there and is gone before anybody was told.
        assert_eq!(take(news(6, true)), Some(vec![Reported::Gone(12)]));
        assert_eq!(take(news(7, true)), Some(vec![]));
        assert_eq!(take(news(8, false)), Some(vec![accepted(13, 8)]));
        assert_eq!(take(news(8, true)), Some(vec![Reported::Gone(13)]));
        assert!(edges.is_empty());
    }

    #[test]
    fn a_relay_that_is_lost_takes_its_edges_out_of_sight_and_tells_of_no_more_than_it_may() {
        let mut edges = ReportedEdges::new(Some("relay-1".into()), 1);
        let of = |number: usize| EdgeNews { peer: Peer::edge(&format!("edge-{number}")), ..news(1, false) };
        (0..MAX_REPORTED).for_each(|number| assert!(edges.take(of(number), || 1).is_some()));
        assert_eq!(edges.take(of(MAX_REPORTED), || 1), None);
        assert_eq!(edges.end()[0], (Peer::edge("edge-0"), Reported::OutOfSight(1)));
        assert!(edges.is_empty());
    }
}
