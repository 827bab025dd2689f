//! Names of a message that later ones can point to, and how those are written.

use crate::query::HEADER_LEN;

/// Names that later ones can point to. A referral of the root needs about thirty.
const MAX_NAMES: usize = 64;

/// A compression pointer has 14 bits.
const MAX_OFFSET: usize = 0x3fff;

/// Two bits before those.
const POINTER: u16 = 0xc000;

/// Where in the message which names are.
#[derive(Debug)]
pub(crate) struct WrittenNames {
    /// Offset, and length in wire form.
    items: [(u16, u8); MAX_NAMES],
    used: usize,
    /// Of the name in the question, which stands behind the header.
    question_end: usize,
}

impl Default for WrittenNames {
    fn default() -> Self {
        Self { items: [(0, 0); MAX_NAMES], used: 0, question_end: HEADER_LEN }
    }
}

impl WrittenNames {
    /// For a message whose question's name ends there.
    pub(crate) fn begin(&mut self, question_end: usize) {
        (self.used, self.question_end) = (0, question_end);
    }

    /// Names of records so far.
    pub(crate) fn count(&self) -> usize {
        self.used
    }

    /// Those after so many are taken out of the message again.
    pub(crate) fn forget_from(&mut self, count: usize) {
        self.used = count;
    }

    /// Writes an uncompressed name, pointing to an earlier one as soon as the rest is the same.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, wire: &[u8]) {
        let mut rest = wire;
        while let Some((length, _)) = rest.split_first().filter(|(length, _)| **length != 0) {
            if let Some(offset) = self.find(out, rest) {
                out.extend_from_slice(&(POINTER | offset).to_be_bytes());
                return;
            }
            self.remember(out.len(), rest.len());
            let Some((label, after)) = rest.split_at_checked(1 + usize::from(*length)) else { break };
            out.extend_from_slice(label);
            rest = after;
        }
        out.push(0);
    }

    fn find(&self, out: &[u8], wire: &[u8]) -> Option<u16> {
        self.in_question(out, wire).or_else(|| self.in_records(out, wire))
    }

    /// Where the name of the question, which owns most records, ends in this one.
    fn in_question(&self, out: &[u8], wire: &[u8]) -> Option<u16> {
        let question = out.get(HEADER_LEN..self.question_end)?;
        let (before, end) = question.split_at_checked(question.len().checked_sub(wire.len())?)?;
        if end != wire {
            return None;
        }
        // Only where a label begins: its bytes can look like labels.
        let mut at = 0;
        while let Some(length) = before.get(at) {
            at += 1 + usize::from(*length);
        }
        if at == before.len() { u16::try_from(HEADER_LEN + at).ok() } else { None }
    }

    fn in_records(&self, out: &[u8], wire: &[u8]) -> Option<u16> {
        let known = self.items.get(..self.used)?.iter();
        let same_length = known.filter(|(_, len)| usize::from(*len) == wire.len());
        same_length.map(|(offset, _)| *offset).find(|offset| is_at(out, usize::from(*offset), wire))
    }

    fn remember(&mut self, at: usize, len: usize) {
        if let (Some(item), Ok(offset), Ok(len)) = (self.items.get_mut(self.used), u16::try_from(at), u8::try_from(len))
            && at <= MAX_OFFSET
        {
            *item = (offset, len);
            self.used += 1;
        }
    }
}

/// Whether the name at `at`, written before, is `wire`. Pointers of ours lead backwards, so this ends.
fn is_at(out: &[u8], mut at: usize, wire: &[u8]) -> bool {
    // Most names that come again were written in full: the owner is the name of the question.
    if out.get(at..).is_some_and(|written| written.starts_with(wire)) {
        return true;
    }
    let mut rest = wire;
    loop {
        match out.get(at..) {
            Some([high, low, ..]) if *high >= 0xc0 => at = usize::from(u16::from_be_bytes([high & 0x3f, *low])),
            Some([0, ..]) => return rest == [0],
            Some(here @ [length, ..]) => {
                let len = 1 + usize::from(*length);
                match (here.get(..len), rest.split_at_checked(len)) {
                    (Some(label), Some((same, after))) if label == same => rest = after,
                    _ => return false,
                }
                at += len;
            }
            Some([]) | None => return false,
        }
    }
}
