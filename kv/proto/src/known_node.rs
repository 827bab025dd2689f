//! The replicated list of the nodes that `--wait all` waits for: nodes that have caught up once or were named, and are
//! not forgotten.
//!
//! # Format
//! A key is the keyspace `8001`, the label of the role, 00 and the name. The value is the positional MessagePack array
//! `[format, since, seen, certificate, is_forgotten]`. All of them are one section, of partition 0.

use std::ops::ControlFlow;

use bytes::Bytes;
use thiserror::Error;

use crate::{Key, KeyspaceId, Op, Peer, SectionId, Value, View, ViewError, positional, read_whole};

const FORMAT: u8 = 1;

positional! {
    /// The entry of a node.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct KnownNode {
        format: u8,
        /// When it first caught up or was named, seconds of Unix time.
        pub since: u64,
        /// When it was connected last, give or take some minutes, seconds of Unix time; at first as `since`.
        pub seen: u64,
        /// The certificate that it showed last, in DER; empty while it never has.
        pub certificate: serde_bytes::ByteBuf,
        /// It is not waited for, though a configuration names it.
        pub is_forgotten: bool,
    }
}

/// Why the nodes cannot be read.
#[derive(Debug, Error)]
pub enum KnownNodeError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Damage, or the work of a later release.
    #[error("known node at key {key}: {what}")]
    Entry {
        /// The key of the entry.
        key: String,
        /// What is wrong with the entry.
        what: String,
    },
}

impl KnownNode {
    /// The section that all of them are in.
    pub const SECTION: SectionId = SectionId { keyspace: KeyspaceId::NODES, partition: 0 };

    /// One that is waited for since this time.
    #[must_use]
    pub fn new(since: u64, seen: u64, certificate: &[u8]) -> Self {
        let certificate = serde_bytes::ByteBuf::from(certificate);
        Self { format: FORMAT, since, seen, certificate, is_forgotten: false }
    }

    /// An entry for a node that a configuration names but `--wait all` does not wait for.
    #[must_use]
    pub fn forgotten(since: u64) -> Self {
        Self { is_forgotten: true, ..Self::new(since, since, &[]) }
    }

    /// Remembers it.
    #[must_use]
    pub fn put(&self, peer: &Peer) -> Op {
        let value = rmp_serde::to_vec(self).expect("plain data always encodes");
        Op::Put { key: key(peer), value: Value::new(value).expect("a certificate is within the limits of values") }
    }

    /// Remembers nothing of a node.
    #[must_use]
    pub fn delete(peer: &Peer) -> Op {
        Op::Delete { key: key(peer) }
    }

    /// Everybody that is remembered, by label of the role and name.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else there.
    pub fn read_all(view: &(impl View + ?Sized)) -> Result<Vec<(Peer, Self)>, KnownNodeError> {
        let [start, end] = [KeyspaceId::NODES.get(), KeyspaceId::NODES.get() + 1].map(u16::to_be_bytes);
        let (mut all, mut bad) = (Vec::new(), None);
        view.scan(&start, &end, &mut |key, value| match read(key, value) {
            Ok(known) => {
                all.push(known);
                ControlFlow::Continue(())
            }
            Err(what) => {
                bad = Some(KnownNodeError::Entry { key: key.escape_ascii().to_string(), what });
                ControlFlow::Break(())
            }
        })?;
        bad.map_or(Ok(all), Err)
    }
}

fn key(peer: &Peer) -> Key {
    let keyspace = KeyspaceId::NODES.get().to_be_bytes();
    let key = [&keyspace[..], peer.role.label().as_bytes(), &[0], peer.name.as_bytes()].concat();
    Key::new(Bytes::from(key)).expect("a name is one label of a domain name")
}

fn read(key: &[u8], value: &[u8]) -> Result<(Peer, KnownNode), String> {
    let text = key.get(2..).and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.split_once('\0'));
    let (role, name) = text.ok_or("not a role and a name")?;
    let role = role.parse().map_err(|error: crate::RoleError| error.to_string())?;
    let known: KnownNode = read_whole(value).map_err(|error| error.to_string())?;
    if known.format != FORMAT {
        return Err(format!("format {} is not known to this release", known.format));
    }
    Ok((Peer { role, name: name.to_owned() }, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, MemoryView, Role, Section};

    fn store(ops: Vec<Op>) -> MemoryView {
        let mut view = MemoryView::new();
        view.apply(&Batch { preconditions: vec![], sections: vec![Section { id: KnownNode::SECTION, ops }] });
        view
    }

    #[test]
    fn reads_what_it_wrote() {
        let (edge, relay) = (Peer::edge("a"), Peer { role: Role::Relay, name: "a".into() });
        let (known, gone) = (KnownNode::new(7, 9, b"certificate"), KnownNode::forgotten(8));
        let view = store(vec![known.put(&edge), gone.put(&relay)]);
        assert_eq!(KnownNode::read_all(&view).unwrap(), [(edge.clone(), known.clone()), (relay.clone(), gone)]);
        let view = store(vec![known.put(&edge), known.put(&relay), KnownNode::delete(&edge)]);
        assert_eq!(KnownNode::read_all(&view).unwrap(), [(relay, known)]);
    }

    #[test]
    fn damage_is_said_and_no_edge_holds_it() {
        assert!(!KnownNode::SECTION.keyspace.is_published());
        let Op::Put { key, value } = KnownNode::new(7, 9, b"certificate").put(&Peer::edge("a")) else {
            panic!("not a put")
        };
        for cut in 0..value.as_bytes().len() {
            let value = Value::new(value.as_bytes()[..cut].to_vec()).unwrap();
            let error = KnownNode::read_all(&store(vec![Op::Put { key: key.clone(), value }])).unwrap_err();
            assert!(error.to_string().contains("edge\\x00a"), "{error}");
        }
        for bad in [&b"edge"[..], b"edg\0a", b"\xff\0a"] {
            let key = Key::new([&[0x80, 0x01], bad].concat()).unwrap();
            assert!(KnownNode::read_all(&store(vec![Op::Put { key, value: value.clone() }])).is_err());
        }
    }
}
