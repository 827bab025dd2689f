//! Headers, EDNS, sizes and truncation.

use domain::base::Message;
use domain::base::iana::{Rcode, Rtype};
use zonecast_edge_reader::{
    AnswerClass, Client, CookieSecrets, Cookies, Scratch, Transport, TurnAwayReason, turn_away,
};
use zonecast_records::Name;

use crate::world::{World, query, read, with_option};

fn world() -> World {
    let ns: String = (0..40).map(|at| format!("sub 60 NS ns{at}.sub\nns{at}.sub 60 A 192.0.2.{at}\n")).collect();
    let far: String = (0..20).map(|at| format!("far 60 NS ns{at}.sub\n")).collect();
    let txt: String = (0..30).map(|at| format!("big 60 TXT {}{at}\n", "x".repeat(100))).collect();
    World::example(&format!("www 60 A 192.0.2.1\nalias 60 CNAME x.sub\n{ns}{far}{txt}"))
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
    let (_, answer) = ask("alias.example.", Rtype::A, Some(1232), Transport::UDP);
    assert!(answer.tc && answer.answer.len() == 1 && answer.authority.len() == 40, "behind an alias, too");
    let (_, answer) = ask("x.sub.example.", Rtype::A, None, Transport::Tcp);
    assert!(!answer.tc && answer.additional.len() == 40);
    // Sibling glue is an extra.
    let (len, answer) = ask("x.far.example.", Rtype::A, None, Transport::UDP);
    assert!(!answer.tc && answer.authority.len() == 20 && len <= 512);
}

/// What rate limiting counts by: names that somebody makes up are no more than what answers them.
#[test]
fn an_answer_says_which_end_of_the_name_it_comes_from() {
    let world = World::example(
        "www 60 A 192.0.2.1\nsub 60 NS ns.other.\n*.wild 60 A 192.0.2.1\n*.alias 60 CNAME www\nd 60 DNAME other.\n\
         a.ent 60 A 192.0.2.1\n",
    );
    for (asked, rtype, source) in [
        ("www.example.", Rtype::A, "www.example."),
        ("www.example.", Rtype::MX, "www.example."),
        ("ent.example.", Rtype::A, "ent.example."),
        ("x.y.sub.example.", Rtype::A, "sub.example."),
        ("x.y.wild.example.", Rtype::A, "wild.example."),
        ("x.wild.example.", Rtype::MX, "wild.example."),
        ("x.alias.example.", Rtype::A, "alias.example."),
        ("x.y.d.example.", Rtype::A, "d.example."),
        ("x.example.", Rtype::A, "example."),
        ("x.y.ent.example.", Rtype::A, "example."),
    ] {
        let name: Name = asked.parse().unwrap();
        let (outcome, _) = world.ask_wire(&query(&name, rtype, Some(1232)), Transport::UDP);
        let source: Name = source.parse().unwrap();
        assert_eq!(usize::from(outcome.source_len), source.as_wire().len(), "{asked} {rtype} comes from {source}");
    }
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

    let mut nothing = www();
    nothing.drain(12..at);
    nothing[5] = 0;
    let (outcome, out) = world.ask_wire(&nothing, Transport::UDP);
    assert_eq!((outcome.rcode, read(&out).opt), (Rcode::FORMERR, Some((1232, 0, false))), "RFC 6891 section 6.1.1");

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
fn cookies_are_given_where_they_are_asked_for() {
    let world = world();
    let secrets = CookieSecrets::new(vec![[1; 16]]).unwrap();
    let ask = |query: &[u8], address: [u8; 4]| {
        let cookies = Some(Cookies::new(&secrets, address.into(), 1_000_000));
        let (mut out, client) = (Vec::new(), Client::new(Transport::UDP).with_cookies(cookies));
        let outcome = world.reader().answer(&mut Scratch::new(), query, client, &mut out);
        (outcome, out)
    };
    let (outcome, out) = ask(&www(), [192, 0, 2, 1]);
    assert!(!outcome.address_proven && out.ends_with(&[0, 0]), "no option, no cookie");
    let (outcome, out) = ask(&with_option(www(), 10, &[5; 8]), [192, 0, 2, 1]);
    let cookie = out[out.len() - 24..].to_vec();
    assert!(!outcome.address_proven && outcome.rcode == Rcode::NOERROR);
    assert_eq!(out[out.len() - 30..out.len() - 24], [0, 28, 0, 10, 0, 24]);
    assert_eq!(read(&out).answer.len(), 1);
    let (outcome, out) = ask(&with_option(www(), 10, &cookie), [192, 0, 2, 1]);
    assert!(outcome.address_proven && out.ends_with(&cookie));
    let (outcome, out) = ask(&with_option(www(), 10, &cookie), [192, 0, 2, 2]);
    assert!(!outcome.address_proven && outcome.rcode == Rcode::NOERROR && !out.ends_with(&cookie));
    for len in [0, 7, 9, 15, 41] {
        let (outcome, _) = ask(&with_option(www(), 10, &vec![5; len]), [192, 0, 2, 1]);
        assert_eq!(outcome.rcode, Rcode::FORMERR, "{len} bytes");
    }
    // RFC 7873 section 5.4: nothing but a cookie is asked for.
    let mut bare = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    assert_eq!(ask(&bare, [192, 0, 2, 1]).0.rcode, Rcode::FORMERR);
    bare = with_option(bare, 10, &[5; 8]);
    let (outcome, out) = ask(&bare, [192, 0, 2, 1]);
    assert_eq!((outcome.class, outcome.rcode, out.len()), (AnswerClass::Rejected, Rcode::NOERROR, 12 + 11 + 28));
}

#[test]
fn rfc_5001_names_the_server_to_who_asks() {
    let world = world();
    let long = [b'x'; 200];
    let ask = |query: &[u8], nsid: Option<&[u8]>| {
        let mut out = Vec::new();
        let client = Client::new(Transport::UDP).with_nsid(nsid);
        world.reader().answer(&mut Scratch::new(), query, client, &mut out);
        out
    };
    let asking = with_option(www(), 3, b"");
    assert!(ask(&asking, Some(b"edge-1")).ends_with(b"\x00\x0a\x00\x03\x00\x06edge-1"));
    assert!(ask(&asking, None).ends_with(&[0, 0]));
    assert!(ask(&www(), Some(b"edge-1")).ends_with(&[0, 0]), "nobody asks");
    assert!(ask(&asking, Some(&long)).ends_with(&[&[0, 132, 0, 3, 0, 128][..], &long[..128]].concat()));
}

#[test]
fn rfc_8914_says_why_there_is_no_answer() {
    let mut world = world();
    let explained = |world: &World, name: &str, rtype| {
        let (outcome, out) = world.ask_wire(&query(&name.parse().unwrap(), rtype, Some(1232)), Transport::UDP);
        let [.., 0, 15, 0, 2, high, low] = out[..] else { return (outcome.rcode, None) };
        (outcome.rcode, Some(u16::from_be_bytes([high, low])))
    };
    assert_eq!(explained(&world, "www.example.", Rtype::A), (Rcode::NOERROR, None));
    assert_eq!(explained(&world, "nothing.example.", Rtype::A), (Rcode::NXDOMAIN, None));
    assert_eq!(explained(&world, "example.net.", Rtype::A), (Rcode::REFUSED, Some(20)), "not authoritative");
    assert_eq!(explained(&world, "example.", Rtype::AXFR), (Rcode::REFUSED, Some(21)), "not supported");
    let keys: Vec<Vec<u8>> = world.view.entries().map(|(key, _)| key.to_vec()).collect();
    keys.iter().for_each(|key| world.view.insert(key, b"\xc1"));
    assert_eq!(explained(&world, "www.example.", Rtype::A), (Rcode::SERVFAIL, Some(0)), "other");
    let (_, out) = world.ask_wire(&query(&"example.net.".parse().unwrap(), Rtype::A, None), Transport::UDP);
    assert_eq!(out.len(), 12 + 17, "nothing to put it in without EDNS");
}

#[test]
fn who_is_turned_away_gets_an_answer_without_records() {
    let mut out = vec![1, 2, 3];
    let mut away = |query: &[u8], why| {
        let outcome = turn_away(query, Transport::UDP, why, &mut out);
        (outcome, out.clone())
    };
    for (why, rcode, tc, code) in [
        (TurnAwayReason::Prohibited, Rcode::REFUSED, false, Some(18)),
        (TurnAwayReason::NotReady, Rcode::REFUSED, false, Some(14)),
        (TurnAwayReason::Limited, Rcode::NOERROR, true, None),
    ] {
        let (outcome, out) = away(&www(), why);
        let answer = read(&out);
        assert_eq!((outcome.rcode, answer.rcode, answer.tc, outcome.truncated), (rcode, rcode, tc, tc));
        assert!(answer.answer.is_empty() && answer.authority.is_empty() && answer.additional.is_empty());
        assert_eq!(out[..2], www()[..2]);
        let tail = code.map_or(vec![0, 0], |code| vec![0, 6, 0, 15, 0, 2, 0, code]);
        assert!(out.ends_with(&tail), "{out:?}");
        for len in 0..www().len() {
            away(&www()[..len], why);
        }
        assert_eq!(away(&[0xff; 40], why).1, b"", "a response");
    }
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
    let (outcome, out) = flags(&|wire| wire[2] |= 0x10);
    assert_eq!((outcome.rcode, out.len(), out[2] & 0x78), (Rcode::NOTIMP, 12 + 11, 0x10));
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
fn names_are_compressed_where_labels_begin() {
    let owner: Name = r"\003\001b\000.c".parse().unwrap();
    let records = |target: &str| format!("{} 60 MX 1 {target}\n", r"\003\001b\000.c.");
    let soa = "@ 900 IN SOA ns.invalid. host.invalid. 1 3600 600 86400 300\n@ 3600 NS ns.invalid.\n";
    // Type, class, TTL, length and preference stand between the owner and the name in the RDATA.
    for (target, rdata) in [("c.", &[0xc0, 17][..]), ("d.", &[1, b'd', 0]), ("x.c.", &[1, b'x', 0xc0, 17])] {
        let world = World::new(&[(".", &[soa, &records(target)].concat())]);
        let (_, out) = world.ask_wire(&query(&owner, Rtype::MX, None), Transport::UDP);
        assert!(out.ends_with(&[&[1][..], rdata].concat()), "{target}: {out:?}");
        assert!(read(&out).answer.len() == 1);
    }
    // The end of this owner reads as the name `b.`, and no label begins there.
    let (owner, target): (Name, Name) = (r"x\001b".parse().unwrap(), "b".parse().unwrap());
    let world = World::new(&[(".", &[soa, r"x\001b. 60 MX 1 b.", "\n"].concat())]);
    let (_, out) = world.ask_wire(&query(&owner, Rtype::MX, None), Transport::UDP);
    assert!(out.ends_with(target.as_wire()) && read(&out).answer.len() == 1, "{out:?}");
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
    assert!(world.zones.get(&"example.".parse().unwrap()).is_some(), "a damaged zone is still ours");
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

/// Keys, transfers, notifications and updates of strangers: what BIND, Knot and NSD agree on, and NOTIMP with OPT.
#[test]
fn strangers_are_turned_away() {
    const TSIG: &[u8] =
        b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x18\x04hmac\0\0\0\x65\0\0\0\x01\x2c\0\x02\x01\x01\x12\x34\0\0\0\0";
    let world = World::example("www 60 A 192.0.2.1\n");
    let ask = |name: &str, rtype, opcode: u8, behind: &[u8], edns: Option<u16>| {
        let mut wire = query(&name.parse().unwrap(), rtype, edns);
        wire[2] |= opcode << 3;
        wire.extend_from_slice(behind);
        wire[11] += u8::from(!behind.is_empty());
        let (outcome, out) = world.ask_wire(&wire, Transport::UDP);
        (outcome.rcode, out)
    };
    let (notify, update) = (4, 5);
    for (name, rtype, opcode, rcode) in [
        ("example.", Rtype::AXFR, 0, Rcode::REFUSED),
        ("www.example.", Rtype::AXFR, 0, Rcode::NOTAUTH),
        ("example.net.", Rtype::IXFR, 0, Rcode::NOTAUTH),
        ("example.", Rtype::SOA, notify, Rcode::REFUSED),
        ("example.net.", Rtype::SOA, notify, Rcode::NOTAUTH),
        ("example.", Rtype::SOA, update, Rcode::REFUSED),
        ("example.net.", Rtype::SOA, update, Rcode::NOTAUTH),
    ] {
        assert_eq!(ask(name, rtype, opcode, &[], Some(1232)).0, rcode, "{name} {rtype} opcode {opcode}");
    }
    // Whatever is asked with a key that is not known here.
    for (name, opcode) in [("www.example.", 0), ("example.net.", 0), ("example.", notify), ("example.", update)] {
        let (rcode, out) = ask(name, Rtype::A, opcode, TSIG, Some(1232));
        let message = Message::from_octets(&out).unwrap();
        let last = message.additional().unwrap().last().unwrap().unwrap();
        assert_eq!((rcode, last.rtype(), message.header_counts().arcount()), (Rcode::NOTAUTH, Rtype::TSIG, 2));
        // No signature, the id, BADKEY, nothing more.
        assert!(out.ends_with(b"\0\0\0\x65\0\0\0\x01\x2c\0\0\x12\x34\0\x11\0\0"), "{}", out.escape_ascii());
    }
    let short = &TSIG[..TSIG.len() - 2];
    assert_eq!(ask("www.example.", Rtype::A, 0, short, None).0, Rcode::FORMERR);
    let opt_behind = &[TSIG, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"].concat();
    let mut wire = query(&"www.example.".parse().unwrap(), Rtype::A, None);
    wire.extend_from_slice(opt_behind);
    wire[11] = 2;
    assert_eq!(world.ask_wire(&wire, Transport::UDP).0.rcode, Rcode::FORMERR, "TSIG is the last record");
    // The SOA of the client's version, in the authority section.
    let mut wire = query(&"example.".parse().unwrap(), Rtype::IXFR, None);
    wire.extend_from_slice(b"\0\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    wire[9] = 1;
    assert_eq!(world.ask_wire(&wire, Transport::UDP).0.rcode, Rcode::REFUSED);
    for opcode in [1, 2, 3, 6, 15] {
        let (rcode, out) = ask("www.example.", Rtype::A, opcode, &[], Some(1232));
        let message = Message::from_octets(&out).unwrap();
        assert_eq!((rcode, message.opt().is_some(), out.len()), (Rcode::NOTIMP, true, 12 + 11), "opcode {opcode}");
    }
}
