//! Changes: order, preconditions, failures.

use zonecast_kv_core::{ChangeError, Outcome};
use zonecast_kv_proto::{Edition, Precondition, Published, Refusal, Version, ViewError};

use super::{NOTES, ZONE, follow, increment, number, put, start, versions};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_changes_to_one_section_each_see_their_predecessors() {
    let folder = tempfile::tempdir().unwrap();
    let (core, log) = start(folder.path()).await.unwrap();
    let mut pending = vec![];
    for expected in 1..=1000 {
        let (seen, outcome) = increment(&core, "n").await.unwrap();
        assert_eq!(seen, expected);
        pending.push(outcome);
    }
    for (expected, outcome) in (1_u64..).zip(pending) {
        let Outcome::Committed { version, .. } = outcome.await else { panic!("change {expected} failed") };
        assert_eq!(version, Some(Version::new(expected)));
    }
    assert_eq!(number(&core.view(), "n"), 1000);
    assert_eq!(versions(&log), (1..=1000).map(Version::new).collect::<Vec<_>>());
    let last = log.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.position, core.position());
    assert_eq!(Published::from_bytes(&last.bytes).unwrap().version, Version::new(1000));
    assert_eq!(follow(&core), core.position());
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_precondition_is_refused_and_says_what_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    increment(&core, "n").await.unwrap().1.await;
    let head = core.head();
    let required = Precondition { section: ZONE, edition: Edition::new(7) };
    let (_, pending) = core
        .change(move |_, editions| {
            assert_eq!(editions(ZONE)?, Edition::new(1));
            let batch = zonecast_kv_proto::Batch { preconditions: vec![required], ..put(NOTES, "n", "x") };
            Ok::<_, ViewError>((batch, ()))
        })
        .await
        .unwrap();
    let present = Edition::new(1);
    assert_eq!(pending.await, Outcome::Refused(Refusal::Precondition { required, present }));
    assert_eq!(core.head(), head);
    core.shutdown().await.unwrap();
}

/// A change that is refused takes along what was built on it, and nothing is ever counted twice or lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_on_a_refused_change_is_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let (mut committed, mut refused) = (0, 0);
    for round in 0..20 {
        let required = Precondition { section: ZONE, edition: Edition::new(u64::MAX - 1) };
        let mut pending = vec![];
        for change in 0..20 {
            if change == round % 7 + 3 {
                let bad = move |view: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
                    let next: u64 = number(view, "n") + 1000;
                    let batch = put(ZONE, "n", next.to_be_bytes());
                    Ok::<_, ViewError>((zonecast_kv_proto::Batch { preconditions: vec![required], ..batch }, ()))
                };
                pending.push(core.change(bad).await.unwrap().1);
            } else {
                pending.push(increment(&core, "n").await.unwrap().1);
            }
        }
        for outcome in pending {
            match outcome.await {
                Outcome::Committed { .. } => committed += 1,
                Outcome::Refused(Refusal::Precondition { .. }) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(number(&core.view(), "n"), committed, "round {round}");
    }
    assert!(refused >= 20, "{refused}");
    assert_eq!(committed + refused, 400);
    core.shutdown().await.unwrap();
}

/// With changes always on their way, so that there is never a moment without one built on the refused one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_poison_what_comes_later() {
    const IN_FLIGHT: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let mut pending = std::collections::VecDeque::new();
    let (mut committed, mut refused) = (0, 0);
    for change in 0..2000 {
        if change == 500 {
            let required = Precondition { section: ZONE, edition: Edition::new(u64::MAX - 1) };
            let bad = move |_: &dyn zonecast_kv_proto::View, _: &zonecast_kv_core::Editions<'_>| {
                let batch = put(ZONE, "n", 0_u64.to_be_bytes());
                Ok::<_, ViewError>((zonecast_kv_proto::Batch { preconditions: vec![required], ..batch }, ()))
            };
            pending.push_back(core.change(bad).await.unwrap().1);
        }
        pending.push_back(increment(&core, "n").await.unwrap().1);
        while pending.len() > if change == 1999 { 0 } else { IN_FLIGHT } {
            match pending.pop_front().unwrap().await {
                Outcome::Committed { .. } => committed += 1,
                Outcome::Refused(_) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!((1..=2 * IN_FLIGHT).contains(&refused), "{refused} were refused");
    assert_eq!(number(&core.view(), "n"), committed);
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_refuses_or_panics_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let head = core.head();
    let said_no = core.change(|_, _| Err::<(zonecast_kv_proto::Batch, ()), _>("no")).await;
    assert!(matches!(said_no, Err(ChangeError::Build("no"))));
    let panicked = core.change::<(), ()>(|_, _| panic!("a bug in a builder")).await;
    assert!(matches!(panicked, Err(ChangeError::Propose(_))));
    assert_eq!(core.head(), head);
    assert_eq!(increment(&core, "n").await.unwrap().0, 1);
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn private_changes_spend_no_version() {
    let folder = tempfile::tempdir().unwrap();
    let (core, log) = start(folder.path()).await.unwrap();
    let (_, pending) = core.change(|_, _| Ok::<_, ()>((put(NOTES, "n", "x"), ()))).await.unwrap();
    let Outcome::Committed { version, revision, .. } = pending.await else { panic!() };
    assert_eq!((version, revision), (None, core.head().revision));
    assert!(log.lock().unwrap().is_empty());
    let mut snapshot = core.source().snapshot(None).unwrap();
    assert!(snapshot.next_message(1000).unwrap().is_empty(), "private keys never leave");
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_never_handed_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    assert_eq!(core.allocate(1).await.unwrap(), 1..2);
    let asking: Vec<_> = (0..50_u64)
        .map(|count| {
            let core = core.clone();
            tokio::spawn(async move { core.allocate(count % 4).await.unwrap() })
        })
        .collect();
    let mut all = vec![];
    for asked in asking {
        all.extend(asked.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (2..2 + all.len() as u64).collect::<Vec<_>>());
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_shutdown_everything_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let waiting = tokio::spawn({
        let core = core.clone();
        async move { core.stopped().await }
    });
    core.shutdown().await.unwrap();
    waiting.await.unwrap();
    assert!(increment(&core, "n").await.is_err());
    assert!(core.propose(&put(ZONE, "n", "x")).await.is_err());
    assert!(core.allocate(1).await.is_err());
    core.shutdown().await.unwrap();
}
