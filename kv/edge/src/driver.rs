//! The task that runs an edge's [`Follower`]: connects, reads frames, hands checked versions to the writer, sends acks.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zonecast_kv_proto::{
    Follower, FollowerAction, FollowerEnd, FollowerInput, FollowerState, Frame, Position, SILENT_AFTER,
};
use zonecast_kv_store::{EdgeStore, StoreError};
use zonecast_kv_transport::{Clock, Connection, Endpoint, FrameReceiver, FrameSender, Identity, StreamError};

use crate::writer::{Reports, Work};
use crate::{EdgeError, EdgeMetrics, EdgeStatus, Upstream};

/// At most so much applied work is lost to a power cut and fetched again.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Frames taken from what is already here before anything else gets a turn.
const BURST: usize = 256;

/// Runs one follower until the writer fails.
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) identity: Identity,
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

    async fn turn(&mut self) -> Result<(), EdgeError> {
        while let Some(action) = self.follower.poll_action(self.clock.now()) {
            self.act(action).await?;
        }
        self.show();
        let timeout = self.follower.poll_timeout().map(|time| self.clock.instant(time).into());
        let receiver = self.link.as_mut().filter(|_| !self.follower.is_full()).map(|link| &mut link.receiver);
        tokio::select! {
            () = self.reports.changed.notified() => self.take_reports()?,
            frame = next(receiver) => self.take_frames(frame),
            synced = finish(&mut self.sync) => self.synced(synced)?,
            () = sleep_until(self.sync_at) => self.begin_sync(),
            () = sleep_until(timeout) => {}
        }
        Ok(())
    }

    async fn act(&mut self, action: FollowerAction) -> Result<(), EdgeError> {
        let work = match action {
            FollowerAction::Connect => {
                self.connect().await;
                return Ok(());
            }
            FollowerAction::Send(frame) => {
                if let Some(link) = &mut self.link
                    && let Err(error) = link.sender.send(&frame).await
                {
                    self.lost(&error.to_string());
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
            FollowerAction::SnapshotEntries(entries) => Work::SnapshotEntries(entries),
            FollowerAction::SnapshotEnd(position) => Work::SnapshotEnd(position),
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
                self.metrics.left.with_label_values(&["connect"]).inc();
                self.trouble(format!("{}: {error}", upstream.address));
                FollowerInput::Disconnected
            }
        };
        self.follower.handle(self.clock.now(), input);
    }

    /// Takes this frame and those that are here already.
    fn take_frames(&mut self, first: Result<Option<Frame>, StreamError>) {
        let mut next = first;
        for _ in 0..BURST {
            match next {
                Ok(Some(frame)) => self.follower.handle(self.clock.now(), FollowerInput::Frame(frame)),
                Ok(None) => return self.lost("closed by the upstream"),
                Err(error) => return self.lost(&error.to_string()),
            }
            let Some(link) = self.link.as_mut().filter(|_| !self.follower.is_full()) else { return };
            match link.receiver.buffered() {
                Ok(None) => return,
                buffered => next = buffered,
            }
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

    fn lost(&mut self, why: &str) {
        if let Some(link) = self.link.take() {
            link.connection.close("lost");
            self.metrics.left.with_label_values(&["lost"]).inc();
            self.trouble(format!("{}: {why}", link.connection.remote_addr()));
        }
        self.follower.handle(self.clock.now(), FollowerInput::Disconnected);
    }

    fn leave(&mut self, end: &FollowerEnd) {
        let Some(link) = self.link.take() else { return };
        link.connection.close("left");
        let address = link.connection.remote_addr();
        let reason = match end {
            FollowerEnd::Goodbye => "goodbye",
            FollowerEnd::Silent => "silent",
            FollowerEnd::Refused(_) => "refused",
            _ => "malformed",
        };
        self.metrics.left.with_label_values(&[reason]).inc();
        if end.is_alarming() {
            tracing::error!(
                edge = %self.name, upstream = %address,
                "following has stopped: {end}; answers go on from the last good version. If this edge belongs here, \
                 remove its data folder and start it again"
            );
        }
        self.trouble(format!("{address}: {end}"));
    }

    fn trouble(&mut self, what: String) {
        tracing::info!(edge = %self.name, "no upstream: {what}");
        self.status.send_modify(|status| status.trouble = Some(what));
    }

    /// Tells watchers what the follower knows, if it is news.
    fn show(&self) {
        let (state, head) = (self.follower.state(), self.follower.head());
        let changed = self.status.send_if_modified(|status| {
            let changed = status.state != state || status.head != head;
            status.state = state;
            status.head = head;
            if state != FollowerState::Away {
                status.trouble = None;
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

fn set(gauge: &prometheus::IntGaugeVec, edge: &str, value: u64) {
    gauge.with_label_values(&[edge]).set(i64::try_from(value).unwrap_or(i64::MAX));
}

async fn next(receiver: Option<&mut FrameReceiver>) -> Result<Option<Frame>, StreamError> {
    match receiver {
        Some(receiver) => receiver.next().await,
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
