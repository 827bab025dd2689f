//! The records of one zone on their way into a full build: collected in any order, kept compactly, sorted once.

use std::collections::BTreeMap;

use domain::base::iana::Rtype;
use zonecast_records::{Name, Path, RecordRef};

use crate::emit::Addresses;
use crate::finding::{Finding, Findings, Location, Report, Rule, Warning};
use crate::layer_change::LayerChange;
use crate::layers::Layers;
use crate::node::{Node, Rr};
use crate::packed::{Packed, glue_of};
use crate::read_error::ReadError;
use crate::settings::Settings;
use crate::shape::Shape;

/// The records of one zone in memory: about 40 bytes each beside RDATA and path, names that follow each other shared.
#[derive(Debug)]
pub struct ZoneSource {
    apex: Name,
    /// Whether some record had the apex as owner, whose letter case is then that of the zone.
    apex_seen: bool,
    /// Paths, each with its owner's labels when not in lower case, and RDATA.
    arena: Vec<u8>,
    items: Vec<Item>,
    /// Records that are not in the zone.
    strays: Findings<()>,
    report: Report,
    path: Vec<u8>,
}

/// One record. Its bytes are in the arena.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// The first bytes of the path, big-endian and filled with zeros: decides most comparisons.
    prefix: u64,
    path_at: usize,
    rdata_at: usize,
    ttl: u32,
    location: Location,
    path_len: u16,
    /// Follows the path; zero when all labels are in lower case.
    owner_len: u16,
    rdata_len: u16,
    rtype: Rtype,
}

impl ZoneSource {
    /// Without records yet.
    #[must_use]
    pub fn new(apex: Name) -> Self {
        let (strays, report) = (Findings::default(), Report::default());
        Self { apex, apex_seen: false, arena: vec![], items: vec![], strays, report, path: vec![] }
    }

    /// The apex.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// How many records it holds, duplicates counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes one record. What is wrong with it comes out of [`ZoneSource::build`].
    pub fn push(&mut self, record: RecordRef<'_>, location: Location) {
        let RecordRef { owner, rtype, ttl, rdata } = record;
        let refusal = |rule| Finding { owner: *owner, rtype, location: Some(location), rule };
        if !owner.is_within(&self.apex) {
            self.strays.push(Finding { owner: *owner, rtype, location: Some(location), rule: () });
            return;
        }
        let Ok(rdata_len) = u16::try_from(rdata.len()) else {
            let total = u64::try_from(rdata.len()).unwrap_or(u64::MAX);
            self.report.refusals.push(refusal(Rule::TooLarge(total)));
            return;
        };
        if owner.label_count() == self.apex.label_count() {
            // The case first in byte order, so that the order of records does not matter.
            if !self.apex_seen || owner.as_wire() < self.apex.as_wire() {
                self.apex = *owner;
            }
            self.apex_seen = true;
        }
        let place = self.place(owner);
        let rdata_at = self.arena.len();
        self.arena.extend_from_slice(rdata);
        self.items.push(Item { rdata_at, ttl, location, rdata_len, rtype, ..place });
    }

    /// The records in order, with what is laid over them, and what is known to be wrong with them.
    pub(crate) fn sorted(mut self, shape: &Shape, settings: &Settings) -> (SortedSource, Report) {
        let arena = &self.arena;
        self.items.sort_by(|one, other| {
            let paths = one.prefix.cmp(&other.prefix).then_with(|| one.path(arena).cmp(other.path(arena)));
            paths.then_with(|| one.rtype.cmp(&other.rtype))
        });
        let mut layers = BTreeMap::new();
        for layer in settings.layers().iter().filter(|layer| layer.owner().is_within(&shape.apex)) {
            let layered: &mut Layered = layers.entry(shape.path_of(layer.owner())).or_default();
            layered.add(layer, shape.apex_labels());
        }
        if settings.zone().flatten {
            layers.entry(vec![]).or_default().flatten = true;
        }
        match settings.tolerance().drop_out_of_zone {
            true => self.report.warnings.extend_as(&self.strays, Warning::OutOfZone),
            false => self.report.refusals.extend_as(&self.strays, Rule::OutOfZone),
        }
        let elsewhere = settings.paths_elsewhere(shape);
        (SortedSource { arena: self.arena, items: self.items, layers, elsewhere }, self.report)
    }

    /// An item with the place of its owner: that of the record before when it is the same.
    fn place(&mut self, owner: &Name) -> Item {
        self.path.clear();
        Path::write(owner, self.apex.label_count(), &mut self.path);
        let labels = labels_below(owner, self.apex.label_count());
        let labels = if labels.iter().any(u8::is_ascii_uppercase) { labels } else { &[] };
        if let Some(last) = self.items.last()
            && last.path(&self.arena) == self.path
            && last.owner(&self.arena) == labels
        {
            return *last;
        }
        let mut prefix = [0; 8];
        prefix.iter_mut().zip(&self.path).for_each(|(to, from)| *to = *from);
        let path_at = self.arena.len();
        self.arena.extend_from_slice(&self.path);
        self.arena.extend_from_slice(labels);
        let short = |len| u16::try_from(len).expect("a path is at most 510 bytes");
        Item {
            prefix: u64::from_be_bytes(prefix),
            path_at,
            rdata_at: 0,
            ttl: 0,
            location: Location::new(0),
            path_len: short(self.path.len()),
            owner_len: short(labels.len()),
            rdata_len: 0,
            rtype: Rtype::A,
        }
    }
}

/// The labels of a name below an apex of so many labels, in wire form without the root's.
pub(crate) fn labels_below(owner: &Name, apex_labels: usize) -> &[u8] {
    let wire = owner.as_wire();
    wire.get(..wire.len().saturating_sub(owner.suffix_wire(apex_labels).len())).unwrap_or_default()
}

impl Item {
    fn path<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        arena.get(self.path_at..self.path_at + usize::from(self.path_len)).unwrap_or_default()
    }

    fn owner<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        let start = self.path_at + usize::from(self.path_len);
        arena.get(start..start + usize::from(self.owner_len)).unwrap_or_default()
    }

    fn rdata<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        arena.get(self.rdata_at..self.rdata_at + usize::from(self.rdata_len)).unwrap_or_default()
    }
}

/// Records in order of path and type.
#[derive(Debug)]
pub(crate) struct SortedSource {
    arena: Vec<u8>,
    items: Vec<Item>,
    layers: BTreeMap<Vec<u8>, Layered>,
    /// What other zones hosted here answer for, each with all beneath it, ascending.
    pub(crate) elsewhere: Vec<Vec<u8>>,
}

/// What is laid over the records of one name.
#[derive(Debug, Default)]
struct Layered {
    /// As [`Node::owner`].
    owner: Vec<u8>,
    overrides: Vec<(Rtype, u32, Vec<Vec<u8>>)>,
    disabled: Vec<(Rtype, Vec<u8>)>,
    addresses: Vec<(Rtype, u32, Vec<u8>)>,
    /// An alias stands for them.
    flatten: bool,
}

impl Layered {
    fn add(&mut self, layer: &LayerChange, apex_labels: usize) {
        let labels = labels_below(layer.owner(), apex_labels);
        if labels.iter().any(u8::is_ascii_uppercase) {
            self.owner = labels.to_vec();
        }
        match layer {
            LayerChange::Override { rtype, ttl, rdatas, .. } => self.overrides.push((*rtype, *ttl, rdatas.clone())),
            LayerChange::Disable { rtype, rdata, .. } => self.disabled.push((*rtype, rdata.clone())),
            LayerChange::Flatten { ttl, a, aaaa, .. } => {
                let both = a.iter().map(|a| (Rtype::A, a)).chain(aaaa.iter().map(|aaaa| (Rtype::AAAA, aaaa)));
                self.addresses.extend(both.map(|(rtype, rdata)| (rtype, *ttl, rdata.clone())));
            }
            LayerChange::Restore { .. } | LayerChange::Enable { .. } => {}
        }
    }

    /// Lays it over the records of its name.
    fn lay_over<'s>(&'s self, node: &mut Node<&'s [u8]>) {
        node.normalise(|_| ());
        let owner = if node.rrs.is_empty() { self.owner.as_slice() } else { node.owner };
        let mut layers = Layers::of(std::mem::take(node));
        for (rtype, rdata) in &self.disabled {
            layers.set_disabled(*rtype, rdata, true);
        }
        for (rtype, ttl, rdatas) in &self.overrides {
            let rr = |rdata: &'s Vec<u8>| Rr { rtype: *rtype, ttl: *ttl, rdata: rdata.as_slice(), location: None };
            layers.set_override(*rtype, rdatas.iter().map(rr).collect());
        }
        for (rtype, ttl, rdata) in &self.addresses {
            layers.addresses.push(Rr { rtype: *rtype, ttl: *ttl, rdata: rdata.as_slice(), location: None });
        }
        *node = layers.into_node(owner, self.flatten);
    }
}

impl SortedSource {
    /// Shows the records of each owner name, in canonical order of names.
    pub(crate) fn for_each_node<'s>(
        &'s self,
        mut visit: impl FnMut(&mut Node<&'s [u8]>, Path<'s>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut node = Node::new(&[][..]);
        let mut layers = self.layers.iter().peekable();
        let as_path = |bytes| Path::new(bytes).expect("paths in the arena were written by us");
        for items in self.items.chunk_by(|one, other| one.path(&self.arena) == other.path(&self.arena)) {
            let path = items.first().map_or(&[][..], |item| item.path(&self.arena));
            while let Some((before, layered)) = layers.next_if(|(layered, _)| layered.as_slice() < path) {
                let mut alone = Node::new(&[][..]);
                layered.lay_over(&mut alone);
                visit(&mut alone, as_path(before))?;
            }
            self.gather(items, &mut node);
            if let Some((_, layered)) = layers.next_if(|(layered, _)| layered.as_slice() == path) {
                layered.lay_over(&mut node);
            }
            visit(&mut node, as_path(path))?;
        }
        for (path, layered) in layers {
            let mut alone = Node::new(&[][..]);
            layered.lay_over(&mut alone);
            visit(&mut alone, as_path(path))?;
        }
        Ok(())
    }

    fn gather<'s>(&'s self, items: &[Item], node: &mut Node<&'s [u8]>) {
        let spelled = items.iter().map(|item| item.owner(&self.arena)).filter(|owner| !owner.is_empty());
        // The case first in byte order, so that the order of records does not matter; lower case is last.
        node.owner = spelled.min().unwrap_or_default();
        node.overridden.clear();
        node.aside.clear();
        node.rrs.clear();
        node.rrs.extend(items.iter().map(|item| Rr {
            rtype: item.rtype,
            ttl: item.ttl,
            rdata: item.rdata(&self.arena),
            location: Some(item.location),
        }));
    }
}

/// In-domain glue out of the sorted records.
impl Addresses for &SortedSource {
    fn addresses(&mut self, path: Path<'_>) -> Result<[Option<Packed>; 2], ReadError> {
        let at = |item: &Item| item.path(&self.arena).cmp(path.as_bytes());
        let start = self.items.partition_point(|item| at(item).is_lt());
        let rest = self.items.get(start..).unwrap_or_default();
        let len = rest.partition_point(|item| at(item).is_eq());
        let mut node = Node::new(&[][..]);
        self.gather(rest.get(..len).unwrap_or_default(), &mut node);
        if let Some(layered) = self.layers.get(path.as_bytes()) {
            layered.lay_over(&mut node);
        }
        node.normalise(|_| ());
        Ok(glue_of(&node))
    }
}
