//! Who waits until a version is live on enough edges: woken by what concerns them, and by nothing else.
//!
//! An ack concerns those who wait for a version that the edge has gained with it; a change of who is expected concerns
//! everybody.

use std::collections::BTreeMap;
use std::ops::Bound;

use tokio::sync::oneshot;
use zonecast_kv_proto::{AckBook, Gained, Receipt, Version, WaitFor};

/// The requests that wait for a version, in the order of the versions, so that an ack wakes only those it concerns.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<WaiterId, Waiter>,
    next: u64,
}

/// Which one waits; in the order of the versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId {
    version: Version,
    number: u64,
}

impl WaiterId {
    /// After all that wait for a version.
    const fn after(version: Version) -> Self {
        Self { version, number: u64::MAX }
    }
}

#[derive(Debug)]
struct Waiter {
    condition: WaitFor,
    tell: oneshot::Sender<Receipt>,
}

impl Waiters {
    /// One more. The id is for [`Waiters::remove`]; told is the receipt that meets the condition, as it was then.
    pub(crate) fn add(&mut self, version: Version, condition: WaitFor) -> (WaiterId, oneshot::Receiver<Receipt>) {
        let (tell, told) = oneshot::channel();
        let id = WaiterId { version, number: self.next };
        self.next += 1;
        self.waiting.insert(id, Waiter { condition, tell });
        (id, told)
    }

    /// It waits no longer.
    pub(crate) fn remove(&mut self, id: WaiterId) {
        self.waiting.remove(&id);
    }

    /// An edge has these versions now. Says how many waits were looked at.
    pub(crate) fn gained(&mut self, book: &AckBook, gained: Gained) -> u64 {
        let Gained { before, applied } = gained;
        let from = before.map_or(Bound::Unbounded, |before| Bound::Excluded(WaiterId::after(before)));
        self.look(book, from, Bound::Included(WaiterId::after(applied)))
    }

    /// Others are expected than before. Says how many waits were looked at.
    pub(crate) fn changed(&mut self, book: &AckBook) -> u64 {
        self.look(book, Bound::Unbounded, Bound::Unbounded)
    }

    fn look(&mut self, book: &AckBook, from: Bound<WaiterId>, to: Bound<WaiterId>) -> u64 {
        let mut looks = 0;
        let concerned = self.waiting.range((from, to)).filter(|(id, waiter)| {
            looks += 1;
            book.holds(id.version, waiter.condition)
        });
        let served: Vec<_> = concerned.map(|(id, _)| *id).collect();
        for id in served {
            if let Some(waiter) = self.waiting.remove(&id) {
                // It may have given up this moment.
                let _ = waiter.tell.send(book.receipt(id.version));
            }
        }
        looks
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zonecast_kv_proto::{AcceptedLink, Ack, Epoch, Peer};

    use super::*;

    fn book(edges: u64) -> (AckBook, Vec<Peer>) {
        let mut book = AckBook::new(Epoch::ZERO);
        let peers: Vec<Peer> = (0..edges).map(|number| Peer::edge(&format!("edge-{number}"))).collect();
        for (session, peer) in (1..).zip(&peers) {
            book.accept(
                peer,
                AcceptedLink { session, incarnation: 1, connection: 0, goal: Version::ZERO, via: None, is_below: true },
            );
            book.expect(Duration::ZERO, peer);
        }
        (book, peers)
    }

    /// Says how many waits were looked at.
    fn ack(book: &mut AckBook, waiters: &mut Waiters, peer: &Peer, session: u64, version: u64) -> u64 {
        let ack = Ack { incarnation: 1, applied: Version::new(version), ..Ack::default() };
        let booked = book.ack(Duration::ZERO, peer, session, &ack);
        booked.gained.map_or(0, |gained| waiters.gained(book, gained))
    }

    #[test]
    fn an_ack_wakes_whom_it_concerns_and_looks_at_nobody_else() {
        let (mut book, peers) = book(100);
        let mut waiters = Waiters::default();
        let ids: Vec<(&Peer, u64)> = peers.iter().zip(1..).collect();
        let all = |book: &mut AckBook, waiters: &mut Waiters, version| -> u64 {
            ids.iter().map(|(peer, session)| ack(book, waiters, peer, *session, version)).sum()
        };
        all(&mut book, &mut waiters, 0);
        // A thousand wait for what is far off, one for the next version.
        let mut far: Vec<_> = (0..1000).map(|number| waiters.add(Version::new(1000 + number), WaitFor::All)).collect();
        let (_, mut near) = waiters.add(Version::new(1), WaitFor::Count(40));
        let mut looks = 0;
        for (number, (peer, session)) in ids.iter().enumerate() {
            assert_eq!(near.try_recv().is_ok(), number == 40, "{number}");
            looks += ack(&mut book, &mut waiters, peer, *session, 1);
        }
        assert_eq!(looks, 40, "once for each ack until it is served");
        assert!(far.iter_mut().all(|(_, told)| told.try_recv().is_err()));
        assert_eq!(all(&mut book, &mut waiters, 1), 0, "what an edge says again concerns nobody");

        assert_eq!(all(&mut book, &mut waiters, 1000), 100);
        assert!(far[0].1.try_recv().is_ok());
        assert!(far[1].1.try_recv().is_err());
        waiters.remove(far[1].0);
        assert_eq!(all(&mut book, &mut waiters, 1001), 0, "who has given up is not looked at");
    }

    #[test]
    fn whoever_is_forgotten_is_no_longer_waited_for() {
        let (mut book, peers) = book(2);
        let mut waiters = Waiters::default();
        peers.iter().zip(1..).for_each(|(peer, session)| _ = ack(&mut book, &mut waiters, peer, session, 0));
        let (_, mut told) = waiters.add(Version::new(1), WaitFor::All);
        ack(&mut book, &mut waiters, &peers[0], 1, 1);
        assert!(told.try_recv().is_err());
        book.forget(&peers[1]);
        waiters.changed(&book);
        let receipt = told.try_recv().unwrap();
        assert_eq!((receipt.applied, receipt.of), (1, 1));
    }
}
