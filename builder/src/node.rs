//! All records at one owner name: what both builds turn into keys and what is read back from keys.

use std::cmp::Ordering;

use domain::base::iana::Rtype;
use zonecast_records::{NotServed, Path, canonical_rdata_cmp};

use crate::finding::Location;

/// One record of a node. `D` owns or borrows the RDATA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rr<D> {
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    /// Uncompressed wire form, case as given.
    pub(crate) rdata: D,
    pub(crate) location: Option<Location>,
}

/// Two records are equal wherever they came from.
impl<D: PartialEq> PartialEq for Rr<D> {
    fn eq(&self, other: &Self) -> bool {
        (self.rtype, self.ttl, &self.rdata) == (other.rtype, other.ttl, &other.rdata)
    }
}

impl<D: AsRef<[u8]>> Rr<D> {
    /// By type, then canonical, then by spelling.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let (one_data, other_data) = (self.rdata.as_ref(), other.rdata.as_ref());
        let canonical =
            self.rtype.cmp(&other.rtype).then_with(|| canonical_rdata_cmp(self.rtype, one_data, other_data));
        canonical.then_with(|| one_data.cmp(other_data))
    }

    /// Whether it is the record of this type and data, RFC 4034 section 6.2.
    pub(crate) fn is(&self, rtype: Rtype, rdata: &[u8]) -> bool {
        self.rtype == rtype && canonical_rdata_cmp(rtype, self.rdata.as_ref(), rdata).is_eq()
    }
}

/// The records at one owner name.
///
/// Invariant after [`Node::normalise`]: records ascend by type, within it in the canonical order of RFC 4034 section
/// 6.3, and no RR stands twice. RRSIGs are so grouped by the type they cover, which their RDATA begins with.
///
/// What is answered is in `rrs`. Where something is laid over the source, the source is what of `rrs` is not overridden,
/// and what is aside; see [`Layers`](crate::layers::Layers).
#[derive(Clone, Debug, Default)]
pub(crate) struct Node<D> {
    /// Labels below the apex in wire form without the root's, in the case of the source; empty when all in lower case.
    pub(crate) owner: D,
    pub(crate) rrs: Vec<Rr<D>>,
    /// Types whose records are not the source's, ascending.
    pub(crate) overridden: Vec<Rtype>,
    /// Records of the source that are not served, ascending as `rrs`.
    pub(crate) aside: Vec<Aside<D>>,
}

/// A record of the source that is not served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aside<D> {
    pub(crate) rr: Rr<D>,
    pub(crate) why: NotServed,
}

impl<D: PartialEq> PartialEq for Node<D> {
    fn eq(&self, other: &Self) -> bool {
        let same = self.rrs == other.rrs && self.overridden == other.overridden && self.aside == other.aside;
        same && (self.is_bare() || self.owner == other.owner)
    }
}

impl<D> Node<D> {
    /// With this owner and nothing else.
    pub(crate) fn new(owner: D) -> Self {
        Self { owner, rrs: Vec::new(), overridden: Vec::new(), aside: Vec::new() }
    }

    /// Whether it has neither records nor anything laid over them.
    pub(crate) fn is_bare(&self) -> bool {
        self.rrs.is_empty() && !self.is_layered()
    }

    /// The CNAME that addresses stand for.
    pub(crate) fn alias(&self) -> Option<&Rr<D>> {
        self.aside.iter().find(|aside| aside.why == NotServed::Flattened).map(|aside| &aside.rr)
    }

    /// Whether something is laid over what the source has, or records of it are not served.
    pub(crate) fn is_layered(&self) -> bool {
        !self.overridden.is_empty() || !self.aside.is_empty()
    }
}

/// A normalised node and where it is in its zone.
#[derive(Debug)]
pub(crate) struct NodeAt<'n, D> {
    pub(crate) path: Path<'n>,
    pub(crate) node: &'n Node<D>,
}

// Not derived: what owns the RDATA need not be `Copy`.
impl<D> Clone for NodeAt<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for NodeAt<'_, D> {}

impl<D> NodeAt<'_, D> {
    pub(crate) fn is_apex(self) -> bool {
        self.path.as_bytes().is_empty()
    }
}

/// An RRset of a node with the RRSIGs that cover it.
#[derive(Debug)]
pub(crate) struct RrsetRef<'n, D> {
    pub(crate) rtype: Rtype,
    /// At least one.
    pub(crate) rrs: &'n [Rr<D>],
    pub(crate) sigs: &'n [Rr<D>],
}

impl<D: AsRef<[u8]>> Node<D> {
    /// Sorts and makes equal RRs one: the spelling first in byte order stays, with the smallest TTL. Shows each RR that
    /// goes.
    pub(crate) fn normalise(&mut self, mut on_duplicate: impl FnMut(&Rr<D>)) {
        if self.rrs.len() < 2 {
            return;
        }
        self.rrs.sort_by(Rr::order);
        self.rrs.dedup_by(|later, kept| {
            let same = kept.is(later.rtype, later.rdata.as_ref());
            if same {
                kept.ttl = kept.ttl.min(later.ttl);
                on_duplicate(later);
            }
            same
        });
    }

    /// The records of one type.
    pub(crate) fn of_type(&self, rtype: Rtype) -> &[Rr<D>] {
        let start = self.rrs.partition_point(|rr| rr.rtype < rtype);
        let rest = self.rrs.get(start..).unwrap_or_default();
        let len = rest.partition_point(|rr| rr.rtype == rtype);
        rest.get(..len).unwrap_or_default()
    }

    /// Whether there is a record of this type.
    pub(crate) fn has(&self, rtype: Rtype) -> bool {
        !self.of_type(rtype).is_empty()
    }

    /// The RRset of a type, if there is one.
    pub(crate) fn rrset(&self, rtype: Rtype) -> Option<RrsetRef<'_, D>> {
        let rrs = self.of_type(rtype);
        (!rrs.is_empty()).then(|| RrsetRef { rtype, rrs, sigs: self.sigs_over(rtype) })
    }

    /// RRsets by ascending type, RRSIGs not among them.
    pub(crate) fn rrsets(&self) -> impl Iterator<Item = RrsetRef<'_, D>> {
        let chunks = self.rrs.chunk_by(|one, other| one.rtype == other.rtype);
        chunks.filter_map(|rrs| {
            let rtype = rrs.first()?.rtype;
            (rtype != Rtype::RRSIG).then(|| RrsetRef { rtype, rrs, sigs: self.sigs_over(rtype) })
        })
    }

    /// RRSIGs over types that are not there.
    pub(crate) fn orphan_sigs(&self) -> Vec<&Rr<D>> {
        self.of_type(Rtype::RRSIG)
            .iter()
            .filter(|sig| !self.has(covered(sig)) || covered(sig) == Rtype::RRSIG)
            .collect()
    }

    /// Whether what lies beneath is not answered from this zone: an NS below the apex, or a DNAME.
    pub(crate) fn covers(&self, is_apex: bool) -> bool {
        self.has(Rtype::DNAME) || self.is_cut(is_apex)
    }

    /// Whether it is a delegation, unless something above hides it.
    pub(crate) fn is_cut(&self, is_apex: bool) -> bool {
        !is_apex && self.has(Rtype::NS)
    }

    /// Whether it makes a node: NSEC3 and signatures over it alone do not, RFC 5155 section 7.2.8.
    pub(crate) fn makes_node(&self) -> bool {
        let of_nsec3 =
            |rr: &Rr<D>| rr.rtype == Rtype::NSEC3 || (rr.rtype == Rtype::RRSIG && covered(rr) == Rtype::NSEC3);
        !self.rrs.iter().all(of_nsec3)
    }

    fn sigs_over(&self, rtype: Rtype) -> &[Rr<D>] {
        let sigs = self.of_type(Rtype::RRSIG);
        let start = sigs.partition_point(|sig| covered(sig) < rtype);
        let rest = sigs.get(start..).unwrap_or_default();
        let len = rest.partition_point(|sig| covered(sig) == rtype);
        rest.get(..len).unwrap_or_default()
    }
}

impl<D: AsRef<[u8]>> RrsetRef<'_, D> {
    /// The smallest TTL of the records, RFC 2181 section 5.2.
    pub(crate) fn ttl(&self) -> u32 {
        smallest_ttl(self.rrs)
    }
}

/// The smallest TTL.
pub(crate) fn smallest_ttl<D>(rrs: &[Rr<D>]) -> u32 {
    rrs.iter().map(|rr| rr.ttl).min().unwrap_or_default()
}

/// The type that an RRSIG covers: the first two bytes of its RDATA.
pub(crate) fn covered<D: AsRef<[u8]>>(sig: &Rr<D>) -> Rtype {
    sig.rdata.as_ref().first_chunk::<2>().map_or(Rtype::RRSIG, |bytes| Rtype::from_int(u16::from_be_bytes(*bytes)))
}
