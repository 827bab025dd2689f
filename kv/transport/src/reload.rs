//! Takes over what is put into an identity folder, without a restart.
//!
//! ```text
//!  stat every 2 s ─ changed ─▶ read ─ belongs together, same node ─▶ present credentials ─▶ endpoints, guards
//!                                └─ else ─▶ one line in the log; the old ones stay
//! ```
//! # Invariants
//! - Half of a new set is never used: certificate, key, CA and revocation list are checked against each other, and a
//!   set that changes while it is read is read again.
//! - A revocation list that is gone stays in force until the process ends: whoever copies a folder anew must not let
//!   the revoked back in for a moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};

use crate::credentials::{CERTIFICATE, CRL, Credentials, KEY, ROOT};
use crate::{CertificateMetrics, IdentityError, Peer};

/// How often the files are looked at: four calls to the system, and soon enough for whoever revokes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Wishes to look at once that wait; more than one says nothing new.
const WISHES: usize = 4;

type Present = watch::Receiver<Arc<Credentials>>;

type Answer = oneshot::Sender<Result<(), IdentityError>>;

/// Asks the task that watches a folder to look now.
#[derive(Clone, Debug)]
pub(crate) struct Look(mpsc::Sender<Answer>);

impl Look {
    /// What came of it.
    pub(crate) async fn now(&self) -> Result<(), IdentityError> {
        let (answer, answered) = oneshot::channel();
        if self.0.send(answer).await.is_err() {
            return Ok(());
        }
        // Without an answer the process is ending.
        answered.await.unwrap_or(Ok(()))
    }
}

/// Loads a folder and watches it until nobody uses the receiver any more.
pub(crate) fn start(folder: &Path, metrics: CertificateMetrics) -> Result<(Peer, Present, Look), IdentityError> {
    let mut folder = Folder { path: folder.to_owned(), seen: None };
    // Before it is read, so that what changes meanwhile is seen.
    folder.seen = Some(Fingerprint::of(&folder.path));
    let credentials = Credentials::load(&folder.path)?;
    let peer = credentials.peer.clone();
    metrics.show(&credentials);
    tell(&credentials);
    let (sender, present) = watch::channel(Arc::new(credentials));
    let (look, wishes) = mpsc::channel(WISHES);
    tokio::spawn(run(folder, sender, wishes, metrics));
    Ok((peer, present, Look(look)))
}

async fn run(
    mut folder: Folder,
    present: watch::Sender<Arc<Credentials>>,
    mut wishes: mpsc::Receiver<Answer>,
    metrics: CertificateMetrics,
) {
    loop {
        let mut wish = None;
        tokio::select! {
            () = present.closed() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(answer) = wishes.recv() => {
                // As if nothing had been seen yet.
                folder.seen = None;
                wish = Some(answer);
            }
        }
        let old = Arc::clone(&present.borrow());
        let looked = tokio::task::spawn_blocking(move || {
            let looked = folder.look(&old);
            (folder, looked)
        });
        // The runtime is ending.
        let Ok((back, looked)) = looked.await else { return };
        folder = back;
        let came_of_it = match looked {
            Ok(None) => Ok(()),
            Ok(Some(credentials)) => {
                metrics.reloads.with_label_values(&["ok"]).inc();
                metrics.show(&credentials);
                tell(&credentials);
                present.send_replace(Arc::new(credentials));
                Ok(())
            }
            Err(error) => {
                metrics.reloads.with_label_values(&["failed"]).inc();
                tracing::warn!(folder = %folder.path.display(), "the new certificate is not used: {error}; copy the folder anew");
                Err(error)
            }
        };
        if let Some(wish) = wish {
            // Nobody may want to know any more.
            let _ = wish.send(came_of_it);
        }
    }
}

/// Says what is in force from now on, and what about it needs a hand.
pub(crate) fn tell(credentials: &Credentials) {
    let Credentials { peer, facts, .. } = credentials;
    let left = facts.not_after.duration_since(SystemTime::now());
    match left {
        _ if credentials.is_revoked() => {
            tracing::error!(node = %peer, serial = %facts.serial, "this node's certificate is revoked: peers refuse it; issue a new one");
        }
        Err(_) => {
            tracing::error!(node = %peer, serial = %facts.serial, "this node's certificate has expired: peers refuse it; issue a new one, or put the clock right");
        }
        Ok(left) => {
            tracing::info!(node = %peer, serial = %facts.serial, hours_left = left.as_secs() / 3600, "certificate in use");
        }
    }
}

/// The folder and what was seen in it last.
struct Folder {
    path: PathBuf,
    seen: Option<Fingerprint>,
}

impl Folder {
    /// What is new in it, if anything. An error is told once for each state of the files.
    fn look(&mut self, old: &Credentials) -> Result<Option<Credentials>, IdentityError> {
        let before = Fingerprint::of(&self.path);
        if self.seen.as_ref() == Some(&before) {
            return Ok(None);
        }
        let loaded = self.load(old);
        if Fingerprint::of(&self.path) != before {
            // Somebody is at it.
            return Ok(None);
        }
        self.seen = Some(before);
        loaded.map(Some)
    }

    fn load(&self, old: &Credentials) -> Result<Credentials, IdentityError> {
        let mut new = Credentials::load(&self.path)?;
        if new.peer != old.peer {
            return Err(IdentityError::AnotherNode { was: old.peer.clone(), now: new.peer });
        }
        if new.pem.crl.is_none() && old.pem.crl.is_some() && new.root == old.root {
            tracing::warn!(folder = %self.path.display(), "{CRL} is gone; the last one stays in force until a restart; copy it from the CA");
            new.pem.crl.clone_from(&old.pem.crl);
            new = Credentials::from_pem(new.pem)?;
        }
        new.trust = new.trust.refusing(old.trust.revoked().clone());
        Ok(new)
    }
}

/// What tells one state of the files from another without reading them.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint([Option<FileMark>; 4]);

#[derive(Debug, PartialEq, Eq)]
struct FileMark {
    len: u64,
    modified: Option<SystemTime>,
    /// Inode and time of change: a file renamed into place may bring an old time of modification.
    #[cfg(unix)]
    place: (u64, i64, i64),
}

impl Fingerprint {
    fn of(folder: &Path) -> Self {
        Self([CERTIFICATE, KEY, ROOT, CRL].map(|name| FileMark::of(&folder.join(name))))
    }
}

impl FileMark {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        Some(Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            place,
        })
    }
}
