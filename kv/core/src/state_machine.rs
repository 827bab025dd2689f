//! openraft's state machine over a [`State`]: the applied part of the log, and where its versions go.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::Notify;
use zonecast_kv_proto::Position;
use zonecast_kv_store::StoreError;

use crate::disk_watch::Applying;
use crate::entry::{decode_log_id, decode_membership, encode_log_id, encode_membership};
use crate::environment::{EntryLog as _, Environment, State, Step, StepContent};
use crate::snapshots::with_meta;
use crate::types::{Entry, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};

/// Commands applied in one write to the state end at so many bytes, so that the first of them is answered soon.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// The same for small commands.
const SLICE_COMMANDS: usize = 4096;
/// Every entry counts as so many bytes more, for what the log keeps beside it.
const ENTRY_OVERHEAD: usize = 64;

/// Receives every applied version, for example to publish it to edges.
pub trait AppliedSink: Send + Sync + 'static {
    /// Called once for every version that is applied here since the core started, in order, when the version can be read
    /// from the state. After a crash, this includes versions of log entries that are applied again before the core is
    /// up.
    ///
    /// Runs on the path that applies commands, so it must not block.
    fn applied(&self, version: &Applied);

    /// Called after each write of commands to the state, published or not, when what they changed can be read. For whoever
    /// keeps something private in step.
    ///
    /// Must not block, either.
    fn written(&self) {}

    /// Called once when the state has come to there without applying what is between: this core was behind, and has
    /// received the state of another one. The versions between are in the batch log, as far as that reaches back. What is
    /// applied after it follows this position.
    ///
    /// Must not block, either.
    fn installed(&self, position: Position) {
        let _ = position;
    }
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

/// When some of the log is to be given up.
#[derive(Clone)]
pub(crate) struct PurgeAfter {
    /// So many bytes of it are applied since the last time.
    pub(crate) bytes: usize,
    /// This is told then.
    pub(crate) purge: Arc<Notify>,
}

/// Raft over this state machine.
pub(crate) type Raft<E> = openraft::Raft<TypeConfig<E>, StateMachine<E>>;

/// Applies what is committed, in slices of one write each, and tells the sink.
pub(crate) struct StateMachine<E: Environment> {
    environment: E,
    log: Arc<E::Log>,
    state: E::State,
    sink: Arc<dyn AppliedSink>,
    purge_after: PurgeAfter,
    applying: Applying<E>,
    applied_bytes: usize,
}

impl<E: Environment> Clone for StateMachine<E> {
    fn clone(&self) -> Self {
        Self {
            environment: self.environment.clone(),
            log: Arc::clone(&self.log),
            state: self.state.clone(),
            sink: Arc::clone(&self.sink),
            purge_after: self.purge_after.clone(),
            applying: self.applying.clone(),
            applied_bytes: self.applied_bytes,
        }
    }
}

type ToApply<E> = Vec<(Entry, Option<ApplyResponder<TypeConfig<E>>>)>;

impl<E: Environment> StateMachine<E> {
    pub(crate) fn new(
        environment: E,
        log: Arc<E::Log>,
        state: E::State,
        sink: Arc<dyn AppliedSink>,
        purge_after: PurgeAfter,
    ) -> Self {
        Self { environment, log, state, sink, purge_after, applying: Applying::new(), applied_bytes: 0 }
    }

    /// Tells how long the present write of the state takes.
    pub(crate) fn applying(&self) -> Applying<E> {
        self.applying.clone()
    }

    async fn apply_slice(&mut self, slice: ToApply<E>) -> io::Result<()> {
        let (state, sink) = (self.state.clone(), Arc::clone(&self.sink));
        self.applying.begin();
        let applied = self.environment.on_disk(move || apply::<E>(&state, &*sink, slice)).await;
        self.applying.end();
        applied?
    }
}

/// Applies, publishes, answers, in this order: who is answered finds the version on its way.
fn apply<E: Environment>(state: &E::State, sink: &dyn AppliedSink, slice: ToApply<E>) -> io::Result<()> {
    let (steps, responders): (Vec<Step>, Vec<_>) = slice.into_iter().map(|(entry, who)| (step(entry), who)).unzip();
    let applied = state.apply(&steps)?;
    let at = Instant::now();
    for version in applied.versions {
        sink.applied(&Applied { bytes: version.bytes, position: version.position, at });
    }
    sink.written();
    for (responder, verdict) in responders.into_iter().zip(applied.verdicts) {
        if let Some(responder) = responder {
            responder.send(verdict);
        }
    }
    Ok(())
}

/// One entry, as the state takes it.
pub(crate) fn step(entry: Entry) -> Step {
    let content = match entry.payload {
        EntryPayload::Blank => StepContent::Nothing,
        EntryPayload::Normal(proposal) => StepContent::Command(proposal.0),
        EntryPayload::Membership(membership) => {
            StepContent::Membership(encode_membership(&StoredMembership::new(Some(entry.log_id), membership)))
        }
    };
    Step { log_id: encode_log_id(&entry.log_id), content }
}

impl<E: Environment> RaftStateMachine<TypeConfig<E>> for StateMachine<E> {
    type SnapshotData = E::Snapshot;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let membership = self.state.membership().map(decode_membership).transpose()?.unwrap_or_default();
        Ok((self.state.applied().map(decode_log_id).transpose()?, membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig<E>>>> + Unpin + OptionalSend,
    {
        let (mut slice, mut bytes) = (ToApply::<E>::new(), 0);
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
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta<E>, snapshot: E::Snapshot) -> io::Result<()> {
        let (state, applied) = (self.state.clone(), meta.last_log_id.as_ref().map(encode_log_id));
        let sink = Arc::clone(&self.sink);
        let installed = self.environment.on_disk(move || {
            state.install(snapshot, applied)?;
            sink.installed(state.head().position);
            Ok::<_, StoreError>(())
        });
        installed.await?.map_err(|error| {
            tracing::error!(%error, "a received state cannot be installed: this voter must stop");
            io::Error::other(error)
        })
    }

    /// For a voter that is behind the log.
    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot<E>>> {
        if self.state.applied().is_none() {
            return Ok(None);
        }
        let (environment, state, oldest) = (self.environment.clone(), self.state.clone(), self.log.range().start);
        let snapshot = self.environment.on_disk(move || environment.snapshot(&state, oldest)).await?;
        with_meta::<E>(snapshot.map_err(io::Error::other)?).map(Some)
    }
}

impl<E: Environment> RaftSnapshotBuilder<TypeConfig<E>> for StateMachine<E> {
    type SnapshotData = E::Snapshot;

    /// The state is its own snapshot. What the log gives up for it is made durable where the log is purged, and only
    /// there.
    async fn build_snapshot(&mut self) -> io::Result<Snapshot<E>> {
        let state = self.state.clone();
        let snapshot = self.environment.on_disk(move || state.snapshot()).await?.map_err(io::Error::other)?;
        with_meta::<E>(snapshot)
    }
}
