//! Bulk: bounded, in order, yielding, and closed to changes meanwhile.

use zonecast_kv_core::{Outcome, ProposeError};
use zonecast_kv_proto::{Batch, Op, Precondition, Refusal, Section, SectionId, Value, Version};

use super::{ZONE, follow, increment, is_busy, key, number, put, read, start};

/// About 1 MiB.
fn chunk(id: SectionId, chunk: usize) -> Batch {
    let op = |entry| Op::Put {
        key: key(id, &format!("{chunk:06}/{entry:04}")),
        value: Value::new(vec![u8::try_from(chunk % 251).unwrap(); 1000]).unwrap(),
    };
    Batch { preconditions: vec![], sections: vec![Section { id, ops: (0..1000).map(op).collect() }] }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_busy_and_what_was_taken_commits_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let mut pending = vec![];
    let refused = loop {
        match core.propose(&chunk(ZONE, pending.len())).await {
            Ok(outcome) => pending.push(outcome),
            Err(error) => break error,
        }
        assert!(pending.len() < 2000, "the limit is never reached");
    };
    assert!(matches!(refused, ProposeError::Busy), "{refused}");
    let chunks = pending.len();
    for (expected, outcome) in (1..).zip(pending) {
        let Outcome::Committed { version, .. } = outcome.await else { panic!("chunk {expected} failed") };
        assert_eq!(version, Some(Version::new(expected)));
    }
    assert_eq!(read(&core.view(), ZONE, &format!("{:06}/0999", chunks - 1)).unwrap().len(), 1000);
    assert!(core.propose(&chunk(ZONE, chunks)).await.is_ok(), "there is room again");
    core.shutdown().await.unwrap();
}

/// A change that is proposed and not applied yet is not in the view that bulk was built from.
#[tokio::test(flavor = "multi_thread")]
async fn bulk_that_a_change_has_overtaken_is_refused_and_takes_nobody_along() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    for round in 1..=20 {
        let view = core.view();
        let required = Precondition { section: ZONE, edition: view.edition(ZONE).unwrap() };
        let bulk = Batch { preconditions: vec![required], ..put(ZONE, "n", 0_u64.to_be_bytes()) };
        let (_, first) = increment(&core, "n").await.unwrap();
        let bulk = core.propose(&bulk).await.unwrap();
        let (seen, second) = increment(&core, "n").await.unwrap();
        assert_eq!(seen, 2 * round);
        assert!(matches!(bulk.await, Outcome::Refused(Refusal::Precondition { .. })));
        assert!(matches!(first.await, Outcome::Committed { .. }));
        assert!(matches!(second.await, Outcome::Committed { .. }), "nothing was built on the bulk");
    }
    assert_eq!(number(&core.view(), "n"), 40);
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_ahead_shows_what_is_not_applied_yet() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    for expected in 1..=200 {
        let (_, _pending) = increment(&core, "n").await.unwrap();
        let ahead = core.ahead(|view| Ok::<_, ()>(number(view, "n"))).await.unwrap();
        assert_eq!(ahead, expected);
    }
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_with_bulk_on_its_way_is_closed_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let other = SectionId { partition: 2, ..ZONE };
    let mut pending = vec![];
    for number in 0..20 {
        pending.push(core.propose(&chunk(ZONE, number)).await.unwrap());
    }
    let put_other = |_: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
        Ok::<_, ()>((put(SectionId { partition: 2, ..ZONE }, "other", "x"), ()))
    };
    assert!(matches!(core.change(put_other).await.unwrap().1.await, Outcome::Committed { .. }), "{other:?}");
    let mut times_busy = 0;
    let mut committed = 0;
    while committed < 3 {
        match increment(&core, "n").await {
            Ok((_, outcome)) => committed += u64::from(matches!(outcome.await, Outcome::Committed { .. })),
            Err(error) => {
                assert!(is_busy(&error), "{error}");
                times_busy += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(times_busy > 0, "a change must not pass bulk of its own section");
    for outcome in pending {
        assert!(matches!(outcome.await, Outcome::Committed { .. }));
    }
    assert_eq!(number(&core.view(), "n"), 3);
    assert_eq!(follow(&core), core.position());
    core.shutdown().await.unwrap();
}
