//! Redis with one replica, in each of its ways to make a write durable.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use redis::{Client, Commands as _, Connection};
use zonecast_tests::{Child, free_port, poll_until};

const PROGRAM: &str = "/usr/bin/redis-server";

/// How long a server may take to answer, and a replica to follow.
const READY: Duration = Duration::from_secs(30);

/// How it makes writes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Not at all.
    None,
    /// The append-only file, synced each second.
    EverySecond,
    /// The append-only file, synced before each answer.
    Always,
}

/// A primary and its replica, ended when dropped.
pub(crate) struct Redis {
    _replica: Child,
    _primary: Child,
    ports: [u16; 2],
    configuration: String,
}

impl Durability {
    /// In reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no persistence",
            Self::EverySecond => "appendfsync everysec",
            Self::Always => "appendfsync always",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::None => &["--save", "", "--appendonly", "no"],
            Self::EverySecond => &["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"],
            Self::Always => &["--save", "", "--appendonly", "yes", "--appendfsync", "always"],
        }
    }
}

impl Redis {
    /// What it says of itself; nothing if it is not installed.
    pub(crate) fn version() -> Option<String> {
        let output = Command::new(PROGRAM).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
    }

    /// Starts both and waits until the replica follows.
    pub(crate) fn start(folder: &Path, durability: Durability) -> anyhow::Result<Self> {
        let ports = [free_port(), free_port()];
        let [port, replica_port] = ports;
        let primary = spawn(&folder.join("primary"), port, durability.options())?;
        let primary_port = port.to_string();
        // A change reaches the replica at once, without waiting for more to send with it.
        let follow = ["--replicaof", "127.0.0.1", &primary_port, "--repl-diskless-sync-delay", "0"];
        let replica = spawn(&folder.join("replica"), replica_port, &[durability.options(), &follow].concat())?;
        let configuration = format!(
            "# Redis {}\nredis-server {}\nredis-server {} {}",
            Self::version().unwrap_or_default(),
            durability.options().join(" "),
            durability.options().join(" "),
            follow.join(" ")
        );
        let redis = Self { _replica: replica, _primary: primary, ports, configuration };
        let [mut first, mut second] = redis.connections()?;
        let mut number = 0;
        let follows = || {
            number += 1;
            let _: () = first.set("ready", number).ok()?;
            second.get("ready").ok().filter(|seen: &Option<u64>| *seen == Some(number))
        };
        poll_until(Instant::now() + READY, follows).context("the replica does not follow")?;
        Ok(redis)
    }

    /// What both were told, for the report.
    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    /// Times from a set until the replica has it, one at a time: the replica is asked without pause.
    pub(crate) fn set_until_replicated(&self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let [mut primary, mut replica] = self.connections()?;
        let mut times = Vec::with_capacity(count);
        for number in 0..count {
            let key = format!("key-{}", number % 1_000);
            let started = Instant::now();
            let _: () = primary.set(&key, number)?;
            while replica.get::<_, Option<usize>>(&key)? != Some(number) {}
            times.push(started.elapsed());
        }
        Ok(times)
    }

    fn connections(&self) -> anyhow::Result<[Connection; 2]> {
        let [first, second] = self.ports.map(|port| {
            let client = Client::open((Ipv4Addr::LOCALHOST.to_string(), port))?;
            poll_until(Instant::now() + READY, || client.get_connection().ok()).context("Redis does not answer")
        });
        Ok([first?, second?])
    }
}

fn spawn(folder: &Path, port: u16, options: &[&str]) -> anyhow::Result<Child> {
    std::fs::create_dir_all(folder)?;
    Ok(Child::spawn(Path::new(PROGRAM), |command| {
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(folder).args(options);
        command.stdout(Stdio::null()).stderr(Stdio::null());
    })?)
}
