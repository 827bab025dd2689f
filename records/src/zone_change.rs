//! What the core remembers of one change of a zone: who, when, and how to take it back.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{Generation, ValueError};

const FORMAT: u8 = 1;

/// Longest name of an author in bytes, more than a token's name.
const MAX_AUTHOR: usize = 128;

/// How a zone was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    /// Records were changed one by one.
    #[default]
    Records = 0,
    /// The whole zone was replaced.
    Replaced = 1,
    /// It was made what it had been before.
    RolledBack = 2,
    /// Something else was chosen for it.
    Settings = 3,
    /// The zone was deleted.
    Deleted = 4,
    /// The deleted zone was restored.
    Undeleted = 5,
}

positional! {
    /// The private value of one change of a zone.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct ZoneChange<'a> {
        /// 1.
        pub format: u8,
        /// Number of the [`ChangeKind`].
        pub kind: u8,
        /// On the clock of the core, seconds of Unix time.
        pub time: u64,
        /// Name of the token, or how else the change came.
        pub by: &'a str,
        /// Of the SOA before.
        pub serial_before: u32,
        /// Of the SOA afterwards.
        pub serial: u32,
        /// Where the keys of the zone were before.
        pub generation_before: Generation,
        /// The batch that takes it back, encoded.
        pub undo: &'a Bytes,
    }
}

impl ChangeKind {
    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Records, Self::Replaced, Self::RolledBack, Self::Settings, Self::Deleted, Self::Undeleted];
        all.into_iter().find(|kind| *kind as u8 == number)
    }

    /// For people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Replaced => "replaced",
            Self::RolledBack => "rolled-back",
            Self::Settings => "settings",
            Self::Deleted => "deleted",
            Self::Undeleted => "undeleted",
        }
    }
}

impl<'a> ZoneChange<'a> {
    /// Of this kind, at this time, by this author, the rest empty yet. A name that is too long loses its end.
    #[must_use]
    pub fn new(kind: ChangeKind, time: u64, by: &'a str) -> Self {
        let end = by.floor_char_boundary(MAX_AUTHOR);
        Self { format: FORMAT, kind: kind as u8, time, by: by.get(..end).unwrap_or_default(), ..Self::default() }
    }

    /// How.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        ChangeKind::from_number(self.kind).unwrap_or_default()
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        match ChangeKind::from_number(value.kind) {
            _ if value.format != FORMAT => Err(ValueError::Format(value.format)),
            None => Err(ValueError::Field("kind")),
            Some(_) => Ok(value),
        }
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        let value = ZoneChange {
            serial_before: 1,
            serial: 2,
            generation_before: Generation::new(7),
            undo: Bytes::new(b"batch"),
            ..ZoneChange::new(ChangeKind::Replaced, 1_795_392_000, "ci")
        };
        let bytes = value.encode();
        assert_eq!(ZoneChange::decode(&bytes).unwrap(), value);
        assert_eq!(value.kind(), ChangeKind::Replaced);
        assert!(ZoneChange::decode(&ZoneChange { kind: 6, ..value.clone() }.encode()).is_err());
        for cut in 0..bytes.len() {
            assert!(ZoneChange::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(ZoneChange::new(ChangeKind::Records, 0, &"é".repeat(100)).by.len(), MAX_AUTHOR);
    }
}
