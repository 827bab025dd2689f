//! The raft log on a disk that forgets: a write is readable at once and durable when it is synced. One sync at a time, for
//! all that was written before it, as the writer of the real log does it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use zonecast_kv_store::{Completion, StoreError};

use super::dice::Dice;
use super::event::Event;
use super::run::{Run, now};
use crate::entry::{decode_entry, decode_vote};
use crate::environment::EntryLog;
use crate::types::Entry;

/// Microseconds that a sync takes.
const SYNC: Range<u64> = 200..3000;

/// What is on the disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogDisk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    durable: Content,
    /// Handed to the disk and not synced: of these it keeps, when power is lost, the first ones or none.
    cached: VecDeque<Write>,
    /// Until when no sync ends.
    hung_until: u64,
    /// Says that it has synced, and has not.
    lies: bool,
    /// Loses the vote with the power.
    forgets_votes: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    entries: BTreeMap<u64, Bytes>,
    purged: Option<(u64, Bytes)>,
    vote: Option<Bytes>,
    committed: Option<Bytes>,
}

#[derive(Clone, Debug)]
enum Write {
    Append(Vec<(u64, Bytes)>),
    Truncate(u64),
    Purge(u64, Bytes),
    Vote(Bytes),
    Committed(Option<Bytes>),
}

impl Content {
    fn write(&mut self, write: Write) {
        match write {
            Write::Append(entries) => self.entries.extend(entries),
            Write::Truncate(from) => drop(self.entries.split_off(&from)),
            Write::Purge(upto, mark) => {
                self.entries = self.entries.split_off(&(upto + 1));
                self.purged = Some((upto, mark));
            }
            Write::Vote(vote) => self.vote = Some(vote),
            Write::Committed(committed) => self.committed = committed,
        }
    }

    fn range(&self) -> Range<u64> {
        let first = self.entries.first_key_value().map(|(index, _)| *index);
        let start = self.purged.as_ref().map(|(upto, _)| upto + 1).or(first).unwrap_or_default();
        start..self.entries.last_key_value().map_or(start, |(index, _)| index + 1)
    }
}

impl LogDisk {
    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    /// No sync ends for so long.
    pub(crate) fn hang(&self, time: Duration) {
        self.lock().hung_until = now() + u64::try_from(time.as_nanos()).unwrap();
    }

    /// From now on it says that it has synced, and has not.
    pub(crate) fn lie(&self) {
        self.lock().lies = true;
    }

    pub(crate) fn lose_power(&self, dice: &Dice) {
        let mut platter = self.lock();
        let kept = dice.below(u64::try_from(platter.cached.len()).unwrap() + 1);
        let cached = std::mem::take(&mut platter.cached);
        if platter.forgets_votes {
            platter.durable.vote = None;
        }
        if !platter.lies {
            cached.into_iter().take(usize::try_from(kept).unwrap()).for_each(|write| platter.durable.write(write));
        }
    }

    /// From now on it loses the vote with the power.
    pub(crate) fn forget_votes(&self) {
        self.lock().forgets_votes = true;
    }

    /// Entries that are durable, and up to where it was given up.
    pub(crate) fn range(&self) -> Range<u64> {
        self.lock().durable.range()
    }
}

/// The log of one run. See the module.
pub(crate) struct SimLog {
    run: Run,
    disk: LogDisk,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    now: Content,
    queue: Vec<(Write, Option<Completion>)>,
    is_syncing: bool,
}

impl SimLog {
    pub(crate) fn open(run: Run, disk: LogDisk) -> Self {
        let now = disk.lock().durable.clone();
        Self { run, disk, shared: Arc::new(Mutex::new(Shared { now, ..Shared::default() })) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn submit(&self, write: Write, done: Option<Completion>) -> Result<(), StoreError> {
        if !self.run.power.is_on() {
            return Err(stopped());
        }
        let mut shared = self.lock();
        shared.now.write(write.clone());
        shared.queue.push((write, done));
        if !std::mem::replace(&mut shared.is_syncing, true) {
            drop(SimRuntime::spawn(sync(self.run.clone(), self.disk.clone(), Arc::clone(&self.shared))));
        }
        Ok(())
    }
}

/// Whether an entry is of this node, and this node leads by its vote now.
fn leads(id: u64, log: &Content, entry: &Entry) -> bool {
    let vote = log.vote.clone().map(|vote| decode_vote(vote).unwrap());
    let leader_id = entry.log_id.leader_id;
    leader_id.node_id == id && vote.is_some_and(|vote| vote.leader_id == leader_id)
}

/// Syncs until nothing is left to sync.
async fn sync(run: Run, disk: LogDisk, shared: Arc<Mutex<Shared>>) {
    loop {
        let (writes, dones): (Vec<_>, Vec<_>) = {
            let mut shared = shared.lock().unwrap();
            shared.is_syncing = !shared.queue.is_empty();
            if !shared.is_syncing {
                return;
            }
            shared.queue.drain(..).unzip()
        };
        // What the last run did not hand to the disk is not written by the next one.
        if run.power.is_on() {
            disk.lock().cached.extend(writes);
        }
        SimRuntime::sleep(run.dice.micros(SYNC)).await;
        let hung = disk.lock().hung_until.saturating_sub(now());
        SimRuntime::sleep(Duration::from_nanos(hung)).await;
        let is_durable = run.power.is_on();
        if is_durable {
            let mut platter = disk.lock();
            let cached = std::mem::take(&mut platter.cached);
            if !platter.lies {
                cached.into_iter().for_each(|write| platter.durable.write(write));
            }
        }
        for done in dones.into_iter().flatten() {
            done(if is_durable { Ok(()) } else { Err(Arc::new(stopped())) });
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Stopped { path: PathBuf::new() }
}

impl fmt::Debug for SimLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log of {:?}", self.run)
    }
}

impl EntryLog for SimLog {
    fn range(&self) -> Range<u64> {
        self.lock().now.range()
    }

    fn last(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lock().now.entries.last_key_value().map(|(_, bytes)| bytes.clone()))
    }

    fn purged(&self) -> Option<(u64, Bytes)> {
        self.lock().now.purged.clone()
    }

    fn vote(&self) -> Option<Bytes> {
        self.lock().now.vote.clone()
    }

    fn committed(&self) -> Option<Bytes> {
        self.lock().now.committed.clone()
    }

    fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let shared = self.lock();
        let within = shared.now.range();
        let (start, end) = (range.start.max(within.start), range.end.min(within.end));
        let mut bytes = 0;
        let entries = shared.now.entries.range(start..end.max(start));
        let fits = entries.take_while(|(_, entry)| {
            let before = bytes;
            bytes += entry.len();
            before < max_bytes
        });
        Ok(fits.map(|(index, entry)| (*index, entry.clone())).collect())
    }

    fn read_cached(&self, range: Range<u64>) -> Option<Vec<(u64, Bytes)>> {
        if self.run.dice.one_in(4) { None } else { self.read(range, usize::MAX).ok() }
    }

    fn append(&self, entries: Vec<(u64, Bytes)>, done: Completion) -> Result<(), StoreError> {
        let (range, is_new) = {
            let shared = self.lock();
            (shared.now.range(), shared.now.purged.is_none() && shared.now.entries.is_empty())
        };
        if let Some((first, _)) = entries.first()
            && *first != range.end
            && !is_new
        {
            let what = format!("{:?}: entry {first} cannot follow entries {range:?}", self.run);
            self.run.witness.broken(what.clone());
            return Err(StoreError::Damaged { path: PathBuf::new(), what });
        }
        self.submit(Write::Append(entries.clone()), Some(done))?;
        let shared = self.lock();
        for (_, bytes) in entries {
            let (run, entry) = (&self.run, decode_entry(bytes).unwrap());
            let is_own = leads(run.id, &shared.now, &entry);
            run.witness.see(&Event::Appended { run, entry: &entry, is_own, log: &shared.now.entries });
        }
        Ok(())
    }

    fn truncate(&self, from: u64, done: Completion) -> Result<(), StoreError> {
        let removed: Vec<Bytes> = self.lock().now.entries.range(from..).map(|(_, bytes)| bytes.clone()).collect();
        self.submit(Write::Truncate(from), Some(done))?;
        for bytes in removed {
            self.run.witness.see(&Event::Truncated { run: &self.run, entry: &decode_entry(bytes).unwrap() });
        }
        Ok(())
    }

    fn purge(&self, upto: u64, mark: Bytes) -> Result<(), StoreError> {
        self.submit(Write::Purge(upto, mark), None)
    }

    fn save_vote(&self, vote: Bytes, done: Completion) -> Result<(), StoreError> {
        self.submit(Write::Vote(vote), Some(done))
    }

    fn save_committed(&self, committed: Option<Bytes>) {
        let mut shared = self.lock();
        shared.now.committed.clone_from(&committed);
        // With the next write.
        if shared.is_syncing {
            shared.queue.push((Write::Committed(committed), None));
        }
    }
}
