//! The machine that a run is made on: what it is, and whether something else was using it.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

/// How long the machine is watched before a run.
const WATCHED: Duration = Duration::from_millis(300);
/// Part of all processors that others may use before a run is marked.
const BUSY: f64 = 0.1;
/// Part of the time that the hypervisor may give to others during a run before it is marked.
const STOLEN: f64 = 0.02;

/// The machine in one line: processors, memory, kernel.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpus = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |it| it.1);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")).unwrap_or("0");
    let gib = memory.parse::<u64>().unwrap_or(0).div_ceil(1024 * 1024);
    format!("{cpus} x {model}, {gib} GiB, Linux {}", kernel.trim())
}

/// Commit of the tree that this was built in and is run in; `+` when there were changes.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    format!("{commit}{}", if changed { "+" } else { "" })
}

/// Makes the kernel forget the contents of all files, so that they are read from the disk again.
pub(crate) fn drop_page_cache() -> anyhow::Result<()> {
    // What is not written yet stays in memory.
    Command::new("sync").status()?;
    fs::write("/proc/sys/vm/drop_caches", "3").context("the page cache can be dropped by root alone")
}

/// The day, `2026-01-31` (UTC); empty where `date` is missing.
pub(crate) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    output.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Watches what else uses the machine, from before a run to its end.
#[derive(Debug)]
pub(crate) struct NoiseWatch {
    busy: f64,
    start: Ticks,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl NoiseWatch {
    /// To be called when the run has not begun: what is busy now is something else.
    pub(crate) fn start() -> Self {
        let before = Ticks::now();
        thread::sleep(WATCHED);
        let start = Ticks::now();
        let passed = start.since(before);
        Self { busy: 1.0 - part(passed.idle, passed.all), start }
    }

    /// Whether figures made since are to be marked.
    pub(crate) fn is_noisy(&self) -> bool {
        let passed = Ticks::now().since(self.start);
        self.busy > BUSY || part(passed.stolen, passed.all) > STOLEN
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?");
        let passed = Ticks::now().since(self.start);
        let stolen = 100.0 * part(passed.stolen, passed.all);
        format!("load {load}, {:.0} % busy before, {stolen:.1} % stolen", 100.0 * self.busy)
    }
}

impl Ticks {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal: proc(5).
        let ticks: Vec<u64> = line.split_ascii_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok()).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        Self { all: ticks.iter().sum(), idle: at(3) + at(4), stolen: at(7) }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            all: self.all.saturating_sub(earlier.all),
            idle: self.idle.saturating_sub(earlier.idle),
            stolen: self.stolen.saturating_sub(earlier.stolen),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "ticks of minutes")]
fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}
