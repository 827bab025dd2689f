//! The copy of a node and its batch log: what the process sees, and what power loss leaves.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::simulation_source::owned;
use crate::{
    Chain, Filter, FollowerAction, FollowerInput, Key, MemoryView, Position, ReceivedVersion, Version, decode_entries,
    decode_ops,
};

/// A version in the log of a node.
#[derive(Clone)]
pub(super) struct Logged {
    pub(super) version: Version,
    pub(super) chain: Chain,
    pub(super) bytes: Bytes,
}

/// Data, position and log change together.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) data: MemoryView,
    pub(super) position: Option<Position>,
    /// What it holds, if not everything.
    pub(super) filter: Option<Filter>,
    pub(super) log: VecDeque<Logged>,
}

impl State {
    pub(super) fn chain_at(&self, version: Version) -> Option<Chain> {
        let position = self.position.expect("only a copy that stands somewhere is asked");
        match version {
            Version::ZERO => Some(Chain::origin(position.store)),
            version if version == position.version => Some(position.chain),
            version => self.log.iter().find(|logged| logged.version == version).map(|logged| logged.chain),
        }
    }

    /// What a filter holds of it, in order.
    pub(super) fn entries(&self, filter: Option<&Filter>) -> VecDeque<(Bytes, Bytes)> {
        let holds = |key: &[u8]| filter.is_none_or(|filter| filter.holds_keyspace(Key::check(key).unwrap()));
        let own = |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.data.entries().filter(|(key, _)| holds(key)).map(own).collect()
    }

    /// Up to so many versions after one; nothing where the log does not reach back.
    pub(super) fn read_after(&self, after: Version, most: usize) -> Option<Vec<Bytes>> {
        if Some(after) >= self.position.map(|position| position.version) {
            return Some(vec![]);
        }
        let first = self.log.iter().position(|logged| Some(logged.version) == after.next())?;
        Some(self.log.iter().skip(first).take(most).map(|logged| logged.bytes.clone()).collect())
    }
}

/// A snapshot that is not complete yet.
struct Loading {
    data: MemoryView,
    filter: Option<Filter>,
}

/// What a node keeps.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) state: State,
    /// What is left when the power goes.
    pub(super) durable: State,
    loading: Option<Loading>,
    /// Handed on, not applied.
    queue: VecDeque<FollowerAction>,
}

/// What a piece of work has led to.
pub(super) enum Done {
    /// This version was applied.
    Applied(ReceivedVersion, FollowerInput),
    /// A snapshot replaced what was there.
    Loaded(FollowerInput),
    /// A part of it.
    Part(Option<FollowerInput>),
}

impl Disk {
    pub(super) fn hand_on(&mut self, action: FollowerAction) {
        self.queue.push_back(action);
    }

    /// The process ends: what it had in memory is gone.
    pub(super) fn crash(&mut self) {
        self.queue.clear();
        self.loading = None;
    }

    pub(super) fn lose_power(&mut self) {
        self.crash();
        self.state = self.durable.clone();
    }

    pub(super) fn sync(&mut self) -> Option<Position> {
        self.durable = self.state.clone();
        self.state.position
    }

    /// Does the next piece of work, if there is any.
    pub(super) fn work(&mut self) -> Option<Done> {
        Some(match self.queue.pop_front()? {
            FollowerAction::Apply(version, position, bytes) => {
                for op in version.published.sections.iter().flat_map(decode_ops) {
                    self.state.data.apply_op(&owned(op.unwrap()));
                }
                self.state.position = Some(position);
                let (number, chain) = (version.published.version, version.published.chain);
                self.state.log.push_back(Logged { version: number, chain, bytes: version.bytes.clone() });
                Done::Applied(version, FollowerInput::Applied { position, bytes, two_clock_us: 0 })
            }
            FollowerAction::SnapshotBegin(_, filter) => {
                self.loading = Some(Loading { data: MemoryView::new(), filter });
                Done::Part(None)
            }
            FollowerAction::SnapshotEntries(entries, bytes) => {
                let loading = &mut self.loading.as_mut().unwrap().data;
                decode_entries(&entries).map(Result::unwrap).for_each(|(key, value)| loading.insert(key, value));
                Done::Part(Some(FollowerInput::Taken(bytes)))
            }
            FollowerAction::SnapshotEnd(position, bytes) => {
                let Loading { data, filter } = self.loading.take().unwrap();
                self.state = State { data, position: Some(position), filter, log: VecDeque::new() };
                // It is synced before it takes the place of the copy before.
                self.durable = self.state.clone();
                Done::Loaded(FollowerInput::Applied { position, bytes, two_clock_us: 0 })
            }
            FollowerAction::SnapshotAbort => {
                self.loading = None;
                Done::Part(None)
            }
            other => panic!("{other:?} is not for the disk"),
        })
    }
}
