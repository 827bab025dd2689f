//! Compares the zones in the store with the listed zones.

use std::collections::HashSet;
use std::ops::ControlFlow;

use zonecast_kv_proto::{KeyspaceId, View, ViewError};
use zonecast_records::{CoreZone, Generation, KeyBuffer, KeySection, Name};

use crate::zone::{Origin, StoredZone};

/// Unlisted zones named one by one; the rest is counted.
const MAX_NAMED: usize = 20;

/// Numbers of zones and records in the store, compared with the listed zones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Zones in the store.
    pub zones: u64,
    /// Records in the texts they were made of.
    pub records: u64,
}

impl Holdings {
    /// Counts what is there.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn read(view: &(impl View + ?Sized)) -> Result<Self, ViewError> {
        let mut holdings = Self::default();
        let mut buffer = KeyBuffer::new();
        let lower = buffer.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Zone).to_vec();
        let end = buffer.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Name).to_vec();
        view.scan(&lower, &end, &mut |_, value| {
            let origin = CoreZone::decode(value).ok().and_then(|core| Origin::from_bytes(core.origin));
            holdings.zones += 1;
            holdings.records += origin.map_or(0, |origin| origin.records);
            ControlFlow::Continue(())
        })?;
        Ok(holdings)
    }
}

/// Says which zones of the store are not listed any more: they are kept, since a missing line is a common mistake.
///
/// # Errors
/// The store could not be read.
pub fn warn_of_unlisted(view: &(impl View + ?Sized), listed: impl Iterator<Item = Name>) -> Result<(), ViewError> {
    let listed: HashSet<Name> = listed.collect();
    let zones = StoredZone::list(view, None, usize::MAX)?;
    let mut unlisted = zones.iter().map(|zone| zone.apex).filter(|apex| !listed.contains(apex));
    for apex in unlisted.by_ref().take(MAX_NAMED) {
        tracing::warn!(zone = %apex, "kept and served, though no longer listed; `zonecast zone delete {apex} --allow-shrink` deletes it");
    }
    let more = unlisted.count();
    if more > 0 {
        tracing::warn!(more, "further zones are kept and served, though no longer listed");
    }
    Ok(())
}
