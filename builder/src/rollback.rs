//! Restores an earlier state of a zone.

use serde_bytes::Bytes;
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Value, View};
use zonecast_records::{CoreZone, Name, RdataListBuilder, Rrset, SerialPolicy, ZoneValue};

use crate::change::SerialTime;
use crate::ops::batch_of;
use crate::past::{Past, PastError};
use crate::read_error::ReadError;
use crate::retired::{kept_put, not_kept_any_more};
use crate::serial::raised_serial;
use crate::undo::{Undo, last_change};
use crate::zone_keys::{PresentZone, zone_key};

/// The target of a rollback. A repeated rollback to the same target changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The state after this change; 0 is the state before the first change.
    After(u64),
    /// The state before this change, which must be the last one, or be undone already.
    Undo(u64),
}

/// The result of a rollback.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// The batch that restores the state; empty if the zone already has it.
    pub batch: Batch,
    /// Serial of the zone afterwards.
    pub serial: u32,
    /// The inverse of the batch.
    pub undo: Undo,
}

/// Makes the zone at `apex` what it was, settings included. Its serial goes on as its policy says, except in a signed
/// zone, whose SOA needs the signature that it had.
///
/// # Errors
/// That state is not kept, or is not the one before the last change as asked for.
pub fn rollback(
    view: &dyn View,
    apex: &Name,
    target: Target,
    now: SerialTime,
    time: u64,
) -> Result<Rollback, PastError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let wanted = match target {
        Target::After(to) => return go_back(view, &zone, to, now, time),
        Target::Undo(wanted) => wanted,
    };
    let newest = last_change(view, zone.shape.identity.id)?;
    let before = wanted.checked_sub(1).ok_or(PastError::NotLast { wanted, newest })?;
    match go_back(view, &zone, before, now, time) {
        done if wanted == newest => done,
        // It was undone already: the same request once more.
        Ok(done) if wanted < newest && done.batch.is_empty() => Ok(done),
        Err(error @ PastError::Read(_)) => Err(error),
        _ => Err(PastError::NotLast { wanted, newest }),
    }
}

fn go_back(view: &dyn View, zone: &PresentZone, to: u64, now: SerialTime, time: u64) -> Result<Rollback, PastError> {
    let apex = &zone.shape.apex;
    let past = Past::read(view, zone, to)?;
    let was = PresentZone::read(&past.view(view), apex)?.ok_or(ReadError::no_zone(apex))?;
    let zone_keys = [KeyspaceId::DNS, KeyspaceId::CORE].map(|keyspace| zone_key(keyspace, apex));
    let (mut dns, mut core) = (vec![], vec![]);
    let mut undo = Undo::new(zone.shape.identity, &zone.keys.published, 0);
    let mut present = Vec::new();
    for (key, wanted) in past.points.into_iter().filter(|(key, _)| !zone_keys.contains(key)) {
        let found = view.get(key.as_bytes(), &mut present).map_err(ReadError::from)?;
        let before = found.then_some(present.as_slice());
        if before == wanted.as_ref().map(Value::as_bytes) {
            continue;
        }
        undo.push(key.clone(), before);
        let ops = if key.keyspace() == KeyspaceId::DNS { &mut dns } else { &mut core };
        ops.push(match wanted {
            Some(value) => Op::Put { key, value },
            None => Op::Delete { key },
        });
    }
    let serial_now = zone.serial()?;
    let is_same = dns.is_empty() && core.is_empty() && with_serial(&was, serial_now)? == zone.keys.published;
    let (published, serial) =
        if is_same { (zone.keys.published.clone(), serial_now) } else { published_again(zone, &was, now)? };
    undo.set_serial(serial);
    let wanted = [published, private_again(zone, &was)?];
    let present = [&zone.keys.published, &zone.keys.private];
    for (((key, before), wanted), ops) in zone_keys.into_iter().zip(present).zip(wanted).zip([&mut dns, &mut core]) {
        if *before != wanted {
            undo.push(key.clone(), Some(before));
            ops.push(Op::Put { key, value: Value::new(wanted).expect("as large as the zone keys before") });
        }
    }
    let (identity, was) = (zone.shape.identity, was.shape.identity);
    if was.generation != identity.generation {
        core.extend([kept_put(zone, time), not_kept_any_more(was)]);
    }
    Ok(Rollback { batch: batch_of(identity.id, dns, core), serial, undo })
}

/// The zone key as it was, with a serial that goes on.
fn published_again(zone: &PresentZone, was: &PresentZone, now: SerialTime) -> Result<(Vec<u8>, u32), ReadError> {
    let policy = zone.settings.zone().serial;
    if policy == SerialPolicy::Keep || !was.value()?.soa.sigs.is_empty() {
        return Ok((was.keys.published.clone(), was.serial()?));
    }
    let serial = raised_serial(zone.serial()?, policy, now);
    Ok((with_serial(was, serial)?, serial))
}

/// The private zone key as it was, but with where the zone came from as it is now: a zone file that was taken back is
/// not imported again by a restart.
fn private_again(zone: &PresentZone, was: &PresentZone) -> Result<Vec<u8>, ReadError> {
    let core = CoreZone::decode(&was.keys.private).map_err(|_| ReadError::counts(&was.shape.apex))?;
    Ok(CoreZone { origin: Bytes::new(zone.settings.origin()), ..core }.encode())
}

fn with_serial(zone: &PresentZone, serial: u32) -> Result<Vec<u8>, ReadError> {
    let value = zone.value()?;
    let damaged = |_| ReadError::counts(&zone.shape.apex);
    let mut rdata = value.soa_rdata().map_err(damaged)?.to_vec();
    let at = rdata.len() - 20;
    if let Some(place) = rdata.get_mut(at..at + 4) {
        place.copy_from_slice(&serial.to_be_bytes());
    }
    let list = RdataListBuilder::from_items([rdata]);
    let soa = Rrset { data: Bytes::new(list.as_bytes()), ..value.soa };
    Ok(ZoneValue { soa, ..value }.encode())
}
