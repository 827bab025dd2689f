//! The status of a running edge.

use std::time::Duration;

use zonecast_kv_proto::{Filter, FollowerState, Path, Position, Version};
use zonecast_kv_store::EdgeStore;

/// How an edge stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeStatus {
    /// The position that readers see; `None` while the edge is new.
    pub position: Option<Position>,
    /// What of the store the copy holds, if not everything.
    pub holds: Option<Filter>,
    /// The position that is synced to disk.
    pub durable: Option<Position>,
    /// The furthest its upstream is known to be.
    pub head: Option<Position>,
    /// Whether it follows.
    pub state: FollowerState,
    /// Why it does not.
    pub trouble: Option<String>,
    /// Evidence that another process uses the same identity, kept for some minutes after its last use.
    pub twin: Option<String>,
    /// When the upstream said anything last, since the Unix epoch.
    pub heard: Option<Duration>,
    /// When a majority of the cores last confirmed that the upstream had everything, since the Unix epoch, as far as is
    /// known since the start.
    pub confirmed: Option<Duration>,
    /// The way of the versions to the upstream; empty if it is not known.
    pub path: Path,
    /// Damage of the copy. Until a snapshot has replaced the copy, the edge answers SERVFAIL for some names.
    pub damage: Option<String>,
}

impl EdgeStatus {
    /// Of an edge that has not reached anybody yet.
    pub(crate) fn at_start(store: &EdgeStore) -> Self {
        let position = store.position();
        Self {
            position,
            holds: store.filter(),
            durable: position,
            head: position,
            state: FollowerState::Away,
            trouble: None,
            twin: None,
            heard: None,
            confirmed: None,
            path: Path::default(),
            damage: store.damage(),
        }
    }

    /// Whether it follows and has everything its upstream is known to have.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        let has = |head: Position| {
            // Nothing was ever published, so there is nothing to have.
            head.version == Version::ZERO || self.position.is_some_and(|position| position.order() >= head.order())
        };
        self.state == FollowerState::Streaming && self.head.is_some_and(has)
    }

    /// Whether there is something to answer from: a copy of at least one version, however old; of a store that has no
    /// version yet, the empty copy for as long as it is known to be all there is.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.position.is_some_and(|position| position.version > Version::ZERO || self.has_caught_up())
    }
}
