//! Versions of the batch log that a downstream still needs, although the log may be over its cap.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zonecast_kv_proto::{LogPin, Version};

/// All pins of one store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins(Arc<Mutex<BTreeMap<Version, usize>>>);

/// One of them: what is after its version stays until it is dropped.
struct Pin {
    pins: Pins,
    after: Version,
}

impl Pins {
    /// Keeps what is after this version.
    pub(crate) fn pin(&self, after: Version) -> Box<dyn LogPin> {
        *self.lock().entry(after).or_default() += 1;
        Box::new(Pin { pins: self.clone(), after })
    }

    /// The first version after which everything is kept.
    pub(crate) fn first(&self) -> Option<Version> {
        self.lock().keys().next().copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Version, usize>> {
        // Whole between two calls, also when one of them panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogPin for Pin {}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&self.after) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.after);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_pin_counts_until_the_last_of_it_is_dropped() {
        let pins = Pins::default();
        let [old, same, new] = [3, 3, 7].map(|version| pins.pin(Version::new(version)));
        assert_eq!(pins.first(), Some(Version::new(3)));
        drop(old);
        assert_eq!(pins.first(), Some(Version::new(3)));
        drop(same);
        assert_eq!(pins.first(), Some(Version::new(7)));
        drop(new);
        assert_eq!(pins.first(), None);
    }
}
