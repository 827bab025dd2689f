//! Changes in flight: which section will have which edition, and what the state will be once they are applied.
//!
//! Pure. Every batch of this leader is staged here in the order in which it is proposed, so a later change is built on
//! what all earlier ones will have done, and its preconditions say so.
//!
//! # Invariants
//! - Batches are proposed in the order of their tickets, and none that is not staged.
//! - When a batch fails, those built on it fail too: each requires one edition more than will ever be reached. Nothing
//!   may be staged between the failure and the end of all that was in flight, or an edition could be reached by
//!   accident; see [`Pipeline::clear`].
//! - A section with bulk in flight is closed to changes, because what bulk writes is not laid over the state.

use std::collections::BTreeMap;

use zonecast_kv_proto::{
    Batch, Edition, EncodedBatch, Overlay, OverlayView, Precondition, Refusal, RequestId, SectionId, View,
};

/// Finished batches are forgotten when there are so many of them, or half of what is staged: forgetting costs as
/// much as is staged.
const MIN_SETTLE: u64 = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    overlay: Overlay,
    /// Sections with bulk in flight, and the ticket of the last of it.
    bulk: BTreeMap<SectionId, u64>,
    /// Requests in flight that are to be done once, and the ticket of each.
    requests: BTreeMap<RequestId, u64>,
    last_ticket: u64,
    settled: u64,
}

impl Pipeline {
    /// The state with everything in flight applied.
    pub(crate) fn over<V: View>(&self, applied: V) -> OverlayView<'_, V> {
        self.overlay.over(applied)
    }

    /// The edition of a section with everything in flight applied. `base` reads the applied one.
    pub(crate) fn edition<E>(
        &self,
        section: SectionId,
        base: impl FnOnce(SectionId) -> Result<Edition, E>,
    ) -> Result<Edition, E> {
        self.overlay.edition(section, base)
    }

    /// The first section that a change touches, or was built on, that is closed to changes now.
    pub(crate) fn closed(&self, batch: &Batch) -> Option<SectionId> {
        let touched = batch.sections.iter().map(|section| section.id);
        let required = batch.preconditions.iter().map(|required| required.section);
        touched.chain(required).find(|id| self.bulk.contains_key(id))
    }

    /// Takes in a change: adds the precondition of every section it touches and does not say itself, and lays it over
    /// what was there.
    pub(crate) fn stage<E>(
        &mut self,
        batch: &mut Batch,
        mut base: impl FnMut(SectionId) -> Result<Edition, E>,
    ) -> Result<u64, E> {
        for section in batch.sections.iter().filter(|section| !section.ops.is_empty()) {
            if batch.preconditions.iter().all(|required| required.section != section.id) {
                let edition = self.overlay.edition(section.id, &mut base)?;
                batch.preconditions.push(Precondition { section: section.id, edition });
            }
        }
        let ticket = self.last_ticket + 1;
        self.overlay.stage(ticket, batch, base)?;
        self.last_ticket = ticket;
        Ok(ticket)
    }

    /// The change that was staged last is to be done once.
    pub(crate) fn stage_request(&mut self, id: RequestId) {
        self.requests.insert(id, self.last_ticket);
    }

    /// Whether a request may be in flight: its record is kept, or it is.
    pub(crate) fn has_request(&self, id: &RequestId) -> bool {
        self.requests.contains_key(id)
    }

    /// Takes in bulk: its sections are closed to changes until it is settled. Bulk that was built before something else
    /// went on its way is refused here, where nothing can have been built on it yet.
    pub(crate) fn stage_bulk<E>(
        &mut self,
        batch: &EncodedBatch,
        mut base: impl FnMut(SectionId) -> Result<Edition, E>,
    ) -> Result<Result<u64, Refusal>, E> {
        for &required in &batch.preconditions {
            let present = self.overlay.edition(required.section, &mut base)?;
            if present != required.edition {
                return Ok(Err(Refusal::Precondition { required, present }));
            }
        }
        let ticket = self.last_ticket + 1;
        self.overlay.stage_unseen(ticket, batch.sections.iter().map(|section| section.id), base)?;
        self.bulk.extend(batch.sections.iter().map(|section| (section.id, ticket)));
        self.last_ticket = ticket;
        Ok(Ok(ticket))
    }

    /// Everything up to `ticket` is applied. Says whether it was worth forgetting: then a newer applied state must be
    /// read from now on, one that has all of it.
    pub(crate) fn settle(&mut self, ticket: u64) -> bool {
        let (finished, staged) = (ticket.saturating_sub(self.settled), self.last_ticket - self.settled);
        let is_worth = finished > 0 && (finished == staged || finished >= MIN_SETTLE.max(staged / 2));
        if is_worth || (finished > 0 && !self.bulk.is_empty()) {
            self.overlay.forget_applied(ticket);
            self.bulk.retain(|_, last| *last > ticket);
            self.requests.retain(|_, staged| *staged > ticket);
            self.settled = ticket;
            return true;
        }
        false
    }

    /// Forgets everything. Only when nothing is in flight any more.
    pub(crate) fn clear(&mut self) {
        self.overlay.clear();
        self.bulk.clear();
        self.requests.clear();
        self.settled = self.last_ticket;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use zonecast_kv_proto::{Key, KeyspaceId, MemoryView, Op, RequestKey, Section, Value};

    use super::*;

    const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };

    fn put(byte: u8) -> Batch {
        let op = Op::Put { key: Key::new(vec![0, 1, 9]).unwrap(), value: Value::new(vec![byte]).unwrap() };
        Batch { preconditions: vec![], sections: vec![Section { id: ZONE, ops: vec![op] }] }
    }

    fn base(_: SectionId) -> Result<Edition, Infallible> {
        Ok(Edition::new(5))
    }

    #[test]
    fn each_change_requires_and_sees_the_one_before() {
        let mut pipeline = Pipeline::default();
        let applied = MemoryView::new();
        for number in 0..3 {
            let mut value = vec![];
            let found = pipeline.over(&applied).get(&[0, 1, 9], &mut value).unwrap();
            assert_eq!((found, value), (number > 0, if number > 0 { vec![number - 1] } else { vec![] }));
            let mut batch = put(number);
            assert_eq!(pipeline.stage(&mut batch, base), Ok(u64::from(number) + 1));
            let edition = Edition::new(5 + u64::from(number));
            assert_eq!(batch.preconditions, [Precondition { section: ZONE, edition }]);
        }
    }

    #[test]
    fn a_change_keeps_the_precondition_it_brings() {
        let mut batch = put(1);
        batch.preconditions.push(Precondition { section: ZONE, edition: Edition::new(1) });
        let before = batch.clone();
        Pipeline::default().stage(&mut batch, base).unwrap();
        assert_eq!(batch, before);
    }

    #[test]
    fn bulk_closes_its_sections_until_it_is_settled() {
        let mut pipeline = Pipeline::default();
        assert_eq!(pipeline.closed(&put(1)), None);
        let ticket = pipeline.stage_bulk(&put(1).encode().unwrap(), base).unwrap().unwrap();
        assert_eq!(pipeline.closed(&put(1)), Some(ZONE));
        assert_eq!(pipeline.edition(ZONE, base), Ok(Edition::new(6)));
        assert!(pipeline.settle(ticket));
        assert_eq!(pipeline.closed(&put(1)), None);
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_settled_or_everything_has_failed() {
        let id = |ms| RequestId { key: RequestKey::made_at(ms, 0), scope: [1; 16] };
        let mut pipeline = Pipeline::default();
        let ticket = pipeline.stage(&mut put(1), base).unwrap();
        pipeline.stage_request(id(1));
        assert_eq!((pipeline.has_request(&id(1)), pipeline.has_request(&id(2))), (true, false));
        assert!(pipeline.settle(ticket));
        assert!(!pipeline.has_request(&id(1)));
        pipeline.stage(&mut put(1), base).unwrap();
        pipeline.stage_request(id(2));
        pipeline.clear();
        assert!(!pipeline.has_request(&id(2)));
    }

    #[test]
    fn what_reads_a_section_with_bulk_in_flight_waits_as_well() {
        let mut pipeline = Pipeline::default();
        pipeline.stage_bulk(&put(1).encode().unwrap(), base).unwrap().unwrap();
        let required = Precondition { section: ZONE, edition: Edition::new(6) };
        let reader = Batch { preconditions: vec![required], sections: vec![] };
        assert_eq!(pipeline.closed(&reader), Some(ZONE));
    }

    #[test]
    fn bulk_that_was_built_before_a_change_is_refused_and_leaves_no_trace() {
        let mut pipeline = Pipeline::default();
        let required = Precondition { section: ZONE, edition: Edition::new(5) };
        let bulk = Batch { preconditions: vec![required], ..put(1) }.encode().unwrap();
        pipeline.stage(&mut put(2), base).unwrap();
        let present = Edition::new(6);
        assert_eq!(pipeline.stage_bulk(&bulk, base), Ok(Err(Refusal::Precondition { required, present })));
        assert_eq!((pipeline.closed(&put(1)), pipeline.edition(ZONE, base)), (None, Ok(present)));
        pipeline.clear();
        assert_eq!(pipeline.stage_bulk(&bulk, base), Ok(Ok(2)));
    }

    #[test]
    fn finished_changes_are_forgotten_in_lots() {
        let mut pipeline = Pipeline::default();
        let last = (0..1000).map(|_| pipeline.stage(&mut put(1), base).unwrap()).last().unwrap();
        assert!(!pipeline.settle(100), "too few to be worth it");
        assert!(pipeline.settle(600));
        assert_eq!(pipeline.edition(ZONE, base), Ok(Edition::new(1005)));
        assert!(pipeline.settle(last));
        assert_eq!(pipeline.edition(ZONE, base), Ok(Edition::new(5)));
        assert!(!pipeline.settle(last));
    }
}
