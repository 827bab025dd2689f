//! What makes an edge a relay: it gives the versions that it has applied to nodes that follow it, and tells its upstream
//! what these have.
//!
//! ```text
//!  upstream ═▶ driver ─▶ writer thread ─▶ copy and its batch log
//!     ◀─ news of edges ─┐      └─ after each write ─▶ Publisher ═▶ downstreams
//!                       └───────────── their acks ◀───────┘
//! ```
//! A version is passed on after it is applied here, so a downstream is never ahead of its relay. Downstreams are served
//! from the first copy on, also while the relay itself has no upstream.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use zonecast_kv_proto::{Path, Peer, Position, ReceivedVersion};
use zonecast_kv_store::{EdgeSource, EdgeStore};
use zonecast_kv_transport::{
    DownstreamStatus, EdgeNewsFeed, Endpoint, Publisher, PublisherOptions, TableFetcher, TransportMetrics,
};

use crate::table_fetcher::UpstreamTables;

/// Where and how nodes may follow this one.
#[derive(Clone, Debug)]
pub struct DownstreamConfig {
    /// Where they connect. Its identity is the one of the edge.
    pub endpoint: Endpoint,
    /// Limits.
    pub options: PublisherOptions,
    /// Metrics of the process.
    pub metrics: TransportMetrics,
}

/// The nodes that follow a relay, for whoever asks. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Downstreams(pub(crate) Relay);

impl Downstreams {
    /// Those that follow it or a relay below it, or did, by role and name.
    #[must_use]
    pub fn list(&self) -> Vec<DownstreamStatus> {
        self.0.publisher().map(|publisher| publisher.edges()).unwrap_or_default()
    }
}

/// The downstream side of a relay. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Relay {
    state: Arc<Mutex<State>>,
    own: Peer,
    /// Gets table files for downstreams.
    fetcher: Arc<UpstreamTables>,
    runtime: Handle,
}

enum State {
    /// There is nothing to give yet.
    Empty(Box<DownstreamConfig>),
    Serving(Arc<Publisher>),
    Ended,
}

impl Relay {
    /// Call within a tokio runtime. Serves nobody before [`Relay::begin`] or the first version.
    pub(crate) fn new(config: DownstreamConfig, own: Peer, fetcher: UpstreamTables) -> Self {
        let state = Arc::new(Mutex::new(State::Empty(Box::new(config))));
        Self { state, own, fetcher: Arc::new(fetcher), runtime: Handle::current() }
    }

    /// Begins to serve the copy, if it stands anywhere and is not served already.
    pub(crate) fn begin(&self, store: &Arc<EdgeStore>) {
        let mut state = self.lock();
        let State::Empty(config) = &*state else { return };
        let Some(source) = EdgeSource::new(Arc::clone(store)) else { return };
        let DownstreamConfig { endpoint, options, metrics } = (**config).clone();
        let fetcher = Arc::clone(&self.fetcher) as Arc<dyn TableFetcher>;
        let _runtime = self.runtime.enter();
        let publisher = Publisher::start_as_relay(endpoint, Arc::new(source), options, metrics, fetcher);
        // The upstream has not said anything yet.
        publisher.heard_upstream(None, Path::default().to(self.own.clone()).unwrap_or_default());
        *state = State::Serving(Arc::new(publisher));
    }

    /// These versions have been applied, and lead to this position.
    pub(crate) fn applied(&self, versions: &[ReceivedVersion], position: &Position) {
        let Some(publisher) = self.publisher() else { return };
        for version in versions {
            let published = &version.published;
            let here =
                Position { epoch: published.epoch, version: published.version, chain: published.chain, ..*position };
            publisher.publish(&version.bytes, here);
        }
    }

    /// A snapshot has been loaded, and the copy stands there now.
    pub(crate) fn jumped(&self, store: &Arc<EdgeStore>, position: Position) {
        match self.publisher() {
            Some(publisher) => publisher.jumped(position),
            None => self.begin(store),
        }
    }

    /// The upstream was confirmed so long ago, as far as is known, and gets its versions by this path.
    pub(crate) fn heard(&self, unconfirmed_for: Option<Duration>, upstream: &Path) {
        if let Some(publisher) = self.publisher() {
            publisher.heard_upstream(unconfirmed_for, upstream.to(self.own.clone()).unwrap_or_default());
        }
    }

    /// News of the edges below, beginning with all of them; nothing while nobody is served.
    pub(crate) fn news(&self) -> Option<EdgeNewsFeed> {
        Some(self.publisher()?.edge_news())
    }

    /// Says goodbye to everybody.
    pub(crate) async fn shutdown(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Ended);
        match state {
            State::Serving(publisher) => {
                if let Some(publisher) = Arc::into_inner(publisher) {
                    publisher.shutdown().await;
                }
            }
            State::Empty(config) => config.endpoint.close().await,
            State::Ended => {}
        }
    }

    fn publisher(&self) -> Option<Arc<Publisher>> {
        match &*self.lock() {
            State::Serving(publisher) => Some(Arc::clone(publisher)),
            State::Empty(_) | State::Ended => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("own", &self.own).finish_non_exhaustive()
    }
}
