//! What the model is made of. Costs are from the runs in docs/benchmarks, limits from the code; everything else is an
//! assumption. docs/scale.md has the reasons.

use clap::Args;
use serde::Serialize;

use super::region::Region;

/// Milliseconds that a node with several versions waiting rests between two writes at most: `MAX_REST` of
/// `kv/proto/src/publisher.rs`.
pub(super) const REST_MS: f64 = 100.0;

/// Connections of a publisher: `max_connections` of `kv/transport/src/publisher_options.rs`.
pub(super) const MAX_CONNECTIONS: f64 = 4_096.0;

/// Edges of which a relay tells a new upstream in a second, each by name: `PER_EDGE` of `kv/edge/src/edge_reports.rs`.
pub(super) const NEWS_A_SECOND: f64 = 10_000.0;

/// Edges that a relay tells of together at least, and acks of single ones that it passes on in a second: `FOLD_FROM` of
/// `kv/proto/src/fold.rs` and `PER_EDGE_BEHIND` of `kv/edge/src/edge_reports.rs`.
pub(super) const FOLD_FROM: f64 = 32.0;
pub(super) const SINGLE_A_SECOND: f64 = 1_000.0;

/// Longest time between two acks of an edge, and what a publisher asks for with each of its edges, in seconds.
pub(super) const ACK_EVERY: [f64; 2] = [0.001, 0.005];
pub(super) const ACK_EVERY_PER_EDGE: f64 = 0.000_1;

/// Edges of which a relay may speak: `MAX_REPORTED` of `kv/proto/src/reported_edges.rs`; and that a node can know:
/// `MAX_EDGES` of `kv/proto/src/acks.rs`.
pub(super) const MAX_REPORTED: f64 = 16_384.0;
pub(super) const MAX_EDGES: f64 = 131_072.0;

/// Bytes of a packet that are no frames: IPv6 40, UDP 8, QUIC header 11 and tag 16, head of a STREAM frame 8.
pub(super) const PACKET_HEAD: f64 = 83.0;

/// Bytes of frames in a packet.
pub(super) const PACKET_BODY: f64 = 1_150.0;

/// Bytes of a heartbeat, once a second.
pub(super) const HEARTBEAT: f64 = 79.0;

/// Inputs of the model.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Inputs {
    /// Edges, in all cities alike.
    #[arg(long, default_value_t = 90_000, value_name = "N")]
    pub(super) nodes: u32,
    /// Cities, in all regions alike.
    #[arg(long, default_value_t = 330, value_name = "N", value_parser = clap::value_parser!(u32).range(10..))]
    pub(super) cities: u32,
    /// Region of the cores.
    #[arg(long, value_enum, default_value = "washington", value_name = "REGION")]
    pub(super) core: Region,
    /// Changes a second.
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    pub(super) changes: f64,
    /// Bytes of a change as it is sent to an edge.
    #[arg(long, default_value_t = 280.0, value_name = "BYTES")]
    pub(super) change_bytes: f64,
    /// Part of the packets that are lost, on every way.
    #[arg(long, default_value_t = 0.001, value_name = "PART")]
    pub(super) loss: f64,
    /// Processors of a core and of a relay.
    #[arg(long, default_value_t = 4.0, value_name = "N")]
    pub(super) processors: f64,
    /// A durable change at three voters: median, in ms.
    #[arg(long, default_value_t = 1.18, value_name = "MS")]
    pub(super) commit_p50: f64,
    /// A durable change at three voters: 99th percentile, in ms.
    #[arg(long, default_value_t = 1.81, value_name = "MS")]
    pub(super) commit_p99: f64,
    /// Round trip between the voters, in ms.
    #[arg(long, default_value_t = 1.0, value_name = "MS")]
    pub(super) voters_apart: f64,
    /// One hop without the way: sent, checked, applied, shown or passed on: median, in ms.
    #[arg(long, default_value_t = 1.6, value_name = "MS")]
    pub(super) hop_p50: f64,
    /// One hop without the way: 99th percentile, in ms.
    #[arg(long, default_value_t = 2.2, value_name = "MS")]
    pub(super) hop_p99: f64,
    /// Processor time of one write to one downstream, in us.
    #[arg(long, default_value_t = 16.4, value_name = "US")]
    pub(super) send_us: f64,
    /// Changes a second that one raft group takes.
    #[arg(long, default_value_t = 9_266.0, value_name = "N")]
    pub(super) group_changes: f64,
    /// Bytes of a record on the disk of an edge.
    #[arg(long, default_value_t = 7.94, value_name = "BYTES")]
    pub(super) record_disk_bytes: f64,
    /// Bytes of a record in a snapshot on its way.
    #[arg(long, default_value_t = 49.0, value_name = "BYTES")]
    pub(super) record_sent_bytes: f64,
    /// Millions of bytes of a snapshot that a new edge loads in a second.
    #[arg(long, default_value_t = 132.0, value_name = "MB")]
    pub(super) bootstrap_rate: f64,
    /// Disk of an edge for its copy, in GB. A snapshot is loaded beside the present copy.
    #[arg(long, default_value_t = 100.0, value_name = "GB")]
    pub(super) disk: f64,
    /// How long a new edge may take to load everything, in minutes.
    #[arg(long, default_value_t = 10.0, value_name = "MINUTES")]
    pub(super) bootstrap_within: f64,
}

#[cfg(test)]
impl Default for Inputs {
    fn default() -> Self {
        use clap::{Args as _, Command, FromArgMatches as _};
        let command = Self::augment_args(Command::new("sim"));
        Self::from_arg_matches(&command.get_matches_from(["sim"])).expect("every input has a default")
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_transport::PublisherOptions;

    use super::*;

    #[test]
    fn limits_are_those_of_the_code() {
        let number = |number: usize| f64::from(u32::try_from(number).unwrap());
        let ours = [REST_MS / 1000.0, ACK_EVERY[0], ACK_EVERY[1], MAX_CONNECTIONS, MAX_REPORTED, MAX_EDGES, FOLD_FROM];
        let theirs = [
            zonecast_kv_proto::MAX_REST.as_secs_f64(),
            zonecast_kv_proto::LEAST_ACK_EVERY.as_secs_f64(),
            zonecast_kv_proto::ACK_EVERY.as_secs_f64(),
            number(PublisherOptions::default().max_connections),
            number(zonecast_kv_proto::MAX_REPORTED),
            number(zonecast_kv_proto::MAX_EDGES),
            number(zonecast_kv_proto::FOLD_FROM),
        ];
        assert!(ours.iter().zip(theirs).all(|(one, other)| (one - other).abs() < 1e-9), "{ours:?} and {theirs:?}");
    }
}
