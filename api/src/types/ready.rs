//! The line that a node prints when it is ready.

use serde::{Deserialize, Serialize};

/// The one line of a node that is ready, with `--json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// The event, always `ready`.
    pub event: String,
    /// `core`, `relay`, `edge`, or `dev` for cores and edges in one process.
    pub role: String,
    /// Where each edge answers DNS over UDP and TCP.
    pub dns: Vec<String>,
    /// The address where HTTP listens.
    pub http: String,
    /// Where edges connect, if they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<String>,
    /// Where all of it is stored.
    pub data: String,
    /// Number of zones served.
    pub zones: u64,
    /// Records in the zones that were listed and loaded.
    pub records: u64,
    /// Zones that were listed and refused.
    pub refused: u64,
    /// Zones that were listed and are as they were, because their file would have taken away too much.
    #[serde(default)]
    pub held: u64,
    /// From the start of the process.
    pub seconds: f64,
    /// The version that all edges serve.
    pub version: u64,
    /// The cores of the cluster, if there are several; `http` and `quic` are those of the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<ReadyCore>,
    /// The processes behind it, if it is not one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
}

impl Ready {
    /// The same for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Self {
            event,
            role,
            dns,
            http,
            quic,
            data,
            zones,
            records,
            refused,
            held,
            seconds,
            version,
            cores,
            processes,
        } = self;
        let dns = if dns.is_empty() { String::new() } else { format!(" dns={}", dns.join(",")) };
        let quic = quic.as_ref().map(|quic| format!(" quic={quic}")).unwrap_or_default();
        let counts = format!(" records={records} refused={refused} held={held}");
        let records = if role == "edge" || role == "relay" { String::new() } else { counts };
        let cores: Vec<String> = cores.iter().map(|core| format!("{}@{}", core.name, core.http)).collect();
        let cores = if cores.is_empty() { String::new() } else { format!(" cores={}", cores.join(",")) };
        let pids: Vec<String> = processes.iter().map(|Process { name, pid }| format!("{name}:{pid}")).collect();
        let pids = if pids.is_empty() { String::new() } else { format!(" pids={}", pids.join(",")) };
        format!(
            "{event} role={role}{dns} http={http}{quic} zones={zones}{records} seconds={seconds:.2} \
             version={version} data={data}{cores}{pids}"
        )
    }
}

/// A core of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyCore {
    /// Its name, from its certificate.
    pub name: String,
    /// The address where its HTTP listens.
    pub http: String,
    /// Where edges and other cores connect.
    pub quic: String,
}

/// A process that was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The name of its node.
    pub name: String,
    /// The id of the process.
    pub pid: u32,
}
