//! Connects to the upstreams of an edge. A host name is looked up anew at each attempt: what it leads to may have moved.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use zonecast_kv_proto::SILENT_AFTER;
use zonecast_kv_transport::Identity;

use crate::link::{Link, Operation, OperationEnd};
use crate::upstream::Place;
use crate::{EdgeError, Upstream};

/// For the system's resolver, before the next upstream is tried.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried, each at an attempt of its own.
const MAX_ADDRESSES: usize = 8;

/// Connects to upstreams as one node.
#[derive(Debug)]
pub(crate) struct Dialler {
    identity: Identity,
    upstreams: Vec<Attempted>,
}

/// An upstream, and how often it was tried.
#[derive(Debug)]
struct Attempted {
    upstream: Upstream,
    attempts: usize,
}

impl Dialler {
    /// Dials nobody yet.
    pub(crate) fn new(identity: Identity, upstreams: Vec<Upstream>) -> Self {
        let upstreams = upstreams.into_iter().map(|upstream| Attempted { upstream, attempts: 0 }).collect();
        Self { identity, upstreams }
    }

    /// The node that it dials as.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Connects to the upstream at this place, within the time in which one that says nothing counts as dead.
    pub(crate) fn dial(&mut self, place: usize) -> Option<Operation> {
        let Attempted { upstream, attempts } = self.upstreams.get_mut(place)?;
        let (upstream, attempt) = (upstream.clone(), *attempts);
        *attempts = attempts.wrapping_add(1);
        let identity = self.identity.clone();
        Some(Box::pin(async move {
            match find(&upstream, attempt).await {
                Ok(address) => connect(label(&upstream, address), address, &identity).await,
                Err(error) => OperationEnd::Connected(upstream.to_string(), Err(error)),
            }
        }))
    }
}

async fn connect(upstream: String, address: SocketAddr, identity: &Identity) -> OperationEnd {
    let opening = Link::open(upstream.clone(), address, identity);
    let linked = tokio::time::timeout(SILENT_AFTER, opening).await;
    let linked = linked.unwrap_or_else(|_| Err(EdgeError::Connect("no answer".to_owned())));
    OperationEnd::Connected(upstream, linked.map(Box::new))
}

/// As logs and the status name it.
fn label(upstream: &Upstream, address: SocketAddr) -> String {
    match upstream.place() {
        Place::Address(_) => upstream.to_string(),
        Place::Name { .. } => format!("{upstream} ({address})"),
    }
}

/// The address to try at this attempt.
async fn find(upstream: &Upstream, attempt: usize) -> Result<SocketAddr, EdgeError> {
    let (host, port) = match upstream.place() {
        Place::Address(address) => return Ok(*address),
        Place::Name { host, port } => (host.as_str(), *port),
    };
    let found = tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((host, port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(EdgeError::Unresolved)?;
    choose(found, attempt).ok_or_else(|| EdgeError::Unresolved(io::Error::other("it has no address")))
}

/// One after the other, in the order that the resolver gives.
fn choose(found: impl Iterator<Item = SocketAddr>, attempt: usize) -> Option<SocketAddr> {
    let found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    found.get(attempt.checked_rem(found.len())?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(count: u8) -> impl Iterator<Item = SocketAddr> {
        (0..count).map(|last| ([192, 0, 2, last], 8054).into())
    }

    #[test]
    fn each_attempt_takes_the_next_address_of_a_name() {
        let last = |count, attempt| choose(addresses(count), attempt).map(|address| address.to_string());
        let taken: Vec<_> = (0..4).map(|attempt| last(3, attempt).unwrap()).collect();
        assert_eq!(taken, ["192.0.2.0:8054", "192.0.2.1:8054", "192.0.2.2:8054", "192.0.2.0:8054"]);
        assert_eq!(last(100, 8).unwrap(), "192.0.2.0:8054", "a name has no more than eight of them");
        assert_eq!(last(0, 5), None);
    }

    #[test]
    fn a_name_is_shown_with_the_address_that_was_tried() {
        let shown = |upstream: &str, address: &str| label(&upstream.parse().unwrap(), address.parse().unwrap());
        assert_eq!(shown("core.test:1", "192.0.2.1:1"), "core.test:1 (192.0.2.1:1)");
        assert_eq!(shown("192.0.2.1:1", "192.0.2.1:1"), "192.0.2.1:1");
    }
}
