//! Finds what one zone holds for one name, in the fewest reads.
//!
//! ```text
//! 1. get   the key that has the data: the address key for A, AAAA, CNAME, NS, DS, ANY and RRSIG, else the RRset key
//! 2. seek  <= (name, address): the node itself, or the predecessor, which tells the closest encloser
//! 3. get   the DNAME of the encloser, or the address key of the wildcard below it
//! 4. get   the wildcard's RRset key
//! ```
//! The get comes first because a hit ends the search and a miss costs a Bloom filter; a seek always costs an iterator.

use domain::base::iana::Rtype;
use zonecast_kv_proto::{KeyspaceId, View};
use zonecast_records::{
    ADDRESS_KIND, AddressValue, DnsKey, Generation, KEY_PREFIX_LEN, KeyBuffer, KeySection, Path, Rrset, RrsetValue,
    ZoneValue,
};

use crate::{FindError, Found, Zone};

/// Buffers of a search, one for each read, so that each can lend its bytes to the result.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    key: KeyBuffer,
    direct: Vec<u8>,
    seek_key: Vec<u8>,
    seek_value: Vec<u8>,
    wild_path: Vec<u8>,
    wild: Vec<u8>,
    rrset: Vec<u8>,
}

/// A view, the zone looked into, and the count of reads.
pub(crate) struct Reads<'r, V> {
    pub(crate) view: &'r V,
    pub(crate) zone: &'r Zone,
    pub(crate) count: &'r mut u16,
}

/// One of the keys of a node.
#[derive(Clone, Copy)]
pub(crate) struct NodeKey {
    section: KeySection,
    kind: u16,
}

impl NodeKey {
    /// That of its addresses.
    pub(crate) const ADDRESS: Self = Self::address(KeySection::Name);

    /// That of its addresses, as records of its zone or as glue.
    pub(crate) const fn address(section: KeySection) -> Self {
        Self { section, kind: ADDRESS_KIND }
    }

    /// That of an RRset.
    pub(crate) const fn rrset(section: KeySection, rtype: Rtype) -> Self {
        Self { section, kind: rtype.to_int() }
    }
}

/// Where a type's data is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the zone key.
    Zone,
    /// In the address key, or to be found out from it.
    Address,
    /// Under a key of its own.
    Rrset(KeySection),
}

impl Place {
    fn of(rtype: Rtype, at_apex: bool) -> Self {
        match rtype {
            Rtype::SOA | Rtype::NS if at_apex => Self::Zone,
            Rtype::A | Rtype::AAAA | Rtype::CNAME | Rtype::NS | Rtype::DS | Rtype::ANY | Rtype::RRSIG => Self::Address,
            // NSEC3 owners do not exist as names, RFC 5155 section 7.2.8.
            Rtype::NSEC3 => Self::Address,
            Rtype::NSEC => Self::Rrset(KeySection::Nsec),
            rtype if rtype.to_int() == ADDRESS_KIND => Self::Address,
            _ => Self::Rrset(KeySection::Name),
        }
    }
}

impl<V: View> Reads<'_, V> {
    fn get(&mut self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, FindError> {
        *self.count = self.count.saturating_add(1);
        Ok(self.view.get(key, value)?)
    }

    /// Reads one of the keys of a node.
    pub(crate) fn node(
        &mut self,
        key: &mut KeyBuffer,
        node_key: NodeKey,
        path: Path<'_>,
        value: &mut Vec<u8>,
    ) -> Result<bool, FindError> {
        let NodeKey { section, kind } = node_key;
        self.get(key.path(KeyspaceId::DNS, self.zone.generation, section, path, kind), value)
    }

    /// Reads the zone key, given the apex's path from the root.
    pub(crate) fn zone_key(
        &mut self,
        key: &mut KeyBuffer,
        apex: Path<'_>,
        value: &mut Vec<u8>,
    ) -> Result<(), FindError> {
        let kind = Rtype::SOA.to_int();
        let key = key.path(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone, apex, kind);
        if self.get(key, value)? { Ok(()) } else { Err(FindError::Inconsistent("a zone of the table has no key")) }
    }
}

impl Finder {
    /// What the zone holds at `path`, a path from the root at or below its apex.
    pub(crate) fn find<'s, V: View>(
        &'s mut self,
        mut reads: Reads<'_, V>,
        full: Path<'_>,
        rtype: Rtype,
    ) -> Result<Found<'s>, FindError> {
        if !reads.zone.has_data() {
            return Err(FindError::Inconsistent("the zone has no data, or its zone key is damaged"));
        }
        let Self { key, direct, seek_key, seek_value, wild_path, wild, rrset } = self;
        let Some((apex, path)) = full.split(reads.zone.apex_len) else {
            return Err(FindError::Inconsistent("a name is not in its zone"));
        };
        let node = Node { apex, asked: path, path, wildcard: None };
        let place = Place::of(rtype, path.is_apex());
        let mut value = AddressValue::default();
        let (hit, direct) = {
            let hit = match place {
                Place::Zone => reads.zone_key(key, apex, direct).map(|()| true)?,
                Place::Address => reads.node(key, NodeKey::ADDRESS, path, direct)?,
                Place::Rrset(section) => reads.node(key, NodeKey::rrset(section, rtype), path, direct)?,
            };
            (hit, &*direct)
        };
        match place {
            Place::Zone => return zone_data(direct, rtype),
            Place::Address if hit => {
                value.read(direct)?;
                let found = node.resident(&value, rtype);
                return found.map_or_else(|| node.elsewhere(&value, rtype, &mut reads, key, rrset), Ok);
            }
            Place::Rrset(_) if hit => {
                return Ok(Found::Data { rtype, rrset: RrsetValue::decode(direct)?.rrset, wildcard: None });
            }
            Place::Address | Place::Rrset(_) => {}
        }

        let upper = key.path(KeyspaceId::DNS, reads.zone.generation, KeySection::Name, path, ADDRESS_KIND);
        let lower = upper.get(..KEY_PREFIX_LEN).unwrap_or_default();
        *reads.count = reads.count.saturating_add(1);
        if !reads.view.last_in(lower, upper, seek_key, seek_value)? {
            return Err(FindError::Inconsistent("a zone has no apex"));
        }
        let last = DnsKey::parse(seek_key)?;
        if last.kind != ADDRESS_KIND {
            return Err(FindError::Inconsistent("a node has no address key"));
        }
        let last_path = last.node_path()?;
        let depth = path.shared_depth(last_path);
        // Only a node without published nodes below it can be a cut or have a DNAME, and then it is the predecessor.
        if last_path.as_bytes().len() == path.ancestor(depth).as_bytes().len() {
            value.read(seek_value)?;
            if last_path == path {
                return node.missed(&value, rtype, place);
            }
            if let Some(cut) = value.cut {
                return Ok(Found::Cut { cut, depth, nsec: value.types().contains(Rtype::NSEC) });
            }
            if value.types().contains(Rtype::DNAME) {
                if !reads.node(key, NodeKey::rrset(KeySection::Name, Rtype::DNAME), last_path, rrset)? {
                    return Err(FindError::Inconsistent("a DNAME of the bitmap has no key"));
                }
                return Ok(Found::Dname { rrset: RrsetValue::decode(rrset)?.rrset, depth });
            }
        }
        if !reads.zone.summary.has_wildcard_below(depth) {
            return Ok(Found::NoName { encloser: depth });
        }

        wild_path.clear();
        wild_path.extend_from_slice(path.ancestor(depth).as_bytes());
        wild_path.extend_from_slice(b"*\0");
        let path = Path::new(wild_path).ok_or(FindError::Inconsistent("a path with a wildcard is a path"))?;
        if !reads.node(key, NodeKey::ADDRESS, path, wild)? {
            return Ok(Found::NoName { encloser: depth });
        }
        let node = Node { path, wildcard: Some(depth), ..node };
        value.read(wild)?;
        node.resident(&value, rtype).map_or_else(|| node.elsewhere(&value, rtype, &mut reads, key, rrset), Ok)
    }
}

/// The node that decides.
#[derive(Clone, Copy)]
struct Node<'p> {
    apex: Path<'p>,
    /// Of the name that was asked for, also where a wildcard decides.
    asked: Path<'p>,
    path: Path<'p>,
    /// Depth of the closest encloser when this is the wildcard below it.
    wildcard: Option<usize>,
}

impl Node<'_> {
    /// Decides where the address key alone does not: from its bitmap, and the type's own key, which was not looked for.
    fn elsewhere<'s, V: View>(
        &self,
        value: &AddressValue<'s>,
        rtype: Rtype,
        reads: &mut Reads<'_, V>,
        key: &mut KeyBuffer,
        rrset: &'s mut Vec<u8>,
    ) -> Result<Found<'s>, FindError> {
        let wildcard = self.wildcard;
        let (wanted, section) = match rtype {
            Rtype::ANY | Rtype::RRSIG => match representative(value) {
                Some(Rtype::NSEC) => (Rtype::NSEC, KeySection::Nsec),
                Some(wanted) => (wanted, KeySection::Name),
                None => return Ok(Found::NoData { wildcard }),
            },
            Rtype::NSEC => (rtype, KeySection::Nsec),
            // A DS at the apex belongs to the parent.
            Rtype::DS if self.asked.is_apex() => return Ok(Found::NoData { wildcard }),
            Rtype::NSEC3 => return Ok(Found::NoData { wildcard }),
            _ => (rtype, KeySection::Name),
        };
        if !value.types().contains(wanted) {
            return Ok(Found::NoData { wildcard });
        }
        let found = if self.asked.is_apex() && matches!(wanted, Rtype::SOA | Rtype::NS) {
            reads.zone_key(key, self.apex, rrset)?;
            zone_data(rrset, wanted)?
        } else if reads.node(key, NodeKey::rrset(section, wanted), self.path, rrset)? {
            Found::Data { rtype: wanted, rrset: RrsetValue::decode(rrset)?.rrset, wildcard }
        } else {
            return Err(FindError::Inconsistent("a type of the bitmap has no key"));
        };
        Ok(match found {
            Found::Data { rrset, .. } if rtype == Rtype::RRSIG => signatures(rrset, wildcard),
            found => found,
        })
    }

    /// Decides from the address key, after the type's own key was not there.
    fn missed<'s>(&self, value: &AddressValue<'s>, rtype: Rtype, place: Place) -> Result<Found<'s>, FindError> {
        match self.resident(value, rtype) {
            Some(found) => Ok(found),
            None if place == Place::Address || value.types().contains(rtype) => {
                Err(FindError::Inconsistent("a type of the bitmap has no key"))
            }
            None => Ok(Found::NoData { wildcard: None }),
        }
    }

    /// What the address key says alone; `None` where the bitmap and another key must be asked.
    #[inline]
    fn resident<'s>(&self, value: &AddressValue<'s>, rtype: Rtype) -> Option<Found<'s>> {
        let wildcard = self.wildcard;
        let no_data = Found::NoData { wildcard };
        let data = |rrset: Rrset<'s>| Found::Data { rtype, rrset, wildcard };
        if let Some(cut) = value.cut {
            return Some(match rtype {
                Rtype::DS => cut.ds.map_or(no_data, data),
                Rtype::NSEC if value.types().contains(rtype) => return None,
                _ => Found::Cut { cut, depth: self.asked.depth(), nsec: value.types().contains(Rtype::NSEC) },
            });
        }
        match (rtype, value.cname) {
            (Rtype::CNAME, Some(cname)) => return Some(data(cname)),
            (Rtype::ANY, Some(rrset)) => return Some(Found::Data { rtype: Rtype::CNAME, rrset, wildcard }),
            (Rtype::RRSIG, Some(cname)) => return Some(signatures(cname, wildcard)),
            (Rtype::NSEC, Some(_)) => return None,
            (_, Some(rrset)) => return Some(Found::Alias { rrset, wildcard: self.wildcard }),
            (_, None) => {}
        }
        match rtype {
            Rtype::A => Some(value.a.map_or(no_data, data)),
            Rtype::AAAA => Some(value.aaaa.map_or(no_data, data)),
            Rtype::CNAME => Some(no_data),
            Rtype::ANY | Rtype::RRSIG => {
                let address = value.a.map(|a| (Rtype::A, a)).or(value.aaaa.map(|aaaa| (Rtype::AAAA, aaaa)));
                address.map(|(found, rrset)| match rtype {
                    Rtype::RRSIG => signatures(rrset, wildcard),
                    _ => Found::Data { rtype: found, rrset, wildcard },
                })
            }
            rtype if rtype.to_int() == ADDRESS_KIND => Some(no_data),
            _ => None,
        }
    }
}

/// The type whose RRset stands for all in answers to ANY and RRSIG, where there are neither addresses nor an alias: NSEC
/// where there is nothing else.
fn representative(value: &AddressValue<'_>) -> Option<Rtype> {
    let types = value.types();
    let other = types.iter().find(|rtype| !matches!(*rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3));
    other.or_else(|| types.contains(Rtype::NSEC).then_some(Rtype::NSEC))
}

fn signatures(rrset: Rrset<'_>, wildcard: Option<usize>) -> Found<'_> {
    if rrset.signatures().is_empty() {
        Found::NoData { wildcard }
    } else {
        Found::Data { rtype: Rtype::RRSIG, rrset, wildcard }
    }
}

fn zone_data(value: &[u8], rtype: Rtype) -> Result<Found<'_>, FindError> {
    let zone = ZoneValue::decode(value)?;
    let rrset = if rtype == Rtype::SOA { zone.soa } else { zone.ns };
    // A zone may be served without NS at its apex.
    if rrset.rdata().is_empty() {
        return Ok(Found::NoData { wildcard: None });
    }
    Ok(Found::Data { rtype, rrset, wildcard: None })
}
