//! Changes to a present zone as the batch that makes its keys those of a full build.
//!
//! ```text
//! changes -> touched names: their records before and after
//!         -> names beneath a cut or DNAME that comes or goes
//!         -> cuts whose glue changed
//!         -> empty non-terminals that come or go with their descendants
//!         -> all of these made into keys anew, compared with the present ones
//! ```
//! Names whose records did not change and that none of this reaches are never read.

use std::collections::{BTreeMap, BTreeSet};

use domain::base::Serial;
use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, Key, KeyspaceId, MAX_BATCH_LEN, Op, Value, View};
use zonecast_records::{KeySection, Name, Path, SerialPolicy};

use crate::change::{Change, ChangeError, SerialTime};
use crate::check::check_node;
use crate::emit::{Addresses, Emitter, Packed, Sink};
use crate::finding::{Finding, Findings, Location, Oddity, Report, Rule};
use crate::full_build::op_len;
use crate::layers::Layers;
use crate::node::{Node, Rr, smallest_ttl};
use crate::present::{OwnedNode, PresentNode};
use crate::read_error::ReadError;
use crate::reader::{Cover, Reader};
use crate::shape::{Above, Shape, Standing, hash_at};
use crate::signed::{check_signatures, is_signed};
use crate::source::labels_below;
use crate::tally::{Tally, Turn};
use crate::tolerance::Tolerance;
use crate::undo::Undo;
use crate::zone_keys::{PresentZone, ZoneKeys, batch_of};

/// Room that other sections and the envelope of a batch may take.
const BATCH_RESERVE: usize = 64 * 1024;

/// What changes come to.
#[derive(Clone, Debug)]
pub struct RecordBuild {
    /// Makes the present keys those of the changed zone; empty when nothing changed.
    pub batch: Batch,
    /// Serial of the zone afterwards.
    pub serial: Serial,
    /// What is odd at the names of the changes.
    pub warnings: Findings<Oddity>,
    /// What takes it back.
    pub undo: Undo,
    /// Whether the zone already was as the changes want it.
    pub unchanged: bool,
    /// How many records the zone had, and has afterwards.
    pub records: RecordCounts,
}

/// How many records a zone has before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCounts {
    /// Before.
    pub before: u64,
    /// Afterwards.
    pub after: u64,
}

/// Turns changes to the zone at `apex`, done in order and as one, into a batch. The location of a finding is the place
/// of its change in the list. `now` is for zones whose serials show the time.
///
/// # Errors
/// The changed zone would break a rule, the present keys could not be read, or the change is too large for a batch.
pub fn record_build(
    view: &dyn View,
    apex: &Name,
    changes: &[Change],
    now: SerialTime,
) -> Result<RecordBuild, ChangeError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let mut building = Building::new(Reader::new(view, &zone), &zone);
    building.apply(changes)?;
    let serial = building.settle_serial(zone.settings.zone().serial, now)?;
    if building.unchanged() {
        let warnings = building.report.finish()?;
        let undo = Undo::new(zone.shape.identity, &zone.keys.published, serial.into_int());
        let records = RecordCounts { before: zone.tally.records, after: zone.tally.records };
        return Ok(RecordBuild { batch: Batch::default(), serial, warnings, undo, unchanged: true, records });
    }
    let records = building.count_records(&zone)?;
    building.reach_beneath()?;
    building.reach_cuts()?;
    building.settle_occlusion()?;
    let published = building.find_empty_non_terminals()?;
    let output = building.emit(&published)?;
    let undo = Undo::new(zone.shape.identity, &zone.keys.published, serial.into_int());
    let (batch, undo) = output.into_batch(&zone, &building, (undo, records.after))?;
    let warnings = building.report.finish()?;
    Ok(RecordBuild { batch, serial, warnings, undo, unchanged: false, records })
}

/// A name whose keys are made anew.
#[derive(Debug)]
struct Work {
    present: PresentNode,
    before: OwnedNode,
    after: OwnedNode,
    /// A change names it, so that its findings matter.
    touched: bool,
    /// What above it hides it afterwards; known once all names are here.
    above: Option<Above>,
    /// Another zone that is hosted here answers for it; known for names that a change names.
    elsewhere: bool,
}

impl Work {
    /// Afterwards.
    fn standing(&self, path: Path<'_>) -> Standing {
        Standing::new(&self.after, path, self.above, self.elsewhere)
    }
}

struct Building<'v> {
    reader: Reader<'v>,
    shape: Shape,
    work: BTreeMap<Vec<u8>, Work>,
    report: Report,
    /// An alias at the apex stands for addresses.
    flatten: bool,
}

/// Empty non-terminals afterwards, and the present keys of names that were or become one without being in the work.
#[derive(Debug, Default)]
struct EmptyNonTerminals {
    after: BTreeSet<Vec<u8>>,
    others: Vec<PresentNode>,
}

/// Keys before and after.
#[derive(Debug, Default)]
struct Output {
    before: BTreeMap<Vec<u8>, Vec<u8>>,
    after: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Sink for Output {
    fn put(&mut self, _: (KeyspaceId, KeySection), key: &[u8], value: &[u8]) {
        self.after.insert(key.to_vec(), value.to_vec());
    }
}

impl<'v> Building<'v> {
    fn new(reader: Reader<'v>, zone: &PresentZone) -> Self {
        let flatten = zone.settings.zone().flatten;
        Self { reader, shape: zone.shape, work: BTreeMap::new(), report: Report::default(), flatten }
    }

    /// Reads every name of the changes, and the apex, and does the changes to their records.
    fn apply(&mut self, changes: &[Change]) -> Result<(), ChangeError> {
        self.load(Vec::new())?;
        for (number, change) in changes.iter().enumerate() {
            let location = Location::new(u32::try_from(number).unwrap_or(u32::MAX));
            if !self.takes(change.owner(), location) {
                continue;
            }
            match change {
                Change::DeleteSubtree { owner } => self.delete_subtree(change, owner, location)?,
                Change::Rename { owner, to } => self.rename(change, (owner, to), location)?,
                _ => self.apply_one(change, location)?,
            }
        }
        Ok(())
    }

    /// Does a change to the records of its own name, which is in the zone.
    fn apply_one(&mut self, change: &Change, location: Location) -> Result<(), ReadError> {
        let owner = change.owner();
        let path = self.shape.path_of(owner);
        self.load(path.clone())?;
        if let Some(work) = self.work.get_mut(&path) {
            work.touched = true;
            let labels = labels_below(owner, self.shape.apex_labels());
            let flatten = path.is_empty() && self.flatten;
            change.apply(&mut work.after, (labels, flatten), location, &mut self.report);
        }
        Ok(())
    }

    /// Whether a name is in the zone; refuses it otherwise.
    fn takes(&mut self, owner: &Name, location: Location) -> bool {
        let is_within = owner.is_within(&self.shape.apex);
        if !is_within {
            self.refuse(owner, location, Rule::OutOfZone);
        }
        is_within
    }

    fn refuse(&mut self, owner: &Name, location: Location, rule: Rule) {
        let finding = Finding { owner: *owner, rtype: Rtype::ANY, location: Some(location), rule };
        self.report.refusals.push(finding);
    }

    fn delete_subtree(&mut self, change: &Change, owner: &Name, location: Location) -> Result<(), ChangeError> {
        let top = self.shape.path_of(owner);
        if top.is_empty() {
            self.refuse(owner, location, Rule::WholeZone);
            return Ok(());
        }
        self.apply_one(change, location)?;
        let nodes = self.reader.beneath(as_path(&top), MAX_BATCH_LEN)?.ok_or(ChangeError::TooLarge)?;
        for (path, present) in nodes {
            if !self.work.contains_key(&path) {
                self.take(path, present)?;
            }
        }
        let beneath = self.work.range_mut(top.clone()..).take_while(|(path, _)| as_path(&top).contains(as_path(path)));
        for (_, work) in beneath {
            work.touched = true;
            work.after = Node::new(std::mem::take(&mut work.after.owner));
        }
        Ok(())
    }

    fn rename(&mut self, change: &Change, (owner, to): (&Name, &Name), location: Location) -> Result<(), ReadError> {
        if !self.takes(to, location) || owner == to {
            return Ok(());
        }
        let path = self.shape.path_of(owner);
        self.load(path.clone())?;
        let moved = self.work.get(&path).map(|work| work.after.clone()).unwrap_or_default();
        self.apply_one(change, location)?;
        let layers = Layers::of(moved);
        for (rr, disabled) in layers.source {
            let (owner, Rr { rtype, ttl, rdata, .. }) = (*to, rr);
            let disable = disabled.then(|| Change::Disable { owner, rtype, rdata: rdata.clone() });
            self.apply_one(&Change::Add { owner, rtype, ttl, rdata }, location)?;
            disable.iter().try_for_each(|disable| self.apply_one(disable, location))?;
        }
        layers.overrides.into_iter().try_for_each(|(rtype, rrs)| {
            let ttl = smallest_ttl(&rrs);
            let rdatas = rrs.into_iter().map(|rr| rr.rdata).collect();
            self.apply_one(&Change::Override { owner: *to, rtype, ttl, rdatas }, location)
        })
    }

    fn load(&mut self, path: Vec<u8>) -> Result<(), ReadError> {
        if !self.work.contains_key(&path) {
            let present = self.reader.load(as_path(&path))?;
            self.take(path, present)?;
        }
        Ok(())
    }

    fn take(&mut self, path: Vec<u8>, present: PresentNode) -> Result<(), ReadError> {
        let before = self.reader.read(as_path(&path), &present)?;
        let after = before.clone();
        self.work.insert(path, Work { present, after, before, touched: false, above: None, elsewhere: false });
        Ok(())
    }

    fn unchanged(&self) -> bool {
        self.work.values().all(|work| work.before == work.after)
    }

    /// Only names in the work have other records afterwards.
    fn count_records(&self, zone: &PresentZone) -> Result<RecordCounts, ReadError> {
        let sum = |rrs: &dyn Fn(&Work) -> usize| -> u64 {
            self.work.values().map(|work| u64::try_from(rrs(work)).unwrap_or(u64::MAX)).sum()
        };
        let (gone, came) = (sum(&|work| work.before.rrs.len()), sum(&|work| work.after.rrs.len()));
        let before = zone.tally.records;
        let others = before.checked_sub(gone).ok_or_else(|| ReadError::counts(&self.shape.apex))?;
        Ok(RecordCounts { before, after: others.saturating_add(came) })
    }

    /// Raises the serial where that is asked for, and says what it is afterwards.
    fn settle_serial(&mut self, policy: SerialPolicy, now: SerialTime) -> Result<Serial, ReadError> {
        let unchanged = self.unchanged();
        let (shape, report) = (self.shape, &mut self.report);
        let damaged = || ReadError::counts(&shape.apex);
        let apex = self.work.get_mut(&[][..]).ok_or_else(damaged)?;
        let before = soa_serial(&mut apex.before).map(|serial| *serial).ok_or_else(damaged)?;
        let before = u32::from_be_bytes(before);
        // Without a SOA, or with a malformed one, the check of the apex refuses.
        let Some(serial) = soa_serial(&mut apex.after) else { return Ok(Serial(before)) };
        let after = u32::from_be_bytes(*serial);
        if after != before {
            if Serial(after) <= Serial(before) {
                let rule = Oddity::SerialBack;
                report.warnings.push(Finding { owner: shape.apex, rtype: Rtype::SOA, location: None, rule });
            }
            return Ok(Serial(after));
        }
        if unchanged {
            return Ok(Serial(after));
        }
        let raised = raised_serial(after, policy, now);
        *serial = raised.to_be_bytes();
        Ok(Serial(raised))
    }

    /// Takes in every name beneath a cut or DNAME that comes or goes.
    fn reach_beneath(&mut self) -> Result<(), ChangeError> {
        let flipped = |(path, work): (&Vec<u8>, &Work)| {
            let is_apex = path.is_empty();
            (work.before.covers(is_apex) != work.after.covers(is_apex)).then(|| path.clone())
        };
        let flipped: Vec<Vec<u8>> = self.work.iter().filter_map(flipped).collect();
        for above in flipped {
            let nodes = self.reader.beneath(as_path(&above), MAX_BATCH_LEN)?.ok_or(ChangeError::TooLarge)?;
            for (path, present) in nodes {
                if self.work.contains_key(&path) {
                    continue;
                }
                // Its NSEC3 key, if it has one, stands elsewhere.
                match hash_at(as_path(&path)) {
                    Some(_) => self.load(path)?,
                    None => self.take(path, present)?,
                }
            }
        }
        Ok(())
    }

    /// Takes in the cuts above changed addresses: their keys hold copies.
    fn reach_cuts(&mut self) -> Result<(), ReadError> {
        let moved = |work: &Work| {
            [Rtype::A, Rtype::AAAA].iter().any(|rtype| work.before.of_type(*rtype) != work.after.of_type(*rtype))
        };
        let moved: Vec<Vec<u8>> =
            self.work.iter().filter(|(_, work)| moved(work)).map(|(path, _)| path.clone()).collect();
        for path in moved {
            if let Some(cover) = self.topmost_cover(as_path(&path))?
                && cover.is_cut
            {
                self.load(cover.path)?;
            }
        }
        Ok(())
    }

    /// The topmost cut or DNAME above a path afterwards.
    fn topmost_cover(&self, path: Path<'_>) -> Result<Option<Cover>, ReadError> {
        let changed = self.covers_in_work(path).next();
        let others = self.cover_outside_work(path)?;
        Ok([changed, others].into_iter().flatten().min_by_key(|cover| cover.path.len()))
    }

    /// The cut or DNAME above a path that nothing changes.
    fn cover_outside_work(&self, path: Path<'_>) -> Result<Option<Cover>, ReadError> {
        // All that is above a name right below the apex is the apex, which is in the work.
        if path.depth() < 2 {
            return Ok(None);
        }
        Ok(self.reader.cover(path)?.filter(|cover| !self.work.contains_key(&cover.path)))
    }

    /// Cuts and DNAMEs above a path afterwards that are in the work, from the top.
    fn covers_in_work(&self, path: Path<'_>) -> impl Iterator<Item = Cover> {
        (0..path.depth()).filter_map(move |depth| {
            let path = path.ancestor(depth).as_bytes();
            let node = &self.work.get(path)?.after;
            let is_apex = depth == 0;
            node.covers(is_apex).then(|| Cover { path: path.to_vec(), is_cut: node.is_cut(is_apex) })
        })
    }

    /// Finds out for each name whether something hides it afterwards, once.
    fn settle_occlusion(&mut self) -> Result<(), ReadError> {
        let settled = self.work.iter().map(|(path, work)| {
            let path = as_path(path);
            let above = self.topmost_cover(path)?.map(|cover| if cover.is_cut { Above::Cut } else { Above::Dname });
            Ok::<_, ReadError>((above, work.touched && self.is_elsewhere(path)?))
        });
        let settled: Vec<(Option<Above>, bool)> = settled.collect::<Result<_, _>>()?;
        for (work, (above, elsewhere)) in self.work.values_mut().zip(settled) {
            (work.above, work.elsewhere) = (above, elsewhere);
        }
        Ok(())
    }

    /// Whether another zone that is hosted here answers for a name below the apex.
    fn is_elsewhere(&self, path: Path<'_>) -> Result<bool, ReadError> {
        for depth in 1..=path.depth() {
            if self.reader.is_apex(&self.shape.name(path.ancestor(depth), &[]))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether something above a path hides it afterwards.
    fn is_occluded(&self, path: Path<'_>) -> Result<bool, ReadError> {
        if self.covers_in_work(path).next().is_some() {
            return Ok(true);
        }
        Ok(self.cover_outside_work(path)?.is_some())
    }

    /// Whether a name in the work is a published node with data afterwards.
    fn is_published(path: &[u8], work: &Work) -> bool {
        path.is_empty() || (work.after.makes_node() && work.above.is_none())
    }

    fn find_empty_non_terminals(&self) -> Result<EmptyNonTerminals, ReadError> {
        let mut published = BTreeSet::new();
        let mut candidates = BTreeSet::new();
        for (path, work) in &self.work {
            let after = Self::is_published(path, work);
            if after {
                published.insert(path.clone());
            } else {
                candidates.insert(path.clone());
            }
            if after != work.present.has_published_data()? {
                let depth = as_path(path).depth();
                candidates.extend((1..depth).map(|depth| as_path(path).ancestor(depth).as_bytes().to_vec()));
            }
        }
        let mut found = EmptyNonTerminals::default();
        for candidate in candidates {
            if published.contains(&candidate) {
                continue;
            }
            let path = as_path(&candidate);
            if !self.work.contains_key(&candidate) {
                let node = self.reader.address_key(path)?;
                if node.has_published_data()? {
                    continue;
                }
                found.others.push(node);
            }
            if !self.is_occluded(path)? && self.has_data_beneath(path, &published)? {
                found.after.insert(candidate);
            }
        }
        Ok(found)
    }

    /// Whether a published node with data stands beneath a path afterwards.
    fn has_data_beneath(&self, path: Path<'_>, published: &BTreeSet<Vec<u8>>) -> Result<bool, ReadError> {
        let after =
            published.range::<[u8], _>((std::ops::Bound::Excluded(path.as_bytes()), std::ops::Bound::Unbounded));
        if after.map(|other| as_path(other)).next().is_some_and(|other| path.contains(other)) {
            return Ok(true);
        }
        self.reader.has_data_beneath(path, |other| self.work.contains_key(other))
    }

    /// Makes the keys of all names in the work anew.
    fn emit(&mut self, ents: &EmptyNonTerminals) -> Result<Output, ReadError> {
        let mut output = Output::default();
        let mut emitter = Emitter::new(self.shape);
        let mut report = std::mem::take(&mut self.report);
        let mut ignored = Report::default();
        // A zone without NS stays so until it gets one, and a change takes none away.
        let serve_without_ns = self.work.get(&[][..]).is_some_and(|apex| !apex.before.has(Rtype::NS));
        let tolerance = Tolerance { serve_without_ns, ..Tolerance::default() };
        let is_signed = self.work.get(&[][..]).is_some_and(|apex| is_signed(&apex.before, &apex.after));
        for (path, work) in &self.work {
            let path = as_path(path);
            let standing = work.standing(path);
            if is_signed {
                let was_published = standing.is_apex || work.present.has_published_data()?;
                let standing = (&standing, was_published);
                check_signatures((&work.before, &work.after, path), standing, &self.shape, &mut report);
            }
            let report = if work.touched { &mut report } else { &mut ignored };
            check_node((&work.after, path), &standing, &self.shape, tolerance, report);
        }
        if report.refusals.is_empty() {
            for (path, work) in &self.work {
                let path = as_path(path);
                let standing = work.standing(path);
                let mut addresses = Afterwards { building: self };
                let report = if work.touched { &mut report } else { &mut ignored };
                emitter.node((&work.after, path), &standing, &mut addresses, (&mut output, report))?;
            }
            for path in &ents.after {
                emitter.empty_non_terminal(as_path(path), &mut output);
            }
        }
        // A cut that no change names may still get more glue than fits.
        ignored.refusals.iter().for_each(|finding| report.refusals.push(*finding));
        self.report = report;
        let present = self.work.values().map(|work| &work.present).chain(&ents.others);
        output.before = present.flat_map(|node| node.entries.iter().cloned()).collect();
        Ok(output)
    }
}

impl Output {
    /// The operations, with the keys of the zone last.
    fn into_batch(
        self,
        zone: &PresentZone,
        building: &Building<'_>,
        (mut undo, records): (Undo, u64),
    ) -> Result<(Batch, Undo), ChangeError> {
        let shape = &building.shape;
        if !building.report.refusals.is_empty() {
            return Ok((Batch::default(), undo));
        }
        let mut tally = zone.tally.clone();
        tally.records = records;
        let mut counted = true;
        let (mut dns, mut core, mut len) = (Vec::new(), Vec::new(), BATCH_RESERVE);
        let mut add = |op: Op, key: &[u8], value_len: usize| {
            len += op_len(key, &[]) + value_len;
            if key.starts_with(&KeyspaceId::DNS.get().to_be_bytes()) { dns.push(op) } else { core.push(op) }
        };
        for (key, value) in &self.before {
            if self.after.get(key) != Some(value) {
                counted &= tally.count(key, value, Turn::Goes)?;
                undo.push(own_key(key), Some(value));
            }
            if !self.after.contains_key(key) {
                add(Op::Delete { key: own_key(key) }, key, 0);
            }
        }
        for (key, value) in &self.after {
            if self.before.get(key) != Some(value) {
                counted &= tally.count(key, value, Turn::Comes)?;
                let stored = Value::new(value.clone()).expect("sizes of values were checked while building");
                if !self.before.contains_key(key) {
                    undo.push(own_key(key), None);
                }
                add(Op::Put { key: own_key(key), value: stored }, key, value.len());
            }
        }
        if !counted {
            return Err(ReadError::counts(&shape.apex).into());
        }
        add_zone_keys(zone, building, &tally, &mut undo, &mut add)?;
        if len > MAX_BATCH_LEN {
            return Err(ChangeError::TooLarge);
        }
        Ok((batch_of(shape.identity.id, dns, core), undo))
    }
}

fn add_zone_keys(
    zone: &PresentZone,
    building: &Building<'_>,
    tally: &Tally,
    undo: &mut Undo,
    add: &mut dyn FnMut(Op, &[u8], usize),
) -> Result<(), ChangeError> {
    let apex = building.work.get(&[][..]).ok_or(ReadError::counts(&building.shape.apex))?;
    if tally.chains() > zonecast_records::MAX_CHAINS {
        let rule = Rule::TooManyChains;
        let finding = Finding { owner: building.shape.apex, rtype: Rtype::NSEC3, location: None, rule };
        let mut report = Report::default();
        report.refusals.push(finding);
        report.finish()?;
    }
    let keys = ZoneKeys::new(&building.shape, &apex.after, tally, &zone.settings);
    for ((key, value), before) in
        keys.entries(&building.shape.apex).into_iter().zip(zone.keys.entries(&zone.shape.apex))
    {
        if (&key, &value) != (&before.0, &before.1) {
            let len = value.as_bytes().len();
            undo.push(before.0, Some(before.1.as_bytes()));
            add(Op::Put { key: key.clone(), value }, key.as_bytes(), len);
        }
    }
    Ok(())
}

/// Glue as it is after the changes.
struct Afterwards<'b, 'v> {
    building: &'b Building<'v>,
}

impl Addresses for Afterwards<'_, '_> {
    fn addresses(&mut self, path: Path<'_>) -> Result<[Option<Packed>; 2], ReadError> {
        match self.building.work.get(path.as_bytes()) {
            Some(work) => Ok(work.after.glue()),
            None => self.building.reader.glue(path),
        }
    }
}

/// The serial after a change, RFC 1982.
pub(crate) fn raised_serial(present: u32, policy: SerialPolicy, now: SerialTime) -> u32 {
    let wanted = match policy {
        SerialPolicy::Keep => return present,
        SerialPolicy::Increment => present,
        SerialPolicy::Date => now.date.wrapping_mul(100),
        SerialPolicy::Unix => now.unix,
    };
    if Serial(wanted) > Serial(present) { wanted } else { present.wrapping_add(1) }
}

/// The serial in the SOA of an apex.
fn soa_serial(apex: &mut OwnedNode) -> Option<&mut [u8; 4]> {
    let Node { rrs, .. } = apex;
    let soa = rrs.iter_mut().find(|rr| rr.rtype == Rtype::SOA)?;
    let start = soa.rdata.len().checked_sub(20)?;
    soa.rdata.get_mut(start..)?.first_chunk_mut::<4>()
}

fn as_path(bytes: &[u8]) -> Path<'_> {
    Path::new(bytes).expect("paths in the work were written by us or parsed")
}

fn own_key(key: &[u8]) -> Key {
    Key::new(key.to_vec()).expect("DNS keys are within the limits of keys")
}
