//! The chain: a hash over everything that was published, so that equal positions mean equal data.
//!
//! ```text
//! chain(n) = BLAKE3( chain(n-1) | epoch | version | time | digest of each published section, in order )
//! chain(n) = BLAKE3( chain(n-1) | epoch | version | time | restore id )   where a restored store begins an epoch
//! digest   = BLAKE3( keyspace | partition | BLAKE3( encoded operations ))
//! ```
//! Numbers are big-endian. Where a version leaves out a section, it says the section's id and the inner hash. So a
//! partial edge can still compute the chain, and it sees which sections it was not given.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Epoch, RestoreId, SectionId, StoreId, Version};

/// Hash of the encoded operations of one section.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationsHash(#[serde(with = "serde_bytes")] [u8; 32]);

impl OperationsHash {
    /// Of these operations.
    #[must_use]
    pub fn of(operations: &[u8]) -> Self {
        Self(blake3::hash(operations).into())
    }
}

/// Digest of one published section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionDigest([u8; 32]);

impl SectionDigest {
    /// Of a section whose operations have this hash.
    #[must_use]
    pub fn of(id: SectionId, operations: OperationsHash) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&id.keyspace.get().to_be_bytes());
        hasher.update(&id.partition.to_be_bytes());
        hasher.update(&operations.0);
        Self(hasher.finalize().into())
    }
}

/// The chain value at one position, 32 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chain(#[serde(with = "serde_bytes")] [u8; 32]);

impl Chain {
    /// Before the first version of a store.
    #[must_use]
    pub fn origin(store: StoreId) -> Self {
        Self(blake3::hash(&store.get().to_be_bytes()).into())
    }

    /// After one more version, given the digests of its published sections in order.
    #[must_use]
    pub fn extend(
        &self,
        epoch: Epoch,
        version: Version,
        time_us: u64,
        digests: impl IntoIterator<Item = SectionDigest>,
    ) -> Self {
        let mut hasher = self.hasher(epoch, version, time_us);
        for digest in digests {
            hasher.update(&digest.0);
        }
        Self(hasher.finalize().into())
    }

    /// After a restore: the first version of an epoch. No digests give the same, for those are longer.
    #[must_use]
    pub fn fork(&self, epoch: Epoch, version: Version, time_us: u64, restore: RestoreId) -> Self {
        let mut hasher = self.hasher(epoch, version, time_us);
        hasher.update(&restore.get().to_be_bytes());
        Self(hasher.finalize().into())
    }

    fn hasher(&self, epoch: Epoch, version: Version, time_us: u64) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&epoch.get().to_be_bytes());
        hasher.update(&version.get().to_be_bytes());
        hasher.update(&time_us.to_be_bytes());
        hasher
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Chain {
    /// The first eight bytes in hexadecimal: enough for a person to compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}
