//! `zonecast dev` as a child process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use zonecast_tests::zonecast_binary;

/// How long a stop may take, as `zonecast dev` promises.
const STOP: Duration = Duration::from_secs(10);

/// A running `zonecast dev`, stopped when dropped.
pub(crate) struct Dev {
    child: Child,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    /// From the start of the process until it said so.
    pub(crate) took: Duration,
}

impl Dev {
    /// Starts the binary and waits until all zones are served.
    pub(crate) fn start(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<Self> {
        let binary = zonecast_binary()?;
        let started = Instant::now();
        // The child goes when this process goes, however that happens. It stays in the group of this process, so that
        // Ctrl-C reaches it, too, and it can clean up: that is why the tests' way to start a child is not taken.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&binary)
            .args(["dev", "--json", "--log-level", "warn"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let output = child.stdout.take().context("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let took = started.elapsed();
        if line.is_empty() {
            bail!("zonecast dev ended before it was ready: {}", child.wait()?);
        }
        let ready = serde_json::from_str(&line).with_context(|| format!("not the ready line: {line}"))?;
        Ok(Self { child, ready, took })
    }

    /// DNS address of each edge.
    pub(crate) fn edges(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let edges = self.ready.get("dns").and_then(Value::as_array).context("ready line without dns addresses")?;
        edges.iter().map(|edge| Ok(edge.as_str().context("a dns address is text")?.parse()?)).collect()
    }

    /// Address of the API.
    pub(crate) fn http(&self) -> anyhow::Result<String> {
        Ok(self.ready.get("http").and_then(Value::as_str).context("ready line without http address")?.to_owned())
    }

    /// Largest resident memory so far in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    }

    /// Waits until the process ends by itself.
    pub(crate) fn wait(mut self) -> anyhow::Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits for that.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "zonecast dev ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("zonecast dev did not stop within {STOP:?}")
    }

    fn terminate(&self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        Ok(())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
