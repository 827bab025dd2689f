//! An edge with the runtime that it needs.

use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::{Builder, Runtime};
use zonecast_edge::{DnsEdge, DnsEdgeConfig, EdgeError, EdgeOptions, EdgeStates, Upstream};

/// Threads that follow the core; answering needs none of them.
const THREADS: usize = 2;

/// For threads that still work when the edge is closed already.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// An edge and the runtime whose threads follow the core. Readers keep their state when it is closed.
#[derive(Debug)]
pub struct CEdge {
    runtime: Runtime,
    edge: DnsEdge,
}

impl CEdge {
    /// Opens it; the error is for people.
    pub(crate) fn open(identity: &str, upstreams: &str, data: &str) -> Result<Self, String> {
        let upstreams: Result<Vec<Upstream>, _> =
            upstreams.split(',').map(|upstream| upstream.trim().parse()).collect();
        let upstreams = upstreams.map_err(|error| format!("upstreams: {error}"))?;
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("zonecast").enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
        let config = DnsEdgeConfig {
            identity: identity.into(),
            upstreams,
            data: data.into(),
            store: EdgeOptions::default(),
            keyspaces: None,
        };
        let opened = {
            let _entered = runtime.enter();
            DnsEdge::open(config, &Registry::new())
        };
        let edge = opened.map_err(|error| error.to_string())?;
        Ok(Self { runtime, edge })
    }

    /// `None` when the time is over.
    pub(crate) fn wait(&self, time: Duration) -> Option<Result<(), EdgeError>> {
        self.runtime.block_on(async { tokio::time::timeout(time, self.edge.caught_up()).await.ok() })
    }

    pub(crate) fn version(&self) -> u64 {
        self.edge.position().map_or(0, |position| position.version.get())
    }

    pub(crate) fn states(&self) -> EdgeStates {
        self.edge.states().clone()
    }

    pub(crate) fn close(self) {
        let Self { runtime, edge } = self;
        // What could not be made durable is fetched again.
        let _ = runtime.block_on(edge.shutdown());
        // A resolver that does not answer would hold it up.
        runtime.shutdown_timeout(CLOSE_WITHIN);
    }
}
