//! Versions are applied one after the other, none left out and none twice.

use crate::{Peer, Position, ReceivedVersion};

pub(super) fn check(node: &Peer, before: Option<Position>, version: &ReceivedVersion) {
    let expected = before.and_then(|before| before.version.next());
    assert!(expected == Some(version.published.version), "{node} at {before:?} applied {}", version.published.version);
}
