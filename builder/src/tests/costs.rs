//! A record build costs what it touches, whatever the size of the zone.

use std::cell::Cell;
use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView, View, ViewError};

use super::{Record, build, name, soa, store, wire};
use crate::{Change, ChangeError, NameChange, RrsetChange, SerialTime, record_build};

/// Counts entries read.
struct Counted<'v> {
    view: &'v MemoryView,
    reads: Cell<usize>,
}

impl View for Counted<'_> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.reads.set(self.reads.get() + 1);
        self.view.get(key, value)
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.reads.set(self.reads.get() + 1);
        self.view.last_in(lower, upper, key, value)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.reads.set(self.reads.get() + 1);
        self.view.scan(lower, end, &mut |key, value| {
            self.reads.set(self.reads.get() + 1);
            visit(key, value)
        })
    }
}

fn record(owner: &str, rtype: Rtype, rdata: &[u8]) -> Record {
    Record { owner: wire(owner), rtype: rtype.to_int(), ttl: 300, rdata: rdata.to_vec() }
}

fn zone(names: usize) -> MemoryView {
    let mut records = vec![record("example", Rtype::SOA, &soa(1)), record("example", Rtype::NS, &wire("ns.other"))];
    for number in 0..names {
        records.push(record(&format!("host{number}.mid.example"), Rtype::A, &[192, 0, 2, 1]));
        if number % 10 == 0 {
            records.push(record(&format!("cut{number}.example"), Rtype::NS, &wire(&format!("ns.cut{number}.example"))));
            records.push(record(&format!("ns.cut{number}.example"), Rtype::A, &[192, 0, 2, 2]));
        }
    }
    store(build(&name("example"), &records).unwrap(), MAX_BATCH_LEN)
}

fn changes() -> Vec<Vec<Change>> {
    let a = |owner: &str| {
        Change::Rrset(RrsetChange::Add { owner: name(owner), rtype: Rtype::A, ttl: 60, rdata: vec![192, 0, 2, 9] })
    };
    let ns = |owner: &str| {
        Change::Rrset(RrsetChange::Add { owner: name(owner), rtype: Rtype::NS, ttl: 60, rdata: wire("ns.other") })
    };
    vec![
        vec![a("host5.mid.example")],
        vec![a("new.mid.example")],
        vec![a("deep.under.new.ents.example")],
        vec![a("ns.cut10.example")],
        vec![ns("cut10.example")],
        vec![ns("newcut.example")],
        vec![Change::Name(NameChange::Delete { owner: name("host5.mid.example") })],
        vec![Change::Name(NameChange::Delete { owner: name("cut10.example") })],
        vec![Change::Name(NameChange::Delete { owner: name("nothing.example") })],
        vec![
            a("host1.mid.example"),
            a("host2.mid.example"),
            Change::Name(NameChange::Delete { owner: name("host3.mid.example") }),
        ],
    ]
}

#[test]
fn a_record_build_reads_as_much_in_a_big_zone_as_in_a_small_one() {
    let (small, big) = (zone(100), zone(20_000));
    for changes in changes() {
        let reads = [&small, &big].map(|view| {
            let counted = Counted { view, reads: Cell::new(0) };
            record_build(&counted, &name("example"), &changes, SerialTime::default()).unwrap();
            counted.reads.get()
        });
        assert_eq!(reads[0], reads[1], "{changes:?}");
        assert!(reads[0] <= 15 + 30 * changes.len(), "{} reads for {changes:?}", reads[0]);
    }
}

#[test]
fn what_a_node_publishes_rules_out_other_reads() {
    let records = [
        record("example", Rtype::SOA, &soa(1)),
        record("example", Rtype::NS, &wire("ns.other")),
        record("www.example", Rtype::A, &[192, 0, 2, 1]),
    ];
    let view = store(build(&name("example"), &records).unwrap(), MAX_BATCH_LEN);
    let counted = Counted { view: &view, reads: Cell::new(0) };
    let change = Change::Rrset(RrsetChange::Set {
        owner: name("www.example"),
        rtype: Rtype::A,
        ttl: 60,
        rdatas: vec![vec![192, 0, 2, 2]],
    });
    record_build(&counted, &name("example"), &[change], SerialTime::default()).unwrap();
    // The two keys of the zone; of the apex and of the name two scans and what these find: the address key. And whether
    // there is a zone of the name's own, which would answer for it.
    assert_eq!(counted.reads.get(), 2 + 2 * 3 + 1);
}

#[test]
fn a_cut_above_too_much_for_a_batch_is_refused() {
    let view = zone(120_000);
    let cut = Change::Rrset(RrsetChange::Add {
        owner: name("mid.example"),
        rtype: Rtype::NS,
        ttl: 60,
        rdata: wire("ns.other"),
    });
    let error = record_build(&view, &name("example"), &[cut], SerialTime::default()).unwrap_err();
    assert!(matches!(error, ChangeError::TooLarge), "{error}");
}
