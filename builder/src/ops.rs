//! Operations of one zone, as batches hold them, and batches over a view.

use zonecast_kv_proto::{Batch, Edition, Key, KeyspaceId, Op, Overlay, Section, SectionId};
use zonecast_records::ZoneId;

/// What an operation takes in an encoded batch beside its key and value, at most.
pub(crate) const OP_OVERHEAD: usize = 16;

/// A batch of one zone: its sections, published first, those without operations left out.
pub(crate) fn batch_of(id: ZoneId, published: Vec<Op>, private: Vec<Op>) -> Batch {
    let section = |(keyspace, ops)| Section { id: SectionId { keyspace, partition: id.get() }, ops };
    let both = [(KeyspaceId::DNS, published), (KeyspaceId::CORE, private)];
    let sections = both.into_iter().map(section).filter(|section| !section.ops.is_empty()).collect();
    Batch { preconditions: vec![], sections }
}

/// The same of operations of either kind, each kind in its order.
pub(crate) fn batch_of_both(id: ZoneId, ops: impl IntoIterator<Item = Op>) -> Batch {
    let (published, private) = ops.into_iter().partition(|op| op.key().keyspace() == KeyspaceId::DNS);
    batch_of(id, published, private)
}

/// Bytes that a put takes in an encoded batch, at most; a deletion is one of an empty value.
pub(crate) fn op_len(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + OP_OVERHEAD
}

/// Bytes that operations take in an encoded batch, at most.
pub(crate) fn ops_len<'o>(ops: impl IntoIterator<Item = &'o Op>) -> usize {
    let len = |op: &Op| match op {
        Op::Put { key, value } => op_len(key.as_bytes(), value.as_bytes()),
        Op::Delete { key } => op_len(key.as_bytes(), &[]),
        Op::DeleteRange { start, end } => op_len(start.as_bytes(), end.as_bytes()),
    };
    ops.into_iter().map(len).sum()
}

/// A key that was read from a store.
pub(crate) fn own_key(key: &[u8]) -> Key {
    Key::new(key.to_vec()).expect("DNS keys are within the limits of keys")
}

/// A batch to be laid over a view.
pub(crate) fn laid_over(batch: &Batch) -> Overlay {
    let mut overlay = Overlay::new();
    let staged: Result<(), std::convert::Infallible> = overlay.stage(0, batch, |_| Ok(Edition::default()));
    let Ok(()) = staged;
    overlay
}
