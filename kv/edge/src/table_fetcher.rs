//! Fetches table files from the upstream of a relay, for nodes below it, when those that it keeps are of no use to them:
//! once for all who wait, over a stream beside the one that the relay follows. Its own copy has no part in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use zonecast_kv_proto::{
    BatchSource as _, Epoch, FetchAction, FetchEnd, FetchInput, LogPin, OfferedTables, Position, SILENT_AFTER,
    TableFetch, TableMirror, TablePiece, TablesWant, Version,
};
use zonecast_kv_store::{EdgeSource, EdgeStore, StoreError, TablesFetch};
use zonecast_kv_transport::{
    Clock, Connection, Fetched, FrameReceiver, FrameSender, Heard, Identity, ManifestFault, StreamError, TableFetcher,
};

use crate::elsewhere::{self, ElsewhereError, MirrorRead};
use crate::{EdgeMetrics, EdgeStatus};

/// After one of which nothing came, downstreams get entries for so long: asking again would keep them waiting.
const REST: Duration = Duration::from_mins(1);

/// So long a relay without an upstream waits for one before its downstreams get entries: the core may be down for long.
const UPSTREAM_WITHIN: Duration = Duration::from_secs(5);

/// Files may stand a little further than the relay; so long it may take to come there, too.
const CATCH_UP_WITHIN: Duration = Duration::from_mins(1);

/// Streams in a row that bring nothing before it is given up: an upstream that is lost comes back, or another one does.
const MAX_FRUITLESS: u32 = 3;

/// See the module.
pub(crate) struct UpstreamTables {
    store: Arc<EdgeStore>,
    identity: Identity,
    /// An object store, if there is one: asked first.
    mirror: Option<Arc<dyn TableMirror>>,
    /// The connection to the upstream, while it is followed.
    upstream: watch::Receiver<Option<Connection>>,
    status: watch::Receiver<EdgeStatus>,
    metrics: EdgeMetrics,
    clock: Clock,
    rests_until: Mutex<Duration>,
}

/// Why nothing came of it.
#[derive(Debug, Error)]
enum FetchError {
    #[error("there is no upstream")]
    NoUpstream,
    #[error("the upstream takes no further stream")]
    NotServed,
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    End(#[from] FetchEnd),
    #[error(transparent)]
    Manifest(#[from] ManifestFault),
    #[error(transparent)]
    Elsewhere(#[from] ElsewhereError),
    #[error("the object store has none that are of use")]
    NotElsewhere,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the batch log of this relay has not what follows {0}")]
    Unconnected(Position),
}

impl FetchError {
    /// Whether another stream may go on where this one was.
    fn passes(&self) -> bool {
        use FetchEnd::{Short, Silent, Trickling};
        matches!(self, Self::Stream(error) if !error.is_malformed())
            || matches!(self, Self::End(Short | Silent | Trickling))
    }
}

/// One stream: its ends, and what comes over it.
struct Ask<'f> {
    sender: FrameSender,
    receiver: FrameReceiver,
    fetch: TableFetch,
    set: Set<'f>,
}

/// The files that come, from wherever.
struct Set<'f> {
    of: &'f UpstreamTables,
    files: Option<TablesFetch>,
    pin: Option<Box<dyn LogPin>>,
    /// Bytes of them that have come now.
    bytes: u64,
}

impl TableFetcher for UpstreamTables {
    fn fetch(self: Arc<Self>, from: (Epoch, Version)) -> Fetched {
        Box::pin(async move {
            if self.clock.now() < *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) {
                return None;
            }
            let fetched = match self.fetch_elsewhere(from).await {
                Ok(pin) => Ok(pin),
                Err(error) => {
                    if self.mirror.is_some() {
                        tracing::info!(%error, "table files for nodes below come from the upstream");
                    }
                    self.fetch_from_any(from).await
                }
            };
            let result = if fetched.is_ok() { "done" } else { "failed" };
            self.metrics.fetched_tables.with_label_values(&[result]).inc();
            fetched.map_err(|error| self.rest(&error)).ok()
        })
    }
}

impl UpstreamTables {
    /// From the connections of a driver, `upstream`, for a copy and its present status.
    pub(crate) fn new(
        store: &Arc<EdgeStore>,
        identity: &Identity,
        mirror: Option<Arc<dyn TableMirror>>,
        upstream: watch::Receiver<Option<Connection>>,
        status: watch::Receiver<EdgeStatus>,
        metrics: &EdgeMetrics,
    ) -> Self {
        let (store, identity, metrics) = (Arc::clone(store), identity.clone(), metrics.clone());
        let (clock, rests_until) = (Clock::start(), Mutex::default());
        Self { store, identity, mirror, upstream, status, metrics, clock, rests_until }
    }

    fn rest(&self, error: &FetchError) {
        tracing::warn!(%error, "no table files for nodes below; they get the snapshot key by key, which is slower");
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now() + REST;
    }

    /// From the object store, if what it has is of use.
    async fn fetch_elsewhere(&self, from: (Epoch, Version)) -> Result<Box<dyn LogPin>, FetchError> {
        let mirror = self.mirror.clone().ok_or(FetchError::NotElsewhere)?;
        let offered = elsewhere::manifest(&*mirror).await.map_err(ElsewhereError::from)?;
        let offered = offered.ok_or(FetchError::NotElsewhere)?;
        let (source, from) = self.source(from)?;
        let (position, manifest) = (offered.manifest.position, offered.manifest.clone());
        // One from before, or of another history, is of no use; a relay that has not come so far waits for itself.
        let is_known = position.order() > source.position().order() || source.is_recent(&manifest).unwrap_or(false);
        if position.order() < from || !is_known {
            return Err(FetchError::NotElsewhere);
        }
        let mut set = Set::new(self);
        let want = set.begin(&source, offered).await?;
        let mut read = MirrorRead::new(mirror, manifest, want).ok_or(FetchError::NotElsewhere)?;
        while let Some(piece) = read.next().await? {
            set.write(piece).await?;
        }
        set.finish(position).await
    }

    /// The copy, and from where on files are of use: what is older than the log is of no use to anybody here.
    fn source(&self, from: (Epoch, Version)) -> Result<(EdgeSource, (Epoch, Version)), FetchError> {
        let source = EdgeSource::new(Arc::clone(&self.store)).ok_or(FetchError::NoUpstream)?;
        let from = from.max(source.goes_on_from().unwrap_or_default());
        Ok((source, from))
    }

    /// Goes on with whoever is followed, as long as something comes.
    async fn fetch_from_any(&self, from: (Epoch, Version)) -> Result<Box<dyn LogPin>, FetchError> {
        let mut fruitless = 0;
        loop {
            let connection = self.connection().await?;
            let (source, from) = self.source(from)?;
            let mut ask = Ask::open(self, &connection, from).await?;
            let error = match ask.run(&source).await {
                Ok(pin) => return Ok(pin),
                Err(error) => error,
            };
            fruitless = if ask.set.bytes > 0 { 0 } else { fruitless + 1 };
            if !error.passes() || fruitless == MAX_FRUITLESS {
                return Err(error);
            }
            tracing::info!(%error, "fetching table files for nodes below is interrupted, and goes on where it was");
        }
    }

    async fn connection(&self) -> Result<Connection, FetchError> {
        let mut upstream = self.upstream.clone();
        let is_up = |upstream: &Option<Connection>| upstream.as_ref().is_some_and(Connection::is_open);
        let found = tokio::time::timeout(UPSTREAM_WITHIN, upstream.wait_for(is_up)).await;
        let found = found.ok().and_then(Result::ok).and_then(|found| found.clone());
        found.ok_or(FetchError::NoUpstream)
    }

    /// Waits until this relay is where the files are: nobody below it may be ahead of it.
    async fn caught_up(&self, position: Position) -> Result<(), FetchError> {
        let mut status = self.status.clone();
        let is_there = |status: &EdgeStatus| status.position.is_some_and(|here| here.order() >= position.order());
        let caught_up = tokio::time::timeout(CATCH_UP_WITHIN, status.wait_for(is_there)).await;
        if caught_up.is_ok_and(|caught_up| caught_up.is_ok()) { Ok(()) } else { Err(FetchError::Unconnected(position)) }
    }
}

impl<'f> Ask<'f> {
    async fn open(
        from: &'f UpstreamTables,
        connection: &Connection,
        version: (Epoch, Version),
    ) -> Result<Self, FetchError> {
        // One of an earlier release gives no place for it.
        let opened = tokio::time::timeout(SILENT_AFTER, connection.open()).await.map_err(|_| FetchError::NotServed)?;
        let (mut sender, receiver) = opened?;
        let (fetch, ask) = TableFetch::new(from.clock.now(), version);
        sender.send(&ask).await?;
        Ok(Self { sender, receiver, fetch, set: Set::new(from) })
    }

    async fn run(&mut self, source: &EdgeSource) -> Result<Box<dyn LogPin>, FetchError> {
        loop {
            let clock = self.set.of.clock;
            let timeout = clock.instant(self.fetch.timeout());
            let heard = tokio::time::timeout_at(timeout.into(), self.receiver.hear()).await;
            let now = clock.now();
            let mut next = match heard {
                Ok(heard) => match heard? {
                    Heard::Frame(frame) => self.fetch.hear(now, frame),
                    Heard::Bytes(bytes) => self.fetch.handle(now, FetchInput::Heard(bytes)),
                    Heard::End => self.fetch.handle(now, FetchInput::End),
                },
                Err(_) => self.fetch.overdue(now),
            };
            while let Some(action) = next.take() {
                match action {
                    FetchAction::Send(frame) => self.sender.send(&frame).await?,
                    FetchAction::Begin(offered) => {
                        let want = self.set.begin(source, *offered).await?;
                        next = self.fetch.handle(clock.now(), FetchInput::Begun(want));
                    }
                    FetchAction::Write(piece) => self.set.write(piece).await?,
                    FetchAction::Finish(position) => return self.set.finish(position).await,
                    FetchAction::Fail(end) => return Err(end.into()),
                }
            }
        }
    }
}

impl<'f> Set<'f> {
    fn new(of: &'f UpstreamTables) -> Self {
        Self { of, files: None, pin: None, bytes: 0 }
    }

    /// Nothing of a manifest counts that no core has signed.
    async fn begin(&mut self, source: &EdgeSource, offered: OfferedTables) -> Result<TablesWant, FetchError> {
        self.of.identity.check_manifest(&offered.signed)?;
        let position = offered.manifest.position;
        let bytes = offered.manifest.total_len();
        tracing::info!(%position, bytes, "fetching table files for nodes below");
        // Before anything of the log behind them can go.
        self.pin = Some(source.pin(position.version));
        let store = Arc::clone(&self.of.store);
        let files = blocking(move || store.fetch_tables(offered)).await?;
        let files = files.ok_or(FetchError::NoUpstream)?;
        let want = files.want();
        self.files = Some(files);
        Ok(want)
    }

    async fn write(&mut self, piece: TablePiece) -> Result<(), FetchError> {
        let Some(mut files) = self.files.take() else { return Ok(()) };
        let bytes = piece.bytes.len() as u64;
        let (files, written) = blocking(move || {
            let written = files.write(&piece);
            (files, written)
        })
        .await;
        self.files = Some(files);
        self.bytes += bytes;
        self.of.metrics.fetched_table_bytes.inc_by(bytes);
        Ok(written?)
    }

    async fn finish(&mut self, position: Position) -> Result<Box<dyn LogPin>, FetchError> {
        if let Some(files) = self.files.take() {
            blocking(move || files.finish()).await?;
        }
        self.of.caught_up(position).await?;
        self.pin.take().ok_or(FetchError::Unconnected(position))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the disk does not panic")
}
