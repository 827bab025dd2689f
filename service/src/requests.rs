//! Requests under way that are to be done once. The same one again waits until the first has ended: then its outcome is
//! known, or its key is unused.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zonecast_kv_proto::RequestId;

/// Those under way in this process. Only a leader has any, and what an earlier leader had on its way has landed, or never
/// will, when a lead begins.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    under_way: Mutex<HashSet<RequestId>>,
    /// Told whenever one ends.
    ended: Notify,
}

/// One request under way; it has ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    requests: Arc<Requests>,
    id: RequestId,
}

impl Requests {
    /// Begins a request, once the same is not under way any more.
    pub(crate) async fn begin(self: &Arc<Self>, id: RequestId) -> Turn {
        loop {
            // Before looking, so that an end between looking and waiting is not missed.
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if self.under_way().insert(id) {
                return Turn { requests: Arc::clone(self), id };
            }
            ended.await;
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        // Whole between any two calls.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.requests.under_way().remove(&self.id);
        self.requests.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use zonecast_kv_proto::RequestKey;

    use super::*;

    #[tokio::test]
    async fn the_same_request_waits_and_another_does_not() {
        let requests = Arc::new(Requests::default());
        let id = |scope| RequestId { key: RequestKey::made_at(1, 1), scope: [scope; 16] };
        let first = requests.begin(id(1)).await;
        let mut second = Box::pin(requests.begin(id(1)));
        let mut third = Box::pin(requests.begin(id(1)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        let other = requests.begin(id(2)).await;
        drop(first);
        let second = second.await;
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        drop((third.await, other));
        assert!(requests.under_way().is_empty());
    }
}
