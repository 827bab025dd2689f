//! The whole state of a voter on its way to another one, as the files of a database: messages, sender and receiver.
//!
//! ```text
//!  sender                                       receiver
//!     Manifest(id, files, applied, head) ─────▶   looks what it has of it already
//!                                  ◀───────────   Resume(file, offset)
//!     Piece ..., FileEnd(hash), Piece ...  ───▶   writes
//!     End                          ───────────▶   compares every file with its hash, opens the database
//!                                  ◀───────────   Done
//!                        Failed(why), from either end, at any time
//! ```
//!
//! # Format
//! A message is the positional MessagePack array
//! `[format, kind, file, offset, bytes, reason, id, files, applied, head]`, in which fields that a kind has no use for
//! hold their default; a file is `[name, length]`.
//!
//! # Limits
//! A message has at most [`MAX_TRANSFER_LEN`] bytes, a piece [`MAX_PIECE`], a state [`MAX_STATE_FILES`] files. What the
//! names of files may be, the receiver's store says.

use bytes::Bytes;
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::{Head, HeadError, positional, read_whole};

/// Most bytes of a file in one message: little enough that a rate is kept to, much next to what a message costs.
pub const MAX_PIECE: usize = 1024 * 1024;

/// Most files of a state. A table file of RocksDB has 64 MiB, so that is about a terabyte.
pub const MAX_STATE_FILES: usize = 16 * 1024;

/// Longest name of a file, in bytes: `MANIFEST-` and a number of 64 bits.
pub const MAX_STATE_FILE_NAME: usize = 29;

/// Largest message: a piece, or a manifest of the most files with the longest names, and room for what is around.
pub const MAX_TRANSFER_LEN: usize = MAX_PIECE + 64 * 1024;

/// Longest log id, in bytes: it is opaque here, and has 24.
const MAX_APPLIED: usize = 1024;

/// Longest reason, in bytes: what stands in a log line.
const MAX_REASON: usize = 1024;

const FORMAT: u8 = 1;
const MANIFEST: u8 = 1;
const RESUME: u8 = 2;
const PIECE: u8 = 3;
const FILE_END: u8 = 4;
const END: u8 = 5;
const DONE: u8 = 6;
const FAILED: u8 = 7;

positional! {
    /// One file of a state.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct StateFile {
        /// Its name in the folder of the database.
        pub name: String,
        /// Its length in bytes.
        pub len: u64,
    }
}

positional! {
    /// A message on the wire.
    #[derive(Default)]
    struct Wire {
        format: u8,
        kind: u8,
        file: u32,
        offset: u64,
        bytes: ByteBuf,
        reason: String,
        id: u128,
        files: Vec<StateFile> where len <= MAX_STATE_FILES,
        applied: ByteBuf,
        head: ByteBuf,
    }
}

/// What is sent, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateManifest {
    /// 128 random bits: two transfers with the same are of the same files.
    pub id: u128,
    /// In the order in which they are sent.
    pub files: Vec<StateFile>,
    /// The log id that the state stands for. Opaque here.
    pub applied: Option<Bytes>,
    /// Where the state stands.
    pub head: Head,
}

impl StateManifest {
    /// As one byte string: the message that announces it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        StateMessage::Manifest(self.clone()).to_bytes()
    }
}

/// A place among the files of a state: all before it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatePlace {
    /// Number of the file; behind the last one when all are there.
    pub file: u32,
    /// Bytes of it.
    pub offset: u64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateMessage {
    /// The first one of a sender.
    Manifest(StateManifest),
    /// The first one of a receiver: go on from here.
    Resume(StatePlace),
    /// Part of a file, at the place where the one before ended.
    Piece {
        /// Where.
        place: StatePlace,
        /// What.
        bytes: Bytes,
    },
    /// That was all of a file.
    FileEnd {
        /// Which.
        file: u32,
        /// BLAKE3 of it.
        hash: [u8; 32],
    },
    /// That was the last file.
    End,
    /// The receiver has the state, whole and open.
    Done,
    /// The one who says this gives up.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Why bytes are no message.
#[derive(Debug, Error)]
pub enum TransferError {
    /// Longer than any message.
    #[error("a message of {0} bytes")]
    TooLong(usize),
    /// Not MessagePack of this shape.
    #[error("malformed message: {0}")]
    Syntax(#[from] rmp_serde::decode::Error),
    /// Of a later release.
    #[error("message format {0} is not known to this release")]
    Format(u8),
    /// Of a later release.
    #[error("message kind {0} is not known to this release")]
    Kind(u8),
    /// A field is out of its bounds.
    #[error("{0} is too long")]
    Bounds(&'static str),
    /// A hash that is none.
    #[error("a hash of {0} bytes")]
    Hash(usize),
    /// A head that is none.
    #[error(transparent)]
    Head(#[from] HeadError),
}

impl StateMessage {
    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(&self.wire()).expect("plain data always encodes").into()
    }

    /// Back from [`StateMessage::to_bytes`].
    ///
    /// # Errors
    /// Not such a message, one out of bounds, or one of a later release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TransferError> {
        if bytes.len() > MAX_TRANSFER_LEN {
            return Err(TransferError::TooLong(bytes.len()));
        }
        let wire: Wire = read_whole(bytes)?;
        if wire.format != FORMAT {
            return Err(TransferError::Format(wire.format));
        }
        let place = StatePlace { file: wire.file, offset: wire.offset };
        Ok(match wire.kind {
            MANIFEST => Self::Manifest(manifest(wire)?),
            RESUME => Self::Resume(place),
            PIECE => Self::Piece { place, bytes: at_most("a piece", wire.bytes, MAX_PIECE)? },
            FILE_END => Self::FileEnd { file: wire.file, hash: hash(&wire.bytes)? },
            END => Self::End,
            DONE => Self::Done,
            FAILED if wire.reason.len() > MAX_REASON => return Err(TransferError::Bounds("a reason")),
            FAILED => Self::Failed { reason: wire.reason },
            kind => return Err(TransferError::Kind(kind)),
        })
    }

    /// The one who says it gives up, and why.
    #[must_use]
    pub fn failed(reason: &str) -> Self {
        Self::Failed { reason: reason.to_owned() }
    }

    fn wire(&self) -> Wire {
        let wire = |kind| Wire { format: FORMAT, kind, ..Wire::default() };
        let at = |kind, place: &StatePlace| Wire { file: place.file, offset: place.offset, ..wire(kind) };
        match self {
            Self::Manifest(manifest) => Wire {
                id: manifest.id,
                files: manifest.files.clone(),
                applied: ByteBuf::from(manifest.applied.as_deref().unwrap_or_default()),
                head: ByteBuf::from(&manifest.head.to_bytes()[..]),
                ..wire(MANIFEST)
            },
            Self::Resume(place) => at(RESUME, place),
            Self::Piece { place, bytes } => Wire { bytes: ByteBuf::from(&bytes[..]), ..at(PIECE, place) },
            Self::FileEnd { file, hash } => Wire { file: *file, bytes: ByteBuf::from(*hash), ..wire(FILE_END) },
            Self::End => wire(END),
            Self::Done => wire(DONE),
            Self::Failed { reason } => Wire { reason: within(reason, MAX_REASON).to_owned(), ..wire(FAILED) },
        }
    }
}

fn manifest(wire: Wire) -> Result<StateManifest, TransferError> {
    if wire.files.iter().any(|file| file.name.len() > MAX_STATE_FILE_NAME) {
        return Err(TransferError::Bounds("the name of a file"));
    }
    let applied = at_most("a log id", wire.applied, MAX_APPLIED)?;
    let applied = Some(applied).filter(|applied| !applied.is_empty());
    Ok(StateManifest { id: wire.id, files: wire.files, applied, head: Head::from_bytes(&wire.head)? })
}

fn at_most(what: &'static str, bytes: ByteBuf, max: usize) -> Result<Bytes, TransferError> {
    if bytes.len() > max { Err(TransferError::Bounds(what)) } else { Ok(bytes.into_vec().into()) }
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], TransferError> {
    bytes.try_into().map_err(|_| TransferError::Hash(bytes.len()))
}

/// The longest part from the beginning that is within `max` bytes.
fn within(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}
