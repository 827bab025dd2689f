//! Changes that are done once, however often they are asked for.

use std::time::{SystemTime, UNIX_EPOCH};

use zonecast_kv_core::{ChangeError, Core, Outcome, Pending};
use zonecast_kv_proto::{Epoch, Idempotency, Note, Refusal, RequestKey, ViewError};

use super::recover::recover;
use super::{ZONE, increment, is_busy, number, put, start};

const SCOPE: [u8; 16] = [1; 16];

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn asked(key: RequestKey, hash: u8) -> Idempotency {
    Idempotency { scope: SCOPE, key, request_hash: [hash; 32] }
}

/// Adds one to a number once, and notes what it then is.
async fn increment_once(core: &Core, asked: Idempotency) -> Result<(Option<u64>, Pending), ChangeError<ViewError>> {
    core.change_once(asked, move |view, _| {
        let next = number(view, "n") + 1;
        Ok((put(ZONE, "n", next.to_be_bytes()), Note::new(next.to_be_bytes().to_vec()).unwrap(), next))
    })
    .await
}

/// A repeated outcome and its note as it was the first time.
fn as_first(outcome: Outcome) -> (Outcome, Option<Note>) {
    let Outcome::Committed { revision, version, time_us, repeats } = outcome else { panic!("{outcome:?}") };
    (Outcome::Committed { revision, version, time_us, repeats: None }, repeats)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_gets_the_first_answer_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = RequestKey::made_at(now_ms(), 1);
    let note = Note::new(1_u64.to_be_bytes().to_vec()).unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    assert_eq!(core.repeated(SCOPE, key).unwrap(), None);
    let (built, pending) = increment_once(&core, asked(key, 1)).await.unwrap();
    assert_eq!(built, Some(1));
    let first = pending.await;
    assert!(matches!(first, Outcome::Committed { repeats: None, .. }), "{first:?}");
    increment(&core, "n").await.unwrap().1.await;
    core.shutdown().await.unwrap();
    drop(core);

    let (core, _) = start(folder.path()).await.unwrap();
    let head = core.head();
    let (built, pending) = increment_once(&core, asked(key, 1)).await.unwrap();
    assert_eq!((built, as_first(pending.await)), (None, (first, Some(note.clone()))));
    assert_eq!(core.repeated(SCOPE, key).unwrap().unwrap().note, note);
    // Something else under the same key.
    let (built, pending) = increment_once(&core, asked(key, 2)).await.unwrap();
    assert_eq!((built, pending.await), (None, Outcome::Refused(Refusal::KeyReused)));
    assert_eq!((core.head(), number(&core.view(), "n")), (head, 2), "nothing was done");
    // Another scope is another request.
    let other = Idempotency { scope: [2; 16], ..asked(key, 2) };
    assert_eq!(increment_once(&core, other).await.unwrap().0, Some(3));
    core.shutdown().await.unwrap();
    drop(core);
    recover(folder.path(), 1000).unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let (_, pending) = increment_once(&core, asked(key, 1)).await.unwrap();
    assert_eq!(pending.await, Outcome::Refused(Refusal::KeyOfOtherEpoch(Epoch::ZERO)));
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_old_or_from_the_future_are_refused_before_anything_is_built() {
    const HOUR: u64 = 60 * 60 * 1000;
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    for (made, why) in [(now_ms() - 25 * HOUR, Refusal::KeyTooOld), (now_ms() + HOUR, Refusal::KeyFromFuture)] {
        let (built, pending) = increment_once(&core, asked(RequestKey::made_at(made, 1), 1)).await.unwrap();
        assert_eq!((built, pending.await), (None, Outcome::Refused(why)));
    }
    core.shutdown().await.unwrap();
}

/// Many ask for the same at the same time: one does it, the others are busy, or get its answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_not_proposed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    for round in 1..=50 {
        let asked = asked(RequestKey::made_at(now_ms(), round), 1);
        let asking: Vec<_> = (0..16)
            .map(|_| {
                let core = core.clone();
                tokio::spawn(async move {
                    loop {
                        match increment_once(&core, asked).await {
                            Ok((built, pending)) => return (built, pending.await),
                            Err(busy) => assert!(is_busy(&busy), "{busy:?}"),
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let (mut done, mut outcomes) = (0, vec![]);
        for asked in asking {
            let (built, outcome) = asked.await.unwrap();
            done += u32::from(built.is_some());
            let (outcome, repeats) = as_first(outcome);
            assert_eq!(built.is_some(), repeats.is_none());
            outcomes.push(outcome);
        }
        assert_eq!(done, 1);
        assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(u128::from(number(&core.view(), "n")), round);
    }
    core.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_leaves_its_key_unused() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let asked = asked(RequestKey::made_at(now_ms(), 1), 1);
    let said_no = core.change_once(asked, |_, _| Err::<(zonecast_kv_proto::Batch, Note, ()), _>("no")).await;
    assert!(matches!(said_no, Err(ChangeError::Build("no"))));
    let required =
        zonecast_kv_proto::Precondition { section: ZONE, edition: zonecast_kv_proto::Edition::new(u64::MAX - 1) };
    let refused = core.change_once(asked, move |_, _| {
        let batch = zonecast_kv_proto::Batch { preconditions: vec![required], ..put(ZONE, "n", 7_u64.to_be_bytes()) };
        Ok::<_, ViewError>((batch, Note::default(), ()))
    });
    assert!(matches!(refused.await.unwrap().1.await, Outcome::Refused(Refusal::Precondition { .. })));
    let (built, pending) = increment_once(&core, asked).await.unwrap();
    assert_eq!(built, Some(1));
    assert!(matches!(pending.await, Outcome::Committed { repeats: None, .. }));
    core.shutdown().await.unwrap();
}
