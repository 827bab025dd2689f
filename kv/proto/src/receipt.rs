//! The answer to "where is my change?".

use std::time::Duration;

use crate::{Peer, Version};

/// The answer to "where is my change?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the change.
    pub version: Version,
    /// Every expected node, by role and name.
    pub edges: Vec<EdgeReceipt>,
}

/// One edge of a [`Receipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReceipt {
    /// The node that the receipt is about.
    pub peer: Peer,
    /// Since when it has no connection that is served; absent while it has one. Time as the book is given it.
    pub away_since: Option<Duration>,
    /// Whether its readers see the version.
    pub applied: bool,
    /// Whether power loss cannot take it there.
    pub durable: bool,
    /// From commit to ack, if both are still remembered.
    pub took: Option<Duration>,
}

impl Receipt {
    /// How many edges have it.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.edges.iter().filter(|edge| edge.applied).count()
    }

    /// Those that do not.
    pub fn missing(&self) -> impl Iterator<Item = &Peer> {
        self.edges.iter().filter(|edge| !edge.applied).map(|edge| &edge.peer)
    }
}
