//! Who gets in, and how many at a time: what strangers, and nodes that have gone wrong, can make a publisher hold.
//!
//! ```text
//! packet ─▶ known address? ─▶ place for a handshake ─▶ certificate ─▶ place for its name ─▶ place for a connection
//!            under load        of this address, in all                 a few                in all
//! ```
//! Strangers stop at the certificate, so however many there are they take places for handshakes only, never those of
//! nodes; and they keep one no longer than [`HANDSHAKE_WITHIN`]. A node that dials over and over takes the few places
//! of its own name. Connections between cores have places of their own, so that edges never keep voters apart, and
//! cores never keep edges out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::protocol::Protocol;

/// A handshake takes a few round trips; who needs longer dials again.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// Handshakes at a time, some 50 KB each. A thousand edges that come back together are through in a few rounds.
const MAX_HANDSHAKES: usize = 512;

/// With so many under way a dialler must show first that it receives at the address it sends from: one round trip more,
/// and whoever forges addresses never gets this far.
const TRUST_UNDER: usize = 64;

/// Handshakes of one address at a time: one machine cannot take all places; a fleet behind one address waits its turn.
const MAX_PER_ADDRESS: usize = 64;

/// Connections of one name at a time: the one in use, one that replaces it, and some that died and are not missed yet.
const MAX_PER_NAME: usize = 8;

/// Connections of cores at a time: a few voters, each with a connection or two, and again while they restart.
const MAX_CORE_CONNECTIONS: usize = 32;

/// Counts handshakes for each address and connections for each name, and refuses those over the limits.
#[derive(Debug)]
pub(crate) struct Door {
    addresses: Counts<IpAddr>,
    followers: Counts<String>,
    cores: Counts<String>,
    max_connections: usize,
}

/// What to do with whoever knocks.
#[derive(Debug)]
pub(crate) enum Knock {
    /// Go on; the place is taken until this is dropped.
    Enter(Place<IpAddr>),
    /// Ask for a sign of life from its address.
    Prove,
    /// Say nothing: it takes that for loss and tries again.
    Ignore,
}

impl Door {
    pub(crate) fn new(max_connections: usize) -> Self {
        Self { addresses: Counts::new(), followers: Counts::new(), cores: Counts::new(), max_connections }
    }

    /// Whether a handshake may begin. `is_proven` says that the dialler has shown to be at the address.
    pub(crate) fn knock(&self, address: IpAddr, is_proven: bool) -> Knock {
        if !is_proven && self.addresses.total() >= TRUST_UNDER {
            return Knock::Prove;
        }
        self.addresses.enter(address, MAX_PER_ADDRESS, MAX_HANDSHAKES).map_or(Knock::Ignore, Knock::Enter)
    }

    /// A place for a connection of the node of this name, until it is dropped.
    pub(crate) fn enter(&self, protocol: Protocol, name: &str) -> Option<Place<String>> {
        let (names, max) = match protocol {
            Protocol::FanOut => (&self.followers, self.max_connections),
            Protocol::Core => (&self.cores, MAX_CORE_CONNECTIONS),
        };
        names.enter(name.to_owned(), MAX_PER_NAME, max)
    }
}

/// How many of each there are, and in all.
#[derive(Debug)]
struct Counts<K>(Arc<Mutex<(HashMap<K, usize>, usize)>>);

/// One of them. Gives its place back when dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    counts: Counts<K>,
    key: K,
}

impl<K> Clone for Counts<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((HashMap::new(), 0))))
    }

    fn total(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn enter(&self, key: K, max_each: usize, max_all: usize) -> Option<Place<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (each, all) = &mut *counts;
        if *all >= max_all || each.get(&key).is_some_and(|count| *count >= max_each) {
            return None;
        }
        *each.entry(key.clone()).or_default() += 1;
        *all += 1;
        Some(Place { counts: self.clone(), key })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (each, all) = &mut *counts;
        *all -= 1;
        if let Some(count) = each.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from(u32::try_from(number).unwrap()).into()
    }

    #[test]
    fn forged_addresses_take_few_places_and_real_ones_not_all() {
        let door = Door::new(10);
        let mut inside = Vec::new();
        for number in 0..10_000 {
            match door.knock(address(number), false) {
                Knock::Enter(place) => inside.push(place),
                Knock::Prove => {}
                Knock::Ignore => panic!("an address that was never seen is ignored"),
            }
        }
        assert_eq!(inside.len(), TRUST_UNDER);

        // One machine that answers, with as many ports as it likes.
        inside.extend((0..10_000).filter_map(|_| match door.knock(address(1 << 20), true) {
            Knock::Enter(place) => Some(place),
            _ => None,
        }));
        assert_eq!(inside.len(), TRUST_UNDER + MAX_PER_ADDRESS);
        assert!(matches!(door.knock(address(1 << 21), true), Knock::Enter(_)), "others still get in");

        for number in 0..10_000 {
            if let Knock::Enter(place) = door.knock(address(1 << 22 | number), true) {
                inside.push(place);
            }
        }
        assert_eq!(inside.len(), MAX_HANDSHAKES);
        drop(inside);
        assert!(matches!(door.knock(address(1), false), Knock::Enter(_)));
        let left = door.addresses.0.lock().unwrap();
        assert_eq!((left.0.len(), left.1), (0, 0), "nothing is left behind");
    }

    #[test]
    fn one_name_has_few_connections_and_all_together_no_more_than_allowed() {
        let door = Door::new(MAX_PER_NAME + 1);
        let mut inside: Vec<_> = std::iter::from_fn(|| door.enter(Protocol::FanOut, "edge-1")).collect();
        assert_eq!(inside.len(), MAX_PER_NAME);
        inside.extend(door.enter(Protocol::FanOut, "edge-2"));
        assert_eq!(inside.len(), MAX_PER_NAME + 1, "another still gets in");
        assert!(door.enter(Protocol::FanOut, "edge-3").is_none());
        inside.pop();
        assert!(door.enter(Protocol::FanOut, "edge-3").is_some());
    }

    #[test]
    fn cores_and_edges_do_not_take_each_others_places() {
        let door = Door::new(MAX_PER_NAME);
        let enter = |protocol, name: &str| door.enter(protocol, name);
        let followers: Vec<_> = std::iter::from_fn(|| enter(Protocol::FanOut, "core-1")).collect();
        assert!(enter(Protocol::FanOut, "edge-1").is_none(), "all are taken");
        let mut cores: Vec<_> = std::iter::from_fn(|| enter(Protocol::Core, "core-1")).collect();
        assert_eq!((followers.len(), cores.len()), (MAX_PER_NAME, MAX_PER_NAME));
        for number in 0.. {
            let Some(place) = enter(Protocol::Core, &format!("core-{number}")) else { break };
            cores.push(place);
        }
    }
}
