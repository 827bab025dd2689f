//! How many zones a core hosts, for whoever looks every few seconds: counted in little memory, and no oftener than it
//! can be for a tenth of the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use zonecast_kv_core::Core;
use zonecast_kv_proto::Version;

use crate::error::ServiceError;
use crate::zone::StoredZone;

/// After a count that took so long, the next one waits this many times as long: a million zones take a second or two.
const PAUSE: u32 = 10;

/// The number of zones at a version; it is counted again only when the version is another and enough time has passed.
#[derive(Debug, Default)]
pub(super) struct ZoneCount(Mutex<Option<Counted>>);

#[derive(Clone, Copy, Debug)]
struct Counted {
    zones: u64,
    at: Version,
    not_before: Instant,
}

impl ZoneCount {
    /// As it is now, or where counting takes long, as it was a little while ago. Reads the disk.
    ///
    /// # Errors
    /// The store could not be read.
    pub(super) fn get(&self, core: &Core) -> Result<u64, ServiceError> {
        // Whoever comes meanwhile waits for this count, instead of counting as well.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, begun) = (core.position().version, Instant::now());
        if let Some(counted) = *counted
            && (counted.at == at || begun < counted.not_before)
        {
            return Ok(counted.zones);
        }
        let zones = StoredZone::count(&core.view()).map_err(ServiceError::internal)?;
        let took: Duration = begun.elapsed();
        *counted = Some(Counted { zones, at, not_before: begun + took * PAUSE });
        Ok(zones)
    }
}
