//! The formats and protocols that all nodes of zonecast share, without I/O.
//!
//! A *core* commits [`Batch`]es of bytes; every accepted batch gets a [`Revision`], every batch with a published
//! part also a [`Version`]. Edges follow versions and end up with exactly the core's bytes: the [`Chain`] in each
//! [`Position`] proves it. This crate knows keys and values as bytes, never DNS.
//!
//! Everything here is synchronous and deterministic: no clock, socket, file or randomness.

mod acks;
#[cfg(test)]
mod acks_tests;
mod at_most;
mod batch;
mod book_edge;
mod chain;
mod command;
mod copy_check;
mod edge_news;
#[cfg(test)]
mod elsewhere_tests;
#[cfg(test)]
mod error_texts;
mod filter;
#[cfg(test)]
mod filter_tests;
mod filtered_frames;
mod fold;
mod fold_group;
mod fold_step;
#[cfg(test)]
mod fold_tests;
mod follower;
mod follower_io;
mod frame;
mod group;
#[cfg(test)]
mod hostile;
mod id;
mod kept_requests;
#[cfg(test)]
mod kept_requests_tests;
mod key;
mod known_node;
mod level;
mod line_limit;
mod machine;
mod memory_view;
mod overlay;
mod pace;
mod path;
mod peer;
mod position;
mod positional;
mod published;
mod publisher;
#[cfg(test)]
mod publisher_tests;
#[cfg(test)]
mod random;
mod range_exchange;
mod range_sums;
mod receipt;
mod received_version;
mod reported_edges;
mod request;
mod request_key;
mod revoked_list;
mod role;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod simulation_source;
mod skipped;
mod snapshot;
mod source;
mod state_receiver;
mod state_sender;
mod state_transfer;
#[cfg(test)]
mod state_transfer_simulation;
#[cfg(test)]
mod state_transfer_tests;
mod subscribe_refusal;
mod table_course;
mod table_fetch;
#[cfg(test)]
mod table_fetch_tests;
mod table_manifest;
mod table_mirror;
mod table_receiver;
mod table_sender;
#[cfg(test)]
mod table_simulation;
mod table_source;
#[cfg(test)]
mod table_tests;
mod tail;
mod tally;
mod times;
mod told_edges;
#[cfg(test)]
mod tree_simulation;
mod upstreams;
#[cfg(test)]
mod upstreams_tests;
mod value;
mod verification;
mod view;
mod wait_for;
mod whole;
mod wire_reader;

pub use acks::{AcceptedLink, AckBook, Booked, EdgeLink, EdgeReport, Gained, MAX_EDGES, MAX_LISTED};
pub use at_most::AtMost;
pub use batch::{
    Batch, DecodeError, EncodeError, EncodedBatch, EncodedSection, MAX_BATCH_LEN, MAX_SECTIONS, Op, OpError, OpRef,
    Precondition, SECTION_OVERHEAD, Section, SectionId, decode_ops,
};
pub use chain::{Chain, OperationsHash, SectionDigest};
pub use command::{Command, CommandError};
pub use copy_check::{CopyCheck, CopyCheckState, MAX_CHECK_KEY};
pub use edge_news::{EdgeNews, EdgeNewsError, LONGEST_EDGE_NEWS, MAX_EDGE_NEWS_LEN};
pub use filter::{Filter, FilterError, KeyRange, MAX_FILTER_KEYSPACES, PUBLISHED_END};
pub use fold::FOLD_FROM;
pub use fold_step::{EdgeTold, FoldLevel, FoldStep, MAX_FOLD_STEP_LEN};
pub use follower::{ACK_BURST, ACK_EVERY, ANSWER_WITHIN, Follower, LEAST_ACK_EVERY, MAX_OUTSTANDING, SILENT_AFTER};
pub use follower_io::{FollowerAction, FollowerEnd, FollowerInput, FollowerState};
pub use frame::{
    Ack, CONTROL, FIRST_SKIPPABLE, Frame, FrameDecoder, FrameError, Heartbeat, MAX_FRAGMENT_LEN, MAX_FRAME_LEN,
    MAX_MESSAGE_LEN, MAX_NAME_LEN, MAX_REPORTS, MAX_REQUEST_LEN, PROTOCOL, SnapshotEnd, Subscribe, table_piece,
};
pub use group::{Commit, Group, MAX_GROUP, MAX_GROUP_LEN};
pub use id::{Edition, Epoch, KeyspaceId, RestoreId, Revision, StoreId, Version};
pub use kept_requests::{KeptRequests, RequestChanges, RequestLimits, SeenRequest};
pub use key::{Key, KeyError, MAX_KEY_LEN};
pub use known_node::{KnownNode, KnownNodeError};
pub use level::{FEATURE_LEVEL, FIRST_LEVEL};
pub use line_limit::LineLimit;
pub use machine::{Accepted, Beside, Effect, Head, HeadError, MachineError, Refusal, Verdict};
pub use memory_view::MemoryView;
pub use overlay::{Overlay, OverlayView};
pub use pace::{LEAST_RATE, PACE_OVER, Pace};
pub use path::{MAX_PATH, Path};
pub use peer::{Peer, is_node_name};
pub use position::Position;
pub use positional::{Fields, Positional};
pub use published::{OmittedSection, Published, PublishedError};
pub use publisher::{
    BOOK_EVERY, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, HEARTBEAT_AFTER, MAX_REST, MAX_WRITE,
    SNAPSHOT_CHUNK, SUBSCRIBE_WITHIN,
};
pub use range_exchange::{MAX_GIVEN_LEN, RangesGiven, RangesGivenError, RangesWant};
pub use range_sums::{MAX_RANGE_LEN, MAX_RANGES_IN_MESSAGE, RangeHash, RangeHasher, RangeSum, RangeSums, Span};
pub use receipt::{EdgeReceipt, Receipt, Took, TookSummary};
pub use received_version::ReceivedVersion;
pub use reported_edges::{MAX_REPORTED, Reported, ReportedEdges};
pub use request::{Idempotency, MAX_NOTE_LEN, Note, NoteError, Once, RequestError, RequestId, RequestRecord};
pub use request_key::{RequestKey, RequestKeyError};
pub use revoked_list::{RevokedList, RevokedListError};
pub use role::{DOMAIN, Role, RoleError};
pub use skipped::{MAX_SKIPPED, MAX_SKIPPED_SECTIONS, SkippedRun, SkippedVersion};
pub use snapshot::{EntryError, SnapshotCheck, decode_entries, encode_entries, put_entry};
pub use source::{BatchSource, LogPin, SnapshotSource, SourceError};
pub use state_receiver::{ReceiverAction, ReceiverInput, StateReceiver};
pub use state_sender::{SenderAction, SenderInput, StateSender, TransferEnd};
pub use state_transfer::{
    MAX_PIECE, MAX_STATE_FILE_NAME, MAX_STATE_FILES, MAX_TRANSFER_LEN, StateFile, StateManifest, StateMessage,
    StatePlace, TransferError,
};
pub use subscribe_refusal::SubscribeRefusal;
pub use table_course::{MAX_TABLE_PIECE, TableCourse, TablePiece, TablePlace, TablesWant};
pub use table_fetch::{FetchAction, FetchEnd, FetchInput, TableFetch};
pub use table_manifest::{MAX_TABLE_FILES, SignedManifest, TableFile, TableHash, TableManifest, TableManifestError};
pub use table_mirror::{MirrorError, MirrorFuture, TableMirror};
pub use table_receiver::{OfferedTables, TableLoad};
pub use table_sender::{ELSEWHERE_WITHIN, TableOffer, WANT_WITHIN};
pub use table_source::TableSource;
pub use tail::{Tail, TailRead};
pub use times::{Slowest, TIME_BUCKETS, Times};
pub use told_edges::FoldOf;
pub use upstreams::{BEARS_UNCONFIRMED, MAX_BACKOFF, MIN_BACKOFF, UNCONFIRMED_AFTER};
pub use value::{MAX_VALUE_LEN, Value, ValueError};
pub use verification::{Agreement, Marker, VERIFICATION, Verification, VerificationError};
pub use view::{View, ViewError};
pub use wait_for::{WaitFor, WaitForError};
pub use whole::{read_whole, read_whole_into};
