//! Which questions a zone raises: every name and type present, other types there, and misses at every level.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use domain::base::ToName;
use domain::base::iana::Rtype;
use domain::base::name::Label;

use crate::{Name, ZoneData};

/// A question; the class is always IN. Two that differ only in letter case are two questions.
#[derive(Clone, Debug)]
pub struct Question {
    /// Name, in the letter case in which it is asked.
    pub name: Name,
    /// Type.
    pub rtype: Rtype,
}

impl Question {
    fn order(&self) -> (&Name, &[u8], Rtype) {
        (&self.name, self.name.as_slice(), self.rtype)
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Question {}

impl Ord for Question {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Question {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name.fmt_with_dot(), self.rtype)
    }
}

/// How many questions per name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Every common type at every name and miss: for small zones.
    Full,
    /// The types present and a few others: for large zones.
    Narrow,
}

impl Breadth {
    /// Types asked at every name that exists, present or not.
    fn types(self) -> &'static [Rtype] {
        match self {
            Self::Full => &[
                Rtype::A,
                Rtype::AAAA,
                Rtype::NS,
                Rtype::SOA,
                Rtype::CNAME,
                Rtype::DNAME,
                Rtype::MX,
                Rtype::TXT,
                Rtype::SRV,
                Rtype::DS,
                Rtype::NSEC,
                Rtype::DNSKEY,
                Rtype::HTTPS,
                Rtype::RRSIG,
                Rtype::ANY,
                UNKNOWN,
            ],
            Self::Narrow => &[Rtype::A, Rtype::NS, Rtype::DS, Rtype::TXT],
        }
    }

    /// Types asked at names that do not exist.
    fn miss_types(self) -> &'static [Rtype] {
        match self {
            Self::Full => {
                &[Rtype::A, Rtype::TXT, Rtype::MX, Rtype::DS, Rtype::NS, Rtype::CNAME, Rtype::ANY, Rtype::SOA]
            }
            Self::Narrow => &[Rtype::A, Rtype::DS],
        }
    }
}

/// A type without a name, from the private range of RFC 6895.
const UNKNOWN: Rtype = Rtype::from_int(65_280);

/// All questions about a zone, each once, in a fixed order.
#[must_use]
pub fn questions(zone: &ZoneData, breadth: Breadth) -> Vec<Question> {
    let all: BTreeSet<Question> = zone.nodes().flat_map(|(name, _)| questions_at(zone, name, breadth)).collect();
    all.into_iter().collect()
}

/// Those about one name: at it, around it, and around the names that its records lead to.
#[must_use]
pub fn questions_at(zone: &ZoneData, name: &Name, breadth: Breadth) -> Vec<Question> {
    let mut all = Vec::new();
    if let Some(types) = zone.types_at(name) {
        let asked = types.iter().chain(breadth.types());
        all.extend(asked.map(|rtype| Question { name: name.clone(), rtype: *rtype }));
        // One letter case that is not the zone's own.
        let shouted = with_alternating_case(name);
        all.extend(types.iter().take(2).map(|rtype| Question { name: shouted.clone(), rtype: *rtype }));
    }
    let renamed = renamed(zone, name).into_iter();
    all.extend(
        renamed.flat_map(|name| {
            breadth.miss_types().iter().map(move |rtype| Question { name: name.clone(), rtype: *rtype })
        }),
    );
    let targets = zone.records_at(name).filter_map(crate::Rr::target);
    for name in std::iter::once(name.clone()).chain(targets) {
        for miss in misses(&name, &zone.apex, breadth) {
            let known = zone.types_at(&miss).is_some();
            let types = if known { breadth.types() } else { breadth.miss_types() };
            all.extend(types.iter().map(|rtype| Question { name: miss.clone(), rtype: *rtype }));
        }
    }
    all
}

/// Most names that are asked for one step below a DNAME.
const RENAMED: usize = 16;

/// What the DNAME at a name, if there is one, renames into names of the zone, or into one that is missing there; and what
/// another DNAME, or the same, renames into these.
fn renamed(zone: &ZoneData, owner: &Name) -> Vec<Name> {
    let Some(target) = dname(zone, owner) else { return vec![] };
    let beneath = zone.nodes_beneath(&target).take(RENAMED).cloned();
    let renamed = beneath.chain(child(b"x", &target)).filter_map(|to| replace_suffix(&to, &target, owner));
    let once: Vec<Name> = renamed.collect();
    let others = zone.records().filter(|rr| rr.rtype == Rtype::DNAME).take(RENAMED);
    let others: Vec<(&Name, Name)> = others.filter_map(|rr| Some((&rr.owner, rr.target()?))).collect();
    let twice = once.iter().flat_map(|name| {
        let above = others.iter().filter(|(_, target)| name.ends_with(target));
        above.filter_map(|(owner, target)| replace_suffix(name, target, owner))
    });
    let twice: Vec<Name> = twice.collect();
    [once, twice].concat()
}

/// Where the DNAME at a name leads.
fn dname(zone: &ZoneData, owner: &Name) -> Option<Name> {
    zone.records_at(owner).find(|rr| rr.rtype == Rtype::DNAME)?.target()
}

/// The name with another end, if it is not that end itself; RFC 6672 section 2.2, backwards.
fn replace_suffix(name: &Name, from: &Name, to: &Name) -> Option<Name> {
    let kept = name.as_slice().len().checked_sub(from.as_slice().len()).filter(|kept| *kept > 0)?;
    Name::from_octets([name.as_slice().get(..kept)?, to.as_slice()].concat()).ok()
}

/// Names around `name` that hardly exist: right before and after it among its siblings, and below it.
fn misses(name: &Name, apex: &Name, breadth: Breadth) -> Vec<Name> {
    if breadth == Breadth::Narrow {
        return [child(b"x", name), after(name)].into_iter().flatten().collect();
    }
    let mut names: Vec<Option<Name>> = vec![
        child(b"x", name),
        child(b"*", name),
        child(b"a.b", name),
        child(b"x", name).and_then(|below| child(b"\x00y", &below)),
        child(b"*", name).and_then(|below| child(b"x", &below)),
    ];
    if name != apex
        && let Some(parent) = name.iter_suffixes().nth(1).map(|parent| parent.to_vec())
        && let Some(label) = name.iter().next()
    {
        let label = label.as_slice();
        // The next possible sibling, one right before, and one far off.
        names.push(after(name));
        names.push(
            label
                .split_last()
                .and_then(|(last, rest)| child(&[rest, &[last.checked_sub(1)?], &[0xff; 2]].concat(), &parent)),
        );
        names.push(label.split_last().filter(|(_, rest)| !rest.is_empty()).and_then(|(_, rest)| child(rest, &parent)));
        names.push(child(b"zzzz-no-such-name", &parent));
    }
    names.push(Some(name.clone()));
    names.into_iter().flatten().collect()
}

/// The next possible sibling.
fn after(name: &Name) -> Option<Name> {
    let parent = name.iter_suffixes().nth(1)?.to_vec();
    child(&[name.iter().next()?.as_slice(), &[0]].concat(), &parent)
}

fn child(label: &[u8], parent: &Name) -> Option<Name> {
    let label = Label::from_slice(label).ok().filter(|label| !label.is_root())?;
    let mut wire = vec![u8::try_from(label.len()).ok()?];
    wire.extend_from_slice(label.as_slice());
    wire.extend_from_slice(parent.as_slice());
    let mut name = Name::from_octets(wire).ok()?;
    name.make_canonical();
    Some(name)
}

fn with_alternating_case(name: &Name) -> Name {
    // Length bytes are below 64, so they are not letters.
    let mut wire = name.as_slice().to_vec();
    for byte in wire.iter_mut().step_by(2) {
        byte.make_ascii_uppercase();
    }
    Name::from_octets(wire).expect("letter case changes no length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rr;

    #[test]
    fn every_name_and_type_and_misses_at_every_level_are_asked() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let rr = |owner: &str, rtype, rdata: &[u8]| Rr { owner: name(owner), rtype, rdata: rdata.to_vec(), ttl: 1 };
        let records = [rr("test.", Rtype::SOA, &[]), rr("b.ent.test.", Rtype::MX, b"\x00\x01\x04gone\x04test\x00")];
        let zone = ZoneData::new(name("test."), records);
        let all = questions(&zone, Breadth::Full);
        let is_asked = |text: &str, rtype| all.contains(&Question { name: name(text), rtype });
        for asked in
            ["test.", "ent.test.", "b.ent.test.", "x.ent.test.", "b\\000.ent.test.", "*.b.ent.test.", "gone.test."]
        {
            assert!(is_asked(asked, Rtype::MX), "{asked}");
        }
        assert!(is_asked("ent.test.", Rtype::A) && is_asked("test.", Rtype::ANY));
        assert!(all.iter().any(|question| question.name.to_string() != question.name.to_string().to_lowercase()));
        assert!(questions(&zone, Breadth::Narrow).len() < all.len());
    }

    #[test]
    fn names_two_steps_below_a_dname_are_asked() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let rr = |owner: &str, rtype, rdata: &[u8]| Rr { owner: name(owner), rtype, rdata: rdata.to_vec(), ttl: 1 };
        let records = [
            rr("test.", Rtype::SOA, &[]),
            rr("hit.test.", Rtype::A, &[192, 0, 2, 1]),
            rr("d.test.", Rtype::DNAME, b"\x04test\x00"),
            rr("e.test.", Rtype::DNAME, b"\x01d\x04test\x00"),
        ];
        let zone = ZoneData::new(name("test."), records);
        for breadth in [Breadth::Full, Breadth::Narrow] {
            let all = questions(&zone, breadth);
            for asked in ["hit.d.test.", "hit.d.d.test.", "x.d.d.test.", "hit.e.test.", "x.e.test."] {
                assert!(all.contains(&Question { name: name(asked), rtype: Rtype::A }), "{asked}");
            }
        }
    }
}
