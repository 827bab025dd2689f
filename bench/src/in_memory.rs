//! Zones built in this process: what the builder does, without a network or a disk.

use std::ops::ControlFlow;

use anyhow::anyhow;
use bytes::Bytes;
use zonecast_builder::{FullBuild, Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_ingest::read_zone_bytes;
use zonecast_kv_proto::{Key, MemoryView};
use zonecast_records::{Generation, Name, ZoneId};

/// Bytes of a batch: what the core takes at once when it imports.
const BATCH: usize = 1 << 20;

/// Reads a zone file and makes its keys.
pub(crate) fn build(apex: &str, text: &[u8]) -> anyhow::Result<FullBuild> {
    let apex: Name = apex.parse().map_err(|error| anyhow!("{apex}: {error}"))?;
    let mut zone = ZoneSource::new(apex);
    let read = read_zone_bytes("zone", text, &apex, &mut |record, location| {
        zone.push(record, Location::new(location.line));
        ControlFlow::Continue(())
    });
    read.map_err(|errors| anyhow!("{} errors in a generated zone", errors.len()))?;
    let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
    Ok(zone.build(identity, &Settings::default())?)
}

/// The keys of a build, as a store holds them.
pub(crate) fn store(build: FullBuild) -> MemoryView {
    let mut view = MemoryView::new();
    for batch in build.into_batches(BATCH) {
        view.apply(&batch);
    }
    view
}

/// What of it an edge has, in the order of the keys.
pub(crate) fn published(view: &MemoryView) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
    let published = |key: &[u8]| Key::check(key).is_ok_and(|keyspace| keyspace.is_published());
    let entries = view.entries().filter(move |(key, _)| published(key));
    entries.map(|(key, value)| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
}
