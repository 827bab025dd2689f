//! How many outcomes are kept for idempotency keys: chosen for the store, and replicated.

use zonecast_api::types::StoreSettingsChange;
use zonecast_kv_core::CoreError;
use zonecast_kv_proto::{KeptRequests, MAX_NOTE_LEN};

use super::Service;
use crate::error::ServiceError;

/// What a record counts at most.
const LARGEST_RECORD: u64 = MAX_NOTE_LEN as u64 + 1024;

/// What is to be chosen; what is left out stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyLimits {
    records: Option<u64>,
    bytes: Option<u64>,
}

impl KeyLimits {
    pub(super) fn read(change: &StoreSettingsChange) -> Self {
        Self { records: change.max_keys, bytes: change.max_key_bytes }
    }

    /// The number of records and of bytes, if either is to be another one.
    ///
    /// # Errors
    /// What is kept already is over the limit: it would leave no room for this request itself.
    fn over(self, kept: &KeptRequests) -> Result<Option<(u64, u64)>, ServiceError> {
        let (records, bytes) = (kept.limits.records, kept.limits.bytes);
        let chosen = (self.records.unwrap_or(records), self.bytes.unwrap_or(bytes));
        if chosen == (records, bytes) {
            return Ok(None);
        }
        let (least_records, least_bytes) = (kept.records + 1, kept.bytes + LARGEST_RECORD);
        if chosen.0 < least_records || chosen.1 < least_bytes {
            return Err(ServiceError::bad(format_args!(
                "what is kept for idempotency keys now needs `max_keys` of at least {least_records} and `max_key_bytes` of \
                 at least {least_bytes}"
            )));
        }
        Ok(Some(chosen))
    }
}

impl Service {
    /// Chooses other limits, if they are. Says whether they are.
    pub(super) async fn limit_keys(&self, limits: KeyLimits) -> Result<bool, ServiceError> {
        let Some((records, bytes)) = limits.over(&self.core().head().requests)? else { return Ok(false) };
        self.core().limit_requests(records, bytes).await.map_err(|error| match error {
            CoreError::Propose(error) => error.into(),
            // It may have been on its way.
            error => ServiceError::Unknown(error.to_string()),
        })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_room_for_what_is_kept_and_for_one_more() {
        let kept = KeptRequests { records: 10, bytes: 5_000, ..KeptRequests::default() };
        let over = |records, bytes| KeyLimits { records, bytes }.over(&kept);
        let (most, most_bytes) = (kept.limits.records, kept.limits.bytes);
        assert!(matches!(over(None, None), Ok(None)));
        assert!(matches!(over(Some(most), Some(most_bytes)), Ok(None)));
        assert_eq!(over(Some(11), None).unwrap(), Some((11, most_bytes)));
        assert_eq!(over(None, Some(1_000_000)).unwrap(), Some((most, 1_000_000)));
        for (records, bytes) in [(Some(10), None), (None, Some(5_000)), (Some(0), Some(0))] {
            assert!(matches!(over(records, bytes), Err(ServiceError::BadRequest(_))), "{records:?} {bytes:?}");
        }
    }
}
