//! A server under queries: zonecast's edge, a peer, or the echo.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use zonecast_tests::Node;

use super::processors::SERVER;
use crate::cluster::{Cluster, Layout, wait_served};
use crate::figure::{Figure, Kind};
use crate::limit::udp_echo::Echoing;
use crate::peer::Server;

/// The server that is measured, with its name and settings for the report.
pub(super) struct Subject {
    /// `zonecast`, `Knot`.
    pub(super) name: String,
    /// How it is set up.
    pub(super) settings: String,
    /// Whose figures they are.
    pub(super) kind: Kind,
    running: Running,
}

enum Running {
    Ours(Box<Cluster>),
    Peer(Server),
    Echo(Echoing),
}

impl Subject {
    /// An edge that serves the zones of a folder and thinks that its machine has one processor, as peers are told.
    pub(super) fn ours(folder: &Path, apex: &str) -> anyhow::Result<Self> {
        let layout = Layout { edges: 1, edge_cpu: Some(SERVER), ..Layout::default() };
        let cluster = Cluster::laid_out(layout, folder, apex)?;
        Ok(Self {
            name: "zonecast".into(),
            settings: "as shipped".into(),
            kind: Kind::Ours,
            running: Running::Ours(Box::new(cluster)),
        })
    }

    pub(super) fn peer(name: &str, settings: &str, server: Server) -> Self {
        Self { name: name.into(), settings: settings.into(), kind: Kind::Peer, running: Running::Peer(server) }
    }

    pub(super) fn echo(batched: bool) -> anyhow::Result<Self> {
        let settings = if batched { "recvmmsg and sendmmsg of 32" } else { "one packet a system call" };
        let running = Running::Echo(Echoing::start(batched, SERVER)?);
        Ok(Self { name: "UDP echo".into(), settings: settings.into(), kind: Kind::Limit, running })
    }

    /// Ends the one edge of ours in good order.
    pub(super) fn stop_edge(&mut self) -> anyhow::Result<()> {
        self.edge()?.stop().map(drop)
    }

    /// Starts it again, and waits until it answers for a zone.
    pub(super) fn start_edge(&mut self, apex: &str) -> anyhow::Result<()> {
        self.edge()?.start()?;
        wait_served(self.address()?, apex).map(drop)
    }

    fn edge(&mut self) -> anyhow::Result<&mut Node> {
        match &mut self.running {
            Running::Ours(cluster) => cluster.system.edges.first_mut().context("one edge answers"),
            Running::Peer(_) | Running::Echo(_) => bail!("{} has no edge", self.name),
        }
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        match &self.running {
            Running::Ours(cluster) => cluster.edges().first().copied().context("one edge answers"),
            Running::Peer(server) => Ok(server.address()),
            Running::Echo(echo) => Ok(echo.address()),
        }
    }

    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        match &self.running {
            Running::Ours(cluster) => cluster.edge_pid(),
            Running::Peer(server) => Ok(server.pid()),
            Running::Echo(echo) => Ok(echo.pid()),
        }
    }

    /// A result of it.
    pub(super) fn figure(&self, work: &str, measure: &str) -> Figure {
        let configuration = match &self.running {
            Running::Peer(server) => Some(server.configuration().to_owned()),
            Running::Ours(_) | Running::Echo(_) => None,
        };
        let figure = Figure::new(work, &self.name, measure).kind(self.kind).settings(&self.settings);
        Figure { configuration, ..figure }
    }
}
