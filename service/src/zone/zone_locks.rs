//! Who works on which zone: any number of record changes, or one replacement of the whole zone.
//!
//! A replacement reads the zone, may build for seconds, and would begin anew for ever if it found it changed at the end;
//! so record changes are told to come back meanwhile, and a replacement waits for those under way. That is fair, and no
//! more: what was built from a zone that has changed since is refused by the editions that it requires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use zonecast_records::Name;

/// Locks that let either record changes or one replacement work on a zone. Zones without work take no memory.
#[derive(Debug, Default)]
pub struct ZoneLocks {
    zones: Mutex<HashMap<Name, Work>>,
    /// Told whenever work on some zone ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Work {
    changes: usize,
    replaced: bool,
}

/// Work on one zone that ends when dropped.
#[derive(Debug)]
pub struct ZoneGuard {
    locks: Arc<ZoneLocks>,
    zone: Name,
    replaces: bool,
}

impl ZoneLocks {
    /// Nobody at work.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a record change; `None` while the zone is replaced.
    #[must_use]
    pub fn change(self: &Arc<Self>, zone: Name) -> Option<ZoneGuard> {
        let mut zones = self.zones();
        let work = zones.entry(zone).or_default();
        if work.replaced {
            return None;
        }
        work.changes += 1;
        Some(self.guard(zone, false))
    }

    /// Begins a replacement once the record changes under way have ended; `None` while it is replaced already.
    pub async fn replace(self: &Arc<Self>, zone: Name) -> Option<ZoneGuard> {
        {
            let mut zones = self.zones();
            let work = zones.entry(zone).or_default();
            if work.replaced {
                return None;
            }
            work.replaced = true;
        }
        let guard = self.guard(zone, true);
        loop {
            // Before looking, so that an end between looking and waiting is not missed.
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if self.zones().get(&zone).is_none_or(|work| work.changes == 0) {
                return Some(guard);
            }
            ended.await;
        }
    }

    fn guard(self: &Arc<Self>, zone: Name, replaces: bool) -> ZoneGuard {
        ZoneGuard { locks: Arc::clone(self), zone, replaces }
    }

    fn zones(&self) -> MutexGuard<'_, HashMap<Name, Work>> {
        // Whole between any two calls.
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ZoneGuard {
    fn drop(&mut self) {
        let mut zones = self.locks.zones();
        if let Some(work) = zones.get_mut(&self.zone) {
            if self.replaces {
                work.replaced = false;
            } else {
                work.changes = work.changes.saturating_sub(1);
            }
            if work.changes == 0 && !work.replaced {
                zones.remove(&self.zone);
            }
        }
        drop(zones);
        self.locks.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replacement_shuts_changes_out_and_waits_for_those_under_way() {
        let locks = ZoneLocks::new();
        let (zone, other): (Name, Name) = ("a.example".parse().unwrap(), "b.example".parse().unwrap());
        let change = locks.change(zone).unwrap();
        let _second = locks.change(zone).unwrap();
        drop(_second);
        let replacing = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { locks.replace(zone).await.unwrap() }
        });
        // The runtime has one thread: the task has run up to its wait once a change is refused.
        while locks.change(zone).is_some() {
            tokio::task::yield_now().await;
        }
        assert!(!replacing.is_finished());
        assert!(locks.replace(zone).await.is_none(), "two replacements at once");
        assert!(locks.change(other).is_some());
        drop(change);
        let guard = replacing.await.unwrap();
        assert!(locks.change(zone).is_none());
        drop(guard);
        assert!(locks.change(zone).is_some());
        assert!(locks.zones().is_empty(), "nobody is at work any more");
    }
}
