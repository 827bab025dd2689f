//! What cannot be served is refused with its rule and place; what is only odd is served with a warning.

use domain::base::iana::Rtype;
use zonecast_kv_proto::{KeyspaceId, MAX_BATCH_LEN, MemoryView, View};
use zonecast_records::{ADDRESS_KIND, AddressValue, Generation, KeyBuffer, KeySection, ZoneValue};

use super::{Record, build, name, soa, store, wire};
use crate::{Change, ChangeError, MAX_FINDINGS, Oddity, Policy, Rule, SerialPolicy, record_build};

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
    let table = [
        (vec![record("a.example", Rtype::A, &a), record("A.example", Rtype::A, &a)], Oddity::Duplicate),
        (
            vec![record("a.example", Rtype::A, &a), Record { ttl: 5, ..record("a.example", Rtype::A, &[1, 2, 3, 4]) }],
            Oddity::MixedTtls,
        ),
        (vec![record("a.example", Rtype::NS, &wire("ns.a.example"))], Oddity::MissingGlue),
        (vec![record("*.example", Rtype::NS, &wire("ns.other"))], Oddity::WildcardNs),
        (vec![record("a.example", Rtype::DS, &[0, 1, 8, 2, 1])], Oddity::StrayDs),
        (vec![record("a.example", Rtype::RRSIG, &sig(1))], Oddity::OrphanSignature),
        (vec![record("!.example", Rtype::NSEC3, &[1, 0, 0, 0, 0, 1, 9])], Oddity::StrayNsec3),
        (vec![record("example", Rtype::DNAME, &wire("o")), record("a.example", Rtype::TXT, b"\x00")], Oddity::Occluded),
    ];
    for (more, oddity) in table {
        let built = build(&name("example"), &with(more)).unwrap();
        let found: Vec<Oddity> = built.warnings().iter().map(|finding| finding.rule).collect();
        assert_eq!(found, [oddity]);
    }
}

fn address_value(view: &MemoryView, section: KeySection, owner: &str) -> Option<Vec<u8>> {
    let mut buffer = KeyBuffer::new();
    let generation = Generation::new(40);
    let key = buffer.node(KeyspaceId::DNS, generation, section, (&name(owner), 1), ADDRESS_KIND);
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
    let policy = Policy::default();
    let refused = |change: Change| match record_build(&view, &apex, &[change], &policy).unwrap_err() {
        ChangeError::Refused(refused) => refused.findings.iter().next().unwrap().rule,
        other => panic!("{other}"),
    };
    assert_eq!(refused(Change::DeleteRrset { owner: apex, rtype: Rtype::SOA }), Rule::NoSoa);
    assert_eq!(refused(Change::DeleteRrset { owner: apex, rtype: Rtype::NS }), Rule::NoNs);
    assert_eq!(refused(Change::DeleteName { owner: name("other") }), Rule::OutOfZone);
    let long = Change::Add { owner: apex, rtype: Rtype::TXT, ttl: 1, rdata: vec![0; 70_000] };
    assert_eq!(refused(long), Rule::TooLarge(70_000));

    let add = Change::Add { owner: name("a.example"), rtype: Rtype::A, ttl: 1, rdata: vec![1, 2, 3, 4] };
    let serial = |policy, changes: &[Change]| {
        record_build(&view, &apex, changes, &policy).map(|done| done.serial.into_int()).unwrap()
    };
    assert_eq!(serial(policy, std::slice::from_ref(&add)), 2);
    assert_eq!(serial(Policy { serial: SerialPolicy::Keep }, std::slice::from_ref(&add)), 1);
    assert_eq!(serial(policy, &[]), 1);
    let set = Change::Set { owner: apex, rtype: Rtype::SOA, ttl: 1, rdatas: vec![soa(9)] };
    assert_eq!(serial(policy, &[set, add]), 9);
}
