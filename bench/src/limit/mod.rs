//! What the machine can do at most: measured beside zonecast and its peers in the same run.

pub(crate) mod fdatasync;
pub(crate) mod openraft_alone;
pub(crate) mod quic;
pub(crate) mod udp_echo;
