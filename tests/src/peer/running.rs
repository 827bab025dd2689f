//! A running peer.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::base::iana::{OptRcode, Rtype};
use tempfile::TempDir;
use thiserror::Error;

use super::Software;
use super::software::Setup;
use anyhow::Context;

use crate::{Asker, Child, HostedZone, Mode, Question, Recursion, ZoneData, free_port, poll_until, transfer};

/// How long a server may take to load its zones on a busy machine.
const LOAD_DEADLINE: Duration = Duration::from_secs(15);

/// How many ports are tried.
const ATTEMPTS: usize = 5;

/// A server that could not be started.
#[derive(Debug, Error)]
pub enum PeerError {
    /// Not installed.
    #[error("{program} is not installed, and these tests compare with it: run `apt-get install -y {package}`")]
    Missing {
        /// Program.
        program: &'static str,
        /// Debian package.
        package: &'static str,
    },
    /// Its folder could not be prepared.
    #[error("cannot prepare its folder: {0}")]
    Io(#[from] io::Error),
    /// It ended, or did not answer in time.
    #[error("{software:?} does not serve {zone}; its log ends:\n{log}")]
    NotServing {
        /// Which.
        software: Software,
        /// The first zone that it does not answer for.
        zone: String,
        /// The last lines that it wrote.
        log: String,
    },
}

/// A running server, ended when dropped.
pub struct Peer {
    software: Software,
    address: SocketAddr,
    _child: Child,
    _folder: TempDir,
}

impl Peer {
    /// Starts a server with these zones and waits until it serves them all.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub fn start(software: Software, zones: &[HostedZone]) -> Result<Self, PeerError> {
        Self::start_with(software, zones, &[])
    }

    /// The same, with zones as well that it cannot load.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub fn start_with(software: Software, zones: &[HostedZone], broken: &[HostedZone]) -> Result<Self, PeerError> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_once(software, (zones, broken), free_port()) {
                Err(error @ PeerError::NotServing { .. }) if error.to_string().contains("in use") => last = Some(error),
                other => return other,
            }
        }
        Err(last.expect("at least one attempt"))
    }

    fn start_once(
        software: Software,
        (zones, broken): (&[HostedZone], &[HostedZone]),
        port: u16,
    ) -> Result<Self, PeerError> {
        let all = [zones, broken].concat();
        let program = software.program()?;
        let folder = tempfile::Builder::new().prefix("zonecast-peer-").tempdir()?;
        let setup = Setup { folder: folder.path(), port, zones: &all };
        let config = folder.path().join("server.conf");
        std::fs::write(&config, software.config(&setup))?;
        let log_path = folder.path().join("output.log");
        let log = File::create(&log_path)?;
        let errors = log.try_clone()?;
        let mut child = Child::spawn(&program, |command| {
            command.args(software.arguments(&config, port)).current_dir(folder.path()).stdout(log).stderr(errors);
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let Some(zone) = wait_until_served(address, zones, &mut child) {
            return Err(PeerError::NotServing { software, zone, log: tail(&log_path) });
        }
        Ok(Self { software, address, _child: child, _folder: folder })
    }

    /// Which it is.
    #[must_use]
    pub fn software(&self) -> Software {
        self.software
    }

    /// The zones as it has them. Ask Knot or BIND: NSD sends no end of empty messages for a record of 60,000 bytes.
    ///
    /// # Errors
    /// A transfer fails.
    pub fn zones(&self, zones: &[HostedZone]) -> anyhow::Result<Vec<ZoneData>> {
        let transfer = |zone: &HostedZone| {
            transfer(self.address, &zone.apex).with_context(|| format!("transfer of {}", zone.apex))
        };
        zones.iter().map(transfer).collect()
    }

    /// Where it answers over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Asks for the SOA of each zone until all are answered; the first zone that is not in time.
fn wait_until_served(address: SocketAddr, zones: &[HostedZone], child: &mut Child) -> Option<String> {
    let deadline = Instant::now() + LOAD_DEADLINE;
    let asker = Asker::new(address, Recursion::Off);
    for zone in zones {
        let question = Question { name: zone.apex.clone(), rtype: Rtype::SOA };
        let served = poll_until(deadline, || {
            let reply = asker.ask(&question, Mode::Tcp);
            let has_it = reply.is_ok_and(|reply| reply.rcode == OptRcode::NOERROR && !reply.answer.is_empty());
            (has_it || child.ended().is_some()).then_some(has_it)
        });
        if served != Some(true) {
            return Some(zone.apex.to_string());
        }
    }
    None
}

fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
