//! The replicated state machine: what one command does to the head of the store, and what must be written for it.
//!
//! It decides and writes nothing itself. What it decides depends on the head, the command, the editions of the sections
//! the command names and the records of requests, so every voter decides the same.
//!
//! # Invariants
//! - A refused command leaves the head as it was, and nothing of it is written.
//! - A command that this release does not understand to the last operation is an error, never a refusal: a newer
//!   voter would have accepted it.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::kept_requests::WireKept;
use crate::{
    Chain, Command, CommandError, Commit, DecodeError, Edition, EncodedBatch, EncodedSection, Epoch, FEATURE_LEVEL,
    FIRST_LEVEL, Idempotency, KeptRequests, Once, OpError, Position, Precondition, Published, RequestChanges,
    RequestId, RequestLimits, RequestRecord, RestoreId, Revision, SectionId, SeenRequest, StoreId, Version, decode_ops,
    positional, read_whole,
};

/// Of a head at the first feature level.
const FIRST_FORMAT: u8 = 1;
/// Of one that says its level. Releases of the first level do not read it.
const FORMAT: u8 = 2;

/// Where the store of a voter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The revision of the last accepted batch.
    pub revision: Revision,
    /// The position of the last published version.
    pub position: Position,
    /// Time of the last accepted batch, microseconds of Unix time. Never goes back.
    pub time_us: u64,
    /// The next id that [`Command::Allocate`] hands out; ids begin at 1.
    pub next_id: u64,
    /// The first version of the present epoch: the fork that began it, or 0 where there was none.
    pub began: Version,
    /// What is kept of requests that are done once.
    pub requests: KeptRequests,
    /// The feature level that the cluster has agreed on.
    pub level: u32,
}

/// What the machine reads of the state beside its head.
pub trait Beside {
    /// Why it cannot be read.
    type Error;

    /// The present edition of a section.
    ///
    /// # Errors
    /// It cannot be read.
    fn edition(&self, section: SectionId) -> Result<Edition, Self::Error>;

    /// What is kept of a request.
    ///
    /// # Errors
    /// It cannot be read.
    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, Self::Error>;

    /// The first records from here on, at most so many, in order.
    ///
    /// # Errors
    /// They cannot be read.
    fn requests(&self, from: &RequestId, most: usize) -> Result<Vec<(RequestId, RequestRecord)>, Self::Error>;
}

/// The effect of a command. The caller must write all of it together with the new [`Head`] in one atomic write, or none
/// of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The head has changed, and nothing beside it.
    Done,
    /// The batch is committed, with these effects.
    Accepted(Accepted),
    /// This was done before under the same key, and nothing changes.
    Repeated(RequestRecord),
    /// The batch is refused for this reason, and nothing changes.
    Refused(Refusal),
    /// These ids belong to whoever asked.
    Allocated(Range<u64>),
}

/// The result for the proposer of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The command is done and has no result.
    Done,
    /// The batch is committed.
    Committed {
        /// The revision of the batch.
        revision: Revision,
        /// Its version, if any of it is published.
        version: Option<Version>,
        /// Its time, microseconds of Unix time.
        time_us: u64,
    },
    /// This was done before under the same key, and nothing changes.
    Repeated(RequestRecord),
    /// The command is refused for this reason, and nothing changes.
    Refused(Refusal),
    /// These ids are the proposer's.
    Allocated(Range<u64>),
}

impl Effect {
    /// The result for the proposer.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Done => Verdict::Done,
            Self::Accepted(accepted) => Verdict::Committed {
                revision: accepted.revision,
                version: accepted.published.as_ref().map(|published| published.version),
                time_us: accepted.time_us,
            },
            Self::Repeated(record) => Verdict::Repeated(record.clone()),
            Self::Refused(refusal) => Verdict::Refused(refusal.clone()),
            Self::Allocated(ids) => Verdict::Allocated(ids.clone()),
        }
    }
}

/// The writes of an accepted batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The revision of the batch.
    pub revision: Revision,
    /// Its time, microseconds of Unix time.
    pub time_us: u64,
    /// The new edition of each section it touches.
    pub editions: Vec<(SectionId, Edition)>,
    /// Its published sections, in order, if it has any: a new version.
    pub published: Option<Published>,
    /// Its private sections, in order.
    pub private: Vec<EncodedSection>,
    /// What it changes of the records of requests.
    pub requests: RequestChanges,
}

/// Why a batch or a request for ids is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Refusal {
    /// A section has been touched by more or fewer batches than it should have.
    #[error("section {:?} is at edition {present}, not {}", required.section, required.edition)]
    Precondition {
        /// The first precondition that does not hold.
        required: Precondition,
        /// The edition that the section has.
        present: Edition,
    },
    /// The batch or its operations cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// More ids than there are left.
    #[error("no ids are left")]
    NoIds,
    /// The store has no identity yet.
    #[error("the store is not founded")]
    NotFounded,
    /// The key was used for something else.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The key is older than records are kept: whether it was used is not known.
    #[error("the idempotency key is too old")]
    KeyTooOld,
    /// The key was made later than now.
    #[error("the idempotency key is from the future: the clock of the client is ahead")]
    KeyFromFuture,
    /// The key was used before a restore: whether edges have kept what it did is not known.
    #[error("the idempotency key was used in epoch {0}, before a restore")]
    KeyOfOtherEpoch(Epoch),
    /// The records of requests are at their limit.
    #[error("too many idempotency keys are in use, try again later")]
    TooManyKeys,
}

/// Why a voter must halt at a command. `E` is that of reading an edition.
#[derive(Debug, Error)]
pub enum MachineError<E> {
    /// Damage, or a command of a later release.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A batch with parts of a later release.
    #[error("the batch comes from a later release: {0}")]
    Newer(DecodeError),
    /// A level this release does not have.
    #[error("the cluster has agreed on feature level {0}, and this release has {FEATURE_LEVEL}: start a later release")]
    Level(u64),
    /// A counter is at its end.
    #[error("revisions, versions or editions have reached the end of 64 bits")]
    Exhausted,
    /// The state could not be read.
    #[error(transparent)]
    Read(E),
}

/// Why bytes are not a head.
#[derive(Debug, Error)]
pub enum HeadError {
    /// Not the MessagePack of a head.
    #[error("not a head: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("head format {0} is not known to this release")]
    Format(u8),
    /// A level this release does not have.
    #[error("the cluster has agreed on feature level {0}, and this release has {FEATURE_LEVEL}: start a later release")]
    Level(u64),
}

positional! {
    /// A head as it is kept.
    #[derive(Debug, Default, PartialEq)]
    struct WireHead {
        format: u8,
        revision: Revision,
        store: u128,
        epoch: Epoch,
        version: Version,
        chain: Chain,
        time_us: u64,
        next_id: u64,
        began: Version,
        requests: WireKept,
        level: u32,
    }
}

impl Default for Head {
    fn default() -> Self {
        Self {
            revision: Revision::ZERO,
            position: Position::origin(StoreId::new(0)),
            time_us: 0,
            next_id: 1,
            began: Version::ZERO,
            requests: KeptRequests::default(),
            level: FIRST_LEVEL,
        }
    }
}

impl Head {
    /// Whether the store has its identity.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.position.store != StoreId::new(0)
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        // At the first level as its releases write it.
        let (format, level) = if self.level > FIRST_LEVEL { (FORMAT, self.level) } else { (FIRST_FORMAT, 0) };
        let wire = WireHead {
            format,
            revision: self.revision,
            store: self.position.store.get(),
            epoch: self.position.epoch,
            version: self.position.version,
            chain: self.position.chain,
            time_us: self.time_us,
            next_id: self.next_id,
            began: self.began,
            requests: self.requests.to_wire(),
            level,
        };
        rmp_serde::to_vec(&wire).expect("plain data always encodes").into()
    }

    /// Back from [`Head::to_bytes`].
    ///
    /// # Errors
    /// Not MessagePack of this shape, or another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeadError> {
        let wire: WireHead = read_whole(bytes).map_err(HeadError::Syntax)?;
        let level = match wire.format {
            FIRST_FORMAT => FIRST_LEVEL,
            FORMAT => wire.level,
            format => return Err(HeadError::Format(format)),
        };
        if !(FIRST_LEVEL..=FEATURE_LEVEL).contains(&level) {
            return Err(HeadError::Level(level.into()));
        }
        let (epoch, version, chain) = (wire.epoch, wire.version, wire.chain);
        let position = Position { store: StoreId::new(wire.store), epoch, version, chain };
        let (revision, time_us, next_id, began) = (wire.revision, wire.time_us, wire.next_id, wire.began);
        let requests = KeptRequests::from_wire(wire.requests);
        Ok(Self { revision, position, time_us, next_id, began, requests, level })
    }

    /// What a request is in this state, if it is asked for at this time.
    ///
    /// # Errors
    /// The record cannot be read.
    fn see<B: Beside>(&self, asked: &Idempotency, time_us: u64, beside: &B) -> Result<SeenRequest, B::Error> {
        let record = beside.request(&asked.id())?;
        Ok(self.requests.see(asked, time_us.max(self.time_us), self.position.epoch, record))
    }

    /// Decides one command and moves to where it leads.
    ///
    /// # Errors
    /// The voter must halt; the head is then as it was.
    pub fn apply<B: Beside>(&mut self, command: Command, beside: &B) -> Result<Effect, MachineError<B::Error>> {
        match command {
            Command::Found { store } => {
                if !self.is_founded() {
                    self.position = Position::origin(store);
                }
                Ok(Effect::Done)
            }
            Command::Allocate { count } => match self.next_id.checked_add(count) {
                Some(end) => {
                    let ids = self.next_id..end;
                    self.next_id = end;
                    Ok(Effect::Allocated(ids))
                }
                None => Ok(Effect::Refused(Refusal::NoIds)),
            },
            Command::LimitRequests { records, bytes } => {
                let limits = self.requests.limits;
                self.requests.limits = RequestLimits { records, bytes, ..limits };
                Ok(Effect::Done)
            }
            Command::RaiseLevel { level } => {
                let known = u32::try_from(level).ok().filter(|level| *level <= FEATURE_LEVEL);
                self.level = self.level.max(known.ok_or(MachineError::Level(level))?);
                Ok(Effect::Done)
            }
            Command::Batch(_) | Command::Fork { .. } if !self.is_founded() => Ok(Effect::Refused(Refusal::NotFounded)),
            Command::Fork { time_us, restore, epoch } => self.fork(time_us, restore, epoch),
            Command::Batch(commit) => self.apply_batch(commit, beside),
        }
    }

    /// Begins a later epoch, by a version that changes nothing.
    fn fork<E>(&mut self, time_us: u64, restore: RestoreId, epoch: Epoch) -> Result<Effect, MachineError<E>> {
        let revision = self.revision.next().ok_or(MachineError::Exhausted)?;
        let time_us = time_us.max(self.time_us);
        let fork = Published::fork(&self.position, epoch, time_us, restore).ok_or(MachineError::Exhausted)?;
        self.position = fork.next_after(&self.position).ok_or(MachineError::Exhausted)?;
        (self.revision, self.time_us, self.began) = (revision, time_us, fork.version);
        let (editions, private, requests) = (Vec::new(), Vec::new(), RequestChanges::default());
        Ok(Effect::Accepted(Accepted { revision, time_us, editions, published: Some(fork), private, requests }))
    }

    fn apply_batch<B: Beside>(&mut self, commit: Commit, beside: &B) -> Result<Effect, MachineError<B::Error>> {
        let Commit { time_us, batch, once } = commit;
        if let Err(error) = check(&batch) {
            return match error {
                DecodeError::Format(_) | DecodeError::Op { problem: OpError::Unknown(_), .. } => {
                    Err(MachineError::Newer(error))
                }
                malformed => Ok(Effect::Refused(Refusal::Malformed(malformed.to_string()))),
            };
        }
        // Before the preconditions: what was done once has moved on the editions that it required.
        if let Some(once) = &once {
            match self.see(&once.idempotency, time_us, beside).map_err(MachineError::Read)? {
                SeenRequest::New => {}
                SeenRequest::Done(record) => return Ok(Effect::Repeated(record)),
                SeenRequest::Refused(refusal) => return Ok(Effect::Refused(refusal)),
            }
        }
        for &required in &batch.preconditions {
            let present = beside.edition(required.section).map_err(MachineError::Read)?;
            if present != required.edition {
                return Ok(Effect::Refused(Refusal::Precondition { required, present }));
            }
        }
        let mut next = *self;
        match next.accept(time_us.max(self.time_us), batch, once, beside)? {
            Ok(accepted) => {
                *self = next;
                Ok(Effect::Accepted(accepted))
            }
            Err(refusal) => Ok(Effect::Refused(refusal)),
        }
    }

    /// Moves to where a batch leads whose preconditions hold; if it is refused, the head is not to be used any more.
    fn accept<B: Beside>(
        &mut self,
        time_us: u64,
        batch: EncodedBatch,
        once: Option<Once>,
        beside: &B,
    ) -> Result<Result<Accepted, Refusal>, MachineError<B::Error>> {
        self.time_us = time_us;
        self.revision = self.revision.next().ok_or(MachineError::Exhausted)?;
        let mut editions = Vec::with_capacity(batch.sections.len());
        for section in &batch.sections {
            let next = beside.edition(section.id).map_err(MachineError::Read)?.next().ok_or(MachineError::Exhausted)?;
            editions.push((section.id, next));
        }
        let (sections, private): (Vec<_>, Vec<_>) =
            batch.sections.into_iter().partition(|section| section.id.keyspace.is_published());
        let published = if sections.is_empty() {
            None
        } else {
            let published = Published::after(&self.position, time_us, sections).ok_or(MachineError::Exhausted)?;
            self.position = Position { version: published.version, chain: published.chain, ..self.position };
            Some(published)
        };
        let version = published.as_ref().map(|published| published.version);
        let requests = match self.keep(once, version, beside).map_err(MachineError::Read)? {
            Ok(requests) => requests,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(Ok(Accepted { revision: self.revision, time_us, editions, published, private, requests }))
    }

    /// Keeps the record of what is done now, and forgets some of those that are too old.
    fn keep<B: Beside>(
        &mut self,
        once: Option<Once>,
        version: Option<Version>,
        beside: &B,
    ) -> Result<Result<RequestChanges, Refusal>, B::Error> {
        let mut changes = RequestChanges::default();
        if let Some((first, most)) = self.requests.due(self.time_us) {
            changes.gone = self.requests.sweep(beside.requests(&first, most)?, self.time_us);
        }
        if let Some(once) = once {
            let record = RequestRecord {
                request_hash: once.idempotency.request_hash,
                epoch: self.position.epoch,
                revision: self.revision,
                version,
                time_us: self.time_us,
                note: once.note.clone(),
            };
            if let Err(refusal) = self.requests.add(&once, &record) {
                return Ok(Err(refusal));
            }
            changes.new = Some(Box::new((once.idempotency.id(), record)));
        }
        Ok(Ok(changes))
    }
}

/// Reads the batch to the last operation.
fn check(batch: &EncodedBatch) -> Result<(), DecodeError> {
    batch.check()?;
    batch.sections.iter().flat_map(decode_ops).try_for_each(|op| op.map(drop))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::{Batch, Key, KeyspaceId, Op, Section, Value};

    const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
    const NOTES: SectionId = SectionId { keyspace: KeyspaceId::CORE, partition: 1 };

    /// A head with the editions a store would keep beside it.
    #[derive(Clone, Debug, PartialEq)]
    struct Model {
        head: Head,
        editions: BTreeMap<SectionId, Edition>,
        requests: BTreeMap<RequestId, RequestRecord>,
    }

    impl Beside for Model {
        type Error = Infallible;

        fn edition(&self, section: SectionId) -> Result<Edition, Infallible> {
            Ok(self.editions.get(&section).copied().unwrap_or_default())
        }

        fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, Infallible> {
            Ok(self.requests.get(id).cloned())
        }

        fn requests(&self, from: &RequestId, most: usize) -> Result<Vec<(RequestId, RequestRecord)>, Infallible> {
            Ok(self.requests.range(from..).take(most).map(|(id, record)| (*id, record.clone())).collect())
        }
    }

    impl Model {
        fn new() -> Self {
            Self { head: Head::default(), editions: BTreeMap::new(), requests: BTreeMap::new() }
        }

        fn founded() -> Self {
            let mut model = Self::new();
            assert_eq!(model.apply(Command::Found { store: StoreId::new(7) }), Effect::Done);
            model
        }

        fn try_apply(&mut self, command: Command) -> Result<Effect, MachineError<Infallible>> {
            let mut head = self.head;
            let effect = head.apply(command, self)?;
            self.head = head;
            if let Effect::Accepted(accepted) = &effect {
                self.editions.extend(accepted.editions.iter().copied());
                self.requests.retain(|id, _| !accepted.requests.gone.contains(id));
                self.requests.extend(accepted.requests.new.clone().map(|new| *new));
            }
            Ok(effect)
        }

        fn apply(&mut self, command: Command) -> Effect {
            self.try_apply(command).unwrap()
        }

        fn accept(&mut self, command: Command) -> Accepted {
            match self.apply(command) {
                Effect::Accepted(accepted) => accepted,
                other => panic!("not accepted: {other:?}"),
            }
        }
    }

    fn put(id: SectionId) -> Section {
        let key = Key::new([&id.keyspace.get().to_be_bytes()[..], b"key"].concat()).unwrap();
        Section { id, ops: vec![Op::Put { key, value: Value::new(&b"value"[..]).unwrap() }] }
    }

    fn batch(time_us: u64, sections: &[SectionId], preconditions: &[(SectionId, u64)]) -> Command {
        let preconditions = preconditions
            .iter()
            .map(|&(section, edition)| Precondition { section, edition: Edition::new(edition) })
            .collect();
        let batch = Batch { preconditions, sections: sections.iter().map(|&id| put(id)).collect() };
        Command::Batch(Commit { time_us, batch: batch.encode().unwrap(), once: None })
    }

    #[test]
    fn a_version_is_only_spent_on_what_is_published() {
        let mut model = Model::founded();
        let origin = model.head.position;
        let private = model.accept(batch(5, &[NOTES], &[]));
        assert_eq!((private.revision, private.published, private.private.len()), (Revision::new(1), None, 1));
        assert_eq!(model.head.position, origin);

        let both = model.accept(batch(6, &[NOTES, ZONE], &[(NOTES, 1), (ZONE, 0)]));
        let published = both.published.unwrap();
        assert_eq!((both.revision, published.version), (Revision::new(2), Version::new(1)));
        assert_eq!(published.sections.iter().map(|section| section.id).collect::<Vec<_>>(), [ZONE]);
        assert_eq!(both.private.iter().map(|section| section.id).collect::<Vec<_>>(), [NOTES]);
        assert_eq!(published.follow(&origin).unwrap(), model.head.position);
        assert_eq!(both.editions, [(NOTES, Edition::new(2)), (ZONE, Edition::new(1))]);
    }

    #[test]
    fn time_never_goes_back() {
        let mut model = Model::founded();
        assert_eq!(model.accept(batch(50, &[ZONE], &[])).time_us, 50);
        let earlier = model.accept(batch(20, &[ZONE], &[]));
        assert_eq!((earlier.time_us, earlier.published.unwrap().time_us), (50, 50));
        assert_eq!(model.accept(batch(51, &[ZONE], &[])).time_us, 51);
    }

    #[test]
    fn a_failed_precondition_costs_nothing_and_says_what_is_true() {
        let mut model = Model::founded();
        model.accept(batch(1, &[ZONE], &[]));
        let before = model.clone();
        let refused = model.apply(batch(2, &[ZONE, NOTES], &[(NOTES, 0), (ZONE, 0)]));
        let required = Precondition { section: ZONE, edition: Edition::ZERO };
        let present = Edition::new(1);
        assert_eq!(refused, Effect::Refused(Refusal::Precondition { required, present }));
        assert_eq!(model, before);
    }

    #[test]
    fn a_bad_last_operation_refuses_the_whole_batch() {
        let mut model = Model::founded();
        let before = model.clone();
        let Command::Batch(Commit { time_us, batch: good, .. }) = batch(1, &[NOTES, ZONE], &[]) else { unreachable!() };
        let mut bad = good.clone();
        bad.sections[1].ops = bad.sections[1].ops.slice(..bad.sections[1].ops.len() - 1);
        let malformed =
            |batch: &EncodedBatch| Effect::Refused(Refusal::Malformed(check(batch).unwrap_err().to_string()));
        let why = malformed(&bad);
        assert_eq!(model.apply(Command::Batch(Commit { time_us, batch: bad, once: None })), why);

        let mut twice = good.clone();
        twice.sections[1] = twice.sections[0].clone();
        let why = malformed(&twice);
        assert_eq!(model.apply(Command::Batch(Commit { time_us, batch: twice, once: None })), why);
        assert_eq!(model, before);
    }

    #[test]
    fn what_a_later_release_would_accept_halts() {
        let mut model = Model::founded();
        let before = model.clone();
        let Command::Batch(Commit { time_us, batch: good, .. }) = batch(1, &[ZONE], &[]) else { unreachable!() };
        let newer = EncodedBatch { format: 2, ..good.clone() };
        assert!(matches!(
            model.try_apply(Command::Batch(Commit { time_us, batch: newer, once: None })),
            Err(MachineError::Newer(_))
        ));
        let mut unknown = good;
        unknown.sections[0].ops = rmp_serde::to_vec(&(9_u8, serde_bytes::Bytes::new(&[0, 1]))).unwrap().into();
        assert!(matches!(
            model.try_apply(Command::Batch(Commit { time_us, batch: unknown, once: None })),
            Err(MachineError::Newer(_))
        ));
        assert_eq!(model, before);
    }

    #[test]
    fn ids_begin_at_one_and_never_repeat() {
        let mut model = Model::founded();
        assert_eq!(model.apply(Command::Allocate { count: 3 }), Effect::Allocated(1..4));
        assert_eq!(model.apply(Command::Allocate { count: 0 }), Effect::Allocated(4..4));
        assert_eq!(model.apply(Command::Allocate { count: u64::MAX }), Effect::Refused(Refusal::NoIds));
        assert_eq!(model.apply(Command::Allocate { count: 1 }), Effect::Allocated(4..5));
    }

    #[test]
    fn a_fork_begins_an_epoch_that_goes_on_from_there() {
        let accept_at =
            |restore, epoch| Command::Fork { time_us: 3, restore: RestoreId::new(restore), epoch: Epoch::new(epoch) };
        let accept = |restore| accept_at(restore, 0);
        let mut model = Model::new();
        assert_eq!(model.apply(accept(1)), Effect::Refused(Refusal::NotFounded));
        let mut model = Model::founded();
        model.accept(batch(5, &[ZONE], &[]));
        let (before, mut other) = (model.clone(), model.clone());
        let fork = model.accept(accept(1));
        assert_eq!((fork.revision, fork.time_us, fork.editions.len()), (Revision::new(2), 5, 0));
        let fork = fork.published.unwrap();
        assert_eq!(fork.follow(&before.head.position).unwrap(), model.head.position);
        assert_eq!((model.head.position.epoch, model.head.began), (Epoch::new(1), Version::new(2)));
        assert_eq!(model.editions, before.editions, "changes that are planned hold");
        other.accept(accept(2));
        assert_ne!(other.head.position.chain, model.head.position.chain);
        let next = model.accept(batch(6, &[ZONE], &[(ZONE, 1)])).published.unwrap();
        assert_eq!((next.epoch, next.version), (Epoch::new(1), Version::new(3)));
        for (asked, begun) in [(7, 7), (3, 8)] {
            assert_eq!(model.accept(accept_at(1, asked)).published.unwrap().epoch, Epoch::new(begun));
        }
        assert_eq!(Head::from_bytes(&model.head.to_bytes()).unwrap(), model.head);
    }

    #[test]
    fn only_the_first_founding_counts() {
        let mut model = Model::new();
        assert_eq!(model.apply(batch(1, &[ZONE], &[])), Effect::Refused(Refusal::NotFounded));
        model.apply(Command::Found { store: StoreId::new(7) });
        model.accept(batch(1, &[ZONE], &[]));
        let before = model.clone();
        model.apply(Command::Found { store: StoreId::new(8) });
        assert_eq!(model, before);
    }

    #[test]
    fn a_level_is_raised_and_never_lowered_and_what_is_above_this_release_halts() {
        let mut model = Model::founded();
        let (first, level) = (model.clone(), u64::from(FEATURE_LEVEL));
        assert_eq!((model.head.level, model.head.to_bytes()[1]), (FIRST_LEVEL, FIRST_FORMAT));
        assert!(matches!(model.try_apply(Command::RaiseLevel { level: level + 1 }), Err(MachineError::Level(_))));
        assert!(matches!(model.try_apply(Command::RaiseLevel { level: u64::MAX }), Err(MachineError::Level(_))));
        assert_eq!(model, first);
        for raised in [level, 1, 0] {
            assert_eq!(model.apply(Command::RaiseLevel { level: raised }), Effect::Done);
            assert_eq!(model.head, Head { level: FEATURE_LEVEL, ..first.head });
        }
        // Not the format that a release of the first level reads.
        assert_eq!(model.head.to_bytes()[1], FORMAT);
        assert_eq!(Head::from_bytes(&model.head.to_bytes()).unwrap(), model.head);
        let later = Head { level: FEATURE_LEVEL + 1, ..model.head };
        assert!(matches!(Head::from_bytes(&later.to_bytes()), Err(HeadError::Level(_))));
    }

    #[test]
    fn a_head_is_read_as_written() {
        let mut model = Model::founded();
        model.accept(batch(9, &[ZONE], &[]));
        let bytes = model.head.to_bytes();
        assert_eq!(Head::from_bytes(&bytes).unwrap(), model.head);
        for cut in 0..bytes.len() {
            assert!(Head::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        /// Whatever the commands, counters are dense, versions follow each other, and a second voter agrees.
        #[test]
        fn every_history_is_dense_and_repeatable(
            steps in prop::collection::vec((0_u64..100, any::<bool>(), any::<bool>(), prop::option::of(0_u64..4)), 0..40)
        ) {
            let (mut one, mut other) = (Model::founded(), Model::founded());
            let mut follower = one.head.position;
            for (time_us, zone, notes, required) in steps {
                let sections: Vec<_> = [(zone, ZONE), (notes, NOTES)].into_iter().filter(|(with, _)| *with).collect();
                let sections: Vec<_> = sections.into_iter().map(|(_, id)| id).collect();
                let required: Vec<_> = required.into_iter().map(|edition| (ZONE, edition)).collect();
                let command = batch(time_us, &sections, &required);
                let before = one.clone();
                let effect = one.apply(command.clone());
                prop_assert_eq!(&other.apply(Command::from_bytes(&command.to_bytes()).unwrap()), &effect);
                match effect {
                    Effect::Accepted(accepted) => {
                        prop_assert_eq!(Some(accepted.revision), before.head.revision.next());
                        prop_assert_eq!(accepted.published.is_some(), zone);
                        if let Some(published) = accepted.published {
                            follower = published.follow(&follower).unwrap();
                        }
                    }
                    _ => prop_assert_eq!(&one, &before),
                }
                prop_assert_eq!(follower, one.head.position);
                prop_assert!(one.head.time_us >= before.head.time_us);
            }
            prop_assert_eq!(one, other);
        }
    }
}
