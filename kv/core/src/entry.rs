//! Entries, log ids and votes as bytes on disk.
//!
//! # Format
//! An entry is `format (1 byte: 1), kind (1), log id (24), payload`; the payload of kind 0 (blank) is empty, of kind 1
//! a command, of kind 2 the MessagePack of a membership. A log id is term, node id and index, 8 bytes each,
//! big-endian. Votes and stored memberships are MessagePack, as openraft's serde implementations shape them.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use openraft::impls::leader_id_adv::LeaderId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zonecast_kv_proto::read_whole;

use crate::types::{Entry, LogId, Proposal};

const FORMAT: u8 = 1;
const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;
const LOG_ID_LEN: usize = 24;
const HEADER_LEN: usize = 2 + LOG_ID_LEN;

pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let (kind, payload) = match &entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(proposal) => (COMMAND, proposal.0.clone()),
        EntryPayload::Membership(membership) => (MEMBERSHIP, encode(membership)),
    };
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    out.put_u8(FORMAT);
    out.put_u8(kind);
    put_log_id(&mut out, &entry.log_id);
    out.put(payload);
    out.freeze()
}

/// The payload of a command is a part of `bytes`, not a copy.
pub(crate) fn decode_entry(mut bytes: Bytes) -> io::Result<Entry> {
    if bytes.len() < HEADER_LEN {
        return Err(damaged("an entry is too short"));
    }
    let format = bytes.get_u8();
    if format != FORMAT {
        return Err(damaged(format!("entry format {format} is not known to this release")));
    }
    let kind = bytes.get_u8();
    let log_id = get_log_id(&mut bytes);
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        COMMAND => EntryPayload::Normal(Proposal(bytes)),
        MEMBERSHIP => EntryPayload::Membership(decode(&bytes)?),
        kind => return Err(damaged(format!("entry kind {kind} is not known to this release"))),
    };
    Ok(Entry { log_id, payload })
}

pub(crate) fn encode_log_id(log_id: &LogId) -> Bytes {
    let mut out = BytesMut::with_capacity(LOG_ID_LEN);
    put_log_id(&mut out, log_id);
    out.freeze()
}

pub(crate) fn decode_log_id(mut bytes: Bytes) -> io::Result<LogId> {
    if bytes.len() != LOG_ID_LEN {
        return Err(damaged("a log id is not 24 bytes long"));
    }
    Ok(get_log_id(&mut bytes))
}

pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    rmp_serde::to_vec(value).expect("plain data always encodes").into()
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    read_whole(bytes).map_err(|error| damaged(error.to_string()))
}

fn put_log_id(out: &mut BytesMut, log_id: &LogId) {
    out.put_u64(log_id.leader_id.term);
    out.put_u64(log_id.leader_id.node_id);
    out.put_u64(log_id.index);
}

/// The caller has seen that there are enough bytes.
fn get_log_id(bytes: &mut Bytes) -> LogId {
    let (term, node_id) = (bytes.get_u64(), bytes.get_u64());
    LogId { leader_id: LeaderId { term, node_id }, index: bytes.get_u64() }
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use openraft::{BasicNode, Membership};

    use super::*;

    #[test]
    fn entries_are_read_as_written_and_no_part_of_one() {
        let log_id = LogId { leader_id: LeaderId { term: 3, node_id: 9 }, index: 258 };
        let membership = Membership::new_with_defaults(vec![BTreeSet::from([1, 2])], BTreeSet::new());
        let payloads: [EntryPayload<Proposal, u64, BasicNode>; 3] = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::from_static(b"command"))),
            EntryPayload::Membership(membership),
        ];
        for payload in payloads {
            let bytes = encode_entry(&Entry { log_id, payload: payload.clone() });
            let back = decode_entry(bytes.clone()).unwrap();
            assert_eq!((back.log_id, back.payload), (log_id, payload));
            for cut in 0..HEADER_LEN {
                assert!(decode_entry(bytes.slice(..cut)).is_err());
            }
        }
        assert_eq!(decode_log_id(encode_log_id(&log_id)).unwrap(), log_id);
        assert!(decode_entry(Bytes::from(vec![2; 40])).is_err());
        assert!(decode_entry(Bytes::from([vec![1, 7], vec![0; 40]].concat())).is_err());
    }
}
