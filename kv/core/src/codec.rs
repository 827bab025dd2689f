//! Reading and writing of what raft keeps and sends: big-endian numbers and byte strings behind their length.
//!
//! A reader never takes more than there is, and never allocates by what a length says before the bytes are there.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::impls::leader_id_adv::LeaderId;

use crate::member::{MAX_TEXT, Member};
use crate::types::{LogId, Vote};

/// Takes values off the front of bytes.
pub(crate) struct Reader {
    bytes: Bytes,
    what: &'static str,
}

impl Reader {
    /// `what` names the whole in errors.
    pub(crate) fn new(bytes: Bytes, what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(crate) fn u8(&mut self) -> io::Result<u8> {
        self.need(1)?;
        Ok(self.bytes.get_u8())
    }

    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        self.need(4)?;
        Ok(self.bytes.get_u32())
    }

    pub(crate) fn u64(&mut self) -> io::Result<u64> {
        self.need(8)?;
        Ok(self.bytes.get_u64())
    }

    pub(crate) fn u128(&mut self) -> io::Result<u128> {
        self.need(16)?;
        Ok(self.bytes.get_u128())
    }

    pub(crate) fn bool(&mut self) -> io::Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.bad(&format!("{other} is neither true nor false"))),
        }
    }

    /// A part of the bytes, not a copy.
    pub(crate) fn bytes(&mut self) -> io::Result<Bytes> {
        let len = self.u32()? as usize;
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    pub(crate) fn text(&mut self) -> io::Result<String> {
        let bytes = self.bytes()?;
        if bytes.len() > MAX_TEXT {
            return Err(self.bad(&format!("a text of {} bytes is too long", bytes.len())));
        }
        String::from_utf8(bytes.into()).map_err(|_| self.bad("a text is not UTF-8"))
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// As many values as a count says, at most `most`.
    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let count = self.u32()? as usize;
        if count > most {
            return Err(self.bad(&format!("{count} values where at most {most} may be")));
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(crate) fn log_id(&mut self) -> io::Result<LogId> {
        let (term, node_id) = (self.u64()?, self.u64()?);
        Ok(LogId { leader_id: LeaderId { term, node_id }, index: self.u64()? })
    }

    pub(crate) fn vote(&mut self) -> io::Result<Vote> {
        let (term, node_id) = (self.u64()?, self.u64()?);
        Ok(Vote { leader_id: LeaderId { term, node_id }, committed: self.bool()? })
    }

    pub(crate) fn member(&mut self) -> io::Result<Member> {
        Ok(Member { name: self.text()?, address: self.text()? })
    }

    /// What is left.
    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> io::Result<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.bad("bytes are left over at the end")) }
    }

    pub(crate) fn bad(&self, why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", self.what))
    }

    fn need(&self, len: usize) -> io::Result<()> {
        if self.bytes.len() < len { Err(self.bad("it ends too soon")) } else { Ok(()) }
    }
}

/// The other way round.
pub(crate) trait Write {
    fn put_log_id(&mut self, log_id: &LogId);
    fn put_vote(&mut self, vote: &Vote);
    fn put_text(&mut self, text: &str);
    fn put_len(&mut self, len: usize);
    fn put_member(&mut self, member: &Member);
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
}

impl Write for BytesMut {
    fn put_log_id(&mut self, log_id: &LogId) {
        self.put_u64(log_id.leader_id.term);
        self.put_u64(log_id.leader_id.node_id);
        self.put_u64(log_id.index);
    }

    fn put_vote(&mut self, vote: &Vote) {
        self.put_u64(vote.leader_id.term);
        self.put_u64(vote.leader_id.node_id);
        self.put_u8(u8::from(vote.committed));
    }

    fn put_text(&mut self, text: &str) {
        self.put_len(text.len());
        self.put_slice(text.as_bytes());
    }

    fn put_len(&mut self, len: usize) {
        self.put_u32(u32::try_from(len).expect("what is written here is bounded far below 4 GiB"));
    }

    fn put_member(&mut self, member: &Member) {
        self.put_text(&member.name);
        self.put_text(&member.address);
    }

    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.put_u8(u8::from(value.is_some()));
        if let Some(value) = value {
            put(self, value);
        }
    }
}
