//! Values of the store: what users put, with its revision, and what the catalog holds. All are positional MessagePack
//! arrays with a format number in front.

use serde::Deserialize;
use serde_bytes::{ByteBuf, Bytes};
use zonecast_kv_proto::{Key, Op, Value, View, positional, read_whole};

use crate::KeyspaceError;

pub(crate) const FORMAT: u8 = 1;

/// Most changes of a group on record: a decoder takes no more.
const MAX_KEPT: usize = 256;

positional! {
    /// The value of a key of a user, borrowed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StoredValue<'a> {
        /// 1.
        pub format: u8,
        /// The revision of the keyspace that put it there.
        pub revision: u64,
        /// What the user has put.
        pub content: &'a Bytes,
    }
}

positional! {
    /// Where the keys of a name are.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredName {
        pub(crate) format: u8,
        pub(crate) id: u16,
        /// The number of changes of the keyspace; of published ones only, in what is published.
        pub(crate) revision: u64,
    }
}

positional! {
    /// What the core knows of a keyspace.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredEntry {
        pub(crate) format: u8,
        pub(crate) name: String,
        pub(crate) max_keys: u64,
        pub(crate) max_bytes: u64,
        pub(crate) max_value: u64,
        pub(crate) keys: u64,
        pub(crate) bytes: u64,
        pub(crate) revision: u64,
    }
}

positional! {
    /// Where the search for a free id begins.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredNext {
        pub(crate) format: u8,
        pub(crate) number: u16,
    }
}

positional! {
    /// Which changes of a group can be taken back.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredGroup {
        pub(crate) format: u8,
        /// The earliest revision whose state is known.
        pub(crate) floor: u64,
        /// Revision and bytes of each change, ascending.
        pub(crate) changes: Vec<(u64, u64)> where len <= MAX_KEPT,
    }
}

positional! {
    /// A change of a group.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredChange {
        pub(crate) format: u8,
        pub(crate) kind: u8,
        pub(crate) time: u64,
        pub(crate) by: String,
        pub(crate) puts: u64,
        pub(crate) deletes: u64,
    }
}

positional! {
    /// What takes the change of one key back.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct StoredInverse {
        pub(crate) format: u8,
        pub(crate) key: ByteBuf,
        /// What it was; nothing if there was no such key.
        pub(crate) before: Option<ByteBuf>,
    }
}

/// Something that a value of the store is.
pub(crate) trait Stored: serde::Serialize {
    /// Its format number.
    fn format(&self) -> u8;
    /// What it is called where it is damaged.
    const WHAT: &'static str;
}

macro_rules! stored {
    ($($name:ident $(<$life:lifetime>)?: $what:literal,)+) => {
        $(impl Stored for $name $(<$life>)? {
            fn format(&self) -> u8 {
                self.format
            }
            const WHAT: &'static str = $what;
        })+
    };
}

stored! {
    StoredValue<'_>: "the value of a key",
    StoredName: "the name of a keyspace",
    StoredEntry: "the entry of a keyspace",
    StoredNext: "the next id of a keyspace",
    StoredGroup: "a group",
    StoredChange: "a change of a group",
    StoredInverse: "what takes a change of a group back",
}

/// Reads a value of the store.
pub(crate) fn decode<'v, T: Stored + Deserialize<'v>>(value: &'v [u8]) -> Result<T, KeyspaceError> {
    let damaged = |why: String| KeyspaceError::Damaged { what: T::WHAT, why };
    let decoded: T = read_whole(value).map_err(|error| damaged(error.to_string()))?;
    match decoded.format() {
        FORMAT => Ok(decoded),
        other => Err(damaged(format!("format {other} is not known to this release"))),
    }
}

/// Reads a value of the store that may not be there.
pub(crate) fn find<T: Stored + for<'v> Deserialize<'v>>(
    view: &(impl View + ?Sized),
    key: &Key,
) -> Result<Option<T>, KeyspaceError> {
    let mut value = Vec::new();
    if view.get(key.as_bytes(), &mut value)? { decode(&value).map(Some) } else { Ok(None) }
}

pub(crate) fn encode(stored: &impl Stored) -> Value {
    let bytes = rmp_serde::to_vec(stored).expect("plain data always encodes");
    Value::new(bytes).expect("names and values of users leave room for what is around them")
}

pub(crate) fn put(key: Key, stored: &impl Stored) -> Op {
    Op::Put { key, value: encode(stored) }
}

impl<'a> StoredValue<'a> {
    /// What a user has put, at this revision.
    pub(crate) fn new(revision: u64, content: &'a [u8]) -> Self {
        Self { format: FORMAT, revision, content: Bytes::new(content) }
    }

    /// Reads the value of a key in the store.
    ///
    /// # Errors
    /// Damage, or a format of a later release.
    pub fn decode(value: &'a [u8]) -> Result<Self, KeyspaceError> {
        decode(value)
    }
}
