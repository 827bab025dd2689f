//! `zonecast edges`.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::Context;
use zonecast_api::types::EdgeInfo;
use zonecast_service::age;
use zonecast_service::exit::Outcome;

/// See `zonecast edges --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Edges {
    /// List the edges that `--wait all` waits for, and every other edge that has connected.
    List,
    /// Let `--wait all` wait for an edge from now on, even if the edge has never connected.
    Expect(Named),
    /// Stop waiting for an edge that is gone for good. If the edge comes back and catches up, `--wait all` waits for it
    /// again.
    Forget(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Name of the edge, as in its certificate.
    name: String,
    /// Role of the edge, as in its certificate: edge or relay.
    #[arg(long, default_value = "edge", value_name = "ROLE")]
    role: String,
}

impl Edges {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::List => {
                let list = context.client.edges()?;
                context.output.show(&list, |list, out| list.edges.iter().try_for_each(|edge| line(edge, out)))?;
            }
            Self::Expect(Named { name, role }) => {
                let edge = context.client.expect_edge(name, role)?;
                context.output.show(&edge, |edge, out| writeln!(out, "{} is expected", edge.edge))?;
            }
            Self::Forget(Named { name, role }) => {
                let edge = context.client.forget_edge(name, role)?;
                context.output.show(&edge, |edge, out| writeln!(out, "{} is forgotten", edge.edge))?;
            }
        }
        Ok(())
    }
}

fn line(edge: &EdgeInfo, out: &mut dyn Write) -> io::Result<()> {
    let expected = if edge.expected { "expected" } else { "not expected" };
    let link = match edge.away_s {
        None => "connected".to_owned(),
        Some(away) => format!("away for {}", age(away)),
    };
    let via = edge.via.as_ref().map(|via| format!(" through {via}")).unwrap_or_default();
    writeln!(out, "{} {}: {expected}, {link}{via}, applied {}, behind {}", edge.role, edge.edge, edge.applied, edge.lag)
}
