//! The book of acks, and the requests that wait for its changes.

use std::sync::Mutex;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{oneshot, watch};
use zonecast_kv_proto::{
    AcceptedLink, Ack, AckBook, EdgeReport, Epoch, Peer, Position, Receipt, Reported, SubscribeRefusal, Version,
    WaitFor,
};

use crate::edge_news::News;
use crate::lock::lock;
use crate::waiters::{WaiterId, Waiters};
use crate::{Clock, TransportMetrics};

/// A wait whose deadline passed; the change itself is committed and still under way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("only {} of {} edges have version {}", .0.applied(), .0.edges.len(), .0.version)]
pub struct WaitError(pub Receipt);

/// Keeps the acks of all edges, and wakes the requests that wait when an ack or the list of edges changes.
pub(crate) struct Book {
    clock: Clock,
    metrics: TransportMetrics,
    acks: Mutex<AckBook>,
    /// Locked while the acks are, never the other way round.
    waiters: Mutex<Waiters>,
    /// Changes when an edge has caught up for the first time.
    caught_up: watch::Sender<u64>,
    /// For the leader, where this core is not it.
    pub(crate) news: News,
}

impl Book {
    pub(crate) fn new(epoch: Epoch, clock: Clock, metrics: TransportMetrics) -> Self {
        let acks = Mutex::new(AckBook::new(epoch));
        Self {
            clock,
            metrics,
            acks,
            waiters: Mutex::default(),
            caught_up: watch::Sender::new(0),
            news: News::default(),
        }
    }

    /// The store has come to there.
    pub(crate) fn committed(&self, position: Position) {
        let mut acks = lock(&self.acks);
        acks.raise_epoch(position.epoch);
        acks.committed(self.clock.now(), position.version);
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
        self.reported(peer, Reported::Accepted(link), true)
    }

    /// An edge gets nothing.
    pub(crate) fn refuse(&self, peer: &Peer, session: u64, why: SubscribeRefusal) {
        self.news.change(|served| served.lost(peer, session, false));
        lock(&self.acks).refuse(self.clock.now(), peer, session, why);
    }

    pub(crate) fn acked(&self, session: u64, peer: &Peer, ack: Ack) {
        self.reported(peer, Reported::Acked(session, ack), true);
    }

    pub(crate) fn disconnect(&self, session: u64, peer: &Peer) {
        self.reported(peer, Reported::Gone(session), true);
    }

    /// Takes what has become of an edge that is served here or, as another node says, there; `passes_on` if whoever listens
    /// here is to be told, too. Says no when no more edges can be known.
    pub(crate) fn reported(&self, peer: &Peer, told: Reported, passes_on: bool) -> bool {
        if passes_on {
            self.news.change(|served| match &told {
                Reported::Accepted(link) => served.accepted(peer, link.clone()),
                Reported::Acked(session, ack) => served.acked(peer, *session, ack),
                Reported::Gone(session) => served.lost(peer, *session, false),
                Reported::OutOfSight(session) => served.lost(peer, *session, true),
            });
        }
        let now = self.clock.now();
        match told {
            Reported::Accepted(link) => return lock(&self.acks).accept(peer, link),
            Reported::Acked(session, ack) => self.take_ack(session, peer, &ack),
            Reported::Gone(session) => lock(&self.acks).disconnect(now, peer, session),
            Reported::OutOfSight(session) => lock(&self.acks).out_of_sight(now, peer, session),
        }
        true
    }

    fn take_ack(&self, session: u64, peer: &Peer, ack: &Ack) {
        self.metrics.acks.inc();
        let booked = {
            let mut acks = lock(&self.acks);
            let booked = acks.ack(self.clock.now(), peer, session, ack);
            // Before those who wait go on, so that they find it counted.
            booked.took.iter().for_each(|took| self.metrics.commit_to_ack.observe(took.as_secs_f64()));
            if let Some(gained) = booked.gained {
                self.looked(lock(&self.waiters).gained(&acks, gained));
            }
            booked
        };
        if booked.is_new {
            tracing::debug!(%peer, "it has caught up for the first time");
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
