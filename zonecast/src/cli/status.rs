//! `zonecast status`.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;

use super::Context;
use crate::size::size;
use zonecast_api::types::{EdgeInfo, EdgeNode, NodeStatus, Status as CoreStatus, Vitals};
use zonecast_service::day;
use zonecast_service::exit::Outcome;

const DAY: u64 = 24 * 60 * 60;

/// See `zonecast status --help`.
#[derive(Debug, Args)]
pub(super) struct Status {}

impl Status {
    #[expect(clippy::unused_self, reason = "every command runs the same way")]
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let node = context.client.node()?;
        context.output.show(&node, |node, out| match node {
            NodeStatus::Core(core) => show_core(core, out),
            NodeStatus::Edge(edge) => show_edge(edge, out),
        })?;
        Ok(())
    }
}

fn show_core(core: &CoreStatus, out: &mut dyn Write) -> io::Result<()> {
    let ready = if core.ready { "ready" } else { "not ready yet" };
    writeln!(out, "core    {} {ready}, up {} s", core.release, core.uptime_s)?;
    if let Some(fault) = &core.fault {
        writeln!(out, "fault   {fault}")?;
    }
    if let Some(from) = &core.moved_from {
        writeln!(out, "moved   from {from}: if a core still runs there, stop one of the two")?;
    }
    writeln!(out, "store   {}", core.store)?;
    writeln!(out, "version {} of epoch {}, chain {}", core.version, core.epoch, core.chain)?;
    for fork in &core.forks {
        writeln!(out, "restored on {}: epoch {} begins at version {}", day(fork.time), fork.epoch, fork.version)?;
    }
    writeln!(out, "zones   {}", core.zones)?;
    if let Some(other) = &core.imported_elsewhere {
        writeln!(
            out,
            "folder  the zone files of this core are not imported, those of {other} are: `zonecast cluster import-at`"
        )?;
    }
    show_vitals(core.vitals.as_ref(), &core.data, out)?;
    core.edges.iter().try_for_each(|edge| show_known(edge, out))
}

/// State of an edge as the core knows it.
fn show_known(edge: &EdgeInfo, out: &mut dyn Write) -> io::Result<()> {
    let connected = if edge.connected { "connected" } else { "not connected" };
    let expected = if edge.expected { "" } else { ", not expected" };
    let via = edge.via.as_ref().map(|via| format!(" through {via}")).unwrap_or_default();
    let from = edge.address.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
    let dns = if edge.dns.is_empty() { String::new() } else { format!(", dns {}", edge.dns.join(" ")) };
    let silent = edge.silent_s.map(|silent| format!(", last ack {silent:.0} s ago")).unwrap_or_default();
    writeln!(
        out,
        "{:<7} {}: {connected}{via}{expected}{from}{dns}, applied {}, durable {}, behind {}{silent}",
        edge.role, edge.edge, edge.applied, edge.durable, edge.lag
    )?;
    edge.trouble.as_ref().map_or(Ok(()), |trouble| writeln!(out, "trouble {}: {trouble}", edge.edge))
}

/// Process and machine of a node.
fn show_vitals(vitals: Option<&Vitals>, data: &str, out: &mut dyn Write) -> io::Result<()> {
    let Some(vitals) = vitals else { return Ok(()) };
    if let Some(certificate) = &vitals.certificate {
        let left = certificate.not_after.saturating_sub(seconds(vitals.now));
        let state = match (certificate.revoked, left) {
            (true, _) => "REVOKED".into(),
            (false, 0) => "EXPIRED".into(),
            (false, left) => format!("{} days left", left / DAY),
        };
        writeln!(out, "cert    {}, until {}, {state}", certificate.node, day(certificate.not_after))?;
    }
    if let Some(disk) = vitals.disk {
        let (free, total, used) = (size(disk.free_bytes), size(disk.total_bytes), size(disk.used_bytes));
        writeln!(out, "disk    {data}: takes {used}, {free} of {total} free")?;
    }
    let limit = vitals.max_files.map(|max| format!(" of {max}")).unwrap_or_default();
    let (pid, memory) = (vitals.pid, size(vitals.memory_bytes));
    writeln!(out, "process {pid}, {memory} of memory, {}{limit} files open", vitals.open_files)
}

/// Whole seconds of a time.
fn seconds(time: f64) -> u64 {
    Duration::try_from_secs_f64(time).unwrap_or_default().as_secs()
}

fn show_edge(edge: &EdgeNode, out: &mut dyn Write) -> io::Result<()> {
    let ready = if edge.ready { "ready" } else { "not ready yet" };
    writeln!(out, "{:<7} {} {} {ready}, up {} s", edge.role, edge.edge, edge.release, edge.uptime_s)?;
    if let Some(fault) = &edge.fault {
        writeln!(out, "fault   {fault}")?;
    }
    let silent = edge.silent_s.map_or("never heard".into(), |silent| format!("heard {silent:.1} s ago"));
    let path = if edge.path.is_empty() { String::new() } else { format!(", by {}", edge.path.join(", ")) };
    writeln!(out, "core    {}, {silent}{path}", edge.following)?;
    if let Some(stale) = edge.stale_s {
        writeln!(out, "fresh   a majority of the cores confirmed what it knows {stale:.1} s ago")?;
    }
    if let Some(trouble) = &edge.trouble {
        writeln!(out, "trouble {trouble}")?;
    }
    if let Some(twin) = &edge.twin {
        writeln!(out, "trouble {twin}")?;
    }
    let behind = edge.head.saturating_sub(edge.version);
    writeln!(out, "store   {}", if edge.store.is_empty() { "no copy yet" } else { &edge.store })?;
    writeln!(out, "version {} of epoch {}, chain {}, behind {behind}", edge.version, edge.epoch, edge.chain)?;
    writeln!(out, "durable {}", edge.durable)?;
    if !edge.keyspaces.is_empty() {
        let others = if edge.holds_others { "; its copy still holds others" } else { "" };
        writeln!(out, "holds   {}{others}", edge.keyspaces.join(", "))?;
    }
    writeln!(out, "zones   {}", edge.zones)?;
    if !edge.dns.is_empty() {
        writeln!(out, "dns     {}", edge.dns.join(" "))?;
    }
    if let Some(quic) = &edge.quic {
        writeln!(out, "quic    {quic}")?;
    }
    show_vitals(edge.vitals.as_ref(), &edge.data, out)?;
    edge.edges.iter().try_for_each(|below| show_known(below, out))
}
