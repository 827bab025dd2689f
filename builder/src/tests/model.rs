//! A zone as a plain list of records, and what changes mean to it.

use std::collections::BTreeMap;

use domain::base::iana::Rtype;
use zonecast_records::Name;

use super::{Record, soa};
use crate::Change;

/// The records of each name, with its spelling: bytes, since names are equal whatever their letter case.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) apex: Name,
    nodes: BTreeMap<Name, (Vec<u8>, Vec<Data>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Data {
    rtype: Rtype,
    ttl: u32,
    rdata: Vec<u8>,
}

impl Model {
    pub(super) fn new(apex: Name) -> Self {
        let mut model = Self { apex, nodes: BTreeMap::new() };
        model.apply(&Change::Add { owner: apex, rtype: Rtype::SOA, ttl: 300, rdata: soa(u32::MAX - 2) });
        let rdata = b"\x02ns\x00".to_vec();
        model.apply(&Change::Add { owner: apex, rtype: Rtype::NS, ttl: 300, rdata });
        model
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let all = self.nodes.values().flat_map(|(owner, data)| data.iter().map(move |data| (owner, data)));
        let record = |(owner, data): (&Vec<u8>, &Data)| Record {
            owner: owner.clone(),
            rtype: data.rtype.to_int(),
            ttl: data.ttl,
            rdata: data.rdata.clone(),
        };
        all.map(record).collect()
    }

    pub(super) fn apply(&mut self, change: &Change) {
        let owner = *change.owner();
        match change {
            Change::DeleteSubtree { owner } if *owner == self.apex => return,
            Change::DeleteSubtree { owner } => return self.nodes.retain(|name, _| !name.is_within(owner)),
            Change::Rename { owner, to } if owner == &**to => return,
            Change::Rename { owner, to } => {
                let (_, moved) = self.nodes.remove(&owner.to_lowercase()).unwrap_or_default();
                for Data { rtype, ttl, rdata } in moved {
                    self.apply(&Change::Add { owner: **to, rtype, ttl, rdata });
                }
                return;
            }
            _ => {}
        }
        let (_, data) = self.nodes.entry(owner.to_lowercase()).or_insert((owner.as_wire().to_vec(), vec![]));
        match change {
            Change::Add { rtype, ttl, rdata, .. } => {
                data.retain(|old| !old.is(*rtype, rdata));
                data.push(Data { rtype: *rtype, ttl: *ttl, rdata: rdata.clone() });
            }
            Change::Set { rtype, ttl, rdatas, .. } => {
                data.retain(|old| old.rtype != *rtype);
                let mut rdatas = rdatas.clone();
                rdatas.sort();
                for rdata in rdatas {
                    if !data.iter().any(|old| old.is(*rtype, &rdata)) {
                        data.push(Data { rtype: *rtype, ttl: *ttl, rdata });
                    }
                }
            }
            Change::Delete { rtype, rdata, .. } => data.retain(|old| !old.is(*rtype, rdata)),
            Change::DeleteRrset { rtype, .. } => data.retain(|old| old.rtype != *rtype),
            Change::DeleteName { .. } => data.clear(),
            Change::DeleteSubtree { .. } | Change::Rename { .. } => unreachable!("done above"),
        }
        data.sort_by(|one, other| (one.rtype, &one.rdata).cmp(&(other.rtype, &other.rdata)));
        self.nodes.retain(|_, (_, data)| !data.is_empty());
    }

    /// Adds one to the serial.
    pub(super) fn bump(&mut self) {
        self.set_serial(self.serial().unwrap().wrapping_add(1));
    }

    pub(super) fn set_serial(&mut self, serial: u32) {
        let (_, data) = self.nodes.get_mut(&self.apex).unwrap();
        let soa = data.iter_mut().find(|data| data.rtype == Rtype::SOA).unwrap();
        let at = soa.rdata.len() - 20;
        soa.rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    }

    pub(super) fn serial(&self) -> Option<u32> {
        let (_, data) = self.nodes.get(&self.apex)?;
        let soa = data.iter().find(|data| data.rtype == Rtype::SOA)?;
        let at = soa.rdata.len() - 20;
        Some(u32::from_be_bytes(soa.rdata[at..at + 4].try_into().unwrap()))
    }
}

impl Data {
    fn is(&self, rtype: Rtype, rdata: &[u8]) -> bool {
        // Of the types in these tests only those with nothing but names, or names behind small numbers, fold case.
        let folds = matches!(rtype, Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::MX | Rtype::SOA);
        self.rtype == rtype && if folds { self.rdata.eq_ignore_ascii_case(rdata) } else { self.rdata == rdata }
    }
}
