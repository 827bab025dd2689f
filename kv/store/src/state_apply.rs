//! Applying a slice of the raft log to the state: commands are decided one by one, and written at once.

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use rocksdb::WriteBatch;
use zonecast_kv_proto::{
    Accepted, Command, Effect, EncodedSection, Head, MachineError, Marker, OpRef, Position, Verdict, Verification,
    decode_ops,
};

use crate::StoreError;
use crate::batch_log::BatchLog;
use crate::pending_changes::{Decided, PendingChanges};
use crate::state::Shared;
use crate::state_db::{Current, StateDb};
use crate::state_keys::{
    APPLIED, BATCHES, FORK, HEAD, MEMBERSHIP, META, PRIVATE, PUBLISHED, REQUESTS, edition_key, segment_key,
};
use crate::state_view::StateView;

/// A slice being applied. Dropped without [`Apply::commit`] it has done nothing to the database, but the store must
/// then be opened anew, because its accounting has moved.
///
/// It holds the accounting of the live database, which another database replaces under the same lock: so what it applies
/// to is live until it is done.
#[derive(Debug)]
pub struct Apply<'s> {
    shared: &'s Shared,
    log: MutexGuard<'s, BatchLog>,
    inner: Arc<StateDb>,
    current: Current,
    pending: PendingChanges,
    batch: Writes,
    published: Vec<AppliedVersion>,
    /// The last marker in it, and where it stands.
    marker: Option<(Marker, Position)>,
}

/// A version that has been applied.
#[derive(Clone, Debug)]
pub struct AppliedVersion {
    /// As every copy of the batch log and every stream holds it.
    pub bytes: Bytes,
    /// Where it leads.
    pub position: Position,
}

/// A write batch that can be shown in logs.
#[derive(Default)]
struct Writes(WriteBatch);

impl std::fmt::Debug for Writes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.size_in_bytes())
    }
}

impl<'s> Apply<'s> {
    pub(crate) fn new(shared: &'s Shared) -> Self {
        // In this order: see the type.
        let log = shared.lock_log();
        let inner = shared.live();
        let (current, pending, published) = (inner.current(), PendingChanges::default(), Vec::new());
        Self { shared, log, inner, current, pending, batch: Writes::default(), published, marker: None }
    }

    /// Where the state will stand.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.current.head
    }

    /// Whether it stands at a marker, at which the state is summed up: then it is to be written before anything else is applied.
    #[must_use]
    pub fn is_at_marker(&self) -> bool {
        self.marker_here().is_some()
    }

    fn marker_here(&self) -> Option<Marker> {
        let (marker, position) = self.marker.as_ref()?;
        (*position == self.current.head.position).then_some(*marker)
    }

    /// Bytes that are to be written so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batch.0.size_in_bytes()
    }

    /// Applies the commands of one entry of the log, in order, and says what became of each.
    ///
    /// # Errors
    /// The voter must halt: a command is not known to this release, or the state could not be read.
    pub fn command(&mut self, entry: &[u8]) -> Result<Vec<Verdict>, MachineError<StoreError>> {
        Command::read_entry(entry)?.into_iter().map(|command| self.one(command)).collect()
    }

    /// The same, until a command leads where `goes_on` says no: neither that one nor what follows it is applied then. Says
    /// whether all commands were.
    ///
    /// # Errors
    /// As [`Apply::command`].
    pub fn command_while(
        &mut self,
        entry: &[u8],
        goes_on: impl Fn(&Head) -> bool,
    ) -> Result<bool, MachineError<StoreError>> {
        for command in Command::read_entry(entry)? {
            let before = self.current.head;
            let effect = self.decide(command)?;
            if !goes_on(&self.current.head) {
                self.current.head = before;
                return Ok(false);
            }
            self.take(effect);
        }
        Ok(true)
    }

    fn one(&mut self, command: Command) -> Result<Verdict, MachineError<StoreError>> {
        let effect = self.decide(command)?;
        let verdict = effect.verdict();
        self.take(effect);
        Ok(verdict)
    }

    /// Moves the head, and nothing else.
    fn decide(&mut self, command: Command) -> Result<Effect, MachineError<StoreError>> {
        let beside = Decided { pending: &self.pending, written: &self.inner };
        self.current.head.apply(command, &beside)
    }

    fn take(&mut self, effect: Effect) {
        if let Effect::Accepted(accepted) = effect {
            self.accept(accepted);
        }
    }

    /// The log id that the state now stands for. Opaque here.
    pub fn log_id(&mut self, log_id: Bytes) {
        self.current.applied = Some(log_id);
    }

    /// The membership that is now in force. Opaque here.
    pub fn membership(&mut self, membership: Bytes) {
        self.current.membership = Some(membership);
    }

    /// Writes everything, and says which versions that applied, in order.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn commit(mut self) -> Result<Vec<AppliedVersion>, StoreError> {
        let marker = self.marker_here();
        let (inner, metrics) = (&self.inner, &self.shared.metrics);
        let batch = &mut self.batch.0;
        let meta = inner.family(META);
        for (section, edition) in &self.pending.editions {
            batch.put_cf(meta, edition_key(*section), edition.get().to_be_bytes());
        }
        let requests = inner.family(REQUESTS);
        for (id, record) in &self.pending.requests {
            match record {
                Some(record) => batch.put_cf(requests, id.to_bytes(), record.to_bytes()),
                None => batch.delete_cf(requests, id.to_bytes()),
            }
        }
        batch.put_cf(meta, HEAD, self.current.head.to_bytes());
        for (key, value) in [(APPLIED, &self.current.applied), (MEMBERSHIP, &self.current.membership)] {
            if let Some(value) = value {
                batch.put_cf(meta, key, value);
            }
        }
        let timer = metrics.apply_seconds.start_timer();
        inner.write(std::mem::take(batch))?;
        timer.observe_duration();
        self.current.first = self.log.first();
        let position = self.current.head.position;
        *inner.current.write().expect("no holder panics") = self.current;
        metrics.batches.inc_by(self.published.len() as u64);
        metrics.shows(&self.log);
        if let Some(marker) = marker {
            // Nobody applies anything before this one is done.
            let view = StateView::new(Arc::clone(&self.inner));
            self.shared.checks.begin(marker, position, Box::new(view));
        }
        Ok(self.published)
    }

    fn accept(&mut self, accepted: Accepted) {
        self.pending.add(&accepted);
        self.write_sections(PRIVATE, &accepted.private);
        let Some(published) = accepted.published else { return };
        self.write_sections(PUBLISHED, &published.sections);
        if let Some(marker) = Verification::in_version(&published).marker {
            self.marker = Some((marker, self.current.head.position));
        }
        let bytes = published.to_bytes();
        let (batches, meta) = (self.inner.family(BATCHES), self.inner.family(META));
        let batch = &mut self.batch.0;
        batch.put_cf(batches, published.version.get().to_be_bytes(), &bytes);
        if published.restore().is_some() {
            batch.put_cf(meta, [FORK, &published.epoch.get().to_be_bytes()].concat(), &bytes);
        }
        let change = self.log.add(published.version, bytes.len() as u64, self.shared.pins.first());
        for segment in change.marks {
            batch.put_cf(meta, segment_key(segment.first), segment.bytes.to_be_bytes());
        }
        for first in change.unmarked {
            batch.delete_cf(meta, segment_key(first));
        }
        if let Some(trimmed) = change.trimmed {
            batch.delete_range_cf(batches, trimmed.start.get().to_be_bytes(), trimmed.end.get().to_be_bytes());
        }
        self.shared.metrics.batch_bytes.inc_by(bytes.len() as u64);
        self.published.push(AppliedVersion { bytes, position: self.current.head.position });
    }

    fn write_sections(&mut self, family: &str, sections: &[EncodedSection]) {
        let family = self.inner.family(family);
        let batch = &mut self.batch.0;
        for op in sections.iter().flat_map(decode_ops) {
            match op.expect("the machine has read every operation") {
                OpRef::Put { key, value } => batch.put_cf(family, key, value),
                OpRef::Delete { key } => batch.delete_cf(family, key),
                OpRef::DeleteRange { start, end } if start < end => batch.delete_range_cf(family, start, end),
                OpRef::DeleteRange { .. } => {}
            }
        }
    }
}
