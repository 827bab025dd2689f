//! Each version that a voter hands on follows the one before.

use std::collections::BTreeMap;

use zonecast_kv_proto::Version;

use super::Invariant;
use crate::simulation::event::Event;

#[derive(Debug, Default)]
pub(crate) struct DenseVersions {
    /// Of each run.
    last: BTreeMap<u64, Version>,
}

impl Invariant for DenseVersions {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Opened { run, head } => {
                self.last.insert(run.number, head.position.version);
                Ok(())
            }
            Event::Published { run, position } => {
                let before = self.last.insert(run.number, position.version).unwrap_or_default();
                let follows = before.next() == Some(position.version);
                follows.then_some(()).ok_or(format!("{run:?}: version {} comes after {before}", position.version))
            }
            _ => Ok(()),
        }
    }
}
