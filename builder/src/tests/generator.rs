//! Hard zones, often: few labels, so that cuts, DNAMEs, wildcards and empty non-terminals meet.

use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_records::Name;

use super::{name, soa};
use crate::{Change, LayerChange, NameChange, RrsetChange};

pub(super) fn apex() -> Name {
    name("ExAmple")
}

fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a", "b", "*", "*", "A", r"\000", r"\001b", r"a\.b"])
}

fn owner() -> impl Strategy<Value = Name> {
    let below = prop::collection::vec(label(), 0..4).prop_map(|labels| {
        let text = if labels.is_empty() { "@".to_owned() } else { labels.join(".") };
        Name::parse(&text, &apex()).unwrap()
    });
    // Owners of NSEC3 records, and names beneath them.
    let hashed = prop::sample::select(vec!["00", "0g", "0G", "vs", "a.00", "zz"])
        .prop_map(|text| Name::parse(text, &apex()).unwrap());
    prop_oneof![5 => close(), 5 => below, 1 => hashed]
}

/// A few names that lie under each other: cuts, their glue and what they hide meet here.
fn close() -> impl Strategy<Value = Name> {
    let names = vec!["a", "a", "b.a", "b.a", "*.a", "b.b.a", "*.b.a", "b"];
    prop::sample::select(names).prop_map(|text| Name::parse(text, &apex()).unwrap())
}

/// A cut whose name server lies at or below it.
fn delegation() -> impl Strategy<Value = Change> {
    let servers = vec![("a", "a"), ("a", "b.a"), ("a", "B.b.a"), ("b.a", "b.b.a"), ("b.a", "B.a"), ("*.a", "*.a")];
    (prop::sample::select(servers), ttl()).prop_map(|((cut, server), ttl)| {
        let [owner, server] = [cut, server].map(|text| Name::parse(text, &apex()).unwrap());
        Change::Rrset(RrsetChange::Add { owner, rtype: Rtype::NS, ttl, rdata: server.as_wire().to_vec() })
    })
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let inside = owner().prop_map(|name| name.as_wire().to_vec());
    let outside = prop::sample::select(vec!["ns.other", "NS.other"]).prop_map(|text| name(text).as_wire().to_vec());
    prop_oneof![4 => inside, 1 => outside]
}

fn signature() -> impl Strategy<Value = Vec<u8>> {
    let covers = prop::sample::select(vec![1_u16, 2, 5, 6, 16, 28, 39, 43, 46, 47, 50, 999]);
    (covers, 0_u8..2).prop_map(|(covers, filler)| [&covers.to_be_bytes()[..], &[filler; 16], b"\x01S\x00sig"].concat())
}

/// What can be overridden and disabled.
fn layerable() -> impl Strategy<Value = (Rtype, Vec<u8>)> {
    let texts = || prop::sample::select(vec![&b"\x01a"[..], b"\x01A", b"\x02ab\x01c"]).prop_map(<[u8]>::to_vec);
    prop_oneof![
        5 => (0_u8..3).prop_map(|last| (Rtype::A, vec![192, 0, 2, last])),
        2 => (0_u8..2).prop_map(|last| (Rtype::AAAA, [&[0; 15][..], &[last]].concat())),
        5 => target().prop_map(|rdata| (Rtype::NS, rdata)),
        1 => target().prop_map(|rdata| (Rtype::CNAME, rdata)),
        2 => target().prop_map(|rdata| (Rtype::DNAME, rdata)),
        2 => texts().prop_map(|rdata| (Rtype::TXT, rdata)),
        1 => texts().prop_map(|rdata| (Rtype::from_int(65280), rdata)),
        1 => target().prop_map(|target| (Rtype::MX, [&[0, 65][..], &target].concat())),
        2 => (0_u8..2).prop_map(|tag| (Rtype::DS, vec![0, tag, 8, 2, 1])),
    ]
}

fn data() -> impl Strategy<Value = (Rtype, Vec<u8>)> {
    let nsec3 = (0_u8..3, 0_u8..2).prop_map(|(salt, next)| vec![1, 0, 0, 0, 1, salt, 1, next, 0, 1, 64]);
    prop_oneof![
        21 => layerable(),
        2 => target().prop_map(|target| (Rtype::NSEC, [&target[..], &[0, 1, 64]].concat())),
        2 => nsec3.prop_map(|rdata| (Rtype::NSEC3, rdata)),
        3 => signature().prop_map(|rdata| (Rtype::RRSIG, rdata)),
    ]
}

fn ttl() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![300, 300, 300, 60, 0])
}

fn add() -> impl Strategy<Value = Change> {
    (owner(), data(), ttl())
        .prop_map(|(owner, (rtype, rdata), ttl)| Change::Rrset(RrsetChange::Add { owner, rtype, ttl, rdata }))
}

fn change() -> impl Strategy<Value = Change> {
    let set = (owner(), ttl(), prop::collection::vec(data(), 0..4)).prop_map(|(owner, ttl, data)| {
        let rtype = data.first().map_or(Rtype::NS, |(rtype, _)| *rtype);
        let rdatas = data.into_iter().filter(|(other, _)| *other == rtype).map(|(_, rdata)| rdata).collect();
        Change::Rrset(RrsetChange::Set { owner, rtype, ttl, rdatas })
    });
    let serial = prop::sample::select(vec![0_u32, 5, u32::MAX]).prop_map(|serial| {
        Change::Rrset(RrsetChange::Set { owner: apex(), rtype: Rtype::SOA, ttl: 60, rdatas: vec![soa(serial)] })
    });
    let lay_over = (owner(), ttl(), prop::collection::vec(layerable(), 0..3)).prop_map(|(owner, ttl, data)| {
        let rtype = data.first().map_or(Rtype::A, |(rtype, _)| *rtype);
        let rdatas: Vec<_> = data.into_iter().filter(|(other, _)| *other == rtype).map(|(_, rdata)| rdata).collect();
        let ttl = if rdatas.is_empty() { 0 } else { ttl };
        Change::Layer(LayerChange::Override { owner, rtype, ttl, rdatas })
    });
    let one = || (owner(), layerable());
    let restore = one().prop_map(|(owner, (rtype, _))| Change::Layer(LayerChange::Restore { owner, rtype }));
    let disable = one().prop_map(|(owner, (rtype, rdata))| Change::Layer(LayerChange::Disable { owner, rtype, rdata }));
    let enable = one().prop_map(|(owner, (rtype, rdata))| Change::Layer(LayerChange::Enable { owner, rtype, rdata }));
    let alias = target()
        .prop_map(|rdata| Change::Rrset(RrsetChange::Add { owner: apex(), rtype: Rtype::CNAME, ttl: 300, rdata }));
    let addresses = |byte: &'static [u8]| prop::collection::vec(prop::sample::select(byte), 0..3);
    let flat = (ttl(), addresses(&[1, 2]), addresses(&[3, 4])).prop_map(|(ttl, a, aaaa)| {
        Change::Layer(LayerChange::Flatten {
            owner: apex(),
            ttl: if a.is_empty() && aaaa.is_empty() { 0 } else { ttl },
            a: a.into_iter().map(|last| vec![192, 0, 2, last]).collect(),
            aaaa: aaaa.into_iter().map(|last| vec![last; 16]).collect(),
        })
    });
    prop_oneof![
        2 => alias,
        2 => flat,
        3 => lay_over,
        1 => restore,
        3 => disable,
        1 => enable,
        8 => add(),
        1 => delegation(),
        3 => set,
        3 => (owner(), data()).prop_map(|(owner, (rtype, rdata))| Change::Rrset(RrsetChange::Delete { owner, rtype, rdata })),
        4 => (owner(), data()).prop_map(|(owner, (rtype, _))| Change::Rrset(RrsetChange::DeleteRrset { owner, rtype })),
        3 => owner().prop_map(|owner| Change::Name(NameChange::Delete { owner })),
        2 => owner().prop_map(|owner| Change::Name(NameChange::DeleteSubtree { owner })),
        2 => (owner(), owner()).prop_map(|(owner, to)| Change::Name(NameChange::Rename { owner, to: Box::new(to) })),
        1 => serial,
    ]
}

/// Records to begin with.
pub(super) fn adds() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(prop_oneof![9 => add(), 1 => delegation()], 0..24)
}

/// Changes, each list one batch.
pub(super) fn batches() -> impl Strategy<Value = Vec<Vec<Change>>> {
    prop::collection::vec(prop::collection::vec(change(), 1..4), 1..10)
}
