//! A core and its edges as processes, with zones, as an operator runs them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use zonecast_tests::{Node, System, poll_until};

use crate::api::Api;
use crate::probe::Probe;

/// How long a core may take to import what is measured, and an edge to have it: 45 million records take minutes.
const LOADED: Duration = Duration::from_secs(1_800);

/// A core and its edges that serve generated zones as processes. All of them are killed when it is dropped.
pub(crate) struct Cluster {
    /// The processes.
    pub(crate) system: System,
}

impl Cluster {
    /// One core with the zones of a folder and so many edges, all of them serving `apex`.
    pub(crate) fn start(zones: &Path, edges: usize, apex: &str) -> anyhow::Result<Self> {
        Self::start_edges_on(None, zones, edges, apex)
    }

    /// The same, each edge on a machine with this one processor.
    pub(crate) fn start_edges_on(cpu: Option<usize>, zones: &Path, edges: usize, apex: &str) -> anyhow::Result<Self> {
        let mut system = System::new(edges)?;
        system.core.zones = Some(zones.to_owned());
        system.core.patience = LOADED;
        system.core.start_ready()?;
        for edge in &mut system.edges {
            edge.patience = LOADED;
            edge.cpu = cpu;
            edge.start()?;
        }
        for edge in &mut system.edges {
            edge.wait_ready()?;
        }
        let cluster = Self { system };
        for edge in cluster.edges() {
            wait_served(edge, apex)?;
        }
        Ok(cluster)
    }

    /// A client of the core's API, with a connection of its own.
    pub(crate) fn api(&self) -> Api {
        Api::new(&self.system.core.http.to_string())
    }

    /// The process of the one edge.
    pub(crate) fn edge_pid(&self) -> anyhow::Result<u32> {
        self.system.edges.first().and_then(Node::id).context("no edge runs")
    }

    /// Where each edge answers.
    pub(crate) fn edges(&self) -> Vec<SocketAddr> {
        self.system.edges.iter().map(|edge| edge.service).collect()
    }
}

/// Waits until an edge answers for a zone; when that was.
pub(crate) fn wait_served(edge: SocketAddr, apex: &str) -> anyhow::Result<Instant> {
    let answered = || Probe::serves(edge, apex).then(Instant::now);
    poll_until(Instant::now() + LOADED, answered).with_context(|| format!("{edge} does not serve {apex}"))
}
