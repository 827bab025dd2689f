//! Reads the present keys of a zone, node by node.
//!
//! A node's keys stand in several places: its own in `name`, its addresses in `glue` when occluded, NSEC in `nsec`,
//! NSEC3 under its hash, and what only the core keeps. One read costs two short scans, and a get for each of these that
//! what is published does not rule out, whatever the size of the zone.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{KeyspaceId, View};
use zonecast_records::{
    ADDRESS_KIND, AddressValue, DnsKey, Generation, KeyBuffer, KeySection, Name, Nsec3Parameters, Path, ZoneValue,
};

use crate::nsec3::hash_at;
use crate::packed::Packed;
use crate::pages::{Pages, Place, Range, bounds};
use crate::present::{Entry, OwnedNode, PresentNode, parse};
use crate::read_error::ReadError;
use crate::zone_keys::PresentZone;

/// Where keys of a node stand under its path.
pub(crate) const PLACES: [Place; 4] = [Place::NAME, Place::GLUE, Place::NSEC, Place::CORE];

/// Present nodes by path.
pub(crate) type PresentNodes = BTreeMap<Vec<u8>, PresentNode>;

/// Reads one present zone.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'v> {
    view: &'v dyn View,
    zone: &'v PresentZone,
}

/// The published node that hides what lies beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) path: Vec<u8>,
    pub(crate) is_cut: bool,
}

impl<'v> Reader<'v> {
    pub(crate) fn new(view: &'v dyn View, zone: &'v PresentZone) -> Self {
        Self { view, zone }
    }

    /// All keys of one node.
    pub(crate) fn load(&self, path: Path<'_>) -> Result<PresentNode, ReadError> {
        let mut node = PresentNode::default();
        let mut key = KeyBuffer::new();
        for place in [Place::NAME, Place::CORE] {
            let (lower, end) = bounds(self.generation(), place, Range::Node(path));
            self.view.scan(&lower, &end, &mut |key, value| {
                node.entries.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
        }
        let published = node.published()?;
        // Addresses of a node that is neither a cut nor hidden stand with it.
        let glue = published.is_none_or(|value| value.cut.is_some());
        let nsec = published.is_some_and(|value| value.types().contains(Rtype::NSEC));
        let others = [(glue, KeySection::Glue, ADDRESS_KIND), (nsec, KeySection::Nsec, Rtype::NSEC.to_int())];
        for (_, section, kind) in others.into_iter().filter(|(may_be, ..)| *may_be) {
            self.get(key.path(KeyspaceId::DNS, self.generation(), section, path, kind), &mut node)?;
        }
        if let Some(hash) = hash_at(path) {
            for chain in self.zone.tally.chain_parameters() {
                let Some((&[algorithm, high, low, _], salt)) = chain.split_first_chunk::<4>() else { continue };
                let iterations = u16::from_be_bytes([high, low]);
                let parameters = Nsec3Parameters { algorithm, iterations, salt };
                self.get(key.nsec3(KeyspaceId::DNS, self.generation(), parameters, &hash), &mut node)?;
            }
        }
        Ok(node)
    }

    /// The records behind the keys of a node.
    pub(crate) fn read(&self, path: Path<'_>, present: &PresentNode) -> Result<OwnedNode, ReadError> {
        if !path.as_bytes().is_empty() {
            return present.read(None);
        }
        let zone = ZoneValue::decode(&self.zone.keys.published);
        let zone = zone.map_err(|_| ReadError::counts(&self.zone.shape.apex))?;
        present.read(Some(&zone))
    }

    /// Every node beneath a path, except what only NSEC3 keys tell of, or `None` when their keys are over `max_bytes`.
    pub(crate) fn beneath(&self, path: Path<'_>, max_bytes: usize) -> Result<Option<PresentNodes>, ReadError> {
        let mut nodes = PresentNodes::new();
        let mut room = Some(max_bytes);
        let mut damaged = None;
        for place in PLACES {
            let (lower, end) = bounds(self.generation(), place, Range::Beneath(path));
            self.view.scan(&lower, &end, &mut |key, value| {
                room = room.and_then(|room| room.checked_sub(key.len() + value.len()));
                match DnsKey::parse(key) {
                    _ if room.is_none() => return ControlFlow::Break(()),
                    Ok(parsed) => {
                        let node = nodes.entry(parsed.path.to_vec()).or_default();
                        node.entries.push((key.to_vec(), value.to_vec()));
                    }
                    Err(source) => damaged = Some(ReadError::Key { key: key.to_vec(), source }),
                }
                ControlFlow::Continue(())
            })?;
        }
        damaged.map_or(Ok(room.map(|_| nodes)), Err)
    }

    /// The present zone cut or DNAME above a path, if there is one.
    pub(crate) fn cover(&self, path: Path<'_>) -> Result<Option<Cover>, ReadError> {
        let mut lower = KeyBuffer::new();
        lower.prefix(KeyspaceId::DNS, self.generation(), KeySection::Name);
        // `path 00` is below every key of the node: what is found belongs to the node before it.
        let (upper, _) = bounds(self.generation(), Place::NAME, Range::Node(path));
        let (mut key, mut value) = (Vec::new(), Vec::new());
        if !self.view.last_in(lower.as_bytes(), &upper, &mut key, &mut value)? {
            return Ok(None);
        }
        let parsed = parse(&key)?;
        let found = parsed.node_path().map_err(|source| ReadError::Key { key: key.clone(), source })?;
        if !found.contains(path) {
            return Ok(None);
        }
        let value = AddressValue::decode(&value).map_err(|source| ReadError::value(&key, source))?;
        let hides = value.cut.is_some() || value.types().contains(Rtype::DNAME);
        Ok(hides.then(|| Cover { path: parsed.path.to_vec(), is_cut: value.cut.is_some() }))
    }

    /// Whether a zone with this apex is hosted here.
    pub(crate) fn is_apex(&self, name: &Name) -> Result<bool, ReadError> {
        let mut key = KeyBuffer::new();
        Ok(self.view.get(key.zone(KeyspaceId::DNS, name), &mut Vec::new())?)
    }

    /// The published address key of a node alone.
    pub(crate) fn address_key(&self, path: Path<'_>) -> Result<PresentNode, ReadError> {
        let mut node = PresentNode::default();
        let mut key = KeyBuffer::new();
        self.get(key.path(KeyspaceId::DNS, self.generation(), KeySection::Name, path, ADDRESS_KIND), &mut node)?;
        Ok(node)
    }

    /// The private address-kind key of a node alone, if it has one.
    pub(crate) fn core_key(&self, path: Path<'_>) -> Result<Vec<Entry>, ReadError> {
        let mut node = PresentNode::default();
        let mut key = KeyBuffer::new();
        self.get(key.path(KeyspaceId::CORE, self.generation(), KeySection::Name, path, ADDRESS_KIND), &mut node)?;
        Ok(node.entries)
    }

    /// Whether a published node with data of its own stands beneath a path and is not among those to `skip`.
    pub(crate) fn has_data_beneath(&self, path: Path<'_>, skip: impl Fn(&[u8]) -> bool) -> Result<bool, ReadError> {
        let (lower, end) = bounds(self.generation(), Place::NAME, Range::Beneath(path));
        let mut found = Ok(false);
        self.view.scan(&lower, &end, &mut |key, value| {
            found = match DnsKey::parse(key) {
                Err(source) => Err(ReadError::Key { key: key.to_vec(), source }),
                Ok(parsed) if parsed.kind != ADDRESS_KIND || skip(parsed.path) => Ok(false),
                Ok(_) => AddressValue::decode(value)
                    .map(|value| !value.types().is_empty())
                    .map_err(|source| ReadError::value(key, source)),
            };
            if matches!(found, Ok(false)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        found
    }

    /// Shows every node in canonical order, except what only NSEC3 keys tell of.
    pub(crate) fn for_each_node(
        &self,
        mut visit: impl FnMut(Path<'_>, &PresentNode) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut streams = PLACES.map(|place| Pages::new(self.view, self.generation(), place));
        loop {
            let mut next: Option<Vec<u8>> = None;
            for stream in &mut streams {
                let path = stream.peek()?.map(|(key, _)| parse(key).map(|key| key.path.to_vec())).transpose()?;
                next = [next, path].into_iter().flatten().min();
            }
            let Some(path) = next else { return Ok(ControlFlow::Continue(())) };
            let mut node = PresentNode::default();
            for stream in &mut streams {
                while let Some((key, _)) = stream.peek()?
                    && parse(key)?.path == path
                {
                    node.entries.extend(stream.next());
                }
            }
            let Some(path) = Path::new(&path) else { continue };
            if visit(path, &node)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Shows every NSEC3 key: its hash and its value.
    pub(crate) fn for_each_nsec3(
        &self,
        mut visit: impl FnMut(&[u8], (&[u8], &[u8])) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<(), ReadError> {
        let mut stream = Pages::new(self.view, self.generation(), Place::NSEC3);
        while stream.peek()?.is_some() {
            let Some((key, value)) = stream.next() else { break };
            let (_, hash) = parse(&key)?.nsec3_parts().unwrap_or_default();
            if visit(hash, (&key, &value))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// In-domain glue: what a zone cut hides is in the section `glue`.
    pub(crate) fn glue(&self, path: Path<'_>) -> Result<[Option<Packed>; 2], ReadError> {
        let mut buffer = KeyBuffer::new();
        let key = buffer.path(KeyspaceId::DNS, self.generation(), KeySection::Glue, path, ADDRESS_KIND);
        let mut value = Vec::new();
        if !self.view.get(key, &mut value)? {
            return Ok([None, None]);
        }
        let value = AddressValue::decode(&value).map_err(|source| ReadError::value(key, source))?;
        Ok([value.a, value.aaaa].map(|rrset| rrset.map(|rrset| Packed::stored(rrset.ttl, rrset.data))))
    }

    fn generation(&self) -> Generation {
        self.zone.shape.identity.generation
    }

    fn get(&self, key: &[u8], node: &mut PresentNode) -> Result<(), ReadError> {
        let mut value = Vec::new();
        if self.view.get(key, &mut value)? {
            node.entries.push((key.to_vec(), value));
        }
        Ok(())
    }
}
