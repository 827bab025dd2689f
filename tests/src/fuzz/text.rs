//! Zone files and records as people write them.

use std::ops::ControlFlow;

use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_ingest::{parse_record_text, read_zone_bytes};
use zonecast_records::{Generation, Name, ZoneId};

/// More records than a fuzzer's input needs to show anything; `$GENERATE` makes many from few bytes.
const MAX_RECORDS: usize = 2_000;

pub(super) fn zone_file(bytes: &[u8]) {
    let apex: Name = "example.".parse().expect("a name");
    let mut source = ZoneSource::new(apex);
    let report = read_zone_bytes("fuzz", bytes, &apex, &mut |record, location| {
        source.push(record, Location::new(location.line));
        if source.len() < MAX_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    if report.is_ok() {
        let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
        if let Ok(build) = source.build(identity, &Settings::default()) {
            let mut previous = None;
            for (key, _) in build.published() {
                assert!(previous < Some(key.clone()), "keys come in ascending order");
                previous = Some(key);
            }
        }
    }
}

/// Name, type, TTL (may be empty) and words of the data, each on a line.
pub(super) fn record_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let apex: Name = "example.".parse().expect("a name");
    let mut lines = text.lines();
    let (Some(name), Some(rtype), Some(ttl)) = (lines.next(), lines.next(), lines.next()) else { return };
    let words: Vec<&str> = lines.collect();
    let ttl = Some(ttl).filter(|ttl| !ttl.is_empty());
    if let Ok(record) = parse_record_text(&apex, name, rtype, ttl, &words) {
        assert!(record.owner.is_within(&apex));
        assert!(record.rdata.len() <= usize::from(u16::MAX));
    }
}
