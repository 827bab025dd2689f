//! A data folder: that it is there, for its owner only, writable, and on a disk with room.

use super::facts::LocalFacts;
use super::finding::About;
use crate::size::size;
use zonecast_api::types::DiskSpace;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// With less the next import or compaction may fill the disk.
const LITTLE: u64 = GIB;

/// So does a disk with a smaller part of it free, whatever its size: file systems get slow, and logs grow.
const LITTLE_PERCENT: u64 = 10;

/// With less there is no room for what is under way: some batches of 4 MiB, and the write-ahead log.
const NOTHING: u64 = 64 * MIB;

/// What its owner needs in a folder.
const WRITE_AND_ENTER: u32 = 0o300;

pub(super) fn check(local: &LocalFacts, is_running: bool, about: &mut About<'_>) {
    let data = &local.data;
    let path = &data.folder.path;
    match data.folder.state {
        None if is_running => about.error(
            "data",
            format_args!("{path} is gone while the node runs"),
            "bring it back before the node stops, or a core starts empty; an edge fetches a new copy",
        ),
        None => about.warn("data", format_args!("{path} does not exist"), "the first start makes it"),
        Some(state) if !state.is_folder => {
            about.error("data", format_args!("{path} is no folder"), "move it away, or name another `data`");
        }
        Some(_) if data.read_only => {
            about.error(
                "data",
                format_args!("the disk of {path} is read-only"),
                "find out why (dmesg), mount it writable",
            );
        }
        Some(state) if state.mode & WRITE_AND_ENTER != WRITE_AND_ENTER => {
            let message = format_args!("{path} is not writable for its owner (mode {:03o})", state.mode);
            about.error("data", message, format_args!("chmod 700 {path}"));
        }
        Some(state) if state.mode & 0o077 != 0 => {
            let message = format_args!("others than its owner may use {path} (mode {:03o})", state.mode);
            about.warn("data", message, format_args!("chmod 700 {path}"));
        }
        Some(_) => about.ok("data", format_args!("{path} is for its owner only")),
    }
    if data.in_memory {
        let message = format_args!("{path} is in memory (tmpfs): gone when the machine restarts");
        match local.role {
            "core" => {
                about.error("data", message, "name a `data` on a disk: a core loses everything that was acknowledged")
            }
            _ => about.warn(
                "data",
                message,
                "name a `data` on a disk: a restarted edge answers nothing until it has a new copy",
            ),
        }
    }
    match data.disk {
        Some(disk) => check_disk(disk, about),
        None => about.warn(
            "disk",
            format_args!("the system does not tell how full the disk of {path} is"),
            "look with `df`",
        ),
    }
}

/// What holds of the disk of any node, wherever it was seen.
pub(super) fn check_disk(disk: DiskSpace, about: &mut About<'_>) {
    let DiskSpace { total_bytes, free_bytes, used_bytes } = disk;
    let percent = free_bytes.saturating_mul(100).checked_div(total_bytes).unwrap_or_default();
    let (free, used) = (size(free_bytes), size(used_bytes));
    let message = format_args!("{free} free, {percent} % of the disk; the node takes {used}");
    if free_bytes < NOTHING {
        about.error(
            "disk",
            message,
            "make room: a node stops writing when its disk is full, and goes on by itself then",
        );
    } else if free_bytes < LITTLE || percent < LITTLE_PERCENT {
        about.warn("disk", message, "make room, or move `data` to a larger disk");
    } else {
        about.ok("disk", message);
    }
}
