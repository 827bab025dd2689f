//! Marks of zones that are listed and were never loaded: a zone key without data.
//!
//! An edge that did not know of such a zone would answer for it from the zone above, with authority. A zone that is
//! loaded later takes the place of its mark, for both are the same key.

use std::ops::ControlFlow;

use zonecast_kv_proto::{Batch, KeyspaceId, Op, Value, View};
use zonecast_records::{Generation, KeyBuffer, KeySection, Name, ZoneId, ZoneValue};

use crate::ops::batch_of;
use crate::read_error::ReadError;
use crate::zone_keys::zone_key;

/// Marks the zone at `apex`, under this id; `None` when there is such a zone or it is marked already.
///
/// # Errors
/// The view could not be read.
pub fn mark_zone(view: &dyn View, apex: &Name, id: ZoneId) -> Result<Option<Batch>, ReadError> {
    let key = zone_key(KeyspaceId::DNS, apex);
    if view.get(key.as_bytes(), &mut Vec::new())? {
        return Ok(None);
    }
    let value = ZoneValue::without_data(apex, id).encode();
    let value = Value::new(value).expect("a name is far below the limit of values");
    Ok(Some(batch_of(id, vec![Op::Put { key, value }], vec![])))
}

/// The mark of a zone.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The apex of the zone.
    pub apex: Name,
    /// The batch that removes the mark.
    pub removal: Batch,
}

/// Every mark there is.
///
/// # Errors
/// The view could not be read.
pub fn marked_zones(view: &dyn View) -> Result<Vec<Mark>, ReadError> {
    let bound = |section| KeyBuffer::new().prefix(KeyspaceId::DNS, Generation::ZONES, section).to_vec();
    let mut marks = Vec::new();
    view.scan(&bound(KeySection::Zone), &bound(KeySection::Name), &mut |_, value| {
        // What is damaged is no mark; whoever serves that zone says so.
        if let Ok(zone) = ZoneValue::decode(value)
            && !zone.has_data()
            && let Ok(apex) = zone.apex()
        {
            let key = zone_key(KeyspaceId::DNS, &apex);
            marks.push(Mark { apex, removal: batch_of(zone.id, vec![Op::Delete { key }], vec![]) });
        }
        ControlFlow::Continue(())
    })?;
    Ok(marks)
}
