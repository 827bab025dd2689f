//! The last connection of each node, and whether two processes use the identity of one.
//!
//! A process subscribes with a number that no other process has. A new number alone is a restart; a number that comes
//! back after another one has replaced it is a second process with the same certificate, and both are alive.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use zonecast_kv_proto::Peer;

/// Processes of one identity that are told apart.
const MAX_FORMER: usize = 8;

/// How long after they were last seen to take turns two processes are reported: some turns of theirs.
const TWINS_FOR: Duration = Duration::from_secs(120);

/// A line about one node is not repeated more often.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The last connection of each node with the numbers of its processes: a number that comes back shows two processes
/// with one identity. `C` is a connection.
#[derive(Debug)]
pub(crate) struct Links<C>(HashMap<Peer, Known<C>>);

/// The last connection of a node.
#[derive(Debug)]
pub(crate) struct Link<C> {
    pub(crate) session: u64,
    /// Of the process.
    pub(crate) incarnation: u64,
    pub(crate) address: SocketAddr,
    /// In DER.
    pub(crate) certificate: Bytes,
    /// Gone once the connection is.
    pub(crate) connection: Option<C>,
}

/// Two processes with one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twins {
    /// Where they connected from: the one that was replaced, and the one that came back.
    pub addresses: [SocketAddr; 2],
    /// When that was.
    pub seen: Duration,
}

/// What a new connection means.
#[derive(Debug)]
pub(crate) struct Replaced<C> {
    /// To be closed.
    pub(crate) older: Option<C>,
    /// There are two processes.
    pub(crate) twins: Option<Twins>,
    /// That has not been logged for a while.
    pub(crate) is_to_be_logged: bool,
}

#[derive(Debug)]
struct Known<C> {
    link: Link<C>,
    /// Numbers of processes that another one replaced, the last one last.
    former: VecDeque<u64>,
    twins: Option<Twins>,
    logged: Option<Duration>,
}

impl<C> Default for Links<C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C> Links<C> {
    /// A node has a new connection. Nothing, if there is a newer one.
    pub(crate) fn replace(&mut self, now: Duration, peer: &Peer, link: Link<C>) -> Option<Replaced<C>> {
        let Some(known) = self.0.get_mut(peer) else {
            let known = Known { link, former: VecDeque::new(), twins: None, logged: None };
            self.0.insert(peer.clone(), known);
            return Some(Replaced { older: None, twins: None, is_to_be_logged: false });
        };
        if known.link.session > link.session {
            return None;
        }
        let came_back = known.former.contains(&link.incarnation);
        let twins = came_back.then_some(Twins { addresses: [known.link.address, link.address], seen: now });
        known.twins = twins.or(known.twins);
        let is_to_be_logged = came_back && known.logged.is_none_or(|logged| now.saturating_sub(logged) >= LINE_EVERY);
        if is_to_be_logged {
            known.logged = Some(now);
        }
        known.former.retain(|former| *former != link.incarnation);
        if known.link.incarnation != link.incarnation {
            known.former.push_back(known.link.incarnation);
        }
        if known.former.len() > MAX_FORMER {
            known.former.pop_front();
        }
        let older = std::mem::replace(&mut known.link, link).connection;
        Some(Replaced { older, twins, is_to_be_logged })
    }

    /// The connection of this session is gone.
    pub(crate) fn end(&mut self, peer: &Peer, session: u64) {
        if let Some(known) = self.0.get_mut(peer).filter(|known| known.link.session == session) {
            known.link.connection = None;
        }
    }

    /// The last connection of a node.
    pub(crate) fn get(&self, peer: &Peer) -> Option<&Link<C>> {
        self.0.get(peer).map(|known| &known.link)
    }

    /// Whether two processes take turns as this node.
    pub(crate) fn twins(&self, now: Duration, peer: &Peer) -> Option<Twins> {
        let twins = self.0.get(peer)?.twins?;
        (now.saturating_sub(twins.seen) < TWINS_FOR).then_some(twins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(session: u64, incarnation: u64) -> Link<u64> {
        let address = ([127, 0, 0, 1], u16::try_from(incarnation).unwrap()).into();
        Link { session, incarnation, address, certificate: Bytes::new(), connection: Some(session) }
    }

    #[test]
    fn a_process_that_comes_back_after_another_one_is_a_second_one() {
        let (mut links, peer) = (Links::default(), Peer::edge("a"));
        let mut come = |session, incarnation| {
            let now = Duration::from_secs(session);
            let replaced = links.replace(now, &peer, link(session, incarnation)).unwrap();
            let ports = replaced.twins.map(|twins| twins.addresses.map(|address| address.port()));
            (replaced.older, ports, replaced.is_to_be_logged, links.twins(now, &peer).is_some())
        };
        assert_eq!(come(1, 7), (None, None, false, false));
        assert_eq!(come(2, 7), (Some(1), None, false, false), "it connects again");
        assert_eq!(come(3, 8), (Some(2), None, false, false), "it was started again");
        assert_eq!(come(4, 9), (Some(3), None, false, false), "and again");
        assert_eq!(come(5, 8), (Some(4), Some([9, 8]), true, true));
        assert_eq!(come(6, 8), (Some(5), None, false, true));
        assert_eq!(come(7, 9), (Some(6), Some([8, 9]), false, true), "logged once a minute");
        assert_eq!(come(65, 8), (Some(7), Some([9, 8]), true, true));
        assert_eq!(come(184, 8), (Some(65), None, false, true));
        assert_eq!(come(185, 8), (Some(184), None, false, false), "the other one is gone");
        links.end(&peer, 3);
        assert_eq!(links.get(&peer).unwrap().connection, Some(185));
        links.end(&peer, 185);
        assert_eq!(links.get(&peer).unwrap().connection, None);
        assert!(links.replace(Duration::ZERO, &peer, link(9, 9)).is_none(), "there is a newer one");
        let other = Peer { role: zonecast_kv_proto::Role::Relay, name: "a".into() };
        assert!(links.get(&other).is_none());
    }
}
