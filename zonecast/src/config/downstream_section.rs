//! `[downstream]` of a relay, and of an edge that is one besides.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use zonecast_kv_edge::EdgeOptions;

/// The same as at a core: 256 MiB.
const DEFAULT_BATCH_LOG_MIB: NonZeroU32 = NonZeroU32::new(256).expect("it is not 0");

/// Where other nodes follow this one.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DownstreamSection {
    /// Address at which edges and other relays connect over QUIC.
    pub quic: SocketAddr,
    /// Size in MiB of the newest changes that are kept on disk for nodes that were away. A node that missed more loads
    /// a snapshot of everything.
    #[serde(default = "default_batch_log_mib")]
    pub batch_log_mib: NonZeroU32,
}

fn default_batch_log_mib() -> NonZeroU32 {
    DEFAULT_BATCH_LOG_MIB
}

impl DownstreamSection {
    /// At this address, with everything else as it is by default.
    pub(crate) fn at(quic: SocketAddr) -> Self {
        Self { quic, batch_log_mib: DEFAULT_BATCH_LOG_MIB }
    }

    /// What the copy keeps for them.
    pub(crate) fn store(&self) -> EdgeOptions {
        EdgeOptions { batch_log_bytes: u64::from(self.batch_log_mib.get()) << 20, ..EdgeOptions::default() }
    }
}
