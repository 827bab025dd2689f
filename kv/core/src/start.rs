//! What happens before raft starts: the databases are opened and checked, and the core learns which node it is.

use std::path::{Path, PathBuf};

use zonecast_kv_store::{RaftLog, StateOptions, StateStore, StoreError, StoreMetrics};

use crate::core::{RAFT, STATE};
use crate::core_error::CoreError;
use crate::entry::{decode_entry, decode_log_id, decode_membership, decode_vote};
use crate::join::ask_to_join;
use crate::machine::Machine;
use crate::member::Member;
use crate::node_file::{Node, Stage};
use crate::quic_wire::QuicWire;
use crate::types::StoredMembership;

/// The node id of the voter that founds a cluster.
pub(crate) const FOUNDER: u64 = 1;

/// The databases of a core.
pub(crate) struct Opened {
    pub(crate) log: RaftLog,
    pub(crate) state: StateStore,
}

/// A folder that was being made a cluster of its own is neither what it was nor what it is to be.
pub(crate) fn refuse_unfinished(data_dir: &Path) -> Result<(), CoreError> {
    match Node::read(data_dir)? {
        Some(Node { stage: Stage::Recovering, .. }) => Err(CoreError::Unfinished(data_dir.to_owned())),
        _ => Ok(()),
    }
}

/// Opens both databases; the log first, because its lock is the voter's.
pub(crate) async fn open(data_dir: PathBuf, options: StateOptions, metrics: StoreMetrics) -> Result<Opened, CoreError> {
    let opening = tokio::task::spawn_blocking(move || {
        let log = RaftLog::open(&data_dir.join(RAFT), metrics.clone())?;
        let state = StateStore::open(&data_dir.join(STATE), &options, metrics)?;
        check_no_gap(&log, &state, &data_dir)?;
        Ok(Opened { log, state })
    });
    opening.await.map_err(|error| CoreError::System(error.to_string()))?.map_err(CoreError::Store)
}

/// Which node of its cluster this data folder is; nothing, if it is none yet.
pub(crate) fn known_node(data_dir: &Path, opened: &Opened) -> Result<Option<Node>, CoreError> {
    let has_log = has_log(&opened.log);
    match Node::read(data_dir)? {
        Some(node) if node.stage != Stage::Admitted && !has_log => {
            Err(CoreError::Emptied { folder: data_dir.to_owned(), id: node.id })
        }
        Some(node) => Ok(Some(node)),
        None if has_log => {
            let node = Node { id: only_voter(opened, data_dir)?, stage: Stage::Began };
            node.write(data_dir)?;
            Ok(Some(node))
        }
        None => Ok(None),
    }
}

/// Makes a new node of an empty data folder: one that founds a cluster, or one that a cluster lets in. Waits until it
/// does.
pub(crate) async fn new_node(
    data_dir: PathBuf,
    wire: QuicWire,
    me: Member,
    join: Vec<String>,
) -> Result<Node, CoreError> {
    let mut id = FOUNDER;
    if !join.is_empty() {
        let admitted = ask_to_join::<Machine>(wire, me, join).await.map_err(CoreError::Join)?;
        tracing::info!(id = admitted.id, store = %admitted.store, "this core was admitted");
        id = admitted.id;
    }
    let node = Node { id, stage: Stage::Admitted };
    node.write(&data_dir)?;
    Ok(node)
}

/// The certificate must be for the member that a node is.
pub(crate) fn check_name(known: &StoredMembership, id: u64, certificate: &str) -> Result<(), CoreError> {
    match known.membership().get_node(&id) {
        Some(me) if me.name != certificate => {
            Err(CoreError::OtherName { member: me.name.clone(), certificate: certificate.into() })
        }
        _ => Ok(()),
    }
}

/// Others must know where this core is; with an empty address it would become one that nobody reaches.
pub(crate) fn check_address(known: &StoredMembership, me: &Member) -> Result<(), CoreError> {
    let has_others = known.membership().nodes().nth(1).is_some();
    if has_others && me.address.is_empty() { Err(CoreError::NoAddress) } else { Ok(()) }
}

/// Whether raft has written anything.
pub(crate) fn has_log(log: &RaftLog) -> bool {
    log.vote().is_some() || !log.range().is_empty() || log.purged().is_some()
}

/// The node that a folder without the file is: the only voter of its cluster.
fn only_voter(opened: &Opened, data_dir: &Path) -> Result<u64, CoreError> {
    let membership = membership(&opened.state)?;
    let mut voters = membership.voter_ids();
    match (voters.next(), voters.next()) {
        (Some(only), None) => Ok(only),
        // Nothing was applied yet: the only one has voted for itself.
        (None, _) => {
            let vote = opened.log.vote().map(decode_vote).transpose()?;
            Ok(vote.map_or(FOUNDER, |vote| vote.leader_id.node_id))
        }
        _ => Err(CoreError::Nameless(data_dir.to_owned())),
    }
}

pub(crate) fn membership(state: &StateStore) -> Result<StoredMembership, StoreError> {
    let decoded = state.membership().map(decode_membership).transpose();
    Ok(decoded
        .map_err(|error| StoreError::Damaged { path: STATE.into(), what: error.to_string() })?
        .unwrap_or_default())
}

/// Whether nobody but this node can have committed what it holds. A learner of one voter is not alone.
fn is_only_voter(state: &StateStore, data_dir: &Path) -> Result<bool, StoreError> {
    let voters: Vec<u64> = membership(state)?.voter_ids().collect();
    // A file that cannot be read is reported when the node is asked for.
    let own = Node::read(data_dir).ok().flatten().map(|node| node.id);
    Ok(voters.iter().all(|voter| own.is_none_or(|own| own == *voter)) && voters.len() <= 1)
}

/// The log must reach from where the state ends, or before, to at least there. With several voters the state may be
/// ahead: a majority of others can commit what this disk does not have yet, and a power cut takes it from the log alone.
fn check_no_gap(log: &RaftLog, state: &StateStore, data_dir: &Path) -> Result<(), StoreError> {
    let damaged = |what: String| StoreError::Damaged { path: data_dir.to_path_buf(), what };
    let applied = state.applied().map(decode_log_id).transpose().map_err(|error| damaged(error.to_string()))?;
    if let Some(last) = log.last()? {
        decode_entry(last).map_err(|error| damaged(error.to_string()))?;
    }
    let (next, entries) = (applied.map_or(0, |log_id| log_id.index + 1), log.range());
    if next < entries.start {
        return Err(damaged(format!("the state ends before entry {next}, the raft log begins at {}", entries.start)));
    }
    // Entries are durable before they are applied. RocksDB takes a flipped length near the end of its log for a torn
    // write and drops what follows; this is where that shows.
    if next > entries.end && is_only_voter(state, data_dir)? {
        return Err(damaged(format!(
            "the state has applied entry {}, the raft log ends before {}",
            next - 1,
            entries.end
        )));
    }
    Ok(())
}
