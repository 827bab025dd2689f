//! Zones from text to keys, the plain way, and answers back to records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::rdata::ComposeRecordData;
use domain::base::{Message, ParsedName, ToName};
use domain::rdata::AllRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use serde_bytes::Bytes;
use zonecast_edge_reader::{Outcome, Reader, Scratch, Transport, ZoneTable};
use zonecast_kv_proto::{KeyspaceId, MemoryView};
use zonecast_records::{
    ADDRESS_KIND, AddressValue, Cut, Generation, Glue, KeyBuffer, KeySection, Name, NameInZone, RdataListBuilder,
    Rrset, RrsetValue, Summary, TypeBitmapBuilder, ZoneId, ZoneValue,
};

pub(crate) const SOA: &str = "@ 900 IN SOA ns.invalid. host.invalid. 1 3600 600 86400 300\n@ 3600 IN NS ns.invalid.\n";

/// One record, compared with letter case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rec {
    pub(crate) owner: Name,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    pub(crate) rdata: Vec<u8>,
}

impl std::fmt::Debug for Rec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.owner, self.ttl, self.rtype, self.rdata.escape_ascii())
    }
}

impl Rec {
    pub(crate) fn target(&self) -> Name {
        Name::from_wire(&self.rdata).unwrap()
    }
}

/// Records of a zone in zone file format.
pub(crate) fn parse(apex: &str, text: &str) -> Vec<Rec> {
    let mut file = Zonefile::from(format!("{text}\n").as_str());
    file.set_origin(apex.parse::<Name>().unwrap().as_domain().to_name());
    file.set_default_class(Class::IN);
    let mut records = Vec::new();
    while let Some(entry) = file.next_entry().unwrap() {
        let Entry::Record(record) = entry else { panic!("only records in tests") };
        let mut rdata = Vec::new();
        record.data().compose_rdata(&mut rdata).unwrap();
        let owner: Vec<u8> = record.owner().to_vec().as_slice().to_vec();
        records.push(Rec {
            owner: Name::from_wire(&owner).unwrap(),
            rtype: record.rtype(),
            ttl: record.ttl().as_secs(),
            rdata,
        });
    }
    records
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) rcode: Rcode,
    pub(crate) aa: bool,
    pub(crate) tc: bool,
    pub(crate) answer: Vec<Rec>,
    pub(crate) authority: Vec<Rec>,
    pub(crate) additional: Vec<Rec>,
    pub(crate) opt: Option<(u16, u8, bool)>,
}

/// Reads a message back.
pub(crate) fn read(bytes: &[u8]) -> Answer {
    let message = Message::from_octets(bytes).unwrap();
    let section = |records: domain::base::message::RecordSection<'_, &[u8]>| {
        let mut out = Vec::new();
        for record in records {
            let record = record.unwrap();
            if record.rtype() == Rtype::OPT {
                continue;
            }
            let record = record.to_any_record::<AllRecordData<_, ParsedName<_>>>().unwrap();
            let mut rdata = Vec::new();
            record.data().compose_rdata(&mut rdata).unwrap();
            out.push(Rec {
                owner: Name::from_wire(record.owner().to_vec().as_slice()).unwrap(),
                rtype: record.rtype(),
                ttl: record.ttl().as_secs(),
                rdata,
            });
        }
        out.sort();
        out
    };
    let header = message.header();
    assert!(header.qr() && !header.ra());
    Answer {
        rcode: header.rcode(),
        aa: header.aa(),
        tc: header.tc(),
        answer: section(message.answer().unwrap()),
        authority: section(message.authority().unwrap()),
        additional: section(message.additional().unwrap()),
        opt: message.opt().map(|opt| (opt.udp_payload_size(), opt.version(), opt.dnssec_ok())),
    }
}

/// A query as a resolver sends it.
pub(crate) fn query(name: &Name, rtype: Rtype, payload: Option<u16>) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(0x1234);
    builder.push((name.as_domain(), rtype)).unwrap();
    let mut builder = builder.additional();
    if let Some(payload) = payload {
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(payload);
                Ok(())
            })
            .unwrap();
    }
    builder.finish()
}

/// Zones in memory, ready to be asked.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) view: MemoryView,
    pub(crate) zones: ZoneTable,
}

impl World {
    pub(crate) fn new(zones: &[(&str, &str)]) -> Self {
        let mut world = Self::default();
        for (apex, text) in zones {
            world.publish(&apex.parse().unwrap(), &parse(apex, text));
        }
        world.zones = ZoneTable::load(&world.view).unwrap();
        world
    }

    /// One zone `example.` with SOA and NS.
    pub(crate) fn example(text: &str) -> Self {
        Self::new(&[("example.", &format!("{SOA}{text}"))])
    }

    pub(crate) fn reader(&self) -> Reader<'_, MemoryView> {
        Reader::new(&self.view, &self.zones)
    }

    pub(crate) fn ask_wire(&self, query: &[u8], transport: Transport) -> (Outcome, Vec<u8>) {
        let mut out = Vec::new();
        let outcome = self.reader().answer(&mut Scratch::new(), query, transport, &mut out);
        (outcome, out)
    }

    pub(crate) fn ask_name(&self, name: &Name, rtype: Rtype) -> (Outcome, Answer) {
        let (outcome, out) = self.ask_wire(&query(name, rtype, None), Transport::Tcp);
        (outcome, read(&out))
    }

    pub(crate) fn ask(&self, name: &str, rtype: Rtype) -> (Outcome, Answer) {
        self.ask_name(&name.parse().unwrap(), rtype)
    }

    pub(crate) fn publish(&mut self, apex: &Name, records: &[Rec]) {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Writer::new(*apex, records, Generation::new(number)).write(&mut self.view, ZoneId::new(number));
    }
}

/// The nodes of one zone.
pub(crate) struct Writer {
    apex: Name,
    generation: Generation,
    nodes: BTreeMap<Name, Vec<Rec>>,
}

fn list(records: &[&Rec]) -> RdataListBuilder {
    RdataListBuilder::from_items(records.iter().map(|record| &record.rdata))
}

fn fixed(records: &[&Rec]) -> Vec<u8> {
    records.iter().flat_map(|record| record.rdata.clone()).collect()
}

fn rrset<'a>(records: &[&Rec], data: &'a [u8]) -> Option<Rrset<'a>> {
    let ttl = records.iter().map(|record| record.ttl).min()?;
    Some(Rrset { ttl, data: Bytes::new(data), sigs: Bytes::new(&[]) })
}

impl Writer {
    pub(crate) fn new(apex: Name, records: &[Rec], generation: Generation) -> Self {
        let mut nodes: BTreeMap<Name, Vec<Rec>> = BTreeMap::new();
        for record in records {
            nodes.entry(record.owner).or_default().push(record.clone());
        }
        Self { apex, generation, nodes }
    }

    fn of(&self, name: &Name, rtype: Rtype) -> Vec<&Rec> {
        self.nodes.get(name).into_iter().flatten().filter(|record| record.rtype == rtype).collect()
    }

    fn is_cut(&self, name: &Name) -> bool {
        *name != self.apex && !self.of(name, Rtype::NS).is_empty()
    }

    fn is_occluded(&self, name: &Name) -> bool {
        let above = (self.apex.label_count()..name.label_count()).map(|count| name.suffix(count));
        above.into_iter().any(|above| self.is_cut(&above) || !self.of(&above, Rtype::DNAME).is_empty())
    }

    fn write(&self, view: &mut MemoryView, id: ZoneId) {
        let apex_labels = self.apex.label_count();
        let mut published = BTreeSet::new();
        for name in self.nodes.keys().filter(|name| !self.is_occluded(name)) {
            published.extend((apex_labels..=name.label_count()).map(|count| name.suffix(count)));
        }
        let mut summary = Summary::default();
        for name in &published {
            if name.is_wildcard() && name.label_count() > apex_labels {
                summary.wildcards |= Summary::bit(name.label_count() - 1 - apex_labels);
            }
            self.write_node(view, name);
        }
        let mut key = KeyBuffer::new();
        for name in self.nodes.keys().filter(|name| self.is_occluded(name) || self.is_cut(name)) {
            let (a, aaaa) = (self.of(name, Rtype::A), self.of(name, Rtype::AAAA));
            if !a.is_empty() || !aaaa.is_empty() {
                let (a_data, aaaa_data) = (fixed(&a), fixed(&aaaa));
                let types = TypeBitmapBuilder::default();
                let value = AddressValue {
                    a: rrset(&a, &a_data),
                    aaaa: rrset(&aaaa, &aaaa_data),
                    ..AddressValue::new(types.as_bytes())
                };
                let place = NameInZone { name, apex_labels };
                key.node(KeyspaceId::DNS, self.generation, KeySection::Glue, place, ADDRESS_KIND);
                view.insert(key.as_bytes(), &value.encode());
            }
        }
        let (soa, ns) = (self.of(&self.apex, Rtype::SOA), self.of(&self.apex, Rtype::NS));
        let (soa_list, ns_list) = (list(&soa), list(&ns));
        let value = ZoneValue {
            summary,
            soa: rrset(&soa, soa_list.as_bytes()).unwrap(),
            ns: rrset(&ns, ns_list.as_bytes()).unwrap_or_default(),
            ..ZoneValue::new(&self.apex, id, self.generation)
        };
        view.insert(key.zone(KeyspaceId::DNS, &self.apex), &value.encode());
    }

    fn write_node(&self, view: &mut MemoryView, name: &Name) {
        let at_apex = *name == self.apex;
        let mut types: Vec<Rtype> = self.nodes.get(name).into_iter().flatten().map(|record| record.rtype).collect();
        types.sort_unstable();
        types.dedup();
        let mut key = KeyBuffer::new();
        let apex_labels = self.apex.label_count();
        let cut = self.is_cut(name);
        if cut {
            types.retain(|rtype| matches!(*rtype, Rtype::NS | Rtype::DS | Rtype::NSEC));
        }
        let bitmap = TypeBitmapBuilder::from_types(types.iter().copied());
        let (ns, ds) = (self.of(name, Rtype::NS), self.of(name, Rtype::DS));
        let (ns_list, ds_list) = (list(&ns), list(&ds));
        let glue = self.glue(name, &ns);
        let (a, aaaa, cname) = (self.of(name, Rtype::A), self.of(name, Rtype::AAAA), self.of(name, Rtype::CNAME));
        let (a_data, aaaa_data, cname_list) = (fixed(&a), fixed(&aaaa), list(&cname));
        let plain = AddressValue::new(bitmap.as_bytes());
        let value = if cut {
            let ns = rrset(&ns, ns_list.as_bytes()).unwrap();
            AddressValue { cut: Some(Cut { ns, glue: glue.as_bytes(), ds: rrset(&ds, ds_list.as_bytes()) }), ..plain }
        } else {
            AddressValue {
                a: rrset(&a, &a_data),
                aaaa: rrset(&aaaa, &aaaa_data),
                cname: rrset(&cname, cname_list.as_bytes()),
                ..plain
            }
        };
        key.node(KeyspaceId::DNS, self.generation, KeySection::Name, NameInZone { name, apex_labels }, ADDRESS_KIND);
        view.insert(key.as_bytes(), &value.encode());
        let resident = [Rtype::A, Rtype::AAAA, Rtype::CNAME];
        for rtype in types.iter().filter(|rtype| (!cut || **rtype == Rtype::NSEC) && !resident.contains(rtype)) {
            if at_apex && matches!(*rtype, Rtype::SOA | Rtype::NS) {
                continue;
            }
            let records = self.of(name, *rtype);
            let data = list(&records);
            let section = if *rtype == Rtype::NSEC { KeySection::Nsec } else { KeySection::Name };
            key.node(KeyspaceId::DNS, self.generation, section, NameInZone { name, apex_labels }, rtype.to_int());
            view.insert(key.as_bytes(), &RrsetValue::new(rrset(&records, data.as_bytes()).unwrap()).encode());
        }
    }

    fn glue(&self, cut: &Name, ns: &[&Rec]) -> RdataListBuilder {
        let mut packed = RdataListBuilder::new();
        for record in ns {
            let target = record.target();
            let (a, aaaa) = (self.of(&target, Rtype::A), self.of(&target, Rtype::AAAA));
            if target.is_within(cut) && (!a.is_empty() || !aaaa.is_empty()) {
                let (a_data, aaaa_data) = (fixed(&a), fixed(&aaaa));
                let (a, aaaa) = (rrset(&a, &a_data), rrset(&aaaa, &aaaa_data));
                let glue = Cut::pack_glue([Glue { name: Bytes::new(target.as_wire()), a, aaaa }]);
                let whole: Vec<u8> = glue.as_bytes().to_vec();
                packed.push(&whole[2..]);
            }
        }
        packed
    }
}

/// The same query with an option, behind its OPT record without any.
pub(crate) fn with_option(mut query: Vec<u8>, code: u8, data: &[u8]) -> Vec<u8> {
    let len = u8::try_from(data.len()).unwrap();
    let at = query.len();
    query[at - 1] += len + 4;
    query.extend([0, code, 0, len]);
    query.extend(data);
    query
}
