//! Why a core cannot start or go on.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use zonecast_kv_store::StoreError;

use crate::member::Member;
use crate::outcome::ProposeError;

/// A core that cannot start or go on.
#[derive(Debug, Error)]
pub enum CoreError {
    /// A database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Metrics of these names are there already.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Raft stopped or cannot start.
    #[error("raft: {0}")]
    Raft(String),
    /// This core cannot take it, or not now.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The cluster does not let it in.
    #[error("the cluster does not let this core in: {0}")]
    Join(String),
    /// The data folder lacks what raft wrote.
    #[error(
        "{} says that this is node {id} of its cluster, and the raft log is empty: the others count on what it held. \
         Remove this core from the cluster, empty the folder, and add it anew", folder.display()
    )]
    Emptied {
        /// The data folder.
        folder: PathBuf,
        /// Its node id.
        id: u64,
    },
    /// The data folder was taken from a cluster.
    #[error(
        "{} holds the raft log of a cluster of several voters and no file `node` that says which one this is. Remove this \
         core from the cluster, empty the folder, and add it anew", .0.display()
    )]
    Nameless(PathBuf),
    /// A recovery was cut off.
    #[error(
        "{} was being made a cluster of its own, and that has not come to its end: run `zonecast cluster recover` again",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// There is nothing to recover.
    #[error("{} holds no state of a core", .0.display())]
    NoState(PathBuf),
    /// The certificate is for another member.
    #[error(
        "this data folder belongs to the core {member}, and the certificate names {certificate}: issue it a certificate \
         for {member}, or give it an empty data folder and start it with `join`"
    )]
    OtherName {
        /// The name in the membership.
        member: String,
        /// The name in the certificate.
        certificate: String,
    },
    /// Nobody of its cluster could reach it.
    #[error(
        "this core is in a cluster with others and must say where they reach it: set `address` in `[cluster]` of its \
         configuration"
    )]
    NoAddress,
    /// It is not a member any more.
    #[error(
        "this core was removed from its cluster, says {by} (entry {index} of the raft log). Its data are not needed any more; \
         to add it again, empty its data folder and start it with `join`"
    )]
    Removed {
        /// Who said it.
        by: Member,
        /// Index of the membership without it, or of a later one.
        index: u64,
    },
    /// The operating system gives no random numbers, or no thread.
    #[error("{0}")]
    System(String),
    /// A bug; the log has the place.
    #[error("the thread that proposes changes has panicked: this is a bug; the log says where, start again")]
    Panicked,
    /// A write does not come to its end.
    #[error(
        "the disk hangs: a write of the raft log or the state does not end; look at the kernel's log, replace the disk"
    )]
    DiskHangs,
    /// Changes under way, or a user of the stores, did not end in time.
    #[error("the core could not end within {} s", .0.as_secs())]
    Stuck(Duration),
}

impl From<io::Error> for CoreError {
    fn from(error: io::Error) -> Self {
        Self::System(error.to_string())
    }
}
