//! One node to its keys: the only place where keys of nodes are made, for the full build and the record build alike.

use domain::base::iana::Rtype;
use serde_bytes::Bytes;
use zonecast_kv_proto::{KeyspaceId, MAX_VALUE_LEN};
use zonecast_records::{
    ADDRESS_KIND, AddressValue, AsideRecord, CoreNode, Cut, Glue, KeyBuffer, MAX_ASIDE, Name, OwnTtls, Path,
    RdataListBuilder, RrsetValue, TypeBitmapBuilder,
};

use crate::check::RECORD_HEAD_LEN;
use crate::finding::{Finding, Report, Rule, Warning};
use crate::node::{Aside, NodeAt, Rr, smallest_ttl};
use crate::node_role::{NodeRole, Placement};
use crate::packed::Packed;
use crate::pages::Place;
use crate::read_error::ReadError;
use crate::shape::Shape;

/// More than this can no referral hold.
const MAX_GLUE_LEN: usize = 65_535;

/// Takes keys. Within each section of each keyspace they come in ascending order as long as nodes do, NSEC3 excepted.
pub(crate) trait Sink {
    fn put(&mut self, place: Place, key: &[u8], value: &[u8]);
}

/// Where keys go, and what is found while they are made.
pub(crate) struct EmitTo<'o> {
    pub(crate) sink: &'o mut dyn Sink,
    pub(crate) report: &'o mut Report,
}

/// What a private value is of, and whether its elements are within their limit.
struct PrivateValue {
    kind: u16,
    fits: bool,
}

/// Looks up in-domain glue.
pub(crate) trait Addresses {
    /// The A and AAAA RRsets at a path.
    fn addresses(&mut self, path: Path<'_>) -> Result<[Option<Packed>; 2], ReadError>;
}

/// Makes keys of the nodes of one zone.
#[derive(Debug)]
pub(crate) struct Emitter {
    shape: Shape,
    key: KeyBuffer,
    value: Vec<u8>,
}

impl Emitter {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, key: KeyBuffer::new(), value: Vec::new() }
    }

    /// An empty non-terminal.
    pub(crate) fn empty_non_terminal(&mut self, path: Path<'_>, sink: &mut dyn Sink) {
        self.value.clear();
        AddressValue::new(Bytes::new(&[])).encode_into(&mut self.value);
        self.put(path, Place::NAME, ADDRESS_KIND, sink);
    }

    /// The keys of one normalised node: its RRsets where their [`Placement`] says, and what only the core keeps. Of
    /// the apex, SOA and NS are not among them: they go into the zone key.
    pub(crate) fn node<D: AsRef<[u8]>>(
        &mut self,
        at: NodeAt<'_, D>,
        role: &NodeRole,
        addresses: &mut dyn Addresses,
        to: &mut EmitTo<'_>,
    ) -> Result<(), ReadError> {
        let NodeAt { path, node } = at;
        for rrset in node.rrsets() {
            let place = match role.placement(rrset.rtype) {
                Placement::Rrset => Place::NAME,
                Placement::Nsec => Place::NSEC,
                Placement::Nsec3 => Place::NSEC3,
                Placement::Zone | Placement::Address | Placement::Cut | Placement::Glue | Placement::Hidden => continue,
            };
            self.encode_rrset(&Packed::new(&rrset));
            match &role.chain {
                Some(chain) if place == Place::NSEC3 => {
                    let generation = self.shape.identity.generation;
                    self.key.nsec3(KeyspaceId::DNS, generation, chain.parameters(), &chain.hash);
                    to.sink.put(place, self.key.as_bytes(), &self.value);
                }
                _ => self.put(path, place, rrset.rtype.to_int(), to.sink),
            }
        }
        if role.cut {
            self.cut(at, addresses, to)?;
        } else if !role.occluded && (role.is_apex || node.makes_node()) {
            self.address(at, to.sink);
        }
        if role.cut || role.occluded {
            self.glue(at, to.sink);
        }
        self.core(at, role, to);
        Ok(())
    }

    /// The address key of a node that is no cut.
    fn address<D: AsRef<[u8]>>(&mut self, NodeAt { path, node }: NodeAt<'_, D>, sink: &mut dyn Sink) {
        let listed = node.rrsets().map(|rrset| rrset.rtype).filter(|rtype| *rtype != Rtype::NSEC3);
        // Signatures over nothing make a node, too, and only an empty non-terminal lists no type.
        let orphans = (!node.orphan_sigs().is_empty()).then_some(Rtype::RRSIG);
        let types = TypeBitmapBuilder::from_types(listed.chain(orphans));
        let [a, aaaa, cname] =
            [Rtype::A, Rtype::AAAA, Rtype::CNAME].map(|rtype| node.rrset(rtype).map(|rrset| Packed::new(&rrset)));
        let value = AddressValue {
            a: a.as_ref().map(Packed::as_rrset),
            aaaa: aaaa.as_ref().map(Packed::as_rrset),
            cname: cname.as_ref().map(Packed::as_rrset),
            ..AddressValue::new(types.as_bytes())
        };
        self.value.clear();
        value.encode_into(&mut self.value);
        self.put(path, Place::NAME, ADDRESS_KIND, sink);
    }

    /// The address key of a zone cut.
    fn cut<D: AsRef<[u8]>>(
        &mut self,
        at: NodeAt<'_, D>,
        addresses: &mut dyn Addresses,
        to: &mut EmitTo<'_>,
    ) -> Result<(), ReadError> {
        let NodeAt { path, node } = at;
        let listed = [Rtype::NS, Rtype::DS, Rtype::NSEC].into_iter().filter(|rtype| node.has(*rtype));
        let types = TypeBitmapBuilder::from_types(listed);
        let glue = self.in_domain_glue(at, addresses, to.report)?;
        let ns = node.rrset(Rtype::NS).map(|rrset| Packed::new(&rrset)).unwrap_or_default();
        let ds = node.rrset(Rtype::DS).map(|rrset| Packed::new(&rrset));
        let cut = Cut { ns: ns.as_rrset(), glue: glue.as_bytes(), ds: ds.as_ref().map(Packed::as_rrset) };
        let value = AddressValue { cut: Some(cut), ..AddressValue::new(types.as_bytes()) };
        self.value.clear();
        value.encode_into(&mut self.value);
        self.put(path, Place::NAME, ADDRESS_KIND, to.sink);
        Ok(())
    }

    /// Addresses of the name servers of a cut that lie at or below it, in the order of the NS set.
    fn in_domain_glue<D: AsRef<[u8]>>(
        &self,
        NodeAt { path, node }: NodeAt<'_, D>,
        addresses: &mut dyn Addresses,
        report: &mut Report,
    ) -> Result<RdataListBuilder, ReadError> {
        let mut packed = Vec::new();
        let mut total = 0;
        for rr in node.of_type(Rtype::NS) {
            let Ok(name) = Name::from_wire(rr.rdata.as_ref()) else { continue };
            if !name.is_within(&self.shape.apex) {
                continue;
            }
            let target = self.shape.path_of(&name);
            let Some(target) = Path::new(&target).filter(|target| path.contains(*target)) else { continue };
            let owner = || self.shape.name(path, node.owner.as_ref());
            let finding = |rule| Finding { owner: owner(), rtype: Rtype::NS, location: rr.location, rule };
            let [a, aaaa] = addresses.addresses(target)?;
            if a.is_none() && aaaa.is_none() {
                report.warnings.push(finding(Warning::MissingGlue));
                continue;
            }
            total +=
                [(&a, 4), (&aaaa, 16)].into_iter().map(|(rrset, width)| glue_len(rrset.as_ref(), width)).sum::<usize>();
            if total > MAX_GLUE_LEN {
                let finding =
                    Finding { owner: owner(), rtype: Rtype::NS, location: rr.location, rule: Rule::GlueTooLarge };
                report.refusals.push(finding);
                break;
            }
            packed.push((name, a, aaaa));
        }
        Ok(Cut::pack_glue(packed.iter().map(|(name, a, aaaa)| Glue {
            name: Bytes::new(name.as_wire()),
            a: a.as_ref().map(Packed::as_rrset),
            aaaa: aaaa.as_ref().map(Packed::as_rrset),
        })))
    }

    /// Addresses that are not answered from this zone, under their own name.
    fn glue<D: AsRef<[u8]>>(&mut self, NodeAt { path, node }: NodeAt<'_, D>, sink: &mut dyn Sink) {
        let [a, aaaa] = [Rtype::A, Rtype::AAAA].map(|rtype| node.rrset(rtype).map(|rrset| Packed::new(&rrset)));
        if a.is_none() && aaaa.is_none() {
            return;
        }
        let listed = [(Rtype::A, a.is_some()), (Rtype::AAAA, aaaa.is_some())];
        let types = TypeBitmapBuilder::from_types(listed.into_iter().filter(|(_, has)| *has).map(|(rtype, _)| rtype));
        let value = AddressValue {
            a: a.as_ref().map(Packed::as_rrset),
            aaaa: aaaa.as_ref().map(Packed::as_rrset),
            ..AddressValue::new(types.as_bytes())
        };
        self.value.clear();
        value.encode_into(&mut self.value);
        self.put(path, Place::GLUE, ADDRESS_KIND, sink);
    }

    /// What the published keys cannot say.
    fn core<D: AsRef<[u8]>>(&mut self, at: NodeAt<'_, D>, role: &NodeRole, to: &mut EmitTo<'_>) {
        let NodeAt { path, node } = at;
        let place = Place::CORE;
        let mut ttls = Vec::new();
        for rrs in node.rrs.chunk_by(|one, other| one.rtype == other.rtype) {
            let Some(rtype) = rrs.first().map(|rr| rr.rtype) else { continue };
            if rtype == Rtype::RRSIG {
                let orphans = node.orphan_sigs();
                if let Some(ttl) = orphans.iter().map(|rr| rr.ttl).min() {
                    let own = orphans.iter().map(|rr| rr.ttl).collect();
                    ttls.extend(own_ttls(rtype, ttl, own, vec![]));
                    self.encode_rrset(&Packed::orphans(ttl, &orphans));
                    self.put_private(at, PrivateValue { kind: rtype.to_int(), fits: true }, to);
                }
            } else if let Some(rrset) = node.rrset(rtype) {
                let own = |rrs: &[Rr<D>]| rrs.iter().map(|rr| rr.ttl).collect();
                ttls.extend(own_ttls(rtype, smallest_ttl(rrs), own(rrs), own(rrset.sigs)));
                if role.placement(rtype) == Placement::Hidden {
                    self.encode_rrset(&Packed::new(&rrset));
                    self.put(path, place, rtype.to_int(), to.sink);
                }
            }
        }
        let aside = node.aside.iter().map(|Aside { rr, why }| AsideRecord {
            rtype: rr.rtype.to_int(),
            ttl: rr.ttl,
            rdata: Bytes::new(rr.rdata.as_ref()),
            why: *why as u8,
        });
        let value = CoreNode {
            overridden: node.overridden.iter().map(|rtype| rtype.to_int()).collect(),
            aside: aside.collect(),
            ..CoreNode::new(node.owner.as_ref(), ttls)
        };
        if value.is_empty() || node.is_bare() {
            return;
        }
        let fits = value.aside.len() <= MAX_ASIDE;
        self.value = value.encode();
        self.put_private(at, PrivateValue { kind: ADDRESS_KIND, fits }, to);
    }

    /// Puts what only the core keeps, which no message bounds, and refuses what does not fit: its elements, or its bytes
    /// into a value.
    fn put_private<D: AsRef<[u8]>>(
        &mut self,
        NodeAt { path, node }: NodeAt<'_, D>,
        PrivateValue { kind, fits }: PrivateValue,
        to: &mut EmitTo<'_>,
    ) {
        if fits && self.value.len() <= MAX_VALUE_LEN {
            self.put(path, Place::CORE, kind, to.sink);
            return;
        }
        let owner = self.shape.name(path, node.owner.as_ref());
        let rrs = node.rrs.iter().chain(node.aside.iter().map(|aside| &aside.rr));
        let (rtype, location) = match kind {
            ADDRESS_KIND => (Rtype::ANY, rrs.filter_map(|rr| rr.location).max()),
            _ => (Rtype::RRSIG, node.of_type(Rtype::RRSIG).iter().filter_map(|rr| rr.location).max()),
        };
        to.report.refusals.push(Finding { owner, rtype, location, rule: Rule::NodeTooLarge });
    }

    fn encode_rrset(&mut self, packed: &Packed) {
        self.value.clear();
        RrsetValue::new(packed.as_rrset()).encode_into(&mut self.value);
    }

    fn put(&mut self, path: Path<'_>, place: Place, kind: u16, sink: &mut dyn Sink) {
        self.key.path(place.keyspace, self.shape.identity.generation, place.section, path, kind);
        sink.put(place, self.key.as_bytes(), &self.value);
    }
}

/// What addresses of this width take in a referral at least, their owner compressed to a pointer. That is more than
/// their place in the value of the cut takes, so glue that passes fits there.
fn glue_len(rrset: Option<&Packed>, width: usize) -> usize {
    rrset.map_or(0, |rrset| rrset.data.len() / width * (RECORD_HEAD_LEN + width))
}

/// The TTLs of an RRset where they are not all the same.
fn own_ttls(rtype: Rtype, ttl: u32, records: Vec<u32>, sigs: Vec<u32>) -> Option<OwnTtls> {
    let mixed = |ttls: Vec<u32>| if ttls.iter().all(|own| *own == ttl) { vec![] } else { ttls };
    let own = OwnTtls { rtype: rtype.to_int(), records: mixed(records), sigs: mixed(sigs) };
    (!own.records.is_empty() || !own.sigs.is_empty()).then_some(own)
}
