//! Writes of a running core: each ends though nobody waits for it, and each holds to its condition where it is built.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use zonecast_builder::{ChangeKind, Target, ZoneSettings, change_settings};
use zonecast_kv_proto::View;
use zonecast_kv_transport::Peer;
use zonecast_records::Name;

use super::{Service, Upload};
use crate::error::ServiceError;
use crate::import::committed;
use crate::shares::Shares;
use crate::test_service::TestService as Api;
use crate::who::Who;
use crate::zone::{ChangeTag, Condition, Terms, Wanted};
use zonecast_api::Tolerance;
use zonecast_api::types::{Action, RecordChange, SettingsChange, StoreSettingsChange};

/// Everything in these tests is done long before.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) const ZONE: &str = "$TTL 1h\n@ SOA ns1 hostmaster 7 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n";

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn tag(service: &Service, zone: &str) -> Option<ChangeTag> {
    ChangeTag::read(&service.core().view(), &name(zone)).unwrap()
}

pub(super) fn upload(text: &str) -> Upload {
    Upload {
        text: Bytes::copy_from_slice(text.as_bytes()),
        file: "file".into(),
        settings: SettingsChange::default(),
        tolerance: Tolerance::default(),
        allow_shrink: false,
        place: Shares::new(1).try_take(&Who::default()).unwrap(),
    }
}

type Write = Pin<Box<dyn Future<Output = Result<(), ServiceError>>>>;
type IsDone = Box<dyn Fn(&Service) -> bool>;

fn boxed<T>(write: impl Future<Output = Result<T, ServiceError>> + 'static) -> Write {
    Box::pin(async move { write.await.map(drop) })
}

/// Each way to write, by itself, and how it shows that it was done.
fn writes(service: &Arc<Service>, backup: PathBuf) -> Vec<(&'static str, Write, IsDone)> {
    let on = || Arc::clone(service);
    let a = || name("a.test");
    let add = RecordChange {
        action: Action::Add,
        name: "www".into(),
        rtype: Some("A".into()),
        data: vec!["192.0.2.9".into()],
        ..RecordChange::default()
    };
    let settings = SettingsChange { default_ttl: Some(77), ..SettingsChange::default() };
    let for_all = StoreSettingsChange { max_shrink: Some("7%".into()), ..StoreSettingsChange::default() };
    let change_is = |change| -> IsDone {
        Box::new(move |service: &Service| tag(service, "a.test").is_some_and(|tag| tag.change == change))
    };
    let expects = |is: bool| -> IsDone {
        let knows = |service: &Service| service.edges().edges.iter().any(|edge| edge.edge == "edge-9" && edge.expected);
        Box::new(move |service: &Service| knows(service) == is)
    };
    let shelf = backup.clone();
    let (terms, who) = (Terms::default, Who::default);
    let chosen = |service: &Service| {
        let guards = zonecast_builder::store_guards(&service.core().view()).unwrap();
        guards.max_shrink().get() == 7
    };
    let (one, two, three, four) = (on(), on(), on(), on());
    let (five, six, seven, eight) = (on(), on(), on(), on());
    let (nine, ten) = (on(), on());
    vec![
        (
            "zone",
            boxed(async move { one.put_zone(a(), upload(ZONE), terms()).await }),
            Box::new(|service: &Service| tag(service, "a.test").is_some()),
        ),
        ("records", boxed(async move { two.change(a(), vec![add], false, terms()).await }), change_is(1)),
        ("settings", boxed(async move { three.change_settings(a(), settings, terms()).await }), change_is(2)),
        ("rollback", boxed(async move { four.roll_back(a(), Target::After(0), terms()).await }), change_is(3)),
        (
            "deletion",
            boxed(async move { five.delete_zone(a(), true, terms()).await }),
            Box::new(|service: &Service| tag(service, "a.test").is_none()),
        ),
        ("return", boxed(async move { six.undelete_zone(a(), terms()).await }), change_is(5)),
        ("store", boxed(async move { seven.change_store_settings(for_all, terms()).await }), Box::new(chosen)),
        ("expect", boxed(async move { eight.expect_edge(Peer::edge("edge-9"), terms()).await }), expects(true)),
        ("forget", boxed(async move { nine.forget_edge(Peer::edge("edge-9"), terms()).await }), expects(false)),
        (
            "backup",
            boxed(async move { ten.backup(backup, &who()).await }),
            Box::new(move |_: &Service| crate::backup::backup_at(&shelf).is_ok()),
        ),
    ]
}

/// A handler is dropped with its client. What it began has ended when the core stops, and not in the middle.
#[test]
fn every_write_whose_client_is_gone_ends_before_writes_have_ended() {
    let api = Api::start();
    let folder = tempfile::tempdir().unwrap();
    let service = Arc::clone(api.service());
    api.runtime().block_on(async {
        for (what, mut write, is_done) in writes(&service, folder.path().join("backup")) {
            assert!(write.as_mut().now_or_never().is_none(), "{what}");
            drop(write);
            service.writes_ended().await;
            assert!(is_done(&service), "{what}");
        }
    });
    api.stop();
}

/// Changes settings of a zone past all locks, as a change that is committed between two looks at the zone.
fn move_on(api: &Api, zone: &str) {
    let (service, apex) = (Arc::clone(api.service()), name(zone));
    let author = service.author("somebody");
    let build = move |view: &dyn View, _: &zonecast_kv_core::Editions<'_>| {
        let settings = ZoneSettings::default().with_default_ttl(99);
        let (mut batch, undo) = change_settings(view, &apex, settings)?;
        undo.remember(view, &mut batch, author.note(ChangeKind::Settings)).map_err(super::made::never_too_large)?;
        Ok::<_, ServiceError>((batch, ()))
    };
    api.runtime().block_on(async {
        let ((), pending) = service.core().change(build).await.unwrap();
        committed(pending.await).unwrap();
    });
}

/// A change that does not fit one batch is built a second time, when it has the zone for itself. What was so the first time
/// may not be so any more.
#[test]
fn a_change_that_is_built_beside_holds_to_its_condition_there() {
    let api = Api::start();
    let service = Arc::clone(api.service());
    let hosts: String = (0..30_000).map(|number| format!("host{number}.deep A 192.0.2.1\n")).collect();
    api.put_zone("a.test", format!("{ZONE}{hosts}").as_bytes());
    let delete =
        || RecordChange { action: Action::Delete, name: "deep".into(), subtree: true, ..RecordChange::default() };
    let change = |at: ChangeTag| {
        let (service, terms) =
            (Arc::clone(&service), Terms { condition: Condition::At(vec![Wanted::Tag(at)]), ..Terms::default() });
        api.runtime().spawn(async move { service.change(name("a.test"), vec![delete()], true, terms).await })
    };
    let before = tag(&service, "a.test").unwrap();
    let rrsets = || {
        let records = service.records(name("a.test"), Some("host7.deep".into()), None, 10);
        api.runtime().block_on(records).unwrap().value.rrsets.len()
    };
    // Somebody is at work on the zone, so the second time waits.
    let at_work = service.locks().change(name("a.test")).unwrap();
    let changing = change(before);
    let deadline = Instant::now() + DEADLINE;
    while service.locks().change(name("a.test")).is_some() {
        assert!(Instant::now() < deadline, "it never wants the zone for itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    move_on(&api, "a.test");
    drop(at_work);
    let outcome = api.runtime().block_on(changing).unwrap();
    assert!(matches!(outcome, Err(ServiceError::Moved { .. })), "{outcome:?}");
    assert_ne!(tag(&service, "a.test"), Some(before));
    assert_eq!(rrsets(), 1, "nothing has changed");

    let done = api.runtime().block_on(change(tag(&service, "a.test").unwrap())).unwrap().unwrap();
    assert!(done.changed);
    assert_eq!(rrsets(), 0);
    api.stop();
}
