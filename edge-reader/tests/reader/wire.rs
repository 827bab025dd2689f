//! Headers, EDNS, sizes and truncation.

use domain::base::iana::{Rcode, Rtype};
use zonecast_edge_reader::{AnswerClass, Transport};
use zonecast_records::Name;

use crate::world::{World, query, read};

fn world() -> World {
    let ns: String = (0..40).map(|at| format!("sub 60 NS ns{at}.sub\nns{at}.sub 60 A 192.0.2.{at}\n")).collect();
    let far: String = (0..20).map(|at| format!("far 60 NS ns{at}.sub\n")).collect();
    let txt: String = (0..30).map(|at| format!("big 60 TXT {}{at}\n", "x".repeat(100))).collect();
    World::example(&format!("www 60 A 192.0.2.1\n{ns}{far}{txt}"))
}

fn www() -> Vec<u8> {
    query(&"www.example.".parse().unwrap(), Rtype::A, Some(1232))
}

#[test]
fn what_does_not_fit_sets_tc() {
    let world = world();
    let ask = |name: &str, rtype, payload, transport| {
        let (outcome, out) = world.ask_wire(&query(&name.parse::<Name>().unwrap(), rtype, payload), transport);
        let answer = read(&out);
        assert_eq!(outcome.truncated, answer.tc);
        (out.len(), answer)
    };
    let (len, answer) = ask("big.example.", Rtype::TXT, None, Transport::UDP);
    assert!(answer.tc && answer.answer.is_empty() && len <= 512);
    let (_, answer) = ask("big.example.", Rtype::TXT, Some(65535), Transport::UDP);
    assert!(answer.tc && answer.answer.is_empty(), "the clamp holds");
    let (len, answer) = ask("big.example.", Rtype::TXT, None, Transport::Tcp);
    assert!(!answer.tc && answer.answer.len() == 30 && len > 3000);

    // RFC 9471: in-domain glue must fit, or TC says so.
    let (len, answer) = ask("x.sub.example.", Rtype::A, Some(1232), Transport::UDP);
    assert!(answer.tc && answer.authority.len() == 40 && !answer.additional.is_empty() && len <= 1232);
    let (_, answer) = ask("x.sub.example.", Rtype::A, None, Transport::Tcp);
    assert!(!answer.tc && answer.additional.len() == 40);
    // Sibling glue is an extra.
    let (len, answer) = ask("x.far.example.", Rtype::A, None, Transport::UDP);
    assert!(!answer.tc && answer.authority.len() == 20 && len <= 512);
}

#[test]
fn edns() {
    let world = world();
    let (_, out) = world.ask_wire(&www(), Transport::UDP);
    assert_eq!(read(&out).opt, Some((1232, 0, false)));
    let (_, out) = world.ask_wire(&query(&"www.example.".parse().unwrap(), Rtype::A, None), Transport::UDP);
    assert_eq!(read(&out).opt, None);

    let at = www().len() - 11;
    let mut dnssec_ok = www();
    dnssec_ok[at + 7] = 0x80;
    assert_eq!(read(&world.ask_wire(&dnssec_ok, Transport::UDP).1).opt, Some((1232, 0, true)));

    let mut version = www();
    version[at + 6] = 1;
    let (outcome, out) = world.ask_wire(&version, Transport::UDP);
    let answer = read(&out);
    assert_eq!((outcome.class, answer.rcode, answer.answer.len()), (AnswerClass::Rejected, Rcode::NOERROR, 0));
    assert_eq!(out[out.len() - 11 + 5], 1, "extended RCODE 16 is BADVERS");

    let mut twice = www();
    twice.extend_from_within(at..);
    twice[11] = 2;
    assert_eq!(world.ask_wire(&twice, Transport::UDP).0.rcode, Rcode::FORMERR);

    let mut owned = www();
    owned.splice(at..=at, [1, b'x', 0]);
    assert_eq!(world.ask_wire(&owned, Transport::UDP).0.rcode, Rcode::FORMERR);

    let mut option = www();
    option[at + 10] = 4;
    option.extend([0, 3, 0, 0]);
    assert_eq!(world.ask_wire(&option, Transport::UDP).0.rcode, Rcode::NOERROR);
    let len = option.len();
    option[len - 1] = 1;
    assert_eq!(world.ask_wire(&option, Transport::UDP).0.rcode, Rcode::FORMERR);
}

#[test]
fn headers() {
    let world = world();
    let flags = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut wire = www();
        edit(&mut wire);
        let (outcome, out) = world.ask_wire(&wire, Transport::UDP);
        (outcome, out)
    };
    let (_, out) = flags(&|wire| wire[2] |= 1);
    assert_eq!(out[..4], [0x12, 0x34, 0x85, 0x00], "QR, AA, RD");
    let (_, out) = flags(&|wire| wire[3] |= 0xb0);
    assert_eq!(out[3], 0x10, "CD is repeated; AD, RA and Z are not");
    assert_eq!(flags(&|wire| wire[2] |= 0x80).1.len(), 0, "a response is not answered");
    assert_eq!(flags(&|wire| wire.truncate(11)).1.len(), 0);
    let (outcome, out) = flags(&|wire| wire[2] |= 0x28);
    assert_eq!((outcome.rcode, out.len(), out[2] & 0x78), (Rcode::NOTIMP, 12, 0x28));
    for questions in [0, 2] {
        assert_eq!(flags(&|wire| wire[5] = questions).0.rcode, Rcode::FORMERR);
    }
    assert_eq!(flags(&|wire| wire[7] = 1).0.rcode, Rcode::FORMERR);
    assert_eq!(flags(&|wire| wire.extend([1, 2, 3])).0.rcode, Rcode::NOERROR, "bytes behind are ignored");
    for class in [0, 3, 254, 255] {
        assert_eq!(flags(&|wire| wire[28] = class).0.rcode, Rcode::REFUSED);
    }
    // A pointer has no place in a question.
    assert_eq!(flags(&|wire| wire[12] = 0xc0).0.rcode, Rcode::FORMERR);
}

#[test]
fn damaged_values_are_servfail() {
    let mut world = World::example("www 60 A 192.0.2.1\nalias 60 CNAME www\n");
    let keys: Vec<Vec<u8>> = world.view.entries().map(|(key, _)| key.to_vec()).collect();
    for key in keys {
        world.view.insert(&key, b"\xc1");
    }
    for (name, rtype) in [("www.example.", Rtype::A), ("x.example.", Rtype::A), ("example.", Rtype::SOA)] {
        let (outcome, answer) = world.ask(name, rtype);
        assert_eq!((outcome.class, answer.rcode, answer.aa), (AnswerClass::Failed, Rcode::SERVFAIL, false));
        assert!(answer.answer.is_empty() && answer.authority.is_empty());
    }
    world.zones = zonecast_edge_reader::ZoneTable::load(&world.view).unwrap();
    assert_eq!(world.zones.len(), 1, "a damaged zone is still ours");
    assert_eq!(world.ask("www.example.", Rtype::A).1.rcode, Rcode::SERVFAIL);
}

#[test]
fn the_longest_name_is_asked_and_one_byte_more_is_formerr() {
    let world = World::new(&[(".", crate::world::SOA)]);
    let question = |last: usize| {
        let labels = [63, 63, 63, last].map(|len| [&[u8::try_from(len).unwrap()][..], &vec![b'a'; len]].concat());
        [&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &labels.concat(), &[0, 0, 1, 0, 1]].concat()
    };
    assert_eq!(world.ask_wire(&question(61), Transport::UDP).0.rcode, Rcode::NXDOMAIN);
    assert_eq!(world.ask_wire(&question(62), Transport::UDP).0.rcode, Rcode::FORMERR);
    let many = [&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &[1, b'a'].repeat(127), &[0, 0, 1, 0, 1]].concat();
    assert_eq!(world.ask_wire(&many, Transport::UDP).0.rcode, Rcode::NXDOMAIN);
}
