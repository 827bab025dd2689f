//! What each class of answer may cost: the bounds of docs/architecture.md.

use domain::base::iana::Rtype;
use zonecast_edge_reader::AnswerClass;

use crate::world::World;

const ADDRESS: [Rtype; 2] = [Rtype::A, Rtype::AAAA];
const OTHER: [Rtype; 2] = [Rtype::TXT, Rtype::MX];

fn world() -> World {
    World::example(
        "www 60 A 192.0.2.1\nwww 60 AAAA ::1\nwww 60 TXT hi\nwww 60 MX 1 out.elsewhere.\nnone 60 SSHFP 1 1 00\na.ent 60 A 192.0.2.1\n\
         alias 60 CNAME out.elsewhere.\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.2\nsib 60 NS ns.sub\nfar 60 NS out.elsewhere.\nd 60 DNAME out.elsewhere.\n\
         *.w 60 A 192.0.2.1\n*.w 60 AAAA ::1\n*.w 60 TXT hi\n*.w 60 MX 1 out.elsewhere.\n*.n.w 60 SSHFP 1 1 00\ny.x.n2.deep 60 A 192.0.2.1\n",
    )
}

fn cost(world: &World, name: &str, rtype: Rtype) -> (AnswerClass, [u16; 3]) {
    let (outcome, _) = world.ask(&format!("{name}.example."), rtype);
    let lookups = outcome.lookups;
    (outcome.class, [lookups.names, lookups.zones, lookups.additional])
}

#[test]
fn each_class_keeps_its_bound() {
    let world = world();
    for rtype in ADDRESS {
        assert_eq!(cost(&world, "www", rtype), (AnswerClass::Positive, [1, 0, 0]));
        assert_eq!(cost(&world, "none", rtype), (AnswerClass::NoData, [1, 1, 0]));
        assert_eq!(cost(&world, "ent", rtype), (AnswerClass::NoData, [1, 1, 0]));
        assert_eq!(cost(&world, "alias", rtype), (AnswerClass::Chain, [1, 0, 0]));
        assert_eq!(cost(&world, "x.w", rtype), (AnswerClass::Wildcard, [3, 0, 0]));
        assert_eq!(cost(&world, "x.n.w", rtype), (AnswerClass::Wildcard, [3, 1, 0]));
    }
    for rtype in OTHER {
        assert_eq!(cost(&world, "www", rtype), (AnswerClass::Positive, [1, 0, 0]));
        assert_eq!(cost(&world, "none", rtype), (AnswerClass::NoData, [2, 1, 0]));
        assert_eq!(cost(&world, "ent", rtype), (AnswerClass::NoData, [2, 1, 0]));
        assert_eq!(cost(&world, "alias", rtype), (AnswerClass::Chain, [2, 0, 0]));
        assert_eq!(cost(&world, "x.w", rtype), (AnswerClass::Wildcard, [4, 0, 0]));
        assert_eq!(cost(&world, "x.n.w", rtype), (AnswerClass::Wildcard, [3, 1, 0]));
    }
    for rtype in ADDRESS.into_iter().chain(OTHER) {
        assert_eq!(cost(&world, "nope.x.n2.deep", rtype), (AnswerClass::NxDomain, [2, 1, 0]));
        // The summary says that something at this depth has a wildcard.
        assert_eq!(cost(&world, "nope.www", rtype), (AnswerClass::NxDomain, [3, 1, 0]));
        assert_eq!(cost(&world, "x.sub", rtype), (AnswerClass::Referral, [2, 0, 0]));
        assert_eq!(cost(&world, "x.far", rtype), (AnswerClass::Referral, [2, 0, 0]));
        assert_eq!(cost(&world, "x.d", rtype), (AnswerClass::Chain, [3, 0, 0]));
    }
    assert_eq!(cost(&world, "sub", Rtype::A), (AnswerClass::Referral, [1, 0, 0]));
    assert_eq!(cost(&world, "sub", Rtype::NS), (AnswerClass::Referral, [1, 0, 0]));
    assert_eq!(cost(&world, "sub", Rtype::DS), (AnswerClass::NoData, [1, 1, 0]));
    assert_eq!(cost(&world, "sub", Rtype::TXT), (AnswerClass::Referral, [2, 0, 0]));
    // Sibling glue: not under `name`, then under `glue`.
    assert_eq!(cost(&world, "x.sib", Rtype::A), (AnswerClass::Referral, [2, 0, 2]));
}

#[test]
fn the_apex_costs_one_zone_key_and_a_foreign_name_nothing() {
    let world = world();
    for rtype in [Rtype::SOA, Rtype::NS] {
        let (outcome, _) = world.ask("example.", rtype);
        assert_eq!((outcome.class, outcome.lookups.total()), (AnswerClass::Positive, 1));
    }
    let (outcome, _) = world.ask("example.net.", Rtype::A);
    assert_eq!((outcome.class, outcome.lookups.total()), (AnswerClass::Refused, 0));
}
