//! Zones as a store holds them: the fields of a zone key that the API and the import need.

use std::ops::ControlFlow;

use zonecast_kv_proto::{KeyspaceId, View, ViewError};
use zonecast_records::{Generation, KeyBuffer, KeySection, Name, ZoneId, ZoneValue};

use crate::scope::Scope;

/// A zone key, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredZone {
    /// In the letter case of its source.
    pub apex: Name,
    /// Stable identity.
    pub id: ZoneId,
    /// Where its keys are.
    pub generation: Generation,
    /// Of its SOA.
    pub serial: u32,
}

impl StoredZone {
    /// The zone with exactly this apex; `None` where there is none, or one that was never loaded.
    ///
    /// # Errors
    /// The store could not be read, or the zone key is damaged.
    pub(crate) fn read(view: &(impl View + ?Sized), apex: &Name) -> Result<Option<Self>, ViewError> {
        let value = zone_key(view, apex)?;
        value.map_or(Ok(None), |value| Self::decode(&value))
    }

    /// The zone with the longest apex that `name` lies in; `None` where there is none, or one that was never loaded.
    ///
    /// # Errors
    /// As [`StoredZone::read`].
    pub(crate) fn enclosing(view: &(impl View + ?Sized), name: &Name) -> Result<Option<Self>, ViewError> {
        let mut apex = Some(*name);
        while let Some(candidate) = apex {
            if let Some(value) = zone_key(view, &candidate)? {
                return Self::decode(&value);
            }
            apex = candidate.parent();
        }
        Ok(None)
    }

    /// Zones after `after` in canonical order, at most `limit`.
    ///
    /// # Errors
    /// As [`StoredZone::read`].
    pub(crate) fn list(
        view: &(impl View + ?Sized),
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Self>, ViewError> {
        let mut buffer = KeyBuffer::new();
        let lower = match after {
            Some(after) => above(after),
            None => buffer.prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone).to_vec(),
        };
        Self::scan(view, &lower, limit, |_| true)
    }

    /// How many have data.
    ///
    /// # Errors
    /// As [`StoredZone::read`].
    pub(crate) fn count(view: &(impl View + ?Sized)) -> Result<u64, ViewError> {
        let (mut zones, mut failed) = (0, None);
        let lower = KeyBuffer::new().prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone).to_vec();
        let end = KeyBuffer::new().prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Name).to_vec();
        view.scan(&lower, &end, &mut |_, value| match Self::decode(value) {
            Ok(zone) => {
                zones += u64::from(zone.is_some());
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(zones), Err)
    }

    /// The same of a scope. Its cost depends on what the scope holds, never on how many other zones there are.
    ///
    /// # Errors
    /// As [`StoredZone::read`].
    pub(crate) fn list_scope(
        view: &(impl View + ?Sized),
        scope: &Scope,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<Self>, ViewError> {
        let Scope::Zones(apexes) = scope else { return Self::list(view, after, limit) };
        let mut zones = Vec::new();
        // In canonical order what is below an apex follows it, and everything below is before the next apex.
        for apex in apexes {
            let lower = match after {
                Some(after) if after.is_within(apex) => above(after),
                Some(after) if after > apex => continue,
                _ => KeyBuffer::new().zone(KeyspaceId::DNS, apex).to_vec(),
            };
            zones.extend(Self::scan(view, &lower, limit - zones.len(), |zone| zone.apex.is_within(apex))?);
            if zones.len() == limit {
                break;
            }
        }
        Ok(zones)
    }

    /// Apexes, in wire form, of the zones below one.
    ///
    /// # Errors
    /// As [`StoredZone::read`].
    pub(crate) fn below(view: &(impl View + ?Sized), apex: &Name) -> Result<Vec<Box<[u8]>>, ViewError> {
        let zones = Self::scan(view, &above(apex), usize::MAX, |zone| zone.apex.is_within(apex))?;
        Ok(zones.iter().map(|zone| zone.apex.as_wire().into()).collect())
    }

    /// Zones from a key on, as long as they are `wanted`, at most `limit`.
    fn scan(
        view: &(impl View + ?Sized),
        lower: &[u8],
        limit: usize,
        wanted: impl Fn(&Self) -> bool,
    ) -> Result<Vec<Self>, ViewError> {
        let end = KeyBuffer::new().prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Name).to_vec();
        let mut zones = Vec::new();
        let mut failed = None;
        view.scan(lower, &end, &mut |_, value| {
            if zones.len() == limit {
                return ControlFlow::Break(());
            }
            match Self::decode(value) {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(zone)) if wanted(&zone) => {
                    zones.push(zone);
                    ControlFlow::Continue(())
                }
                Ok(Some(_)) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(zones), Err)
    }

    fn decode(value: &[u8]) -> Result<Option<Self>, ViewError> {
        let damaged = |error| ViewError(format!("zone key: {error}"));
        let value = ZoneValue::decode(value).map_err(damaged)?;
        if !value.has_data() {
            return Ok(None);
        }
        let (apex, serial) = (value.apex().map_err(damaged)?, value.serial().map_err(damaged)?);
        Ok(Some(Self { apex, id: value.id, generation: value.generation, serial: serial.into_int() }))
    }
}

/// The value of the zone key of exactly this apex.
fn zone_key(view: &(impl View + ?Sized), apex: &Name) -> Result<Option<Vec<u8>>, ViewError> {
    let mut value = Vec::new();
    let found = view.get(KeyBuffer::new().zone(KeyspaceId::DNS, apex), &mut value)?;
    Ok(found.then_some(value))
}

/// The first key above that of a zone.
fn above(apex: &Name) -> Vec<u8> {
    [KeyBuffer::new().zone(KeyspaceId::DNS, apex), &[0]].concat()
}
