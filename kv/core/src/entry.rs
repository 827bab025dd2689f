//! Entries, log ids, votes and memberships as bytes on disk.
//!
//! # Format
//! Numbers are big-endian. A log id is term, node id and index, 8 bytes each. A vote is `format (1 byte: 1)`, term, node
//! id, and one byte that says whether a quorum granted it. An entry is `format (1 byte: 1), kind (1), log id (24),
//! payload`; the payload of kind 0 (blank) is empty, of kind 1 a command, of kind 2 a membership. A membership is a list
//! of voter sets (two while it changes), each a list of node ids, and a list of members: node id, name and address. A
//! list begins with its length, a text with the number of its bytes, 4 bytes each. The membership in the state is
//! `format (1 byte: 1)`, one byte 0 or 1 and the log id of its entry, and the membership.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;

use crate::codec::{Reader, Write as _};
use crate::types::{Entry, LogId, Membership, Proposal, StoredMembership, Vote};

const FORMAT: u8 = 1;
const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;
const LOG_ID_LEN: usize = 24;
const HEADER_LEN: usize = 2 + LOG_ID_LEN;
/// Voter sets of a membership: one, or two while it changes.
const MAX_SETS: usize = 8;
/// Members of a cluster: five voters, and those that are on their way in.
const MAX_MEMBERS: usize = 64;

pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let (kind, payload) = match &entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(proposal) => (COMMAND, proposal.0.clone()),
        EntryPayload::Membership(membership) => {
            let mut out = BytesMut::new();
            put_membership(&mut out, membership);
            (MEMBERSHIP, out.freeze())
        }
    };
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    out.put_u8(FORMAT);
    out.put_u8(kind);
    out.put_log_id(&entry.log_id);
    out.put(payload);
    out.freeze()
}

/// The payload of a command is a part of `bytes`, not a copy.
pub(crate) fn decode_entry(bytes: Bytes) -> io::Result<Entry> {
    let mut reader = Reader::new(bytes, "an entry of the raft log");
    check_format(&mut reader)?;
    let kind = reader.u8()?;
    let log_id = reader.log_id()?;
    let payload = match kind {
        BLANK => {
            reader.end()?;
            EntryPayload::Blank
        }
        COMMAND => EntryPayload::Normal(Proposal(reader.rest())),
        MEMBERSHIP => {
            let membership = read_membership(&mut reader)?;
            reader.end()?;
            EntryPayload::Membership(membership)
        }
        kind => return Err(reader.bad(&format!("kind {kind} is not known to this release"))),
    };
    Ok(Entry { log_id, payload })
}

pub(crate) fn encode_log_id(log_id: &LogId) -> Bytes {
    let mut out = BytesMut::with_capacity(LOG_ID_LEN);
    out.put_log_id(log_id);
    out.freeze()
}

pub(crate) fn decode_log_id(bytes: Bytes) -> io::Result<LogId> {
    let mut reader = Reader::new(bytes, "a log id");
    let log_id = reader.log_id()?;
    reader.end()?;
    Ok(log_id)
}

pub(crate) fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(FORMAT);
    out.put_vote(vote);
    out.freeze()
}

pub(crate) fn decode_vote(bytes: Bytes) -> io::Result<Vote> {
    let mut reader = Reader::new(bytes, "the vote of this voter");
    check_format(&mut reader)?;
    let vote = reader.vote()?;
    reader.end()?;
    Ok(vote)
}

pub(crate) fn encode_membership(stored: &StoredMembership) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(FORMAT);
    out.put_option(stored.log_id().as_ref(), BytesMut::put_log_id);
    put_membership(&mut out, stored.membership());
    out.freeze()
}

pub(crate) fn decode_membership(bytes: Bytes) -> io::Result<StoredMembership> {
    let mut reader = Reader::new(bytes, "the membership in the state");
    check_format(&mut reader)?;
    let log_id = reader.option(Reader::log_id)?;
    let membership = read_membership(&mut reader)?;
    reader.end()?;
    Ok(StoredMembership::new(log_id, membership))
}

fn put_membership(out: &mut BytesMut, membership: &Membership) {
    let sets = membership.get_joint_config();
    out.put_len(sets.len());
    for set in sets {
        out.put_len(set.len());
        set.iter().for_each(|id| out.put_u64(*id));
    }
    let members: Vec<_> = membership.nodes().collect();
    out.put_len(members.len());
    for (id, member) in members {
        out.put_u64(*id);
        out.put_member(member);
    }
}

fn read_membership(reader: &mut Reader) -> io::Result<Membership> {
    let sets = reader.list(MAX_SETS, |reader| Ok(reader.list(MAX_MEMBERS, Reader::u64)?.into_iter().collect()))?;
    let members = reader.list(MAX_MEMBERS, |reader| Ok((reader.u64()?, reader.member()?)))?;
    if sets.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    let sets: Vec<BTreeSet<u64>> = sets;
    let members: BTreeMap<_, _> = members.into_iter().collect();
    Membership::new(sets, members).map_err(|error| reader.bad(&error.to_string()))
}

fn check_format(reader: &mut Reader) -> io::Result<()> {
    match reader.u8()? {
        FORMAT => Ok(()),
        format => Err(reader.bad(&format!("format {format} is not known to this release"))),
    }
}

#[cfg(test)]
mod tests {
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;
    use crate::member::Member;

    fn log_id() -> LogId {
        LogId { leader_id: LeaderId { term: 3, node_id: 9 }, index: 258 }
    }

    fn membership() -> Membership {
        let member = |name: &str| Member { name: name.into(), address: format!("{name}.example:7843") };
        let members = BTreeMap::from([(1, member("a")), (20, member("b")), (31, member("c"))]);
        Membership::new(vec![BTreeSet::from([1]), BTreeSet::from([1, 20])], members).unwrap()
    }

    #[test]
    fn entries_are_read_as_written_and_no_part_of_one() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::from_static(b"command"))),
            EntryPayload::Membership(membership()),
        ];
        for payload in payloads {
            let bytes = encode_entry(&Entry { log_id: log_id(), payload: payload.clone() });
            let back = decode_entry(bytes.clone()).unwrap();
            assert_eq!((back.log_id, &back.payload), (log_id(), &payload));
            let shortest = if matches!(payload, EntryPayload::Membership(_)) { bytes.len() } else { HEADER_LEN };
            for cut in 0..shortest {
                assert!(decode_entry(bytes.slice(..cut)).is_err(), "cut at {cut}");
            }
        }
        assert_eq!(decode_log_id(encode_log_id(&log_id())).unwrap(), log_id());
        assert!(decode_entry(Bytes::from(vec![2; 40])).is_err());
        assert!(decode_entry(Bytes::from([vec![1, 7], vec![0; 40]].concat())).is_err());
    }

    #[test]
    fn votes_and_memberships_are_read_as_written_and_no_part_of_one() {
        let vote = Vote { leader_id: LeaderId { term: 7, node_id: 20 }, committed: true };
        assert_eq!(encode_vote(&vote)[..], [1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 20, 1]);
        assert_eq!(decode_vote(encode_vote(&vote)).unwrap(), vote);
        for stored in [StoredMembership::default(), StoredMembership::new(Some(log_id()), membership())] {
            let bytes = encode_membership(&stored);
            assert_eq!(decode_membership(bytes.clone()).unwrap(), stored);
            for cut in 0..bytes.len() {
                assert!(decode_membership(bytes.slice(..cut)).is_err(), "cut at {cut}");
            }
        }
        let unknown = [&[1, 1][..], &[0; 24], &1_u32.to_be_bytes(), &1_u32.to_be_bytes(), &[9; 8], &[0; 4]].concat();
        assert!(decode_membership(unknown.into()).is_err(), "a voter without a member");
    }
}
