//! Options of the copy of an edge that an operator may set.

/// How much memory a copy may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Block cache, filters and indexes included.
    pub cache_bytes: usize,
    /// One write buffer; there are up to four.
    pub write_buffer_bytes: usize,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 * 1024 * 1024, write_buffer_bytes: 32 * 1024 * 1024 }
    }
}
