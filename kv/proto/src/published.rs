//! One version as every node sees it: the published sections of a batch, with their place in the history.
//!
//! The same bytes stand in the batch log of every voter, relay and edge and in every stream, so they are encoded
//! once, where the batch is applied on the leader's log, and never again.
//!
//! Who follows with a filter gets the same version with the sections left out that the filter does not hold: of each of
//! them there is its id and the hash of its operations, so the chain of the whole version can still be computed.
//!
//! A fork is a version too: the first of an epoch, without sections, with the id of the restore that it accepts. Who
//! shares the history up to there follows it like any other; who went on in the history that it ends cannot.

use std::collections::HashSet;

use bytes::Bytes;
use thiserror::Error;

use crate::batch::{check_sections, sections_len};
use crate::{
    Chain, EncodeError, EncodedSection, Epoch, Filter, MAX_SECTIONS, OperationsHash, Position, RestoreId,
    SectionDigest, SectionId, Version, positional, read_whole,
};

const FORMAT: u8 = 1;

positional! {
    /// A section that a version leaves out. It takes less than [`SECTION_OVERHEAD`](crate::SECTION_OVERHEAD) bytes, so
    /// a version does not grow when sections are left out of it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OmittedSection {
        /// Section that was changed.
        pub id: SectionId,
        /// Hash of its encoded operations.
        pub operations: OperationsHash,
        /// How many sections that are not left out stand before it.
        pub after: u32,
    }
}

positional! {
    /// One version, positional MessagePack.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Published {
        /// 1.
        pub format: u8,
        /// History it belongs to.
        pub epoch: Epoch,
        /// Its number.
        pub version: Version,
        /// When the leader proposed it, microseconds of Unix time, never less than that of the version before.
        pub time_us: u64,
        /// Chain at this version.
        pub chain: Chain,
        /// Published sections in order.
        pub sections: Vec<EncodedSection> where len <= MAX_SECTIONS,
        /// Of a fork, which restore it accepts, see [`RestoreId`]; else 0.
        pub restore: u128,
        /// The sections that a filter left out, in order.
        pub omitted: Vec<OmittedSection> where len <= MAX_SECTIONS,
    }
}

positional! {
    /// The beginning of a version.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Stamp {
        format: u8,
        epoch: Epoch,
        version: Version,
        time_us: u64,
    }
}

/// Why a version cannot follow a position, or bytes are not a version.
#[derive(Debug, Error)]
pub enum PublishedError {
    /// Not the MessagePack of a version.
    #[error("not a version: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("version format {0} is not known to this release")]
    Format(u8),
    /// What no batch may be: too long, or a section twice.
    #[error(transparent)]
    Limit(#[from] EncodeError),
    /// A section that must not leave the core.
    #[error("the version contains a private section")]
    Private,
    /// A fork that changes something.
    #[error("the version begins an epoch but has sections")]
    Fork,
    /// Sections that are left out stand in no order, or one is there twice.
    #[error("the sections that the version leaves out contradict the others")]
    Omitted,
    /// A section that the filter holds is left out.
    #[error("version {version} leaves out section {section:?}, which the filter holds")]
    Lacks {
        /// The number of the version.
        version: Version,
        /// The section that is left out.
        section: SectionId,
    },
    /// A section that the filter does not hold is there.
    #[error("version {version} has section {section:?}, which the filter does not hold")]
    Exceeds {
        /// The number of the version.
        version: Version,
        /// The section that should have been left out.
        section: SectionId,
    },
    /// The version is not the one after the position.
    #[error("version {epoch}.{version} cannot follow {after}")]
    Gap {
        /// The position that the version should follow.
        after: Position,
        /// The epoch of the version.
        epoch: Epoch,
        /// The number of the version.
        version: Version,
    },
    /// The data differs from what the publisher's chain says, or the histories differ.
    #[error("version {version} has chain {found}, computed {computed}")]
    Chain {
        /// The number of the version.
        version: Version,
        /// The chain that the version states.
        found: Chain,
        /// The chain computed over its data.
        computed: Chain,
    },
}

impl Published {
    /// The version after `position`, or `None` at the end of 64 bits.
    #[must_use]
    pub fn after(position: &Position, time_us: u64, sections: Vec<EncodedSection>) -> Option<Self> {
        let version = position.version.next()?;
        let (epoch, chain) = (position.epoch, Chain::default());
        let mut published =
            Self { format: FORMAT, epoch, version, time_us, chain, sections, restore: 0, omitted: vec![] };
        published.chain = published.chain_after(&position.chain);
        Some(published)
    }

    /// The version after `position` of which nothing is there but that it changed these sections.
    pub(crate) fn of_omitted(position: &Position, time_us: u64, omitted: Vec<OmittedSection>) -> Option<Self> {
        let (epoch, version) = (position.epoch, position.version.next()?);
        let mut published = Self { format: FORMAT, epoch, version, time_us, omitted, ..Self::default() };
        published.chain = published.chain_after(&position.chain);
        Some(published)
    }

    /// The fork after `position`, which begins `epoch` or, if that is no later one, the next; `None` at the end of 64
    /// bits.
    #[must_use]
    pub fn fork(position: &Position, epoch: Epoch, time_us: u64, restore: RestoreId) -> Option<Self> {
        let (epoch, version) = (position.epoch.next()?.max(epoch), position.version.next()?);
        let chain = position.chain.fork(epoch, version, time_us, restore);
        let restore = restore.get();
        Some(Self { format: FORMAT, epoch, version, time_us, chain, sections: vec![], restore, omitted: vec![] })
    }

    /// When the leader proposed an encoded version, microseconds of Unix time, without reading the rest of it.
    #[must_use]
    pub fn stamp(bytes: &[u8]) -> Option<u64> {
        read_whole::<Stamp>(bytes).ok().map(|stamp| stamp.time_us)
    }

    /// Which restore it accepts, if it is a fork.
    #[must_use]
    pub fn restore(&self) -> Option<RestoreId> {
        (self.restore != 0).then_some(RestoreId::new(self.restore))
    }

    /// Where it leads from `position`, if its numbers follow it. Its chain is not looked at.
    #[must_use]
    pub fn next_after(&self, position: &Position) -> Option<Position> {
        let is_of_epoch = match self.restore() {
            Some(_) => self.epoch > position.epoch,
            None => self.epoch == position.epoch,
        };
        let follows = is_of_epoch && Some(self.version) == position.version.next();
        follows.then_some(Position { epoch: self.epoch, version: self.version, chain: self.chain, ..*position })
    }

    /// Checks that this version follows `position` and says where that leads.
    ///
    /// # Errors
    /// Another epoch, a gap, or a chain that its data does not give.
    pub fn follow(&self, position: &Position) -> Result<Position, PublishedError> {
        let next = self.next_after(position).ok_or(PublishedError::Gap {
            after: *position,
            epoch: self.epoch,
            version: self.version,
        })?;
        let computed = self.chain_after(&position.chain);
        if computed != self.chain {
            return Err(PublishedError::Chain { version: self.version, found: self.chain, computed });
        }
        Ok(next)
    }

    fn chain_after(&self, before: &Chain) -> Chain {
        match self.restore() {
            Some(restore) => before.fork(self.epoch, self.version, self.time_us, restore),
            None => before.extend(self.epoch, self.version, self.time_us, self.digests()),
        }
    }

    /// Of all sections in order, whether they are there or left out.
    fn digests(&self) -> impl Iterator<Item = SectionDigest> + '_ {
        let mut omitted = self.omitted.iter().peekable();
        let mut there = (0_u32..).zip(&self.sections).peekable();
        std::iter::from_fn(move || {
            let next = there.peek().map_or(u32::MAX, |(number, _)| *number);
            if let Some(section) = omitted.next_if(|section| section.after <= next) {
                return Some(SectionDigest::of(section.id, section.operations));
            }
            there.next().map(|(_, section)| SectionDigest::of(section.id, OperationsHash::of(&section.ops)))
        })
    }

    /// The same version without the sections that a filter does not hold.
    #[must_use]
    pub fn filtered(&self, filter: &Filter) -> Self {
        let mut filtered = self.without_sections();
        let mut omitted = self.omitted.iter().peekable();
        for (number, section) in (0_u32..).zip(&self.sections) {
            while let Some(before) = omitted.next_if(|before| before.after <= number) {
                filtered.omit(before.id, before.operations);
            }
            if filter.holds(section.id) {
                filtered.sections.push(section.clone());
            } else {
                filtered.omit(section.id, OperationsHash::of(&section.ops));
            }
        }
        omitted.for_each(|last| filtered.omit(last.id, last.operations));
        filtered
    }

    fn without_sections(&self) -> Self {
        let Self { format, epoch, version, time_us, chain, restore, .. } = *self;
        Self { format, epoch, version, time_us, chain, restore, sections: vec![], omitted: vec![] }
    }

    fn omit(&mut self, id: SectionId, operations: OperationsHash) {
        let after = u32::try_from(self.sections.len()).expect("sections are bounded");
        self.omitted.push(OmittedSection { id, operations, after });
    }

    /// Checks that exactly the sections are there that a filter holds, or all of them without a filter.
    ///
    /// # Errors
    /// One is left out, or too many.
    pub fn check_filter(&self, filter: Option<&Filter>) -> Result<(), PublishedError> {
        let version = self.version;
        let lacks = self.omitted.iter().find(|section| filter.is_none_or(|filter| filter.holds(section.id)));
        if let Some(section) = lacks {
            return Err(PublishedError::Lacks { version, section: section.id });
        }
        match self.sections.iter().find(|section| filter.is_some_and(|filter| !filter.holds(section.id))) {
            Some(section) => Err(PublishedError::Exceeds { version, section: section.id }),
            None => Ok(()),
        }
    }

    /// Bytes of its sections as limits count them, see [`EncodedBatch::len`](crate::EncodedBatch::len).
    #[must_use]
    pub fn len(&self) -> usize {
        sections_len(&self.sections)
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.omitted.is_empty()
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("plain data always encodes").into()
    }

    /// Back from [`Published::to_bytes`]. Operations are not looked into; see [`crate::decode_ops`].
    ///
    /// # Errors
    /// Not MessagePack of this shape, another format, too long, a section twice, or a private one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublishedError> {
        let published: Self = read_whole(bytes).map_err(PublishedError::Syntax)?;
        if published.format != FORMAT {
            return Err(PublishedError::Format(published.format));
        }
        check_sections(&published.sections)?;
        published.check_omitted()?;
        let mut ids = published.sections.iter().map(|section| section.id);
        if ids.any(|id| !id.keyspace.is_published()) {
            return Err(PublishedError::Private);
        }
        if published.restore().is_some() && !published.is_empty() {
            return Err(PublishedError::Fork);
        }
        Ok(published)
    }

    pub(crate) fn check_omitted(&self) -> Result<(), PublishedError> {
        if self.omitted.is_empty() {
            return Ok(());
        }
        if self.omitted.iter().any(|section| !section.id.keyspace.is_published()) {
            return Err(PublishedError::Private);
        }
        let there = u32::try_from(self.sections.len()).expect("sections are bounded");
        let in_order = self.omitted.is_sorted_by_key(|section| section.after);
        let mut ids: HashSet<SectionId> = self.sections.iter().map(|section| section.id).collect();
        let once = self.omitted.iter().all(|section| ids.insert(section.id));
        let fits = self.omitted.iter().all(|section| section.after <= there) && ids.len() <= MAX_SECTIONS;
        if in_order && once && fits { Ok(()) } else { Err(PublishedError::Omitted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyspaceId, SectionId, StoreId};

    fn section(keyspace: KeyspaceId, ops: &'static [u8]) -> EncodedSection {
        EncodedSection { id: SectionId { keyspace, partition: 1 }, count: 0, ops: Bytes::from_static(ops) }
    }

    #[test]
    fn follows_only_its_own_predecessor_with_its_own_data() {
        let origin = Position::origin(StoreId::new(5));
        let first = Published::after(&origin, 10, vec![section(KeyspaceId::DNS, b"one")]).unwrap();
        let position = first.follow(&origin).unwrap();
        assert_eq!(position.version, Version::new(1));

        let second = Published::after(&position, 11, vec![section(KeyspaceId::DNS, b"two")]).unwrap();
        assert!(second.follow(&position).is_ok());
        assert!(matches!(second.follow(&origin), Err(PublishedError::Gap { .. })));

        let mut changed = second.clone();
        changed.sections[0] = section(KeyspaceId::DNS, b"2wo");
        assert!(matches!(changed.follow(&position), Err(PublishedError::Chain { .. })));
        let other_store = Position { version: position.version, ..Position::origin(StoreId::new(6)) };
        assert!(matches!(second.follow(&other_store), Err(PublishedError::Chain { .. })));
    }

    #[test]
    fn a_fork_begins_an_epoch_and_two_of_them_differ() {
        let origin = Position::origin(StoreId::new(5));
        let fork = |restore| Published::fork(&origin, Epoch::ZERO, 10, RestoreId::new(restore)).unwrap();
        let there = fork(1).follow(&origin).unwrap();
        assert_eq!((there.epoch, there.version), (Epoch::new(1), Version::new(1)));
        assert_ne!(there.chain, fork(2).chain);
        assert_eq!(Published::from_bytes(&fork(1).to_bytes()).unwrap(), fork(1));
        // Not twice, not by who went on in the old epoch, not with another id, and not with data of its own.
        let ahead = Published::after(&origin, 10, vec![section(KeyspaceId::DNS, b"one")]).unwrap();
        let ahead = ahead.follow(&origin).unwrap();
        for position in [there, ahead] {
            assert!(matches!(fork(1).follow(&position), Err(PublishedError::Gap { .. })));
        }
        for restore in [0, 2] {
            assert!(Published { restore, ..fork(1) }.follow(&origin).is_err());
        }
        let sections = vec![section(KeyspaceId::DNS, b"one")];
        let leak = Published { sections, ..fork(1) };
        assert!(matches!(Published::from_bytes(&leak.to_bytes()), Err(PublishedError::Fork)));
        let next = Published::after(&there, 11, vec![section(KeyspaceId::DNS, b"two")]).unwrap();
        assert_eq!(next.follow(&there).unwrap().epoch, Epoch::new(1));
    }

    #[test]
    fn a_private_section_is_never_read_as_published() {
        let origin = Position::origin(StoreId::new(5));
        let leak = Published::after(&origin, 10, vec![section(KeyspaceId::CORE, b"secret")]).unwrap();
        assert!(matches!(Published::from_bytes(&leak.to_bytes()), Err(PublishedError::Private)));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let origin = Position::origin(StoreId::new(5));
        let bytes = Published::after(&origin, 10, vec![section(KeyspaceId::DNS, b"one")]).unwrap().to_bytes();
        assert!(Published::from_bytes(&bytes).is_ok());
        for cut in 0..bytes.len() {
            assert!(Published::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
