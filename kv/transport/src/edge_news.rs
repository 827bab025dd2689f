//! What the leader hears from other cores, and every publisher from relays, about the edges that those serve.
//!
//! ```text
//! edge ─ack─▶ core-2: its book ─▶ EdgeNewsFeed ─ a stream ─▶ core-1: ReportedEdges ─▶ its book, receipts, waits
//! edge ─ack─▶ relay: its book ─▶ EdgeNewsFeed ─ its upstream ─▶ core-2: ReportedEdges ─▶ its book ─▶ EdgeNewsFeed ...
//! ```
//! Only the last news of an edge is kept for the stream: an ack covers every version before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Notify;
use zonecast_kv_proto::{AcceptedLink, Ack, EdgeNews, EdgeNewsError, MAX_EDGES, Peer};

use crate::admission::Admission;
use crate::book::Book;
use crate::lock::lock;

/// Most edges of one relay: half of the book, so that no relay can fill it.
const MAX_REPORTED: usize = MAX_EDGES / 2;

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
    /// Whether somebody is to be told something.
    fn has_some(&self) -> bool {
        !lock(&self.served).untold.is_empty()
    }

    pub(crate) fn accepted(&self, peer: &Peer, link: AcceptedLink) {
        let AcceptedLink { session, incarnation, connection, goal, via } = link;
        let news = EdgeNews {
            peer: peer.clone(),
            session,
            incarnation,
            connection,
            goal,
            is_gone: false,
            is_unseen: false,
            via,
            ack: None,
        };
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
        self.lost(peer, session, false);
    }

    /// The relay that serves it is gone.
    pub(crate) fn out_of_sight(&self, peer: &Peer, session: u64) {
        self.lost(peer, session, true);
    }

    fn lost(&self, peer: &Peer, session: u64, is_unseen: bool) {
        self.change(peer, |edges| {
            if let Some(known) = edges.get_mut(peer).filter(|known| known.session == session) {
                (known.is_gone, known.is_unseen) = (true, is_unseen);
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

    /// The news of at most so many edges.
    fn take(&self, most: usize) -> Vec<EdgeNews> {
        let mut served = lock(&self.served);
        let mut news = Vec::new();
        while news.len() < most
            && let Some(peer) = served.untold.pop_first()
        {
            let Some(known) = served.edges.get(&peer).cloned() else { continue };
            if known.is_gone {
                served.edges.remove(&peer);
            }
            news.push(known);
        }
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
        self.ready().await;
        self.take(usize::MAX)
    }

    /// Waits until there is any. What is taken later is not older for it.
    pub async fn ready(&mut self) {
        loop {
            let changed = self.book.news.changed.notified();
            if self.book.news.has_some() {
                return;
            }
            changed.await;
        }
    }

    /// What there is, of at most so many edges, as messages.
    #[must_use]
    pub fn take(&mut self, most: usize) -> Vec<Bytes> {
        self.book.news.take(most).iter().map(EdgeNews::to_bytes).collect()
    }
}

impl fmt::Debug for EdgeNewsFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeNewsFeed")
    }
}

/// The edges of one other node, in the book of this one. Dropped, they count as away, or as last known.
pub struct ReportedEdges {
    book: Arc<Book>,
    admission: Arc<Admission>,
    by: Reporter,
    /// The number here of the connection that the other core calls so.
    sessions: BTreeMap<Peer, Session>,
}

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reporter {
    /// Another core, to the leader, which nobody else asks about them.
    Core,
    /// The relay of this name, to its upstream, which reports them in its turn.
    Relay(String),
}

/// A connection of an edge to another node.
#[derive(Clone, Copy, Debug)]
struct Session {
    there: u64,
    here: u64,
}

impl ReportedEdges {
    pub(crate) fn new(book: Arc<Book>, admission: Arc<Admission>, by: Reporter) -> Self {
        Self { book, admission, by, sessions: BTreeMap::new() }
    }

    /// Books one message.
    ///
    /// # Errors
    /// It makes no sense; nothing was booked.
    pub fn take(&mut self, message: &[u8]) -> Result<(), EdgeNewsError> {
        let news = EdgeNews::from_bytes(message)?;
        let EdgeNews { peer, session, connection, incarnation, goal, is_gone, is_unseen, via, ack } = news;
        let known = self.sessions.get(&peer).filter(|known| known.there == session).copied();
        let here = match known {
            Some(known) => known.here,
            None => {
                let here = self.admission.next_session();
                let via = match &self.by {
                    Reporter::Core => via,
                    Reporter::Relay(name) => via.or_else(|| Some(name.clone())),
                };
                let link = AcceptedLink { session: here, incarnation, connection, goal, via };
                let has_room = self.sessions.contains_key(&peer) || self.sessions.len() < MAX_REPORTED;
                if !has_room || !self.accept(&peer, link) {
                    tracing::warn!(%peer, "the list of known edges is full; forget some with `zonecast edges forget`");
                    return Ok(());
                }
                self.sessions.insert(peer.clone(), Session { there: session, here });
                here
            }
        };
        if let Some(ack) = ack {
            match &self.by {
                Reporter::Core => self.book.acked_reported(here, &peer, &ack),
                Reporter::Relay(_) => self.book.acked(here, &peer, &ack),
            }
        }
        if is_gone {
            match (is_unseen, &self.by) {
                (true, Reporter::Core) => self.book.out_of_sight_reported(here, &peer),
                (true, Reporter::Relay(_)) => self.book.out_of_sight(here, &peer),
                (false, Reporter::Core) => self.book.disconnect_reported(here, &peer),
                (false, Reporter::Relay(_)) => self.book.disconnect(here, &peer),
            }
            self.sessions.remove(&peer);
        }
        Ok(())
    }

    fn accept(&self, peer: &Peer, link: AcceptedLink) -> bool {
        match &self.by {
            Reporter::Core => self.book.accept_reported(peer, link),
            Reporter::Relay(_) => self.book.accept(peer, link),
        }
    }
}

impl Drop for ReportedEdges {
    fn drop(&mut self) {
        for (peer, session) in &self.sessions {
            match &self.by {
                Reporter::Core => self.book.disconnect_reported(session.here, peer),
                Reporter::Relay(_) => self.book.out_of_sight(session.here, peer),
            }
        }
    }
}

impl fmt::Debug for ReportedEdges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportedEdges({})", self.sessions.len())
    }
}
