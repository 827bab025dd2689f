//! The disk of a machine: what is left of a voter when its power is lost.

use std::sync::{Arc, Mutex};

use super::dice::Dice;
use super::log_disk::LogDisk;
use super::state_disk::StateDisk;

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Of all disks.
    pub(crate) number: u64,
    pub(crate) log: LogDisk,
    pub(crate) state: StateDisk,
    /// Which node of the cluster it is, once it is one.
    pub(crate) node: Arc<Mutex<Option<u64>>>,
}

impl Disk {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, log: LogDisk::default(), state: StateDisk::default(), node: Arc::default() }
    }

    pub(crate) fn lose_power(&self, dice: &Dice) {
        self.log.lose_power(dice);
    }
}
