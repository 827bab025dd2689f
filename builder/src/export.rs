//! The records of a present zone, read back from its keys.

use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Value, View};
use zonecast_records::{CoreZone, Name, Path, RecordRef, ZoneSettings};

use crate::present::{OwnedNode, PresentNode};
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::shape::{ZoneIdentity, hash_label};
use crate::zone_keys::{PresentZone, sections, zone_key};

/// What is known of a present zone without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneInfo {
    /// In the letter case of the source.
    pub apex: Name,
    /// Under which its keys stand.
    pub identity: ZoneIdentity,
    /// As set by the importer, see [`crate::Settings::with_origin`].
    pub origin: Vec<u8>,
    /// What was chosen for it.
    pub settings: ZoneSettings,
}

/// Looks up a present zone.
///
/// # Errors
/// The keys could not be read.
pub fn zone_info(view: &dyn View, apex: &Name) -> Result<Option<ZoneInfo>, ReadError> {
    let zone = PresentZone::read(view, apex)?;
    Ok(zone.map(|zone| ZoneInfo {
        apex: zone.shape.apex,
        identity: zone.shape.identity,
        origin: zone.settings.origin().to_vec(),
        settings: zone.settings.zone(),
    }))
}

/// Chooses other settings for the zone at `apex`; empty when they are those it has. They say what later changes do, so
/// nothing that is published changes.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn change_settings(view: &dyn View, apex: &Name, settings: ZoneSettings) -> Result<Batch, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    if zone.settings.zone() == settings {
        return Ok(Batch::default());
    }
    let core = CoreZone::decode(&zone.keys.private).map_err(|_| ReadError::counts(apex))?;
    let value = Value::new(core.with_settings(settings).encode()).expect("no larger than it was");
    let put = Op::Put { key: zone_key(KeyspaceId::CORE, apex), value };
    Ok(Batch { preconditions: vec![], sections: sections(zone.shape.identity, vec![], vec![put]) })
}

/// Shows every record of the zone at `apex`, hidden ones included, with its own TTL and in the letter case of the
/// source: the SOA first, then names in canonical order, NSEC3 records last. Ends early when `visit` breaks.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn export(
    view: &dyn View,
    apex: &Name,
    mut visit: impl FnMut(RecordRef<'_>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let reader = Reader::new(view, &zone);
    let flow = reader.for_each_node(|path, present| {
        let node = reader.read(path, present)?;
        Ok(show(&node, &zone.shape.name(path, &node.owner), &mut visit))
    })?;
    if flow.is_break() {
        return Ok(());
    }
    reader.for_each_nsec3(|hash, (key, value)| {
        let path_bytes = [hash_label(hash).as_bytes(), &[0]].concat();
        let path = Path::new(&path_bytes).ok_or(ReadError::counts(&zone.shape.apex))?;
        let mut present = PresentNode { entries: reader.core_key(path)? };
        present.entries.push((key.to_vec(), value.to_vec()));
        let node = present.read(None)?;
        Ok(show(&node, &zone.shape.name(path, &node.owner), &mut visit))
    })
}

/// Shows every record at one name, hidden ones included.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn read_name(
    view: &dyn View,
    apex: &Name,
    owner: &Name,
    mut visit: impl FnMut(RecordRef<'_>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    if !owner.is_within(&zone.shape.apex) {
        return Ok(());
    }
    let reader = Reader::new(view, &zone);
    let path = zone.shape.path_of(owner);
    if let Some(path) = Path::new(&path) {
        let node = reader.read(path, &reader.load(path)?)?;
        let _ = show(&node, &zone.shape.name(path, &node.owner), &mut visit);
    }
    Ok(())
}

fn show(node: &OwnedNode, owner: &Name, visit: &mut dyn FnMut(RecordRef<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    let (soa, others): (Vec<_>, Vec<_>) = node.rrs.iter().partition(|rr| rr.rtype == Rtype::SOA);
    for rr in soa.into_iter().chain(others) {
        visit(RecordRef { owner, rtype: rr.rtype, ttl: rr.ttl, rdata: &rr.rdata })?;
    }
    ControlFlow::Continue(())
}
