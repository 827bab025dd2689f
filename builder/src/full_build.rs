//! A whole zone as a sorted stream of keys.

use std::iter::Peekable;
use std::ops::ControlFlow;

use bytes::Bytes;
use domain::base::Serial;
use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Value, View};
use zonecast_records::{Generation, Name, ZoneValue, generation_range};

use crate::entry_list::{Entry, EntryList};
use crate::finding::{Findings, Refused, Warning};
use crate::full_pass::{Counts, Passed, full_pass};
use crate::ops::{batch_of, laid_over, op_len};
use crate::read_error::ReadError;
use crate::settings::Settings;
use crate::shape::{Shape, ZoneIdentity};
use crate::source::ZoneSource;
use crate::undo::Undo;
use crate::zone_keys::{PresentZone, ZoneKeys};

/// The keys of a zone.
#[derive(Debug)]
pub struct FullBuild {
    shape: Shape,
    published: [EntryList; 4],
    private: EntryList,
    zone: ZoneKeys,
    warnings: Findings<Warning>,
    counts: Counts,
}

/// The difference between a present generation and a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diff {
    /// The batch that makes them equal, empty if they are, and its inverse.
    Batch(Batch, Undo),
    /// The batch is larger than the given limit: build a new generation instead.
    TooLarge,
}

impl ZoneSource {
    /// Turns the records into keys.
    ///
    /// # Errors
    /// What keeps the zone from being served, up to [`crate::MAX_FINDINGS`] reasons.
    pub fn build(self, identity: ZoneIdentity, settings: &Settings) -> Result<FullBuild, Refused> {
        let shape = Shape { apex: *self.apex(), identity };
        let (sorted, report) = self.sorted(&shape, settings);
        let Passed { published, private, zone, warnings, counts } = full_pass(&sorted, shape, settings, report)?;
        Ok(FullBuild { shape, published, private, zone, warnings, counts })
    }
}

impl FullBuild {
    /// The keys that a zone has after a batch, under another generation. What takes too much at once for one batch is
    /// so built beside what answers, however little of the zone it changes.
    ///
    /// # Errors
    /// There is no such zone, or its keys could not be read.
    pub fn beside(view: &dyn View, apex: &Name, batch: &Batch, generation: Generation) -> Result<Self, ReadError> {
        let overlay = laid_over(batch);
        let view = &overlay.over(view);
        let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
        let published = ZoneValue { generation, ..zone.value()? }.encode();
        let list = |keyspace| EntryList::moved(view, keyspace, zone.shape.identity.generation, generation);
        let (published_list, private) = (list(KeyspaceId::DNS)?, list(KeyspaceId::CORE)?);
        let keys = u64::try_from(published_list.len() + private.len() + 2).unwrap_or_default();
        let identity = ZoneIdentity { generation, ..zone.shape.identity };
        Ok(Self {
            shape: Shape { identity, ..zone.shape },
            // All sections in one, in their order.
            published: [published_list, EntryList::default(), EntryList::default(), EntryList::default()],
            private,
            zone: ZoneKeys { published, private: zone.keys.private },
            warnings: Findings::default(),
            counts: Counts { records: zone.tally.records, keys, ..Counts::default() },
        })
    }

    /// The apex in the letter case of the source.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.shape.apex
    }

    /// Under which the keys stand.
    #[must_use]
    pub fn identity(&self) -> ZoneIdentity {
        self.shape.identity
    }

    /// The warnings.
    #[must_use]
    pub fn warnings(&self) -> &Findings<Warning> {
        &self.warnings
    }

    /// Numbers of records and keys.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Serial of the SOA.
    #[must_use]
    pub fn serial(&self) -> Serial {
        ZoneValue::decode(&self.zone.published).and_then(|value| value.serial()).expect("a built zone has a SOA")
    }

    /// Published entries of the generation in ascending order of key; the zone key is not among them.
    pub fn published(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        self.published.iter().flat_map(EntryList::entries)
    }

    /// Private entries of the generation in ascending order of key; the zone's own is not among them.
    pub fn private(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        self.private.entries()
    }

    /// The published and the private zone key. Writing them makes the generation the present one.
    #[must_use]
    pub fn zone_entries(&self) -> [(Key, Value); 2] {
        self.zone.entries(&self.shape.apex)
    }

    /// The whole zone as batches of about `max_bytes` when encoded. All but the last hold keys of the generation, which
    /// nothing refers to yet; the last ends with the keys of the zone. A zone that fits is one batch.
    pub fn into_batches(self, max_bytes: usize) -> impl Iterator<Item = Batch> {
        let flip = self.zone_entries();
        let id = self.shape.identity.id;
        let mut published = self.published.into_iter().flat_map(EntryList::into_entries).peekable();
        let mut private = self.private.into_entries().peekable();
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let reserved: usize = flip.iter().map(|(key, value)| op_len(key.as_bytes(), value.as_bytes())).sum();
            let mut room = max_bytes.saturating_sub(reserved);
            let mut dns = take_puts(&mut published, &mut room, true);
            let mut core = take_puts(&mut private, &mut room, dns.is_empty());
            if published.peek().is_none() && private.peek().is_none() {
                done = true;
                let [zone, core_zone] = flip.clone().map(|(key, value)| Op::Put { key, value });
                dns.push(zone);
                core.push(core_zone);
            }
            Some(batch_of(id, dns, core))
        })
    }

    /// Computes the batch that makes the generation in `view` equal to this build. The build must have been made for
    /// that generation.
    ///
    /// # Errors
    /// The view could not be read.
    pub fn diff(&self, view: &dyn View, max_bytes: usize) -> Result<Diff, ReadError> {
        let mut room = max_bytes;
        let entries = self.zone_entries();
        let mut present = Vec::new();
        let [(zone_key, _), _] = &entries;
        view.get(zone_key.as_bytes(), &mut present)?;
        let mut undo = Undo::new(self.shape.identity, &present, self.serial().into_int());
        let mut diff = |keyspace| self.diff_keyspace(view, keyspace, &mut room, &mut undo);
        let (Some(mut dns), Some(mut core)) = (diff(KeyspaceId::DNS)?, diff(KeyspaceId::CORE)?) else {
            return Ok(Diff::TooLarge);
        };
        for (ops, (key, value)) in [&mut dns, &mut core].into_iter().zip(entries) {
            let found = view.get(key.as_bytes(), &mut present)?;
            if !found || present != value.as_bytes() {
                undo.push(key.clone(), found.then_some(present.as_slice()));
                let Some(left) = room.checked_sub(op_len(key.as_bytes(), value.as_bytes())) else {
                    return Ok(Diff::TooLarge);
                };
                room = left;
                ops.push(Op::Put { key, value });
            }
        }
        let batch = batch_of(self.shape.identity.id, dns, core);
        Ok(Diff::Batch(batch, undo))
    }

    /// The operations on one keyspace, or `None` when they take more than `room` bytes.
    fn diff_keyspace(
        &self,
        view: &dyn View,
        keyspace: KeyspaceId,
        room: &mut usize,
        undo: &mut Undo,
    ) -> Result<Option<Vec<Op>>, ReadError> {
        let built: Box<dyn Iterator<Item = Entry>> = match keyspace {
            KeyspaceId::DNS => Box::new(self.published()),
            _ => Box::new(self.private()),
        };
        let mut built = built.peekable();
        let mut ops = Vec::new();
        let mut left = Some(*room);
        let mut add = |op: Op, before: Option<&[u8]>, left: &mut Option<usize>| {
            let (key, len) = match &op {
                Op::Put { key, value } => (key, op_len(key.as_bytes(), value.as_bytes())),
                Op::Delete { key } | Op::DeleteRange { start: key, .. } => (key, op_len(key.as_bytes(), &[])),
            };
            *left = left.and_then(|left| left.checked_sub(len));
            undo.push(key.clone(), before);
            ops.push(op);
        };
        let (start, end) = generation_range(keyspace, self.shape.identity.generation);
        view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| {
            while let Some(entry) = built.next_if(|(built, _)| built.as_ref() < key) {
                add(put(entry), None, &mut left);
            }
            match built.next_if(|(built, _)| built.as_ref() == key) {
                Some((_, built_value)) if built_value == value => {}
                Some(entry) => add(put(entry), Some(value), &mut left),
                None => match Key::new(key.to_vec()) {
                    Ok(key) => add(Op::Delete { key }, Some(value), &mut left),
                    Err(_) => left = None,
                },
            }
            if left.is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        while left.is_some()
            && let Some(entry) = built.next()
        {
            add(put(entry), None, &mut left);
        }
        *room = left.unwrap_or_default();
        Ok(left.map(|_| ops))
    }
}

fn put((key, value): Entry) -> Op {
    Op::Put {
        key: Key::new(key).expect("DNS keys are within the limits of keys"),
        value: Value::new(value).expect("sizes of values were checked while building"),
    }
}

/// Puts while there is room, and at least one where asked for.
fn take_puts(entries: &mut Peekable<impl Iterator<Item = Entry>>, room: &mut usize, at_least_one: bool) -> Vec<Op> {
    let mut ops = Vec::new();
    while let Some((key, value)) = entries.peek() {
        let len = op_len(key, value);
        if *room < len && !(at_least_one && ops.is_empty()) {
            *room = 0;
            break;
        }
        *room = room.saturating_sub(len);
        ops.extend(entries.next().map(put));
    }
    ops
}
