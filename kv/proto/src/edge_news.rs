//! What a core tells another, or a relay its upstream, about an edge that it serves, so that the leader knows who has what.
//!
//! # Format
//! The positional MessagePack array `[1, role, name, session, goal, is_gone, has_acked, ack, connection, is_unseen, via,
//! is_in_step]`.

use bytes::Bytes;
use thiserror::Error;

use crate::fold_step::EDGE;
use crate::{Ack, Peer, Version, is_node_name, positional, read_whole};

/// Most bytes of a message that is read: later releases may say more.
pub const MAX_EDGE_NEWS_LEN: usize = 512;

/// Most bytes of one that this release writes: two names, what the edge has come to at a marker, and some numbers.
pub const LONGEST_EDGE_NEWS: usize = 400;

positional! {
    /// As it is sent.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct WireNews {
        what: u8,
        role: String,
        name: String,
        session: u64,
        goal: Version,
        is_gone: bool,
        has_acked: bool,
        ack: Ack,
        connection: u64,
        is_unseen: bool,
        via: String,
        is_in_step: bool,
    }
}

/// How an edge stands towards the core or relay that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeNews {
    /// The edge.
    pub peer: Peer,
    /// Number of its connection, ascending in the process that serves it.
    pub session: u64,
    /// How many connections the process of the edge has made before, as it says itself: which of two is the newer one,
    /// where two nodes speak of it.
    pub connection: u64,
    /// The number that the process of the edge drew at its start.
    pub incarnation: u64,
    /// It has caught up when it has applied this.
    pub goal: Version,
    /// Its connection has ended, or nobody knows of it any more.
    pub is_gone: bool,
    /// The relay that serves it has gone: perhaps the edge is there all the same.
    pub is_unseen: bool,
    /// The name of the relay that serves it, where that is not the one who says this.
    pub via: Option<String>,
    /// What it acknowledged last, if it has acknowledged anything.
    pub ack: Option<Ack>,
    /// From now on it has what all have that are in step, until there is other news of it.
    pub is_in_step: bool,
}

/// Bytes that are no news of an edge.
#[derive(Debug, Error)]
pub enum EdgeNewsError {
    /// More than a message can have.
    #[error("news of an edge of {0} bytes is too long")]
    TooLong(usize),
    /// Not the MessagePack of one.
    #[error("not news of an edge: {0}")]
    Syntax(String),
    /// From a later release.
    #[error("kind {0} of news of edges is not known to this release")]
    Kind(u8),
    /// It is about nobody.
    #[error("news of an edge is about {role:?} {name:?}, which is no node that subscribes")]
    Peer {
        /// The role in it.
        role: String,
        /// The name in it.
        name: String,
    },
}

impl EdgeNews {
    /// As one message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let ack = Ack { incarnation: self.incarnation, ..self.ack.clone().unwrap_or_default() };
        let wire = WireNews {
            what: EDGE,
            role: self.peer.role.label().into(),
            name: self.peer.name.clone(),
            session: self.session,
            connection: self.connection,
            goal: self.goal,
            is_gone: self.is_gone,
            is_unseen: self.is_unseen,
            via: self.via.clone().unwrap_or_default(),
            has_acked: self.ack.is_some(),
            ack,
            is_in_step: self.is_in_step,
        };
        rmp_serde::to_vec(&wire).expect("writing plain data into memory cannot fail").into()
    }

    /// Back from [`EdgeNews::to_bytes`].
    ///
    /// # Errors
    /// It is none, or of a later release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeNewsError> {
        if bytes.len() > MAX_EDGE_NEWS_LEN {
            return Err(EdgeNewsError::TooLong(bytes.len()));
        }
        let wire: WireNews = read_whole(bytes).map_err(|error| EdgeNewsError::Syntax(error.to_string()))?;
        if wire.what != EDGE {
            return Err(EdgeNewsError::Kind(wire.what));
        }
        let WireNews {
            role, name, session, goal, is_gone, has_acked, ack, connection, is_unseen, via, is_in_step, ..
        } = wire;
        let peer = match role.parse() {
            Ok(role) if is_node_name(&name) => Peer { role, name },
            _ => return Err(EdgeNewsError::Peer { role, name }),
        };
        if ack.check.as_ref().is_some_and(|check| !check.is_bounded()) {
            return Err(EdgeNewsError::Syntax("a key of its check is too long".into()));
        }
        let incarnation = ack.incarnation;
        let ack = has_acked.then_some(ack);
        if !via.is_empty() && !is_node_name(&via) {
            return Err(EdgeNewsError::Peer { role: "relay".into(), name: via });
        }
        let via = (!via.is_empty()).then_some(via);
        Ok(Self { peer, session, connection, incarnation, goal, is_gone, is_unseen, via, ack, is_in_step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CopyCheck, CopyCheckState, Epoch, RangeHash};

    #[test]
    fn the_longest_news_is_within_the_limit() {
        let (name, most) = ("n".repeat(63), u64::MAX);
        let check = CopyCheck::new(most, CopyCheckState::Failed, RangeHash::of_entries(b"x")).differs(most, &[7; 64]);
        let [applied, durable] = [Version::new(most); 2];
        let epoch = Epoch::new(most);
        let (two_clock_us, apply_us, check) = (most, most, Some(check));
        let news = EdgeNews {
            peer: crate::Peer { role: crate::Role::Relay, name: name.clone() },
            session: most,
            connection: most,
            incarnation: most,
            goal: applied,
            is_gone: true,
            is_unseen: true,
            via: Some(name),
            ack: Some(Ack { incarnation: most, epoch, applied, durable, two_clock_us, apply_us, check }),
            is_in_step: true,
        };
        let len = news.to_bytes().len();
        assert!(len <= LONGEST_EDGE_NEWS, "{len}");
    }

    #[test]
    fn news_is_read_as_written_and_no_part_of_it() {
        let ack = Ack {
            incarnation: 7,
            epoch: Epoch::new(1),
            applied: Version::new(9),
            durable: Version::new(8),
            two_clock_us: 5,
            apply_us: 6,
            check: Some(CopyCheck::new(3, CopyCheckState::Hashed, RangeHash::of_entries(b"x")).differs(2, &[7; 64])),
        };
        let peer = Peer::edge("edge-1");
        for (is_gone, ack) in [(false, None), (false, Some(ack.clone())), (true, Some(ack))] {
            let news = EdgeNews {
                peer: peer.clone(),
                session: 3,
                connection: 4,
                incarnation: 7,
                goal: Version::new(2),
                is_gone,
                is_unseen: is_gone,
                via: is_gone.then(|| "relay-1".into()),
                ack,
                is_in_step: !is_gone,
            };
            let bytes = news.to_bytes();
            assert!(bytes.len() <= MAX_EDGE_NEWS_LEN);
            assert_eq!(EdgeNews::from_bytes(&bytes).unwrap(), news);
            for cut in 0..bytes.len() {
                assert!(EdgeNews::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert!(EdgeNews::from_bytes(&[0; 600]).is_err());
        let nobody = WireNews { what: EDGE, role: "edge".into(), name: "Not.A.Name".into(), ..WireNews::default() };
        assert!(matches!(EdgeNews::from_bytes(&rmp_serde::to_vec(&nobody).unwrap()), Err(EdgeNewsError::Peer { .. })));
    }
}
