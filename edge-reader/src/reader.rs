//! A view with the zone table of the same version: looks names up in them. What answers a query with it is `answer.rs`.

use std::sync::Arc;

use domain::base::iana::Rtype;
use zonecast_kv_proto::View;
use zonecast_records::{AddressValue, Name, Path, TypeBitmap, ZoneValue};

use crate::finder::{NodeKey, Reads};
use crate::scratch::Buffers;
use crate::{Changes, FindError, Found, Lookups, Scratch, Zone, ZoneTable};

/// Answers queries from one state of a store. Make a new reader for each burst of queries; making one costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'r, V> {
    pub(crate) view: &'r V,
    pub(crate) zones: &'r ZoneTable,
    /// Those of the copy that the view is a version of, and that version.
    pub(crate) changes: Option<(&'r Arc<Changes>, u64)>,
}

/// One step of resolution for a server that builds its own messages.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lookup<'s> {
    /// The zone that contains the name.
    pub zone: Zone,
    /// The result of the lookup.
    pub found: Found<'s>,
    /// Reads that the lookup took.
    pub lookups: Lookups,
}

impl<'r, V: View> Reader<'r, V> {
    /// Makes a reader. `zones` must equal the result of [`ZoneTable::load`] for `view`.
    #[must_use]
    pub fn new(view: &'r V, zones: &'r ZoneTable) -> Self {
        Self { view, zones, changes: None }
    }

    /// Allows the reader to use the cache of a [`Scratch`]. The view must stand at `version` of the copy that `changes`
    /// belongs to.
    #[must_use]
    pub fn with_changes(self, changes: &'r Arc<Changes>, version: u64) -> Self {
        Self { changes: Some((changes, version)), ..self }
    }

    /// Looks one name up, without following aliases. `None` if no hosted zone contains the name. A DS query for an apex
    /// looks into the parent zone if that is hosted.
    ///
    /// # Errors
    /// The store could not be read or is damaged; the server should answer SERVFAIL.
    pub fn lookup<'s>(
        &self,
        scratch: &'s mut Scratch,
        name: &Name,
        rtype: Rtype,
    ) -> Result<Option<Lookup<'s>>, FindError> {
        let Scratch { buffers, cache } = scratch;
        match cache.as_deref_mut().zip(self.changes) {
            Some((cache, (changes, version))) => {
                let view = cache.view(self.view, changes, version);
                Reader::new(&view, self.zones).look_up(buffers, name, rtype)
            }
            None => self.look_up(buffers, name, rtype),
        }
    }

    fn look_up<'s>(
        &self,
        Buffers { path, finder, .. }: &'s mut Buffers,
        name: &Name,
        rtype: Rtype,
    ) -> Result<Option<Lookup<'s>>, FindError> {
        let path = Path::of(name, 0, path);
        let Some(zone) = self.zone_of(path, rtype) else { return Ok(None) };
        let mut lookups = Lookups::default();
        let found = finder.find(Reads { view: self.view, zone: &zone, count: &mut lookups.names }, path, rtype)?;
        Ok(Some(Lookup { zone, found, lookups }))
    }

    /// The types of the records that a name owns, not those of a wildcard; empty for an empty non-terminal. `None` if
    /// no hosted zone contains the name, or if it does not exist or is below a zone cut or DNAME.
    ///
    /// # Errors
    /// As [`Reader::lookup`].
    pub fn types<'s>(&self, scratch: &'s mut Scratch, name: &Name) -> Result<Option<TypeBitmap<'s>>, FindError> {
        let extra = &mut scratch.buffers.extra;
        let full = Path::of(name, 0, &mut extra.path);
        let Some(zone) = self.zone_of(full, Rtype::ANY) else { return Ok(None) };
        let Some((_, path)) = full.split(zone.apex_len) else { return Ok(None) };
        let mut count = 0;
        let mut reads = Reads { view: self.view, zone: &zone, count: &mut count };
        if !reads.node(&mut extra.key, NodeKey::ADDRESS, path, &mut extra.value)? {
            return Ok(None);
        }
        Ok(Some(AddressValue::decode(&extra.value)?.types()))
    }

    /// The zone key of the zone that `name` lies in: SOA and NS.
    ///
    /// # Errors
    /// As [`Reader::lookup`], or `name` does not lie in the zone.
    pub fn zone_value<'s>(
        &self,
        scratch: &'s mut Scratch,
        name: &Name,
        zone: &Zone,
    ) -> Result<ZoneValue<'s>, FindError> {
        if !zone.has_data() {
            return Err(FindError::Inconsistent("the zone has no data, or its zone key is damaged"));
        }
        let extra = &mut scratch.buffers.extra;
        let path = Path::of(&name.suffix(zone.apex_labels), 0, &mut extra.path);
        let mut count = 0;
        Reads { view: self.view, zone, count: &mut count }.zone_key(&mut extra.key, path, &mut extra.value)?;
        Ok(ZoneValue::decode(&extra.value)?)
    }

    /// The zone that answers for a path from the root and a type, RFC 4035 section 3.1.4.1 for DS.
    pub(crate) fn zone_of(&self, path: Path<'_>, rtype: Rtype) -> Option<Zone> {
        let zone = self.zones.find(path)?;
        if rtype != Rtype::DS || zone.apex_len != path.as_bytes().len() {
            return Some(zone);
        }
        let above = zone.apex_labels.checked_sub(1).and_then(|depth| self.zones.find(path.ancestor(depth)));
        Some(above.unwrap_or(zone))
    }
}
