//! The checkpoint that a machine sends to voters that are behind: kept for a while, so that a transfer that was cut off
//! goes on where it was, and shared by all to whom one is sent.
//!
//! A checkpoint keeps files on the disk that the live database has given up, so there is one, and not for long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use zonecast_kv_proto::StateManifest;
use zonecast_kv_store::SendState;

/// How long one is kept after it was last sent from.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// The state of this voter at one moment, as files.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// Tells transfers of it from others.
    pub(crate) id: u128,
    pub(crate) files: SendState,
}

impl Checkpoint {
    pub(crate) fn manifest(&self) -> StateManifest {
        self.files.manifest(self.id)
    }
}

/// A checkpoint that is being sent. Dropped before the end of that, also by whoever cancels it, it is kept for a while.
pub(crate) struct Sending<'a> {
    pub(crate) kept: &'a KeptCheckpoint,
    pub(crate) checkpoint: Arc<Checkpoint>,
}

impl Sending<'_> {
    /// It was sent as a whole.
    pub(crate) fn ends(&self) {
        self.kept.forget(&self.checkpoint);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.kept.forget_later();
    }
}

/// See the module. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptCheckpoint {
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
struct Kept {
    checkpoint: Arc<Checkpoint>,
    used: Instant,
}

impl KeptCheckpoint {
    pub(crate) fn present(&self) -> Option<Arc<Checkpoint>> {
        self.lock().as_ref().map(|kept| Arc::clone(&kept.checkpoint))
    }

    /// In place of any other one.
    pub(crate) fn keep(&self, checkpoint: &Arc<Checkpoint>) {
        let kept = Kept { checkpoint: Arc::clone(checkpoint), used: Instant::now() };
        let before = self.lock().replace(kept);
        // Its folder goes with it, which takes its time.
        drop(before);
    }

    /// It was sent as a whole: who needs one later gets a newer one.
    fn forget(&self, checkpoint: &Arc<Checkpoint>) {
        let forgotten = self.lock().take_if(|kept| Arc::ptr_eq(&kept.checkpoint, checkpoint));
        drop(forgotten);
    }

    /// It was not sent as a whole: it is forgotten when nobody has gone on with it for a while.
    fn forget_later(&self) {
        match self.lock().as_mut() {
            Some(kept) => kept.used = Instant::now(),
            None => return,
        }
        let kept = Arc::downgrade(&self.kept);
        // Without a runtime everything ends.
        let Ok(runtime) = Handle::try_current() else { return };
        drop(runtime.spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            if let Some(kept) = kept.upgrade() {
                drop(tokio::task::spawn_blocking(move || Self { kept }.forget_unused()));
            }
        }));
    }

    fn forget_unused(&self) {
        let is_unused = |kept: &mut Kept| kept.used.elapsed() >= KEPT_FOR && Arc::strong_count(&kept.checkpoint) == 1;
        let forgotten = self.lock().take_if(is_unused);
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
