//! One run of a machine, from power on to power off.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use openraft::Instant as _;
use openraft_rt_sim::SimInstant;
use tokio::sync::Notify;

use super::dice::Dice;
use super::state_disk::Content;
use super::witness::Witness;

/// Whether a machine has power. What lost it does and says nothing any more, though its tasks may still be there.
#[derive(Clone, Debug)]
pub(crate) struct Power(Arc<Switch>);

#[derive(Debug)]
struct Switch {
    is_on: AtomicBool,
    is_stopping: AtomicBool,
    cut: Notify,
}

impl Power {
    pub(crate) fn on() -> Self {
        let is_stopping = AtomicBool::new(false);
        Self(Arc::new(Switch { is_on: AtomicBool::new(true), is_stopping, cut: Notify::new() }))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Relaxed)
    }

    pub(crate) fn cut(&self) {
        self.0.is_on.store(false, Ordering::Relaxed);
        self.0.cut.notify_waiters();
    }

    /// The voter is about to stop, as it should.
    pub(crate) fn stops(&self) {
        self.0.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Relaxed)
    }

    /// Waits until it is cut.
    pub(crate) async fn lost(&self) {
        while self.is_on() {
            self.0.cut.notified().await;
        }
    }
}

/// See the module. Clones are the same run.
#[derive(Clone)]
pub(crate) struct Run {
    /// Of the machine.
    pub(crate) name: Arc<str>,
    /// Node id of the voter on its disk.
    pub(crate) id: u64,
    /// Of all runs of all machines.
    pub(crate) number: u64,
    pub(crate) power: Power,
    pub(crate) dice: Dice,
    pub(crate) witness: Arc<Witness>,
    pub(crate) snapshots: Snapshots,
}

/// Snapshots on their way from one voter to another, of all runs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots(Arc<Mutex<Vec<Arc<Content>>>>);

impl Snapshots {
    /// Says where it lies.
    pub(crate) fn put(&self, content: Arc<Content>) -> u64 {
        let mut all = self.0.lock().unwrap();
        all.push(content);
        all.len() as u64 - 1
    }

    pub(crate) fn get(&self, place: u64) -> Arc<Content> {
        Arc::clone(&self.0.lock().unwrap()[usize::try_from(place).unwrap()])
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (node {}, run {})", self.name, self.id, self.number)
    }
}

/// Nanoseconds of virtual time.
pub(crate) fn now() -> u64 {
    u64::try_from(SimInstant::now().elapsed_since_start().as_nanos()).unwrap()
}
