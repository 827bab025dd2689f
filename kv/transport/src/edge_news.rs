//! What the leader hears from other cores, and every publisher from relays, about the edges that those serve.
//!
//! ```text
//! edge ─ack─▶ core-2: its book ─▶ EdgeNewsFeed ─ a stream ─▶ core-1: EdgeReports ─▶ its book, receipts, waits
//! edge ─ack─▶ relay: its book ─▶ EdgeNewsFeed ─ its upstream ─▶ core-2: EdgeReports ─▶ its book ─▶ EdgeNewsFeed ...
//! ```

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::sleep_until;
use zonecast_kv_proto::{EdgeNewsError, EdgeTold, Epoch, Peer, Reported, ReportedEdges, Version};

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

    /// The next news, as messages; at first of each edge. Loses nothing when it is dropped while it waits.
    pub async fn next(&mut self) -> Vec<Bytes> {
        self.ready().await;
        self.take(usize::MAX).iter().map(EdgeTold::to_bytes).collect()
    }

    /// Waits until there is any. What is taken later is not older for it.
    pub async fn ready(&mut self) {
        loop {
            let told = self.book.news.notified();
            match self.book.news_due() {
                Some(due) if due <= self.book.clock.now() => return,
                Some(due) => {
                    let due = self.book.clock.instant(due).into();
                    tokio::select! { () = told => {}, () = sleep_until(due) => {} }
                }
                None => told.await,
            }
        }
    }

    /// What there is, of at most so many edges by name, and with them of all that are in step.
    #[must_use]
    pub fn take(&mut self, most: usize) -> Vec<EdgeTold> {
        self.book.take_news(most)
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
        let edges = ReportedEdges::new(relay, admission.next_session());
        Self { book, admission, edges }
    }

    /// Books one message.
    ///
    /// # Errors
    /// It makes no sense; nothing was booked.
    pub fn take(&mut self, message: &[u8]) -> Result<(), EdgeNewsError> {
        self.take_up_to(message, (Epoch::new(u64::MAX), Version::ZERO))
    }

    /// The same of a node that has been given nothing beyond `given`.
    pub(crate) fn take_up_to(&mut self, message: &[u8], given: (Epoch, Version)) -> Result<(), EdgeNewsError> {
        let news = match EdgeTold::from_bytes(message)? {
            EdgeTold::Edge(news) => news,
            EdgeTold::Step(step) if (step.epoch, step.level.applied) > given => {
                return Err(EdgeNewsError::Syntax("edges have what nobody was given".into()));
            }
            EdgeTold::Step(step) => {
                let back = || EdgeNewsError::Syntax("edges in step that went back".into());
                self.book.step(self.edges.fold(), &self.edges.step(step).ok_or_else(back)?);
                return Ok(());
            }
        };
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
        self.book.end_fold(self.edges.fold());
    }
}

impl fmt::Debug for EdgeReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EdgeReports({})", self.edges.len())
    }
}
