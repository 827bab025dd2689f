//! What proofs cost, over the signed zones that the differential suite compares with NSD and Knot.

use std::ops::ControlFlow;

use domain::base::MessageBuilder;
use domain::base::iana::Rtype;
use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_edge_reader::{AnswerClass, Reader, Scratch, Transport, ZoneTable};
use zonecast_kv_proto::MemoryView;
use zonecast_records::{Generation, Name, ZoneId};

use crate::world::{Answer, read};

const NSEC: &str = include_str!("../../../tests/zones/signed.zone");
const NSEC3: &str = include_str!("../../../tests/zones/signed3.zone");
const OPT_OUT: &str = include_str!("../../../tests/zones/optout.zone");

struct Signed {
    apex: &'static str,
    view: MemoryView,
    zones: ZoneTable,
}

impl Signed {
    fn load(apex: &'static str, text: &str) -> Self {
        let name: Name = apex.parse().unwrap();
        let mut zone = ZoneSource::new(name);
        zonecast_ingest::read_zone_bytes(apex, text.as_bytes(), &name, &mut |record, location| {
            zone.push(record, Location::new(location.line));
            ControlFlow::Continue(())
        })
        .unwrap();
        let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
        let mut view = MemoryView::new();
        for batch in zone.build(identity, &Settings::default()).unwrap().into_batches(1 << 20) {
            view.apply(&batch);
        }
        let zones = ZoneTable::load(&view).unwrap();
        Self { apex, view, zones }
    }

    /// Class, reads for proofs, and the answer to a query with DO; asked twice, the second time without an allocation.
    fn ask(&self, name: &str, rtype: Rtype) -> (AnswerClass, u16, Answer) {
        let name: Name = Name::parse(name, &self.apex.parse().unwrap()).unwrap();
        let mut query = MessageBuilder::new_vec().question();
        query.push((name.as_domain(), rtype)).unwrap();
        let mut query = query.additional();
        query
            .opt(|opt| {
                opt.set_udp_payload_size(1232);
                opt.set_dnssec_ok(true);
                Ok(())
            })
            .unwrap();
        let query = query.finish();
        let reader = Reader::new(&self.view, &self.zones);
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        reader.answer(&mut scratch, &query, Transport::Tcp, &mut out);
        let mut outcome = None;
        let counted = allocation_counter::measure(|| {
            outcome = Some(reader.answer(&mut scratch, &query, Transport::Tcp, &mut out));
        });
        assert_eq!(counted.count_total, 0, "{name} {rtype}");
        let outcome = outcome.unwrap();
        (outcome.class, outcome.lookups.proofs, read(&out))
    }

    fn cost(&self, name: &str, rtype: Rtype) -> (AnswerClass, u16) {
        let (class, proofs, answer) = self.ask(name, rtype);
        let records = answer.authority.iter().filter(|rr| matches!(rr.rtype, Rtype::NSEC | Rtype::NSEC3)).count();
        let signatures = answer.authority.iter().chain(&answer.answer).filter(|rr| rr.rtype == Rtype::RRSIG).count();
        assert!(signatures > records || class == AnswerClass::Referral, "{name} {rtype}: {answer:?}");
        (class, proofs)
    }
}

#[test]
fn with_nsec() {
    let zone = Signed::load("signed.test", NSEC);
    for (name, rtype, class, proofs) in [
        ("www", Rtype::A, AnswerClass::Positive, 0),
        ("www", Rtype::TXT, AnswerClass::Positive, 0),
        ("alias", Rtype::A, AnswerClass::Chain, 0),
        ("www", Rtype::MX, AnswerClass::NoData, 1),
        ("c.ent", Rtype::A, AnswerClass::NoData, 1),
        ("insecure", Rtype::DS, AnswerClass::NoData, 1),
        ("x.wild", Rtype::A, AnswerClass::Wildcard, 1),
        ("x.wild", Rtype::MX, AnswerClass::Wildcard, 2),
        ("x.cwild", Rtype::A, AnswerClass::Chain, 1),
        ("x.www", Rtype::A, AnswerClass::NxDomain, 2),
        ("x.secure", Rtype::A, AnswerClass::Referral, 0),
        ("x.insecure", Rtype::A, AnswerClass::Referral, 1),
    ] {
        assert_eq!(zone.cost(name, rtype), (class, proofs), "{name} {rtype}");
    }
}

/// On top of the records come a look for NSEC and one at the parameters, and another turn where a hash is below the first
/// of the chain.
#[test]
fn with_nsec3() {
    for (apex, text) in [("signed3.test", NSEC3), ("optout.test", OPT_OUT)] {
        let zone = Signed::load(apex, text);
        for (name, rtype, class, most) in [
            ("www", Rtype::A, AnswerClass::Positive, 0),
            ("www", Rtype::MX, AnswerClass::NoData, 3),
            ("c.ent", Rtype::A, AnswerClass::NoData, 3),
            ("x.wild", Rtype::A, AnswerClass::Wildcard, 4),
            ("x.wild", Rtype::MX, AnswerClass::Wildcard, 7),
            ("x.www", Rtype::A, AnswerClass::NxDomain, 7),
            ("x.secure", Rtype::A, AnswerClass::Referral, 0),
            ("x.insecure", Rtype::A, AnswerClass::Referral, 5),
        ] {
            let (found, proofs) = zone.cost(name, rtype);
            assert!(found == class && proofs <= most, "{name}.{apex} {rtype}: {found:?}, {proofs}");
        }
    }
}

#[test]
fn without_do_nothing_is_proved() {
    let zone = Signed::load("signed.test", NSEC);
    let query = crate::world::query(&"x.www.signed.test".parse().unwrap(), Rtype::A, Some(1232));
    let mut out = Vec::new();
    let reader = Reader::new(&zone.view, &zone.zones);
    let outcome = reader.answer(&mut Scratch::new(), &query, Transport::UDP, &mut out);
    let answer = read(&out);
    assert_eq!((outcome.lookups.proofs, answer.authority.len(), answer.authority[0].rtype), (0, 1, Rtype::SOA));
}
