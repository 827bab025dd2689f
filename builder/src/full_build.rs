//! A whole zone as a sorted stream of keys.
//!
//! Nodes come in canonical order, so that what hides a name, and which empty non-terminals lead to it, is known when
//! its turn comes. Keys are written section by section into one buffer each, in the order of the store.

use std::iter::Peekable;
use std::ops::ControlFlow;

use bytes::Bytes;
use domain::base::Serial;
use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Value, View};
use zonecast_records::{ADDRESS_KIND, Generation, KeySection, Name, Path, ZoneValue, generation_range};

use crate::check::check_node;
use crate::emit::{Emitter, Sink};
use crate::finding::{Finding, Findings, Oddity, Refused, Report, Rule};
use crate::history::laid_over;
use crate::node::Node;
use crate::read_error::ReadError;
use crate::shape::{Above, Shape, Standing, ZoneIdentity};
use crate::source::{Settings, SortedSource};
use crate::tally::{Tally, Turn};
use crate::tolerance::Tolerance;
use crate::undo::Undo;
use crate::zone_keys::{PresentZone, ZoneKeys, batch_of};

/// What an operation takes in an encoded batch beside its key and value, at most.
pub(crate) const OP_OVERHEAD: usize = 16;

/// Where in a key its generation stands: behind the keyspace.
const GENERATION_AT: usize = 2;

/// How large a zone is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Distinct records.
    pub records: u64,
    /// RRsets, RRSIGs not counted apart.
    pub rrsets: u64,
    /// Published nodes, empty non-terminals included.
    pub nodes: u64,
    /// Keys, published and private.
    pub keys: u64,
}

/// The keys of a zone.
#[derive(Debug)]
pub struct FullBuild {
    shape: Shape,
    published: [Shelf; 4],
    private: Shelf,
    zone: ZoneKeys,
    warnings: Findings<Oddity>,
    counts: Counts,
}

/// What it takes to make a present generation equal to a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diff {
    /// This batch, empty when nothing differs, and what takes it back.
    Batch(Batch, Undo),
    /// More than the given limit: build a new generation instead.
    TooLarge,
}

/// Entries of one section in ascending order.
#[derive(Clone, Debug, Default)]
struct Shelf {
    /// Keys and values, one after the other.
    bytes: Bytes,
    /// Lengths of key and value.
    lengths: Vec<(u32, u32)>,
}

/// One entry, sharing the buffer of its section.
type Entry = (Bytes, Bytes);

impl FullBuild {
    pub(crate) fn new(
        source: &SortedSource,
        shape: Shape,
        settings: &Settings,
        report: Report,
    ) -> Result<Self, Refused> {
        let mut pass = Pass::new(source, shape, settings.tolerance(), report);
        source
            .for_each_node(|node, path| pass.node(node, path))
            .expect("records in memory and keys just made can be read");
        pass.finish(settings)
    }

    /// The keys that a zone has after a batch, under another generation. What takes too much at once for one batch is
    /// so built beside what answers, however little of the zone it changes.
    ///
    /// # Errors
    /// There is no such zone, or its keys could not be read.
    pub fn beside(view: &dyn View, apex: &Name, batch: &Batch, generation: Generation) -> Result<Self, ReadError> {
        let overlay = laid_over(batch);
        let view = &overlay.over(view);
        let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
        let published = ZoneValue { generation, ..zone.value()? }.encode();
        let shelf = |keyspace| moved_shelf(view, (keyspace, zone.shape.identity.generation), generation);
        let (published_shelf, private) = (shelf(KeyspaceId::DNS)?, shelf(KeyspaceId::CORE)?);
        let keys = u64::try_from(published_shelf.lengths.len() + private.lengths.len() + 2).unwrap_or_default();
        let identity = ZoneIdentity { generation, ..zone.shape.identity };
        Ok(Self {
            shape: Shape { identity, ..zone.shape },
            // All sections in one, in their order.
            published: [published_shelf, Shelf::default(), Shelf::default(), Shelf::default()],
            private,
            zone: ZoneKeys { published, private: zone.keys.private },
            warnings: Findings::default(),
            counts: Counts { records: zone.tally.records, keys, ..Counts::default() },
        })
    }

    /// The apex in the letter case of the source.
    #[must_use]
    pub fn apex(&self) -> &Name {
        &self.shape.apex
    }

    /// Under which the keys stand.
    #[must_use]
    pub fn identity(&self) -> ZoneIdentity {
        self.shape.identity
    }

    /// What is odd.
    #[must_use]
    pub fn warnings(&self) -> &Findings<Oddity> {
        &self.warnings
    }

    /// How large it is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Serial of the SOA.
    #[must_use]
    pub fn serial(&self) -> Serial {
        ZoneValue::decode(&self.zone.published).and_then(|value| value.serial()).expect("a built zone has a SOA")
    }

    /// Published entries of the generation in ascending order of key; the zone key is not among them.
    pub fn published(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        self.published.iter().flat_map(Shelf::entries)
    }

    /// Private entries of the generation in ascending order of key; the zone's own is not among them.
    pub fn private(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        self.private.entries()
    }

    /// The published and the private key of the zone itself: what makes the generation the present one.
    #[must_use]
    pub fn zone_entries(&self) -> [(Key, Value); 2] {
        self.zone.entries(&self.shape.apex)
    }

    /// The whole zone as batches of about `max_bytes` when encoded. All but the last hold keys of the generation, which
    /// nothing refers to yet; the last ends with the keys of the zone. A zone that fits is one batch.
    pub fn into_batches(self, max_bytes: usize) -> impl Iterator<Item = Batch> {
        let flip = self.zone_entries();
        let id = self.shape.identity.id;
        let mut published = self.published.into_iter().flat_map(Shelf::into_entries).peekable();
        let mut private = self.private.into_entries().peekable();
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let reserved: usize = flip.iter().map(|(key, value)| op_len(key.as_bytes(), value.as_bytes())).sum();
            let mut room = max_bytes.saturating_sub(reserved);
            let mut dns = take_puts(&mut published, &mut room, true);
            let mut core = take_puts(&mut private, &mut room, dns.is_empty());
            if published.peek().is_none() && private.peek().is_none() {
                done = true;
                let [zone, core_zone] = flip.clone().map(|(key, value)| Op::Put { key, value });
                dns.push(zone);
                core.push(core_zone);
            }
            Some(batch_of(id, dns, core))
        })
    }

    /// What makes the generation in `view` equal to this build, which must have been made for that generation.
    ///
    /// # Errors
    /// The view could not be read.
    pub fn diff(&self, view: &dyn View, max_bytes: usize) -> Result<Diff, ReadError> {
        let mut room = max_bytes;
        let entries = self.zone_entries();
        let mut present = Vec::new();
        let [(zone_key, _), _] = &entries;
        view.get(zone_key.as_bytes(), &mut present)?;
        let mut undo = Undo::new(self.shape.identity, &present, self.serial().into_int());
        let mut diff = |keyspace| self.diff_keyspace(view, keyspace, &mut room, &mut undo);
        let (Some(mut dns), Some(mut core)) = (diff(KeyspaceId::DNS)?, diff(KeyspaceId::CORE)?) else {
            return Ok(Diff::TooLarge);
        };
        for (ops, (key, value)) in [&mut dns, &mut core].into_iter().zip(entries) {
            let found = view.get(key.as_bytes(), &mut present)?;
            if !found || present != value.as_bytes() {
                undo.push(key.clone(), found.then_some(present.as_slice()));
                let Some(left) = room.checked_sub(op_len(key.as_bytes(), value.as_bytes())) else {
                    return Ok(Diff::TooLarge);
                };
                room = left;
                ops.push(Op::Put { key, value });
            }
        }
        let batch = batch_of(self.shape.identity.id, dns, core);
        Ok(Diff::Batch(batch, undo))
    }

    /// The operations on one keyspace, or `None` when they take more than `room` bytes.
    fn diff_keyspace(
        &self,
        view: &dyn View,
        keyspace: KeyspaceId,
        room: &mut usize,
        undo: &mut Undo,
    ) -> Result<Option<Vec<Op>>, ReadError> {
        let built: Box<dyn Iterator<Item = Entry>> = match keyspace {
            KeyspaceId::DNS => Box::new(self.published()),
            _ => Box::new(self.private()),
        };
        let mut built = built.peekable();
        let mut ops = Vec::new();
        let mut left = Some(*room);
        let mut add = |op: Op, before: Option<&[u8]>, left: &mut Option<usize>| {
            let (key, len) = match &op {
                Op::Put { key, value } => (key, op_len(key.as_bytes(), value.as_bytes())),
                Op::Delete { key } | Op::DeleteRange { start: key, .. } => (key, op_len(key.as_bytes(), &[])),
            };
            *left = left.and_then(|left| left.checked_sub(len));
            undo.push(key.clone(), before);
            ops.push(op);
        };
        let (start, end) = generation_range(keyspace, self.shape.identity.generation);
        view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| {
            while let Some(entry) = built.next_if(|(built, _)| built.as_ref() < key) {
                add(put(entry), None, &mut left);
            }
            match built.next_if(|(built, _)| built.as_ref() == key) {
                Some((_, built_value)) if built_value == value => {}
                Some(entry) => add(put(entry), Some(value), &mut left),
                None => match Key::new(key.to_vec()) {
                    Ok(key) => add(Op::Delete { key }, Some(value), &mut left),
                    Err(_) => left = None,
                },
            }
            if left.is_none() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        while left.is_some()
            && let Some(entry) = built.next()
        {
            add(put(entry), None, &mut left);
        }
        *room = left.unwrap_or_default();
        Ok(left.map(|_| ops))
    }
}

pub(crate) fn op_len(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + OP_OVERHEAD
}

fn put((key, value): Entry) -> Op {
    Op::Put {
        key: Key::new(key).expect("DNS keys are within the limits of keys"),
        value: Value::new(value).expect("sizes of values were checked while building"),
    }
}

/// Puts while there is room, and at least one where asked for.
fn take_puts(entries: &mut Peekable<impl Iterator<Item = Entry>>, room: &mut usize, at_least_one: bool) -> Vec<Op> {
    let mut ops = Vec::new();
    while let Some((key, value)) = entries.peek() {
        let len = op_len(key, value);
        if *room < len && !(at_least_one && ops.is_empty()) {
            *room = 0;
            break;
        }
        *room = room.saturating_sub(len);
        ops.extend(entries.next().map(put));
    }
    ops
}

impl Shelf {
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        cut(self.bytes.clone(), self.lengths.iter().copied())
    }

    fn into_entries(self) -> impl Iterator<Item = Entry> {
        cut(self.bytes, self.lengths.into_iter())
    }
}

/// Entries of these lengths, one after the other.
fn cut(mut bytes: Bytes, lengths: impl Iterator<Item = (u32, u32)>) -> impl Iterator<Item = Entry> {
    lengths.map(move |(key_len, value_len)| (bytes.split_to(key_len as usize), bytes.split_to(value_len as usize)))
}

/// The entries of a generation, under another one.
fn moved_shelf(
    view: &dyn View,
    (keyspace, generation): (KeyspaceId, Generation),
    to: Generation,
) -> Result<Shelf, ReadError> {
    let (start, end) = generation_range(keyspace, generation);
    let mut buffer = Buffer::default();
    view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| {
        buffer.push(key, value);
        ControlFlow::Continue(())
    })?;
    let mut at = 0;
    for (key_len, value_len) in &buffer.lengths {
        if let Some(number) = buffer.bytes.get_mut(at + GENERATION_AT..at + GENERATION_AT + 8) {
            number.copy_from_slice(&to.get().to_be_bytes());
        }
        at += *key_len as usize + *value_len as usize;
    }
    Ok(buffer.into())
}

/// A shelf being filled.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lengths: Vec<(u32, u32)>,
}

impl Buffer {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let length = |len| u32::try_from(len).expect("keys and values are far below 4 GiB");
        self.lengths.push((length(key.len()), length(value.len())));
    }
}

impl From<Buffer> for Shelf {
    fn from(Buffer { bytes, lengths }: Buffer) -> Self {
        Self { bytes: bytes.into(), lengths }
    }
}

/// Writes sections as their entries come.
#[derive(Debug, Default)]
struct Shelves {
    buffers: [Buffer; 5],
    tally: Tally,
    nodes: u64,
}

impl Sink for Shelves {
    fn put(&mut self, place: (KeyspaceId, KeySection), key: &[u8], value: &[u8]) {
        let shelf = match place {
            (KeyspaceId::DNS, KeySection::Name) => 0,
            (KeyspaceId::DNS, KeySection::Glue) => 1,
            (KeyspaceId::DNS, KeySection::Nsec) => 2,
            (KeyspaceId::DNS, _) => 3,
            _ => 4,
        };
        let Some(buffer) = self.buffers.get_mut(shelf) else { return };
        buffer.push(key, value);
        if (matches!(shelf, 0 | 4) && key.ends_with(&ADDRESS_KIND.to_be_bytes())) || shelf == 3 {
            self.nodes += u64::from(shelf == 0);
            self.tally.count(key, value, Turn::Comes).expect("keys just made can be read");
        }
    }
}

/// One pass over the nodes of a source.
struct Pass<'s> {
    source: &'s SortedSource,
    shape: Shape,
    tolerance: Tolerance,
    emitter: Emitter,
    shelves: Shelves,
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
            shelves: Shelves::default(),
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
                let (owner, rule) = (shape.name(path, labels), Oddity::OverrideInSigned);
                warnings.push(Finding { owner, rtype: *rtype, location: None, rule });
            }
        }
        node.normalise(|rr| {
            let (owner, rule) = (shape.name(path, labels), Oddity::Duplicate);
            warnings.push(Finding { owner, rtype: rr.rtype, location: rr.location, rule });
        });
        self.counts.records += u64::try_from(node.rrs.len()).unwrap_or_default();
        self.counts.rrsets += u64::try_from(node.rrsets().count()).unwrap_or_default();
        let above = self.cover.filter(|(cover, _)| cover.contains(path)).map(|(_, above)| above);
        let standing = Standing::new(node, path, above, self.is_elsewhere(path));
        let occluded = standing.occluded;
        check_node((node, path), &standing, &self.shape, self.tolerance, &mut self.report);
        if !occluded && node.covers(standing.is_apex) {
            self.cover = Some((path, if node.is_cut(standing.is_apex) { Above::Cut } else { Above::Dname }));
        }
        if standing.is_apex {
            self.apex = Some(node.clone());
        }
        if !self.report.refusals.is_empty() {
            return Ok(());
        }
        if !occluded && node.makes_node() {
            for depth in self.last_published.shared_depth(path) + 1..path.depth() {
                self.emitter.empty_non_terminal(path.ancestor(depth), &mut self.shelves);
            }
            self.last_published = path;
        }
        let out = (&mut self.shelves as &mut dyn Sink, &mut self.report);
        self.emitter.node((node, path), &standing, &mut self.source, out)
    }

    /// Whether another zone that is hosted here answers for a name. Names come in canonical order.
    fn is_elsewhere(&mut self, path: Path<'s>) -> bool {
        while let Some(next) = self.elsewhere.next_if(|next| next.as_slice() <= path.as_bytes()) {
            self.last_elsewhere = Path::new(next);
        }
        self.last_elsewhere.is_some_and(|apex| apex.contains(path))
    }

    fn finish(mut self, settings: &Settings) -> Result<FullBuild, Refused> {
        let Shelves { buffers, mut tally, nodes } = self.shelves;
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
        let [name, glue, nsec, nsec3, private] = buffers.map(Shelf::from);
        let published = [name, glue, nsec, sorted(&nsec3)];
        let keys = published.iter().chain([&private]).map(|shelf| shelf.lengths.len()).sum::<usize>() + 2;
        Ok(FullBuild {
            shape: self.shape,
            published,
            private,
            zone: ZoneKeys::new(&self.shape, &apex, &tally, settings),
            warnings,
            counts: Counts { nodes, keys: u64::try_from(keys).unwrap_or_default(), ..self.counts },
        })
    }
}

/// NSEC3 keys come in the order of owner names; with several chains that is not the order of keys.
fn sorted(shelf: &Shelf) -> Shelf {
    let mut entries: Vec<Entry> = shelf.entries().collect();
    if entries.is_sorted() {
        return shelf.clone();
    }
    entries.sort();
    let mut buffer = Buffer::default();
    entries.iter().for_each(|(key, value)| buffer.push(key, value));
    buffer.into()
}
