//! A zone as a plain list of records, and what changes mean to it.

use std::collections::BTreeMap;

use domain::base::iana::Rtype;
use zonecast_records::Name;

use super::{Record, soa};
use crate::{Change, LayerChange, NameChange, RrsetChange};

/// The records of each name, and what is laid over them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) apex: Name,
    /// Whether an alias at the apex stands for addresses.
    pub(super) flatten: bool,
    nodes: BTreeMap<Name, NodeModel>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct NodeModel {
    /// Its spelling: bytes, since names are equal whatever their letter case.
    owner: Vec<u8>,
    data: Vec<Data>,
    overrides: BTreeMap<u16, Vec<Data>>,
    /// For which an alias stands.
    addresses: Vec<Data>,
}

#[derive(Clone, Debug, PartialEq)]
struct Data {
    rtype: Rtype,
    ttl: u32,
    rdata: Vec<u8>,
    disabled: bool,
}

impl Model {
    pub(super) fn new(apex: Name) -> Self {
        let mut model = Self { apex, flatten: false, nodes: BTreeMap::new() };
        model.apply(&Change::Rrset(RrsetChange::Add {
            owner: apex,
            rtype: Rtype::SOA,
            ttl: 300,
            rdata: soa(u32::MAX - 2),
        }));
        let rdata = b"\x02ns\x00".to_vec();
        model.apply(&Change::Rrset(RrsetChange::Add { owner: apex, rtype: Rtype::NS, ttl: 300, rdata }));
        model
    }

    /// What is answered.
    pub(super) fn records(&self) -> Vec<Record> {
        let answered = |node: &NodeModel| -> Vec<Record> {
            let is_flattened = self.is_flattened(node);
            let source = node.data.iter().filter(|data| node.serves(data));
            let source = source.filter(|data| !(is_flattened && data.rtype == Rtype::CNAME));
            let laid_over = node.overrides.values().flatten().chain(&node.addresses);
            source.chain(laid_over).map(|data| node.record(data)).collect()
        };
        self.nodes.values().flat_map(answered).collect()
    }

    /// What a zone file has.
    pub(super) fn source(&self) -> Vec<Record> {
        self.nodes.values().flat_map(|node| node.data.iter().map(|data| node.record(data))).collect()
    }

    /// What is laid over it, in the order in which it is read back.
    pub(super) fn layers(&self) -> Vec<LayerChange> {
        let layers = |node: &NodeModel| -> Vec<LayerChange> {
            let owner = Name::from_wire(&node.owner).unwrap();
            let disabled = node.data.iter().filter(|data| data.disabled);
            let disabled =
                disabled.map(|data| LayerChange::Disable { owner, rtype: data.rtype, rdata: data.rdata.clone() });
            let overrides = node.overrides.iter().map(|(rtype, data)| LayerChange::Override {
                owner,
                rtype: Rtype::from_int(*rtype),
                ttl: data.first().map_or(0, |data| data.ttl),
                rdatas: data.iter().map(|data| data.rdata.clone()).collect(),
            });
            let of = |rtype| -> Vec<Vec<u8>> {
                node.addresses.iter().filter(|data| data.rtype == rtype).map(|data| data.rdata.clone()).collect()
            };
            let flat = self.is_flattened(node).then(|| LayerChange::Flatten {
                owner,
                ttl: node.addresses.first().map_or(0, |data| data.ttl),
                a: of(Rtype::A),
                aaaa: of(Rtype::AAAA),
            });
            disabled.chain(overrides).chain(flat).collect()
        };
        self.nodes.values().flat_map(layers).collect()
    }

    /// Whether addresses stand for the alias of a node.
    fn is_flattened(&self, node: &NodeModel) -> bool {
        let count = |rtype| node.data.iter().filter(|data| data.rtype == rtype && node.serves(data)).count();
        let is_apex = self.apex.as_wire().eq_ignore_ascii_case(&node.owner);
        let only = count(Rtype::CNAME) == 1 && count(Rtype::A) + count(Rtype::AAAA) == 0;
        self.flatten && is_apex && only
    }

    pub(super) fn apply(&mut self, change: &Change) {
        self.apply_one(change);
        let apex = self.apex.to_lowercase();
        let Some(mut node) = self.nodes.get(&apex).cloned() else { return };
        if !self.is_flattened(&node) {
            node.addresses.clear();
        }
        let NodeModel { addresses, overrides, .. } = &mut node;
        addresses.retain(|data| !overrides.contains_key(&data.rtype.to_int()));
        self.nodes.insert(apex, node);
    }

    fn apply_one(&mut self, change: &Change) {
        let owner = *change.owner();
        match change {
            Change::Name(NameChange::DeleteSubtree { owner }) if *owner == self.apex => return,
            Change::Name(NameChange::DeleteSubtree { owner }) => {
                return self.nodes.retain(|name, _| !name.is_within(owner));
            }
            Change::Name(NameChange::Rename { owner, to }) if owner == &**to => return,
            Change::Name(NameChange::Rename { owner, to }) => {
                let NodeModel { data, overrides, .. } = self.nodes.remove(&owner.to_lowercase()).unwrap_or_default();
                for Data { rtype, ttl, rdata, disabled } in data {
                    self.apply(&Change::Rrset(RrsetChange::Add { owner: **to, rtype, ttl, rdata: rdata.clone() }));
                    if disabled {
                        self.apply(&Change::Layer(LayerChange::Disable { owner: **to, rtype, rdata }));
                    }
                }
                if !overrides.is_empty() {
                    self.node(to).overrides.extend(overrides);
                }
                return;
            }
            _ => {}
        }
        let node = self.node(&owner);
        let data = &mut node.data;
        match change {
            Change::Rrset(RrsetChange::Add { rtype, ttl, rdata, .. }) => {
                data.retain(|old| !old.is(*rtype, rdata));
                data.push(Data { rtype: *rtype, ttl: *ttl, rdata: rdata.clone(), disabled: false });
            }
            Change::Rrset(RrsetChange::Set { rtype, ttl, rdatas, .. }) => {
                data.retain(|old| old.rtype != *rtype);
                data.extend(set(*rtype, *ttl, rdatas));
            }
            Change::Rrset(RrsetChange::Delete { rtype, rdata, .. }) => data.retain(|old| !old.is(*rtype, rdata)),
            Change::Rrset(RrsetChange::DeleteRrset { rtype, .. }) => data.retain(|old| old.rtype != *rtype),
            Change::Name(NameChange::Delete { .. }) => *node = NodeModel::default(),
            Change::Layer(LayerChange::Override { rtype, ttl, rdatas, .. }) => {
                node.overrides.insert(rtype.to_int(), set(*rtype, *ttl, rdatas));
            }
            Change::Layer(LayerChange::Flatten { ttl, a, aaaa, .. }) => {
                node.addresses = [set(Rtype::A, *ttl, a), set(Rtype::AAAA, *ttl, aaaa)].concat();
            }
            Change::Layer(LayerChange::Restore { rtype, .. }) => drop(node.overrides.remove(&rtype.to_int())),
            Change::Layer(LayerChange::Disable { rtype, rdata, .. })
            | Change::Layer(LayerChange::Enable { rtype, rdata, .. }) => {
                let found = data.iter_mut().find(|old| old.is(*rtype, rdata));
                found
                    .into_iter()
                    .for_each(|old| old.disabled = matches!(change, Change::Layer(LayerChange::Disable { .. })));
            }
            Change::Name(NameChange::DeleteSubtree { .. }) | Change::Name(NameChange::Rename { .. }) => {
                unreachable!("done above")
            }
        }
        node.data.sort_by(|one, other| (one.rtype, &one.rdata).cmp(&(other.rtype, &other.rdata)));
        self.nodes.retain(|_, node| !node.data.is_empty() || !node.overrides.is_empty());
    }

    fn node(&mut self, owner: &Name) -> &mut NodeModel {
        let new = || NodeModel { owner: owner.as_wire().to_vec(), ..NodeModel::default() };
        self.nodes.entry(owner.to_lowercase()).or_insert_with(new)
    }

    /// Adds one to the serial.
    pub(super) fn bump(&mut self) {
        self.set_serial(self.serial().unwrap().wrapping_add(1));
    }

    pub(super) fn set_serial(&mut self, serial: u32) {
        let node = self.nodes.get_mut(&self.apex).unwrap();
        let soa = node.data.iter_mut().find(|data| data.rtype == Rtype::SOA).unwrap();
        let at = soa.rdata.len() - 20;
        soa.rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    }

    pub(super) fn serial(&self) -> Option<u32> {
        let soa = self.nodes.get(&self.apex)?.data.iter().find(|data| data.rtype == Rtype::SOA)?;
        let at = soa.rdata.len() - 20;
        Some(u32::from_be_bytes(soa.rdata[at..at + 4].try_into().unwrap()))
    }
}

impl NodeModel {
    /// Whether a record of the source answers, an alias aside.
    fn serves(&self, data: &Data) -> bool {
        !data.disabled && !self.overrides.contains_key(&data.rtype.to_int())
    }

    fn record(&self, data: &Data) -> Record {
        let Data { rtype, ttl, rdata, .. } = data;
        Record { owner: self.owner.clone(), rtype: rtype.to_int(), ttl: *ttl, rdata: rdata.clone() }
    }
}

/// Data of one RRset, each once.
fn set(rtype: Rtype, ttl: u32, rdatas: &[Vec<u8>]) -> Vec<Data> {
    let mut rdatas = rdatas.to_vec();
    rdatas.sort();
    let mut set: Vec<Data> = vec![];
    for rdata in rdatas {
        if !set.iter().any(|old| old.is(rtype, &rdata)) {
            set.push(Data { rtype, ttl, rdata, disabled: false });
        }
    }
    set
}

impl Data {
    fn is(&self, rtype: Rtype, rdata: &[u8]) -> bool {
        // Of the types in these tests only those with nothing but names, or names behind small numbers, fold case.
        let folds = matches!(rtype, Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::MX | Rtype::SOA);
        self.rtype == rtype && if folds { self.rdata.eq_ignore_ascii_case(rdata) } else { self.rdata == rdata }
    }
}
