//! openraft's own test suite, run on our log and state.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::Notify;
use zonecast_kv_store::{RaftLog, StateOptions, StateStore, StoreMetrics};

use crate::log_store::LogStore;
use crate::machine::{Machine, MachineParts};
use crate::metrics::CoreMetrics;
use crate::state_machine::{Applied, PurgeAfter, StateMachine};
use crate::store_use::StoreUse;

type TypeConfig = crate::types::TypeConfig<Machine>;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore<Machine>, StateMachine<Machine>, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore<Machine>, StateMachine<Machine>), StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().unwrap();
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        let log = RaftLog::open(&folder.path().join("raft"), metrics.clone()).unwrap();
        let state = StateStore::open(&folder.path().join("state"), &StateOptions::default(), metrics).unwrap();
        let parts = MachineParts {
            store_use: StoreUse::new().0,
            metrics: CoreMetrics::register(&Registry::new()).unwrap(),
            snapshot_rate: StateOptions::default().snapshot_bytes_per_second,
        };
        let (machine, sink) = (Machine::new(parts), Arc::new(|_: &Applied| {}));
        let log = Arc::new(log);
        let purge_after = PurgeAfter { bytes: usize::MAX, purge: Arc::new(Notify::new()) };
        let applying = StateMachine::new(machine.clone(), Arc::clone(&log), state.clone(), sink, purge_after);
        Ok((folder, LogStore::new(machine, log, state), applying))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openraft_is_content_with_our_storage() {
    Suite::test_all(Builder).await.unwrap();
}
