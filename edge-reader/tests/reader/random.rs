//! Random hard zones against the plain model: every name of a small universe, every type.

use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_records::Name;

use crate::model::Model;
use crate::world::{Rec, SOA, World, parse};

const LABELS: [&[u8]; 5] = [b"a", b"b", b"*", b"\0", b"\xff"];
const TYPES: [Rtype; 10] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::TXT,
    Rtype::MX,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::NS,
    Rtype::DS,
    Rtype::NSEC,
    Rtype::SOA,
];

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn name(depths: std::ops::Range<usize>) -> impl Strategy<Value = Name> {
    prop::collection::vec(prop::sample::select(LABELS.to_vec()), depths)
        .prop_map(|labels| Name::below(&apex(), labels.into_iter()).unwrap())
}

fn record() -> impl Strategy<Value = Rec> {
    let types = prop::sample::select(TYPES[..9].to_vec());
    (name(1..5), types, name(0..5), 0..4_u8).prop_map(|(owner, rtype, target, number)| {
        let rdata = match rtype {
            Rtype::A => vec![192, 0, 2, number],
            Rtype::AAAA => vec![number; 16],
            Rtype::TXT => vec![1, number],
            Rtype::MX => [&[0, number], target.as_wire()].concat(),
            Rtype::DS => vec![0, number, 8, 2, 0],
            Rtype::NSEC => [target.as_wire(), &[0, 1, 64]].concat(),
            _ => target.as_wire().to_vec(),
        };
        Rec { owner, rtype, ttl: 60, rdata }
    })
}

/// Drops what may not stand together: a CNAME is alone, a DNAME is one and no CNAME's or cut's neighbour.
fn legal(records: Vec<Rec>) -> Vec<Rec> {
    let mut kept: Vec<Rec> = parse("example.", SOA);
    for record in records {
        let here: Vec<Rtype> =
            kept.iter().filter(|other| other.owner == record.owner).map(|other| other.rtype).collect();
        let single = |rtype| here.contains(&rtype);
        let clash = match record.rtype {
            Rtype::CNAME => !here.is_empty(),
            Rtype::DNAME => single(Rtype::CNAME) || single(Rtype::DNAME) || single(Rtype::NS),
            Rtype::NS => single(Rtype::CNAME) || single(Rtype::DNAME),
            _ => single(Rtype::CNAME),
        };
        if !clash && !kept.contains(&record) {
            kept.push(record);
        }
    }
    // A DS is at cuts only.
    let cuts: Vec<Name> = kept.iter().filter(|record| record.rtype == Rtype::NS).map(|record| record.owner).collect();
    kept.retain(|record| record.rtype != Rtype::DS || cuts.contains(&record.owner));
    kept
}

proptest! {

    #[test]
    fn random_zones_are_answered_as_the_model_says(
        records in prop::collection::vec(record(), 0..14).prop_map(legal),
        questions in prop::collection::vec(name(0..6), 40),
    ) {
        let mut world = World::default();
        world.publish(&apex(), &records);
        world.zones = zonecast_edge_reader::ZoneTable::load(&world.view).unwrap();
        let model = Model { apex: apex(), records };
        let owners: Vec<Name> = model.records.iter().map(|record| record.owner).collect();
        for name in questions.iter().chain(&owners) {
            for rtype in TYPES {
                let (outcome, mut answer) = world.ask_name(name, rtype);
                for section in [&mut answer.answer, &mut answer.authority, &mut answer.additional] {
                    section.dedup();
                }
                let expected = model.answer(name, rtype);
                prop_assert_eq!(answer, expected, "{} {} over {:#?} at {:?}", name, rtype, model.records, outcome);
            }
        }
    }
}
