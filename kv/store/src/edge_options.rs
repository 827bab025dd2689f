//! Options of the copy of an edge that an operator may set.

/// How much memory a copy may take, and what of the history it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Block cache, filters and indexes included.
    pub cache_bytes: usize,
    /// One write buffer; there are up to four.
    pub write_buffer_bytes: usize,
    /// Bytes of versions kept for nodes that follow this one; 0 where nobody may. Those further behind take a snapshot.
    pub batch_log_bytes: u64,
}

impl EdgeOptions {
    /// What a relay keeps of the history unless somebody says otherwise: as much as a core.
    pub const BATCH_LOG_BYTES: u64 = 256 * 1024 * 1024;

    /// The same options for a relay.
    #[must_use]
    pub fn of_relay(self) -> Self {
        Self { batch_log_bytes: Self::BATCH_LOG_BYTES, ..self }
    }
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 * 1024 * 1024, write_buffer_bytes: 32 * 1024 * 1024, batch_log_bytes: 0 }
    }
}
