//! Sections whose editions say whether a zone is as it was when a batch was built.
//!
//! A zone that is there has two, published and private, under its id. One that is not there has no id yet: two that are
//! made under one apex at the same time would have two. So whatever makes a zone also touches a private section of the
//! apex, and requires that nothing else has.

use zonecast_kv_proto::{Batch, KeyspaceId, Section, SectionId};
use zonecast_records::{Name, ZoneId};

use crate::zone_keys::zone_key;

/// Set in the partitions of apexes: ids of zones count up from 1 and never get there.
const OF_AN_APEX: u64 = 1 << 63;

/// The sections of a zone, published first. Every batch on the zone touches one of them.
#[must_use]
pub fn zone_sections(id: ZoneId) -> [SectionId; 2] {
    [KeyspaceId::DNS, KeyspaceId::CORE].map(|keyspace| SectionId { keyspace, partition: id.get() })
}

/// The section that every batch touches which makes a zone at this apex. Two apexes may share one: that costs a retry.
#[must_use]
pub fn creation_section(apex: &Name) -> SectionId {
    let hash = blake3::hash(apex.to_lowercase().as_wire());
    let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    SectionId { keyspace: KeyspaceId::CORE, partition: number | OF_AN_APEX }
}

/// Puts the private key of a new zone into the section of its apex. `flip` is the batch that puts the keys of the zone.
#[must_use]
pub fn creating(mut flip: Batch, apex: &Name) -> Batch {
    let key = zone_key(KeyspaceId::CORE, apex);
    let mut moved = vec![];
    for section in &mut flip.sections {
        moved.extend(section.ops.extract_if(.., |op| *op.key() == key));
    }
    flip.sections.retain(|section| !section.ops.is_empty());
    flip.sections.push(Section { id: creation_section(apex), ops: moved });
    flip
}
