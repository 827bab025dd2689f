//! The messages between a publisher and its downstreams, independent of the transport.
//!
//! ```text
//!  follower                                   publisher
//!     Subscribe(position or none)  ───────▶
//!     Ack(applied, durable) ...    ───────▶
//!                                  ◀───────  Stream(head), Version, Version, ..., Heartbeat, ...
//!                                       or   SnapshotFollows, SnapshotEntries ..., SnapshotEnd, Version, ...
//!                                       or   TablesFollow(manifest)
//!     TablesWant(what it lacks)    ───────▶
//!                                  ◀───────  TablePiece ..., TablesEnd, Version, ...
//!                                       or   Refused(why)
//! ```
//!
//! # Format
//! A frame is a big-endian `u32` length and that many bytes: one positional MessagePack array whose first element is
//! the kind. The kinds that may be large, `Version`, `SnapshotEntries` and `TablesFollow`, are cut into fragments of at most
//! [`MAX_FRAGMENT_LEN`]; each fragment is a frame of its own and the last one says so. Nothing else comes between the
//! fragments of one message.
//!
//! Kinds from [`FIRST_SKIPPABLE`] on may be skipped by a reader that does not know them; any other unknown kind is an
//! error.
//!
//! # Limits
//! A length is checked before a byte of the frame is waited for and never allocated ahead, so a decoder holds at most
//! one frame and one message of [`MAX_MESSAGE_LEN`], whatever the peer claims; that of a publisher one frame of
//! [`MAX_REQUEST_LEN`].

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{DeserializeOwned, DeserializeSeed as _};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::subscribe_refusal::WireRefusal;
use crate::wire_reader::WireReader;
use crate::{
    AtMost, CopyCheck, Epoch, MAX_BATCH_LEN, Path, Position, RangesWant, SkippedRun, SubscribeRefusal, TablePiece,
    TablesWant, Version, positional,
};

/// Version of the protocol that frames and their order belong to.
pub const PROTOCOL: u16 = 1;

/// Largest piece of a large message: what one frame holds up of the others behind it.
pub const MAX_FRAGMENT_LEN: usize = 256 * 1024;

/// Largest frame without its length: a fragment, its kind and flags.
pub const MAX_FRAME_LEN: usize = MAX_FRAGMENT_LEN + 1024;

/// Largest assembled message: the largest batch, whose sections count with more than their headers take, and room for
/// what stands around it.
pub const MAX_MESSAGE_LEN: usize = MAX_BATCH_LEN + 64 * 1024;

/// Largest frame of a downstream without its length: a subscription with its name, its position and room for a filter.
/// What a connection may make a publisher hold before the publisher knows what it means.
pub const MAX_REQUEST_LEN: usize = 16 * 1024;

/// Longest node name in a frame, in bytes: one label of a domain name.
pub const MAX_NAME_LEN: usize = 63;

/// What MessagePack puts before a byte string, by the bytes that its length has.
const BIN8: u8 = 0xc4;
const BIN16: u8 = 0xc5;
const BIN32: u8 = 0xc6;

/// Kinds from here on may be skipped.
pub const FIRST_SKIPPABLE: u8 = 0x40;

/// Reserved for control records outside versions, such as release rings. Skipped until there are any.
pub const CONTROL: u8 = 0x40;

/// Most news of edges in one frame: as much as its length leaves room for, of the shortest names.
pub const MAX_REPORTS: usize = 512;

const PATH: u8 = 0x41;
const REPORTS: u8 = 0x42;
const RANGES_WANT: u8 = 0x43;
const RANGES: u8 = 0x44;

const SUBSCRIBE: u8 = 1;
const ACK: u8 = 2;
const STREAM: u8 = 3;
const SNAPSHOT_FOLLOWS: u8 = 4;
const SNAPSHOT_ENTRIES: u8 = 5;
const SNAPSHOT_END: u8 = 6;
const REFUSED: u8 = 7;
const VERSION: u8 = 8;
const HEARTBEAT: u8 = 9;
const GOODBYE: u8 = 10;
const TABLES_FOLLOW: u8 = 11;
const TABLES_WANT: u8 = 12;
const TABLE_PIECE: u8 = 13;
const TABLES_END: u8 = 14;
const SKIPPED: u8 = 15;
const TABLES_ASK: u8 = 16;
const TABLES_ELSEWHERE: u8 = 17;

/// One message, fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first of a downstream.
    Subscribe(Subscribe),
    /// How far a downstream has come.
    Ack(Ack),
    /// You get every version after your position; this is my head now.
    Stream(Position),
    /// You get everything at this position first.
    SnapshotFollows(Position),
    /// Part of a snapshot; see [`encode_entries`](crate::encode_entries).
    SnapshotEntries(Bytes),
    /// That was all of it.
    SnapshotEnd(SnapshotEnd),
    /// You get nothing; the connection ends.
    Refused(SubscribeRefusal),
    /// An encoded [`Published`](crate::Published).
    Version(Bytes),
    /// Versions that change nothing that the filter of the downstream holds.
    Skipped(SkippedRun),
    /// Sent when there has been nothing else for a while.
    Heartbeat(Heartbeat),
    /// This publisher is going away in good order; go to another or come back.
    Goodbye,
    /// The way that the versions of this publisher take to it.
    Path(Path),
    /// What a relay knows of the edges that it serves: encoded [`EdgeNews`](crate::EdgeNews).
    Reports(Vec<Bytes>),
    /// A question about the copy at a marker.
    RangesWant(RangesWant),
    /// The answer: an encoded [`RangesGiven`](crate::RangesGiven).
    Ranges(Bytes),
    /// You get everything as table files first, after you have said what you lack of them: an encoded
    /// [`SignedManifest`](crate::SignedManifest).
    TablesFollow(Bytes),
    /// What a downstream lacks of them.
    TablesWant(TablesWant),
    /// Part of a table file.
    TablePiece(TablePiece),
    /// That was all of what was wanted of the files, which stand at this position.
    TablesEnd(Position),
    /// The first of a relay on a stream of its own: it asks for table files that stand there or later.
    TablesAsk(Epoch, Version),
    /// You get what follows the table files that you can have elsewhere, at this position, once you have them.
    TablesElsewhere(Position),
}

positional! {
    /// A subscription of a downstream.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Subscribe {
        /// [`PROTOCOL`] of the downstream.
        pub protocol: u16,
        /// Its name, the one in its certificate.
        pub name: String,
        /// Another number each time the process starts.
        pub incarnation: u64,
        /// Where it stands, or nothing if it is new.
        pub position: Option<Position>,
        /// An encoded [`Filter`](crate::Filter); empty asks for everything.
        pub filter: serde_bytes::ByteBuf,
        /// How many connections this process has made before.
        pub connection: u64,
        /// From which epoch and version on it takes a snapshot as table files, if it takes them at all: those that
        /// others share may be older than a copy that is damaged.
        pub tables_from: Option<(Epoch, Version)>,
        /// Where table files stand that it can have elsewhere, if it needs a snapshot. Boxed, because few frames have one.
        pub elsewhere: Option<Box<Position>>,
    }
}

positional! {
    /// How far a downstream has come. It takes back what an earlier ack of the same downstream said.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Ack {
        /// The number of the process, as in [`Subscribe`].
        pub incarnation: u64,
        /// History that both versions belong to.
        pub epoch: Epoch,
        /// The version that readers see.
        pub applied: Version,
        /// Power loss cannot take this.
        pub durable: Version,
        /// From the leader's stamp of `applied` to its application, by two clocks, microseconds; for people.
        pub two_clock_us: u64,
        /// From the arrival of `applied` at the downstream to its application, microseconds.
        pub apply_us: u64,
        /// What it has come to at the last marker, if that is news.
        pub check: Option<CopyCheck>,
    }
}

impl Ack {
    /// The same in place of an earlier one that nobody has seen: what that said of the check of a copy is not lost.
    #[must_use]
    pub fn with_check_of(self, earlier: Option<Self>) -> Self {
        let check = self.check.or(earlier.and_then(|earlier| earlier.check));
        Self { check, ..self }
    }
}

positional! {
    /// The end of a snapshot, with its count and digest, which show that the snapshot is complete.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SnapshotEnd {
        /// As in the `SnapshotFollows` before.
        pub position: Option<Position>,
        /// How many entries there were.
        pub entries: u64,
        /// The [digest](crate::SnapshotCheck::digest) of them.
        pub digest: serde_bytes::ByteBuf,
    }
}

positional! {
    /// A sign of life.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Heartbeat {
        /// The position of the publisher.
        pub head: Option<Position>,
        /// Its clock, microseconds of Unix time.
        pub time_us: u64,
        /// The time between two acks that it wants, in microseconds; 0 if it does not say.
        pub ack_every_us: u64,
        /// The time since a majority of the cores last confirmed that this publisher has everything that was committed, in
        /// microseconds; 0 if it needs nobody to confirm it, and 2^64 - 1 if it does not know.
        pub unconfirmed_us: u64,
    }
}

/// As they are read.
struct Reports(Vec<Bytes>);

impl<'de> Deserialize<'de> for Reports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AtMost::new(MAX_REPORTS).deserialize(deserializer).map(Self)
    }
}

/// Why bytes are not a frame: the peer is broken or hostile, and the connection must be closed.
#[derive(Debug, Error)]
pub enum FrameError {
    /// Over [`MAX_FRAME_LEN`], or from a downstream over [`MAX_REQUEST_LEN`].
    #[error("a frame of {0} bytes is over the limit of {1}")]
    Long(usize, usize),
    /// A message is over [`MAX_MESSAGE_LEN`].
    #[error("a message is over the limit of {MAX_MESSAGE_LEN} bytes")]
    LongMessage,
    /// Not the MessagePack of its kind.
    #[error("a frame of kind {kind} is malformed: {problem}")]
    Syntax {
        /// The kind of the frame.
        kind: u8,
        /// What the decoder says is wrong.
        problem: rmp_serde::decode::Error,
    },
    /// Not an array with a kind in front.
    #[error("a frame has no kind")]
    NotAFrame,
    /// More follows in the frame.
    #[error("a frame of kind {0} has bytes after its end")]
    Trailing(u8),
    /// Not known, and not skippable.
    #[error("frame kind {0} is not known to this release")]
    Unknown(u8),
    /// A large message towards a publisher.
    #[error("frame kind {0} is not for publishers")]
    NotForPublishers(u8),
    /// Another frame between the fragments of a message.
    #[error("frame kind {0} between the fragments of a message of kind {1}")]
    Interleaved(u8, u8),
    /// A node name is over [`MAX_NAME_LEN`].
    #[error("a node name of {0} bytes is over the limit of {MAX_NAME_LEN}")]
    Name(usize),
}

impl Frame {
    /// Appends the frame or its fragments to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Subscribe(body) => put(out, &(SUBSCRIBE, body)),
            Self::Ack(body) => put(out, &(ACK, body)),
            Self::Stream(head) => put(out, &(STREAM, head)),
            Self::SnapshotFollows(position) => put(out, &(SNAPSHOT_FOLLOWS, position)),
            Self::SnapshotEntries(bytes) => put_fragments(out, SNAPSHOT_ENTRIES, bytes),
            Self::SnapshotEnd(body) => put(out, &(SNAPSHOT_END, body)),
            Self::Refused(why) => put(out, &(REFUSED, WireRefusal::from(*why))),
            Self::Version(bytes) => put_fragments(out, VERSION, bytes),
            Self::Heartbeat(body) => put(out, &(HEARTBEAT, body)),
            Self::Goodbye => put(out, &(GOODBYE,)),
            Self::Path(path) => put(out, &(PATH, path)),
            Self::Reports(reports) => put(out, &(REPORTS, reports)),
            Self::RangesWant(body) => put(out, &(RANGES_WANT, body)),
            Self::Ranges(bytes) => put_fragments(out, RANGES, bytes),
            Self::TablesFollow(bytes) => put_fragments(out, TABLES_FOLLOW, bytes),
            Self::TablesWant(body) => put(out, &(TABLES_WANT, body)),
            Self::TablePiece(piece) => table_piece(piece.clone()).iter().for_each(|part| out.put_slice(part)),
            Self::TablesEnd(position) => put(out, &(TABLES_END, position)),
            Self::Skipped(run) => put(out, &(SKIPPED, run)),
            Self::TablesElsewhere(position) => put(out, &(TABLES_ELSEWHERE, position)),
            Self::TablesAsk(epoch, version) => put(out, &(TABLES_ASK, (epoch, version))),
        }
    }

    /// As one byte string of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

fn put<T: Serialize>(out: &mut BytesMut, body: &T) {
    let start = out.len();
    out.put_u32(0);
    rmp_serde::encode::write(&mut out.writer(), body).expect("writing plain data into memory cannot fail");
    let len = u32::try_from(out.len() - start - 4).expect("only fragments are large, and they are bounded");
    out.get_mut(start..start + 4).expect("written above").copy_from_slice(&len.to_be_bytes());
}

fn put_fragments(out: &mut BytesMut, kind: u8, bytes: &[u8]) {
    out.reserve(bytes.len() + 32);
    let mut rest = bytes;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(MAX_FRAGMENT_LEN));
        put(out, &(kind, !after.is_empty(), serde_bytes::Bytes::new(piece)));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
}

/// A [`Frame::TablePiece`] in two parts, so that the bytes of the file are not copied: what stands before them, and they.
///
/// # Panics
/// A piece over 4 GiB.
#[must_use]
pub fn table_piece(piece: TablePiece) -> [Bytes; 2] {
    let mut head = BytesMut::with_capacity(32);
    put(&mut head, &(TABLE_PIECE, (piece.file, piece.offset, serde_bytes::Bytes::new(&[]))));
    // In place of the two bytes that say an empty byte string.
    head.truncate(head.len() - 2);
    let len = piece.bytes.len();
    if let Ok(short) = u8::try_from(len) {
        head.put_slice(&[BIN8, short]);
    } else if let Ok(middle) = u16::try_from(len) {
        head.put_u8(BIN16);
        head.put_u16(middle);
    } else {
        head.put_u8(BIN32);
        head.put_u32(u32::try_from(len).expect("pieces are bounded"));
    }
    let len = u32::try_from(head.len() - 4 + piece.bytes.len()).expect("pieces are bounded");
    head.get_mut(..4).expect("written above").copy_from_slice(&len.to_be_bytes());
    [head.freeze(), piece.bytes]
}

/// Turns the bytes of a stream back into frames.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    max_frame: usize,
    /// Whether kinds that come in fragments are put together.
    assembles: bool,
    /// Kind and pieces of the message whose fragments are arriving.
    assembling: Option<(u8, BytesMut)>,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// For everything, as a downstream reads it. Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: BytesMut::new(), max_frame: MAX_FRAME_LEN, assembles: true, assembling: None }
    }

    /// For what downstreams send: short frames, and none of the kinds that are put together from fragments, so that
    /// thousands of connections cannot make a publisher hold a large message each.
    #[must_use]
    pub fn for_publisher() -> Self {
        Self { max_frame: MAX_REQUEST_LEN, assembles: false, ..Self::new() }
    }

    /// Takes what the stream gave. Call [`FrameDecoder::poll`] until it has nothing more before pushing again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The stream is broken from here on.
    pub fn poll(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some((head, _)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
            let len = usize::try_from(u32::from_be_bytes(*head)).expect("32 bits");
            if len > self.max_frame {
                return Err(FrameError::Long(len, self.max_frame));
            }
            if self.buffer.len() < 4 + len {
                return Ok(None);
            }
            let body = self.buffer.split_to(4 + len).freeze().slice(4..);
            if let Some(frame) = self.frame(&body)? {
                return Ok(Some(frame));
            }
        }
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.buffer.is_empty() && self.assembling.is_none()
    }

    fn frame(&mut self, bytes: &Bytes) -> Result<Option<Frame>, FrameError> {
        let kind = kind(bytes)?;
        if let Some((assembling, _)) = &self.assembling
            && *assembling != kind
        {
            return Err(FrameError::Interleaved(kind, *assembling));
        }
        let frame = match kind {
            SUBSCRIBE => Frame::Subscribe(check_name(body(kind, bytes)?)?),
            ACK => Frame::Ack(body(kind, bytes)?),
            STREAM => Frame::Stream(body(kind, bytes)?),
            SNAPSHOT_FOLLOWS => Frame::SnapshotFollows(body(kind, bytes)?),
            SNAPSHOT_END => Frame::SnapshotEnd(body(kind, bytes)?),
            REFUSED => Frame::Refused(body::<WireRefusal>(kind, bytes)?.into()),
            HEARTBEAT => Frame::Heartbeat(body(kind, bytes)?),
            GOODBYE => {
                read::<(u8,)>(kind, bytes)?;
                Frame::Goodbye
            }
            TABLES_WANT => Frame::TablesWant(body(kind, bytes)?),
            TABLE_PIECE => Frame::TablePiece(body(kind, bytes)?),
            TABLES_END => Frame::TablesEnd(body(kind, bytes)?),
            SKIPPED if !self.assembles => return Err(FrameError::NotForPublishers(kind)),
            SKIPPED => Frame::Skipped(body(kind, bytes)?),
            TABLES_ELSEWHERE => Frame::TablesElsewhere(body(kind, bytes)?),
            TABLES_ASK => {
                let (epoch, version) = body(kind, bytes)?;
                Frame::TablesAsk(epoch, version)
            }
            VERSION | SNAPSHOT_ENTRIES | TABLES_FOLLOW if !self.assembles => {
                return Err(FrameError::NotForPublishers(kind));
            }
            TABLES_FOLLOW => return Ok(self.fragment(kind, bytes)?.map(Frame::TablesFollow)),
            VERSION => return Ok(self.fragment(kind, bytes)?.map(Frame::Version)),
            SNAPSHOT_ENTRIES => return Ok(self.fragment(kind, bytes)?.map(Frame::SnapshotEntries)),
            PATH => Frame::Path(body(kind, bytes)?),
            REPORTS => Frame::Reports(read::<(u8, Reports)>(kind, bytes)?.1.0),
            RANGES_WANT => Frame::RangesWant(body(kind, bytes)?),
            RANGES if self.assembles => return Ok(self.fragment(kind, bytes)?.map(Frame::Ranges)),
            FIRST_SKIPPABLE.. => return Ok(None),
            unknown => return Err(FrameError::Unknown(unknown)),
        };
        Ok(Some(frame))
    }

    /// The whole message if this was its last fragment.
    fn fragment(&mut self, kind: u8, body: &Bytes) -> Result<Option<Bytes>, FrameError> {
        let (_, more, piece) = read::<(u8, bool, &serde_bytes::Bytes)>(kind, body)?;
        let Some((_, mut message)) = self.assembling.take() else {
            if !more {
                // A slice would keep everything alive that was read together with it.
                return Ok(Some(Bytes::copy_from_slice(piece)));
            }
            self.assembling = Some((kind, BytesMut::from(&piece[..])));
            return Ok(None);
        };
        if message.len() + piece.len() > MAX_MESSAGE_LEN {
            return Err(FrameError::LongMessage);
        }
        message.extend_from_slice(piece);
        if !more {
            return Ok(Some(message.freeze()));
        }
        self.assembling = Some((kind, message));
        Ok(None)
    }
}

/// The kind of a frame, from its first two bytes: a short array, then a number below 128.
fn kind(body: &[u8]) -> Result<u8, FrameError> {
    match body {
        [0x91..=0x9f, kind @ 0..=0x7f, ..] => Ok(*kind),
        _ => Err(FrameError::NotAFrame),
    }
}

/// The elements of a frame, which must be all there is.
fn read<'a, T: Deserialize<'a>>(kind: u8, body: &'a Bytes) -> Result<T, FrameError> {
    let mut slice = WireReader::new(body);
    let elements = T::deserialize(&mut slice).map_err(|problem| FrameError::Syntax { kind, problem })?;
    if slice.is_at_end() { Ok(elements) } else { Err(FrameError::Trailing(kind)) }
}

/// The second element of a frame of two.
fn body<T: DeserializeOwned>(kind: u8, body: &Bytes) -> Result<T, FrameError> {
    read::<(u8, T)>(kind, body).map(|(_, body)| body)
}

fn check_name(subscribe: Subscribe) -> Result<Subscribe, FrameError> {
    match subscribe.name.len() {
        len if len > MAX_NAME_LEN => Err(FrameError::Name(len)),
        _ => Ok(subscribe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chain, KeyspaceId, OmittedSection, OperationsHash, SectionId, SkippedVersion, StoreId};

    fn position(version: u64) -> Position {
        Position { version: Version::new(version), ..Position::origin(StoreId::new(77)) }
    }

    fn frames() -> Vec<Frame> {
        let version = Version::new(9);
        let chain = Chain::origin(StoreId::new(1));
        let refusals = [
            SubscribeRefusal::Ahead(position(3)),
            SubscribeRefusal::OtherStore(StoreId::new(5)),
            SubscribeRefusal::ForkedAt { epoch: Epoch::new(2), version },
            SubscribeRefusal::ChainDiffers { version, chain },
            SubscribeRefusal::Protocol(PROTOCOL),
            SubscribeRefusal::NotAllowed,
            SubscribeRefusal::Filter,
            SubscribeRefusal::Other(99),
        ];
        let subscribe = Subscribe {
            protocol: PROTOCOL,
            name: "edge-1".into(),
            incarnation: 1 << 50,
            position: Some(position(4)),
            filter: serde_bytes::ByteBuf::new(),
            connection: 3,
            tables_from: Some((Epoch::ZERO, Version::new(4))),
            elsewhere: Some(Box::new(position(9))),
        };
        let ack = Ack {
            incarnation: 1,
            epoch: Epoch::ZERO,
            applied: version,
            durable: version,
            two_clock_us: 70,
            apply_us: 9,
            check: Some(CopyCheck { number: 3, state: 1, ..CopyCheck::default() }),
        };
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let omitted = OmittedSection { id, operations: OperationsHash::of(b"operations"), after: 0 };
        let mut frames = vec![
            Frame::Subscribe(Subscribe { position: None, ..subscribe.clone() }),
            Frame::Subscribe(subscribe),
            Frame::Ack(ack),
            Frame::Stream(position(8)),
            Frame::SnapshotFollows(position(8)),
            Frame::SnapshotEntries(Bytes::from_static(b"entries")),
            Frame::SnapshotEnd(SnapshotEnd {
                position: Some(position(8)),
                entries: 3,
                digest: serde_bytes::ByteBuf::from([7; 32]),
            }),
            Frame::Version(Bytes::from_static(b"a version")),
            Frame::Heartbeat(Heartbeat { head: Some(position(8)), time_us: 5, ack_every_us: 7, unconfirmed_us: 9 }),
            Frame::Goodbye,
            Frame::Path(Path::of_core(crate::Peer { role: crate::Role::Core, name: "core-1".into() })),
            Frame::Reports(vec![Bytes::from_static(b"news"), Bytes::new()]),
            Frame::RangesWant(RangesWant { number: 7, from: 3, entries: None }),
            Frame::Ranges(Bytes::from_static(b"an answer")),
            Frame::TablesFollow(Bytes::from_static(b"a manifest")),
            Frame::TablesWant(TablesWant::of(1 << 40, [true, false, true])),
            Frame::TablePiece(TablePiece { file: 300, offset: 0, bytes: Bytes::from_static(b"a piece") }),
            Frame::TablesEnd(position(8)),
            Frame::Skipped(SkippedRun {
                epoch: Epoch::ZERO,
                first: version,
                chain,
                versions: vec![SkippedVersion { time_us: 5, omitted: vec![omitted] }, SkippedVersion::default()],
            }),
            Frame::TablesAsk(Epoch::new(3), Version::new(8)),
            Frame::TablesElsewhere(position(8)),
        ];
        frames.extend(refusals.map(Frame::Refused));
        frames
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let mut decoder = FrameDecoder::new();
        decoder.push(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.poll()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn reads_what_it_wrote_however_it_is_cut() {
        let mut wire = BytesMut::new();
        frames().iter().for_each(|frame| frame.encode(&mut wire));
        for step in [1, 3, 7, wire.len()] {
            let mut decoder = FrameDecoder::new();
            let mut read = Vec::new();
            for piece in wire.chunks(step) {
                decoder.push(piece);
                while let Some(frame) = decoder.poll().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, frames(), "in steps of {step}");
            assert!(decoder.is_between_messages());
        }
    }

    #[test]
    fn a_large_message_travels_as_fragments_and_comes_out_whole() {
        let large: Bytes = (0..MAX_FRAGMENT_LEN * 3 + 5).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let frame = Frame::Version(large);
        let wire = frame.to_bytes();
        let first = usize::try_from(u32::from_be_bytes(wire[..4].try_into().unwrap())).unwrap();
        assert!(first <= MAX_FRAME_LEN);
        assert_eq!(decode(&wire).unwrap(), [frame]);
        // Cut between two fragments there is no message, and no end either.
        let mut decoder = FrameDecoder::new();
        decoder.push(&wire[..4 + first]);
        assert!(decoder.poll().unwrap().is_none());
        assert!(!decoder.is_between_messages());
        decoder.push(&Frame::Goodbye.to_bytes());
        assert!(matches!(decoder.poll(), Err(FrameError::Interleaved(GOODBYE, VERSION))));
    }

    #[test]
    fn a_piece_of_a_table_file_is_written_in_two_parts_whatever_its_length() {
        for len in [1, 255, 256, 65_535, 65_536, MAX_FRAGMENT_LEN] {
            let piece = TablePiece { file: 3, offset: 1 << 33, bytes: vec![7; len].into() };
            let [head, bytes] = table_piece(piece.clone());
            assert_eq!(bytes, piece.bytes);
            assert_eq!(decode(&[head, bytes].concat()).unwrap(), [Frame::TablePiece(piece)], "{len}");
        }
    }

    #[test]
    fn every_truncation_of_a_body_is_an_error_and_no_flip_panics() {
        for frame in frames() {
            let wire = frame.to_bytes();
            for cut in 4..wire.len() {
                let mut short = wire[..cut].to_vec();
                short[..4].copy_from_slice(&u32::try_from(cut - 4).unwrap().to_be_bytes());
                assert!(decode(&short).is_err(), "{frame:?} cut at {cut}");
                assert!(decode(&wire[..cut]).unwrap().is_empty(), "{frame:?} waits for the rest");
            }
            for at in 0..wire.len() {
                for bit in 0..8 {
                    let mut flipped = wire.to_vec();
                    flipped[at] ^= 1 << bit;
                    let _ = decode(&flipped);
                }
            }
        }
    }

    #[test]
    fn a_claimed_length_is_refused_or_waited_for_but_never_allocated() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&u32::MAX.to_be_bytes());
        assert!(matches!(decoder.poll(), Err(FrameError::Long(..))));

        let mut decoder = FrameDecoder::new();
        decoder.push(&u32::try_from(MAX_FRAME_LEN).unwrap().to_be_bytes());
        assert!(decoder.poll().unwrap().is_none());
        assert!(decoder.buffer.capacity() < 1024);
        // A byte string that claims more than its frame has.
        assert!(decode(&[0, 0, 0, 8, 0x93, VERSION, 0xc2, 0xc6, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn an_endless_message_is_refused_at_the_limit() {
        let mut piece = BytesMut::new();
        put(&mut piece, &(VERSION, true, serde_bytes::Bytes::new(&vec![0; MAX_FRAGMENT_LEN])));
        let mut decoder = FrameDecoder::new();
        let pieces = MAX_MESSAGE_LEN / MAX_FRAGMENT_LEN;
        for number in 0..=pieces {
            decoder.push(&piece);
            let polled = decoder.poll();
            if number < pieces {
                assert!(matches!(polled, Ok(None)), "fragment {number}: {polled:?}");
            } else {
                assert!(matches!(polled, Err(FrameError::LongMessage)), "{polled:?}");
            }
        }
    }

    #[test]
    fn unknown_kinds_are_errors_unless_they_may_be_skipped() {
        let mut wire = BytesMut::new();
        put(&mut wire, &(CONTROL, "release 5"));
        put(&mut wire, &(0x7f_u8, 1, 2, 3));
        Frame::Goodbye.encode(&mut wire);
        assert_eq!(decode(&wire).unwrap(), [Frame::Goodbye]);

        let mut wire = BytesMut::new();
        put(&mut wire, &(0x3f_u8, 1));
        assert!(matches!(decode(&wire), Err(FrameError::Unknown(0x3f))));
    }

    #[test]
    fn two_values_in_one_frame_are_an_error() {
        for frame in frames() {
            let mut wire = frame.to_bytes().to_vec();
            wire.push(0);
            wire[3] += 1;
            assert!(matches!(decode(&wire), Err(FrameError::Trailing(_))), "{frame:?}");
        }
    }

    #[test]
    fn a_field_that_a_later_release_appends_is_skipped() {
        let mut wire = BytesMut::new();
        put(&mut wire, &(ACK, (1_u64, 2_u64, 3_u64, 3_u64, 0_u64, 0_u64, None::<u8>, "new")));
        let ack = Ack {
            incarnation: 1,
            epoch: Epoch::new(2),
            applied: Version::new(3),
            durable: Version::new(3),
            two_clock_us: 0,
            apply_us: 0,
            check: None,
        };
        assert_eq!(decode(&wire).unwrap(), [Frame::Ack(ack)]);
    }
}
