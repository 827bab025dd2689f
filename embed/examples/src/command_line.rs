//! What all of the programs begin with.

use anyhow::Context as _;
use zonecast_edge::{DnsEdge, DnsEdgeConfig, EdgeOptions, Upstream};

/// Opens the edge of a command line `IDENTITY CORE:PORT DATA LISTEN` and waits until it has what its core has. Gives
/// where to listen, too.
///
/// # Errors
/// An argument is missing or wrong, or the edge cannot be opened.
pub async fn open_edge() -> anyhow::Result<(DnsEdge, String)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [identity, core, data, listen] = arguments.as_slice() else {
        anyhow::bail!("usage: IDENTITY CORE:PORT DATA LISTEN");
    };
    let core: Upstream = core.parse().context("CORE:PORT is an address")?;
    let (identity, data) = (identity.into(), data.into());
    let config =
        DnsEdgeConfig { identity, upstreams: vec![core], data, store: EdgeOptions::default(), keyspaces: None };
    let edge = DnsEdge::open(config, &prometheus::Registry::new())?;
    edge.caught_up().await?;
    Ok((edge, listen.clone()))
}
