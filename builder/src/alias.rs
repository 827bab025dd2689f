//! A CNAME at an apex, where no CNAME may be (RFC 1912 section 2.4), stands for the addresses of its target: they are
//! found in the store and answered in its place.
//!
//! ```text
//! apex CNAME ──▶ target, through further aliases ──▶ A and AAAA     each name on the way gets an entry: name, zone
//! change of a name ──▶ entries of that name ──▶ zones to look at again ──▶ refresh_alias
//! ```
//! A target that is in no zone of the store, or that only a wildcard makes, has no addresses. An entry that is not on the
//! way any more is deleted by whoever comes across it.

use std::collections::BTreeSet;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Value, View};
use zonecast_records::{ADDRESS_KIND, AliasValue, DnsKey, Generation, KeyBuffer, KeySection, Name, Path, ZoneId};

use crate::change::{Change, ChangeError, SerialTime};
use crate::layer_change::LayerChange;
use crate::node::smallest_ttl;
use crate::ops::{batch_of, laid_over};
use crate::pages::collect;
use crate::present::{OwnedNode, parse};
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::record_build::{RecordBuild, record_build};
use crate::undo::Undo;
use crate::zone_keys::PresentZone;

/// Most aliases between an apex and its addresses, as many as resolvers follow.
const MAX_ALIASES: usize = 8;

/// Where an alias leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Target {
    /// Names on the way, the target first.
    names: Vec<Name>,
    ttl: u32,
    a: Vec<Vec<u8>>,
    aaaa: Vec<Vec<u8>>,
}

/// As [`record_build`]; where the zone flattens an alias at its apex, with the addresses that stand for it after the
/// changes.
///
/// # Errors
/// As [`record_build`].
pub fn flattened_build(
    view: &dyn View,
    apex: &Name,
    changes: &[Change],
    now: SerialTime,
) -> Result<RecordBuild, ChangeError> {
    let built = record_build(view, apex, changes, now)?;
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    if !zone.settings.zone().flatten {
        return Ok(built);
    }
    let overlay = laid_over(&built.batch);
    let after = overlay.over(view);
    let Some((alias, ttl)) = apex_alias(&after, apex)? else { return Ok(built) };
    let Target { names, ttl, a, aaaa } = resolve(&after, &alias, ttl)?;
    let changes = [changes, &[Change::Layer(LayerChange::Flatten { owner: *apex, ttl, a, aaaa })]].concat();
    let mut built = record_build(view, apex, &changes, now)?;
    built.batch.join(entries(view, &zone, &names)?);
    Ok(built)
}

/// Looks again where the alias at an apex leads; `through` is the name whose entry led here, which is deleted if it is
/// not on the way. An empty batch if all is as it was.
///
/// # Errors
/// As [`record_build`]; there may be no such zone any more.
pub fn refresh_alias(view: &dyn View, through: &AliasEntry, now: SerialTime) -> Result<Refreshed, ChangeError> {
    let apex = &through.apex;
    let gone = || batch_of(through.zone, vec![], vec![Op::Delete { key: entry_key(&through.name, through.zone) }]);
    let zone = PresentZone::read(view, apex)?.filter(|zone| zone.shape.identity.id == through.zone);
    let alias = match zone {
        Some(_) => apex_alias(view, apex)?,
        None => None,
    };
    let Some((alias, ttl)) = alias else { return Ok(Refreshed { batch: gone(), undo: None }) };
    let is_on_the_way = resolve(view, &alias, ttl)?.names.contains(&through.name);
    let RecordBuild { mut batch, undo, unchanged, .. } = flattened_build(view, apex, &[], now)?;
    if !is_on_the_way {
        batch.join(gone());
    }
    Ok(Refreshed { batch, undo: (!unchanged).then_some(undo) })
}

/// What a second look at an alias comes to.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Empty if all is as it was.
    pub batch: Batch,
    /// What takes it back, if it changes the zone.
    pub undo: Option<Undo>,
}

/// That the alias of a zone leads through a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AliasEntry {
    /// The name that was looked up on the way to the addresses.
    pub name: Name,
    /// Apex of the zone.
    pub apex: Name,
    /// The id of the zone.
    pub zone: ZoneId,
}

/// Whose aliases lead through a name that a batch changes.
///
/// # Errors
/// The view could not be read.
pub fn aliases_through(view: &dyn View, apex: &Name, batch: &Batch) -> Result<Vec<AliasEntry>, ReadError> {
    if is_empty(view)? {
        return Ok(vec![]);
    }
    let ops = batch.sections.iter().filter(|section| section.id.keyspace == KeyspaceId::DNS);
    let mut names = BTreeSet::new();
    for op in ops.flat_map(|section| &section.ops) {
        let (Op::Put { key, .. } | Op::Delete { key }) = op else { continue };
        let Ok(parsed) = DnsKey::parse(key.as_bytes()) else { continue };
        if parsed.section == KeySection::Name && parsed.generation != Generation::ZONES && parsed.kind == ADDRESS_KIND {
            let path = parsed.node_path().map_err(|source| ReadError::Key { key: key.as_bytes().to_vec(), source })?;
            names.extend(path.to_name(apex));
        }
    }
    let mut found = vec![];
    for name in names {
        found.extend(scan(view, &Path::of(&name, 0, &mut vec![]), false)?);
    }
    Ok(found)
}

/// Whose aliases lead through a name at or below this one.
///
/// # Errors
/// The view could not be read.
pub fn aliases_within(view: &dyn View, name: &Name) -> Result<Vec<AliasEntry>, ReadError> {
    scan(view, &Path::of(name, 0, &mut vec![]), true)
}

/// The CNAME that addresses stand for at an apex, and its TTL.
///
/// # Errors
/// The view could not be read.
pub fn apex_alias(view: &dyn View, apex: &Name) -> Result<Option<(Name, u32)>, ReadError> {
    Ok(node_at(view, apex)?.and_then(|node| alias_of(&node)))
}

/// The alias at a node, flattened or not.
fn alias_of(node: &OwnedNode) -> Option<(Name, u32)> {
    let rr = node.alias().or_else(|| node.of_type(Rtype::CNAME).first())?;
    Some((Name::from_wire(&rr.rdata).ok()?, rr.ttl))
}

/// Follows an alias to its addresses, as far as they are in the store.
fn resolve(view: &dyn View, alias: &Name, ttl: u32) -> Result<Target, ReadError> {
    let mut target = Target { names: vec![alias.to_lowercase()], ttl, ..Target::default() };
    while let Some(name) = target.names.last().copied() {
        let Some(node) = node_at(view, &name)? else { break };
        if let Some((next, ttl)) = alias_of(&node) {
            target.ttl = target.ttl.min(ttl);
            let next = next.to_lowercase();
            if target.names.len() >= MAX_ALIASES || target.names.contains(&next) {
                break;
            }
            target.names.push(next);
            continue;
        }
        for (rtype, place) in [(Rtype::A, &mut target.a), (Rtype::AAAA, &mut target.aaaa)] {
            let rrs = node.of_type(rtype);
            if !rrs.is_empty() {
                target.ttl = target.ttl.min(smallest_ttl(rrs));
                place.extend(rrs.iter().map(|rr| rr.rdata.clone()));
            }
        }
        break;
    }
    if target.a.is_empty() && target.aaaa.is_empty() {
        target.ttl = 0;
    }
    Ok(target)
}

/// The records at a name of the innermost zone that it lies in, unless a zone cut or DNAME hides them.
fn node_at(view: &dyn View, name: &Name) -> Result<Option<OwnedNode>, ReadError> {
    let mut apex = Some(*name);
    while let Some(candidate) = apex {
        if let Some(zone) = PresentZone::read(view, &candidate)? {
            let reader = Reader::new(view, &zone);
            let bytes = zone.shape.path_of(name);
            let Some(path) = Path::new(&bytes) else { return Ok(None) };
            if !bytes.is_empty() && reader.cover(path)?.is_some() {
                return Ok(None);
            }
            let node = reader.read(path, &reader.load(path)?)?;
            return Ok(Some(node).filter(|node| !node.is_cut(bytes.is_empty())));
        }
        apex = candidate.parent();
    }
    Ok(None)
}

/// The entries that are missing.
fn entries(view: &dyn View, zone: &PresentZone, names: &[Name]) -> Result<Batch, ReadError> {
    let identity = zone.shape.identity;
    let value = AliasValue::new(&zone.shape.apex).encode();
    let mut ops = vec![];
    let mut present = vec![];
    for name in names {
        let key = entry_key(name, identity.id);
        if !view.get(key.as_bytes(), &mut present)? {
            let value = Value::new(value.clone()).expect("an apex");
            ops.push(Op::Put { key, value });
        }
    }
    Ok(batch_of(identity.id, vec![], ops))
}

/// The entries of a name, or of all names at and below it.
fn scan(view: &dyn View, path: &Path<'_>, below: bool) -> Result<Vec<AliasEntry>, ReadError> {
    let prefix = KeyBuffer::new().prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Alias).to_vec();
    let mut lower = [&prefix, path.as_bytes()].concat();
    let mut end = lower.clone();
    if !below {
        lower.push(0);
        end.push(1);
    } else if let Some(last) = end.last_mut() {
        // The 00 that ends the last label, or the number of the section.
        *last += 1;
    }
    collect(view, &lower, &end, entry)
}

fn entry(key: &[u8], value: &[u8]) -> Result<AliasEntry, ReadError> {
    let value = AliasValue::decode(value).map_err(|source| ReadError::value(key, source))?;
    let apex = value.apex().map_err(|source| ReadError::value(key, source))?;
    let damaged = || ReadError::counts(&apex);
    let (path, id) = parse(key)?.path.split_last_chunk::<8>().ok_or_else(damaged)?;
    let path = path.strip_suffix(&[0]).and_then(Path::new).ok_or_else(damaged)?;
    let name = path.to_name(&Name::ROOT).map_err(|_| damaged())?;
    Ok(AliasEntry { name, apex, zone: ZoneId::new(u64::from_be_bytes(*id)) })
}

/// Whether no zone flattens anything, as in most stores.
fn is_empty(view: &dyn View) -> Result<bool, ReadError> {
    let mut buffer = KeyBuffer::new();
    let lower = buffer.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Alias).to_vec();
    let upper = [lower.as_slice(), &[0xff]].concat();
    let (mut key, mut value) = (vec![], vec![]);
    Ok(!view.last_in(&lower, &upper, &mut key, &mut value)?)
}

fn entry_key(name: &Name, zone: ZoneId) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.alias(name, zone);
    buffer.to_key()
}
