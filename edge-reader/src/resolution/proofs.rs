//! What proves to a validator that something is not there: NSEC, RFC 4035 section 3.1.3, or NSEC3, RFC 5155 section 7.2.
//!
//! NSEC records stand under their owners in canonical order and NSEC3 records in that of their hashes, so one ordered
//! read finds the record that matches a name or, where there is none, the one that covers it. A zone that has NSEC
//! records is taken to have a whole chain of them; else its NSEC3PARAM record says which NSEC3 chain it has.

use domain::base::iana::Rtype;
use zonecast_kv_proto::{KeyspaceId, View};
use zonecast_records::{Cut, DnsKey, KEY_PREFIX_LEN, KeySection, Name, Path, RrsetValue};

use crate::FindError;
use crate::finder::{NodeKey, Reads};
use crate::nsec3::{HASH_LEN, Parameters};
use crate::resolution::here::Here;
use crate::resolution::{Damaged, Fit, Part, ResolveError, Sink, Step};
use crate::scratch::Extra;

/// A record that was looked for and said.
#[derive(Clone, Copy, PartialEq)]
enum Written {
    /// There is no such record.
    No,
    /// It is that of the name itself.
    Matches,
    /// It covers the name.
    Covers,
    /// It did not fit: nothing more needs to be looked for.
    Full,
}

/// What a negative answer says.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lacks {
    /// The name has no such type.
    Type,
    /// The wildcard below an encloser of this depth stands for the name and has no such type.
    TypeOfWildcard(usize),
    /// There is no such name, and no wildcard below its closest encloser, which has this depth.
    Name(usize),
}

/// How far up the closest encloser of a name is proved.
#[derive(Clone, Copy, PartialEq)]
enum Encloser {
    /// At this depth.
    Proved(usize),
    /// There is no record of it.
    Unknown,
    /// What proves it does not fit.
    Full,
}

/// Looks for proofs at one place of a chain.
pub(crate) struct Proofs<'a, V, S> {
    pub(crate) here: Here<'a, V>,
    pub(crate) sink: &'a mut S,
    pub(crate) extra: &'a mut Extra,
    pub(crate) count: &'a mut u16,
}

impl<V: View, S: Sink> Proofs<'_, V, S> {
    /// Nothing stands closer to the names that wildcards have made: RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6.
    #[cold]
    pub(crate) fn prove_expansions(mut self) -> Result<Fit, ResolveError> {
        while let Some((name, depth)) = self.extra.expanded.pop() {
            let written = match self.nsec(&name)? {
                Written::No if self.has_nsec3()? => self.nsec3(&self.here.at_depth(&name, depth + 1))?,
                written => written,
            };
            if written == Written::Full {
                return Ok(Fit::Full);
            }
        }
        Ok(Fit::Whole)
    }

    /// The name at hand, or the wildcard that could have made it, is not there or has no such type. RFC 4035 sections
    /// 3.1.3.1, 3.1.3.2 and 3.1.3.4; RFC 5155 sections 7.2.2 to 7.2.5.
    pub(crate) fn prove_absence(mut self, lacks: Lacks) -> Result<(), ResolveError> {
        let encloser = match lacks {
            Lacks::Type => None,
            Lacks::TypeOfWildcard(depth) | Lacks::Name(depth) => Some(depth),
        };
        let (name, apex_labels) = (self.here.name, self.here.zone.apex_labels);
        let wildcard_below = |depth| name.suffix(apex_labels + depth).wildcard_child();
        match self.nsec(name)? {
            Written::Full => {}
            Written::Matches | Written::Covers => {
                if let Some(wildcard) = encloser.and_then(wildcard_below) {
                    self.nsec(&wildcard)?;
                }
            }
            Written::No if self.has_nsec3()? => {
                let depth = encloser.unwrap_or(self.here.depth(name));
                let Encloser::Proved(proved) = self.prove_encloser(name, depth)? else { return Ok(()) };
                match lacks {
                    Lacks::Type => {}
                    // With opt-out it may have no record of its own. One that covers it would prove nothing.
                    Lacks::TypeOfWildcard(depth) => {
                        if let Some(wildcard) = wildcard_below(depth) {
                            self.nsec3_of(&wildcard)?;
                        }
                    }
                    // With opt-out that can be further up than the encloser; a validator asks for the wildcard there.
                    Lacks::Name(_) => {
                        if let Some(wildcard) = wildcard_below(proved) {
                            self.nsec3(&wildcard)?;
                        }
                    }
                }
            }
            Written::No => {}
        }
        Ok(())
    }

    /// The DS set of a delegation, or what says that there is none: RFC 4035 section 3.1.4, RFC 5155 section 7.2.7. One
    /// without signatures is of a zone without, and of no use to a validator.
    pub(crate) fn prove_delegation(mut self, cut: &Cut<'_>, owner: &Name, nsec: bool) -> Result<Fit, ResolveError> {
        let is_full = match &cut.ds {
            Some(rrset) if !rrset.signatures().is_empty() => {
                let step = Step { part: Part::Proof, owner: owner.as_wire(), rtype: Rtype::DS, rrset };
                return Ok(self.sink.put(step)?);
            }
            Some(_) => false,
            None if nsec => self.nsec(owner)? == Written::Full,
            None => self.has_nsec3()? && self.prove_encloser(owner, self.here.depth(owner))? == Encloser::Full,
        };
        Ok(if is_full { Fit::Full } else { Fit::Whole })
    }

    /// Proves the deepest ancestor of a name that an NSEC3 record tells of, down to a depth, and that nothing stands
    /// below it on the way to the name: RFC 5155 section 7.2.1.
    fn prove_encloser(&mut self, name: &Name, depth: usize) -> Result<Encloser, ResolveError> {
        for depth in (0..=depth).rev() {
            let written = match self.nsec3_of(&self.here.at_depth(name, depth))? {
                Written::No => continue,
                Written::Matches | Written::Covers if depth < self.here.depth(name) => {
                    self.nsec3(&self.here.at_depth(name, depth + 1))?
                }
                written => written,
            };
            return Ok(if written == Written::Full { Encloser::Full } else { Encloser::Proved(depth) });
        }
        Ok(Encloser::Unknown)
    }

    /// Whether the zone has an NSEC3 chain; reads its parameters, once in an answer. Asked only where there is no NSEC
    /// record.
    fn has_nsec3(&mut self) -> Result<bool, ResolveError> {
        let Extra { key, value, parameters, .. } = &mut *self.extra;
        if parameters.is_empty() {
            let mut reads = Reads { view: self.here.view, zone: self.here.zone, count: self.count };
            let apex = Path::new(&[]).ok_or(FindError::Inconsistent("the empty path is a path"))?;
            if !reads.node(key, NodeKey::rrset(KeySection::Name, Rtype::NSEC3PARAM), apex, value)? {
                return Ok(false);
            }
            let rrset = RrsetValue::decode(value).map_err(FindError::from)?.rrset;
            let usable = rrset.rdata().iter().find(|rdata| Parameters::read(rdata).is_some());
            parameters.extend_from_slice(usable.unwrap_or_default());
        }
        Ok(!parameters.is_empty())
    }

    /// Writes the NSEC record that matches or covers a name.
    fn nsec(&mut self, name: &Name) -> Result<Written, ResolveError> {
        let apex = self.here.apex();
        let Extra { key, path, value, found, .. } = &mut *self.extra;
        let path = Path::of(name, self.here.zone.apex_labels, path);
        let kind = Rtype::NSEC.to_int();
        let upper = key.path(KeyspaceId::DNS, self.here.zone.generation, KeySection::Nsec, path, kind);
        let lower = upper.get(..KEY_PREFIX_LEN).unwrap_or_default();
        *self.count = self.count.saturating_add(1);
        if !self.here.view.last_in(lower, upper, found, value).map_err(FindError::from)? {
            return Ok(Written::No);
        }
        let place = DnsKey::parse(found).and_then(|key| key.node_path()).map_err(FindError::from)?;
        let owner = place.to_name(&apex).map_err(|_| FindError::Inconsistent("an NSEC record has no name"))?;
        self.write(Rtype::NSEC, owner, owner == *name)
    }

    /// Writes the NSEC3 record that matches or covers a name.
    fn nsec3(&mut self, name: &Name) -> Result<Written, ResolveError> {
        let apex = self.here.apex();
        let Extra { key, value, found, parameters, .. } = &mut *self.extra;
        let Some(chain) = Parameters::read(parameters) else { return Ok(Written::No) };
        let (hash, generation) = (chain.hash(name), self.here.zone.generation);
        // Below the first hash is the last one: the chain is a ring.
        for upper in [hash, [u8::MAX; HASH_LEN]] {
            let upper = key.nsec3(KeyspaceId::DNS, generation, chain.as_key(), &upper);
            let lower = upper.get(..KEY_PREFIX_LEN + chain.key_len()).unwrap_or_default();
            *self.count = self.count.saturating_add(1);
            if self.here.view.last_in(lower, upper, found, value).map_err(FindError::from)? {
                let place = DnsKey::parse(found).map_err(FindError::from)?.path;
                let of = place.last_chunk::<HASH_LEN>().ok_or(FindError::Inconsistent("an NSEC3 key has no hash"))?;
                let (owner, matches) = (crate::nsec3::owner(of, &apex), *of == hash);
                return self.write(Rtype::NSEC3, owner.ok_or(Damaged)?, matches);
            }
        }
        Ok(Written::No)
    }

    /// Writes the NSEC3 record of a name, if it has one.
    fn nsec3_of(&mut self, name: &Name) -> Result<Written, ResolveError> {
        let apex = self.here.apex();
        let Extra { key, value, parameters, .. } = &mut *self.extra;
        let Some(chain) = Parameters::read(parameters) else { return Ok(Written::No) };
        let hash = chain.hash(name);
        let key = key.nsec3(KeyspaceId::DNS, self.here.zone.generation, chain.as_key(), &hash);
        *self.count = self.count.saturating_add(1);
        if !self.here.view.get(key, value).map_err(FindError::from)? {
            return Ok(Written::No);
        }
        let owner = crate::nsec3::owner(&hash, &apex).ok_or(Damaged)?;
        self.write(Rtype::NSEC3, owner, true)
    }

    /// Writes what was read last, once in an answer.
    fn write(&mut self, rtype: Rtype, owner: Name, matches: bool) -> Result<Written, ResolveError> {
        let Extra { value, proved, .. } = &mut *self.extra;
        // A zone below has the same owner for the NSEC at its apex as the zone above has at the cut.
        let proof = (self.here.zone.id, owner);
        let is_new = !proved.contains(&proof);
        if is_new {
            proved.push(proof);
            let rrset = RrsetValue::decode(value).map_err(FindError::from)?.rrset;
            let step = Step { part: Part::Proof, owner: owner.as_wire(), rtype, rrset: &rrset };
            if self.sink.put(step)? == Fit::Full {
                return Ok(Written::Full);
            }
        }
        Ok(if matches { Written::Matches } else { Written::Covers })
    }
}
