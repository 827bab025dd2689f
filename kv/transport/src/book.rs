//! The book of acks, and the requests that wait for its changes.

use std::sync::Mutex;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, oneshot, watch};
use zonecast_kv_proto::{
    AcceptedLink, Ack, AckBook, Booked, EdgeReport, EdgeTold, Epoch, FoldOf, FoldStep, Peer, Position, Receipt,
    Reported, SubscribeRefusal, Version, WaitFor,
};

use crate::lock::lock;
use crate::waiters::{WaiterId, Waiters};
use crate::{Clock, TransportMetrics};

/// A wait whose deadline passed; the change itself is committed and still under way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("only {} of {} edges have version {}", .0.applied, .0.of, .0.version)]
pub struct WaitError(pub Receipt);

/// Keeps the acks of all edges, and wakes the requests that wait when an ack or the list of edges changes.
pub(crate) struct Book {
    pub(crate) clock: Clock,
    metrics: TransportMetrics,
    acks: Mutex<AckBook>,
    /// Locked while the acks are, never the other way round.
    waiters: Mutex<Waiters>,
    /// Changes when an edge has caught up for the first time.
    caught_up: watch::Sender<u64>,
    /// Told when there is news for whoever is above.
    pub(crate) news: Notify,
}

impl Book {
    pub(crate) fn new(epoch: Epoch, clock: Clock, metrics: TransportMetrics) -> Self {
        let acks = Mutex::new(AckBook::new(epoch));
        Self { clock, metrics, acks, waiters: Mutex::default(), caught_up: watch::Sender::new(0), news: Notify::new() }
    }

    /// The store has come to there; `stamp` is the time of the leader at which that was proposed, if it is known.
    pub(crate) fn committed(&self, position: Position, stamp: Option<Duration>) {
        let now = self.clock.now();
        self.change(|acks| {
            acks.raise_epoch(position.epoch);
            acks.committed(now, position.version, stamp.map(|stamp| now.saturating_sub(stamp)));
        });
    }

    /// Where a version is.
    pub(crate) fn receipt(&self, version: Version) -> Receipt {
        lock(&self.acks).receipt(version)
    }

    /// Waits until enough edges have a version.
    pub(crate) async fn wait(
        &self,
        version: Version,
        condition: WaitFor,
        patience: Duration,
    ) -> Result<Receipt, WaitError> {
        let waiting = {
            let acks = lock(&self.acks);
            if acks.holds(version, condition) {
                return Ok(acks.receipt(version));
            }
            let (id, told) = lock(&self.waiters).add(version, condition);
            Waiting { waiters: &self.waiters, id, told }
        };
        let told = tokio::time::timeout(patience, waiting.told()).await;
        told.map_err(|_| WaitError(self.receipt(version)))
    }

    /// Every edge that is expected or has connected since the start, by role and name.
    pub(crate) fn edges(&self) -> Vec<EdgeReport> {
        lock(&self.acks).edges()
    }

    /// Those that are waited for, by role and name.
    pub(crate) fn expected(&self) -> Vec<Peer> {
        lock(&self.acks).expected().cloned().collect()
    }

    pub(crate) fn caught_up(&self) -> watch::Receiver<u64> {
        self.caught_up.subscribe()
    }

    /// What these have counts from now on.
    pub(crate) fn recorded<'a>(&self, peers: impl IntoIterator<Item = &'a Peer>) {
        let mut acks = lock(&self.acks);
        peers.into_iter().for_each(|peer| acks.recorded(peer));
        self.looked(lock(&self.waiters).changed(&acks));
    }

    /// One more is waited for. Says no when no more can be known.
    pub(crate) fn expect(&self, peer: &Peer, since: Duration) -> bool {
        let mut acks = lock(&self.acks);
        let is_known = acks.expect(since, peer);
        self.looked(lock(&self.waiters).changed(&acks));
        is_known
    }

    /// It is not waited for any more. Says whether it was.
    pub(crate) fn forget(&self, peer: &Peer) -> bool {
        let mut acks = lock(&self.acks);
        let was_expected = acks.forget(peer);
        self.looked(lock(&self.waiters).changed(&acks));
        was_expected
    }

    /// An edge is served from here on. Says no when no more edges can be known.
    pub(crate) fn accept(&self, peer: &Peer, link: AcceptedLink) -> bool {
        self.reported(peer, Reported::Accepted(link))
    }

    /// An edge gets nothing.
    pub(crate) fn refuse(&self, peer: &Peer, session: u64, why: SubscribeRefusal) {
        self.change(|acks| acks.refuse(self.clock.now(), peer, session, why));
    }

    pub(crate) fn acked(&self, session: u64, peer: &Peer, ack: Ack) {
        self.reported(peer, Reported::Acked(session, ack));
    }

    pub(crate) fn disconnect(&self, session: u64, peer: &Peer) {
        self.reported(peer, Reported::Gone(session));
    }

    /// Somebody above begins to listen.
    pub(crate) fn tell_all(&self) {
        self.change(AckBook::tell_all);
    }

    /// When there is something to tell above, if nothing else happens.
    pub(crate) fn news_due(&self) -> Option<Duration> {
        lock(&self.acks).look(self.clock.now())
    }

    pub(crate) fn take_news(&self, most: usize) -> Vec<EdgeTold> {
        lock(&self.acks).take_news(self.clock.now(), most)
    }

    /// All edges that another node tells of together have come so far.
    pub(crate) fn step(&self, of: FoldOf, step: &FoldStep) {
        self.metrics.ack_steps.inc();
        let now = self.clock.now();
        self.book(None, |acks| acks.step(now, of, step));
    }

    /// Another node tells of no edges any more.
    pub(crate) fn end_fold(&self, of: FoldOf) {
        self.change(|acks| acks.end_fold(of));
    }

    /// Changes the book, and wakes whoever tells what is new.
    fn change<T>(&self, change: impl FnOnce(&mut AckBook) -> T) -> T {
        let mut acks = lock(&self.acks);
        let result = change(&mut acks);
        if acks.has_news() {
            self.news.notify_one();
        }
        result
    }

    /// Takes what has become of an edge that is served here or, as another node says, there. Says no when no more edges can
    /// be known.
    pub(crate) fn reported(&self, peer: &Peer, told: Reported) -> bool {
        let now = self.clock.now();
        let book = |change: &dyn Fn(&mut AckBook) -> Booked| self.book(Some(peer), change);
        match &told {
            Reported::Accepted(link) => return self.change(|acks| acks.accept(peer, link.clone())),
            Reported::Acked(session, ack) => {
                self.metrics.acks.inc();
                book(&|acks| acks.ack(now, peer, *session, ack));
            }
            Reported::InStep(session, of) => book(&|acks| acks.in_step(now, peer, *session, of.number)),
            Reported::OutOfStep(session) => self.change(|acks| acks.out_of_step(peer, *session)),
            Reported::Gone(session) => book(&|acks| acks.disconnect(now, peer, *session)),
            Reported::OutOfSight(session) => book(&|acks| acks.out_of_sight(now, peer, *session)),
        }
        true
    }

    /// Changes the book, and tells whom that concerns.
    fn book(&self, peer: Option<&Peer>, change: impl Fn(&mut AckBook) -> Booked) {
        let booked = self.change(|acks| {
            let booked = change(acks);
            // Before those who wait go on, so that they find it counted.
            booked.took.iter().for_each(|took| self.metrics.commit_to_ack.observe(took.as_secs_f64()));
            if let Some(gained) = booked.gained {
                self.looked(lock(&self.waiters).gained(acks, gained));
            }
            booked
        });
        if booked.is_new {
            tracing::debug!(?peer, "it has caught up for the first time");
            self.caught_up.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn looked(&self, waits: u64) {
        self.metrics.wait_looks.inc_by(waits);
    }
}

/// Somebody who waits. Taken out of the book when it is dropped.
struct Waiting<'a> {
    waiters: &'a Mutex<Waiters>,
    id: WaiterId,
    told: oneshot::Receiver<Receipt>,
}

impl Waiting<'_> {
    async fn told(mut self) -> Receipt {
        (&mut self.told).await.expect("who is taken out without being told has dropped this")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.waiters).remove(self.id);
    }
}
