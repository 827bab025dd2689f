//! The thread that owns the writes of an edge's copy: takes what the follower has checked, in order, and applies
//! everything that is waiting in one write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Notify;
use zonecast_kv_proto::{
    Agreement, Filter, OpRef, Position, ReceivedVersion, RevokedList, Verification, View, decode_ops,
};
use zonecast_kv_store::{EdgeStore, RangeContent, RepairedKeys, SnapshotLoad, StoreError};
use zonecast_kv_transport::{Identity, Serial};

use crate::relay::Relay;
use crate::since_marker::SinceMarker;
use crate::table_work::{TableLoading, TableReport, TableWork};
use crate::{EdgeError, EdgeMetrics, ReaderIndex, ReaderIndexError};

/// Most bytes of versions in one write: readers wait for all of it, and memory holds it twice.
const MAX_WRITE: usize = 4 * 1024 * 1024;

/// What the follower hands on. Its channel needs no bound of its own: the follower stops reading at
/// [`MAX_OUTSTANDING`](zonecast_kv_proto::MAX_OUTSTANDING) bytes.
pub(crate) enum Work {
    Apply(ReceivedVersion, usize),
    SnapshotBegin(Option<Filter>),
    SnapshotEntries(Bytes, usize),
    SnapshotEnd(Position, usize),
    SnapshotAbort,
    Tables(TableWork),
    /// Ranges as they were at the marker of this number, which the copy did not hold.
    Repair(u64, Vec<RangeContent>),
    /// The copy was right at the marker of this number.
    Settled(u64),
    /// Nothing after this is looked at.
    Stop,
}

/// What has become of it, summed up since it was last taken.
#[derive(Default)]
pub(crate) struct Progress {
    /// The last position applied, and how long after the leader's stamp, in microseconds by two clocks.
    pub(crate) applied: Option<(Position, u64)>,
    /// Bytes of work done with.
    pub(crate) bytes: usize,
    /// What voters agree on, of the last marker of which the copy says so.
    pub(crate) agreement: Option<Agreement>,
    /// What a repair has come to.
    pub(crate) repaired: Option<RepairEnd>,
    /// News of a snapshot that comes as table files.
    pub(crate) tables: Vec<TableReport>,
    /// The thread has ended because of this.
    pub(crate) failed: Option<EdgeError>,
}

/// What a repair has come to.
#[derive(Debug)]
pub(crate) enum RepairEnd {
    /// The copy is right, at the marker of this number and now.
    Done(u64, RepairedKeys),
    /// Too much has changed since the marker of this number.
    TooLate(u64),
}

/// Where the writer reports.
#[derive(Default)]
pub(crate) struct Reports {
    progress: Mutex<Progress>,
    pub(crate) changed: Notify,
}

impl Reports {
    pub(crate) fn take(&self) -> Progress {
        std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

/// The writer of one edge.
pub(crate) struct Writer {
    pub(crate) store: Arc<EdgeStore>,
    pub(crate) index: Box<dyn ReaderIndex>,
    pub(crate) work: Receiver<Work>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) metrics: EdgeMetrics,
    /// Believes no certificate that the copy says is revoked.
    pub(crate) identity: Identity,
    /// Passes on what is applied, if others follow.
    pub(crate) relay: Option<Relay>,
    pub(crate) since: SinceMarker,
}

/// Versions that go into one write.
#[derive(Default)]
struct Group {
    versions: Vec<ReceivedVersion>,
    bytes: usize,
}

impl Group {
    /// The copy is summed up as it is then, so nothing else may be in the same write.
    fn ends_at_marker(&self) -> bool {
        self.versions.last().is_some_and(|last| Verification::in_version(&last.published).marker.is_some())
    }
}

impl Writer {
    /// Shows readers what the store holds at the start. A copy that cannot be shown is given up.
    pub(crate) fn begin(&mut self) -> Result<(), EdgeError> {
        let Some(position) = self.store.position() else { return Ok(()) };
        let error = match show_all(&self.store, &mut *self.index, position) {
            Ok(()) => {
                self.take_revocations();
                self.take_agreement();
                if let Some(relay) = &self.relay {
                    relay.begin(&self.store);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let is_damaged = matches!(&error, EdgeError::Index(ReaderIndexError::Value(_)))
            || matches!(&error, EdgeError::Store(error) if error.is_damage())
            || self.store.damage().is_some();
        if !is_damaged {
            return Err(error);
        }
        tracing::warn!("{error}; the copy is discarded and fetched again from the core");
        Ok(self.store.start_anew(&error.to_string())?)
    }

    /// Runs until it is told to stop or the follower is gone, with everything before that applied, or a write fails.
    pub(crate) fn run(mut self) {
        // The panic itself is in the log of the process.
        let written = catch_unwind(AssertUnwindSafe(|| self.write())).unwrap_or(Err(EdgeError::WriterGone));
        if let Err(error) = written {
            tracing::error!(%error, "the edge stopped applying versions; it keeps answering from its last good version");
            self.reports.add(|progress| progress.failed = Some(error));
        }
    }

    fn write(&mut self) -> Result<(), EdgeError> {
        let store = Arc::clone(&self.store);
        let mut loading: Option<SnapshotLoad<'_>> = None;
        let mut tables = TableLoading::new(&store);
        // A copy that turned out to be damaged takes nothing any more, until a snapshot replaces it.
        let mut damaged = false;
        let mut next = self.work.recv().ok();
        while let Some(work) = next.take() {
            match work {
                Work::Apply(_, bytes) if damaged || tables.has_failed() => {
                    self.reports.add(|progress| progress.bytes += bytes);
                }
                Work::Apply(version, bytes) => {
                    tables.forget();
                    (next, damaged) = self.apply(version, bytes)?;
                }
                Work::SnapshotBegin(filter) => {
                    tables.abort();
                    loading = Some(store.begin_snapshot(filter)?);
                }
                Work::SnapshotEntries(entries, bytes) => {
                    if let Some(loading) = &mut loading {
                        loading.add(&entries)?;
                    }
                    self.reports.add(|progress| progress.bytes += bytes);
                }
                Work::SnapshotAbort => {
                    tables.abort();
                    loading = None;
                }
                Work::Tables(work) => {
                    let bytes = work.bytes();
                    let (report, replaced) = tables.work(work)?;
                    if let Some(position) = replaced {
                        self.replaced(position)?;
                        damaged = false;
                    }
                    self.reports.add(|progress| {
                        progress.applied = replaced.map(|position| (position, 0)).or(progress.applied);
                        progress.bytes += bytes;
                        progress.tables.extend(report);
                    });
                }
                Work::Settled(number) => self.since.settled(number),
                Work::Repair(number, ranges) => damaged |= self.repair(number, &ranges, damaged)?,
                Work::Stop => return Ok(()),
                Work::SnapshotEnd(position, bytes) => {
                    loading.take().ok_or(EdgeError::NoSnapshot)?.finish(&position)?;
                    self.replaced(position)?;
                    damaged = false;
                    self.reports.add(|progress| {
                        progress.applied = Some((position, 0));
                        progress.bytes += bytes;
                    });
                }
            }
            if next.is_none() {
                next = self.work.recv().ok();
            }
        }
        Ok(())
    }

    /// A new copy, which stands there, has replaced the present one.
    fn replaced(&mut self, position: Position) -> Result<(), EdgeError> {
        self.since.forget();
        show_all(&self.store, &mut *self.index, position)?;
        if let Some(relay) = &self.relay {
            relay.jumped(&self.store, position);
        }
        self.take_revocations();
        self.take_agreement();
        self.metrics.snapshots.inc();
        Ok(())
    }

    /// Applies this version and all that wait behind it; returns what comes after them, if it is here already, and
    /// whether the copy turned out to be damaged, so that nothing of them is applied.
    fn apply(&mut self, first: ReceivedVersion, bytes: usize) -> Result<(Option<Work>, bool), EdgeError> {
        let mut group = Group { versions: vec![first], bytes };
        let mut after = None;
        while group.bytes < MAX_WRITE && !group.ends_at_marker() {
            match self.work.try_recv() {
                Ok(Work::Apply(version, bytes)) => {
                    group.versions.push(version);
                    group.bytes += bytes;
                }
                Ok(other) => {
                    after = Some(other);
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        match self.apply_group(&group) {
            Ok(()) => {
                self.since.applied(group.versions);
                Ok((after, false))
            }
            Err(EdgeError::Store(error @ StoreError::Damaged { .. })) => {
                self.store.report_damage(&error.to_string());
                self.reports.add(|progress| progress.bytes += group.bytes);
                Ok((after, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses from now on whom the copy says is revoked. One that cannot be read changes nothing about that.
    fn take_revocations(&self) {
        let list = self.store.snapshot().map_err(|error| error.to_string());
        match list.and_then(|copy| RevokedList::read(&copy.view()).map_err(|error| error.to_string())) {
            Ok(list) => self.identity.revoke(list.serials.iter().map(|serial| Serial::new(serial)).collect()),
            Err(error) => tracing::error!(error, "the list of revoked certificates cannot be read: the last one stays"),
        }
    }

    /// Puts ranges right, in one write, and shows readers all of the copy anew; says whether the copy turned out to be
    /// damaged otherwise, so that nothing more is applied.
    fn repair(&mut self, number: u64, ranges: &[RangeContent], damaged: bool) -> Result<bool, EdgeError> {
        let since = self.since.of(number).filter(|_| !damaged);
        let (Some(since), Some(position)) = (since, self.store.position()) else {
            self.reports.add(|progress| progress.repaired = Some(RepairEnd::TooLate(number)));
            return Ok(false);
        };
        match self.store.repair(ranges, since) {
            Ok(keys) => {
                self.since.forget();
                show_all(&self.store, &mut *self.index, position)?;
                self.take_revocations();
                self.reports.add(|progress| progress.repaired = Some(RepairEnd::Done(number, keys)));
                Ok(false)
            }
            Err(error) if error.is_damage() => {
                self.store.report_damage(&error.to_string());
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the copy says that voters agree on.
    fn take_agreement(&self) {
        let read = self.store.snapshot().map_err(|error| error.to_string());
        match read.and_then(|copy| Verification::read(&copy.view()).map_err(|error| error.to_string())) {
            Ok(found) => self.reports.add(|progress| progress.agreement = found.agreement),
            Err(error) => tracing::error!(error, "what voters agree on cannot be read: this copy is not compared"),
        }
    }

    fn apply_group(&mut self, group: &Group) -> Result<(), EdgeError> {
        let Some(seen_at) = group.versions.last().map(|version| version.published.version) else { return Ok(()) };
        let sections = || group.versions.iter().flat_map(|version| &version.published.sections);
        for op in sections().flat_map(decode_ops) {
            let op: OpRef<'_> = op.map_err(|error| EdgeError::Operation(error.to_string()))?;
            self.index.apply(op, seen_at)?;
        }
        let position = self.store.apply(&group.versions)?;
        self.index.publish(self.store.snapshot()?, position);
        if let Some(relay) = &self.relay {
            relay.applied(&group.versions, &position);
        }
        let agreements = group.versions.iter().map(|version| Verification::in_version(&version.published).agreement);
        let agreement = agreements.flatten().last();
        if sections().any(|section| section.id == RevokedList::SECTION) {
            self.take_revocations();
        }
        let now = unix_micros();
        let mut delay = 0;
        for version in &group.versions {
            delay = now.saturating_sub(version.published.time_us);
            self.metrics.commit_to_applied.observe(std::time::Duration::from_micros(delay).as_secs_f64());
        }
        self.metrics.applied_versions.inc_by(group.versions.len() as u64);
        self.metrics.applied_bytes.inc_by(group.bytes as u64);
        self.metrics.writes.inc();
        self.reports.add(|progress| {
            progress.applied = Some((position, delay));
            progress.bytes += group.bytes;
            progress.agreement = agreement.or(progress.agreement);
        });
        Ok(())
    }
}

/// Shows readers all of the copy.
fn show_all(store: &EdgeStore, index: &mut dyn ReaderIndex, position: Position) -> Result<(), EdgeError> {
    let snapshot = store.snapshot()?;
    index.reset(&snapshot.view() as &dyn View)?;
    index.publish(snapshot, position);
    Ok(())
}

fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
