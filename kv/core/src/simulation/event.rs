//! What invariants are shown of voters, as it happens.

use std::collections::BTreeMap;

use bytes::Bytes;
use zonecast_kv_proto::{Command, Head, Position, Verdict};

use super::run::Run;
use crate::types::{Entry, LogId};

#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A disk has become a node of the cluster.
    Admitted { id: u64, disk: u64 },
    /// A voter has opened what its disk holds.
    Opened { run: &'a Run, head: Head },
    /// An entry stands in the log of a voter, durable or not.
    Appended { run: &'a Run, entry: &'a Entry, is_own: bool, log: &'a BTreeMap<u64, Bytes> },
    /// An entry stands there no more, because another leader has something else.
    Truncated { run: &'a Run, entry: &'a Entry },
    /// An entry is applied, or one command of it, and the state stands there.
    Applied { run: &'a Run, log_id: LogId, command: Option<&'a Command>, verdict: &'a Verdict, head: Head },
    /// A version was handed to the sink.
    Published { run: &'a Run, position: Position },
}
