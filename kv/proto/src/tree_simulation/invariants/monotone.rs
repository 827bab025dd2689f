//! A node never goes back in position while it serves (P4).

use crate::{Peer, Position};

pub(super) fn check(node: &Peer, before: Option<Position>, after: Option<Position>) {
    let order = |position: Option<Position>| position.map(|position| position.order());
    assert!(order(before) <= order(after), "{node} went back from {before:?} to {after:?}");
}
