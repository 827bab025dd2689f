//! What a new zone takes from the zone above it: names that the other one has answered until then.

use std::ops::ControlFlow;

use zonecast_kv_proto::View;
use zonecast_records::{ADDRESS_KIND, AddressValue, Name, Path};

use crate::pages::{Place, Range, bounds};
use crate::present::parse;
use crate::read_error::ReadError;
use crate::zone_keys::PresentZone;

/// Names that are counted at most: that it is many is what somebody wants to know.
pub const MAX_HIDDEN: usize = 1000;

/// Keys that are looked at for them.
const MAX_LOOKED_AT: usize = 20 * MAX_HIDDEN;

/// Names with data, at and below `apex`, that the zone at `above` answers: none of what it delegates. Counts up to
/// [`MAX_HIDDEN`].
///
/// # Errors
/// The zone could not be read.
pub fn hidden_names(view: &dyn View, above: &Name, apex: &Name) -> Result<usize, ReadError> {
    let Some(zone) = PresentZone::read(view, above)?.filter(|_| apex.is_within(above) && apex != above) else {
        return Ok(0);
    };
    let mut path = Vec::new();
    let path = Path::of(apex, zone.shape.apex_labels(), &mut path);
    let (mut hidden, mut looked_at, mut damaged) = (0, 0, None);
    for range in [Range::Node(path), Range::Beneath(path)] {
        let (lower, end) = bounds(zone.shape.identity.generation, Place::NAME, range);
        view.scan(&lower, &end, &mut |key, value| {
            looked_at += 1;
            match answers(key, value) {
                Ok(answers) => hidden += usize::from(answers),
                Err(error) => damaged = Some(error),
            }
            let goes_on = hidden < MAX_HIDDEN && looked_at < MAX_LOOKED_AT && damaged.is_none();
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    damaged.map_or(Ok(hidden.min(MAX_HIDDEN)), Err)
}

/// Whether it is the key that every node has, of one with data that is no delegation.
fn answers(key: &[u8], value: &[u8]) -> Result<bool, ReadError> {
    if parse(key)?.kind != ADDRESS_KIND {
        return Ok(false);
    }
    let value = AddressValue::decode(value).map_err(|source| ReadError::value(key, source))?;
    Ok(value.cut.is_none() && !value.types().is_empty())
}
