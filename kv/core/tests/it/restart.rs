//! What a restart keeps, and what a second process is told.

use zonecast_kv_core::Outcome;
use zonecast_kv_proto::{Batch, Op, Section, Value};

use super::{ZONE, follow, increment, key, number, start, versions};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (mut head, mut store) = (None, None);
    for round in 0..4_u64 {
        let (core, log) = start(folder.path()).await.unwrap();
        assert_eq!(*head.get_or_insert_with(|| core.head()), core.head(), "round {round}");
        assert_eq!(*store.get_or_insert(core.position().store), core.position().store);
        assert_eq!(number(&core.view(), "n"), round * 10);
        for _ in 0..10 {
            assert!(matches!(increment(&core, "n").await.unwrap().1.await, Outcome::Committed { .. }));
        }
        assert_eq!(core.allocate(5).await.unwrap().start, round * 5 + 1);
        assert_eq!(versions(&log).len(), 10, "what was applied before is not applied again");
        assert_eq!(follow(&core), core.position());
        head = Some(core.head());
        core.shutdown().await.unwrap();
    }
}

/// So much that the raft log gives up what is applied, more than once.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_after_the_log_was_purged_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    for chunk in 0..60_usize {
        let op = |entry| Op::Put {
            key: key(ZONE, &format!("{chunk:06}/{entry:04}")),
            value: Value::new(vec![1; 100_000]).unwrap(),
        };
        let batch =
            Batch { preconditions: vec![], sections: vec![Section { id: ZONE, ops: (0..35).map(op).collect() }] };
        assert!(matches!(core.propose(&batch).await.unwrap().await, Outcome::Committed { .. }));
    }
    for _ in 0..200 {
        increment(&core, "n").await.unwrap().1.await;
    }
    let head = core.head();
    core.shutdown().await.unwrap();
    drop(core);
    let (core, _) = start(folder.path()).await.unwrap();
    assert_eq!(core.head(), head);
    assert_eq!(number(&core.view(), "n"), 200);
    core.shutdown().await.unwrap();
}
