//! Which requests are done, refused, or answered by what was done before: part of the replicated state machine, and pure.
//!
//! Time is that of commands, never a clock. A key says when it was made, and records are kept longer than keys are good
//! for, so a request is never done twice: its record is there, or its key is too old.
//!
//! # Invariants
//! - A record goes only when its key is too old by the time of the state, which never goes back.
//! - Where records would be over a limit, the request is refused, and nothing is forgotten for it.

use crate::{Epoch, Idempotency, Once, Refusal, RequestId, RequestKey, RequestRecord, positional};

/// Most records that one command removes. A record counts at most eight times as much as another, so whenever records
/// that are too old stand in the way, those that go make room.
const SWEEP: usize = 16;
const SECOND: u64 = 1_000_000;

/// Limits of what is kept, the same for every voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// So long after it was made a key is good for, microseconds.
    pub window_us: u64,
    /// So far ahead of the state's time the clock of a client may be, microseconds.
    pub tolerance_us: u64,
    /// Most records.
    pub records: u64,
    /// Most bytes of them, as [`RequestRecord::size`] counts.
    pub bytes: u64,
}

/// What the head of a store says of its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptRequests {
    /// What may be kept.
    pub limits: RequestLimits,
    /// The number of records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// No key of a record was made earlier, milliseconds of Unix time; 0 if there is none.
    pub oldest_ms: u64,
}

/// What a request is, for whoever has its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenRequest {
    /// It was not done yet, and may be done.
    New,
    /// It was done.
    Done(RequestRecord),
    /// It will not be done.
    Refused(Refusal),
}

/// What a batch changes of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestChanges {
    /// These go.
    pub gone: Vec<RequestId>,
    /// This one comes.
    pub new: Option<Box<(RequestId, RequestRecord)>>,
}

positional! {
    /// As a head holds it.
    #[derive(Debug, Default, PartialEq)]
    pub(crate) struct WireKept {
        records: u64,
        bytes: u64,
        oldest_ms: u64,
        limits: Option<WireLimits>,
    }
}

positional! {
    #[derive(Debug, Default, PartialEq)]
    struct WireLimits {
        window_us: u64,
        tolerance_us: u64,
        records: u64,
        bytes: u64,
    }
}

impl Default for RequestLimits {
    /// Those of a store for which nobody has set others. Part of the format: all voters have the same.
    fn default() -> Self {
        Self {
            window_us: 24 * 60 * 60 * SECOND,
            tolerance_us: 5 * 60 * SECOND,
            records: 10_000_000,
            bytes: 2 * 1024 * 1024 * 1024,
        }
    }
}

impl RequestLimits {
    fn is_too_old(&self, made_ms: u64, now_us: u64) -> bool {
        made_ms.saturating_mul(1000).saturating_add(self.window_us) < now_us
    }
}

impl KeptRequests {
    /// What a request is at this time of the state and in this epoch. `record` is what is kept of it.
    #[must_use]
    pub fn see(&self, asked: &Idempotency, now_us: u64, epoch: Epoch, record: Option<RequestRecord>) -> SeenRequest {
        if self.limits.is_too_old(asked.key.made_ms(), now_us) {
            return SeenRequest::Refused(Refusal::KeyTooOld);
        }
        if asked.key.made_us() > now_us.saturating_add(self.limits.tolerance_us) {
            return SeenRequest::Refused(Refusal::KeyFromFuture);
        }
        match record {
            None => SeenRequest::New,
            Some(record) if record.epoch != epoch => SeenRequest::Refused(Refusal::KeyOfOtherEpoch(record.epoch)),
            Some(record) if record.request_hash != asked.request_hash => SeenRequest::Refused(Refusal::KeyReused),
            Some(record) => SeenRequest::Done(record),
        }
    }

    /// Where records that are too old begin, if there may be any, and how many are to be looked at.
    pub(crate) fn due(&self, now_us: u64) -> Option<(RequestId, usize)> {
        let is_due = self.records > 0 && self.limits.is_too_old(self.oldest_ms, now_us);
        let first = RequestId { key: RequestKey::made_at(self.oldest_ms, 0), scope: [0; 16] };
        is_due.then_some((first, SWEEP + 1))
    }

    /// Forgets the first of these records, as far as they are too old. They are the oldest ones, in order, one more than go
    /// if there are so many.
    pub(crate) fn sweep(&mut self, oldest: Vec<(RequestId, RequestRecord)>, now_us: u64) -> Vec<RequestId> {
        let mut gone = Vec::new();
        for (id, record) in oldest {
            if gone.len() == SWEEP || !self.limits.is_too_old(id.key.made_ms(), now_us) {
                self.oldest_ms = id.key.made_ms();
                return gone;
            }
            self.records = self.records.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(record.size());
            gone.push(id);
        }
        self.oldest_ms = 0;
        gone
    }

    /// Counts one more, if there is room for it.
    pub(crate) fn add(&mut self, once: &Once, record: &RequestRecord) -> Result<(), Refusal> {
        let (records, bytes) = (self.records + 1, self.bytes.saturating_add(record.size()));
        if records > self.limits.records || bytes > self.limits.bytes {
            return Err(Refusal::TooManyKeys);
        }
        let made_ms = once.idempotency.key.made_ms();
        self.oldest_ms = if self.records == 0 { made_ms } else { self.oldest_ms.min(made_ms) };
        (self.records, self.bytes) = (records, bytes);
        Ok(())
    }

    pub(crate) fn to_wire(self) -> WireKept {
        let Self { limits, records, bytes, oldest_ms } = self;
        let limits = (limits != RequestLimits::default()).then_some(WireLimits {
            window_us: limits.window_us,
            tolerance_us: limits.tolerance_us,
            records: limits.records,
            bytes: limits.bytes,
        });
        WireKept { records, bytes, oldest_ms, limits }
    }

    pub(crate) fn from_wire(wire: WireKept) -> Self {
        let limits = wire.limits.map_or_else(RequestLimits::default, |limits| RequestLimits {
            window_us: limits.window_us,
            tolerance_us: limits.tolerance_us,
            records: limits.records,
            bytes: limits.bytes,
        });
        Self { limits, records: wire.records, bytes: wire.bytes, oldest_ms: wire.oldest_ms }
    }
}
