//! `zonecast status`.

use clap::Args;

use super::Context;
use crate::exit::Outcome;

/// See `zonecast status --help`.
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let status = context.client.status()?;
        context.output.show(&status, |status, out| {
            let ready = if status.ready { "ready" } else { "not ready yet" };
            writeln!(out, "core    {} {ready}, up {} s", status.release, status.uptime_s)?;
            writeln!(out, "store   {}", status.store)?;
            writeln!(out, "version {} of epoch {}, chain {}", status.version, status.epoch, status.chain)?;
            writeln!(out, "zones   {}", status.zones)?;
            for edge in &status.edges {
                let connected = if edge.connected { "connected" } else { "not connected" };
                let dns = edge.dns.as_deref().map(|dns| format!(", dns {dns}")).unwrap_or_default();
                writeln!(
                    out,
                    "edge    {}: {connected}{dns}, applied {}, durable {}, behind {}",
                    edge.edge, edge.applied, edge.durable, edge.lag
                )?;
            }
            Ok(())
        })?;
        Ok(())
    }
}
