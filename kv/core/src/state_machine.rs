//! openraft's state machine over [`StateStore`]: the applied part of the log, and where its versions go.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::Notify;
use zonecast_kv_proto::{Position, Verdict};
use zonecast_kv_store::{StateStore, StateView};

use crate::entry::{decode, decode_log_id, encode, encode_log_id};
use crate::log_store::blocking;
use crate::store_use::StoreUse;
use crate::types::{Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Commands applied in one write to the state end at so many bytes, so that the first of them is answered soon.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// The same for small commands.
const SLICE_COMMANDS: usize = 4096;
/// Every entry counts as so many bytes more, for what the log keeps beside it.
const ENTRY_OVERHEAD: usize = 64;

/// Receives every applied version, for example to publish it to edges.
pub trait AppliedSink: Send + Sync + 'static {
    /// Called once for every version that is applied since the core started, in order, when the version can be read
    /// from the state. After a crash, this includes versions of log entries that are applied again before the core is
    /// up.
    ///
    /// Runs on the path that applies commands, so it must not block.
    fn applied(&self, version: &Applied);
}

/// A version, at the moment it is applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The encoded [`Published`](zonecast_kv_proto::Published).
    pub bytes: Bytes,
    /// Where it leads.
    pub position: Position,
    /// When it was applied, on this machine's clock: what acks are measured against.
    pub at: Instant,
}

impl<F: Fn(&Applied) + Send + Sync + 'static> AppliedSink for F {
    fn applied(&self, version: &Applied) {
        self(version);
    }
}

/// Who is told when enough of the log is applied to give some of it up.
#[derive(Clone)]
pub(crate) struct PurgeAfter {
    /// Enough.
    pub(crate) bytes: usize,
    /// Told.
    pub(crate) purge: Arc<Notify>,
}

/// Raft over this state machine.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// See the module.
#[derive(Clone)]
pub(crate) struct StateMachine {
    state: StateStore,
    sink: Arc<dyn AppliedSink>,
    purge_after: PurgeAfter,
    applied_bytes: usize,
    /// Whether there is a snapshot. It is always of the present state.
    has_snapshot: bool,
    hold: StoreUse,
}

type ToApply = Vec<(Entry, Option<ApplyResponder<TypeConfig>>)>;

impl StateMachine {
    pub(crate) fn new(state: StateStore, sink: Arc<dyn AppliedSink>, purge_after: PurgeAfter, hold: StoreUse) -> Self {
        Self { state, sink, purge_after, applied_bytes: 0, has_snapshot: false, hold }
    }

    async fn apply_slice(&mut self, slice: ToApply) -> io::Result<()> {
        let (state, sink) = (self.state.clone(), Arc::clone(&self.sink));
        let work = move || apply(&state, &*sink, slice);
        self.hold.spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

/// Applies, publishes, answers, in this order: who is answered finds the version on its way.
fn apply(state: &StateStore, sink: &dyn AppliedSink, slice: ToApply) -> io::Result<()> {
    let mut apply = state.apply();
    let mut answers = Vec::with_capacity(slice.len());
    for (entry, responder) in slice {
        let verdict = match &entry.payload {
            EntryPayload::Blank => Verdict::Done,
            EntryPayload::Normal(proposal) => apply.command(&proposal.0).map_err(|error| {
                tracing::error!(%error, "this voter must stop: upgrade it, or replace its disk");
                io::Error::other(error)
            })?,
            EntryPayload::Membership(membership) => {
                apply.membership(encode(&StoredMembership::new(Some(entry.log_id), membership.clone())));
                Verdict::Done
            }
        };
        apply.log_id(encode_log_id(&entry.log_id));
        answers.extend(responder.map(|responder| (responder, verdict)));
    }
    let versions = apply.commit().map_err(io::Error::other)?;
    let at = Instant::now();
    for version in versions {
        sink.applied(&Applied { bytes: version.bytes, position: version.position, at });
    }
    for (responder, verdict) in answers {
        responder.send(verdict);
    }
    Ok(())
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = StateView;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let membership = self.state.membership().map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default();
        Ok((self.state.applied().map(decode_log_id).transpose()?, membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let (mut slice, mut bytes) = (ToApply::new(), 0);
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            if let EntryPayload::Normal(proposal) = &entry.payload {
                bytes += proposal.0.len();
            }
            bytes += ENTRY_OVERHEAD;
            slice.push((entry, responder));
            if bytes >= SLICE_BYTES || slice.len() >= SLICE_COMMANDS {
                self.apply_slice(std::mem::take(&mut slice)).await?;
                self.applied_bytes += std::mem::take(&mut bytes);
            }
        }
        if !slice.is_empty() {
            self.apply_slice(slice).await?;
        }
        self.applied_bytes += bytes;
        if self.applied_bytes >= self.purge_after.bytes {
            self.applied_bytes = 0;
            self.purge_after.purge.notify_one();
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.has_snapshot = true;
        self.clone()
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, snapshot: StateView) -> io::Result<()> {
        let state = self.state.clone();
        blocking(&self.hold, move || state.install(&snapshot)).await?;
        self.has_snapshot = true;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        if self.has_snapshot { self.build_snapshot().await.map(Some) } else { Ok(None) }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = StateView;

    /// The state is its own snapshot. What the log gives up for it is made durable where the log is purged, and only
    /// there.
    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = self.state.clone();
        let (view, applied, membership) = blocking(&self.hold, move || {
            let view = state.view();
            let (applied, membership) = (view.applied()?, view.membership()?);
            Ok((view, applied, membership))
        })
        .await?;
        let meta = SnapshotMeta {
            last_log_id: applied.map(decode_log_id).transpose()?,
            last_membership: membership.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default(),
        };
        Ok(Snapshot { meta, snapshot: view })
    }
}
