//! When writing has ended for good: a full or failing disk. Answers go on; health checks and the exit code say so.
//!
//! RocksDB takes no more writes after one has failed, so a node whose disk works again must open its stores anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use crate::exit::{Code, Failure};

/// As much as the largest batch takes: what failed may have needed less, but hardly more.
const PROBE_BYTES: usize = zonecast_kv_proto::MAX_BATCH_LEN;

/// How often a disk that failed is tried again: soon enough for people who have just made room.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// What ended writing, if anything did. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    first: watch::Sender<Option<Failure>>,
    data: PathBuf,
}

impl Fault {
    /// Nothing yet, for a node that keeps its data in this folder.
    #[must_use]
    pub(crate) fn new(data: &Path) -> Self {
        Self { first: watch::Sender::new(None), data: data.to_owned() }
    }

    /// The first reason.
    #[must_use]
    pub(crate) fn get(&self) -> Option<Failure> {
        self.first.borrow().clone()
    }

    /// Writing has ended for good. The first reason counts; a disk that takes no write is the better one.
    pub(crate) fn set(&self, reason: impl FnOnce() -> Failure) {
        if self.first.borrow().is_some() {
            return;
        }
        let fault = probe(&self.data).err().unwrap_or_else(reason);
        self.first.send_if_modified(|first| {
            let news = first.is_none();
            if news {
                tracing::error!("writing has stopped, answers go on: {fault}");
                *first = Some(fault);
            }
            news
        });
    }

    /// Waits until writing has ended for good; says why.
    pub(crate) async fn wait(&self) -> Failure {
        let mut told = self.first.subscribe();
        let first = told.wait_for(Option::is_some).await.map(|first| first.clone());
        first.ok().flatten().expect("the sender lives as long as we do")
    }

    /// Waits until writing has ended because of the disk, and the disk takes writes again.
    pub(crate) async fn disk_works_again(&self) {
        let mut told = self.first.subscribe();
        let by_disk = |first: &Option<Failure>| first.as_ref().is_some_and(|failure| failure.code == Code::Disk);
        // The sender lives as long as we do.
        let _ = told.wait_for(by_disk).await;
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let data = self.data.clone();
            if let Ok(Ok(())) = tokio::task::spawn_blocking(move || probe(&data)).await {
                return;
            }
        }
    }
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
