//! Edges that follow over real QUIC connections with real certificates, check every version, and keep nothing: so that
//! a thousand of them fit into one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use zonecast_kv_proto::{Follower, FollowerAction, FollowerInput, Position};
use zonecast_kv_transport::{Ca, Clock, Connection, Endpoint, FrameReceiver, FrameSender, Identity, Role};

/// How long all of them may take to connect and to load what there is.
const CONNECT: Duration = Duration::from_secs(120);

/// Many, running. Gone when dropped.
pub(crate) struct LightEdges {
    count: usize,
    applied: Receiver<Applied>,
    lost: Arc<AtomicUsize>,
    _runtime: Runtime,
}

/// One edge has everything up to a version.
struct Applied {
    edge: usize,
    version: u64,
    at: Instant,
}

/// One edge.
struct LightEdge {
    index: usize,
    identity: Identity,
    upstream: SocketAddr,
    applied: Sender<Applied>,
    lost: Arc<AtomicUsize>,
    clock: Clock,
}

struct Link {
    _connection: Connection,
    sender: FrameSender,
    receiver: FrameReceiver,
    // Last, so that the connection is closed before its endpoint goes.
    _endpoint: Endpoint,
}

impl LightEdges {
    /// So many, in turns following the nodes at these addresses, with certificates of this CA; all of them at `version` or
    /// later.
    pub(crate) fn start(count: usize, upstreams: &[SocketAddr], ca: &Path, version: u64) -> anyhow::Result<Self> {
        let ca = Ca::open(ca)?;
        let runtime = Runtime::new()?;
        let (sender, applied) = channel();
        let lost = Arc::new(AtomicUsize::new(0));
        for (index, upstream) in (0..count).zip(upstreams.iter().copied().cycle()) {
            let identity = ca.issue(Role::Edge, &format!("light-{index}"))?;
            let (applied, lost) = (sender.clone(), Arc::clone(&lost));
            let edge = LightEdge { index, identity, upstream, applied, lost, clock: Clock::start() };
            runtime.spawn(edge.run());
        }
        let edges = Self { count, applied, lost, _runtime: runtime };
        edges.wait(version, CONNECT)?;
        edges.lost.store(0, Ordering::Relaxed);
        Ok(edges)
    }

    /// Waits until the last one has this version; when that was.
    pub(crate) fn wait(&self, version: u64, limit: Duration) -> anyhow::Result<Instant> {
        let last = self.arrivals(version..=version, limit)?;
        last.first().copied().context("one version was asked for")
    }

    /// When the last edge had each of these versions.
    pub(crate) fn arrivals(
        &self,
        versions: std::ops::RangeInclusive<u64>,
        limit: Duration,
    ) -> anyhow::Result<Vec<Instant>> {
        let (first, last) = (*versions.start(), *versions.end());
        let mut progress = vec![first.saturating_sub(1); self.count];
        let mut arrived: Vec<Option<Instant>> = versions.map(|_| None).collect();
        let mut missing = self.count;
        let deadline = Instant::now() + limit;
        while missing > 0 {
            let applied = match self.applied.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(applied) => applied,
                Err(RecvTimeoutError::Timeout) => bail!("{missing} of {} edges are behind after {limit:?}", self.count),
                Err(RecvTimeoutError::Disconnected) => bail!("the edges are gone"),
            };
            let Some(progress) = progress.get_mut(applied.edge) else { continue };
            // One report may stand for several versions.
            for version in *progress + 1..=applied.version.min(last) {
                let index = usize::try_from(version - first).unwrap_or(usize::MAX);
                if let Some(at) = arrived.get_mut(index) {
                    *at = (*at).max(Some(applied.at));
                }
            }
            if *progress < last && applied.version >= last {
                missing -= 1;
            }
            *progress = applied.version.max(*progress);
        }
        arrived.into_iter().map(|at| at.context("no edge reported a version")).collect()
    }

    /// Connections that were lost since all of them were up.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl LightEdge {
    async fn run(self) {
        let name = self.identity.peer().name.clone();
        let mut follower = Follower::new(self.clock.now(), name, 1, None);
        let mut link = None;
        loop {
            while let Some(action) = follower.poll_action(self.clock.now()) {
                if let Some(input) = self.act(action, &mut link).await {
                    follower.handle(self.clock.now(), input);
                }
            }
            let timeout = follower.poll_timeout().map(|time| self.clock.instant(time).into());
            tokio::select! {
                input = next(link.as_mut()) => {
                    if matches!(input, FollowerInput::Disconnected) {
                        link = None;
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                    follower.handle(self.clock.now(), input);
                }
                () = sleep_until(timeout) => {}
            }
        }
    }

    async fn act(&self, action: FollowerAction, link: &mut Option<Link>) -> Option<FollowerInput> {
        match action {
            FollowerAction::Connect(_) => match self.connect().await {
                Ok(connected) => {
                    *link = Some(connected);
                    Some(FollowerInput::Connected)
                }
                Err(_) => Some(FollowerInput::Disconnected),
            },
            FollowerAction::Send(frame) => {
                let link = link.as_mut()?;
                link.sender.send(&frame).await.err().map(|_| FollowerInput::Disconnected)
            }
            FollowerAction::Apply(_, position, bytes) | FollowerAction::SnapshotEnd(position, bytes) => {
                Some(self.applied(position, bytes))
            }
            FollowerAction::SnapshotEntries(_, bytes) => Some(FollowerInput::Taken(bytes)),
            FollowerAction::SnapshotBegin(..) | FollowerAction::SnapshotAbort => None,
            // It does not say that it takes table files.
            FollowerAction::TablesBegin(..)
            | FollowerAction::TablesElsewhere(..)
            | FollowerAction::TablePiece(..)
            | FollowerAction::TablesEnd(..) => None,
            FollowerAction::Disconnect(_) => {
                *link = None;
                self.lost.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn applied(&self, position: Position, bytes: usize) -> FollowerInput {
        let applied = Applied { edge: self.index, version: position.version.get(), at: Instant::now() };
        // Nobody listens any more when the measuring is over.
        let _ = self.applied.send(applied);
        FollowerInput::Applied { position, bytes, two_clock_us: 0 }
    }

    async fn connect(&self) -> anyhow::Result<Link> {
        let endpoint = Endpoint::client(self.upstream, &self.identity)?;
        let connection = endpoint.connect(self.upstream).await?;
        let (sender, receiver) = connection.open().await?;
        Ok(Link { _connection: connection, sender, receiver, _endpoint: endpoint })
    }
}

async fn next(link: Option<&mut Link>) -> FollowerInput {
    match link {
        Some(link) => match link.receiver.next().await {
            Ok(Some(frame)) => FollowerInput::Frame(frame),
            Ok(None) | Err(_) => FollowerInput::Disconnected,
        },
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
