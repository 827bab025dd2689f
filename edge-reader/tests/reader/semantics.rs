//! What is answered, one rule a test. Names are relative to `example.` unless they end in a dot.

use domain::base::iana::{Rcode, Rtype};
use zonecast_edge_reader::ZoneTable;
use zonecast_kv_proto::KeyspaceId;
use zonecast_records::{KeyBuffer, Name, ZoneId, ZoneValue};

use crate::world::{Answer, Rec, SOA, World, parse};

pub(crate) const NEGATIVE: &str = "@ 300 IN SOA ns.invalid. host.invalid. 1 3600 600 86400 300";

fn records(text: &str) -> Vec<Rec> {
    let mut records = parse("example.", text);
    records.sort();
    records
}

fn name(text: &str) -> String {
    match text {
        "@" => "example.".into(),
        _ if text.ends_with('.') => text.into(),
        _ => format!("{text}.example."),
    }
}

/// Asks and compares rcode, AA and the three sections.
fn check(world: &World, (owner, rtype): (&str, Rtype), rcode: (Rcode, bool), sections: [&str; 3]) {
    let (_, answer) = world.ask(&name(owner), rtype);
    let [answers, authority, additional] = sections.map(records);
    let expected = Answer { rcode: rcode.0, aa: rcode.1, tc: false, answer: answers, authority, additional, opt: None };
    assert_eq!(answer, expected, "{owner} {rtype}");
}

const OK: (Rcode, bool) = (Rcode::NOERROR, true);
const REFERRAL: (Rcode, bool) = (Rcode::NOERROR, false);
const NXDOMAIN: (Rcode, bool) = (Rcode::NXDOMAIN, true);

#[test]
fn data_no_data_and_no_name() {
    let world = World::example("www 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nwww TXT hi\na.b.c 60 AAAA ::1\n");
    check(&world, ("www", Rtype::A), OK, ["www 60 A 192.0.2.1\nwww 60 A 192.0.2.2", "", ""]);
    check(&world, ("www", Rtype::TXT), OK, ["www 60 TXT hi", "", ""]);
    check(&world, ("www", Rtype::AAAA), OK, ["", NEGATIVE, ""]);
    check(&world, ("www", Rtype::MX), OK, ["", NEGATIVE, ""]);
    check(&world, ("@", Rtype::A), OK, ["", NEGATIVE, ""]);
    for empty in ["b.c", "c"] {
        check(&world, (empty, Rtype::A), OK, ["", NEGATIVE, ""]);
        check(&world, (empty, Rtype::TXT), OK, ["", NEGATIVE, ""]);
    }
    for missing in ["x.www", "x", "zz", "x.b.c", r"\000", r"\255"] {
        check(&world, (missing, Rtype::A), NXDOMAIN, ["", NEGATIVE, ""]);
        check(&world, (missing, Rtype::TXT), NXDOMAIN, ["", NEGATIVE, ""]);
    }
    check(&world, ("@", Rtype::SOA), OK, ["@ 900 SOA ns.invalid. host.invalid. 1 3600 600 86400 300", "", ""]);
    check(&world, ("@", Rtype::NS), OK, ["@ 3600 NS ns.invalid.", "", ""]);
    check(&world, ("@", Rtype::DS), OK, ["", NEGATIVE, ""]);
    check(&world, ("www", Rtype::from_int(65535)), OK, ["", NEGATIVE, ""]);
    check(&world, ("www", Rtype::NSEC3), OK, ["", NEGATIVE, ""]);
    for outside in ["example.net.", "notexample.", "."] {
        check(&world, (outside, Rtype::A), (Rcode::REFUSED, false), ["", "", ""]);
    }
    check(&world, ("@", Rtype::AXFR), (Rcode::REFUSED, false), ["", "", ""]);
}

#[test]
fn owners_keep_the_case_of_the_query_and_of_the_rdata_that_led_there() {
    let world =
        World::example("alias 60 CNAME TaRget\ntarget 60 A 192.0.2.1\nsub 60 NS Ns.sUb\nns.sub 60 A 192.0.2.2\n");
    let (_, answer) = world.ask("ALias.eXample.", Rtype::A);
    let expected = parse("example.", "ALias.eXample. 60 CNAME TaRget.example.\nTaRget.example. 60 A 192.0.2.1");
    let same = |one: &[Rec], other: &[Rec]| {
        let shown = |records: &[Rec]| {
            let mut lines: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
            lines.sort();
            lines
        };
        assert_eq!(shown(one), shown(other));
    };
    same(&answer.answer, &expected);
    let (_, answer) = world.ask("X.SUB.example.", Rtype::A);
    same(&answer.authority, &parse("example.", "SUB.example. 60 NS Ns.sUb.example."));
    same(&answer.additional, &parse("example.", "Ns.sUb.example. 60 A 192.0.2.2"));
    let (_, answer) = world.ask("nO.Example.", Rtype::A);
    same(&answer.authority, &parse("example.", &NEGATIVE.replace('@', "Example.")));
}

#[test]
fn wildcards() {
    // RFC 4592 section 2.2.1, and wildcards that are empty.
    let world = World::example(
        "* 60 TXT wild\n* 60 MX 10 host1\nsub.* 60 TXT literal\nhost1 60 A 192.0.2.1\n_ssh._tcp.host1 60 SRV 0 0 22 host1\n\
         sub 60 NS ns.elsewhere.\nx.*.empty 60 A 192.0.2.9\n*.alias 60 CNAME host1\n",
    );
    check(&world, ("host3", Rtype::MX), OK, ["host3 60 MX 10 host1", "", "host1 60 A 192.0.2.1"]);
    check(&world, ("host3", Rtype::A), OK, ["", NEGATIVE, ""]);
    check(&world, ("foo.bar", Rtype::TXT), OK, ["foo.bar 60 TXT wild", "", ""]);
    check(&world, ("host1", Rtype::MX), OK, ["", NEGATIVE, ""]);
    check(&world, ("sub.*", Rtype::MX), OK, ["", NEGATIVE, ""]);
    check(&world, ("_telnet._tcp.host1", Rtype::SRV), NXDOMAIN, ["", NEGATIVE, ""]);
    check(&world, ("host.sub", Rtype::A), REFERRAL, ["", "sub 60 NS ns.elsewhere.", ""]);
    check(&world, ("ghost.*", Rtype::MX), NXDOMAIN, ["", NEGATIVE, ""]);
    check(&world, ("*", Rtype::TXT), OK, ["* 60 TXT wild", "", ""]);
    check(&world, ("any.empty", Rtype::A), OK, ["", NEGATIVE, ""]);
    check(&world, ("any.empty", Rtype::TXT), OK, ["", NEGATIVE, ""]);
    check(&world, ("y.alias", Rtype::A), OK, ["y.alias 60 CNAME host1\nhost1 60 A 192.0.2.1", "", ""]);
    check(&world, ("y.alias", Rtype::CNAME), OK, ["y.alias 60 CNAME host1", "", ""]);
}

#[test]
fn delegations_and_glue() {
    let world = World::example(
        "sub 60 NS ns.sub\nsub 60 NS ns.other\nsub 60 NS ns\nsub 60 NS ns.elsewhere.\nsub 60 DS 1 8 2 00\nns.sub 50 A 192.0.2.1\n\
         ns.sub 50 AAAA ::1\nother 60 NS ns.other\nns.other 40 A 192.0.2.2\nns 30 A 192.0.2.3\nself 60 NS self\nself 60 A 192.0.2.4\n",
    );
    let ns = "sub 60 NS ns.sub\nsub 60 NS ns.other\nsub 60 NS ns\nsub 60 NS ns.elsewhere.";
    let glue = "ns.sub 50 A 192.0.2.1\nns.sub 50 AAAA ::1\nns.other 40 A 192.0.2.2\nns 30 A 192.0.2.3";
    for below in ["sub", "x.sub", "ns.sub", "a.b.c.sub"] {
        for rtype in [Rtype::A, Rtype::NS, Rtype::TXT, Rtype::ANY, Rtype::RRSIG] {
            check(&world, (below, rtype), REFERRAL, ["", ns, glue]);
        }
    }
    check(&world, ("x.sub", Rtype::DS), REFERRAL, ["", ns, glue]);
    check(&world, ("sub", Rtype::DS), OK, ["sub 60 DS 1 8 2 00", "", ""]);
    check(&world, ("other", Rtype::DS), OK, ["", NEGATIVE, ""]);
    check(&world, ("self", Rtype::A), REFERRAL, ["", "self 60 NS self", "self 60 A 192.0.2.4"]);
}

#[test]
fn a_name_server_made_by_a_wildcard_has_glue() {
    let world = World::example("*.w 60 A 192.0.2.1\n*.w 60 AAAA ::1\nsub 60 NS ns.w\nmx 60 MX 1 ns.w\n");
    let glue = "ns.w 60 A 192.0.2.1\nns.w 60 AAAA ::1";
    check(&world, ("x.sub", Rtype::A), REFERRAL, ["", "sub 60 NS ns.w", glue]);
    check(&world, ("mx", Rtype::MX), OK, ["mx 60 MX 1 ns.w", "", ""]);
}

#[test]
fn chains_stay_in_the_zone_and_end_with_the_rcode_of_the_last_name() {
    let world = World::example(
        "a 60 CNAME b\nb 60 CNAME c\nc 60 A 192.0.2.1\nmissing 60 CNAME nowhere\nempty 60 CNAME b.ent\nx.b.ent 60 A 192.0.2.2\n\
         out 60 CNAME www.elsewhere.\ncut 60 CNAME x.sub\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.3\nloop1 60 CNAME loop2\nloop2 60 CNAME loop1\n\
         self 60 CNAME self\n*.wild 60 CNAME x.y.wild\n",
    );
    check(&world, ("a", Rtype::A), OK, ["a 60 CNAME b\nb 60 CNAME c\nc 60 A 192.0.2.1", "", ""]);
    check(&world, ("a", Rtype::CNAME), OK, ["a 60 CNAME b", "", ""]);
    check(&world, ("a", Rtype::ANY), OK, ["a 60 CNAME b", "", ""]);
    check(&world, ("a", Rtype::TXT), OK, ["a 60 CNAME b\nb 60 CNAME c", NEGATIVE, ""]);
    check(&world, ("missing", Rtype::A), NXDOMAIN, ["missing 60 CNAME nowhere", NEGATIVE, ""]);
    check(&world, ("empty", Rtype::A), OK, ["empty 60 CNAME b.ent", NEGATIVE, ""]);
    check(&world, ("out", Rtype::A), OK, ["out 60 CNAME www.elsewhere.", "", ""]);
    check(&world, ("cut", Rtype::A), OK, ["cut 60 CNAME x.sub", "sub 60 NS ns.sub", "ns.sub 60 A 192.0.2.3"]);
    check(&world, ("loop1", Rtype::A), OK, ["loop1 60 CNAME loop2\nloop2 60 CNAME loop1", "", ""]);
    check(&world, ("self", Rtype::A), OK, ["self 60 CNAME self", "", ""]);
    check(&world, ("q.wild", Rtype::A), OK, ["q.wild 60 CNAME x.y.wild\nx.y.wild 60 CNAME x.y.wild", "", ""]);
}

#[test]
fn a_long_chain_is_cut_off() {
    let text: String = (0..100).map(|at| format!("n{at} 60 CNAME n{}\n", at + 1)).collect();
    let world = World::example(&text);
    let (outcome, answer) = world.ask("n0.example.", Rtype::A);
    assert_eq!(answer.answer.len(), zonecast_edge_reader::MAX_CHAIN);
    assert_eq!((answer.rcode, answer.authority.len()), (Rcode::NOERROR, 0));
    assert_eq!(usize::from(outcome.lookups.names), zonecast_edge_reader::MAX_CHAIN);
}

#[test]
fn dname() {
    let long = vec!["a".repeat(60); 4].join(".");
    let world = World::new(&[(
        "example.",
        &format!(
            "{SOA}old 60 DNAME new\nold 60 A 192.0.2.1\nwww.new 50 A 192.0.2.2\nloop 60 DNAME loop\nout 60 DNAME elsewhere.\n\
             x.{} 60 A 192.0.2.3\nbig 60 DNAME {}\n",
            "l",
            &long[..180]
        ),
    )]);
    check(
        &world,
        ("www.old", Rtype::A),
        OK,
        ["old 60 DNAME new\nwww.old 60 CNAME www.new\nwww.new 50 A 192.0.2.2", "", ""],
    );
    check(&world, ("old", Rtype::A), OK, ["old 60 A 192.0.2.1", "", ""]);
    check(&world, ("old", Rtype::DNAME), OK, ["old 60 DNAME new", "", ""]);
    check(&world, ("old", Rtype::TXT), OK, ["", NEGATIVE, ""]);
    check(&world, ("x.old", Rtype::A), NXDOMAIN, ["old 60 DNAME new\nx.old 60 CNAME x.new", NEGATIVE, ""]);
    // The synthesised CNAME is the answer, whether its target exists or not.
    check(&world, ("x.old", Rtype::CNAME), OK, ["old 60 DNAME new\nx.old 60 CNAME x.new", "", ""]);
    check(&world, ("a.b.out", Rtype::A), OK, ["out 60 DNAME elsewhere.\na.b.out 60 CNAME a.b.elsewhere.", "", ""]);
    check(&world, ("a.loop", Rtype::A), OK, ["loop 60 DNAME loop\na.loop 60 CNAME a.loop", "", ""]);
    let deep = format!("{}.big", &long[..100]);
    let (_, answer) = world.ask(&name(&deep), Rtype::A);
    assert_eq!((answer.rcode, answer.aa, answer.answer.len()), (Rcode::YXDOMAIN, true, 1));
}

/// A chain ends at a name that it has been at, not at a DNAME that it has used.
#[test]
fn a_dname_is_used_for_every_name_below_it() {
    let world = World::example(
        "d 60 DNAME example.\nhit 60 A 192.0.2.1\nswap1 60 DNAME swap2\nswap2 60 DNAME swap1\ngrow 60 DNAME x.grow\n",
    );
    let chain = "d 60 DNAME example.\nhit.d.d 60 CNAME hit.d\nhit.d 60 CNAME hit\nhit 60 A 192.0.2.1";
    check(&world, ("hit.d.d", Rtype::A), OK, [chain, "", ""]);
    let chain = "d 60 DNAME example.\nx.d.d 60 CNAME x.d\nx.d 60 CNAME x";
    check(&world, ("x.d.d", Rtype::A), NXDOMAIN, [chain, NEGATIVE, ""]);
    check(&world, ("x.d.d", Rtype::CNAME), OK, ["d 60 DNAME example.\nx.d.d 60 CNAME x.d", "", ""]);
    let chain = "swap1 60 DNAME swap2\na.swap1 60 CNAME a.swap2\nswap2 60 DNAME swap1\na.swap2 60 CNAME a.swap1";
    check(&world, ("a.swap1", Rtype::A), OK, [chain, "", ""]);
    check(&world, ("a.grow", Rtype::A), OK, ["grow 60 DNAME x.grow\na.grow 60 CNAME a.x.grow", "", ""]);
}

#[test]
fn a_name_with_nothing_but_nsec_exists() {
    let world = World::example("only.ent 60 NSEC z A NSEC\n*.wild 60 NSEC z A NSEC\n");
    check(&world, ("only.ent", Rtype::A), OK, ["", NEGATIVE, ""]);
    check(&world, ("ent", Rtype::TXT), OK, ["", NEGATIVE, ""]);
    check(&world, ("only.ent", Rtype::NSEC), OK, ["only.ent 60 NSEC z A NSEC", "", ""]);
    check(&world, ("only.ent", Rtype::ANY), OK, ["only.ent 60 NSEC z A NSEC", "", ""]);
    check(&world, ("only.ent", Rtype::RRSIG), OK, ["", NEGATIVE, ""]);
    check(&world, ("x.wild", Rtype::A), OK, ["", NEGATIVE, ""]);
    check(&world, ("x.only.ent", Rtype::A), NXDOMAIN, ["", NEGATIVE, ""]);
}

#[test]
fn a_dname_at_the_apex_takes_everything_below() {
    let world = World::example("@ 60 DNAME other.\nhidden 60 A 192.0.2.1\n@ 60 TXT here\n");
    check(&world, ("hidden", Rtype::A), OK, ["@ 60 DNAME other.\nhidden 60 CNAME hidden.other.", "", ""]);
    check(&world, ("@", Rtype::TXT), OK, ["@ 60 TXT here", "", ""]);
}

#[test]
fn nested_zones_and_ds() {
    let inner = "sub 60 NS ns.sub\nns.sub 60 A 192.0.2.1\nsub 60 DS 1 8 2 00\n";
    let zones = [
        ("example.", format!("{SOA}{inner}")),
        ("sub.example.", format!("{SOA}www 60 A 192.0.2.7\nns 60 A 192.0.2.1\n")),
        ("deep.down.example.", SOA.to_string()),
    ];
    let zones: Vec<(&str, &str)> = zones.iter().map(|(apex, text)| (*apex, text.as_str())).collect();
    let world = World::new(&zones);
    check(&world, ("www.sub", Rtype::A), OK, ["www.sub 60 A 192.0.2.7", "", ""]);
    check(&world, ("sub", Rtype::DS), OK, ["sub 60 DS 1 8 2 00", "", ""]);
    check(&world, ("deep.down", Rtype::DS), NXDOMAIN, ["", NEGATIVE, ""]);
    check(
        &world,
        ("deep.down", Rtype::SOA),
        OK,
        ["deep.down 900 SOA ns.invalid. host.invalid. 1 3600 600 86400 300", "", ""],
    );
    let alone = World::new(&zones[1..]);
    let (_, answer) = alone.ask("sub.example.", Rtype::DS);
    assert_eq!((answer.rcode, answer.aa), OK);
    assert_eq!(answer.authority, parse("sub.example.", NEGATIVE));
    assert_eq!(alone.ask("example.", Rtype::A).1.rcode, Rcode::REFUSED);
}

/// RFC 1034 section 4.3.2, from step 3a back to step 2.
#[test]
fn a_chain_goes_on_in_a_zone_below() {
    let text = format!(
        "{SOA}into 60 CNAME www.sub\nmiss 60 CNAME nope.sub\ndn 60 DNAME sub\nround 60 CNAME up.sub\nhere 60 A 192.0.2.9\n\
         below 60 CNAME x.cut.sub\nds 60 CNAME sub\n"
    );
    let sub = format!(
        "{SOA}www 60 A 192.0.2.7\nwww 60 MX 1 www\nup 60 CNAME here.example.\nback 60 CNAME up\ncut 60 NS ns.cut\nns.cut 60 A 192.0.2.8\n"
    );
    let world = World::new(&[("example.", &text), ("sub.example.", &sub)]);
    let negative = &NEGATIVE.replace('@', "sub");
    check(&world, ("into", Rtype::A), OK, ["into 60 CNAME www.sub\nwww.sub 60 A 192.0.2.7", "", ""]);
    let with_address = "www.sub 60 A 192.0.2.7";
    check(&world, ("into", Rtype::MX), OK, ["into 60 CNAME www.sub\nwww.sub 60 MX 1 www.sub", "", with_address]);
    check(&world, ("into", Rtype::TXT), OK, ["into 60 CNAME www.sub", negative, ""]);
    check(&world, ("miss", Rtype::A), NXDOMAIN, ["miss 60 CNAME nope.sub", negative, ""]);
    let renamed = "dn 60 DNAME sub\nwww.dn 60 CNAME www.sub\nwww.sub 60 A 192.0.2.7";
    check(&world, ("www.dn", Rtype::A), OK, [renamed, "", ""]);
    // Up again, to where the question came from; a question to the zone below stays there.
    let round = "round 60 CNAME up.sub\nup.sub 60 CNAME here\nhere 60 A 192.0.2.9";
    check(&world, ("round", Rtype::A), OK, [round, "", ""]);
    check(&world, ("back.sub", Rtype::A), OK, ["back.sub 60 CNAME up.sub\nup.sub 60 CNAME here", "", ""]);
    let referral = ["below 60 CNAME x.cut.sub", "cut.sub 60 NS ns.cut.sub", "ns.cut.sub 60 A 192.0.2.8"];
    check(&world, ("below", Rtype::A), OK, referral);
    // The DS set of a zone is the parent's.
    check(&world, ("ds", Rtype::DS), NXDOMAIN, ["ds 60 CNAME sub", NEGATIVE, ""]);
}

/// A zone that is listed and was never loaded is not answered for from the zone above.
#[test]
fn a_zone_without_data_is_servfail() {
    let mut world = World::example("into 60 CNAME www.sub\nsub 60 NS ns.elsewhere.\nsub 60 DS 1 8 2 00\n");
    let apex: Name = "sub.example.".parse().unwrap();
    let mark = ZoneValue::without_data(&apex, ZoneId::new(9)).encode();
    world.view.insert(KeyBuffer::new().zone(KeyspaceId::DNS, &apex), &mark);
    world.zones = ZoneTable::load(&world.view).unwrap();
    assert_eq!((world.zones.len(), world.zones.iter().count()), (1, 2));
    let without = [("www.sub", Rtype::A), ("sub", Rtype::SOA), ("sub", Rtype::NS), ("a.b.sub", Rtype::ANY)];
    for (name, rtype) in without {
        check(&world, (name, rtype), (Rcode::SERVFAIL, false), ["", "", ""]);
    }
    check(&world, ("sub", Rtype::DS), OK, ["sub 60 DS 1 8 2 00", "", ""]);
    check(&world, ("into", Rtype::A), OK, ["into 60 CNAME www.sub", "", ""]);
}

#[test]
fn the_root_zone() {
    let world = World::new(&[(
        ".",
        "@ 900 IN SOA ns.invalid. host.invalid. 1 3600 600 86400 300\n@ 3600 NS a.root.\na.root. 60 A 192.0.2.1\n\
         root. 60 NS a.root.\nnet. 60 NS a.gtld.net.\na.gtld.net. 60 A 192.0.2.2\ncom. 60 NS a.gtld.net.\n",
    )]);
    let (_, answer) = world.ask("www.example.com.", Rtype::A);
    assert_eq!(answer.authority, parse(".", "com. 60 NS a.gtld.net."));
    assert_eq!(answer.additional, parse(".", "a.gtld.net. 60 A 192.0.2.2"));
    let (_, answer) = world.ask(".", Rtype::NS);
    assert_eq!(answer.answer, parse(".", "@ 3600 NS a.root."));
    assert_eq!(answer.additional, parse(".", "a.root. 60 A 192.0.2.1"));
    assert_eq!(world.ask("nope.", Rtype::A).1.rcode, Rcode::NXDOMAIN);
    assert_eq!(world.ask(".", Rtype::DS).1.rcode, Rcode::NOERROR);
}

#[test]
fn additional_data_of_services() {
    let world = World::example(
        "mx 60 MX 10 mail\nmx 60 MX 20 mail\nmx 60 MX 30 out.elsewhere.\nmail 60 A 192.0.2.1\nmail 60 AAAA ::1\nsrv 60 SRV 0 0 1 mail\n\
         web 60 HTTPS 1 mail\nself 60 HTTPS 1 .\nglued 60 MX 10 ns.sub\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.2\n",
    );
    let mail = "mail 60 A 192.0.2.1\nmail 60 AAAA ::1";
    check(&world, ("mx", Rtype::MX), OK, ["mx 60 MX 10 mail\nmx 60 MX 20 mail\nmx 60 MX 30 out.elsewhere.", "", mail]);
    check(&world, ("srv", Rtype::SRV), OK, ["srv 60 SRV 0 0 1 mail", "", mail]);
    check(&world, ("web", Rtype::HTTPS), OK, ["web 60 HTTPS 1 mail", "", mail]);
    check(&world, ("self", Rtype::HTTPS), OK, ["self 60 HTTPS 1 .", "", ""]);
    check(&world, ("glued", Rtype::MX), OK, ["glued 60 MX 10 ns.sub", "", ""]);
}

#[test]
fn any_and_rrsig_give_one_rrset() {
    let world = World::example("a 60 A 192.0.2.1\na 60 TXT hi\ntxt 60 TXT hi\ntxt 60 SSHFP 1 1 00\n");
    check(&world, ("a", Rtype::ANY), OK, ["a 60 A 192.0.2.1", "", ""]);
    check(&world, ("txt", Rtype::ANY), OK, ["txt 60 TXT hi", "", ""]);
    check(&world, ("@", Rtype::ANY), OK, ["@ 3600 NS ns.invalid.", "", ""]);
    check(&world, ("a", Rtype::RRSIG), OK, ["", NEGATIVE, ""]);
    check(&world, ("x", Rtype::ANY), NXDOMAIN, ["", NEGATIVE, ""]);
}
