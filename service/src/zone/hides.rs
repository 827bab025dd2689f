//! What somebody who makes a zone is told of the zone above it.

use zonecast_builder::{MAX_HIDDEN, hidden_names};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use super::StoredZone;
use crate::error::ServiceError;
use zonecast_api::types::{Finding, Severity};

/// Of a zone that is not there yet: the warning that names which the zone above answers are answered from it then, and
/// not from there.
///
/// # Errors
/// The store could not be read.
pub(crate) fn hides(view: &dyn View, apex: &Name) -> Result<Option<Finding>, ServiceError> {
    let above = apex.parent().map(|parent| StoredZone::enclosing(view, &parent)).transpose();
    let Some(above) = above.map_err(ServiceError::internal)?.flatten() else { return Ok(None) };
    let count = match hidden_names(view, &above.apex, apex)? {
        0 => return Ok(None),
        1 => "a name".to_owned(),
        MAX_HIDDEN => format!("{MAX_HIDDEN} names or more"),
        count => format!("{count} names"),
    };
    let message = format!("hides {count} of zone {}, which were answered from there until now", above.apex);
    Ok(Some(Finding { severity: Severity::Warning, rule: "hides-names".into(), message, ..Finding::default() }))
}
