//! The answer to "where is my change?".

use std::time::Duration;

use crate::{Peer, Version};

/// The answer to "where is my change?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the change.
    pub version: Version,
    /// From the leader's stamp to the commit here, by two clocks where another core stamped it; if it is remembered.
    pub commit: Option<Duration>,
    /// Every expected node, by role and name.
    pub edges: Vec<EdgeReceipt>,
}

/// One edge of a [`Receipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReceipt {
    /// The node that the receipt is about.
    pub peer: Peer,
    /// The name of the relay that serves it, or did last.
    pub via: Option<String>,
    /// Since when it has no connection that is served; absent while it has one. Time as the book is given it.
    pub away_since: Option<Duration>,
    /// The relay that serves it is gone, so this is the last that is known.
    pub is_last_known: bool,
    /// Whether its readers see the version.
    pub applied: bool,
    /// Whether power loss cannot take it there.
    pub durable: bool,
    /// From commit to ack, if both are still remembered.
    pub took: Option<Took>,
}

/// The way of a version to one edge, on the clock of the core that says so but for the last stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// From the commit to the ack of the edge.
    pub all: Duration,
    /// Of that, until the relay that serves the edge had it, and had said so; nothing without a relay.
    pub relay: Duration,
    /// On the way from there, and for the ack to come back.
    pub network: Duration,
    /// At the edge, from the arrival of the version to its application, as the edge says.
    pub apply: Duration,
}

impl Receipt {
    /// How many edges have it.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.edges.iter().filter(|edge| edge.applied).count()
    }

    /// How many edges have it on their disk.
    #[must_use]
    pub fn durable(&self) -> usize {
        self.edges.iter().filter(|edge| edge.durable).count()
    }

    /// Those that do not.
    pub fn missing(&self) -> impl Iterator<Item = &Peer> {
        self.edges.iter().filter(|edge| !edge.applied).map(|edge| &edge.peer)
    }
}
