//! What the leader hears from other cores, and every publisher from relays, about the edges that those serve.
//!
//! ```text
//! edge ─ack─▶ core-2: its book ─▶ EdgeNewsFeed ─ a stream ─▶ core-1: EdgeReports ─▶ its book, receipts, waits
//! edge ─ack─▶ relay: its book ─▶ EdgeNewsFeed ─ its upstream ─▶ core-2: EdgeReports ─▶ its book ─▶ EdgeNewsFeed ...
//! ```

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zonecast_kv_proto::{EdgeNews, EdgeNewsError, Peer, Reported, ReportedEdges};

use crate::admission::Admission;
use crate::book::Book;

/// News of the edges that a publisher serves. One at a time; the last one that was made gets them.
pub struct EdgeNewsFeed {
    book: Arc<Book>,
}

impl EdgeNewsFeed {
    pub(crate) fn new(book: Arc<Book>) -> Self {
        book.tell_all();
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
            let told = self.book.news.notified();
            if self.book.has_news() {
                return;
            }
            told.await;
        }
    }

    /// What there is, of at most so many edges, as messages.
    #[must_use]
    pub fn take(&mut self, most: usize) -> Vec<Bytes> {
        self.book.take_news(most).iter().map(EdgeNews::to_bytes).collect()
    }
}

impl fmt::Debug for EdgeNewsFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EdgeNewsFeed")
    }
}

/// The edges of one other node, in the book of this one. Dropped, they count as away, or as last known below a relay.
pub struct EdgeReports {
    book: Arc<Book>,
    admission: Arc<Admission>,
    edges: ReportedEdges,
}

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reporter {
    /// Another core, to the leader, which nobody else asks about them.
    Core,
    /// The relay of this name, to its upstream, which reports them in its turn.
    Relay(String),
}

impl EdgeReports {
    pub(crate) fn new(book: Arc<Book>, admission: Arc<Admission>, by: Reporter) -> Self {
        let relay = if let Reporter::Relay(name) = by { Some(name) } else { None };
        Self { book, admission, edges: ReportedEdges::new(relay) }
    }

    /// Books one message.
    ///
    /// # Errors
    /// It makes no sense; nothing was booked.
    pub fn take(&mut self, message: &[u8]) -> Result<(), EdgeNewsError> {
        let news = EdgeNews::from_bytes(message)?;
        let peer = news.peer.clone();
        let told = self.edges.take(news, || self.admission.next_session());
        let has_room = told.is_some_and(|told| told.into_iter().all(|told| self.book(&peer, told)));
        if !has_room {
            tracing::warn!(%peer, "the list of known edges is full; forget some with `zonecast edges forget`");
        }
        Ok(())
    }

    /// Says no when no more edges can be known.
    fn book(&self, peer: &Peer, told: Reported) -> bool {
        self.book.reported(peer, told)
    }
}

impl Drop for EdgeReports {
    fn drop(&mut self) {
        for (peer, told) in self.edges.end() {
            self.book(&peer, told);
        }
    }
}

impl fmt::Debug for EdgeReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EdgeReports({})", self.edges.len())
    }
}
