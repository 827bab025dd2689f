//! The task that runs an edge's [`Follower`]: carries out its actions, one operation on the connection at a time, and tells
//! it what has come of them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zonecast_kv_proto::{
    Filter, Follower, FollowerAction, FollowerEnd, FollowerInput, FollowerState, Frame, MirrorError, OfferedTables,
    Position, TableLoad, TablesWant,
};
use zonecast_kv_store::{EdgeStore, StoreError};
use zonecast_kv_transport::{Clock, Connection, FrameReceiver, Heard, NotTrusted, RefusalLog, StreamError};

use crate::copy_checks::CopyChecks;
use crate::dialler::Dialler;
use crate::edge_reports::EdgeReports;
use crate::elsewhere::{Elsewhere, ElsewhereError};
use crate::link::{self, Link, Operation, OperationEnd};
use crate::range_repair::RangeRepair;
use crate::relay::Relay;
use crate::repairs::Repairs;
use crate::table_work::{TableReport, TableWork};
use crate::upstream_report::{Parting, Say, UpstreamReport};
use crate::writer::{Reports, Work};
use crate::{EdgeError, EdgeMetrics, EdgeStatus};

/// At most so much applied work is lost to a power cut and fetched again.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Frames taken from what is already here before anything else gets a turn.
const BURST: usize = 256;

/// Runs one follower until the writer fails.
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) dialler: Dialler,
    pub(crate) refusals: RefusalLog,
    pub(crate) standing: UpstreamReport,
    pub(crate) store: Arc<EdgeStore>,
    pub(crate) work: Sender<Work>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) status: watch::Sender<EdgeStatus>,
    /// The connection while it is followed, for who fetches table files over it.
    pub(crate) upstream: watch::Sender<Option<Connection>>,
    pub(crate) metrics: EdgeMetrics,
    pub(crate) clock: Clock,
    pub(crate) follower: Follower,
    pub(crate) link: Option<Link>,
    pub(crate) operation: Option<Operation>,
    pub(crate) sync: Option<JoinHandle<Result<Option<Position>, StoreError>>>,
    pub(crate) sync_at: Option<Instant>,
    pub(crate) repairs: Repairs,
    /// Reads that have failed, as they are in the metrics.
    pub(crate) read_errors: u64,
    /// Its downstream side, if it is a relay.
    pub(crate) relay: Option<Relay>,
    pub(crate) edge_reports: EdgeReports,
    /// What it is to hold, if not everything.
    pub(crate) filter: watch::Receiver<Option<Filter>>,
    pub(crate) checks: CopyChecks,
    /// The number of the last marker that is settled for the copy.
    pub(crate) settled: u64,
    /// While the copy is put right.
    pub(crate) range_repair: Option<RangeRepair>,
    /// Snapshots from an object store, if there is one.
    pub(crate) elsewhere: Elsewhere,
}

impl Driver {
    /// Runs until dropped, or until the copy can no longer be written.
    pub(crate) async fn run(&mut self) -> EdgeError {
        self.begin();
        loop {
            if let Err(error) = self.turn().await {
                return error;
            }
        }
    }

    /// Tells the upstream, if there is one, that this was no accident.
    pub(crate) async fn goodbye(&mut self, patience: Duration) {
        let Some(link) = self.link.take() else { return };
        link.goodbye(self.operation.take(), patience).await;
    }

    /// Shows what is known before anything happens: an edge that has not reached its core since its start is just the
    /// one whose metrics somebody looks at.
    fn begin(&self) {
        let position = self.status.borrow().position.map_or(0, |position| position.version.get());
        for gauge in [&self.metrics.applied_version, &self.metrics.durable_version, &self.metrics.head_version] {
            set(gauge, &self.name, position);
        }
        set(&self.metrics.connected, &self.name, 0);
        self.metrics.staleness.confirmed(&self.name, self.clock.now());
        set(&self.metrics.damaged, &self.name, self.store.damage().is_some().into());
        set(&self.metrics.differs, &self.name, 0);
        self.metrics.read_errors.with_label_values(&[&self.name]);
    }

    async fn turn(&mut self) -> Result<(), EdgeError> {
        let repair_at = self.look_after_copy();
        self.look_at_checks()?;
        self.act()?;
        let ask_at = self.go_on_with_repair()?;
        self.show();
        let is_free = self.operation.is_none();
        self.edge_reports.follow(self.relay.as_ref(), self.follower.state());
        let timeout = self.follower.poll_timeout().filter(|_| is_free);
        let timeout = timeout.map(|time| self.clock.instant(time).into());
        let reads = is_free && !self.follower.is_full();
        let receiver = self.link.as_mut().filter(|_| reads).map(|link| &mut link.receiver);
        tokio::select! {
            () = self.reports.changed.notified() => self.take_reports()?,
            heard = hear(receiver) => self.take_frames(heard),
            done = end(&mut self.operation), if !is_free => self.done(done),
            (load, fetched) = self.elsewhere.fetched() => self.fetched_elsewhere(load, fetched)?,
            () = self.edge_reports.due(), if is_free => {
                if let Some(reports) = self.edge_reports.take() {
                    self.send(reports);
                }
            }
            Ok(()) = self.filter.changed() => {
                let filter = self.filter.borrow_and_update().clone();
                self.follower.handle(self.clock.now(), FollowerInput::Filter(filter));
            }
            synced = finish(&mut self.sync) => self.synced(synced)?,
            () = sleep_until(self.sync_at) => self.begin_sync(),
            () = sleep_until(timeout) => {}
            () = sleep_until(repair_at) => {}
            () = sleep_until(ask_at) => {}
        }
        Ok(())
    }

    /// Counts and tells reads of the copy that failed, and has one that is damaged fetched again; says when to look
    /// next though nothing happened.
    fn look_after_copy(&mut self) -> Option<Instant> {
        let (now, damage) = (self.clock.now(), self.store.damage());
        if self.status.borrow().damage != damage {
            set(&self.metrics.damaged, &self.name, damage.is_some().into());
            if damage.is_none() {
                tracing::info!(edge = %self.name, "a new copy has replaced the damaged one");
            }
            self.status.send_modify(|status| status.damage.clone_from(&damage));
        }
        if self.repairs.fetch(now, damage.is_some()) {
            let what = damage.as_deref().unwrap_or_default();
            tracing::warn!(edge = %self.name, "{what}; the edge answers from the keys that it can read, and the copy is fetched again from the core");
            self.follower.handle(now, FollowerInput::Damaged);
        }
        let (read_errors, last) = self.store.read_errors();
        self.metrics.read_errors.with_label_values(&[&self.name]).inc_by(read_errors - self.read_errors);
        self.read_errors = read_errors;
        if let Some(quiet) = self.repairs.line(now, read_errors) {
            let what = last.unwrap_or_default();
            tracing::warn!(edge = %self.name, reads = quiet, "reads of the copy fail and are answered with SERVFAIL; the last error: {what}");
        }
        self.repairs.timeout(damage.is_some()).map(|time| self.clock.instant(time).into())
    }

    /// Carries out what the follower wants, until it waits for something.
    fn act(&mut self) -> Result<(), EdgeError> {
        while self.operation.is_none()
            && let Some(action) = self.follower.poll_action(self.clock.now())
        {
            self.start(action)?;
        }
        Ok(())
    }

    fn start(&mut self, action: FollowerAction) -> Result<(), EdgeError> {
        match action {
            FollowerAction::Connect(upstream) => {
                let now = self.clock.now();
                let is_of_use = self.follower.may_need_snapshot(now);
                let dial = self.dialler.dial(upstream);
                self.operation = dial.map(|dial| self.elsewhere.read_beside(now, dial, is_of_use));
                self.follower.handle(now, FollowerInput::Elsewhere(None));
                Ok(())
            }
            FollowerAction::Send(frame) => {
                self.send(frame);
                Ok(())
            }
            FollowerAction::Disconnect(end) => {
                self.leave(end);
                Ok(())
            }
            FollowerAction::Apply(version, _, bytes) => self.hand_on(Work::Apply(version, bytes)),
            FollowerAction::SnapshotBegin(position, filter) => {
                self.say_loading(position);
                self.hand_on(Work::SnapshotBegin(filter))
            }
            FollowerAction::SnapshotEntries(entries, bytes) => self.hand_on(Work::SnapshotEntries(entries, bytes)),
            FollowerAction::SnapshotEnd(position, bytes) => self.hand_on(Work::SnapshotEnd(position, bytes)),
            FollowerAction::SnapshotAbort => {
                self.elsewhere.end();
                self.hand_on(Work::SnapshotAbort)
            }
            FollowerAction::TablesElsewhere(load, offered) => {
                tracing::info!(edge = %self.name, position = %offered.manifest.position, "the object store has a snapshot");
                self.say_loading(offered.manifest.position);
                self.elsewhere.begin(load, &offered);
                self.hand_on(Work::Tables(TableWork::Begin(load, offered, 0)))
            }
            FollowerAction::TablesBegin(load, offered, bytes) => self.begin_tables(load, *offered, bytes),
            FollowerAction::TablePiece(piece, bytes) => self.hand_on(Work::Tables(TableWork::Piece(piece, bytes))),
            FollowerAction::TablesEnd(position, bytes) => self.hand_on(Work::Tables(TableWork::End(position, bytes))),
        }
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        let sender = self.link.as_mut().and_then(|link| link.sender.take());
        self.operation = sender.map(|sender| link::send(sender, frame));
    }

    /// Nothing of a manifest counts that no core has signed.
    fn begin_tables(&mut self, load: TableLoad, offered: OfferedTables, bytes: usize) -> Result<(), EdgeError> {
        if let Err(fault) = self.dialler.identity().check_manifest(&offered.signed) {
            let now = self.clock.now();
            self.follower.handle(now, FollowerInput::Taken(bytes));
            self.follower.handle(now, FollowerInput::TablesFailed(load, fault.to_string()));
            return Ok(());
        }
        self.say_loading(offered.manifest.position);
        self.hand_on(Work::Tables(TableWork::Begin(load, Box::new(offered), bytes)))
    }

    /// Nothing of an object store counts that no core has signed; without it, or if it has none, the upstream does.
    fn found_elsewhere(&mut self, found: Result<Option<Box<OfferedTables>>, MirrorError>) {
        let checked = found.map_err(|error| error.to_string()).and_then(|found| {
            let Some(offered) = found else { return Ok(None) };
            let checked = self.dialler.identity().check_manifest(&offered.signed);
            checked.map(|()| Some(offered)).map_err(|fault| fault.to_string())
        });
        let now = self.clock.now();
        match checked {
            Ok(offered) => self.follower.handle(now, FollowerInput::Elsewhere(offered)),
            Err(error) => {
                tracing::warn!(edge = %self.name, error, "the object store is of no use; a snapshot comes from the upstream");
                self.metrics.store_snapshots.with_label_values(&["failed"]).inc();
                self.elsewhere.failed(now);
            }
        }
    }

    fn fetched_elsewhere(&mut self, load: TableLoad, fetched: Result<(), ElsewhereError>) -> Result<(), EdgeError> {
        match fetched {
            // Behind the last piece, so that all of them were looked at when the answer comes.
            Ok(()) => self.hand_on(Work::Tables(TableWork::Fetched(load))),
            Err(error) => {
                self.failed_elsewhere(load, error.to_string());
                Ok(())
            }
        }
    }

    fn failed_elsewhere(&mut self, load: TableLoad, why: String) {
        let now = self.clock.now();
        self.metrics.store_snapshots.with_label_values(&["failed"]).inc();
        self.elsewhere.failed(now);
        tracing::warn!(edge = %self.name, "the snapshot of the object store is of no use: {why}; another one comes from the upstream");
        self.follower.handle(now, FollowerInput::ElsewhereFailed(load, why));
    }

    fn say_loading(&self, position: Position) {
        let here = self.status.borrow().position;
        match here.filter(|here| here.epoch < position.epoch) {
            Some(here) => tracing::warn!(
                edge = %self.name, %here, %position,
                "the core was restored or recovered, and what this edge has is not in its history: it answers what it has \
                 until it has loaded a snapshot"
            ),
            None => tracing::info!(edge = %self.name, %position, "loading a snapshot"),
        }
    }

    pub(crate) fn hand_on(&mut self, work: Work) -> Result<(), EdgeError> {
        if self.work.send(work).is_err() {
            // The writer has ended, and said why before it did.
            self.take_reports()?;
            return Err(EdgeError::WriterGone);
        }
        Ok(())
    }

    fn done(&mut self, done: OperationEnd) {
        self.operation = None;
        match done {
            OperationEnd::Beside(dialled, found) => {
                if matches!(*dialled, OperationEnd::Connected(_, Ok(_))) {
                    self.found_elsewhere(found);
                }
                self.done(*dialled);
            }
            OperationEnd::Connected(upstream, Ok(link)) => {
                tracing::info!(edge = %self.name, %upstream, peer = %link.peer(), "connected");
                self.link = Some(*link);
                self.follower.handle(self.clock.now(), FollowerInput::Connected);
            }
            OperationEnd::Connected(upstream, Err(error)) => {
                let is_itself = matches!(error, EdgeError::Itself);
                self.parted(&upstream, &Parting::NoConnection(error));
                let input = if is_itself { FollowerInput::Itself } else { FollowerInput::Disconnected };
                self.follower.handle(self.clock.now(), input);
            }
            OperationEnd::Sent(sender, Ok(())) => {
                if let Some(link) = &mut self.link {
                    link.sender = Some(sender);
                }
            }
            OperationEnd::Sent(_, Err(error)) => self.lost_by(&error),
            OperationEnd::Stuck => self.lost(None, "the upstream takes no acknowledgements"),
        }
    }

    /// Takes this frame and those that are here already.
    fn take_frames(&mut self, first: Result<Heard, StreamError>) {
        let mut next = match first {
            Ok(Heard::Frame(frame)) => frame,
            Ok(Heard::Bytes(bytes)) => return self.follower.handle(self.clock.now(), FollowerInput::Heard(bytes)),
            Ok(Heard::End) => return self.lost(None, "closed by the upstream"),
            Err(error) => return self.lost_by(&error),
        };
        for _ in 0..BURST {
            match next {
                Frame::Ranges(given) => self.take_ranges(&given),
                frame => self.follower.handle(self.clock.now(), FollowerInput::Frame(frame)),
            }
            let Some(link) = self.link.as_mut().filter(|_| !self.follower.is_full()) else { return };
            next = match link.receiver.buffered() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.lost_by(&error),
            };
        }
    }

    fn take_reports(&mut self) -> Result<(), EdgeError> {
        let progress = self.reports.take();
        let now = self.clock.now();
        match progress.applied {
            Some((position, two_clock_us)) => {
                self.follower.handle(now, FollowerInput::Applied { position, bytes: progress.bytes, two_clock_us });
                let holds = self.store.filter();
                self.status.send_modify(|status| (status.position, status.holds) = (Some(position), holds));
                set(&self.metrics.applied_version, &self.name, position.version.get());
                self.sync_at.get_or_insert(Instant::now() + SYNC_EVERY);
            }
            None => self.follower.handle(now, FollowerInput::Taken(progress.bytes)),
        }
        if let Some(agreement) = progress.agreement {
            self.checks.agreed(agreement);
        }
        if let Some(end) = progress.repaired {
            self.repaired(end);
        }
        progress.tables.into_iter().for_each(|report| self.table_report(report));
        progress.failed.map_or(Ok(()), Err)
    }

    fn table_report(&mut self, report: TableReport) {
        let input = match report {
            TableReport::Begun(load, want) if self.elsewhere.fetch(load, &want, &self.work) => return,
            TableReport::Failed(load, why) if self.elsewhere.is_of(load) => return self.failed_elsewhere(load, why),
            TableReport::Begun(load, want) => FollowerInput::TablesBegun(load, want),
            // Nothing is lacking of what the upstream has not to give.
            TableReport::Fetched(load) => FollowerInput::TablesBegun(load, TablesWant::all(0)),
            TableReport::Failed(load, why) => FollowerInput::TablesFailed(load, why),
            TableReport::Done(load) => {
                if self.elsewhere.is_of(load) {
                    self.elsewhere.end();
                    self.metrics.store_snapshots.with_label_values(&["done"]).inc();
                }
                FollowerInput::TablesDone(load)
            }
        };
        self.follower.handle(self.clock.now(), input);
    }

    fn begin_sync(&mut self) {
        if self.sync.is_some() {
            self.sync_at = Some(Instant::now() + SYNC_EVERY);
            return;
        }
        self.sync_at = None;
        let store = Arc::clone(&self.store);
        self.sync = Some(tokio::task::spawn_blocking(move || store.sync()));
    }

    fn synced(&mut self, synced: Result<Option<Position>, StoreError>) -> Result<(), EdgeError> {
        self.sync = None;
        if let Some(position) = synced? {
            self.follower.handle(self.clock.now(), FollowerInput::Durable(position));
            self.status.send_modify(|status| status.durable = Some(position));
            set(&self.metrics.durable_version, &self.name, position.version.get());
        }
        Ok(())
    }

    fn lost_by(&mut self, error: &StreamError) {
        if let Some(why) = error.replaced() {
            return self.replaced(why);
        }
        // A client learns only now that the server does not believe its certificate.
        match error.refused() {
            Some(refused) => self.lost(Some(refused), &refused.to_string()),
            None => self.lost(None, &error.to_string()),
        }
    }

    fn lost(&mut self, refused: Option<NotTrusted>, why: &str) {
        if let Some(link) = self.link.take() {
            link.close("lost");
            self.parted(&link.upstream, &Parting::Lost(refused, why.to_owned()));
        }
        self.follower.handle(self.clock.now(), FollowerInput::Disconnected);
    }

    /// Another process with this identity has connected; this one has not.
    fn replaced(&mut self, why: String) {
        let Some(link) = self.link.take() else { return };
        link.close("lost");
        self.parted(&link.upstream, &Parting::Replaced(why));
        self.follower.handle(self.clock.now(), FollowerInput::Replaced);
    }

    fn leave(&mut self, end: FollowerEnd) {
        let Some(link) = self.link.take() else { return };
        link.close("left");
        self.parted(&link.upstream, &Parting::Left(end));
    }

    /// Counts, logs and shows why there is no upstream.
    fn parted(&mut self, upstream: &str, parting: &Parting) {
        let edge = &self.name;
        for say in self.standing.parted(self.clock.now(), upstream, parting) {
            match say {
                Say::Count(reason) => self.metrics.left.with_label_values(&[reason]).inc(),
                Say::CertificateFault(refusal, what) => {
                    if let Some(quiet) = self.refusals.due(refusal) {
                        tracing::warn!(%edge, %upstream, quiet, "{what}");
                    }
                }
                Say::Error(what) => tracing::error!(%edge, %upstream, "{what}"),
                Say::PassedOver(what) => tracing::info!(%edge, %upstream, "passed over: {what}"),
                Say::Trouble(what) => {
                    tracing::info!(%edge, "no upstream: {what}");
                    self.status.send_modify(|status| status.trouble = Some(what));
                }
                Say::Twin(what) => self.status.send_modify(|status| status.twin = Some(what)),
            }
        }
    }

    /// Tells watchers what the follower knows, if it is news.
    fn show(&self) {
        let is_alone = self.standing.is_alone(self.clock.now());
        let (state, head) = (self.follower.state(), self.follower.head());
        let changed = self.status.send_if_modified(|status| {
            let changed = status.state != state || status.head != head;
            status.state = state;
            status.head = head;
            // For those who look, no news for those who wait.
            status.heard = self.follower.heard();
            status.confirmed = self.follower.confirmed();
            if status.path != *self.follower.path() {
                status.path = self.follower.path().clone();
            }
            if state != FollowerState::Away {
                status.trouble = None;
            }
            if is_alone {
                status.twin = None;
            }
            changed
        });
        let followed = self.link.as_ref().filter(|_| state == FollowerState::Streaming);
        if self.upstream.borrow().is_some() != followed.is_some() {
            self.upstream.send_replace(followed.map(|link| link.connection().clone()));
        }
        if changed {
            let connected = u64::from(state != FollowerState::Away);
            set(&self.metrics.connected, &self.name, connected);
            set(&self.metrics.head_version, &self.name, head.map_or(0, |head| head.version.get()));
        }
        let confirmed = self.follower.confirmed();
        if let Some(confirmed) = confirmed {
            self.metrics.staleness.confirmed(&self.name, confirmed);
        }
        if let Some(relay) = &self.relay {
            let now = self.clock.now();
            relay.heard(confirmed.map(|confirmed| now.saturating_sub(confirmed)), self.follower.path());
        }
        if let Some(heard) = self.follower.heard() {
            set(&self.metrics.heard_seconds, &self.name, heard.as_secs());
        }
    }
}

pub(crate) fn set(gauge: &prometheus::IntGaugeVec, edge: &str, value: u64) {
    gauge.with_label_values(&[edge]).set(i64::try_from(value).unwrap_or(i64::MAX));
}

async fn hear(receiver: Option<&mut FrameReceiver>) -> Result<Heard, StreamError> {
    match receiver {
        Some(receiver) => receiver.hear().await,
        None => std::future::pending().await,
    }
}

async fn end(operation: &mut Option<Operation>) -> OperationEnd {
    match operation {
        Some(operation) => operation.await,
        None => std::future::pending().await,
    }
}

async fn finish(
    sync: &mut Option<JoinHandle<Result<Option<Position>, StoreError>>>,
) -> Result<Option<Position>, StoreError> {
    match sync {
        Some(sync) => sync.await.expect("syncing does not panic"),
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
