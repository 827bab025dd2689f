//! What cores say to each other, as bytes.
//!
//! # Format
//! A stream between two cores begins with a hello: `format (1 byte: 1)`, store id (16 bytes, 0 where it is not known),
//! node ids of the sender and of the one it means (8 bytes each; 0 means whoever is there, in calls 5 and 6 only). Then, on a stream of calls, one call and one answer;
//! on a stream of entries, appends and their answers in order. Each is one message. Numbers are big-endian, lists and
//! byte strings stand behind their length (4 bytes), options behind a byte 0 or 1.
//!
//! | call | bytes |
//! |---|---|
//! | vote, would you vote | kind 1 or 2, vote, option of a log id, byte: the leader asked for this election |
//! | take the lead | kind 3, vote of the leader, node id, option of a log id |
//! | read index | kind 4 |
//! | where do you stand | kind 5 |
//! | somebody is there now | kind 6, node id, name, address |
//! | whom do you follow | kind 7 |
//!
//! | answer | bytes |
//! |---|---|
//! | vote | kind 1, vote, byte: granted, option of a log id |
//! | done | kind 2 |
//! | read index | kind 3, index |
//! | whom it follows | kind 5, term, node id |
//! | where it stands | kind 4, process id (4 bytes), term, index of the last entry, of the last applied one, feature level (4 bytes) |
//! | refused | kind 255, reason (1 byte), number (8 bytes), text |
//!
//! An append is vote, option of the log id before, option of the committed log id, list of entries as they stand in the
//! raft log. Its answer is kind 1 and option of a log id (the follower has all up to there), kind 2 and a log id (that
//! one it does not have), kind 3 and a vote (it has seen this higher one), or refused.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use thiserror::Error;
use zonecast_kv_proto::StoreId;

use crate::codec::{Reader, Write as _};
use crate::entry::{decode_entry, encode_entry};
use crate::environment::Environment;
use crate::member::Member;
use crate::types::{TypeConfig, Vote};

const FORMAT: u8 = 1;
const VOTE: u8 = 1;
const PRE_VOTE: u8 = 2;
const TRANSFER: u8 = 3;
const READ_INDEX: u8 = 4;
const STATUS: u8 = 5;
const MOVED: u8 = 6;
const LEADER: u8 = 7;
const VOTED: u8 = 1;
const DONE: u8 = 2;
const INDEX: u8 = 3;
const STANDS: u8 = 4;
const FOLLOWS: u8 = 5;
const APPENDED: u8 = 1;
const CONFLICT: u8 = 2;
const HIGHER_VOTE: u8 = 3;
const REFUSED: u8 = 255;
/// Entries in one append: more than raft is configured to send.
const MAX_ENTRIES: usize = 64 * 1024;

/// Kinds of streams.
pub(crate) mod stream {
    /// One call, one answer.
    pub(crate) const CALL: u8 = 1;
    /// Appends of entries.
    pub(crate) const APPEND: u8 = 2;
    /// The same without entries, which must not wait behind those.
    pub(crate) const HEARTBEAT: u8 = 3;
    /// A request to join.
    pub(crate) const JOIN: u8 = 4;
    /// The state, for a voter that is behind the log.
    pub(crate) const SNAPSHOT: u8 = 5;
    /// Kinds from here on are not of raft.
    pub(crate) const FIRST_OTHER: u8 = 16;
}

/// Who speaks, to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The store of the sender, if it knows it.
    pub(crate) store: Option<StoreId>,
    /// Node id of the sender.
    pub(crate) from: u64,
    /// Node id of the one who is meant, or [`ANYBODY`].
    pub(crate) to: u64,
}

/// Whoever is there. No node has this id.
pub(crate) const ANYBODY: u64 = 0;

/// A question with one answer.
pub(crate) enum Call<E: Environment> {
    Vote(VoteRequest<TypeConfig<E>>),
    PreVote(VoteRequest<TypeConfig<E>>),
    TakeLead(TransferLeaderRequest<TypeConfig<E>>),
    /// Up to which index a read must have applied the log.
    ReadIndex,
    /// Where the other one stands.
    Status,
    /// Somebody is reached there now: the sender, or who has told it.
    Moved(u64, Member),
    /// Whom the other one has voted for, or follows.
    Leader,
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer<E: Environment> {
    Vote(VoteResponse<TypeConfig<E>>),
    Done,
    Index(u64),
    Status(NodeStatus),
    Leader(LeaderId<u64, u64>),
    Refused(Refused),
}

/// Where a core stands, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Of its process.
    pub pid: u32,
    /// Its raft term.
    pub term: u64,
    /// Index of the last entry in its raft log.
    pub last: u64,
    /// Index of the last entry that it has applied.
    pub applied: u64,
    /// The feature level of its release.
    pub level: u32,
    /// Microseconds of Unix time, by its clock; 0 while it stops.
    pub now_us: u64,
}

/// Why a core does not do what another asks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The two are of different clusters.
    #[error("they are of different clusters, and the one that was asked has store {0}")]
    OtherStore(StoreId),
    /// Somebody else is meant: the one who is meant was here before, on another disk.
    #[error("the one that was asked is node {0}, and another node is meant")]
    OtherNode(u64),
    /// The sender is not a member, as of this index of the raft log.
    #[error("the one that asks was not a member any more at entry {0} of the raft log")]
    NotMember(u64),
    /// The node id of the sender belongs to somebody with this name.
    #[error("the node id of the one that asks belongs to {0}")]
    OtherName(String),
    /// It cannot answer now.
    #[error("{0}")]
    NotNow(String),
}

impl Refused {
    /// In metrics; nothing of one that goes away by itself.
    pub(crate) fn label(&self) -> Option<&'static str> {
        match self {
            Self::OtherStore(_) => Some("other_store"),
            Self::OtherNode(_) => Some("other_node"),
            Self::NotMember(_) => Some("not_member"),
            Self::OtherName(_) => Some("other_name"),
            Self::NotNow(_) => None,
        }
    }

    /// What to do about it, for those who read the log of either core.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::OtherStore(_) => {
                "correct `address` or `join`, or empty the data folder of the one that is to change its cluster and start \
                 it with `join`"
            }
            Self::OtherNode(_) => {
                "this ends by itself if that core was removed and added anew; else it came with an emptied disk: \
                 `zonecast cluster remove` it, empty its data folder, start it with `join`, `zonecast cluster add` it"
            }
            Self::NotMember(_) => "stop it; to add it again, empty its data folder and start it with `join`",
            Self::OtherName(_) => {
                "issue it a certificate of that name again, or empty its data folder and start it with `join`"
            }
            Self::NotNow(_) => "it is tried again",
        }
    }
}

impl Hello {
    pub(crate) fn to_bytes(self) -> Bytes {
        let mut out = BytesMut::with_capacity(33);
        out.put_u8(FORMAT);
        out.put_u128(self.store.map_or(0, StoreId::get));
        out.put_u64(self.from);
        out.put_u64(self.to);
        out.freeze()
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> io::Result<Self> {
        let mut reader = Reader::new(bytes, "the hello of a core");
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(reader.bad(&format!("format {format} is not known to this release")));
        }
        let store = Some(reader.u128()?).filter(|store| *store != 0).map(StoreId::new);
        let hello = Self { store, from: reader.u64()?, to: reader.u64()? };
        // A later release may say more.
        Ok(hello)
    }
}

impl<E: Environment> Call<E> {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Vote(request) => put_vote_request(&mut out, VOTE, request),
            Self::PreVote(request) => put_vote_request(&mut out, PRE_VOTE, request),
            Self::TakeLead(request) => {
                out.put_u8(TRANSFER);
                out.put_vote(request.from_leader());
                out.put_u64(*request.to_node_id());
                out.put_option(request.last_log_id(), BytesMut::put_log_id);
            }
            Self::ReadIndex => out.put_u8(READ_INDEX),
            Self::Status => out.put_u8(STATUS),
            Self::Moved(id, member) => {
                out.put_u8(MOVED);
                out.put_u64(*id);
                out.put_member(member);
            }
            Self::Leader => out.put_u8(LEADER),
        }
        out.freeze()
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> io::Result<Self> {
        let mut reader = Reader::new(bytes, "a call of a core");
        let call = match reader.u8()? {
            VOTE => Self::Vote(read_vote_request(&mut reader)?),
            PRE_VOTE => Self::PreVote(read_vote_request(&mut reader)?),
            TRANSFER => {
                let (leader, to) = (reader.vote()?, reader.u64()?);
                Self::TakeLead(TransferLeaderRequest::new(leader, to, reader.option(Reader::log_id)?))
            }
            READ_INDEX => Self::ReadIndex,
            STATUS => Self::Status,
            MOVED => Self::Moved(reader.u64()?, reader.member()?),
            LEADER => Self::Leader,
            kind => return Err(reader.bad(&format!("kind {kind} is not known to this release"))),
        };
        reader.end()?;
        Ok(call)
    }
}

impl<E: Environment> Answer<E> {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Vote(response) => {
                out.put_u8(VOTED);
                out.put_vote(&response.vote);
                out.put_u8(u8::from(response.vote_granted));
                out.put_option(response.last_log_id.as_ref(), BytesMut::put_log_id);
            }
            Self::Done => out.put_u8(DONE),
            Self::Index(index) => {
                out.put_u8(INDEX);
                out.put_u64(*index);
            }
            Self::Status(NodeStatus { pid, term, last, applied, level, now_us }) => {
                out.put_u8(STANDS);
                out.put_u32(*pid);
                [term, last, applied].into_iter().for_each(|number| out.put_u64(*number));
                out.put_u32(*level);
                out.put_u64(*now_us);
            }
            Self::Leader(LeaderId { term, node_id }) => {
                out.put_u8(FOLLOWS);
                [term, node_id].into_iter().for_each(|number| out.put_u64(*number));
            }
            Self::Refused(refused) => put_refused(&mut out, refused),
        }
        out.freeze()
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> io::Result<Self> {
        let mut reader = Reader::new(bytes, "the answer of a core");
        let answer = match reader.u8()? {
            VOTED => {
                let (vote, vote_granted) = (reader.vote()?, reader.bool()?);
                Self::Vote(VoteResponse { vote, vote_granted, last_log_id: reader.option(Reader::log_id)? })
            }
            DONE => Self::Done,
            INDEX => Self::Index(reader.u64()?),
            STANDS => {
                let (pid, term, last, applied) = (reader.u32()?, reader.u64()?, reader.u64()?, reader.u64()?);
                let (level, now_us) = (reader.u32()?, reader.u64()?);
                Self::Status(NodeStatus { pid, term, last, applied, level, now_us })
            }
            FOLLOWS => Self::Leader(LeaderId { term: reader.u64()?, node_id: reader.u64()? }),
            REFUSED => Self::Refused(read_refused(&mut reader)?),
            kind => return Err(reader.bad(&format!("kind {kind} is not known to this release"))),
        };
        reader.end()?;
        Ok(answer)
    }
}

pub(crate) fn encode_append<E: Environment>(append: &AppendEntriesRequest<TypeConfig<E>>) -> Bytes {
    let entries: Vec<Bytes> = append.entries.iter().map(encode_entry).collect();
    let mut out = BytesMut::with_capacity(128 + entries.iter().map(|entry| entry.len() + 4).sum::<usize>());
    out.put_vote(&append.vote);
    out.put_option(append.prev_log_id.as_ref(), BytesMut::put_log_id);
    out.put_option(append.leader_commit.as_ref(), BytesMut::put_log_id);
    out.put_len(entries.len());
    for entry in entries {
        out.put_len(entry.len());
        out.put(entry);
    }
    out.freeze()
}

pub(crate) fn decode_append<E: Environment>(bytes: Bytes) -> io::Result<AppendEntriesRequest<TypeConfig<E>>> {
    let mut reader = Reader::new(bytes, "an append of a core");
    let vote = reader.vote()?;
    let prev_log_id = reader.option(Reader::log_id)?;
    let leader_commit = reader.option(Reader::log_id)?;
    let entries = reader.list(MAX_ENTRIES, |reader| decode_entry(reader.bytes()?))?;
    let first = prev_log_id.map_or(0, |log_id| log_id.index + 1);
    // openraft takes it for granted.
    if !entries.iter().zip(first..).all(|(entry, index)| entry.log_id.index == index) {
        return Err(reader.bad("its entries do not follow each other"));
    }
    reader.end()?;
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
}

pub(crate) fn encode_appended<E: Environment>(result: &Result<StreamAppendResult<TypeConfig<E>>, Refused>) -> Bytes {
    let mut out = BytesMut::new();
    match result {
        Ok(Ok(log_id)) => {
            out.put_u8(APPENDED);
            out.put_option(log_id.as_ref(), BytesMut::put_log_id);
        }
        Ok(Err(StreamAppendError::Conflict(log_id))) => {
            out.put_u8(CONFLICT);
            out.put_log_id(log_id);
        }
        Ok(Err(StreamAppendError::HigherVote(vote))) => {
            out.put_u8(HIGHER_VOTE);
            out.put_vote(vote);
        }
        Err(refused) => put_refused(&mut out, refused),
    }
    out.freeze()
}

pub(crate) fn decode_appended<E: Environment>(
    bytes: Bytes,
) -> io::Result<Result<StreamAppendResult<TypeConfig<E>>, Refused>> {
    let mut reader = Reader::new(bytes, "the answer to an append");
    let result = match reader.u8()? {
        APPENDED => Ok(Ok(reader.option(Reader::log_id)?)),
        CONFLICT => Ok(Err(StreamAppendError::Conflict(reader.log_id()?))),
        HIGHER_VOTE => Ok(Err(StreamAppendError::HigherVote(reader.vote()?))),
        REFUSED => Err(read_refused(&mut reader)?),
        kind => return Err(reader.bad(&format!("kind {kind} is not known to this release"))),
    };
    reader.end()?;
    Ok(result)
}

fn put_vote_request<E: Environment>(out: &mut BytesMut, kind: u8, request: &VoteRequest<TypeConfig<E>>) {
    out.put_u8(kind);
    out.put_vote(&request.vote);
    out.put_option(request.last_log_id.as_ref(), BytesMut::put_log_id);
    out.put_u8(u8::from(request.leadership_transfer));
}

fn read_vote_request<E: Environment>(reader: &mut Reader) -> io::Result<VoteRequest<TypeConfig<E>>> {
    let vote: Vote = reader.vote()?;
    let last_log_id = reader.option(Reader::log_id)?;
    Ok(VoteRequest { vote, last_log_id, leadership_transfer: reader.bool()? })
}

fn put_refused(out: &mut BytesMut, refused: &Refused) {
    let (reason, number, text) = match refused {
        Refused::OtherStore(store) => (1, 0, store.get().to_string()),
        Refused::OtherNode(id) => (2, *id, String::new()),
        Refused::NotMember(index) => (3, *index, String::new()),
        Refused::OtherName(name) => (4, 0, name.clone()),
        Refused::NotNow(why) => (5, 0, why.chars().take(200).filter(char::is_ascii).collect()),
    };
    out.put_u8(REFUSED);
    out.put_u8(reason);
    out.put_u64(number);
    out.put_text(&text);
}

fn read_refused(reader: &mut Reader) -> io::Result<Refused> {
    let (reason, number, text) = (reader.u8()?, reader.u64()?, reader.text()?);
    Ok(match reason {
        1 => Refused::OtherStore(StoreId::new(text.parse().map_err(|_| reader.bad("a store id is no number"))?)),
        2 => Refused::OtherNode(number),
        3 => Refused::NotMember(number),
        4 => Refused::OtherName(text),
        5 => Refused::NotNow(text),
        reason => return Err(reader.bad(&format!("reason {reason} is not known to this release"))),
    })
}
