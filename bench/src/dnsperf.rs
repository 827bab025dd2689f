//! Queries from dnsperf, a client that others measure with, too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use zonecast_tests::Child;

const PROGRAM: &str = "/usr/bin/dnsperf";

/// What it needs to run.
#[derive(Clone)]
pub(crate) struct Dnsperf {
    /// Lines of `NAME TYPE`, asked in turn, again and again.
    pub(crate) queries: PathBuf,
    /// Processor that it has to itself.
    pub(crate) cpu: Option<usize>,
}

/// What it saw.
pub(crate) struct Asked {
    /// Queries that were answered.
    pub(crate) answered: f64,
    /// Of all that were sent, so many were not, in percent.
    pub(crate) lost_percent: f64,
    /// Answers per second.
    pub(crate) rate: f64,
}

impl Dnsperf {
    /// Whether it is there.
    pub(crate) fn is_installed() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// As many queries as the server answers, eight clients in one thread.
    pub(crate) fn run(&self, server: SocketAddr, time: Duration) -> anyhow::Result<Asked> {
        let seconds = time.as_secs().max(1).to_string();
        let mut command = match self.cpu {
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &cpu.to_string(), PROGRAM]);
                command
            }
            None => Command::new(PROGRAM),
        };
        command.args(["-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
        command.args(["-c", "8", "-T", "1", "-l", &seconds, "-d"]).arg(&self.queries);
        let output = command.output().context("cannot run dnsperf")?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "dnsperf: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        let number = |label: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
            let word = line.and_then(|rest| rest.split_whitespace().next());
            word.and_then(|word| word.parse::<f64>().ok()).with_context(|| format!("dnsperf does not say {label}"))
        };
        let (sent, answered) = (number("Queries sent:")?, number("Queries completed:")?);
        let lost_percent = 100.0 * (sent - answered).max(0.0) / sent.max(1.0);
        Ok(Asked { answered, lost_percent, rate: number("Queries per second:")? })
    }

    /// So many queries each second, until the child is dropped.
    pub(crate) fn keep_asking(&self, server: SocketAddr, rate: usize) -> anyhow::Result<Child> {
        let (address, port, rate) = (server.ip().to_string(), server.port().to_string(), rate.to_string());
        Ok(Child::spawn(Path::new(PROGRAM), |command| {
            command.args(["-s", &address, "-p", &port, "-Q", &rate, "-c", "4", "-T", "1", "-l", "3600", "-d"]);
            command.arg(&self.queries).stdout(Stdio::null()).stderr(Stdio::null());
        })?)
    }
}
