//! A name server that runs for as long as its handle lives.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use zonecast_tests::{Child, free_port, poll_until};

use super::powerdns;
use super::software::Software;
use super::wanted::{Place, ServedZone, Setup, Wanted};
use crate::probe::Probe;

/// How long it may take to serve what it was given.
const SERVED: Duration = Duration::from_secs(120);

/// How often another port is tried.
const ATTEMPTS: usize = 5;

/// The process of a name server; it is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    configuration: String,
    started: Instant,
    ready_after: Duration,
}

impl Server {
    /// Starts one that answers from files, on one processor if one is named, and waits until it answers for the last
    /// of its zones.
    pub(crate) fn start(
        software: Software,
        setup: Setup,
        zones: &[ServedZone],
        folder: &Path,
        cpu: Option<usize>,
    ) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let mut server = Self::launch(software, setup, Place::Alone, zones, folder, free_port(), cpu)?;
            match server.wait_served(zones) {
                Ok(()) => return Ok(server),
                Err(error) if taken(folder) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no port is free")))
    }

    /// Starts one in its place; it may not serve anything yet.
    pub(super) fn launch(
        software: Software,
        setup: Setup,
        place: Place,
        zones: &[ServedZone],
        folder: &Path,
        port: u16,
        cpu: Option<usize>,
    ) -> anyhow::Result<Self> {
        let program = software.program().with_context(|| format!("{} is not installed", software.package()))?;
        let config = software.config(&Wanted { setup, place, zones, folder, port })?;
        let version = software.version().unwrap_or_default();
        // Each of them takes this for a comment.
        let configuration = format!("# {} {version}\n{config}", software.name());
        let config = folder.join(if software == Software::PowerDns { "pdns.conf" } else { "server.conf" });
        std::fs::write(&config, &configuration)?;
        let started = Instant::now();
        if software == Software::PowerDns && !folder.join("pdns.lmdb").exists() {
            powerdns::load(folder, zones)?;
        }
        let log = File::create(folder.join("output.log"))?;
        let errors = log.try_clone()?;
        let pinned = cpu.map(|cpu| cpu.to_string());
        let run = if pinned.is_some() { Path::new("/usr/bin/taskset") } else { program.as_path() };
        let child = Child::spawn(run, |command| {
            if let Some(cpu) = &pinned {
                command.args(["-c", cpu]).arg(&program);
            }
            command.args(software.arguments(folder, &config)).current_dir(folder).stdout(log).stderr(errors);
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { child, address, configuration: shortened(&configuration), started, ready_after: Duration::ZERO })
    }

    /// Waits until it answers for the last zone with authority.
    pub(super) fn wait_served(&mut self, zones: &[ServedZone]) -> anyhow::Result<()> {
        let Some(zone) = zones.last() else { return Ok(()) };
        let (address, deadline) = (self.address, Instant::now() + SERVED);
        let served = poll_until(deadline, || {
            let has_it = Probe::serves(address, &zone.apex);
            (has_it || self.child.ended().is_some()).then_some(has_it)
        });
        self.ready_after = self.started.elapsed();
        match served {
            Some(true) => Ok(()),
            Some(false) => bail!("it ended"),
            None => bail!("it does not serve {} within {SERVED:?}", zone.apex),
        }
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// From the start of its process until it answered for its last zone; filling a database counts.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its process; it may have children.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Whether it said that its port is taken.
fn taken(folder: &Path) -> bool {
    let log = std::fs::read(folder.join("output.log")).unwrap_or_default();
    String::from_utf8_lossy(&log).contains("in use")
}

/// Ten thousand zones say no more than a few.
fn shortened(configuration: &str) -> String {
    const LINES: usize = 60;
    let lines: Vec<&str> = configuration.lines().collect();
    let shown = lines.get(..LINES.min(lines.len())).unwrap_or_default().join("\n");
    match lines.len().saturating_sub(LINES) {
        0 => shown,
        more => format!("{shown}\n... and {more} more lines of zones"),
    }
}
