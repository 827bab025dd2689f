//! The last step: keys before and after become a batch, and what takes it back.

use std::collections::BTreeMap;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, KeyspaceId, MAX_BATCH_LEN, Op, Value};
use zonecast_records::MAX_CHAINS;

use crate::change::ChangeError;
use crate::emit::Sink;
use crate::finding::{Finding, Findings, Refused, Report, Rule, Warning};
use crate::ops::{batch_of, op_len, own_key};
use crate::pages::Place;
use crate::present::OwnedNode;
use crate::read_error::ReadError;
use crate::shape::Shape;
use crate::tally::{KeyChange, Tally};
use crate::undo::Undo;
use crate::zone_keys::{PresentZone, ZoneKeys};

/// Room that other sections and the envelope of a batch may take.
const BATCH_RESERVE: usize = 64 * 1024;

/// Keys with their values.
pub(super) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

impl Sink for Entries {
    fn put(&mut self, _: Place, key: &[u8], value: &[u8]) {
        self.insert(key.to_vec(), value.to_vec());
    }
}

/// Keys of all names that the changes reach, before and after.
#[derive(Debug)]
pub(super) struct Emitted {
    pub(super) shape: Shape,
    /// Afterwards.
    pub(super) apex: OwnedNode,
    pub(super) before: Entries,
    pub(super) after: Entries,
    pub(super) report: Report,
}

/// A batch in the making.
struct Ops {
    published: Vec<Op>,
    private: Vec<Op>,
    len: usize,
}

impl Ops {
    fn push(&mut self, op: Op) {
        let (key, value_len) = match &op {
            Op::Put { key, value } => (key, value.as_bytes().len()),
            Op::Delete { key } | Op::DeleteRange { start: key, .. } => (key, 0),
        };
        self.len += op_len(key.as_bytes(), &[]) + value_len;
        let is_published = key.keyspace() == KeyspaceId::DNS;
        if is_published { self.published.push(op) } else { self.private.push(op) }
    }
}

impl Emitted {
    /// What is odd, unless something is refused.
    pub(super) fn finish(self) -> Result<Findings<Warning>, Refused> {
        self.report.finish()
    }

    /// The operations, with the keys of the zone last; `records` is how many it has afterwards. Adds to `undo` what takes
    /// them back.
    pub(super) fn batch(&self, zone: &PresentZone, records: u64, undo: &mut Undo) -> Result<Batch, ChangeError> {
        if !self.report.refusals.is_empty() {
            return Ok(Batch::default());
        }
        let mut tally = zone.tally.clone();
        tally.records = records;
        let mut counted = true;
        let mut ops = Ops { published: vec![], private: vec![], len: BATCH_RESERVE };
        for (key, value) in &self.before {
            if self.after.get(key) != Some(value) {
                counted &= tally.count(key, value, KeyChange::Goes)?;
                undo.push(own_key(key), Some(value));
            }
            if !self.after.contains_key(key) {
                ops.push(Op::Delete { key: own_key(key) });
            }
        }
        for (key, value) in &self.after {
            if self.before.get(key) != Some(value) {
                counted &= tally.count(key, value, KeyChange::Comes)?;
                if !self.before.contains_key(key) {
                    undo.push(own_key(key), None);
                }
                let value = Value::new(value.clone()).expect("sizes of values were checked while building");
                ops.push(Op::Put { key: own_key(key), value });
            }
        }
        if !counted {
            return Err(ReadError::counts(&self.shape.apex).into());
        }
        self.zone_keys(zone, &tally, undo, &mut ops)?;
        if ops.len > MAX_BATCH_LEN {
            return Err(ChangeError::TooLarge);
        }
        Ok(batch_of(self.shape.identity.id, ops.published, ops.private))
    }

    fn zone_keys(&self, zone: &PresentZone, tally: &Tally, undo: &mut Undo, ops: &mut Ops) -> Result<(), ChangeError> {
        if tally.chains() > MAX_CHAINS {
            let rule = Rule::TooManyChains;
            let finding = Finding { owner: self.shape.apex, rtype: Rtype::NSEC3, location: None, rule };
            let mut report = Report::default();
            report.refusals.push(finding);
            report.finish()?;
        }
        let after = ZoneKeys::new(&self.shape, &self.apex, tally, &zone.settings).entries(&self.shape.apex);
        for ((key, value), before) in after.into_iter().zip(zone.keys.entries(&zone.shape.apex)) {
            if (&key, &value) != (&before.0, &before.1) {
                undo.push(before.0, Some(before.1.as_bytes()));
                ops.push(Op::Put { key, value });
            }
        }
        Ok(())
    }
}
