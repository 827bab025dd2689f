//! What the leader hears from other cores about the edges that those serve.
//!
//! ```text
//! edge ─ack─▶ core-2: its book ─▶ EdgeNewsFeed ─ a stream ─▶ core-1: ReportedEdges ─▶ its book, receipts, waits
//! ```
//! Only the last news of an edge is kept for the stream: an ack covers every version before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Notify;
use zonecast_kv_proto::{Ack, EdgeNews, EdgeNewsError, Peer, Version};

use crate::admission::Admission;
use crate::book::Book;
use crate::lock::lock;

/// The edges that a core serves, and who of them has done something that nobody was told of yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    served: Mutex<Served>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Served {
    edges: BTreeMap<Peer, EdgeNews>,
    untold: BTreeSet<Peer>,
    /// Nobody is told anything otherwise.
    is_followed: bool,
}

impl News {
    pub(crate) fn accepted(&self, peer: &Peer, session: u64, incarnation: u64, goal: Version) {
        let news = EdgeNews { peer: peer.clone(), session, incarnation, goal, is_gone: false, ack: None };
        self.change(peer, |edges| {
            if edges.get(peer).is_none_or(|known| known.session <= session) {
                edges.insert(peer.clone(), news);
            }
        });
    }

    pub(crate) fn acked(&self, peer: &Peer, session: u64, ack: &Ack) {
        self.change(peer, |edges| {
            if let Some(known) = edges.get_mut(peer).filter(|known| known.session == session) {
                known.ack = Some(ack.clone());
            }
        });
    }

    pub(crate) fn gone(&self, peer: &Peer, session: u64) {
        self.change(peer, |edges| {
            if let Some(known) = edges.get_mut(peer).filter(|known| known.session == session) {
                known.is_gone = true;
            }
        });
    }

    fn change(&self, peer: &Peer, change: impl FnOnce(&mut BTreeMap<Peer, EdgeNews>)) {
        let mut served = lock(&self.served);
        change(&mut served.edges);
        if served.is_followed {
            served.untold.insert(peer.clone());
            drop(served);
            self.changed.notify_one();
        } else if served.edges.get(peer).is_some_and(|known| known.is_gone) {
            served.edges.remove(peer);
        }
    }

    /// Everybody is news for whoever begins to follow.
    fn follow(&self) {
        let mut served = lock(&self.served);
        served.untold = served.edges.keys().cloned().collect();
        served.is_followed = true;
        drop(served);
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<EdgeNews> {
        let mut served = lock(&self.served);
        let untold = std::mem::take(&mut served.untold);
        let news: Vec<EdgeNews> = untold.iter().filter_map(|peer| served.edges.get(peer).cloned()).collect();
        served.edges.retain(|_, known| !known.is_gone);
        news
    }
}

/// News of the edges that a core serves. One at a time; the last one that was made gets them.
pub struct EdgeNewsFeed {
    book: Arc<Book>,
}

impl EdgeNewsFeed {
    pub(crate) fn new(book: Arc<Book>) -> Self {
        book.news.follow();
        Self { book }
    }

    /// The next news, as messages; at first one for each edge. Loses nothing when it is dropped while it waits.
    pub async fn next(&mut self) -> Vec<Bytes> {
        loop {
            let changed = self.book.news.changed.notified();
            let news = self.book.news.take();
            if !news.is_empty() {
                return news.iter().map(EdgeNews::to_bytes).collect();
            }
            changed.await;
        }
    }
}

impl fmt::Debug for EdgeNewsFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeNewsFeed")
    }
}

/// The edges of one other core, in the book of this one. Dropped, they count as away.
pub struct ReportedEdges {
    book: Arc<Book>,
    admission: Arc<Admission>,
    /// The number here of the connection that the other core calls so.
    sessions: BTreeMap<Peer, Session>,
}

/// A connection of an edge to another core.
#[derive(Clone, Copy, Debug)]
struct Session {
    there: u64,
    here: u64,
}

impl ReportedEdges {
    pub(crate) fn new(book: Arc<Book>, admission: Arc<Admission>) -> Self {
        Self { book, admission, sessions: BTreeMap::new() }
    }

    /// Books one message.
    ///
    /// # Errors
    /// It makes no sense; nothing was booked.
    pub fn take(&mut self, message: &[u8]) -> Result<(), EdgeNewsError> {
        let EdgeNews { peer, session, incarnation, goal, is_gone, ack } = EdgeNews::from_bytes(message)?;
        let known = self.sessions.get(&peer).filter(|known| known.there == session).copied();
        let here = match known {
            Some(known) => known.here,
            None => {
                let here = self.admission.next_session();
                if !self.book.accept_reported(&peer, here, incarnation, goal) {
                    tracing::warn!(%peer, "the list of known edges is full; forget some with `zonecast edges forget`");
                    return Ok(());
                }
                self.sessions.insert(peer.clone(), Session { there: session, here });
                here
            }
        };
        if let Some(ack) = ack {
            self.book.acked_reported(here, &peer, &ack);
        }
        if is_gone {
            self.book.disconnect_reported(here, &peer);
            self.sessions.remove(&peer);
        }
        Ok(())
    }
}

impl Drop for ReportedEdges {
    fn drop(&mut self) {
        for (peer, session) in &self.sessions {
            self.book.disconnect_reported(session.here, peer);
        }
    }
}

impl fmt::Debug for ReportedEdges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportedEdges({})", self.sessions.len())
    }
}
