//! DNS keys: built into a buffer that is reused, read back borrowed.
//!
//! # Format
//! ```text
//! 2 keyspace | 8 generation | 1 section | path | 00 | 2 kind        all big-endian
//! 2 keyspace | 8 generation | 1 section 4 | parameters and hash | 00 | 2 kind     for NSEC3
//! ```

use thiserror::Error;
use zonecast_kv_proto::{Key, KeyspaceId};

use crate::{Name, Path};

/// Bytes in front of the path: keyspace, generation, section.
pub const KEY_PREFIX_LEN: usize = 11;

/// The kind of an address key; the largest, so that it stands last at its node and `seek <= (name, ADDRESS)` lands on
/// the node or on its predecessor's address key. Type 65535 is reserved by RFC 6895, so no RRset key has it.
pub const ADDRESS_KIND: u16 = 0xffff;

/// The generation of a zone: the number under which its keys are stored. The state machine allocates generations and
/// never reuses one. Zone keys have generation 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Generation(u64);

/// Id of a zone, which stays the same in every generation. It is the partition of the sections of the zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ZoneId(u64);

impl Generation {
    /// The generation of zone keys.
    pub const ZONES: Self = Self(0);

    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl ZoneId {
    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The parts of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeySection {
    /// The zone keys, by apex.
    Zone = 0,
    /// Address keys and RRset keys of the nodes.
    Name = 1,
    /// Occluded A and AAAA under their own names.
    Glue = 2,
    /// The NSEC records, by owner.
    Nsec = 3,
    /// NSEC3 records by parameters and hash.
    Nsec3 = 4,
    /// History of a zone, by zone id and number of the change. Private.
    History = 5,
    /// Generations that zones had before the present one, by id of the zone and generation. Private.
    Retired = 6,
    /// Which zones flatten an alias that leads through a name. Private.
    Alias = 7,
    /// Deleted zones that can be restored, by apex and id. Private.
    Deleted = 8,
    /// Settings of the whole store: one key. Private.
    Store = 9,
}

impl KeySection {
    fn from_byte(byte: u8) -> Option<Self> {
        let by_name = [Self::Zone, Self::Name, Self::Glue, Self::Nsec];
        let others = [Self::Nsec3, Self::History, Self::Retired, Self::Alias, Self::Deleted, Self::Store];
        by_name.into_iter().chain(others).find(|section| *section as u8 == byte)
    }

    /// Whether its keys are by name.
    #[must_use]
    pub fn is_by_name(self) -> bool {
        matches!(self, Self::Zone | Self::Name | Self::Glue | Self::Nsec)
    }
}

/// Why bytes are not a DNS key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DnsKeyError {
    /// Too few bytes for prefix and kind.
    #[error("a DNS key of {0} bytes is too short")]
    Short(usize),
    /// A section this release does not know.
    #[error("section {0} at byte 10 is not known to this release")]
    Section(u8),
    /// The path is malformed or not ended.
    #[error("path at byte 11 is malformed")]
    Path,
}

/// A key taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsKey<'a> {
    /// Of the DNS answers or of the core.
    pub keyspace: KeyspaceId,
    /// The generation of the zone; zero for zone keys.
    pub generation: Generation,
    /// Which part of the generation.
    pub section: KeySection,
    /// Path below the apex; below the root for zone keys. In sections that are not by name what the methods of
    /// [`KeyBuffer`] say.
    pub path: &'a [u8],
    /// A record type, or [`ADDRESS_KIND`].
    pub kind: u16,
}

impl<'a> DnsKey<'a> {
    /// Takes a key apart.
    ///
    /// # Errors
    /// Too short, an unknown section, or a malformed path.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DnsKeyError> {
        let short = DnsKeyError::Short(bytes.len());
        let (keyspace, rest) = bytes.split_first_chunk::<2>().ok_or(short)?;
        let (generation, rest) = rest.split_first_chunk::<8>().ok_or(short)?;
        let (section, rest) = rest.split_first().ok_or(short)?;
        let (rest, kind) = rest.split_last_chunk::<2>().ok_or(short)?;
        let (end, path) = rest.split_last().ok_or(short)?;
        let section = KeySection::from_byte(*section).ok_or(DnsKeyError::Section(*section))?;
        if *end != 0 || (section.is_by_name() && Path::new(path).is_none()) {
            return Err(DnsKeyError::Path);
        }
        Ok(Self {
            keyspace: KeyspaceId::new(u16::from_be_bytes(*keyspace)),
            generation: Generation::new(u64::from_be_bytes(*generation)),
            section,
            path,
            kind: u16::from_be_bytes(*kind),
        })
    }

    /// Of an NSEC3 key: the parameters of its chain as they stand in it, and the hash.
    #[must_use]
    pub fn nsec3_parts(&self) -> Option<(&'a [u8], &'a [u8])> {
        let salt_len = self.path.get(3).filter(|_| self.section == KeySection::Nsec3)?;
        self.path.split_at_checked(4 + usize::from(*salt_len))
    }

    /// The path of a key that is by name.
    ///
    /// # Errors
    /// It is not.
    pub fn node_path(&self) -> Result<Path<'a>, DnsKeyError> {
        Path::new(self.path).filter(|_| self.section.is_by_name()).ok_or(DnsKeyError::Path)
    }
}

/// A name, and where in it the part below the apex of its zone ends.
#[derive(Clone, Copy, Debug)]
pub struct NameInZone<'n> {
    /// At the apex or below it.
    pub name: &'n Name,
    /// How many labels the apex has.
    pub apex_labels: usize,
}

/// How the names of an NSEC3 chain are hashed, RFC 5155 section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nsec3Parameters<'s> {
    /// Hash algorithm; 1 is SHA-1.
    pub algorithm: u8,
    /// Additional iterations.
    pub iterations: u16,
    /// Salt, of at most 255 bytes.
    pub salt: &'s [u8],
}

/// Builds keys; the buffer is reused, so that a reader that keeps one allocates nothing.
#[derive(Clone, Debug)]
pub struct KeyBuffer(Vec<u8>);

impl Default for KeyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyBuffer {
    /// With room for the longest key.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(zonecast_kv_proto::MAX_KEY_LEN))
    }

    /// The key of a zone.
    pub fn zone(&mut self, keyspace: KeyspaceId, apex: &Name) -> &[u8] {
        self.prefix(keyspace, Generation::ZONES, KeySection::Zone);
        Path::write(apex, 0, &mut self.0);
        self.end(domain::base::iana::Rtype::SOA.to_int())
    }

    /// The key of a node, given its name.
    pub fn node(
        &mut self,
        keyspace: KeyspaceId,
        generation: Generation,
        section: KeySection,
        node: NameInZone<'_>,
        kind: u16,
    ) -> &[u8] {
        self.prefix(keyspace, generation, section);
        Path::write(node.name, node.apex_labels, &mut self.0);
        self.end(kind)
    }

    /// The key of a node, given its path.
    pub fn path(
        &mut self,
        keyspace: KeyspaceId,
        generation: Generation,
        section: KeySection,
        path: Path<'_>,
        kind: u16,
    ) -> &[u8] {
        self.prefix(keyspace, generation, section);
        self.0.extend_from_slice(path.as_bytes());
        self.end(kind)
    }

    /// The key of an NSEC3 record: 1 algorithm, 2 iterations, 1 length of salt, salt, hash.
    pub fn nsec3(
        &mut self,
        keyspace: KeyspaceId,
        generation: Generation,
        parameters: Nsec3Parameters<'_>,
        hash: &[u8],
    ) -> &[u8] {
        let Nsec3Parameters { algorithm, iterations, salt } = parameters;
        self.prefix(keyspace, generation, KeySection::Nsec3);
        self.0.push(algorithm);
        self.0.extend_from_slice(&iterations.to_be_bytes());
        self.0.push(u8::try_from(salt.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(salt);
        self.0.extend_from_slice(hash);
        self.end(domain::base::iana::Rtype::NSEC3.to_int())
    }

    /// The key of a change in the history of a zone: 8 id of the zone, 8 number of the change.
    pub fn history(&mut self, zone: ZoneId, number: u64) -> &[u8] {
        self.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::History);
        self.0.extend_from_slice(&zone.get().to_be_bytes());
        self.0.extend_from_slice(&number.to_be_bytes());
        self.end(0)
    }

    /// The key of a generation that a zone had before another one: 8 id of the zone, 8 generation.
    pub fn retired(&mut self, zone: ZoneId, generation: Generation) -> &[u8] {
        self.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Retired);
        self.0.extend_from_slice(&zone.get().to_be_bytes());
        self.0.extend_from_slice(&generation.get().to_be_bytes());
        self.end(0)
    }

    /// The key of a zone that was deleted: path of its apex below the root, 00, 8 id of the zone.
    pub fn deleted(&mut self, apex: &Name, zone: ZoneId) -> &[u8] {
        self.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Deleted);
        Path::write(apex, 0, &mut self.0);
        self.0.push(0);
        self.0.extend_from_slice(&zone.get().to_be_bytes());
        self.end(0)
    }

    /// The key of what is chosen for the whole store.
    pub fn store(&mut self) -> &[u8] {
        self.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Store);
        self.end(0)
    }

    /// The key of an alias that leads through a name to the apex of a zone: path of the name below the root, 00, 8 id of
    /// the zone.
    pub fn alias(&mut self, name: &Name, zone: ZoneId) -> &[u8] {
        self.prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Alias);
        Path::write(name, 0, &mut self.0);
        self.0.push(0);
        self.0.extend_from_slice(&zone.get().to_be_bytes());
        self.end(0)
    }

    /// Only the prefix: the lower bound of a section, and with the next section the bound of a scan.
    pub fn prefix(&mut self, keyspace: KeyspaceId, generation: Generation, section: KeySection) -> &[u8] {
        let [k0, k1] = keyspace.get().to_be_bytes();
        let [g0, g1, g2, g3, g4, g5, g6, g7] = generation.get().to_be_bytes();
        let prefix: [u8; KEY_PREFIX_LEN] = [k0, k1, g0, g1, g2, g3, g4, g5, g6, g7, section as u8];
        self.0.clear();
        self.0.extend_from_slice(&prefix);
        &self.0
    }

    /// The key that was built last.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key that was built last, as an owned key.
    #[must_use]
    pub fn to_key(&self) -> Key {
        Key::new(self.0.clone()).expect("a DNS key is within the limits of keys")
    }

    fn end(&mut self, kind: u16) -> &[u8] {
        let [high, low] = kind.to_be_bytes();
        self.0.extend_from_slice(&[0, high, low]);
        &self.0
    }
}

/// The bounds of every key that a keyspace holds of one generation, zone keys not included: the first that belongs and
/// the first that does not.
#[must_use]
pub fn generation_range(keyspace: KeyspaceId, generation: Generation) -> (Key, Key) {
    let mut buffer = KeyBuffer::new();
    buffer.prefix(keyspace, generation, KeySection::Name);
    let start = buffer.to_key();
    // Above every section: their numbers are small.
    if let Some(section) = buffer.0.last_mut() {
        *section = u8::MAX;
    }
    (start, buffer.to_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stands_right_before_its_descendants_and_its_address_key_last() {
        let mut buffer = KeyBuffer::new();
        let mut key = |name: &str, kind| {
            let name: Name = name.parse().unwrap();
            buffer
                .node(
                    KeyspaceId::DNS,
                    Generation::new(7),
                    KeySection::Name,
                    NameInZone { name: &name, apex_labels: 1 },
                    kind,
                )
                .to_vec()
        };
        let keys = [
            key("example", 6),
            key("example", ADDRESS_KIND),
            key(r"\000.example", 1),
            key("*.example", 1),
            key("a.example", 15),
            key("a.example", ADDRESS_KIND),
            key(r"\001.a.example", 1),
            key("b.a.example", ADDRESS_KIND),
            key("ab.example", 1),
            key(r"\255.example", 1),
        ];
        assert!(keys.is_sorted());
    }

    #[test]
    fn the_longest_name_makes_a_key() {
        let wire = [&[63; 1][..], &[0; 63], &[63], &[0; 63], &[63], &[0; 63], &[61], &[0; 61], &[0]].concat();
        let name = Name::from_wire(&wire).unwrap();
        let mut buffer = KeyBuffer::new();
        buffer.zone(KeyspaceId::DNS, &name);
        let key = buffer.to_key();
        let parsed = DnsKey::parse(key.as_bytes()).unwrap();
        assert_eq!(parsed.node_path().unwrap().to_name(&Name::ROOT).unwrap(), name);
    }

    #[test]
    fn damaged_keys_are_refused() {
        let name: Name = "www.example".parse().unwrap();
        let mut buffer = KeyBuffer::new();
        let key = buffer
            .node(KeyspaceId::DNS, Generation::new(1), KeySection::Name, NameInZone { name: &name, apex_labels: 1 }, 1)
            .to_vec();
        assert!(DnsKey::parse(&key).is_ok());
        for cut in 0..14 {
            assert!(DnsKey::parse(&key[..cut]).is_err());
        }
        let mut bad = key.clone();
        bad[10] = 0xfe;
        assert_eq!(DnsKey::parse(&bad), Err(DnsKeyError::Section(0xfe)));
    }
}
