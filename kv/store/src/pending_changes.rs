//! What the commands of a slice have changed beside the head, and is not written yet, over what is.

use std::collections::BTreeMap;

use zonecast_kv_proto::{Accepted, Beside, Edition, RequestChanges, RequestId, RequestRecord, SectionId};

use crate::StoreError;
use crate::state_db::StateDb;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PendingChanges {
    pub(crate) editions: BTreeMap<SectionId, Edition>,
    /// Nothing where a record has gone.
    pub(crate) requests: BTreeMap<RequestId, Option<RequestRecord>>,
}

/// What a command is decided on.
pub(crate) struct Decided<'s> {
    pub(crate) pending: &'s PendingChanges,
    pub(crate) written: &'s StateDb,
}

impl PendingChanges {
    pub(crate) fn add(&mut self, accepted: &Accepted) {
        self.editions.extend(accepted.editions.iter().copied());
        let RequestChanges { gone, new } = &accepted.requests;
        self.requests.extend(gone.iter().map(|id| (*id, None)));
        self.requests.extend(new.iter().map(|new| (new.0, Some(new.1.clone()))));
    }
}

impl Beside for Decided<'_> {
    type Error = StoreError;

    fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        match self.pending.editions.get(&section) {
            Some(edition) => Ok(*edition),
            None => self.written.edition(section),
        }
    }

    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError> {
        match self.pending.requests.get(id) {
            Some(record) => Ok(record.clone()),
            None => self.written.request(id),
        }
    }

    fn requests(&self, from: &RequestId, most: usize) -> Result<Vec<(RequestId, RequestRecord)>, StoreError> {
        let is_written = |id: &RequestId| !self.pending.requests.contains_key(id);
        let mut found = self.written.requests(from, most, is_written)?;
        let pending = self.pending.requests.range(from..);
        found.extend(pending.filter_map(|(id, record)| Some((*id, record.clone()?))).take(most));
        found.sort_by_key(|(id, _)| *id);
        found.truncate(most);
        Ok(found)
    }
}
