//! A store in memory for the publisher to read from.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use zonecast_kv_proto::{
    Batch, BatchSource, Chain, Filter, Key, KeyspaceId, MemoryView, Op, OpRef, Position, Published, RangeHasher,
    RangesGiven, RangesWant, Section, SectionId, SnapshotSource, SourceError, StoreId, Value, Version, View,
    encode_entries,
};

use crate::EdgeSnapshot;

pub(super) struct MemorySource {
    inner: Mutex<Inner>,
}

struct Inner {
    data: MemoryView,
    head: Position,
    log: VecDeque<(Chain, Bytes)>,
    /// What it held at the last marker, by its number, and what it says that it held.
    at_marker: Option<(u64, MemoryView)>,
}

impl MemorySource {
    pub(super) fn new(store: u128) -> std::sync::Arc<Self> {
        let head = Position::origin(StoreId::new(store));
        Self { inner: Mutex::new(Inner { data: MemoryView::new(), head, log: VecDeque::new(), at_marker: None }) }
            .into()
    }

    pub(super) fn commit(&self, ops: Vec<Op>) -> (Bytes, Position) {
        self.commit_in(SectionId { keyspace: KeyspaceId::DNS, partition: 1 }, ops)
    }

    pub(super) fn commit_in(&self, id: SectionId, ops: Vec<Op>) -> (Bytes, Position) {
        self.commit_sections(vec![Section { id, ops }])
    }

    pub(super) fn commit_sections(&self, sections: Vec<Section>) -> (Bytes, Position) {
        let batch = Batch { preconditions: Vec::new(), sections };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let mut inner = self.lock();
        let sections = batch.encode().unwrap().sections;
        let published = Published::after(&inner.head, u64::try_from(now).unwrap(), sections).unwrap();
        inner.data.apply(&batch);
        inner.head = published.follow(&inner.head).unwrap();
        let bytes = published.to_bytes();
        let (chain, head) = (inner.head.chain, inner.head);
        inner.log.push_back((chain, bytes.clone()));
        (bytes, head)
    }

    /// Keeps what it holds now for those who ask what it held at the marker of this number.
    pub(super) fn keep(&self, number: u64) {
        let mut inner = self.lock();
        inner.at_marker = Some((number, inner.data.clone()));
    }

    /// Tells another value of the last marker than it held there.
    pub(super) fn lie(&self, tail: &[u8], value: &[u8]) {
        if let Some((_, data)) = &mut self.lock().at_marker {
            data.insert(&[&[0, 1], tail].concat(), value);
        }
    }

    /// Holds another value from now on, though nobody has committed it.
    pub(super) fn tamper(&self, tail: &[u8], value: &[u8]) {
        self.lock().data.insert(&[&[0, 1], tail].concat(), value);
    }

    /// Lacks a key from now on, though nobody has committed that.
    pub(super) fn tamper_away(&self, tail: &[u8]) {
        let key = Key::new([&[0, 1], tail].concat()).unwrap();
        self.lock().data.apply_op(&Op::Delete { key });
    }

    pub(super) fn trim(&self) {
        self.lock().log.clear();
    }

    pub(super) fn content(&self) -> MemoryView {
        self.lock().data.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Inner {
    fn index(&self, version: Version) -> Option<usize> {
        let first = self.head.version.get() + 1 - self.log.len() as u64;
        usize::try_from(version.get().checked_sub(first)?).ok()
    }
}

impl BatchSource for MemorySource {
    fn position(&self) -> Position {
        self.lock().head
    }

    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError> {
        let inner = self.lock();
        if version == Version::ZERO {
            return Ok(Some(Chain::origin(inner.head.store)));
        }
        if version == inner.head.version {
            return Ok(Some(inner.head.chain));
        }
        Ok(inner.index(version).and_then(|at| inner.log.get(at)).map(|(chain, _)| *chain))
    }

    fn began(&self) -> Version {
        Version::ZERO
    }

    fn read_after(&self, after: Version, max_bytes: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        let inner = self.lock();
        let Some(first) = inner.index(after.next().unwrap()) else { return Ok(None) };
        let (mut bytes, mut read) = (0, Vec::new());
        for (_, version) in inner.log.range(first.min(inner.log.len())..) {
            if bytes >= max_bytes {
                break;
            }
            bytes += version.len();
            read.push(version.clone());
        }
        Ok(Some(read))
    }

    fn ranges(&self, want: &RangesWant) -> Result<RangesGiven, SourceError> {
        let inner = self.lock();
        let kept = inner.at_marker.as_ref().filter(|(number, _)| *number == want.number);
        let Some((number, data)) = kept else { return Ok(RangesGiven::not_there(want.number)) };
        let given = RangesGiven { number: *number, is_there: true, ..RangesGiven::default() };
        Ok(match &want.entries {
            Some(span) => {
                let own = |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                let entries: Vec<_> = data.entries().filter(|(key, _)| span.contains(key)).map(own).collect();
                RangesGiven { entries: encode_entries(&entries), ..given }
            }
            None => {
                let mut hasher = RangeHasher::default();
                data.entries().for_each(|(key, value)| hasher.add(key, value));
                let sums = hasher.finish();
                // A few at a time.
                let from = usize::try_from(want.from).unwrap();
                let ranges = sums.ranges().iter().skip(from).take(2).cloned().collect();
                RangesGiven { of: sums.ranges().len() as u64, ranges, ..given }
            }
        })
    }

    fn snapshot(&self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        let inner = self.lock();
        let own = |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        let held = |key: &[u8]| filter.is_none_or(|filter| filter.holds_keyspace(Key::check(key).unwrap()));
        let rest = inner.data.entries().filter(|(key, _)| held(key)).map(own).collect();
        Ok(Box::new(Snapshot { position: inner.head, rest }))
    }
}

struct Snapshot {
    position: Position,
    rest: VecDeque<(Bytes, Bytes)>,
}

impl SnapshotSource for Snapshot {
    fn position(&self) -> Position {
        self.position
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        let (mut bytes, mut entries) = (0, Vec::new());
        while bytes < max_bytes
            && let Some((key, value)) = self.rest.pop_front()
        {
            bytes += key.len() + value.len();
            entries.push((key, value));
        }
        Ok(encode_entries(&entries))
    }
}

pub(super) fn put(tail: &[u8], value: &[u8]) -> Op {
    let key = Key::new([&[0, 1], tail].concat()).unwrap();
    Op::Put { key, value: Value::new(value.to_vec()).unwrap() }
}

pub(super) fn owned(op: OpRef<'_>) -> Op {
    let key = |bytes: &[u8]| Key::new(bytes.to_vec()).unwrap();
    match op {
        OpRef::Put { key: at, value } => Op::Put { key: key(at), value: Value::new(value.to_vec()).unwrap() },
        OpRef::Delete { key: at } => Op::Delete { key: key(at) },
        OpRef::DeleteRange { start, end } => Op::DeleteRange { start: key(start), end: key(end) },
    }
}

pub(super) fn content(snapshot: &EdgeSnapshot) -> MemoryView {
    let mut data = MemoryView::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        data.insert(key, value);
        ControlFlow::Continue(())
    };
    snapshot.view().scan(&[], &[0xff; 3], visit).unwrap();
    data
}
