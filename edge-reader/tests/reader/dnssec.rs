//! What proofs cost, over the signed zones that the differential suite compares with NSD and Knot.

use std::ops::ControlFlow;

use domain::base::MessageBuilder;
use domain::base::iana::Rtype;
use sha1::Digest as _;
use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_edge_reader::{AnswerClass, Reader, Scratch, Transport, ZoneTable};
use zonecast_kv_proto::MemoryView;
use zonecast_records::{Generation, Name, ZoneId};

use crate::world::{Answer, read};

const NSEC: &str = include_str!("../zones/signed.zone");
const NSEC3: &str = include_str!("../zones/signed3.zone");
const OPT_OUT: &str = include_str!("../zones/optout.zone");

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

/// The owner label that the hash of a name spells, moved by this much.
fn hashed(name: &str, by: i8) -> String {
    let name: Name = name.parse().unwrap();
    let hash = sha1::Sha1::digest(name.as_wire());
    let mut moved = hash.to_vec();
    moved[15] = moved[15].wrapping_add_signed(by);
    domain::utils::base32::encode_string_hex(&moved)
}

fn signature(of: &str) -> String {
    format!("RRSIG {of} 13 1 300 20301231000000 20201231000000 1 example. AAAA\n")
}

/// A zone with these records and opt-out: NSEC3 records of these names, and one for each of the others that covers it.
fn opted_out(records: &str, own: &[&str], covered: &[&str]) -> Signed {
    let mut text = format!(
        "$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns.elsewhere.\n@ NSEC3PARAM 1 0 0 -\n{records}@ {}",
        signature("SOA")
    );
    for (before, after) in own
        .iter()
        .map(|name| (hashed(name, 0), hashed(name, 1)))
        .chain(covered.iter().map(|name| (hashed(name, -1), hashed(name, 1))))
    {
        text += &format!("{before} NSEC3 1 1 0 - {after} A\n{before} {}", signature("NSEC3"));
    }
    Signed::load("example", &text)
}

/// Owners of the NSEC3 records of an answer.
fn proofs(answer: &Answer) -> Vec<String> {
    let records = answer.authority.iter().filter(|rr| rr.rtype == Rtype::NSEC3);
    let mut owners: Vec<String> = records.map(|rr| rr.owner.to_string().to_ascii_uppercase()).collect();
    owners.sort();
    owners
}

fn owners(labels: &[String]) -> Vec<String> {
    let mut owners: Vec<String> = labels.iter().map(|label| format!("{label}.EXAMPLE.")).collect();
    owners.sort();
    owners
}

/// Where only a delegation without DS makes a name, opt-out leaves it without a record, RFC 5155 section 7.1. Then the
/// closest encloser that can be proved is further up, and the wildcard that is not there is the one below that.
#[test]
fn with_opt_out_the_wildcard_below_the_provable_encloser_is_denied() {
    let covered = ["ent.example", "*.example", "*.ent.example", "x.ent.example"];
    let zone = opted_out("sub.ent NS ns.elsewhere.\n", &["example"], &covered);
    let (class, _, answer) = zone.ask("x.ent", Rtype::A);
    assert_eq!(class, AnswerClass::NxDomain);
    let expected = [hashed("example", 0), hashed("ent.example", -1), hashed("*.example", -1)];
    assert_eq!(proofs(&answer), owners(&expected));
}

/// A wildcard that only such a delegation makes has no record of its own, and RFC 5155 section 7.2.5 asks for no other: the
/// record that covers the next closer name says already that there may be delegations.
#[test]
fn with_opt_out_no_record_covers_a_wildcard_that_exists() {
    let zone = opted_out(
        "a.b A 192.0.2.1\nsub.*.b NS ns.elsewhere.\n*.c A 192.0.2.1\n",
        &["example", "b.example", "a.b.example", "c.example", "*.c.example"],
        &["w.b.example", "*.b.example", "c.w.b.example", "w.c.example"],
    );
    for rtype in [Rtype::DS, Rtype::TXT] {
        let (class, _, answer) = zone.ask("c.w.b", rtype);
        assert_eq!(class, AnswerClass::Wildcard);
        assert_eq!(proofs(&answer), owners(&[hashed("b.example", 0), hashed("w.b.example", -1)]), "{rtype}");
        let (_, _, answer) = zone.ask("w.c", rtype);
        let expected = [hashed("c.example", 0), hashed("w.c.example", -1), hashed("*.c.example", 0)];
        assert_eq!(proofs(&answer), owners(&expected), "{rtype}");
    }
}
