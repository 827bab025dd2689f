//! What a node does to give changes to so many downstreams: how long one round over all of them takes, and whether it
//! still writes each change by itself or puts several into one write.

use super::inputs::{HEARTBEAT, Inputs, PACKET_BODY, PACKET_HEAD, REST_MS};

/// A node that is busy with sending for more of the time than this, on all its processors, combines.
const BUSY: f64 = 0.5;

/// The downstream side of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sending {
    /// From the first downstream to the last.
    pub(super) round_ms: f64,
    /// The longest wait until the next write to a downstream.
    pub(super) rest_ms: f64,
    /// Writes to each downstream in a second.
    pub(super) writes: f64,
    /// Processors that it keeps busy.
    pub(super) processors: f64,
    /// Bytes that it sends in a second, heads of packets included.
    pub(super) bytes: f64,
}

impl Sending {
    /// To so many downstreams.
    pub(super) fn to(downstreams: f64, inputs: &Inputs) -> Self {
        let Inputs { changes, change_bytes, processors, send_us, .. } = *inputs;
        let round_ms = downstreams * send_us / processors / 1000.0;
        let combines = changes * round_ms / 1000.0 > BUSY;
        let rest_ms = if combines { REST_MS } else { 0.0 };
        let writes = if combines { changes.min(1000.0 / REST_MS) } else { changes };
        let packets = if writes > 0.0 { writes * (changes / writes * change_bytes / PACKET_BODY).ceil() } else { 0.0 };
        let to_each = changes * change_bytes + packets * PACKET_HEAD + HEARTBEAT + PACKET_HEAD;
        Self {
            round_ms,
            rest_ms,
            writes,
            processors: downstreams * writes * send_us / 1e6,
            bytes: downstreams * to_each,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_downstreams_get_each_change_by_itself() {
        let inputs = Inputs { changes: 100.0, change_bytes: 300.0, processors: 1.0, ..Inputs::default() };
        let sending = Sending::to(100.0, &inputs);
        assert!((sending.round_ms - 1.64).abs() < 1e-9);
        assert!((sending.writes - 100.0).abs() < 1e-9 && sending.rest_ms.abs() < 1e-9);
        assert!((sending.processors - 0.164).abs() < 1e-9);
        // 100 packets with a change each, and a heartbeat.
        assert!((sending.bytes - 100.0 * (100.0 * 383.0 + 162.0)).abs() < 1e-6);
    }

    #[test]
    fn a_busy_node_combines() {
        let inputs = Inputs { changes: 100.0, processors: 1.0, ..Inputs::default() };
        let sending = Sending::to(1_000.0, &inputs);
        assert!((sending.writes - 10.0).abs() < 1e-9 && (sending.rest_ms - 100.0).abs() < 1e-9);
        let calm = Sending::to(1_000.0, &Inputs { processors: 4.0, ..inputs });
        assert!(calm.rest_ms.abs() < 1e-9);
        assert!(sending.bytes < calm.bytes);
    }
}
