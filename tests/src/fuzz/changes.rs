//! Record builds, on changes from anybody and over a store that is damaged.

use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use zonecast_builder::{
    Change, Diff, Layer, LayerChange, Location, NameChange, RrsetChange, SerialPolicy, SerialTime, Settings,
    ZoneSettings, ZoneSource, change_settings, export, record_build, zone_info, zone_layers,
};
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView};
use zonecast_records::Name;

use super::{answer, world};

/// More than a fuzzer's input needs to show anything.
const MAX_CHANGES: usize = 24;

/// Labels that changes put together to names: those of the zone, and some that are not in it.
const LABELS: [&str; 16] =
    ["", "*", "a", "b", "ent", "sub", "ns", "mail", "alias", "wild", "dn", "WwW", "_tcp", "hidden", "many", "\\000x"];

/// Types that a build treats in a way of their own.
const TYPES: [Rtype; 16] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::NS,
    Rtype::DS,
    Rtype::SOA,
    Rtype::TXT,
    Rtype::MX,
    Rtype::RRSIG,
    Rtype::NSEC,
    Rtype::NSEC3,
    Rtype::NSEC3PARAM,
    Rtype::SVCB,
    Rtype::ANY,
    Rtype::OPT,
];

/// Edits of stored values as in `damaged_store`, up to one that is all zeros; then changes. See [`change`].
pub(super) fn changes(bytes: &[u8]) {
    let mut view = world::store().clone();
    let (rest, damaged) = answer::damage_all(&mut view, bytes);
    let (changes, serial) = read(rest);
    let (apex, now) = (world::apex(), SerialTime { unix: 1_795_777_800, date: 20_261_127 });
    let settings = ZoneSettings::default().with_serial(serial).with_flatten(true);
    let Ok((chosen, _)) = change_settings(&view, &apex, settings) else {
        return;
    };
    view.apply(&chosen);
    let Ok(build) = record_build(&view, &apex, &changes, now) else { return };
    let encoded = build.batch.encode().expect("a build fits a batch or says that it does not");
    assert!(encoded.len() <= MAX_BATCH_LEN);
    if damaged {
        return;
    }
    assert_eq!(build.unchanged, build.batch.is_empty());
    view.apply(&build.batch);
    rebuilt_is_equal(&view, &apex);
}

/// Promise P5: what is in the store is what a full build of its records puts there.
fn rebuilt_is_equal(view: &MemoryView, apex: &Name) {
    let info = zone_info(view, apex).expect("the store is sound").expect("nothing deletes the zone");
    let mut source = ZoneSource::new(*apex);
    let shown = export(view, apex, |layer, record| {
        if !matches!(layer, Layer::Override | Layer::Nothing | Layer::Address) {
            source.push(record, Location::new(1));
        }
        ControlFlow::Continue(())
    });
    shown.expect("what was built can be read");
    let layers = zone_layers(view, apex).expect("what was built can be read");
    let settings = Settings::with_origin(info.origin).with_zone(info.settings).with_layers(layers);
    let full = source.build(info.identity, &settings).expect("what was built can be built");
    match full.diff(view, MAX_BATCH_LEN) {
        Ok(Diff::Batch(batch, _)) => assert!(batch.is_empty(), "a full build differs: {batch:?}"),
        other => panic!("{other:?}"),
    }
}

/// The first byte chooses the policy; then changes until the bytes end.
fn read(bytes: &[u8]) -> (Vec<Change>, SerialPolicy) {
    let mut input = Input(bytes);
    let serial = SerialPolicy::from_number(input.byte() % 4).unwrap_or_default();
    let mut changes = Vec::new();
    while !input.0.is_empty() && changes.len() < MAX_CHANGES {
        changes.push(change(&mut input));
    }
    (changes, serial)
}

/// Kind, owner, type, TTL, data.
fn change(input: &mut Input<'_>) -> Change {
    let kind = input.byte();
    let (owner, rtype, ttl) = (input.name(), input.rtype(), u32::from(input.byte()));
    match kind % 13 {
        0 | 1 => Change::Rrset(RrsetChange::Add { owner, rtype, ttl, rdata: input.rdata(rtype) }),
        2 => {
            let count = usize::from(input.byte() % 4);
            Change::Rrset(RrsetChange::Set {
                owner,
                rtype,
                ttl,
                rdatas: (0..count).map(|_| input.rdata(rtype)).collect(),
            })
        }
        3 => Change::Rrset(RrsetChange::Delete { owner, rtype, rdata: input.rdata(rtype) }),
        4 => Change::Rrset(RrsetChange::DeleteRrset { owner, rtype }),
        5 => Change::Name(NameChange::DeleteSubtree { owner }),
        6 => Change::Name(NameChange::Rename { owner, to: Box::new(input.name()) }),
        7 => {
            let count = usize::from(input.byte() % 3);
            let rdatas: Vec<_> = (0..count).map(|_| input.rdata(rtype)).collect();
            // Without records there is nothing that has a TTL.
            Change::Layer(LayerChange::Override { owner, rtype, ttl: if rdatas.is_empty() { 0 } else { ttl }, rdatas })
        }
        8 => Change::Layer(LayerChange::Restore { owner, rtype }),
        9 => Change::Layer(LayerChange::Disable { owner, rtype, rdata: input.rdata(rtype) }),
        11 => {
            let [a, aaaa] = [Rtype::A, Rtype::AAAA].map(|rtype| input.rdata(rtype));
            Change::Layer(LayerChange::Flatten { owner: world::apex(), ttl, a: vec![a], aaaa: vec![aaaa] })
        }
        10 => Change::Layer(LayerChange::Enable { owner, rtype, rdata: input.rdata(rtype) }),
        _ => Change::Name(NameChange::Delete { owner }),
    }
}

/// Bytes to take things from; zeros when they have ended.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken.to_vec()
    }

    /// Up to three labels below the apex, now and then below another.
    fn name(&mut self) -> Name {
        let shape = self.byte();
        let mut text = String::new();
        for _ in 0..shape % 4 {
            let label = LABELS.get(usize::from(self.byte() % 16)).copied().unwrap_or_default();
            if !label.is_empty() {
                text.extend([label, "."]);
            }
        }
        text.push_str(if shape < 250 { "example." } else { "elsewhere." });
        text.parse().unwrap_or_else(|_| world::apex())
    }

    fn rtype(&mut self) -> Rtype {
        match self.byte() {
            any @ 240.. => Rtype::from_int(u16::from_be_bytes([any, self.byte()])),
            few => TYPES.get(usize::from(few % 16)).copied().unwrap_or(Rtype::A),
        }
    }

    /// Mostly of the right shape: names for types that hold one, four or sixteen bytes for addresses.
    fn rdata(&mut self, rtype: Rtype) -> Vec<u8> {
        if self.byte() >= 200 {
            return self.bytes();
        }
        let number = self.byte();
        match rtype {
            Rtype::A => vec![192, 0, 2, number],
            Rtype::AAAA => [[0; 15].as_slice(), &[number]].concat(),
            Rtype::CNAME | Rtype::DNAME | Rtype::NS => self.name().as_wire().to_vec(),
            Rtype::MX => [&[0, number], self.name().as_wire()].concat(),
            Rtype::SOA => {
                let name = self.name();
                [name.as_wire(), name.as_wire(), &[number; 20]].concat()
            }
            Rtype::TXT => vec![1, number],
            _ => self.bytes(),
        }
    }
}
