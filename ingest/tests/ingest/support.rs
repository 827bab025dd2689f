//! Reading text into records that own their parts.

use std::ops::ControlFlow;

use zonecast_ingest::{FileError, FileReport, format_rdata, read_zone_bytes};
use zonecast_records::{Name, RecordRef};

/// A record that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) owner: Name,
    pub(crate) rtype: domain::base::iana::Rtype,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
    pub(crate) line: u32,
}

impl Owned {
    pub(crate) fn as_ref(&self) -> RecordRef<'_> {
        RecordRef { owner: &self.owner, rtype: self.rtype, ttl: self.ttl, rdata: &self.rdata }
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {} {} {}", self.owner, self.ttl, self.rtype, format_rdata(self.rtype, &self.rdata))
    }
}

pub(crate) fn apex() -> Name {
    "example".parse().unwrap()
}

/// Reads text as zone `example`.
pub(crate) fn read(text: &[u8]) -> (Vec<Owned>, Result<FileReport, Vec<FileError>>) {
    let mut records = Vec::new();
    let result = read_zone_bytes("zone", text, &apex(), &mut |record, location| {
        records.push(Owned {
            owner: *record.owner,
            rtype: record.rtype,
            ttl: record.ttl,
            rdata: record.rdata.to_vec(),
            line: location.line,
        });
        ControlFlow::Continue(())
    });
    (records, result)
}
