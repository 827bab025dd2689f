//! Keyspaces over a running core: many who write at a time, and who watches.

use std::sync::Arc;
use std::time::Duration;

use zonecast_api::Patience;
use zonecast_api::types::{KeyspaceSetup, WatchLine};
use zonecast_keyspaces::{KeyWrite, KeyspaceError, KeyspaceName, Transaction, UserKey};
use zonecast_kv_proto::{Idempotency, RequestKey};

use super::{KeysWanted, Service, WatchFrom};
use crate::error::ServiceError;
use crate::test_service::TestService;
use crate::who::Who;
use crate::zone::{Terms, unix_time_ms};

/// Writers at a time: more than the keyspace takes, fewer than one client may have under way.
const WRITERS: u64 = 100;

fn name() -> KeyspaceName {
    "rules".parse().unwrap()
}

async fn make(service: &Arc<Service>, max_keys: u64) {
    let setup = KeyspaceSetup { max_keys: Some(max_keys), ..KeyspaceSetup::default() };
    service.put_keyspace(name(), setup, Terms::default()).await.unwrap();
}

async fn put(service: Arc<Service>, number: u64) -> Result<(), ServiceError> {
    let key = UserKey::new(number.to_string()).unwrap();
    let writes = vec![KeyWrite::Put { key, value: b"value".to_vec() }];
    let transaction = Transaction { compare: vec![], writes };
    service.write_keys(name(), transaction, Terms::default(), Patience::default()).await.map(drop)
}

fn is_refused(error: &ServiceError, expected: impl Fn(&KeyspaceError) -> bool) -> bool {
    matches!(error, ServiceError::Keyspace(error) if expected(error))
}

#[test]
fn many_writers_at_a_time_do_not_pass_a_limit() {
    let test = TestService::start();
    test.runtime().block_on(async {
        let service = test.service();
        make(service, 10).await;
        let writing: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(put(Arc::clone(service), number))).collect();
        let mut written = 0;
        for writer in writing {
            match writer.await.unwrap() {
                Ok(()) => written += 1,
                Err(error) => {
                    assert!(is_refused(&error, |error| matches!(error, KeyspaceError::OverLimit { .. })), "{error}");
                }
            }
        }
        let info = service.keyspace(name()).await.unwrap();
        assert_eq!((written, info.keys, info.revision), (10, 10, 10));
    });
    test.stop();
}

#[test]
fn a_write_under_an_idempotency_key_is_done_once_and_answered_as_the_first_time() {
    let test = TestService::start();
    test.runtime().block_on(async {
        let service = test.service();
        make(service, 10).await;
        let key = RequestKey::made_at(unix_time_ms(), 7);
        let once = Some(Idempotency { scope: [1; 16], key, request_hash: [2; 32] });
        let write = || {
            let writes = vec![KeyWrite::Put { key: UserKey::new("a").unwrap(), value: b"value".to_vec() }];
            let terms = Terms { once, ..Terms::default() };
            service.write_keys(name(), Transaction { compare: vec![], writes }, terms, Patience::default())
        };
        let first = write().await.unwrap();
        put(Arc::clone(service), 1).await.unwrap();
        let second = write().await.unwrap();
        assert!(first.changed && !first.repeated && second.repeated);
        assert_eq!(zonecast_api::types::KeyspaceWritten { repeated: false, ..second }, first);
        assert_eq!(service.keyspace(name()).await.unwrap().revision, 2);
    });
    test.stop();
}

#[test]
fn who_drops_a_keyspace_beside_writers_leaves_nothing_of_it() {
    let test = TestService::start();
    test.runtime().block_on(async {
        let service = test.service();
        make(service, WRITERS).await;
        let writing: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(put(Arc::clone(service), number))).collect();
        service.drop_keyspace(name(), true, Terms::default()).await.unwrap();
        for writer in writing {
            if let Err(error) = writer.await.unwrap() {
                assert!(is_refused(&error, |error| matches!(error, KeyspaceError::NoKeyspace(_))), "{error}");
            }
        }
        make(service, WRITERS).await;
        let wanted = KeysWanted { limit: 10, ..KeysWanted::default() };
        let page = service.keys(name(), wanted, None).await.unwrap();
        assert_eq!((page.keys.len(), service.keyspace(name()).await.unwrap().keys), (0, 0));
    });
    test.stop();
}

#[test]
fn a_watch_misses_nothing_and_ends_with_the_keyspace() {
    let test = TestService::start();
    test.runtime().block_on(async {
        let service = test.service();
        make(service, WRITERS).await;
        let from = WatchFrom { prefix: vec![], after: None, timeout: Duration::from_mins(5) };
        let mut watch = service.watch_keys(name(), from, &Who::default()).await.unwrap();
        let writer = tokio::spawn({
            let service = Arc::clone(service);
            async move {
                for number in 0..WRITERS {
                    put(Arc::clone(&service), number).await.unwrap();
                }
                service.drop_keyspace(name(), true, Terms::default()).await.unwrap();
            }
        });
        let (mut revisions, mut dropped) = (vec![], false);
        while let Some(line) = watch.next_line().await {
            let line: WatchLine = serde_json::from_slice(&line).unwrap();
            assert_eq!(line.error, None);
            revisions.extend(line.changes.iter().filter_map(|news| news.revision));
            dropped |= line.dropped;
        }
        writer.await.unwrap();
        assert_eq!((revisions, dropped), ((1..=WRITERS).collect(), true));
        let beyond = WatchFrom { after: Some(u64::MAX), ..WatchFrom::default() };
        make(service, WRITERS).await;
        assert!(service.watch_keys(name(), beyond, &Who::default()).await.is_err());
    });
    test.stop();
}
