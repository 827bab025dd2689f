//! What cannot be served is refused with its rule and place; what is only odd is served with a warning.

use domain::base::iana::Rtype;
use zonecast_kv_proto::{KeyspaceId, MAX_BATCH_LEN, MemoryView, View};
use zonecast_records::{ADDRESS_KIND, AddressValue, Generation, KeyBuffer, KeySection, NameInZone, ZoneValue};

use super::{Record, build, name, soa, store, wire};
use crate::{
    Change, ChangeError, LayerChange, MAX_FINDINGS, MAX_HIDDEN, NameChange, RrsetChange, Rule, SerialPolicy,
    SerialTime, Settings, Tolerance, Warning, ZoneSettings, change_settings, hidden_names, record_build, zone_info,
};

fn record(owner: &str, rtype: Rtype, rdata: &[u8]) -> Record {
    Record { owner: wire(owner), rtype: rtype.to_int(), ttl: 300, rdata: rdata.to_vec() }
}

fn base() -> Vec<Record> {
    vec![record("example", Rtype::SOA, &soa(1)), record("example", Rtype::NS, &wire("ns.other"))]
}

fn with(more: impl IntoIterator<Item = Record>) -> Vec<Record> {
    base().into_iter().chain(more).collect()
}

/// A TXT record of about this many bytes.
fn text(len: usize) -> Vec<u8> {
    [&[255][..], &[b'x'; 255]].concat().repeat(len / 256)
}

fn refusal_table() -> Vec<(&'static str, Vec<Record>, Rule)> {
    let (a, dot) = ([192, 0, 2, 1], wire("."));
    let cname = |to: &str| record("www.example", Rtype::CNAME, &wire(to));
    let dname = |to: &str| record("www.example", Rtype::DNAME, &wire(to));
    vec![
        ("nothing at all", vec![], Rule::NoSoa),
        ("no SOA", base().split_off(1), Rule::NoSoa),
        ("no NS", base()[..1].to_vec(), Rule::NoNs),
        ("two SOAs", with([record("example", Rtype::SOA, &soa(2))]), Rule::SeveralSoas),
        ("SOA below", with([record("a.example", Rtype::SOA, &soa(2))]), Rule::SoaBelowApex),
        ("outside", with([record("notexample", Rtype::A, &a)]), Rule::OutOfZone),
        ("CNAME and A", with([cname("x"), record("WWW.example", Rtype::A, &a)]), Rule::CnameAndOther),
        ("CNAME at the apex", with([record("example", Rtype::CNAME, &dot)]), Rule::CnameAndOther),
        ("CNAME and DNAME", with([cname("x"), dname("y")]), Rule::CnameAndOther),
        ("two CNAMEs", with([cname("x"), cname("y")]), Rule::SeveralCnames),
        ("two DNAMEs", with([dname("x"), dname("y")]), Rule::SeveralDnames),
        ("OPT", with([record("a.example", Rtype::OPT, b"")]), Rule::MetaType),
        ("ANY", with([record("a.example", Rtype::ANY, b"")]), Rule::MetaType),
        ("AXFR", with([record("a.example", Rtype::AXFR, b"")]), Rule::MetaType),
        ("TSIG", with([record("a.example", Rtype::TSIG, b"")]), Rule::MetaType),
        ("65535", with([record("a.example", Rtype::from_int(65535), b"")]), Rule::MetaType),
        ("a short A", with([record("a.example", Rtype::A, &[1, 2, 3])]), Rule::Rdata),
        (
            "NSEC3 with 51 iterations",
            with([record("example", Rtype::NSEC3PARAM, &[1, 0, 0, 51, 0])]),
            Rule::Nsec3Iterations(51),
        ),
        ("a compressed MX", with([record("a.example", Rtype::MX, &[0, 1, 0xc0, 12])]), Rule::Rdata),
    ]
}

#[test]
fn each_rule_is_refused() {
    for (what, records, rule) in refusal_table() {
        let refused = build(&name("example"), &records).expect_err(what);
        let rules: Vec<Rule> = refused.findings.iter().map(|finding| finding.rule).collect();
        assert!(rules.contains(&rule), "{what}: {rules:?}");
    }
}

/// RFC 9276 section 3.2: validators take up to 50, and more from nobody.
#[test]
fn nsec3_iterations_up_to_the_limit_are_served() {
    assert!(build(&name("example"), &with([record("example", Rtype::NSEC3PARAM, &[1, 0, 0, 50, 0])])).is_ok());
}

#[test]
fn a_refusal_names_owner_type_and_place() {
    let cname = record("Www.example", Rtype::CNAME, &wire("x"));
    let refused = build(&name("example"), &with([record("www.example", Rtype::A, &[1, 2, 3, 4]), cname])).unwrap_err();
    let finding = refused.findings.iter().next().unwrap();
    assert_eq!((finding.owner, finding.rtype, finding.location.unwrap().get()), (name("www.example"), Rtype::CNAME, 3));
    assert_eq!(refused.to_string(), "Www.example. CNAME: a name with a CNAME record has no other data");
}

#[test]
fn all_refusals_are_counted_and_the_first_kept() {
    let bad = (0..150).map(|number| record(&format!("a{number}.example"), Rtype::A, &[1]));
    let refused = build(&name("example"), &with(bad)).unwrap_err();
    assert_eq!((refused.findings.total(), refused.findings.iter().count()), (150, MAX_FINDINGS));
}

#[test]
fn the_largest_rrset_is_served_and_one_byte_more_refused() {
    // Header, OPT, question of b.example, and one record.
    let fixed = 12 + 11 + (11 + 4) + 12;
    let full = text(65_535 - fixed);
    let rest = 65_535 - fixed - full.len() - 1;
    let exact = |more: usize| {
        let tail = [&[u8::try_from(rest + more).unwrap()][..], &vec![b'y'; rest + more]].concat();
        with([record("b.example", Rtype::TXT, &[full.clone(), tail].concat())])
    };
    assert!(build(&name("example"), &exact(0)).is_ok());
    let refused = build(&name("example"), &exact(1)).unwrap_err();
    assert_eq!(refused.findings.iter().next().unwrap().rule, Rule::TooLarge(65_536));
    // Hidden below a cut it is kept whole all the same.
    let hidden = [record("example.", Rtype::NS, &wire("ns.other")), record("b.example", Rtype::NS, &wire("ns.other"))];
    assert!(build(&name("example"), &[exact(0), hidden.to_vec()].concat()).is_ok());
}

#[test]
fn glue_beyond_a_message_is_refused_not_cut() {
    let servers = (0..30).map(|number| format!("ns{number}.cut.example"));
    let records = servers.flat_map(|server| {
        let addresses = (0..3000_u16).map(|low| {
            let [high, low] = low.to_be_bytes();
            [10, 0, high, low]
        });
        let glue = addresses.map(|address| record(&server, Rtype::A, &address)).collect::<Vec<_>>();
        glue.into_iter().chain([record("cut.example", Rtype::NS, &wire(&server))])
    });
    let refused = build(&name("example"), &with(records)).unwrap_err();
    assert_eq!(refused.findings.iter().next().unwrap().rule, Rule::GlueTooLarge);
}

#[test]
fn oddities_are_served_with_a_warning() {
    let a = [192, 0, 2, 1];
    let sig = |covered: u16| [&covered.to_be_bytes()[..], &[0; 16], b"\x00sig"].concat();
    let after = |count: usize, target: &str| [&vec![0; count][..], &wire(target)].concat();
    let table = [
        (vec![record("a.example", Rtype::A, &a), record("A.example", Rtype::A, &a)], Warning::Duplicate),
        (
            vec![record("a.example", Rtype::A, &a), Record { ttl: 5, ..record("a.example", Rtype::A, &[1, 2, 3, 4]) }],
            Warning::MixedTtls,
        ),
        (vec![record("a.example", Rtype::NS, &wire("ns.a.example"))], Warning::MissingGlue),
        (vec![record("*.example", Rtype::NS, &wire("ns.other"))], Warning::WildcardNs),
        (vec![record("a.example", Rtype::DS, &[0, 1, 8, 2, 1])], Warning::StrayDs),
        (vec![record("a.example", Rtype::RRSIG, &sig(1))], Warning::OrphanSignature),
        (vec![record("!.example", Rtype::NSEC3, &[1, 0, 0, 0, 0, 1, 9])], Warning::StrayNsec3),
        (
            vec![record("example", Rtype::DNAME, &wire("o")), record("a.example", Rtype::TXT, b"\x00")],
            Warning::Occluded,
        ),
        (vec![record("d.example", Rtype::DNAME, &wire("o")), record("a.d.example", Rtype::A, &a)], Warning::Occluded),
        (vec![record(r"a\032b.example", Rtype::A, &a)], Warning::Blank),
        (vec![record(r"a\009b._x._tcp.example", Rtype::A, &a)], Warning::Blank),
        (vec![record(r"b\195\188cher.example", Rtype::A, &a)], Warning::NotAscii),
        (vec![record(r"a.b\195\188cher._x._tcp.example", Rtype::A, &a)], Warning::NotAscii),
        (vec![record("a.example", Rtype::CNAME, &wire(r"b\195\188cher.example"))], Warning::TargetNotAscii),
        (vec![record("a.example", Rtype::MX, &after(2, r"b\195\188cher.example"))], Warning::TargetNotAscii),
        (vec![record("a.example", Rtype::SRV, &after(6, r"a\032b.example"))], Warning::TargetBlank),
        (
            vec![record("a.example", Rtype::HTTPS, &[&after(2, r"a\009b"), &[0, 1, 0, 3, 2, b'h', b'2'][..]].concat())],
            Warning::TargetBlank,
        ),
        (vec![record("a.example", Rtype::PTR, &wire(r"a.b\032c._ipp._tcp.example"))], Warning::TargetBlank),
        (vec![record("a.example", Rtype::NS, &wire(r"ns\000.other"))], Warning::TargetBlank),
        (vec![record("a.example", Rtype::DNAME, &wire(r"\226\130\172.other"))], Warning::TargetNotAscii),
    ];
    for (more, oddity) in table {
        let built = build(&name("example"), &with(more)).unwrap();
        let found: Vec<Warning> = built.warnings().iter().map(|finding| finding.rule).collect();
        assert_eq!(found, [oddity]);
    }
}

#[test]
fn names_of_service_instances_and_glue_are_not_odd() {
    let a = [192, 0, 2, 1];
    let records = with([
        record(r"My\032Pr\195\188fer._ipp._TCP.example", Rtype::SRV, &[&[0; 6][..], &wire("a.example")].concat()),
        record("cut.example", Rtype::NS, &wire("ns.cut.example")),
        record("ns.cut.example", Rtype::A, &a),
        record("0/25.example", Rtype::A, &a),
        record("_ipp._tcp.example", Rtype::PTR, &wire(r"My\032Pr\195\188fer._ipp._tcp.example")),
        record("0/25.example", Rtype::TXT, b"\x02\xc3\xbc"),
        record("mail.example", Rtype::MX, &[0, 0, 0]),
    ]);
    let built = build(&name("example"), &records).unwrap();
    assert!(built.warnings().is_empty(), "{:?}", built.warnings());
}

#[test]
fn names_in_a_zone_hosted_here_are_named() {
    let a = [192, 0, 2, 1];
    let records = with([
        record("below.example", Rtype::A, &a),
        record("below.example", Rtype::DS, &[0, 1, 8, 2, 1]),
        record("www.deeper.below.example", Rtype::A, &a),
        record("x.below.example", Rtype::TXT, b"\x00"),
        record("belowx.example", Rtype::A, &a),
        record("cut.example", Rtype::NS, &wire("ns.cut.example")),
        record("ns.cut.example", Rtype::A, &a),
    ]);
    let hosted =
        ["Below.example", "deeper.below.example", "cut.example", "example", "other"].map(|apex| wire(apex).into());
    let settings = Settings::default().with_hosted_below(hosted.to_vec());
    let built = super::source(&name("example"), &records).build(super::IDENTITY, &settings).unwrap();
    let elsewhere = |finding: &&crate::Finding<Warning>| finding.rule == Warning::InAnotherZone;
    let found: Vec<String> = built.warnings().iter().filter(elsewhere).map(ToString::to_string).collect();
    let owners: Vec<&str> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(owners, ["below.example. A", "www.deeper.below.example. A", "x.below.example. TXT"]);

    // A change looks at the store.
    let mut view = store(build(&name("example"), &base()).unwrap(), MAX_BATCH_LEN);
    let below = [record("below.example", Rtype::SOA, &soa(1)), record("below.example", Rtype::NS, &wire("ns.other"))];
    let below = super::source(&name("below.example"), &below);
    let identity = crate::ZoneIdentity { id: zonecast_records::ZoneId::new(8), generation: Generation::new(41) };
    let below = below.build(identity, &Settings::default()).unwrap();
    below.into_batches(MAX_BATCH_LEN).for_each(|batch| view.apply(&batch));
    let now = SerialTime { unix: 1_795_777_800, date: 20_261_127 };
    let warned = |owner: &str| {
        let add = Change::Rrset(RrsetChange::Add { owner: name(owner), rtype: Rtype::A, ttl: 1, rdata: a.to_vec() });
        let built = record_build(&view, &name("example"), &[add], now).unwrap();
        built.warnings.iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(warned("a.b.below.example"), [Warning::InAnotherZone]);
    assert_eq!(warned("below.example"), [Warning::InAnotherZone]);
    assert_eq!(warned("belowx.example"), []);
    assert_eq!(warned(r"b\195\188cher.example"), [Warning::NotAscii]);
}

#[test]
fn a_new_zone_hides_what_the_one_above_answers_and_nothing_that_it_delegates() {
    let a = [192, 0, 2, 1];
    let many = (0..MAX_HIDDEN + 5).map(|number| record(&format!("h{number}.many.example"), Rtype::A, &a));
    let few = [
        record("few.example", Rtype::A, &a),
        record("few.example", Rtype::TXT, b"\x00"),
        // Between them there are names without data.
        record("a.b.c.few.example", Rtype::A, &a),
        record("*.few.example", Rtype::CNAME, &wire("few.example")),
        record("sub.few.example", Rtype::NS, &wire("ns.sub.few.example")),
        record("ns.sub.few.example", Rtype::A, &a),
        record("fewer.example", Rtype::A, &a),
        record("cut.example", Rtype::NS, &wire("ns.cut.example")),
        record("ns.cut.example", Rtype::A, &a),
    ];
    let view = store(build(&name("example"), &with(many.chain(few))).unwrap(), MAX_BATCH_LEN);
    let hidden = |above: &str, apex: &str| hidden_names(&view, &name(above), &name(apex)).unwrap();
    assert_eq!(hidden("example", "FEW.example"), 3);
    assert_eq!(hidden("example", "b.c.few.example"), 1);
    assert_eq!(hidden("example", "many.example"), MAX_HIDDEN);
    for none in ["cut.example", "x.cut.example", "other.example", "fe.example", "example", "other"] {
        assert_eq!(hidden("example", none), 0, "{none}");
    }
    assert_eq!(hidden("other", "a.other"), 0, "there is no such zone");
}

#[test]
fn zones_of_control_panels_are_taken_by_choice() {
    let a = [192, 0, 2, 1];
    let built = |strays, tolerance| {
        let strays = (0..strays).map(|number| record(&format!("www{number}.other"), Rtype::A, &a));
        let records: Vec<Record> = base()[..1].iter().cloned().chain(strays).collect();
        let settings = Settings::default().with_tolerance(tolerance);
        super::source(&name("example"), &records).build(super::IDENTITY, &settings)
    };
    let rules = |tolerance| {
        let findings = built(50, tolerance).unwrap_err().findings;
        (findings.total(), findings.iter().map(|finding| finding.rule).collect::<std::collections::HashSet<_>>())
    };
    let none = Tolerance::default();
    let drop = Tolerance { drop_out_of_zone: true, ..none };
    let both = Tolerance { serve_without_ns: true, ..drop };
    assert_eq!(rules(none), (51, [Rule::OutOfZone, Rule::NoNs].into()));
    assert_eq!(rules(drop), (1, [Rule::NoNs].into()));
    let many = built(150, both).unwrap();
    assert_eq!((many.warnings().total(), many.warnings().iter().count()), (151, MAX_FINDINGS));
    let zone = built(50, both).unwrap();
    assert!(zone.warnings().iter().any(|finding| finding.rule == Warning::NoNs));
    assert_eq!(zone.counts().records, 1, "strays are left out");

    // Later changes take the zone as it is; what gave it NS keeps them.
    let mut view = store(zone, MAX_BATCH_LEN);
    let apex = name("example");
    let now = SerialTime { unix: 1_795_777_800, date: 20_261_127 };
    let add =
        |owner, rtype, rdata: &[u8]| Change::Rrset(RrsetChange::Add { owner, rtype, ttl: 1, rdata: rdata.to_vec() });
    view.apply(&record_build(&view, &apex, &[add(name("a.example"), Rtype::A, &a)], now).unwrap().batch);
    view.apply(&record_build(&view, &apex, &[add(apex, Rtype::NS, &wire("ns.other"))], now).unwrap().batch);
    let refused =
        record_build(&view, &apex, &[Change::Rrset(RrsetChange::DeleteRrset { owner: apex, rtype: Rtype::NS })], now);
    assert!(matches!(refused, Err(ChangeError::Refused(_))), "{refused:?}");
}

fn address_value(view: &MemoryView, section: KeySection, owner: &str) -> Option<Vec<u8>> {
    let mut buffer = KeyBuffer::new();
    let generation = Generation::new(40);
    let key = buffer.node(
        KeyspaceId::DNS,
        generation,
        section,
        NameInZone { name: &name(owner), apex_labels: 1 },
        ADDRESS_KIND,
    );
    let mut value = vec![];
    view.get(key, &mut value).unwrap().then_some(value)
}

#[test]
fn nothing_below_a_cut_answers_and_its_glue_is_at_hand() {
    let records = with([
        record("cut.example", Rtype::NS, &wire("NS.cut.example")),
        record("cut.example", Rtype::TXT, b"\x01x"),
        record("ns.cut.example", Rtype::A, &[192, 0, 2, 53]),
        record("ns.cut.example", Rtype::TXT, b"\x01x"),
        record("low.cut.example", Rtype::NS, &wire("ns.cut.example")),
        record("a.b.example", Rtype::A, &[192, 0, 2, 1]),
    ]);
    let view = store(build(&name("example"), &records).unwrap(), MAX_BATCH_LEN);
    let bytes = address_value(&view, KeySection::Name, "cut.example").unwrap();
    let value = AddressValue::decode(&bytes).unwrap();
    assert!(value.types().iter().eq([Rtype::NS]));
    let glue: Vec<_> = value.cut.unwrap().glue().map(Result::unwrap).collect();
    assert_eq!(glue[0].name.as_ref(), wire("NS.cut.example"));
    assert_eq!(glue[0].a.unwrap().fixed(4).next().unwrap(), [192, 0, 2, 53]);
    assert!(address_value(&view, KeySection::Glue, "ns.cut.example").is_some());
    for hidden in ["ns.cut.example", "low.cut.example"] {
        assert!(address_value(&view, KeySection::Name, hidden).is_none(), "{hidden}");
    }
    let empty = address_value(&view, KeySection::Name, "b.example").unwrap();
    assert!(AddressValue::decode(&empty).unwrap().types().is_empty());
    let mut zone = vec![];
    assert!(view.get(KeyBuffer::new().zone(KeyspaceId::DNS, &name("example")), &mut zone).unwrap());
    let summary = ZoneValue::decode(&zone).unwrap().summary;
    assert_eq!((summary.wildcards, summary.cuts, summary.dnames), (0, 2, 0));
}

#[test]
fn changes_keep_the_rules_and_the_serial() {
    let apex = name("example");
    let view = store(build(&apex, &base()).unwrap(), MAX_BATCH_LEN);
    let now = SerialTime { unix: 1_795_777_800, date: 20_261_127 };
    let refused = |change: Change| match record_build(&view, &apex, &[change], now).unwrap_err() {
        ChangeError::Refused(refused) => refused.findings.iter().next().unwrap().rule,
        other => panic!("{other}"),
    };
    assert_eq!(refused(Change::Rrset(RrsetChange::DeleteRrset { owner: apex, rtype: Rtype::SOA })), Rule::NoSoa);
    assert_eq!(refused(Change::Rrset(RrsetChange::DeleteRrset { owner: apex, rtype: Rtype::NS })), Rule::NoNs);
    assert_eq!(refused(Change::Name(NameChange::Delete { owner: name("other") })), Rule::OutOfZone);
    assert_eq!(
        refused(Change::Name(NameChange::Rename { owner: name("a.example"), to: Box::new(name("other")) })),
        Rule::OutOfZone
    );
    assert_eq!(refused(Change::Name(NameChange::DeleteSubtree { owner: name("other") })), Rule::OutOfZone);
    let whole =
        record_build(&view, &apex, &[Change::Name(NameChange::DeleteSubtree { owner: apex })], now).unwrap_err();
    assert!(whole.to_string().contains("delete the zone"), "{whole}");
    let long = Change::Rrset(RrsetChange::Add { owner: apex, rtype: Rtype::TXT, ttl: 1, rdata: vec![0; 70_000] });
    assert_eq!(refused(long), Rule::TooLarge(70_000));

    let add =
        Change::Rrset(RrsetChange::Add { owner: name("a.example"), rtype: Rtype::A, ttl: 1, rdata: vec![1, 2, 3, 4] });
    let serial = |policy, present, changes: &[Change]| {
        let mut view = view.clone();
        let change = |serial| {
            Change::Rrset(RrsetChange::Set { owner: apex, rtype: Rtype::SOA, ttl: 1, rdatas: vec![soa(serial)] })
        };
        view.apply(&record_build(&view, &apex, &[change(present)], now).unwrap().batch);
        let settings = ZoneSettings::default().with_serial(policy).with_default_ttl(60);
        view.apply(&change_settings(&view, &apex, settings).unwrap().0);
        assert!(change_settings(&view, &apex, settings).unwrap().0.is_empty());
        let done = record_build(&view, &apex, changes, now).unwrap();
        view.apply(&done.batch);
        assert_eq!(zone_info(&view, &apex).unwrap().unwrap().settings, settings, "a change keeps them");
        done.serial.into_int()
    };
    let add = std::slice::from_ref(&add);
    assert_eq!(serial(SerialPolicy::Increment, 3, add), 4);
    assert_eq!(serial(SerialPolicy::Increment, u32::MAX, add), 0, "RFC 1982");
    assert_eq!(serial(SerialPolicy::Keep, 3, add), 3);
    assert_eq!(serial(SerialPolicy::Date, 3, add), 2_026_112_700);
    assert_eq!(serial(SerialPolicy::Date, 2_026_112_699, add), 2_026_112_700);
    assert_eq!(serial(SerialPolicy::Date, 2_026_112_700, add), 2_026_112_701);
    assert_eq!(serial(SerialPolicy::Date, 2_026_112_799, add), 2_026_112_800, "the hundredth of a day");
    assert_eq!(serial(SerialPolicy::Date, 2_030_010_100, add), 2_030_010_101, "never back");
    assert_eq!(serial(SerialPolicy::Unix, 2_026_112_700, add), 2_026_112_701);
    assert_eq!(serial(SerialPolicy::Unix, 7, add), 1_795_777_800);
    assert_eq!(serial(SerialPolicy::Date, 5, &[]), 5);
    let set = Change::Rrset(RrsetChange::Set { owner: apex, rtype: Rtype::SOA, ttl: 1, rdatas: vec![soa(9)] });
    assert_eq!(serial(SerialPolicy::Date, 5, &[set, add[0].clone()]), 9, "what a change sets stays");
}

/// An RRSIG over a type, told apart by one byte.
fn signature(owner: &str, covers: Rtype, filler: u8) -> Record {
    record(owner, Rtype::RRSIG, &[&covers.to_int().to_be_bytes()[..], &[filler; 16], b"\x01S\x00sig"].concat())
}

#[test]
fn a_signed_zone_is_not_changed_without_its_signatures() {
    let apex = name("example");
    let (a, key) = (Rtype::A, record("example", Rtype::DNSKEY, &[1, 1, 3, 8, 1]));
    let mut signed = with([
        key.clone(),
        record("www.example", a, &[192, 0, 2, 1]),
        record("cut.example", Rtype::NS, &wire("ns.cut.example")),
        record("ns.cut.example", a, &[192, 0, 2, 2]),
        signature("www.example", a, 1),
    ]);
    signed.extend([Rtype::SOA, Rtype::NS, Rtype::DNSKEY].map(|covers| signature("example", covers, 1)));
    let view = store(build(&apex, &signed).unwrap(), MAX_BATCH_LEN);
    let refused = |changes: &[Change]| match record_build(&view, &apex, changes, SerialTime::default()) {
        Ok(_) => vec![],
        Err(ChangeError::Refused(refused)) => {
            refused.findings.iter().map(|finding| (finding.owner.to_string(), finding.rtype, finding.rule)).collect()
        }
        Err(other) => panic!("{other}"),
    };
    let set = |owner: &str, rtype, rdata: &[u8]| {
        Change::Rrset(RrsetChange::Set { owner: name(owner), rtype, ttl: 300, rdatas: vec![rdata.to_vec()] })
    };
    let sign = |owner: &str, covers, filler| {
        Change::Rrset(RrsetChange::Set {
            owner: name(owner),
            rtype: Rtype::RRSIG,
            ttl: 300,
            rdatas: match owner {
                "example" => [Rtype::SOA, Rtype::NS, Rtype::DNSKEY]
                    .map(|other| signature(owner, other, if other == covers { filler } else { 1 }).rdata)
                    .to_vec(),
                _ => vec![signature(owner, covers, filler).rdata],
            },
        })
    };
    let unsigned = |owner: &str, rtype| (format!("{owner}."), rtype, Rule::Unsigned);
    let soa = [set("example", Rtype::SOA, &soa(9)), sign("example", Rtype::SOA, 2)];
    let and_soa = |changes: &[Change]| refused(&[&soa[..], changes].concat());
    let www = set("www.example", a, &[192, 0, 2, 9]);

    let both = [unsigned("example", Rtype::SOA), unsigned("www.example", a)];
    assert_eq!(refused(std::slice::from_ref(&www)), both, "the serial changes the SOA");
    assert_eq!(and_soa(std::slice::from_ref(&www)), [unsigned("www.example", a)]);
    assert_eq!(and_soa(&[www, sign("www.example", a, 2)]), []);
    assert_eq!(and_soa(&[set("new.example", a, &[1, 2, 3, 4])]), [unsigned("new.example", a)]);
    assert_eq!(and_soa(&[set("new.example", a, &[1, 2, 3, 4]), sign("new.example", a, 1)]), []);
    let bare = Change::Rrset(RrsetChange::DeleteRrset { owner: name("www.example"), rtype: Rtype::RRSIG });
    assert_eq!(and_soa(&[bare]), [unsigned("www.example", a)]);
    assert_eq!(and_soa(&[Change::Name(NameChange::Delete { owner: name("www.example") })]), []);
    // Delegations and their glue are not signed; what was glue and is none any more is.
    assert_eq!(and_soa(&[set("ns.cut.example", a, &[192, 0, 2, 3])]), []);
    assert_eq!(and_soa(&[set("more.example", Rtype::NS, &wire("ns.other"))]), []);
    assert_eq!(and_soa(&[set("more.example", Rtype::DS, &[0, 1, 8, 2, 1])]), [unsigned("more.example", Rtype::DS)]);
    let uncut = Change::Rrset(RrsetChange::DeleteRrset { owner: name("cut.example"), rtype: Rtype::NS });
    assert_eq!(and_soa(&[uncut]), [unsigned("ns.cut.example", a)]);
    // Who takes the key away takes the signing away.
    let unsign = [
        Change::Rrset(RrsetChange::DeleteRrset { owner: apex, rtype: Rtype::DNSKEY }),
        set("x.example", a, &[1, 2, 3, 4]),
    ];
    assert_eq!(refused(&unsign), []);
}

#[test]
fn what_belongs_to_the_zone_cannot_be_laid_over_and_a_signed_zone_says_so() {
    let apex = name("example");
    let (owner, a) = (name("www.example"), Rtype::A);
    let lay_over = |rtype, rdata: &[u8]| {
        Change::Layer(LayerChange::Override { owner: apex, rtype, ttl: 60, rdatas: vec![rdata.to_vec()] })
    };
    let view = store(build(&apex, &with([record("www.example", a, &[192, 0, 2, 1])])).unwrap(), MAX_BATCH_LEN);
    for change in [
        lay_over(Rtype::SOA, &soa(1)),
        lay_over(Rtype::DNSKEY, &[1, 1, 3, 8, 1]),
        Change::Layer(LayerChange::Disable { owner: apex, rtype: Rtype::SOA, rdata: soa(1) }),
    ] {
        let error = record_build(&view, &apex, std::slice::from_ref(&change), SerialTime::default()).unwrap_err();
        let ChangeError::Refused(refused) = error else { panic!("{change:?}: {error}") };
        assert!(refused.findings.iter().any(|finding| finding.rule == Rule::NotLayered), "{change:?}: {refused}");
    }
    // A zone that is signed while something is laid over it.
    let signed = with([record("example", Rtype::DNSKEY, &[1, 1, 3, 8, 1]), record("www.example", a, &[192, 0, 2, 1])]);
    let layer = LayerChange::Override { owner, rtype: a, ttl: 60, rdatas: vec![vec![192, 0, 2, 2]] };
    let settings = Settings::with_origin(*b"digest").with_layers(vec![layer]);
    let built = super::source(&apex, &signed).build(super::IDENTITY, &settings).unwrap();
    let warned = built.warnings().iter().find(|finding| finding.rule == Warning::OverrideInSigned).unwrap();
    assert_eq!((warned.owner, warned.rtype), (owner, a));
}
