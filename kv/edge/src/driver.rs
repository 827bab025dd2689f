//! The task that runs an edge's [`Follower`]: connects, reads frames, hands checked versions to the writer, sends acks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zonecast_kv_proto::{
    Follower, FollowerAction, FollowerEnd, FollowerInput, FollowerState, Frame, Position, SILENT_AFTER,
    SubscribeRefusal,
};
use zonecast_kv_store::{EdgeStore, StoreError};
use zonecast_kv_transport::{
    Clock, Connection, Endpoint, FrameReceiver, FrameSender, Heard, Identity, RefusalLog, Refused, StreamError,
};

use crate::repairs::Repairs;
use crate::writer::{Reports, Work};
use crate::{EdgeError, EdgeMetrics, EdgeStatus, Upstream};

/// At most so much applied work is lost to a power cut and fetched again.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Frames taken from what is already here before anything else gets a turn.
const BURST: usize = 256;

/// A line that needs a hand is not repeated more often: an operator who reads the log finds it, and it stays readable.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// How long it is shown after it was noticed that another process uses this identity: some turns of both.
const TWIN_FOR: Duration = Duration::from_secs(120);

/// What to do when two processes use one identity.
const ANOTHER_NAME: &str = "stop one of them, or issue it a certificate with a name of its own";

/// What to do when there is no connection.
const REACH: &str = "is the core running, and does UDP reach it?";

/// Runs one follower until the writer fails.
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) identity: Identity,
    pub(crate) refusals: RefusalLog,
    pub(crate) told: Option<(&'static str, Instant)>,
    /// When another process with this identity was noticed last.
    pub(crate) replaced: Option<Instant>,
    pub(crate) store: Arc<EdgeStore>,
    pub(crate) work: Sender<Work>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) status: watch::Sender<EdgeStatus>,
    pub(crate) metrics: EdgeMetrics,
    pub(crate) clock: Clock,
    pub(crate) follower: Follower,
    pub(crate) attempts: usize,
    pub(crate) link: Option<Link>,
    pub(crate) sync: Option<JoinHandle<Result<Option<Position>, StoreError>>>,
    pub(crate) sync_at: Option<Instant>,
    pub(crate) repairs: Repairs,
    /// Reads that have failed, as they are in the metrics.
    pub(crate) read_errors: u64,
}

/// A connection that is up.
pub(crate) struct Link {
    connection: Connection,
    sender: FrameSender,
    receiver: FrameReceiver,
    // Last, so that the connection is closed before its endpoint goes.
    _endpoint: Endpoint,
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
        let Some(mut link) = self.link.take() else { return };
        let farewell = async {
            if link.sender.send(&Frame::Goodbye).await.is_ok() {
                link.sender.finish().await;
            }
        };
        let _ = tokio::time::timeout(patience, farewell).await;
        link.connection.close("goodbye");
    }

    /// Shows what is known before anything happens: an edge that has not reached its core since its start is just the
    /// one whose metrics somebody looks at.
    fn begin(&self) {
        let position = self.status.borrow().position.map_or(0, |position| position.version.get());
        for gauge in [&self.metrics.applied_version, &self.metrics.durable_version, &self.metrics.head_version] {
            set(gauge, &self.name, position);
        }
        set(&self.metrics.connected, &self.name, 0);
        set(&self.metrics.damaged, &self.name, self.store.damage().is_some().into());
        self.metrics.read_errors.with_label_values(&[&self.name]);
    }

    async fn turn(&mut self) -> Result<(), EdgeError> {
        let repair_at = self.look_after_copy();
        while let Some(action) = self.follower.poll_action(self.clock.now()) {
            self.act(action).await?;
        }
        self.show();
        let timeout = self.follower.poll_timeout().map(|time| self.clock.instant(time).into());
        let receiver = self.link.as_mut().filter(|_| !self.follower.is_full()).map(|link| &mut link.receiver);
        tokio::select! {
            () = self.reports.changed.notified() => self.take_reports()?,
            heard = hear(receiver) => self.take_frames(heard),
            synced = finish(&mut self.sync) => self.synced(synced)?,
            () = sleep_until(self.sync_at) => self.begin_sync(),
            () = sleep_until(timeout) => {}
            () = sleep_until(repair_at) => {}
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
            tracing::warn!(edge = %self.name, "{what}; answers go on where they can, and the copy is fetched again from the core");
            self.follower.handle(now, FollowerInput::Damaged);
        }
        let (read_errors, last) = self.store.read_errors();
        self.metrics.read_errors.with_label_values(&[&self.name]).inc_by(read_errors - self.read_errors);
        self.read_errors = read_errors;
        if let Some(quiet) = self.repairs.line(now, read_errors) {
            let what = last.unwrap_or_default();
            tracing::warn!(edge = %self.name, reads = quiet, "reads of the copy fail, the last one: {what}; it answers SERVFAIL then");
        }
        self.repairs.timeout(damage.is_some()).map(|time| self.clock.instant(time).into())
    }

    async fn act(&mut self, action: FollowerAction) -> Result<(), EdgeError> {
        let work = match action {
            FollowerAction::Connect => {
                self.connect().await;
                return Ok(());
            }
            FollowerAction::Send(frame) => {
                let Some(link) = &mut self.link else { return Ok(()) };
                // An upstream that takes nothing is as good as one that says nothing.
                match tokio::time::timeout(SILENT_AFTER, link.sender.send(&frame)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => self.lost_by(&error),
                    Err(_) => self.lost(None, "the upstream takes no acknowledgements"),
                }
                return Ok(());
            }
            FollowerAction::Disconnect(end) => {
                self.leave(&end);
                return Ok(());
            }
            FollowerAction::Apply(published, _, bytes) => Work::Apply(published, bytes),
            FollowerAction::SnapshotBegin(position) => {
                tracing::info!(edge = %self.name, %position, "loading a snapshot");
                Work::SnapshotBegin
            }
            FollowerAction::SnapshotEntries(entries, bytes) => Work::SnapshotEntries(entries, bytes),
            FollowerAction::SnapshotEnd(position, bytes) => Work::SnapshotEnd(position, bytes),
            FollowerAction::SnapshotAbort => Work::SnapshotAbort,
        };
        if self.work.send(work).is_err() {
            // The writer has ended, and said why before it did.
            self.take_reports()?;
            return Err(EdgeError::WriterGone);
        }
        Ok(())
    }

    async fn connect(&mut self) {
        let Some(upstream) = self.upstreams.get(self.attempts % self.upstreams.len().max(1)).copied() else { return };
        self.attempts = self.attempts.wrapping_add(1);
        let connect = async {
            let endpoint = Endpoint::client(upstream.address, &self.identity)?;
            let connection = endpoint.connect(upstream.address, upstream.role).await?;
            let (sender, receiver) = connection.open().await.map_err(|error| EdgeError::Connect(error.to_string()))?;
            Ok::<_, EdgeError>(Link { connection, sender, receiver, _endpoint: endpoint })
        };
        let connected = match tokio::time::timeout(SILENT_AFTER, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(EdgeError::Connect("no answer".to_owned())),
        };
        let input = match connected {
            Ok(link) => {
                tracing::info!(edge = %self.name, upstream = %upstream.address, peer = %link.connection.peer(), "connected");
                self.link = Some(link);
                FollowerInput::Connected
            }
            Err(error) => {
                let refused = if let EdgeError::Endpoint(error) = &error { error.refused() } else { None };
                self.failed(&upstream.address, refused, "connect", &error.to_string());
                FollowerInput::Disconnected
            }
        };
        self.follower.handle(self.clock.now(), input);
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
            self.follower.handle(self.clock.now(), FollowerInput::Frame(next));
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
                self.status.send_modify(|status| status.position = Some(position));
                set(&self.metrics.applied_version, &self.name, position.version.get());
                self.sync_at.get_or_insert(Instant::now() + SYNC_EVERY);
            }
            None => self.follower.handle(now, FollowerInput::Taken(progress.bytes)),
        }
        progress.failed.map_or(Ok(()), Err)
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
            return self.replaced(&why);
        }
        // A client learns only now that the server does not believe its certificate.
        match error.refused() {
            Some(refused) => self.lost(Some(refused), &refused.to_string()),
            None => self.lost(None, &error.to_string()),
        }
    }

    fn lost(&mut self, refused: Option<Refused>, why: &str) {
        if let Some(link) = self.link.take() {
            link.connection.close("lost");
            self.failed(&link.connection.remote_addr(), refused, "lost", why);
        }
        self.follower.handle(self.clock.now(), FollowerInput::Disconnected);
    }

    /// Another process with this identity has connected; this one has not.
    fn replaced(&mut self, why: &str) {
        let Some(link) = self.link.take() else { return };
        link.connection.close("lost");
        self.replaced = Some(Instant::now());
        self.metrics.left.with_label_values(&["replaced"]).inc();
        let upstream = link.connection.remote_addr();
        if self.due(ANOTHER_NAME) {
            tracing::error!(edge = %self.name, %upstream, "another process uses this identity: {why}; {ANOTHER_NAME}");
        }
        let what = format!("another process uses this identity: {upstream} says: {why}; {ANOTHER_NAME}");
        self.status.send_modify(|status| status.twin = Some(what));
        self.follower.handle(self.clock.now(), FollowerInput::Replaced);
    }

    /// Counts and tells why there is no upstream. What a certificate has to do with needs a hand.
    fn failed(&mut self, upstream: &SocketAddr, refused: Option<Refused>, reason: &str, why: &str) {
        let reason = if refused.is_some() { "certificate" } else { reason };
        self.metrics.left.with_label_values(&[reason]).inc();
        if let Some(refusal) = refused.map(|refused| refused.refusal)
            && let Some(quiet) = self.refusals.due(refusal)
        {
            tracing::warn!(edge = %self.name, %upstream, quiet, "not followed: {why}; {}", refusal.advice());
        }
        let advice = refused.map_or(REACH, |refused| refused.refusal.advice());
        self.trouble(format!("{upstream}: {why}; {advice}"));
    }

    fn leave(&mut self, end: &FollowerEnd) {
        let Some(link) = self.link.take() else { return };
        link.connection.close("left");
        let address = link.connection.remote_addr();
        let reason = match end {
            FollowerEnd::Goodbye => "goodbye",
            FollowerEnd::Silent => "silent",
            FollowerEnd::Damaged => "damaged",
            FollowerEnd::Trickling => "trickling",
            FollowerEnd::Refused(_) => "refused",
            _ => "malformed",
        };
        self.metrics.left.with_label_values(&[reason]).inc();
        if end.needs_a_hand() && self.due(advice(end)) {
            tracing::error!(
                edge = %self.name, upstream = %address,
                "following has stopped: {end}; answers go on from the last good version; {}", advice(end)
            );
        }
        self.trouble(format!("{address}: {end}; {}", advice(end)));
    }

    /// Whether to write a line that gives this advice: once a minute while it stays the same.
    fn due(&mut self, advice: &'static str) -> bool {
        let due = self.told.is_none_or(|(last, at)| last != advice || at.elapsed() >= LINE_EVERY);
        if due {
            self.told = Some((advice, Instant::now()));
        }
        due
    }

    fn trouble(&mut self, what: String) {
        tracing::info!(edge = %self.name, "no upstream: {what}");
        self.status.send_modify(|status| status.trouble = Some(what));
    }

    /// Tells watchers what the follower knows, if it is news.
    fn show(&self) {
        let is_alone = self.replaced.is_none_or(|at| at.elapsed() >= TWIN_FOR);
        let (state, head) = (self.follower.state(), self.follower.head());
        let changed = self.status.send_if_modified(|status| {
            let changed = status.state != state || status.head != head;
            status.state = state;
            status.head = head;
            // For those who look, no news for those who wait.
            status.heard = self.follower.heard();
            if state != FollowerState::Away {
                status.trouble = None;
            }
            if is_alone {
                status.twin = None;
            }
            changed
        });
        if changed {
            let connected = u64::from(state != FollowerState::Away);
            set(&self.metrics.connected, &self.name, connected);
            set(&self.metrics.head_version, &self.name, head.map_or(0, |head| head.version.get()));
        }
        if let Some(heard) = self.follower.heard() {
            set(&self.metrics.heard_seconds, &self.name, heard.as_secs());
        }
    }
}

/// What to do when the upstream is left.
fn advice(end: &FollowerEnd) -> &'static str {
    match end {
        FollowerEnd::Goodbye => "it was stopped; this edge comes back to it by itself",
        FollowerEnd::Silent => REACH,
        FollowerEnd::Damaged => "the core sends it anew",
        FollowerEnd::Trickling => "check the network between them",
        FollowerEnd::Refused(SubscribeRefusal::Ahead(_)) | FollowerEnd::Back(_) => {
            "if the core was restored to an older state and that is to hold, run `zonecast accept-restore` there: this edge \
             follows then by itself"
        }
        FollowerEnd::Refused(SubscribeRefusal::ForkedAt { .. } | SubscribeRefusal::ChainDiffers { .. }) => {
            "if the core was restored and what it holds is to hold, run `zonecast accept-restore` there: this edge follows \
             then by itself; else keep the data folder of this edge for whoever looks into it, and start it on an empty one"
        }
        FollowerEnd::Refused(SubscribeRefusal::Protocol(_)) => "bring both to releases one step apart",
        FollowerEnd::Refused(SubscribeRefusal::NotAllowed) => {
            "issue a certificate of role edge, with a name of its own"
        }
        _ => "if this edge belongs here, remove its data folder and start it again",
    }
}

fn set(gauge: &prometheus::IntGaugeVec, edge: &str, value: u64) {
    gauge.with_label_values(&[edge]).set(i64::try_from(value).unwrap_or(i64::MAX));
}

async fn hear(receiver: Option<&mut FrameReceiver>) -> Result<Heard, StreamError> {
    match receiver {
        Some(receiver) => receiver.hear().await,
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
