//! The processors of the two sides.

/// Of every server.
pub(super) const SERVER: usize = 0;

/// Of dnsperf.
pub(super) const CLIENT: usize = 1;
