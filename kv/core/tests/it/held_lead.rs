//! What holds a lead is proposed in its term, or not at all; and once, if it says so.

use std::time::{SystemTime, UNIX_EPOCH};

use zonecast_kv_core::{Outcome, ProposeError};
use zonecast_kv_proto::{Batch, Idempotency, Note, Once, RequestKey};

use super::site::{Site, WITHIN};
use super::{ZONE, put, start};

fn batch(number: u64) -> Batch {
    put(ZONE, "n", number.to_be_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_under_a_lead_ends_with_it_also_when_the_same_core_leads_again() {
    let site = Site::new();
    let [a, b, _c] = site.three().await;
    let held = a.core.hold_lead().unwrap();
    let pending = a.core.propose_in(&held, &batch(1), None).await.unwrap();
    assert!(matches!(pending.await, Outcome::Committed { .. }));
    assert!(matches!(b.core.hold_lead(), Err(ProposeError::NotLeader { leader: Some(leader) }) if leader.name == "a"));
    a.core.transfer_lead("b", WITHIN).await.unwrap();
    b.core.lead_changed(true).await;
    a.core.lead_changed(false).await;
    assert!(held.is_over());
    b.core.transfer_lead("a", WITHIN).await.unwrap();
    a.core.lead_changed(true).await;
    let refused = a.core.propose_in(&held, &batch(2), None).await;
    assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
    let pending = a.core.propose_in(&a.core.hold_lead().unwrap(), &batch(2), None).await.unwrap();
    assert!(matches!(pending.await, Outcome::Committed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_that_is_held_does_not_keep_its_core_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let held = core.hold_lead().unwrap();
    core.shutdown().await.unwrap();
    assert!(held.is_over());
    assert!(matches!(core.propose_in(&held, &batch(1), None).await, Err(ProposeError::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_is_done_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let (core, _) = start(folder.path()).await.unwrap();
    let held = core.hold_lead().unwrap();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let key = RequestKey::made_at(since.as_millis().try_into().unwrap(), 1);
    let idempotency = Idempotency { scope: [1; 16], key, request_hash: [2; 32] };
    let once = |note: &'static str| Some(Once { idempotency, note: Note::new(note).unwrap() });
    let first = core.propose_in(&held, &batch(1), once("first")).await.unwrap().await;
    let Outcome::Committed { revision, version, time_us, repeats: None } = first else { panic!("{first:?}") };
    let head = core.head();
    let again = core.propose_in(&held, &batch(2), once("again")).await.unwrap().await;
    let repeats = Some(Note::new("first").unwrap());
    assert_eq!(again, Outcome::Committed { revision, version, time_us, repeats });
    assert_eq!(core.head(), head);
    core.shutdown().await.unwrap();
}
