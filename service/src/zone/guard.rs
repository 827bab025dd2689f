//! Keeps a mistake from emptying a zone: what takes away more than a share of its records, or sets its serial back, is
//! looked at once more before it is done. A truncated or an old zone file is the common case.

use domain::base::Serial;
use zonecast_builder::{Guards, OlderSerial, ReadError, RecordCounts, ZoneInfo, store_guards};
use zonecast_kv_proto::View;
use zonecast_records::Name;

use crate::error::ServiceError;
use zonecast_api::types::{Finding, Severity};

/// A change of records that takes away so few is not looked at: each was named, and a small zone has few.
pub(crate) const FEW_RECORDS: u64 = 10;

/// What holds for one write of one zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    apex: Name,
    guards: Guards,
    allow_shrink: bool,
}

impl Guard {
    /// As chosen for the zone, else for the store; `allow_shrink` if the request says that less is meant.
    ///
    /// # Errors
    /// The store could not be read.
    pub(crate) fn of(view: &dyn View, zone: &ZoneInfo, allow_shrink: bool) -> Result<Self, ReadError> {
        let guards = zone.settings.guards.or(store_guards(view)?);
        Ok(Self { apex: zone.apex, guards, allow_shrink })
    }

    /// Looks at how many records go; up to `few` always may.
    ///
    /// # Errors
    /// They are too many, and the request does not say that it is meant.
    pub(crate) fn records(&self, RecordCounts { before, after }: RecordCounts, few: u64) -> Result<(), ServiceError> {
        let gone = before.saturating_sub(after);
        let limit = self.guards.max_shrink();
        if self.allow_shrink || gone <= few || !limit.is_exceeded(gone, before) {
            return Ok(());
        }
        Err(ServiceError::Held(format!(
            "zone {} would lose {gone} of its {before} records, and one write may take away {}% of them (`max_shrink`); \
             if that is meant, say so: `allow_shrink=true` in a request, `--allow-shrink` on a command line",
            self.apex,
            limit.get()
        )))
    }

    /// Looks at the serial; gives a warning where it goes back and may.
    ///
    /// # Errors
    /// It goes back and may not.
    pub(crate) fn serial(&self, before: Serial, after: Serial) -> Result<Option<Finding>, ServiceError> {
        // Two serials that are half the numbers apart are neither before nor after each other.
        if after >= before {
            return Ok(None);
        }
        let message = format!("serial {after} is not after {before}, which the zone has");
        match self.guards.older_serial() {
            OlderSerial::Warn => Ok(Some(Finding {
                severity: Severity::Warning,
                record: Some(format!("{} SOA", self.apex)),
                rule: "older-serial".into(),
                message,
                ..Finding::default()
            })),
            OlderSerial::Refuse => Err(ServiceError::Held(format!(
                "zone {}: {message}; write a later one, or choose `older_serial=warn` for the zone",
                self.apex
            ))),
        }
    }
}
