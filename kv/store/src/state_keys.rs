//! Column families and keys of a voter's state.
//!
//! # Format
//! | column family | key | value |
//! |---|---|---|
//! | `published` | key | value; what edges hold |
//! | `private` | key | value; what they never see |
//! | `batches` | version, 8 bytes | the encoded version: the batch log |
//! | `meta` | `head` | [`Head`](zonecast_kv_proto::Head) |
//! | | `applied`, `membership` | of the raft log, as the caller gave them |
//! | | `e`, keyspace (2), partition (8) | edition of the section, 8 bytes |
//! | | `f`, epoch (8) | the fork that began it: a version |
//! | | `s`, version (8) | bytes of the batch log's segment that begins there, 8 bytes |
//! | `requests` | [`RequestId`](zonecast_kv_proto::RequestId): key (16), scope (16) | [`RequestRecord`](zonecast_kv_proto::RequestRecord) |
//!
//! Numbers are big-endian.

use zonecast_kv_proto::{SectionId, Version};

pub(crate) const PUBLISHED: &str = "published";
pub(crate) const PRIVATE: &str = "private";
pub(crate) const BATCHES: &str = "batches";
pub(crate) const META: &str = "meta";
/// A family of its own: records come and go in the order of time, and editions are looked up beside them.
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const FAMILIES: [&str; 5] = [PUBLISHED, PRIVATE, BATCHES, META, REQUESTS];

pub(crate) const HEAD: &[u8] = b"head";
pub(crate) const APPLIED: &[u8] = b"applied";
pub(crate) const MEMBERSHIP: &[u8] = b"membership";
/// Followed by the epoch.
pub(crate) const FORK: &[u8] = b"f";

/// Followed by a version.
pub(crate) const SEGMENT: &[u8] = b"s";

pub(crate) fn edition_key(section: SectionId) -> Vec<u8> {
    [&b"e"[..], &section.keyspace.get().to_be_bytes(), &section.partition.to_be_bytes()].concat()
}

pub(crate) fn segment_key(first: Version) -> Vec<u8> {
    [SEGMENT, &first.get().to_be_bytes()].concat()
}
