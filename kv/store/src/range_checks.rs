//! What a node comes to at the last marker: hashes of the ranges of its keys as they were at that version, and what they
//! are hashes of, for as long as others may ask.
//!
//! ```text
//! marker applied ─▶ snapshot ─▶ thread: reads at the rate of the marker, sums up ─▶ done ─▶ kept for an hour, or
//!                                                                                    until the next marker
//! ```
//! One thread for each marker. A later marker ends the thread of the one before, and so does the end of the store, which
//! waits for it: RocksDB must not be closed under it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zonecast_kv_proto::{
    MAX_GIVEN_LEN, MAX_RANGES_IN_MESSAGE, Marker, PUBLISHED_END, Position, RangeHasher, RangeSum, RangeSums,
    RangesGiven, RangesWant, Span, put_entry,
};

use crate::StoreError;

/// How long a snapshot stays that has been summed up: whoever asks for a part of it does so within minutes, and until it
/// goes RocksDB keeps what was replaced since.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Bytes between two looks at the rate and at whether to end.
const STEP: u64 = 256 * 1024;

/// The slowest that a marker can ask for: a copy of 100 GB takes a day and more.
const LEAST_RATE: u64 = 1024 * 1024;

/// Bytes of ranges in one answer.
const MAX_PAGE: usize = 256 * 1024;

/// Of one range, beside its last key.
const RANGE_OVERHEAD: usize = 40;

/// Is shown entries until it has seen enough.
pub(crate) type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// Unchanging keys that are summed up.
pub(crate) trait Summed: Send {
    /// Shows the published entries between these keys, in order; what is read replaces nothing in the cache.
    fn published(&self, lower: &[u8], end: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Shows everything else that voters have in common, in ascending order; says no where there is nothing of the kind.
    fn private(&self, visit: &mut Visit<'_>) -> Result<bool, StoreError>;
}

/// See the module. Clones share it.
#[derive(Clone)]
pub struct RangeChecks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    tell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct State {
    /// Another one with each marker; a thread of another number ends.
    turn: u64,
    present: Option<RangeCheck>,
    threads: Vec<JoinHandle<()>>,
}

/// How far it is with the last marker.
#[derive(Clone, Debug)]
pub struct RangeCheck {
    /// The marker.
    pub marker: Marker,
    /// Where the copy stood that is summed up.
    pub position: Position,
    /// What it has come to.
    pub progress: CheckProgress,
}

/// See [`RangeCheck`].
#[derive(Clone, Debug)]
pub enum CheckProgress {
    /// It reads.
    Hashing,
    /// It has read everything.
    Done(Arc<Checked>),
    /// It could not be read.
    Failed(String),
}

/// A copy that is summed up.
pub struct Checked {
    /// Of everything published.
    pub published: RangeSums,
    /// How many keys that are.
    pub keys: u64,
    /// Of everything else that voters have in common; an edge has none of it.
    pub private: Option<RangeSums>,
    /// As it was at the marker, until it is let go.
    source: Mutex<Option<Box<dyn Summed>>>,
}

impl RangeChecks {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// How far it is; nothing before the first marker since the start.
    #[must_use]
    pub fn present(&self) -> Option<RangeCheck> {
        self.shared.lock().present.clone()
    }

    /// Calls this at each change of [`RangeChecks::present`]. Once.
    pub fn on_change(&self, tell: impl Fn() + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.shared.tell.set(Box::new(tell));
    }

    /// Answers a question about what was here at a marker.
    pub(crate) fn give(&self, want: &RangesWant) -> Result<RangesGiven, StoreError> {
        match self.present() {
            Some(RangeCheck { marker, progress: CheckProgress::Done(done), .. }) if marker.number == want.number => {
                done.give(want)
            }
            _ => Ok(RangesGiven::not_there(want.number)),
        }
    }

    /// Nothing that was summed up is of the present copy any more.
    pub(crate) fn forget(&self) {
        let mut state = self.shared.lock();
        state.turn += 1;
        state.present = None;
        drop(state);
        self.shared.changed();
    }

    /// Begins to sum up what stands at the version of a marker.
    pub(crate) fn begin(&self, marker: Marker, position: Position, source: Box<dyn Summed>) {
        let mut state = self.shared.lock();
        state.turn += 1;
        let turn = state.turn;
        state.threads.retain(|thread| !thread.is_finished());
        let shared = Arc::clone(&self.shared);
        let work = move || shared.work(turn, marker, source);
        let progress = match std::thread::Builder::new().name("verify".into()).spawn(work) {
            Ok(thread) => {
                state.threads.push(thread);
                CheckProgress::Hashing
            }
            Err(error) => CheckProgress::Failed(format!("there is no thread for it: {error}")),
        };
        state.present = Some(RangeCheck { marker, position, progress });
        drop(state);
        self.shared.changed();
    }

    /// Ends what is under way, and waits for it.
    pub(crate) fn end(&self) {
        let mut state = self.shared.lock();
        state.turn += 1;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.shared.wake.notify_all();
        // One that has panicked reads nothing any more.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.wake.notify_all();
        if let Some(tell) = self.tell.get() {
            tell();
        }
    }

    /// Waits for so long, or until another marker has come; says whether this one still counts.
    fn wait(&self, turn: u64, time: Duration) -> bool {
        let (deadline, mut state) = (Instant::now() + time, self.lock());
        while state.turn == turn {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            let woken = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
        }
        false
    }

    fn work(&self, turn: u64, marker: Marker, source: Box<dyn Summed>) {
        let mut pace = Step { shared: self, turn, rate: marker.bytes_per_second.max(LEAST_RATE), bytes: 0 };
        let progress = match sum_up(&*source, &mut pace) {
            Ok(Some(checked)) => CheckProgress::Done(Arc::new(Checked { source: Mutex::new(Some(source)), ..checked })),
            Ok(None) => return,
            Err(error) => CheckProgress::Failed(error.to_string()),
        };
        let done = if let CheckProgress::Done(done) = &progress { Some(Arc::clone(done)) } else { None };
        let mut state = self.lock();
        if state.turn != turn {
            return;
        }
        if let Some(present) = &mut state.present {
            present.progress = progress;
        }
        drop(state);
        self.changed();
        if let Some(done) = done {
            self.wait(turn, KEPT_FOR);
            done.let_go();
        }
    }
}

/// Keeps to the rate of a marker.
struct Step<'s> {
    shared: &'s Shared,
    turn: u64,
    rate: u64,
    bytes: u64,
}

impl Step<'_> {
    /// So many bytes more were read; says whether to go on.
    fn read(&mut self, bytes: usize) -> ControlFlow<()> {
        self.bytes += bytes as u64;
        if self.bytes < STEP {
            return ControlFlow::Continue(());
        }
        let rest = Duration::from_secs(1).mul_f64(std::mem::take(&mut self.bytes) as f64 / self.rate as f64);
        if self.shared.wait(self.turn, rest) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Sums up everything; nothing if it is not wanted any more.
fn sum_up(source: &dyn Summed, pace: &mut Step<'_>) -> Result<Option<Checked>, StoreError> {
    let (mut published, mut private) = (RangeHasher::default(), RangeHasher::default());
    let mut goes_on = ControlFlow::Continue(());
    source.published(&[], PUBLISHED_END, &mut |key, value| {
        published.add(key, value);
        goes_on = pace.read(key.len() + value.len());
        goes_on
    })?;
    if goes_on.is_break() {
        return Ok(None);
    }
    let has_private = source.private(&mut |key, value| {
        private.add(key, value);
        goes_on = pace.read(key.len() + value.len());
        goes_on
    })?;
    if goes_on.is_break() {
        return Ok(None);
    }
    let keys = published.keys();
    let private = has_private.then(|| private.finish());
    Ok(Some(Checked::of(published.finish(), keys, private)))
}

impl Checked {
    /// One of which nothing is kept.
    #[must_use]
    pub fn of(published: RangeSums, keys: u64, private: Option<RangeSums>) -> Self {
        Self { published, keys, private, source: Mutex::new(None) }
    }

    /// Answers a question about it.
    fn give(&self, want: &RangesWant) -> Result<RangesGiven, StoreError> {
        let number = want.number;
        match &want.entries {
            None => Ok(self.page(number, want.from)),
            Some(span) => {
                let entries = self.entries(span)?;
                let given = |entries| RangesGiven { number, is_there: true, entries, ..RangesGiven::default() };
                Ok(entries.map_or_else(|| RangesGiven::not_there(number), given))
            }
        }
    }

    fn page(&self, number: u64, from: u64) -> RangesGiven {
        let all = self.published.ranges();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |range: &&RangeSum| {
            bytes += range.last.len() + RANGE_OVERHEAD;
            bytes <= MAX_PAGE
        };
        let ranges = all.iter().skip(from).take(MAX_RANGES_IN_MESSAGE).take_while(fits).cloned().collect();
        RangesGiven { number, is_there: true, of: all.len() as u64, ranges, ..RangesGiven::default() }
    }

    /// The entries between these keys; nothing if they are let go, or more than a range has.
    fn entries(&self, span: &Span) -> Result<Option<Bytes>, StoreError> {
        let source = self.source();
        let Some(source) = &*source else { return Ok(None) };
        let (lower, end) = span.bounds(PUBLISHED_END);
        let mut message = BytesMut::new();
        source.published(&lower, &end, &mut |key, value| {
            put_entry(&mut message, key, value);
            if message.len() <= MAX_GIVEN_LEN { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok((message.len() <= MAX_GIVEN_LEN).then(|| message.freeze()))
    }

    fn let_go(&self) {
        drop(self.source().take());
    }

    fn source(&self) -> MutexGuard<'_, Option<Box<dyn Summed>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checked({}, {} keys)", self.published.root(), self.keys)
    }
}

impl fmt::Debug for RangeChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeChecks({:?})", self.present())
    }
}
