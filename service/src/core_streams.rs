//! The streams that other cores open to this one: raft's go to the core, requests to whoever answers them, news of edges
//! to the publisher, and who asks to import zone files to the service.

use std::sync::{Arc, OnceLock, Weak};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use zonecast_kv_core::{Core, FIRST_OTHER_KIND};
use zonecast_kv_transport::{CoreService, CoreStream, Peer, Publisher};

use crate::edge_news::{EDGE_NEWS, hear};
use crate::service::{IMPORT, Service, answer_import};
use crate::verification::{SUMS, answer_sums};

/// Kind of the streams on which a core hands requests of clients on to the leader: HTTP/1.1.
pub const REQUESTS: u8 = FIRST_OTHER_KIND;

/// Tells streams apart by their kind.
pub(crate) struct CoreStreams {
    core: Core,
    raft: Arc<dyn CoreService>,
    /// Weak, because the publisher holds this.
    publisher: OnceLock<Weak<Publisher>>,
    /// Weak: whoever answers requests holds the service, and that the publisher, which holds this.
    requests: OnceLock<Weak<dyn CoreService>>,
    /// Weak, as it holds the publisher.
    service: OnceLock<Weak<Service>>,
}

impl CoreStreams {
    /// Nobody answers requests yet.
    pub(crate) fn new(core: &Core) -> Self {
        Self {
            core: core.clone(),
            raft: core.service(),
            publisher: OnceLock::new(),
            requests: OnceLock::new(),
            service: OnceLock::new(),
        }
    }

    /// Cores that ask to import their zone files are answered by it from now on.
    pub(crate) fn answer_imports(&self, service: &Arc<Service>) {
        // There is one.
        let _ = self.service.set(Arc::downgrade(service));
    }

    /// What other cores tell of their edges goes there from now on.
    pub(crate) fn book_edges(&self, publisher: &Arc<Publisher>) {
        // There is one.
        let _ = self.publisher.set(Arc::downgrade(publisher));
    }

    /// Requests go there from now on.
    pub(crate) fn answer_requests(&self, service: &Arc<dyn CoreService>) {
        // The first one stays: a core has one API.
        let _ = self.requests.set(Arc::downgrade(service));
    }
}

impl CoreService for CoreStreams {
    fn serve(&self, peer: &Peer, kind: u8, stream: CoreStream) -> BoxFuture<'static, ()> {
        match kind {
            REQUESTS => match self.requests.get().and_then(Weak::upgrade) {
                Some(service) => service.serve(peer, kind, stream),
                // The stream is reset, which says that nothing was done.
                None => async {}.boxed(),
            },
            EDGE_NEWS => {
                let publisher = self.publisher.get().cloned().unwrap_or_default();
                hear(self.core.clone(), publisher, peer.name.clone(), stream).boxed()
            }
            IMPORT => {
                let service = self.service.get().cloned().unwrap_or_default();
                answer_import(self.core.clone(), service, peer.name.clone(), stream).boxed()
            }
            SUMS => answer_sums(self.core.clone(), stream).boxed(),
            kind => self.raft.serve(peer, kind, stream),
        }
    }
}

impl std::fmt::Debug for CoreStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CoreStreams")
    }
}
