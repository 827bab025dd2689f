//! openraft's own test suite, run on our log and state.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::Notify;
use zonecast_kv_store::{RaftLog, StateOptions, StateStore, StoreMetrics};

use crate::log_store::LogStore;
use crate::state_machine::{Applied, PurgeAfter, StateMachine};
use crate::store_use::StoreUse;
use crate::types::TypeConfig;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        let log = RaftLog::open(&folder.path().join("raft"), metrics.clone()).unwrap();
        let state = StateStore::open(&folder.path().join("state"), &StateOptions::default(), metrics).unwrap();
        let (hold, sink) = (StoreUse::new().0, Arc::new(|_: &Applied| {}));
        let purge_after = PurgeAfter { bytes: usize::MAX, purge: Arc::new(Notify::new()) };
        let machine = StateMachine::new(state.clone(), sink, purge_after, hold.clone());
        Ok((folder, LogStore::new(Arc::new(log), state, hold), machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openraft_is_content_with_our_storage() {
    Suite::test_all(Builder).await.unwrap();
}
