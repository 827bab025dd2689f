//! Tracks the users of the stores: openraft's tasks outlive its shutdown by a moment, and a store that is in use cannot
//! be opened again.

use std::convert::Infallible;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Kept by whoever uses the stores.
#[derive(Clone, Debug)]
pub(crate) struct StoreUse {
    _released: mpsc::Sender<Infallible>,
}

/// Waits until every [`StoreUse`] of its kind is gone.
#[derive(Debug)]
pub(crate) struct Released {
    held: mpsc::Receiver<Infallible>,
}

impl StoreUse {
    /// The first one. Its clones count too.
    pub(crate) fn new() -> (Self, Released) {
        let (released, held) = mpsc::channel(1);
        (Self { _released: released }, Released { held })
    }

    /// Runs disk work on a thread for it, which holds the stores until it is done, waited for or not.
    pub(crate) fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let hold = self.clone();
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(hold);
            done
        })
    }
}

impl Released {
    /// See the type.
    pub(crate) async fn wait(mut self) {
        while self.held.recv().await.is_some() {}
    }
}
