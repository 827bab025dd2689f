//! When writing has ended for good, by a full or failing disk, or a part of the node has died. The rest goes on; health
//! checks, status and the exit code say so.
//!
//! RocksDB takes no more writes after one has failed, so a node whose disk works again must open its stores anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::exit::{Code, Failure};
use crate::vitals::free_space;

/// Written to see whether writing works at all.
const PROBE_BYTES: usize = 64 * 1024;

/// Room for what comes after the stores are open: the largest batch, in the log and in the state.
const ROOM: u64 = 2 * zonecast_kv_proto::MAX_BATCH_LEN as u64;

/// How RocksDB calls its write-ahead logs.
const LOG: &str = "log";

/// How often a disk that failed is tried again: soon enough for people who have just made room.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What comes of a disk that takes writes again.
const BY_ITSELF: &str = "it goes on by itself once the disk takes writes again";

/// What to do about anything else.
const BY_HAND: &str = "restart the node; if it comes back, the lines before this one say what is damaged";

/// What is broken for good, if anything is. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What ended writing.
    first: watch::Sender<Option<Failure>>,
    /// The first part that died.
    dead: Arc<OnceLock<Failure>>,
    data: PathBuf,
}

impl Fault {
    /// Nothing yet, for a node that keeps its data in this folder.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { first: watch::Sender::new(None), dead: Arc::default(), data: data.to_owned() }
    }

    /// The first reason: what ended writing, else which part has died.
    #[must_use]
    pub fn get(&self) -> Option<Failure> {
        let ended = self.first.borrow().clone();
        ended.or_else(|| self.dead.get().cloned())
    }

    /// The same for people, with what it means.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let ended = self.first.borrow().as_ref().map(ended);
        ended.or_else(|| self.dead.get().map(ToString::to_string))
    }

    /// A part of the node has died by a panic, and `lost` is what is missing from now on.
    pub fn part_died(&self, lost: impl std::fmt::Display) {
        let fault = Failure::failed(format_args!(
            "a part of the node has died, {lost}; restart the node, and please report this"
        ));
        tracing::error!("{fault}");
        // The first one counts.
        let _ = self.dead.set(fault);
    }

    /// Writing has ended for good. The first reason counts; a disk that takes no write is the better one.
    pub fn set(&self, reason: impl FnOnce() -> Failure) {
        if self.first.borrow().is_some() {
            return;
        }
        let fault = probe(&self.data).err().unwrap_or_else(reason);
        self.first.send_if_modified(|first| {
            let news = first.is_none();
            if news {
                let advice = if fault.code == Code::Disk { BY_ITSELF } else { BY_HAND };
                tracing::error!("{}; {advice}", ended(&fault));
                *first = Some(fault);
            }
            news
        });
    }

    /// Waits until writing has ended for good; says why.
    pub async fn wait(&self) -> Failure {
        let mut told = self.first.subscribe();
        let first = told.wait_for(Option::is_some).await.map(|first| first.clone());
        first.ok().flatten().expect("the sender lives as long as we do")
    }

    /// Waits until writing has ended because of the disk, and the disk takes writes again.
    pub async fn disk_works_again(&self) {
        let mut told = self.first.subscribe();
        let by_disk = |first: &Option<Failure>| first.as_ref().is_some_and(|failure| failure.code == Code::Disk);
        // The sender lives as long as we do.
        let _ = told.wait_for(by_disk).await;
        let mut is_told = false;
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let data = self.data.clone();
            match tokio::task::spawn_blocking(move || has_room(&data).and_then(|()| probe(&data))).await {
                Ok(Ok(())) => return,
                // Whoever makes room must know how much.
                Ok(Err(missing)) if !is_told => {
                    tracing::warn!("writes cannot resume yet: {missing}");
                    is_told = true;
                }
                _ => {}
            }
        }
    }
}

fn ended(fault: &Failure) -> String {
    format!("writing has stopped, answers go on: {fault}")
}

/// Whether the stores in a data folder can be opened again: what their logs hold is written into tables then.
fn has_room(data: &Path) -> Result<(), Failure> {
    let needed = logs(data).saturating_add(ROOM);
    match free_space(data) {
        Some(disk) if disk.free_bytes < needed => Err(Failure::new(
            Code::Disk,
            format_args!("{} bytes are free in {}, {needed} are needed", disk.free_bytes, data.display()),
        )),
        // Where the system does not tell, trying will.
        _ => Ok(()),
    }
}

/// Bytes of the write-ahead logs below a folder.
fn logs(folder: &Path) -> u64 {
    let (mut folders, mut bytes) = (vec![folder.to_owned()], 0_u64);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) if path.extension().is_some_and(|end| end == LOG) => {
                    bytes = bytes.saturating_add(metadata.len());
                }
                _ => {}
            }
        }
    }
    bytes
}

/// RocksDB does not always say why it stopped; a full disk shows when one tries.
fn probe(data: &Path) -> Result<(), Failure> {
    let path = data.join("probe");
    let write = || {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    };
    let written = write();
    // It may not exist.
    let _ = std::fs::remove_file(&path);
    // Full, read-only, failing: whichever it is, the node goes on when it takes writes again.
    written.map_err(|error| {
        Failure::new(Code::Disk, format_args!("cannot write in data folder {}: {error}", data.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_what_the_logs_hold_and_some_batches() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("core/state");
        std::fs::create_dir_all(&store).unwrap();
        for (name, length) in [("000004.log", 1000), ("000009.log", 30), ("LOG", 500), ("000007.sst", 70)] {
            std::fs::write(store.join(name), vec![0; length]).unwrap();
        }
        assert_eq!(logs(folder.path()), 1030);
        has_room(folder.path()).unwrap();
        probe(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
        // As much as no disk has.
        std::fs::File::create(store.join("000010.log")).unwrap().set_len(1 << 42).unwrap();
        assert_eq!(has_room(folder.path()).unwrap_err().code, Code::Disk);
    }
}
