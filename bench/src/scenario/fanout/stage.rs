//! What the works of `fanout` share: a core, relays if any are asked for, and light edges below, all of them running.

use std::path::Path;
use std::time::Duration;

use crate::api::Api;
use crate::bench::Bench;
use crate::cluster::{Cluster, Layout};
use crate::generate;
use crate::light_edge::LightEdges;

pub(super) const APEX: &str = "changed.example";

/// Past this the run has failed.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The edges go before what they follow.
pub(super) struct Stage {
    pub(super) edges: LightEdges,
    pub(super) cluster: Cluster,
}

impl Stage {
    /// With so many relays, and so many light edges below them, or below the core if there are no relays.
    pub(super) fn start(bench: &mut Bench, folder: &Path, relays: usize, edges: usize) -> anyhow::Result<Self> {
        let between = if relays == 0 { String::new() } else { format!(", {relays} relays") };
        bench.say(&format!("starting a core{between} and {edges} light edges"));
        let cluster = Cluster::laid_out(Layout { relays, ..Layout::default() }, folder, APEX)?;
        let edges = follow(&cluster, edges)?;
        Ok(Self { edges, cluster })
    }
}

/// So many light edges, which follow the relays of a cluster, or its core.
pub(super) fn follow(cluster: &Cluster, edges: usize) -> anyhow::Result<LightEdges> {
    // The last change before any edge is there: all of them must have it.
    let version = set(&cluster.api(), usize::MAX)?;
    LightEdges::start(edges, &cluster.upstreams(), &cluster.system.ca(), version)
}

pub(super) fn set(api: &Api, number: usize) -> anyhow::Result<u64> {
    let host = format!("host-{}", number % generate::hosts(1_000));
    api.set(APEX, &host, "A", 60, &generate::new_address(number).to_string())
}
