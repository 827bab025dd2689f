//! One pass over the records of a zone, which makes its keys.
//!
//! Nodes come in canonical order, so that what hides a name, and which empty non-terminals lead to it, is known when
//! its turn comes. Keys are written section by section into one list each, in the order of the store.

use std::iter::Peekable;

use domain::base::iana::Rtype;
use zonecast_records::{ADDRESS_KIND, Path};

use crate::check::check_node;
use crate::emit::{EmitTo, Emitter, Sink};
use crate::entry_list::{EntryList, EntryListBuilder};
use crate::finding::{Finding, Findings, Refused, Report, Rule, Warning};
use crate::node::{Node, NodeAt};
use crate::node_role::{Above, NodeRole};
use crate::pages::Place;
use crate::read_error::ReadError;
use crate::settings::Settings;
use crate::shape::Shape;
use crate::source::SortedSource;
use crate::tally::{KeyChange, Tally};
use crate::tolerance::Tolerance;
use crate::zone_keys::ZoneKeys;

/// How large a zone is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of distinct records.
    pub records: u64,
    /// RRsets, RRSIGs not counted apart.
    pub rrsets: u64,
    /// Published nodes, empty non-terminals included.
    pub nodes: u64,
    /// Number of keys, published and private.
    pub keys: u64,
}

/// The keys of a zone, before they are a build.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Sections of published keys in their order.
    pub(crate) published: [EntryList; 4],
    pub(crate) private: EntryList,
    pub(crate) zone: ZoneKeys,
    pub(crate) warnings: Findings<Warning>,
    pub(crate) counts: Counts,
}

/// Makes the keys of a zone; `report` has what was found before.
pub(crate) fn full_pass(
    source: &SortedSource,
    shape: Shape,
    settings: &Settings,
    report: Report,
) -> Result<Passed, Refused> {
    let mut pass = Pass::new(source, shape, settings.tolerance(), report);
    source.for_each_node(|node, path| pass.node(node, path)).expect("records in memory and keys just made can be read");
    pass.finish(settings)
}

/// Sections that are filled as keys come.
#[derive(Debug, Default)]
struct Sections {
    lists: [EntryListBuilder; 5],
    tally: Tally,
    nodes: u64,
}

impl Sink for Sections {
    fn put(&mut self, place: Place, key: &[u8], value: &[u8]) {
        let section = match place {
            Place::NAME => 0,
            Place::GLUE => 1,
            Place::NSEC => 2,
            Place::NSEC3 => 3,
            _ => 4,
        };
        let Some(list) = self.lists.get_mut(section) else { return };
        list.push(key, value);
        if (matches!(section, 0 | 4) && key.ends_with(&ADDRESS_KIND.to_be_bytes())) || section == 3 {
            self.nodes += u64::from(section == 0);
            self.tally.count(key, value, KeyChange::Comes).expect("keys just made can be read");
        }
    }
}

/// One pass over the nodes of a source.
struct Pass<'s> {
    source: &'s SortedSource,
    shape: Shape,
    tolerance: Tolerance,
    emitter: Emitter,
    sections: Sections,
    report: Report,
    /// The topmost zone cut or DNAME at or before the present node.
    cover: Option<(Path<'s>, Above)>,
    /// Zones hosted here that come at or after the present node, and the last one before them.
    elsewhere: Peekable<std::slice::Iter<'s, Vec<u8>>>,
    last_elsewhere: Option<Path<'s>>,
    last_published: Path<'s>,
    apex: Option<Node<&'s [u8]>>,
    counts: Counts,
}

impl<'s> Pass<'s> {
    fn new(source: &'s SortedSource, shape: Shape, tolerance: Tolerance, report: Report) -> Self {
        Self {
            source,
            shape,
            tolerance,
            emitter: Emitter::new(shape),
            sections: Sections::default(),
            report,
            cover: None,
            elsewhere: source.elsewhere.iter().peekable(),
            last_elsewhere: None,
            last_published: Path::new(&[]).expect("the path of the apex"),
            apex: None,
            counts: Counts::default(),
        }
    }

    fn node(&mut self, node: &mut Node<&'s [u8]>, path: Path<'s>) -> Result<(), ReadError> {
        let (shape, warnings, labels) = (&self.shape, &mut self.report.warnings, node.owner);
        if self.apex.as_ref().is_some_and(|apex| apex.has(Rtype::DNSKEY)) {
            for rtype in &node.overridden {
                let (owner, rule) = (shape.name(path, labels), Warning::OverrideInSigned);
                warnings.push(Finding { owner, rtype: *rtype, location: None, rule });
            }
        }
        node.normalise(|rr| {
            let (owner, rule) = (shape.name(path, labels), Warning::Duplicate);
            warnings.push(Finding { owner, rtype: rr.rtype, location: rr.location, rule });
        });
        self.counts.records += u64::try_from(node.rrs.len()).unwrap_or_default();
        self.counts.rrsets += u64::try_from(node.rrsets().count()).unwrap_or_default();
        let above = self.cover.filter(|(cover, _)| cover.contains(path)).map(|(_, above)| above);
        let elsewhere = self.is_elsewhere(path);
        let at = NodeAt { path, node };
        let role = NodeRole::new(at, above, elsewhere);
        let occluded = role.occluded;
        check_node(at, &role, &self.shape, self.tolerance, &mut self.report);
        if !occluded && node.covers(role.is_apex) {
            self.cover = Some((path, if node.is_cut(role.is_apex) { Above::Cut } else { Above::Dname }));
        }
        if role.is_apex {
            self.apex = Some(node.clone());
        }
        if !self.report.refusals.is_empty() {
            return Ok(());
        }
        if !occluded && node.makes_node() {
            for depth in self.last_published.shared_depth(path) + 1..path.depth() {
                self.emitter.empty_non_terminal(path.ancestor(depth), &mut self.sections);
            }
            self.last_published = path;
        }
        let mut to = EmitTo { sink: &mut self.sections, report: &mut self.report };
        self.emitter.node(at, &role, &mut self.source, &mut to)
    }

    /// Whether another zone that is hosted here answers for a name. Names come in canonical order.
    fn is_elsewhere(&mut self, path: Path<'s>) -> bool {
        while let Some(next) = self.elsewhere.next_if(|next| next.as_slice() <= path.as_bytes()) {
            self.last_elsewhere = Path::new(next);
        }
        self.last_elsewhere.is_some_and(|apex| apex.contains(path))
    }

    fn finish(mut self, settings: &Settings) -> Result<Passed, Refused> {
        let Sections { lists, mut tally, nodes } = self.sections;
        tally.records = self.counts.records;
        let mut refuse = |rtype, rule| {
            self.report.refusals.push(Finding { owner: self.shape.apex, rtype, location: None, rule });
        };
        if self.apex.is_none() {
            refuse(Rtype::SOA, Rule::NoSoa);
            if !self.tolerance.serve_without_ns {
                refuse(Rtype::NS, Rule::NoNs);
            }
        }
        if tally.chains() > zonecast_records::MAX_CHAINS {
            refuse(Rtype::NSEC3, Rule::TooManyChains);
        }
        let warnings = self.report.finish()?;
        let apex = self.apex.expect("its absence is refused");
        let [name, glue, nsec, nsec3, private] = lists.map(EntryList::from);
        // NSEC3 keys come in the order of owner names; with several chains that is not the order of keys.
        let published = [name, glue, nsec, nsec3.sorted()];
        let keys = published.iter().chain([&private]).map(EntryList::len).sum::<usize>() + 2;
        Ok(Passed {
            published,
            private,
            zone: ZoneKeys::new(&self.shape, &apex, &tally, settings),
            warnings,
            counts: Counts { nodes, keys: u64::try_from(keys).unwrap_or_default(), ..self.counts },
        })
    }
}
