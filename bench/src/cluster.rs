//! Cores, relays and edges as processes, with zones, as an operator runs them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use zonecast_api::{Client, ClientOptions};
use zonecast_tests::{Node, System, poll_until};

use crate::api::Api;
use crate::probe::Probe;

/// How long a core may take to import what is measured, and an edge to have it: 45 million records take minutes.
const LOADED: Duration = Duration::from_secs(1_800);

/// Cores, relays and edges that serve generated zones as processes. All of them are killed when it is dropped.
pub(crate) struct Cluster {
    /// Cores besides the first one.
    pub(crate) further: Vec<Node>,
    /// Between the cores and the edges.
    pub(crate) relays: Vec<Node>,
    /// The first core, and the edges.
    pub(crate) system: System,
}

/// What processes there are, and how they are set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// Cores besides the first one.
    pub(crate) further: usize,
    /// Relays that follow the cores; where there are any, edges follow them, in turns.
    pub(crate) relays: usize,
    /// How many edges.
    pub(crate) edges: usize,
    /// The one processor of each edge's machine; all that there are if none is named.
    pub(crate) edge_cpu: Option<usize>,
    /// Whether the API speaks TLS.
    pub(crate) tls: bool,
}

impl Cluster {
    /// One core with the zones of a folder and so many edges, all of them serving `apex`.
    pub(crate) fn start(zones: &Path, edges: usize, apex: &str) -> anyhow::Result<Self> {
        Self::laid_out(Layout { edges, ..Layout::default() }, zones, apex)
    }

    /// The same in another layout.
    pub(crate) fn laid_out(layout: Layout, zones: &Path, apex: &str) -> anyhow::Result<Self> {
        let mut system = System::new(layout.edges)?;
        system.core.zones = Some(zones.to_owned());
        system.core.patience = LOADED;
        if layout.tls {
            system.core.http_lines = "tls = true".into();
        }
        system.core.start_ready()?;
        let further = (2..2 + layout.further).map(|number| system.joining(&format!("core-{number}")));
        let mut further = further.collect::<anyhow::Result<Vec<Node>>>()?;
        for core in &mut further {
            core.patience = LOADED;
            system.let_in(core, &[])?;
        }
        let cores: Vec<SocketAddr> = [&system.core].into_iter().chain(&further).map(|core| core.service).collect();
        let relays = (1..=layout.relays).map(|number| system.relay(&format!("relay-{number}")));
        let mut relays = relays.collect::<anyhow::Result<Vec<Node>>>()?;
        for relay in &mut relays {
            relay.patience = LOADED;
            relay.upstreams.clone_from(&cores);
            relay.start()?;
        }
        for relay in &mut relays {
            relay.wait_ready()?;
        }
        for (number, edge) in system.edges.iter_mut().enumerate() {
            edge.patience = LOADED;
            edge.cpu = layout.edge_cpu;
            edge.upstreams = match number.checked_rem(relays.len()).and_then(|turn| relays.get(turn)) {
                Some(relay) => vec![relay.service],
                None => cores.clone(),
            };
            edge.start()?;
        }
        for edge in &mut system.edges {
            edge.wait_ready()?;
        }
        let cluster = Self { further, relays, system };
        for edge in cluster.edges() {
            wait_served(edge, apex)?;
        }
        Ok(cluster)
    }

    /// All cores.
    pub(crate) fn cores(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.system.core).chain(&self.further)
    }

    /// The core of this name.
    pub(crate) fn core_mut(&mut self, name: &str) -> Option<&mut Node> {
        std::iter::once(&mut self.system.core).chain(&mut self.further).find(|core| core.name == name)
    }

    /// A client of all cores.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let is_tls = self.system.core.http_lines.contains("tls = true");
        let scheme = if is_tls { "https" } else { "http" };
        let cores: Vec<String> = self.cores().map(|core| format!("{scheme}://{}", core.http)).collect();
        let options = ClientOptions::default();
        let options = if is_tls { options.ca_file(&self.system.ca().join("ca.pem"))? } else { options };
        Ok(Client::of_cores(&cores, options)?)
    }

    /// The core that leads.
    pub(crate) fn leader(&self) -> anyhow::Result<&Node> {
        let leader = self.client()?.cluster()?.leader.context("no core leads")?;
        self.cores().find(|core| core.name == leader).context("a core leads that is not of this cluster")
    }

    /// Waits until so many cores vote and answer each other.
    pub(crate) fn wait_whole(&self) -> anyhow::Result<()> {
        let (client, voters) = (self.client()?, 1 + self.further.len() as u64);
        let is_whole =
            || client.cluster().is_ok_and(|now| now.voters == voters && now.reached == voters && !now.changing);
        poll_until(Instant::now() + LOADED, || is_whole().then_some(())).context("the cluster does not become whole")
    }

    /// A client of the core's API, with a connection of its own.
    pub(crate) fn api(&self) -> Api {
        Api::new(&self.system.core.http.to_string())
    }

    /// Where those nodes listen that edges are to follow: the relays, or the first core where there are none.
    pub(crate) fn upstreams(&self) -> Vec<SocketAddr> {
        match self.relays.as_slice() {
            [] => vec![self.system.core.service],
            relays => relays.iter().map(|relay| relay.service).collect(),
        }
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
