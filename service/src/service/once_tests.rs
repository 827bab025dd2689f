//! Writes under idempotency keys, of a running core.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use serde_json::Value;
use zonecast_api::types::{Action, RecordChange, SettingsChange, StoreSettingsChange, Written};
use zonecast_builder::Target;
use zonecast_kv_proto::{Idempotency, RequestKey};
use zonecast_kv_transport::Peer;

use super::Service;
use super::write_tests::{ZONE, name, upload};
use crate::answer::Done;
use crate::error::ServiceError;
use crate::test_service::TestService as Api;
use crate::zone::{Terms, unix_time_ms};

const HOUR: u64 = 60 * 60 * 1000;

/// Terms of a request under a key that nobody has used.
fn keyed() -> Terms {
    made(unix_time_ms())
}

fn made(ms: u64) -> Terms {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let key = RequestKey::made_at(ms, NUMBER.fetch_add(1, Ordering::Relaxed).into());
    Terms { once: Some(Idempotency { scope: [1; 16], key, request_hash: [2; 32] }), ..Terms::default() }
}

fn add(address: &str) -> Vec<RecordChange> {
    let data = vec![address.into()];
    vec![RecordChange { action: Action::Add, name: "www".into(), rtype: Some("A".into()), data, ..Default::default() }]
}

/// Of `www`.
fn addresses(api: &Api) -> Vec<String> {
    let records = api.service().records(name("a.test"), Some("www".into()), Some("A".into()), 10);
    let page = api.runtime().block_on(records).unwrap().value;
    page.rrsets.into_iter().flat_map(|rrset| rrset.data).collect()
}

/// Asks for a write twice under one key, and once more after something else was written: it is done once, and each time
/// the answer is the first one.
async fn thrice<T: serde::Serialize>(
    service: &Arc<Service>,
    what: &str,
    write: impl AsyncFn(Terms) -> Result<Done<T>, ServiceError>,
) {
    let shown = |done: &Done<T>| {
        let mut shown = serde_json::to_value(&done.value).unwrap();
        // Of edges: what goes by the clock.
        for field in ["repeated", "away_s"] {
            shown.as_object_mut().unwrap().remove(field);
        }
        shown
    };
    let terms = keyed();
    let first = write(terms.clone()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!first.repeated, "{what}");
    let head = service.core().head();
    let second = write(terms.clone()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!((shown(&first), second.repeated, service.core().head()), (shown(&second), true, head), "{what}");
    let guards = StoreSettingsChange { max_shrink: Some("100%".into()), ..Default::default() };
    service.change_store_settings(guards, Terms::default()).await.unwrap();
    service.put_zone(name("other.test"), upload(ZONE), Terms::default()).await.unwrap();
    let third = write(terms).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let without_version = |mut shown: Value| {
        // Where edges saw nothing of it, it has the last version there is.
        shown.as_object_mut().unwrap().remove("version");
        shown
    };
    assert_eq!((without_version(shown(&first)), third.repeated), (without_version(shown(&third)), true), "{what}");
}

#[test]
fn every_write_is_done_once_under_its_key_and_answered_as_the_first_time() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    let (on, a) = (&service, || name("a.test"));
    let settings = || SettingsChange { default_ttl: Some(77), ..SettingsChange::default() };
    let for_all = || StoreSettingsChange { max_shrink: Some("7%".into()), ..StoreSettingsChange::default() };
    let edge = || Peer::edge("edge-9");
    let done = |written: Written| Done::from(written);
    let change = async |terms| on.change(a(), add("192.0.2.1"), false, terms).await.map(done);
    api.runtime().block_on(async {
        thrice(on, "zone", async |terms| on.put_zone(a(), upload(ZONE), terms).await.map(done)).await;
        thrice(on, "same zone", async |terms| on.put_zone(a(), upload(ZONE), terms).await.map(done)).await;
        thrice(on, "records", change).await;
        thrice(on, "same records", change).await;
        thrice(on, "rollback", async |terms| on.roll_back(a(), Target::After(0), terms).await.map(done)).await;
        thrice(on, "settings", async |terms| on.change_settings(a(), settings(), terms).await).await;
        thrice(on, "deletion", async |terms| on.delete_zone(a(), true, terms).await.map(done)).await;
        thrice(on, "return", async |terms| on.undelete_zone(a(), terms).await.map(done)).await;
        thrice(on, "store", async |terms| on.change_store_settings(for_all(), terms).await).await;
        thrice(on, "expect", async |terms| on.expect_edge(edge(), terms).await).await;
        thrice(on, "expect again", async |terms| on.expect_edge(edge(), terms).await).await;
    });
    api.stop();
}

/// What was as asked already is an outcome, too: somebody else may have changed it since.
#[test]
fn who_asks_again_for_what_changed_nothing_does_not_undo_what_others_did_since() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    let put = |text: &'static str, terms| service.put_zone(name("a.test"), upload(text), terms);
    api.runtime().block_on(async {
        put(ZONE, Terms::default()).await.unwrap();
        let terms = keyed();
        assert!(!put(ZONE, terms.clone()).await.unwrap().changed);
        service.change(name("a.test"), add("192.0.2.7"), false, Terms::default()).await.unwrap();
        assert!(put(ZONE, terms).await.unwrap().repeated);
    });
    assert_eq!(addresses(&api), ["192.0.2.7"]);
    api.stop();
}

#[test]
fn a_zone_in_many_batches_and_a_change_beside_it_are_done_once() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    let hosts: String = (0..30_000).map(|number| format!("host{number}.deep A 192.0.2.1\n")).collect();
    let large = format!("{ZONE}{hosts}");
    let delete =
        || RecordChange { action: Action::Delete, name: "deep".into(), subtree: true, ..RecordChange::default() };
    let (on, a) = (&service, || name("a.test"));
    api.runtime().block_on(async {
        thrice(on, "new zone", async |terms| on.put_zone(a(), upload(&large), terms).await.map(Done::from)).await;
        let deletion = async |terms| on.change(a(), vec![delete()], true, terms).await.map(Done::<Written>::from);
        thrice(on, "change beside", deletion).await;
        let again = Terms::default();
        on.put_zone(a(), upload(ZONE), again).await.unwrap();
        thrice(on, "zone", async |terms| on.put_zone(a(), upload(&large), terms).await.map(Done::from)).await;
    });
    api.stop();
}

#[test]
fn a_request_that_is_under_way_is_waited_for() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    api.put_zone("a.test", ZONE.as_bytes());
    let terms = keyed();
    let put = || {
        let (service, terms, text) = (Arc::clone(&service), terms.clone(), format!("{ZONE}www A 192.0.2.8\n"));
        Box::pin(async move { service.put_zone(name("a.test"), upload(&text), terms).await })
    };
    api.runtime().block_on(async {
        // The first waits for it.
        let at_work = service.locks().change(name("a.test")).unwrap();
        let (mut first, mut second) = (put(), put());
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(service.writes_under_way(), 1, "the second one has begun");
        drop(at_work);
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!((first.repeated, second.repeated), (false, true));
        assert_eq!(Written { repeated: false, ..second }, first);
    });
    api.stop();
}

#[test]
fn a_write_that_is_refused_leaves_its_key_unused() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    let terms = keyed();
    let change = |address| service.change(name("a.test"), add(address), false, terms.clone());
    api.runtime().block_on(async {
        let refused = change("192.0.2.1").await;
        assert!(matches!(refused, Err(ServiceError::NoZone(_))), "{refused:?}");
        service.put_zone(name("a.test"), upload(ZONE), Terms::default()).await.unwrap();
        let written = change("192.0.2.1").await.unwrap();
        assert!(written.changed && !written.repeated);
    });
    api.stop();
}

#[test]
fn a_key_that_cannot_be_used_says_why_and_nothing_is_done() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    api.put_zone("a.test", ZONE.as_bytes());
    let change = |terms: Terms| api.runtime().block_on(service.change(name("a.test"), add("192.0.2.1"), false, terms));
    let head = service.core().head();
    for ms in [unix_time_ms() - 25 * HOUR, unix_time_ms() + HOUR] {
        let refused = change(made(ms));
        let Err(ServiceError::KeyTime { store_ms: Some(now), .. }) = refused else { panic!("{refused:?}") };
        assert!(now.abs_diff(unix_time_ms()) < HOUR / 60, "it says what time it is: {now}");
    }
    assert_eq!(service.core().head(), head);
    let terms = keyed();
    change(terms.clone()).unwrap();
    let other = terms.once.map(|asked| Idempotency { request_hash: [3; 32], ..asked });
    let reused = change(Terms { once: other, ..Terms::default() });
    assert!(matches!(reused, Err(ServiceError::KeyReused)), "{reused:?}");
    let somebody = terms.once.map(|asked| Idempotency { scope: [9; 16], request_hash: [3; 32], ..asked });
    assert!(!change(Terms { once: somebody, ..Terms::default() }).unwrap().repeated);
    api.stop();
}

#[test]
fn where_too_many_outcomes_are_kept_a_write_is_refused_until_there_may_be_more() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    api.put_zone("a.test", ZONE.as_bytes());
    let limit = |max_keys, terms| {
        let change = StoreSettingsChange { max_keys: Some(max_keys), ..StoreSettingsChange::default() };
        api.runtime().block_on(service.change_store_settings(change, terms))
    };
    let write = |address| api.runtime().block_on(service.change(name("a.test"), add(address), false, keyed()));
    assert_eq!(limit(2, keyed()).unwrap().value.max_keys, 2);
    write("192.0.2.1").unwrap();
    let refused = write("192.0.2.2");
    assert!(matches!(refused, Err(ServiceError::TooManyKeys)), "{refused:?}");
    assert_eq!(addresses(&api), ["192.0.2.1"]);
    let refused = limit(1, Terms::default());
    assert!(matches!(refused, Err(ServiceError::BadRequest(_))), "{refused:?}");
    // Under a key, too: there is room for its own outcome then.
    assert!(!limit(4, keyed()).unwrap().repeated);
    write("192.0.2.2").unwrap();
    api.stop();
}
