//! Which steps an answer is made of, without a message.

use std::ops::ControlFlow;

use domain::base::iana::{Rcode, Rtype};
use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_kv_proto::MemoryView;
use zonecast_records::{Generation, Name, Path, ZoneId};

use crate::resolution::{Damaged, End, Fit, Resolution, Sink, Step};
use crate::scratch::Buffers;
use crate::{AnswerClass, Lookups, Reader, ZoneTable};

const ZONE: &str = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 NS ns\n@ 60 MX 1 mx\n@ 60 MX 2 mx.elsewhere.\nns 60 A 192.0.2.53\n\
    mx 60 A 192.0.2.1\nmx 60 AAAA ::1\nalias 60 CNAME d.to\nto 60 DNAME w\n*.w 60 A 192.0.2.2\nsub 60 NS ns.sub\n\
    sub 60 NS ns\nns.sub 60 A 192.0.2.3\nout 60 CNAME www.elsewhere.\n";

const SIGNED: &str = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 RRSIG SOA 13 1 60 20850101000000 20200101000000 1 @ AAAA\n@ 60 NS ns\n\
    @ 60 NSEC *.w NS SOA RRSIG NSEC\n@ 60 RRSIG NSEC 13 1 60 20850101000000 20200101000000 1 @ AAAA\n\
    *.w 60 A 192.0.2.2\n*.w 60 RRSIG A 13 2 60 20850101000000 20200101000000 1 @ AAAA\n\
    *.w 60 NSEC @ A RRSIG NSEC\n*.w 60 RRSIG NSEC 13 2 60 20850101000000 20200101000000 1 @ AAAA\n";

/// Notes each step, and takes so many.
struct Noted {
    steps: Vec<String>,
    takes: usize,
    wants_proofs: bool,
}

impl Noted {
    fn note(&mut self, step: String) -> Fit {
        self.steps.push(step);
        if self.steps.len() > self.takes { Fit::Full } else { Fit::Whole }
    }
}

impl Sink for Noted {
    fn wants_proofs(&self) -> bool {
        self.wants_proofs
    }

    fn put(&mut self, Step { part, owner, rtype, .. }: Step<'_>) -> Result<Fit, Damaged> {
        let owner = Name::from_wire(owner).map_err(|_| Damaged)?;
        Ok(self.note(format!("{part:?} {owner} {rtype}")))
    }

    fn put_synthesised(&mut self, from: &Name, to: &Name, _: u32) -> Result<Fit, Damaged> {
        Ok(self.note(format!("{from} to {to}")))
    }
}

fn store(text: &str) -> MemoryView {
    let apex: Name = "example".parse().unwrap();
    let mut zone = ZoneSource::new(apex);
    zonecast_ingest::read_zone_bytes("example", text.as_bytes(), &apex, &mut |record, location| {
        zone.push(record, Location::new(location.line));
        ControlFlow::Continue(())
    })
    .unwrap_or_else(|report| panic!("{report:?}"));
    let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
    let build = zone.build(identity, &Settings::default()).unwrap_or_else(|report| panic!("{report:?}"));
    let mut view = MemoryView::new();
    build.into_batches(1 << 20).for_each(|batch| view.apply(&batch));
    view
}

fn ask(view: &MemoryView, name: &str, rtype: Rtype, mut sink: Noted) -> (End, Vec<String>) {
    let zones = ZoneTable::load(view).unwrap();
    let reader = Reader::new(view, &zones);
    let Buffers { finder, name: at_hand, path, target_path, chain, extra, .. } = &mut Buffers::default();
    *at_hand = name.parse().unwrap();
    let full = Path::of(at_hand, 0, path);
    let zone = reader.zone_of(full, rtype).unwrap();
    let mut resolution = Resolution {
        reader: &reader,
        zone,
        top: zone.apex_labels,
        name: at_hand,
        rtype,
        sink: &mut sink,
        chain,
        extra,
        lookups: Lookups::default(),
        hops: 0,
        source_len: 0,
    };
    let end = resolution.run(finder, full, target_path).unwrap();
    (end, sink.steps)
}

const fn takes(takes: usize) -> Noted {
    Noted { steps: Vec::new(), takes, wants_proofs: false }
}

const CASES: [(&str, Rtype, &[&str]); 6] = [
    ("example.", Rtype::MX, &["Data example. MX", "Address mx.example. A", "Address mx.example. AAAA"]),
    (
        "alias.example.",
        Rtype::A,
        &[
            "Alias alias.example. CNAME",
            "Dname to.example. DNAME",
            "d.to.example. to d.w.example.",
            "Data d.w.example. A",
        ],
    ),
    ("out.example.", Rtype::A, &["Alias out.example. CNAME"]),
    ("nope.example.", Rtype::A, &["Negative example. SOA"]),
    ("mx.example.", Rtype::TXT, &["Negative example. SOA"]),
    ("x.sub.example.", Rtype::A, &["Delegation sub.example. NS", "Glue ns.sub.example. A", "Address ns.example. A"]),
];

#[test]
fn each_answer_has_its_steps() {
    let view = store(ZONE);
    for (name, rtype, steps) in CASES {
        assert_eq!(ask(&view, name, rtype, takes(usize::MAX)).1, steps, "{name} {rtype}");
    }
}

#[test]
fn nothing_comes_after_what_does_not_fit() {
    let view = store(ZONE);
    for (name, rtype, steps) in CASES {
        for fit in 0..steps.len() {
            assert_eq!(ask(&view, name, rtype, takes(fit)).1, steps[..=fit], "{name} {rtype}");
        }
    }
}

#[test]
fn an_answer_ends_as_its_last_name_does() {
    let view = store(ZONE);
    let end = |name, rtype| ask(&view, name, rtype, takes(usize::MAX)).0;
    assert_eq!(end("nope.example.", Rtype::A), End { class: AnswerClass::NxDomain, rcode: Rcode::NXDOMAIN });
    assert_eq!(end("mx.example.", Rtype::TXT), End { class: AnswerClass::NoData, rcode: Rcode::NOERROR });
    assert_eq!(end("a.w.example.", Rtype::A), End { class: AnswerClass::Wildcard, rcode: Rcode::NOERROR });
    assert_eq!(end("alias.example.", Rtype::A), End { class: AnswerClass::Chain, rcode: Rcode::NOERROR });
}

#[test]
fn proofs_come_where_they_are_asked_for() {
    let view = store(SIGNED);
    for (name, steps) in [
        ("nope.example.", &["Negative example. SOA", "Proof example. NSEC"][..]),
        ("a.w.example.", &["Data a.w.example. A", "Proof *.w.example. NSEC"]),
    ] {
        let asked = |wants_proofs| ask(&view, name, Rtype::A, Noted { wants_proofs, ..takes(usize::MAX) }).1;
        assert_eq!(asked(true), steps, "{name}");
        assert_eq!(asked(false), steps[..1], "{name}");
    }
}
