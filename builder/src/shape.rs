//! What every key of one zone has in common, and where the RRsets of a node belong.

use domain::base::iana::Rtype;
use domain::utils::base32;
use zonecast_records::{Generation, Name, Path, ZoneId};

use crate::node::{Node, Rr};

/// Identity of a zone in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneIdentity {
    /// Stable identity; the partition of every section.
    pub id: ZoneId,
    /// Where its keys are.
    pub generation: Generation,
}

/// A zone as keys see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// In the case of the source.
    pub(crate) apex: Name,
    pub(crate) identity: ZoneIdentity,
}

/// Where an RRset of a node is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In the zone key.
    Zone,
    /// In the address key of its node.
    Address,
    /// In the address key of its node, as part of the delegation.
    Cut,
    /// Under a key of its own.
    Rrset,
    /// In the section `glue`.
    Glue,
    /// In the section `nsec`.
    Nsec,
    /// In the section `nsec3`.
    Nsec3,
    /// In the core only.
    Hidden,
}

/// What hides a name, if something above it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Above {
    /// A zone cut: addresses here may be glue.
    Cut,
    /// A DNAME: what is asked for here ends elsewhere.
    Dname,
}

/// What decides where the RRsets of one name are kept, and whether they are answered.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) is_apex: bool,
    /// Something above it is a zone cut or has a DNAME.
    pub(crate) occluded: bool,
    /// The topmost such thing is a DNAME.
    pub(crate) below_dname: bool,
    /// Another zone that is hosted here has it.
    pub(crate) elsewhere: bool,
    /// It is a zone cut, and not occluded.
    pub(crate) cut: bool,
    /// The chain its NSEC3 records belong to.
    pub(crate) chain: Option<ChainPlace>,
}

/// Where an NSEC3 key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainPlace {
    pub(crate) algorithm: u8,
    pub(crate) iterations: u16,
    pub(crate) salt: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}

impl Shape {
    /// How many labels every owner name ends with.
    pub(crate) fn apex_labels(&self) -> usize {
        self.apex.label_count()
    }

    /// The path of a name of the zone.
    pub(crate) fn path_of(&self, name: &Name) -> Vec<u8> {
        let mut path = Vec::new();
        Path::write(name, self.apex_labels(), &mut path);
        path
    }

    /// The name at a path, in the given case if there is one. The apex where the parts do not make a name.
    pub(crate) fn name(&self, path: Path<'_>, owner: &[u8]) -> Name {
        let name = if owner.is_empty() {
            path.to_name(&self.apex)
        } else {
            Name::from_wire(&[owner, self.apex.as_wire()].concat())
        };
        name.unwrap_or(self.apex)
    }
}

impl Standing {
    pub(crate) fn new<D: AsRef<[u8]>>(node: &Node<D>, path: Path<'_>, above: Option<Above>, elsewhere: bool) -> Self {
        let is_apex = path.as_bytes().is_empty();
        let chain = ChainPlace::of(path, node.of_type(Rtype::NSEC3));
        let (occluded, below_dname) = (above.is_some(), above == Some(Above::Dname));
        Self { is_apex, occluded, below_dname, elsewhere, cut: !occluded && node.is_cut(is_apex), chain }
    }

    /// Whether another zone that is hosted here answers for an RRset, and this one never. DS at its apex is this
    /// zone's, and so is a delegation to it.
    pub(crate) fn is_elsewhere(&self, rtype: Rtype) -> bool {
        self.elsewhere && !self.occluded && !self.cut && rtype != Rtype::DS
    }

    pub(crate) fn placement(&self, rtype: Rtype) -> Placement {
        match rtype {
            Rtype::NSEC3 if self.chain.is_some() => Placement::Nsec3,
            Rtype::NSEC3 => Placement::Hidden,
            Rtype::A | Rtype::AAAA if self.occluded || self.cut => Placement::Glue,
            Rtype::NSEC if !self.occluded => Placement::Nsec,
            Rtype::NS | Rtype::DS if self.cut => Placement::Cut,
            _ if self.occluded || self.cut => Placement::Hidden,
            Rtype::SOA | Rtype::NS if self.is_apex => Placement::Zone,
            Rtype::A | Rtype::AAAA | Rtype::CNAME => Placement::Address,
            _ => Placement::Rrset,
        }
    }
}

impl ChainPlace {
    /// Where the NSEC3 records of one owner stand; `None` without any, with an owner that is not a hash right below the
    /// apex, or with parameters of several chains.
    fn of<D: AsRef<[u8]>>(path: Path<'_>, rrs: &[Rr<D>]) -> Option<Self> {
        let mut chains = rrs.iter().map(|rr| parameters(rr.rdata.as_ref()));
        let (algorithm, iterations, salt) = chains.next()??;
        if chains.any(|other| other != Some((algorithm, iterations, salt))) {
            return None;
        }
        Some(Self { algorithm, iterations, salt: salt.to_vec(), hash: hash_at(path)? })
    }
}

/// Algorithm, iterations and salt of NSEC3 RDATA, RFC 5155 section 3.2.
fn parameters(rdata: &[u8]) -> Option<(u8, u16, &[u8])> {
    let (&[algorithm, _flags, high, low, salt_len], rest) = rdata.split_first_chunk::<5>()?;
    Some((algorithm, u16::from_be_bytes([high, low]), rest.get(..usize::from(salt_len))?))
}

/// The hash that a path right below the apex spells, RFC 5155 section 3.
pub(crate) fn hash_at(path: Path<'_>) -> Option<Vec<u8>> {
    let label = path.as_bytes().strip_suffix(&[0]).filter(|label| !label.contains(&0))?;
    let hash: Vec<u8> = base32::decode_hex(std::str::from_utf8(label).ok()?).ok()?;
    (hash_label(&hash).as_bytes() == label).then_some(hash)
}

/// The path of the owner that a hash spells.
pub(crate) fn hash_path(hash: &[u8]) -> Vec<u8> {
    [hash_label(hash).as_bytes(), &[0]].concat()
}

/// The label that spells a hash.
fn hash_label(hash: &[u8]) -> String {
    base32::encode_string_hex(hash).to_ascii_lowercase()
}
