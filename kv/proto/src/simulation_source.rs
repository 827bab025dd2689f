//! What the simulations of a publisher and a follower share: the store of the publisher.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::random::Random;
use crate::{
    Batch, Chain, Epoch, Key, KeyspaceId, MemoryView, Op, OpRef, Position, Published, RestoreId, Section, SectionId,
    StoreId, Tail, Value, Version,
};

/// The store of the publisher: data, and a log that is trimmed.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) data: MemoryView,
    pub(crate) head: Position,
    pub(crate) began: Version,
    pub(crate) log: VecDeque<(Chain, Bytes)>,
}

impl Source {
    pub(crate) fn new(store: u128) -> Self {
        let head = Position::origin(StoreId::new(store));
        Self { data: MemoryView::new(), head, began: Version::ZERO, log: VecDeque::new() }
    }

    pub(crate) fn commit(&mut self, random: &mut Random) -> Bytes {
        let key = |random: &mut Random| Key::new(vec![0, 1, u8::try_from(random.below(20)).unwrap()]).unwrap();
        let mut ops = Vec::new();
        for _ in 0..=random.below(4) {
            ops.push(match random.below(8) {
                0 => Op::Delete { key: key(random) },
                1 => Op::DeleteRange { start: key(random), end: key(random) },
                2 => Op::Put { key: key(random), value: Value::new(vec![7; 300_000]).unwrap() },
                _ => Op::Put { key: key(random), value: Value::new(random.below(99).to_string()).unwrap() },
            });
        }
        self.commit_ops(ops)
    }

    pub(crate) fn commit_ops(&mut self, ops: Vec<Op>) -> Bytes {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let batch = Batch { preconditions: Vec::new(), sections: vec![Section { id, ops }] };
        self.data.apply(&batch);
        let encoded = batch.encode().unwrap();
        self.publish(&Published::after(&self.head, 0, encoded.sections).unwrap())
    }

    pub(crate) fn accept_restore(&mut self, restore: u128) -> Bytes {
        let fork = Published::fork(&self.head, Epoch::ZERO, 0, RestoreId::new(restore)).unwrap();
        self.began = fork.version;
        self.publish(&fork)
    }

    fn publish(&mut self, published: &Published) -> Bytes {
        self.head = published.follow(&self.head).unwrap();
        let bytes = published.to_bytes();
        self.log.push_back((self.head.chain, bytes.clone()));
        bytes
    }

    fn first(&self) -> u64 {
        self.head.version.get() + 1 - self.log.len() as u64
    }

    pub(crate) fn chain_at(&self, version: Version) -> Option<Chain> {
        match version {
            Version::ZERO => Some(Chain::origin(self.head.store)),
            version if version == self.head.version => Some(self.head.chain),
            version => {
                let at = usize::try_from(version.get().checked_sub(self.first())?).unwrap();
                self.log.get(at).map(|(chain, _)| *chain)
            }
        }
    }

    pub(crate) fn read_after(&self, after: Version, random: &mut Random) -> Option<Vec<Bytes>> {
        let at = usize::try_from((after.get() + 1).checked_sub(self.first())?).unwrap();
        let count = usize::try_from(1 + random.below(5)).unwrap();
        Some(self.log.range(at..).take(count).map(|(_, bytes)| bytes.clone()).collect())
    }
}

pub(crate) fn owned(op: OpRef<'_>) -> Op {
    let key = |bytes: &[u8]| Key::new(bytes.to_vec()).unwrap();
    match op {
        OpRef::Put { key: at, value } => Op::Put { key: key(at), value: Value::new(value.to_vec()).unwrap() },
        OpRef::Delete { key: at } => Op::Delete { key: key(at) },
        OpRef::DeleteRange { start, end } => Op::DeleteRange { start: key(start), end: key(end) },
    }
}

/// Another upstream, which trails the source and begins anew whenever it comes to have more.
pub(crate) struct Replica {
    pub(crate) source: Source,
    pub(crate) tail: Tail,
}

impl Replica {
    pub(crate) fn of(source: &Source) -> Self {
        Self { tail: Tail::new(source.head, 2000), source: source.clone() }
    }
}
