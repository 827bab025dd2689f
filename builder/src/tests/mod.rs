//! The builder against a plain model of a zone.

mod alias;
mod costs;
mod creation;
mod generator;
mod history;
mod law;
mod limits;
mod model;
mod refusals;

use zonecast_kv_proto::MemoryView;
use zonecast_records::{Generation, Name, RecordRef, ZoneId};

use crate::{FullBuild, Location, Refused, Settings, ZoneIdentity, ZoneSettings, ZoneSource};

const IDENTITY: ZoneIdentity = ZoneIdentity { id: ZoneId::new(7), generation: Generation::new(40) };

/// One record of a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    owner: Vec<u8>,
    rtype: u16,
    ttl: u32,
    rdata: Vec<u8>,
}

impl Record {
    fn of(record: RecordRef<'_>) -> Self {
        let RecordRef { owner, rtype, ttl, rdata } = record;
        Self { owner: owner.as_wire().to_vec(), rtype: rtype.to_int(), ttl, rdata: rdata.to_vec() }
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn wire(text: &str) -> Vec<u8> {
    name(text).as_wire().to_vec()
}

fn soa(serial: u32) -> Vec<u8> {
    let numbers = [serial, 1, 2, 3, 4].map(u32::to_be_bytes).concat();
    [&wire("ns"), &wire("Admin"), &numbers[..]].concat()
}

fn build(apex: &Name, records: &[Record]) -> Result<FullBuild, Refused> {
    source(apex, records).build(IDENTITY, &Settings::with_origin(*b"digest"))
}

fn build_at(identity: ZoneIdentity, model: &model::Model) -> Result<FullBuild, Refused> {
    let settings = Settings::with_origin(*b"digest").with_layers(model.layers());
    let settings = settings.with_zone(ZoneSettings::default().with_flatten(model.flatten));
    source(&model.apex, &model.source()).build(identity, &settings)
}

fn source(apex: &Name, records: &[Record]) -> ZoneSource {
    let mut source = ZoneSource::new(*apex);
    for (line, record) in records.iter().enumerate() {
        let owner = Name::from_wire(&record.owner).unwrap();
        let rtype = domain::base::iana::Rtype::from_int(record.rtype);
        let record = RecordRef { owner: &owner, rtype, ttl: record.ttl, rdata: &record.rdata };
        source.push(record, Location::new(u32::try_from(line).unwrap()));
    }
    source
}

/// A store that holds nothing but this build, applied in batches of this size.
fn store(build: FullBuild, max_bytes: usize) -> MemoryView {
    let mut store = MemoryView::new();
    for batch in build.into_batches(max_bytes) {
        batch.encode().unwrap();
        store.apply(&batch);
    }
    store
}
