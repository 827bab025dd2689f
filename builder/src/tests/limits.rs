//! Zones that live at the limits: whatever is in them, a build gives keys or a finding, and never panics.
//!
//! Each zone has sets of records of a size around a limit: that of RDATA and of a message (65,535 bytes), and that of a
//! value (1 MiB). Both builds must say the same of it, and a finding must say where it comes from.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use proptest::prelude::*;
use zonecast_kv_proto::{MAX_BATCH_LEN, MAX_VALUE_LEN};
use zonecast_records::{ChangeKind, MAX_ASIDE, MAX_CHAINS};

use super::law::{assert_same, config};
use super::{IDENTITY, Record, name, soa, source, store, wire};
use crate::{
    Change, ChangeError, ChangeNote, LayerChange, RememberError, RrsetChange, Rule, SerialPolicy, SerialTime, Settings,
    ZoneSettings, export, record_build,
};

/// A build with a megabyte in it takes its time.
const CASES: u32 = 40;

/// What is large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Large {
    /// One record.
    Rdata,
    /// The records of an RRset with its signatures: their number and that of the signatures.
    Rrset(usize, usize),
    /// The same below a zone cut.
    Hidden(usize),
    /// Signatures over a type that is not there.
    Orphans(usize),
    /// Addresses of one name server below its delegation, of either width, and further servers with one.
    Glue(usize, usize),
    /// The name servers of a delegation, with an address each.
    Servers,
    /// What an override is laid over.
    Overridden(usize),
    /// The same, with as many records as a name may have that are not served.
    ManyOverridden,
    /// TTLs of records that have their own.
    Ttls,
    /// NSEC3 chains.
    Chains,
}

/// Something of about a size.
#[derive(Clone, Copy, Debug)]
struct Spec {
    large: Large,
    limit: usize,
    off: isize,
}

fn large() -> impl Strategy<Value = Large> {
    prop_oneof![
        Just(Large::Rdata),
        (1_usize..5, 0_usize..3).prop_map(|(records, sigs)| Large::Rrset(records, sigs)),
        (1_usize..3).prop_map(Large::Hidden),
        (17_usize..40).prop_map(Large::Orphans),
        (prop::sample::select(vec![4_usize, 16]), 0_usize..3).prop_map(|(width, more)| Large::Glue(width, more)),
        Just(Large::Servers),
        (17_usize..40).prop_map(Large::Overridden),
        Just(Large::ManyOverridden),
        Just(Large::Ttls),
        Just(Large::Chains),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let near = prop_oneof![-300_isize..300, -40_isize..40, -4_isize..4];
    (large(), near, any::<bool>()).prop_map(|(large, off, whole)| {
        let small = if whole { 65_535 } else { 49_152 };
        let limit = if matches!(large, Large::Orphans(_) | Large::Overridden(_)) { MAX_VALUE_LEN } else { small };
        Spec { large, limit, off }
    })
}

/// So many pieces of about the same length, and that many bytes together.
fn split(total: usize, pieces: usize) -> Vec<usize> {
    (0..pieces).map(|piece| total / pieces + usize::from(piece < total % pieces)).collect()
}

/// Data of a type without form, each other.
fn opaque(lengths: Vec<usize>) -> Vec<Vec<u8>> {
    let data = |(number, len)| vec![u8::try_from(number).unwrap(); len];
    lengths.into_iter().enumerate().map(data).collect()
}

fn signature(covers: u16, number: u8, len: usize) -> Vec<u8> {
    let head = [&covers.to_be_bytes()[..], &[number; 16], b"\x00"].concat();
    [&head[..], &vec![number; len.saturating_sub(head.len())]].concat()
}

const OPAQUE: u16 = 65_280;

fn record(owner: &str, rtype: u16, rdata: Vec<u8>) -> Record {
    Record { owner: wire(owner), rtype, ttl: 300, rdata }
}

/// A delegation to a name server with so many addresses, and to some with one.
fn glue(owner: &str, count: usize, width: usize, more: usize) -> Vec<Record> {
    let target = |number: usize| format!("{}.{owner}", "n".repeat(number + 1));
    let rtype = if width == 4 { 1 } else { 28 };
    let address = |number: usize| [&vec![1; width - 4][..], &u32::try_from(number).unwrap().to_be_bytes()].concat();
    let mut records: Vec<Record> = (0..=more).map(|number| record(owner, 2, wire(&target(number)))).collect();
    records.extend((0..count).map(|number| record(&target(0), rtype, address(number))));
    records.extend((1..=more).map(|number| record(&target(number), rtype, address(number))));
    records
}

/// A delegation to so many name servers.
fn servers(owner: &str, count: usize) -> Vec<Record> {
    let server = |number: usize| {
        let server = format!("n{number:03}.{owner}");
        [record(owner, 2, wire(&server)), record(&server, 1, vec![192, 0, 2, 1])]
    };
    (0..count).flat_map(server).collect()
}

/// An NSEC3 record of each of so many chains.
fn chains(count: usize) -> Vec<Record> {
    let of_chain = |number: usize| {
        let number = u8::try_from(number).unwrap();
        let rdata = [&[1, 0, 0, 1, 255][..], &[number; 255], &[1, 9, 0, 1, 64]].concat();
        record(&format!("{}.example", domain::utils::base32::encode_string_hex(&[number])), 50, rdata)
    };
    (0..count).map(of_chain).collect()
}

impl Spec {
    fn total(self) -> usize {
        self.limit.saturating_add_signed(self.off)
    }

    /// Its records beneath a label of the zone.
    fn records(self, label: &str) -> Vec<Record> {
        let owner = format!("{label}.example");
        let of_type = |rtype: u16, rdatas: Vec<Vec<u8>>| -> Vec<Record> {
            rdatas.into_iter().map(|rdata| record(&owner, rtype, rdata)).collect()
        };
        // Header, OPT, question; then each record with a compressed owner.
        let message = |records: usize| self.total().saturating_sub(27 + wire(&owner).len() + 12 * records);
        match self.large {
            Large::Rdata => of_type(OPAQUE, vec![vec![7; self.total()]]),
            Large::Rrset(records, sigs) => {
                let mut lengths = split(message(records + sigs), records + sigs);
                let signed = lengths.split_off(records);
                let sigs = signed.into_iter().enumerate();
                let sigs = sigs.map(|(number, len)| signature(OPAQUE, u8::try_from(number).unwrap(), len));
                [of_type(OPAQUE, opaque(lengths)), of_type(46, sigs.collect())].concat()
            }
            Large::Hidden(records) => {
                let cut = of_type(2, vec![wire("ns.other")]);
                [cut, of_type(OPAQUE, opaque(split(message(records), records)))].concat()
            }
            Large::Orphans(sigs) => {
                let lengths = split(self.total().saturating_sub(20 + 2 * sigs), sigs);
                let sigs = lengths.into_iter().enumerate();
                of_type(46, sigs.map(|(number, len)| signature(999, u8::try_from(number).unwrap(), len)).collect())
            }
            Large::Glue(width, more) => glue(&owner, self.total() / width, width, more),
            Large::Servers => servers(&owner, self.total() / 30),
            Large::Overridden(records) => {
                let room = self.total().saturating_sub(20 + 12 * records);
                of_type(OPAQUE, opaque(split(room, records)))
            }
            Large::ManyOverridden => {
                let count = MAX_ASIDE.saturating_add_signed(self.off.clamp(-1, 1));
                let data = (0..count).map(|number| u32::try_from(number).unwrap().to_be_bytes().to_vec());
                of_type(OPAQUE, data.collect())
            }
            Large::Ttls => {
                let count = self.total() / 16;
                let data = (0..count).map(|number| u32::try_from(number).unwrap().to_be_bytes().to_vec());
                let mut records = of_type(1, data.collect());
                records.iter_mut().zip(100_000..).for_each(|(record, ttl)| record.ttl = ttl);
                records
            }
            Large::Chains => chains(MAX_CHAINS.saturating_add_signed(self.off.clamp(-1, 1))),
        }
    }

    fn layers(self, label: &str) -> Vec<LayerChange> {
        let owner = name(&format!("{label}.example"));
        let rtype = Rtype::from_int(OPAQUE);
        let layer = LayerChange::Override { owner, rtype, ttl: 60, rdatas: vec![vec![200]] };
        matches!(self.large, Large::Overridden(_) | Large::ManyOverridden).then_some(layer).into_iter().collect()
    }
}

fn base() -> Vec<Record> {
    vec![record("example", 6, soa(1)), record("example", 2, wire("ns.other"))]
}

/// Records as the changes that add them, those of one name and type as one.
fn as_changes(records: &[Record]) -> Vec<Change> {
    let same = |one: &Record, other: &Record| (&one.owner, one.rtype) == (&other.owner, other.rtype);
    let set = |records: &[Record]| {
        let owner = zonecast_records::Name::from_wire(&records[0].owner).unwrap();
        let rtype = Rtype::from_int(records[0].rtype);
        let one_ttl = records.iter().all(|record| record.ttl == records[0].ttl);
        if one_ttl {
            let rdatas = records.iter().map(|record| record.rdata.clone()).collect();
            return vec![Change::Rrset(RrsetChange::Set { owner, rtype, ttl: records[0].ttl, rdatas })];
        }
        let add = |record: &Record| {
            Change::Rrset(RrsetChange::Add { owner, rtype, ttl: record.ttl, rdata: record.rdata.clone() })
        };
        records.iter().map(add).collect()
    };
    let mut sorted = records.to_vec();
    sorted.sort();
    sorted.chunk_by(same).flat_map(set).collect()
}

/// Builds the zone as a whole and by changes, what is laid over coming before or after what it is laid over.
fn both_builds_agree(specs: &[Spec], before: bool) -> Result<(), TestCaseError> {
    let apex = name("example");
    let labelled = || ["a", "b"].into_iter().zip(specs);
    let more: Vec<Record> = labelled().flat_map(|(label, spec)| spec.records(label)).collect();
    let layers: Vec<LayerChange> = labelled().flat_map(|(label, spec)| spec.layers(label)).collect();
    let records = [base(), more.clone()].concat();
    let kept = ZoneSettings::default().with_serial(SerialPolicy::Keep);
    let settings = |layers: Vec<LayerChange>| Settings::with_origin(*b"digest").with_zone(kept).with_layers(layers);
    let whole = source(&apex, &records).build(IDENTITY, &settings(layers.clone()));
    if let Err(refused) = &whole {
        for finding in refused.findings.iter().filter(|finding| finding.rule != Rule::TooManyChains) {
            prop_assert!(finding.location.is_some(), "{finding} has no place");
        }
        prop_assert!(!refused.findings.is_empty());
    }
    let wanted = whole.ok().map(|build| store(build, MAX_BATCH_LEN));
    let is_refused = wanted.is_none();
    if let Some(view) = &wanted {
        let mut shown = 0;
        export(view, &apex, |_, _| {
            shown += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        // Two sets of chains are of the same names.
        let distinct: BTreeSet<&Record> = records.iter().collect();
        prop_assert!(shown >= distinct.len());
    }

    let base = source(&apex, &base()).build(IDENTITY, &settings(vec![])).unwrap();
    let mut view = store(base, MAX_BATCH_LEN);
    let changes = as_changes(&more);
    let layers: Vec<Change> = layers.into_iter().map(Change::from).collect();
    let steps = if before { [layers, changes] } else { [changes, layers] };
    let is_layered = steps.iter().all(|step| !step.is_empty());
    for step in steps.iter().filter(|step| !step.is_empty()) {
        match record_build(&view, &apex, step, SerialTime::default()) {
            Ok(mut done) => {
                let note = ChangeNote { kind: ChangeKind::Records, time: 1, by: "test", keep_since: 0 };
                let present = view.clone();
                view.apply(&done.batch);
                match done.undo.remember(&present, &mut done.batch, note) {
                    Ok(()) | Err(RememberError::TooLarge) => {}
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
                done.batch.encode().unwrap();
            }
            Err(ChangeError::Refused(refused)) => {
                prop_assert!(!refused.findings.is_empty());
                // A set that is too large to be served is refused before something is laid over it.
                prop_assert!(is_refused || (is_layered && !before), "a full build takes this: {refused}");
                return Ok(());
            }
            Err(ChangeError::TooLarge) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }
    let wanted = wanted.ok_or_else(|| TestCaseError::fail("a full build refuses this"))?;
    if is_layered { Ok(()) } else { assert_same(&view, &wanted) }
}

proptest! {
    #![proptest_config(match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config(),
        None => ProptestConfig::with_cases(CASES),
    })]

    #[test]
    fn a_zone_at_its_limits_is_built_or_refused(specs in prop::collection::vec(spec(), 1..3), before in any::<bool>()) {
        both_builds_agree(&specs, before)?;
    }
}

#[test]
fn each_size_around_a_limit_is_built_or_refused() {
    let message = [Large::Rdata, Large::Rrset(1, 0), Large::Rrset(1, 1), Large::Glue(4, 0), Large::Glue(16, 0)];
    for off in -48..=2 {
        for large in message {
            let total = |limit| [Spec { large, limit, off }];
            both_builds_agree(&total(65_535), true).unwrap();
            // Of four bytes of an address come sixteen of a message, of sixteen 28.
            both_builds_agree(&total(65_535 / 4), true).unwrap();
            both_builds_agree(&total(65_535 / 28 * 16), true).unwrap();
        }
    }
    for off in -12..=2 {
        for large in [Large::Orphans(17), Large::Overridden(17)] {
            both_builds_agree(&[Spec { large, limit: MAX_VALUE_LEN, off }], true).unwrap();
        }
    }
    for off in -1..=1 {
        for large in [Large::ManyOverridden, Large::Chains] {
            both_builds_agree(&[Spec { large, limit: 0, off }], true).unwrap();
        }
        both_builds_agree(&[Spec { large: Large::Chains, limit: 0, off }; 2], false).unwrap();
    }
}
