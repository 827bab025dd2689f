//! The publisher's side of a node: its tail, its book, and what it tells above of the edges below.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    AcceptedLink, Ack, AckBook, Booked, EdgeTold, Epoch, Frame, Path, Peer, Position, ReceivedVersion, Reported,
    ReportedEdges, Tail,
};

/// Bytes of versions in memory: few, so that the log is read as well.
const TAIL: usize = 2000;

pub(super) struct Hub {
    pub(super) tail: Tail,
    pub(super) book: AckBook,
    /// What each connection of a relay has told, by its number.
    reported: BTreeMap<u64, ReportedEdges>,
    sessions: u64,
}

impl Hub {
    pub(super) fn new(head: Position, path: Path, folds_from: usize) -> Self {
        let mut tail = Tail::new(head, TAIL);
        tail.set_path(path);
        tail.confirm_nothing();
        let book = AckBook::new(head.epoch).folding_from(folds_from);
        Self { tail, book, reported: BTreeMap::new(), sessions: 0 }
    }

    pub(super) fn next_session(&mut self) -> u64 {
        self.sessions += 1;
        self.sessions
    }

    pub(super) fn publish(&mut self, now: Duration, position: Position, version: &ReceivedVersion) {
        self.book.raise_epoch(position.epoch);
        self.book.committed(now, position.version, None);
        self.tail.push(now, position, Frame::Version(version.bytes.clone()).to_bytes());
    }

    pub(super) fn jump(&mut self, position: Position) {
        self.book.raise_epoch(position.epoch);
        self.tail.jump(position);
    }

    pub(super) fn accepted(&mut self, now: Duration, peer: &Peer, link: AcceptedLink) {
        self.told(now, peer, Reported::Accepted(link));
    }

    pub(super) fn acked(&mut self, now: Duration, peer: &Peer, session: u64, ack: Ack) {
        self.told(now, peer, Reported::Acked(session, ack));
    }

    /// A relay has told of edges below it.
    pub(super) fn reports(&mut self, now: Duration, relay: &Peer, session: u64, reports: &[Bytes]) {
        for report in reports {
            let sessions = &mut self.sessions;
            let mut next_session = || {
                *sessions += 1;
                *sessions
            };
            let edges = self
                .reported
                .entry(session)
                .or_insert_with(|| ReportedEdges::new(Some(relay.name.clone()), next_session()));
            match EdgeTold::from_bytes(report).unwrap() {
                EdgeTold::Edge(news) => {
                    let peer = news.peer.clone();
                    let told = edges.take(news, next_session).unwrap();
                    told.into_iter().for_each(|told| self.told(now, &peer, told));
                }
                EdgeTold::Step(step) => {
                    let (of, step) = (edges.fold(), edges.step(step).expect("a relay never goes back"));
                    self.book.step(now, of, &step);
                }
            }
        }
    }

    /// A connection is gone, and with it what it told of others.
    pub(super) fn left(&mut self, now: Duration, peer: &Peer, session: u64) {
        self.told(now, peer, Reported::Gone(session));
        if let Some(mut edges) = self.reported.remove(&session) {
            edges.end().into_iter().for_each(|(peer, told)| self.told(now, &peer, told));
            self.book.end_fold(edges.fold());
        }
    }

    fn told(&mut self, now: Duration, peer: &Peer, told: Reported) {
        match told {
            Reported::Accepted(link) => {
                assert!(self.book.accept(peer, link));
            }
            Reported::Acked(session, ack) => {
                let booked = self.book.ack(now, peer, session, &ack);
                self.booked(peer, &booked);
            }
            Reported::InStep(session, of) => {
                self.book.in_step(now, peer, session, of.number);
            }
            Reported::OutOfStep(session) => self.book.out_of_step(peer, session),
            Reported::Gone(session) => {
                let booked = self.book.disconnect(now, peer, session);
                self.booked(peer, &booked);
            }
            Reported::OutOfSight(session) => {
                let booked = self.book.out_of_sight(now, peer, session);
                self.booked(peer, &booked);
            }
        }
    }

    fn booked(&mut self, peer: &Peer, booked: &Booked) {
        if booked.is_new {
            self.book.recorded(peer);
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.tail.head().epoch
    }
}
