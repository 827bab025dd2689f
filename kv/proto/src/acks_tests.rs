//! What the book of acks says, and what it no longer says.

use std::time::Duration;

use proptest::prelude::*;

use crate::Took;
use crate::acks::{MAX_ARRIVALS, MAX_COMMITS, MAX_EDGES};
use crate::{
    AcceptedLink, Ack, AckBook, Booked, EdgeLink, Epoch, Gained, Peer, Role, StoreId, SubscribeRefusal, Version,
    WaitFor,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ack(incarnation: u64, applied: u64) -> Ack {
    Ack { incarnation, applied: at(applied), durable: Version::ZERO, ..Ack::default() }
}

fn at(version: u64) -> Version {
    Version::new(version)
}

fn link(session: u64, incarnation: u64, goal: Version) -> AcceptedLink {
    AcceptedLink { session, incarnation, connection: 0, goal, via: None, is_below: true }
}

fn edge(name: &str) -> Peer {
    Peer::edge(name)
}

/// Two edges at version 0, ten versions committed at 10 ms each.
fn book() -> AckBook {
    let mut book = AckBook::new(Epoch::ZERO);
    for (session, name) in [(1, "a"), (2, "b")] {
        assert!(book.accept(&edge(name), link(session, 7, Version::ZERO)));
        let booked = book.ack(ms(0), &edge(name), session, &ack(7, 0));
        assert_eq!(booked, Booked { took: vec![], gained: None, is_new: true });
        book.recorded(&edge(name));
    }
    (1..=10).for_each(|version| book.committed(ms(version * 10), at(version), None));
    book
}

fn missing(book: &AckBook, version: u64) -> Vec<String> {
    book.receipt(at(version)).missing().map(Peer::label).collect()
}

#[test]
fn a_receipt_says_who_has_it_who_lacks_it_and_how_long_it_took() {
    let mut book = book();
    let booked = book.ack(ms(35), &edge("a"), 1, &ack(7, 3));
    assert_eq!(booked.took, [ms(25), ms(15), ms(5)]);
    assert_eq!(booked.gained, Some(Gained { before: Some(at(0)), applied: at(3) }));
    assert_eq!(book.ack(ms(47), &edge("a"), 1, &ack(7, 4)).took, [ms(7)]);
    let receipt = book.receipt(at(2));
    assert_eq!(receipt.applied, 1);
    assert_eq!(missing(&book, 2), ["b"]);
    assert_eq!(receipt.edges[0].took.map(|took| took.all), Some(ms(15)));
    assert_eq!(book.receipt(at(4)).edges[0].took.map(|took| took.all), Some(ms(7)));
    assert_eq!(book.receipt(at(5)).applied, 0);
}

#[test]
fn an_edge_that_comes_back_lower_retracts_its_receipts() {
    let mut book = book();
    let a = edge("a");
    book.ack(ms(100), &a, 1, &ack(7, 9));
    assert!(book.holds(at(9), WaitFor::Count(1)));
    // Another process of the same edge has lost the tail.
    assert!(book.accept(&a, link(3, 8, at(10))));
    assert!(!book.holds(at(1), WaitFor::Count(1)));
    book.ack(ms(110), &a, 3, &ack(8, 6));
    assert!(book.holds(at(6), WaitFor::Count(1)));
    assert!(!book.holds(at(9), WaitFor::Count(1)));
    assert_eq!(book.ack(ms(120), &a, 3, &ack(8, 9)).took, [ms(50), ms(40), ms(30)]);
    assert_eq!(book.receipt(at(9)).edges[0].took.map(|took| took.all), Some(ms(30)));
    // Within one incarnation as well.
    assert_eq!(book.ack(ms(130), &a, 3, &ack(8, 2)).gained, None);
    assert!(!book.holds(at(9), WaitFor::Count(1)));
    assert_eq!(book.receipt(at(9)).edges[0].took, None);
    book.ack(ms(140), &a, 3, &ack(8, 9));
    assert_eq!(book.receipt(at(9)).edges[0].took.map(|took| took.all), Some(ms(50)), "it arrived again, later");
}

#[test]
fn an_edge_that_is_refused_has_nothing_and_is_missing() {
    let mut book = book();
    let a = edge("a");
    book.ack(ms(100), &a, 1, &ack(7, 10));
    book.ack(ms(100), &edge("b"), 2, &ack(7, 10));
    assert!(book.holds(at(10), WaitFor::All));
    // The same process comes back with a copy of something else.
    let why = SubscribeRefusal::OtherStore(StoreId::new(9));
    book.refuse(ms(110), &a, 3, why);
    assert_eq!(missing(&book, 1), ["a"]);
    assert_eq!(book.edges()[0].link, EdgeLink::Refused(ms(110), why));
    assert_eq!(book.ack(ms(111), &a, 3, &ack(7, 10)), Booked::default());
    assert_eq!(book.ack(ms(111), &a, 1, &ack(7, 10)), Booked::default());
    book.disconnect(ms(112), &a, 3);
    book.refuse(ms(120), &a, 4, why);
    assert_eq!(book.edges()[0].link, EdgeLink::Refused(ms(110), why), "it is away since it was first refused");
    assert!(!book.holds(at(1), WaitFor::All));
    // One that was never served is known, so that somebody can see why, and not waited for.
    book.refuse(ms(130), &edge("stray"), 5, why);
    assert_eq!((book.edges().len(), book.expected().count()), (3, 2));

    // A restore is accepted: what they were refused for may hold no longer.
    book.raise_epoch(Epoch::new(1));
    assert_eq!(book.edges()[0].link, EdgeLink::Away(ms(110)));
}

#[test]
fn an_edge_is_expected_once_it_has_caught_up() {
    let mut book = AckBook::new(Epoch::ZERO);
    let a = edge("a");
    book.accept(&a, link(1, 7, at(10)));
    assert!(!book.ack(ms(1), &a, 1, &ack(7, 9)).is_new);
    assert_eq!(book.receipt(at(9)).edges, []);
    assert!(!book.holds(at(9), WaitFor::Count(1)));
    assert!(book.ack(ms(2), &a, 1, &ack(7, 10)).is_new);
    book.recorded(&a);
    assert!(book.holds(at(9), WaitFor::All));
    assert!(!book.ack(ms(3), &a, 1, &ack(7, 11)).is_new, "once");
}

/// Else a client would be told that all have it, and the next start of the core would know of fewer.
#[test]
fn what_an_edge_has_counts_once_it_is_on_record_that_it_is_expected() {
    let (mut book, c) = (book(), edge("c"));
    ["a", "b"].into_iter().zip(1..).for_each(|(name, session)| _ = book.ack(ms(90), &edge(name), session, &ack(7, 10)));
    book.accept(&c, link(3, 7, at(10)));
    book.recorded(&c);
    assert!(book.holds(at(10), WaitFor::All), "it has not caught up, so there is nothing to record");
    let caught_up = book.ack(ms(100), &c, 3, &ack(7, 10));
    assert_eq!(caught_up, Booked { took: vec![], gained: None, is_new: true });
    assert!(!book.holds(at(1), WaitFor::All));
    assert!(!book.holds(at(1), WaitFor::Count(3)));
    let receipt = &book.receipt(at(10)).edges[2];
    assert_eq!((receipt.applied, receipt.durable, receipt.took), (false, false, None));
    book.committed(ms(110), at(11), None);
    let more = book.ack(ms(115), &c, 3, &ack(7, 11));
    assert_eq!(more, Booked { took: vec![ms(5)], gained: None, is_new: false }, "nobody can go on by it yet");

    book.recorded(&c);
    assert!(book.holds(at(10), WaitFor::All));
    assert_eq!(missing(&book, 11), ["a", "b"]);
    assert_eq!(book.receipt(at(11)).edges[2].took.map(|took| took.all), Some(ms(5)));
    assert!(book.forget(&c));
    book.recorded(&c);
    book.accept(&c, link(4, 7, at(11)));
    assert!(book.ack(ms(120), &c, 4, &ack(7, 11)).is_new);
    assert_eq!(missing(&book, 10), ["c"], "what was on record was forgotten with it");
}

#[test]
fn an_edge_that_is_expected_counts_before_it_connects() {
    let mut book = book();
    book.ack(ms(100), &edge("a"), 1, &ack(7, 10));
    book.ack(ms(100), &edge("b"), 2, &ack(7, 10));
    assert!(book.holds(at(10), WaitFor::All));
    assert!(book.expect(ms(50), &edge("c")));
    assert!(!book.holds(at(10), WaitFor::All));
    assert!(book.expect(ms(50), &edge("a")), "one that is there stays as it is");
    assert_eq!(missing(&book, 10), ["c"]);
    assert_eq!(book.receipt(at(10)).edges[2].away_since, Some(ms(50)));
    assert!(book.forget(&edge("c")));
    assert!(!book.forget(&edge("c")));
    assert!(book.holds(at(10), WaitFor::All));
}

#[test]
fn a_role_is_part_of_a_name() {
    let mut book = book();
    let relay = Peer { role: Role::Relay, name: "a".into() };
    book.accept(&relay, link(3, 9, at(10)));
    book.ack(ms(100), &relay, 3, &ack(9, 10));
    book.recorded(&relay);
    assert_eq!(missing(&book, 10), ["a", "b"], "the relay speaks for itself only");
    assert!(book.forget(&relay));
    assert_eq!(book.expected().count(), 2);
}

#[test]
fn an_old_connection_changes_nothing() {
    let mut book = book();
    let a = edge("a");
    book.accept(&a, link(3, 7, at(10)));
    assert_eq!(book.ack(ms(100), &a, 1, &ack(7, 10)), Booked::default());
    book.disconnect(ms(100), &a, 1);
    book.refuse(ms(100), &a, 1, SubscribeRefusal::NotAllowed);
    assert!(!book.holds(at(10), WaitFor::Count(1)));
    assert_eq!(book.edges()[0].link, EdgeLink::Connected);
    book.disconnect(ms(101), &a, 3);
    assert_eq!(book.edges()[0].link, EdgeLink::Away(ms(101)));
}

#[test]
fn another_epoch_proves_nothing() {
    let mut book = book();
    let a = edge("a");
    book.ack(ms(101), &a, 1, &Ack { epoch: Epoch::new(1), ..ack(7, 10) });
    assert!(!book.holds(at(1), WaitFor::Count(1)));
    book.ack(ms(102), &a, 1, &ack(7, 10));
    assert!(book.holds(at(1), WaitFor::Count(1)));
    book.raise_epoch(Epoch::new(1));
    assert!(!book.holds(at(1), WaitFor::Count(1)));
    book.ack(ms(103), &a, 1, &ack(7, 10));
    assert!(!book.holds(at(1), WaitFor::Count(1)), "it still speaks of the old one");
    assert_eq!(missing(&book, 1), ["a", "b"]);
}

#[test]
fn memory_is_bounded() {
    let mut book = AckBook::new(Epoch::ZERO);
    let a = edge("a");
    book.accept(&a, link(1, 1, Version::ZERO));
    book.expect(ms(0), &a);
    for version in 1..200_000 {
        book.committed(ms(version), at(version), None);
        book.ack(ms(version), &a, 1, &ack(1, version));
    }
    assert_eq!(book.sizes(), (MAX_COMMITS, MAX_ARRIVALS));
    assert_eq!(book.receipt(at(5)).edges[0].took, None);
    assert_eq!(book.receipt(at(199_999)).edges[0].took.map(|took| took.all), Some(ms(0)));
}

proptest! {
    /// Whatever happens, what a wait is told is what the receipt says.
    #[test]
    fn a_wait_and_a_receipt_agree(steps in prop::collection::vec((0_u8..9, 0_u64..4, 0_u64..12), 1..80)) {
        let mut book = AckBook::new(Epoch::ZERO);
        let mut sessions = [0; 4];
        let mut epoch = 0;
        for (now, (step, who, version)) in (1..).zip(steps) {
            let peer = edge(&who.to_string());
            let session = &mut sessions[usize::try_from(who).unwrap()];
            match step {
                0 => {
                    *session = now;
                    book.accept(&peer, link(now, version / 4, at(version)));
                }
                1 => book.refuse(ms(now), &peer, now, SubscribeRefusal::NotAllowed),
                2 => drop(book.expect(ms(now), &peer)),
                3 => drop(book.forget(&peer)),
                5 => book.recorded(&peer),
                4 if version == 0 => {
                    epoch += 1;
                    book.raise_epoch(Epoch::new(epoch));
                }
                _ => {
                    for incarnation in 0..3 {
                        let ack = Ack { epoch: Epoch::new(epoch), ..ack(incarnation, version) };
                        book.ack(ms(now), &peer, *session, &ack);
                    }
                }
            }
            for version in 0..13 {
                let receipt = book.receipt(at(version));
                let counts = |peer: &Peer| book.edges().iter().any(|edge| edge.peer == *peer && edge.is_on_record);
                prop_assert!(receipt.edges.iter().all(|edge| !edge.applied || counts(&edge.peer)));
                for condition in [WaitFor::All, WaitFor::Count(2), WaitFor::Percent(50)] {
                    let enough = receipt.applied >= condition.needed(receipt.of);
                    prop_assert_eq!(book.holds(at(version), condition), enough, "{} {}", version, condition);
                }
            }
        }
    }
}

#[test]
fn below_a_lost_relay_only_what_is_durable_counts() {
    let mut book = book();
    let a = edge("a");
    book.ack(ms(20), &a, 1, &Ack { durable: at(4), ..ack(7, 9) });
    assert!(book.receipt(at(9)).edges[0].applied);
    book.out_of_sight(ms(30), &a, 1);
    let has = |book: &AckBook, version| {
        (book.receipt(at(version)).edges[0].applied, book.holds(at(version), WaitFor::Count(1)))
    };
    assert_eq!((has(&book, 4), has(&book, 5)), ((true, true), (false, false)));
    assert_eq!(book.edges()[0].link, EdgeLink::LastKnown(ms(30)));
    // Heard of again, with what it had.
    book.accept(&a, AcceptedLink { connection: 1, ..link(3, 7, at(10)) });
    let booked = book.ack(ms(40), &a, 3, &ack(7, 9));
    assert_eq!(booked.gained, Some(Gained { before: Some(at(4)), applied: at(9) }));
    assert_eq!(has(&book, 9), (true, true));
}

#[test]
fn of_several_connections_the_newest_counts_in_whatever_order_they_are_heard_of() {
    let mut book = book();
    let a = edge("a");
    let over = |session, connection| AcceptedLink { connection, ..link(session, 7, at(10)) };
    book.accept(&a, over(3, 5));
    // What a relay says that has not noticed yet that the edge has gone elsewhere.
    book.accept(&a, over(4, 4));
    book.disconnect(ms(30), &a, 4);
    assert_eq!(book.edges()[0].link, EdgeLink::Connected);
    // The process that began later is the newer one.
    book.accept(&a, link(5, 6, at(10)));
    assert_eq!(book.edges()[0].incarnation, 7);
    book.accept(&a, link(6, 8, at(10)));
    assert_eq!((book.edges()[0].incarnation, book.edges()[0].applied), (8, None));
    // When it is gone, what is open of the others counts, with what it said.
    book.ack(ms(45), &a, 3, &ack(7, 9));
    assert_eq!(book.edges()[0].applied, None);
    let booked = book.disconnect(ms(50), &a, 6);
    assert_eq!(booked.gained, Some(Gained { before: None, applied: at(9) }));
    assert_eq!((book.edges()[0].incarnation, book.edges()[0].link), (7, EdgeLink::Connected));
    // The first connection of it is open still.
    for session in [3, 1] {
        book.disconnect(ms(60), &a, session);
    }
    assert_eq!((book.edges()[0].incarnation, book.edges()[0].link), (6, EdgeLink::Connected));
    book.disconnect(ms(80), &a, 5);
    assert_eq!(book.edges()[0].link, EdgeLink::Away(ms(80)));
}

#[test]
fn the_way_of_a_version_is_told_in_its_stages() {
    let mut book = book();
    let relay = Peer { role: Role::Relay, name: "r".into() };
    book.committed(ms(1000), at(11), Some(ms(7)));
    book.accept(&relay, link(3, 7, at(0)));
    book.ack(ms(0), &relay, 3, &ack(7, 0));
    let a = edge("a");
    book.disconnect(ms(0), &a, 1);
    book.accept(&a, AcceptedLink { via: Some("r".into()), connection: 1, ..link(4, 7, at(0)) });
    book.ack(ms(1010), &relay, 3, &ack(7, 11));
    book.ack(ms(1030), &a, 4, &Ack { apply_us: 5_000, durable: at(11), ..ack(7, 11) });
    let receipt = book.receipt(at(11));
    let took = Took { all: ms(30), relay: ms(10), network: ms(15), apply: ms(5) };
    let told = receipt.edges.iter().find(|edge| edge.peer == a).unwrap();
    assert_eq!((receipt.commit, told.took, told.via.as_deref()), (Some(ms(7)), Some(took), Some("r")));
    assert_eq!((receipt.applied, receipt.durable), (1, 1), "the relay is not on record yet");
    // An edge whose clock is off says what cannot be: the stages are never more than all of it.
    book.ack(ms(1031), &edge("b"), 2, &Ack { apply_us: u64::MAX, ..ack(7, 11) });
    let receipt = book.receipt(at(11));
    let took = receipt.edges.iter().find(|edge| edge.peer.name == "b").unwrap().took.unwrap();
    assert_eq!((took.all, took.apply, took.network), (ms(31), ms(31), ms(0)));
}

#[test]
fn a_relay_cannot_speak_for_an_edge_that_is_connected_here() {
    let mut book = book();
    let a = edge("a");
    let said = AcceptedLink { via: Some("r".into()), connection: u64::MAX, ..link(9, u64::MAX, at(0)) };
    book.accept(&a, said);
    book.ack(ms(20), &a, 9, &ack(u64::MAX, 10));
    assert_eq!((book.edges()[0].applied, book.edges()[0].via.clone()), (Some(at(0)), None));
    // Once it is gone here, there is nothing better.
    book.disconnect(ms(30), &a, 1);
    assert_eq!((book.edges()[0].applied, book.edges()[0].via.as_deref()), (Some(at(10)), Some("r")));
}

#[test]
fn who_is_not_on_record_and_gone_makes_room() {
    let mut book = AckBook::new(Epoch::ZERO);
    let name = |number: usize| edge(&format!("edge-{number}"));
    for (session, number) in (1..).zip(0..MAX_EDGES) {
        assert!(book.accept(&name(number), link(session, 7, at(0))));
    }
    assert!(!book.accept(&name(MAX_EDGES), link(u64::MAX, 7, at(0))), "all of them are here");
    // Two go, one of whom is waited for.
    book.ack(ms(1), &name(0), 1, &ack(7, 0));
    book.recorded(&name(0));
    [1, 2].into_iter().zip(0..).for_each(|(session, number)| _ = book.disconnect(ms(2), &name(number), session));
    assert!(book.accept(&name(MAX_EDGES), link(u64::MAX, 7, at(0))));
    assert!(!book.accept(&name(MAX_EDGES + 1), link(u64::MAX, 7, at(0))));
    let known: Vec<Peer> = book.edges().into_iter().map(|edge| edge.peer).collect();
    assert!(known.contains(&name(0)) && !known.contains(&name(1)));
}
