//! Watching the keys of a keyspace: what each version changes, one line of JSON after the other.
//!
//! ```text
//! applied version ─▶ batch log ─▶ changes of the keyspace ─▶ a line ─▶ client
//! ```
//! Lines are read from the batch log, so a slow client holds one line and no queue. A line without changes comes every few
//! seconds, so that a client knows how far it is and that the core is there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use zonecast_keyspaces::{ChangedKey, Keyspace, KeyspaceChange, KeyspaceName};
use zonecast_kv_proto::{KeyspaceId, Published, Version};

use super::Service;
use crate::error::ServiceError;
use crate::shares::Place;
use crate::who::Who;
use crate::zone::blocking;
use zonecast_api::types::{KeyNews, Octets, WatchLine};

/// Between two lines at most.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Bytes of versions that are read at once; one version at least.
const READ_AT_ONCE: usize = 1 << 20;

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFrom {
    /// Keys that begin so.
    pub prefix: Vec<u8>,
    /// Changes after this version; without it, those from now on.
    pub after: Option<u64>,
    /// For so long.
    pub timeout: Duration,
}

/// A watch of a keyspace.
#[derive(Debug)]
pub struct KeyWatch {
    service: Arc<Service>,
    versions: watch::Receiver<Version>,
    id: KeyspaceId,
    prefix: Vec<u8>,
    at: Version,
    until: Instant,
    is_new: bool,
    /// There may be versions that it has not read, whatever was told.
    is_behind: bool,
    ended: bool,
    /// Lines of versions that are read already, the next one last.
    ready: Vec<WatchLine>,
    _place: Place,
}

impl Service {
    /// Watches a published keyspace.
    ///
    /// # Errors
    /// There is none, it is private, what it changed since is not kept any more, there is no such version yet, or too many
    /// watch already.
    pub async fn watch_keys(
        self: &Arc<Self>,
        name: KeyspaceName,
        from: WatchFrom,
        who: &Who,
    ) -> Result<KeyWatch, ServiceError> {
        let place = self.watches.try_take(who).ok_or(ServiceError::Overloaded)?;
        let service = Arc::clone(self);
        blocking(move || {
            // Before the state is read: what comes in between is seen.
            let versions = service.parts.versions.clone();
            let view = service.core().view();
            let head = view.position().map_err(ServiceError::internal)?.version;
            let keyspace = Keyspace::find(&view, &name)?;
            if keyspace.is_private() {
                return Err(ServiceError::bad(format_args!(
                    "keyspace {name} is private: its changes have no versions that could be watched"
                )));
            }
            let at = from.after.map_or(head, Version::new);
            if at > head {
                return Err(ServiceError::bad(format_args!("version {at} does not exist yet; the last is {head}")));
            }
            let kept = service.core().source().read_after(at, 1).map_err(ServiceError::internal)?;
            kept.ok_or(ServiceError::Gone(at.get()))?;
            let until = Instant::now() + from.timeout;
            let (id, prefix, ready) = (keyspace.id, from.prefix, Vec::new());
            let (is_new, is_behind, ended) = (true, true, false);
            Ok(KeyWatch { service, versions, id, prefix, at, until, is_new, is_behind, ended, ready, _place: place })
        })
        .await
    }
}

impl KeyWatch {
    /// The next line, with the line feed that ends it; none at the end.
    pub async fn next_line(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let line = match self.next().await {
            Ok(line) => line?,
            Err(error) => WatchLine { version: self.at.get(), error: Some(error.to_string()), ..WatchLine::default() },
        };
        self.ended = line.dropped || line.error.is_some();
        let mut text = serde_json::to_vec(&line).ok()?;
        text.push(b'\n');
        Some(text.into())
    }

    async fn next(&mut self) -> Result<Option<WatchLine>, ServiceError> {
        if std::mem::take(&mut self.is_new) {
            return Ok(Some(self.progress()));
        }
        let progress_at = Instant::now() + LINE_EVERY;
        loop {
            if let Some(line) = self.ready.pop() {
                return Ok(Some(line));
            }
            if Instant::now() >= self.until {
                return Ok(None);
            }
            let is_told = *self.versions.borrow_and_update() > self.at;
            if is_told || self.is_behind {
                self.is_behind = self.read_on().await?;
                if self.is_behind {
                    continue;
                }
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return Ok(None) },
                () = tokio::time::sleep_until(progress_at.min(self.until)) => return Ok(Some(self.progress())),
                () = self.service.ends() => return Ok(None),
            }
        }
    }

    fn progress(&self) -> WatchLine {
        WatchLine { version: self.at.get(), ..WatchLine::default() }
    }

    /// Reads some more versions; says whether there were any.
    async fn read_on(&mut self) -> Result<bool, ServiceError> {
        let (core, after, id, prefix) = (self.service.core().clone(), self.at, self.id, self.prefix.clone());
        let (at, lines) = blocking(move || {
            let read = core.source().read_after(after, READ_AT_ONCE).map_err(ServiceError::internal)?;
            let (mut at, mut lines) = (after, Vec::new());
            for bytes in read.ok_or(ServiceError::Gone(after.get()))? {
                let version = Published::from_bytes(&bytes).map_err(ServiceError::internal)?;
                at = version.version;
                lines.extend(line(&version, KeyspaceChange::of(&version, id, &prefix)?));
            }
            lines.reverse();
            Ok((at, lines))
        })
        .await?;
        let has_moved = at > self.at;
        (self.at, self.ready) = (at, lines);
        Ok(has_moved)
    }
}

/// What a version changed; nothing if it changed nothing of the keyspace.
fn line(version: &Published, change: KeyspaceChange) -> Option<WatchLine> {
    let KeyspaceChange { keys, dropped } = change;
    let version = version.version.get();
    let changes: Vec<KeyNews> = keys.into_iter().map(news).collect();
    (dropped || !changes.is_empty()).then_some(WatchLine { version, changes, dropped, error: None })
}

fn news(changed: ChangedKey) -> KeyNews {
    let key = Octets::of(&changed.key);
    match changed.put {
        Some((revision, value)) => {
            KeyNews { key, deleted: false, revision: Some(revision), value: Some(Octets::of(&value)) }
        }
        None => KeyNews { key, deleted: true, ..KeyNews::default() },
    }
}
