//! An alias at an apex stands for the addresses that its target has in the store, through further aliases and zones.

use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView};
use zonecast_records::{Generation, Name, ZoneId};

use super::{Record, name, soa, source, wire};
use crate::{
    AliasEntry, Change, ChangeKind, ChangeNote, RrsetChange, SerialTime, Settings, Target, ZoneIdentity, ZoneSettings,
    aliases_through, aliases_within, change_settings, delete_for_good, delete_zone, deleted_zones, flattened_build,
    read_name, refresh_alias, rollback, zone_info, zone_log,
};

fn record(owner: &str, rtype: Rtype, rdata: &[u8]) -> Record {
    Record { owner: wire(owner), rtype: rtype.to_int(), ttl: 300, rdata: rdata.to_vec() }
}

/// `one.example` flattens, `cdn.example` has targets.
fn store() -> MemoryView {
    let mut view = MemoryView::new();
    let cdn = vec![
        record("edge.cdn.example", Rtype::A, &[192, 0, 2, 1]),
        record("edge.cdn.example", Rtype::AAAA, &[7; 16]),
        record("www.cdn.example", Rtype::CNAME, &wire("Edge.cdn.example")),
        record("loop.cdn.example", Rtype::CNAME, &wire("loop.cdn.example")),
        record("cut.cdn.example", Rtype::NS, &wire("ns.other")),
        record("host.cut.cdn.example", Rtype::A, &[192, 0, 2, 9]),
    ];
    for (number, apex, records) in [(1, "one.example", vec![]), (2, "cdn.example", cdn)] {
        let mut all = vec![record(apex, Rtype::SOA, &soa(1)), record(apex, Rtype::NS, &wire("ns.other"))];
        all.extend(records);
        let identity = ZoneIdentity { id: ZoneId::new(number), generation: Generation::new(number + 10) };
        let build = source(&name(apex), &all).build(identity, &Settings::default()).unwrap();
        build.into_batches(MAX_BATCH_LEN).for_each(|batch| view.apply(&batch));
    }
    let settings = ZoneSettings::default().with_flatten(true);
    view.apply(&change_settings(&view, &name("one.example"), settings).unwrap().0);
    view
}

const NOTE: ChangeNote<'_> = ChangeNote { kind: ChangeKind::Records, time: 1, by: "test", keep_since: 0 };

/// Deletes a zone, and for good.
fn delete(view: &mut MemoryView, apex: &str) {
    view.apply(&delete_zone(view, &name(apex), NOTE).unwrap());
    let mut deleted = None;
    deleted_zones(view, None, |zone| {
        assert!(deleted.replace(zone).is_none());
        ControlFlow::Continue(())
    })
    .unwrap();
    view.apply(&delete_for_good(view, &deleted.unwrap()).unwrap());
}

fn addresses(view: &MemoryView) -> Vec<Vec<u8>> {
    let mut found = vec![];
    read_name(view, &name("one.example"), &name("one.example"), |_, record| {
        if matches!(record.rtype, Rtype::A | Rtype::AAAA) {
            found.push(record.rdata.to_vec());
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn point_at(view: &mut MemoryView, target: &str) {
    let apex = name("one.example");
    let set = Change::Rrset(RrsetChange::Set { owner: apex, rtype: Rtype::CNAME, ttl: 60, rdatas: vec![wire(target)] });
    let built = flattened_build(view, &apex, &[set], SerialTime::default()).unwrap();
    view.apply(&built.batch);
}

/// A change of the other zone, and a second look at whoever it concerns; how many those were.
fn change(view: &mut MemoryView, change: Change) -> usize {
    let apex = name("cdn.example");
    let built = flattened_build(view, &apex, &[change], SerialTime::default()).unwrap();
    let entries = aliases_through(view, &apex, &built.batch).unwrap();
    view.apply(&built.batch);
    for entry in &entries {
        let refreshed = refresh_alias(view, entry, SerialTime::default()).unwrap();
        view.apply(&refreshed.batch);
        assert!(
            refresh_alias(view, entry, SerialTime::default()).unwrap().batch.is_empty() || refreshed.undo.is_none()
        );
    }
    entries.len()
}

#[test]
fn an_alias_is_followed_and_kept_current() {
    let mut view = store();
    point_at(&mut view, "WWW.cdn.example");
    assert_eq!(addresses(&view), [vec![192, 0, 2, 1], vec![7; 16]]);
    let names = |view: &MemoryView| -> Vec<Name> {
        aliases_within(view, &Name::ROOT).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(&view), [name("edge.cdn.example"), name("www.cdn.example")]);

    let (owner, rtype) = (name("edge.cdn.example"), Rtype::A);
    let set = |last| Change::Rrset(RrsetChange::Set { owner, rtype, ttl: 30, rdatas: vec![vec![192, 0, 2, last]] });
    assert_eq!(change(&mut view, set(2)), 1);
    assert_eq!(addresses(&view), [vec![192, 0, 2, 2], vec![7; 16]]);
    let other =
        Change::Rrset(RrsetChange::Add { owner: name("other.cdn.example"), rtype, ttl: 30, rdata: vec![1, 2, 3, 4] });
    assert_eq!(change(&mut view, other), 0, "it concerns nobody");

    // Elsewhere: the entries that are not on the way any more go when somebody comes across them.
    point_at(&mut view, "other.cdn.example");
    assert_eq!(addresses(&view), [vec![1, 2, 3, 4]]);
    assert_eq!(names(&view).len(), 3);
    assert_eq!(change(&mut view, set(3)), 1);
    assert_eq!(addresses(&view), [vec![1, 2, 3, 4]]);
    assert_eq!(names(&view), [name("other.cdn.example"), name("www.cdn.example")]);

    // The target goes, with its zone.
    delete(&mut view, "cdn.example");
    let entries = aliases_within(&view, &name("cdn.example")).unwrap();
    for entry in &entries {
        let refreshed = refresh_alias(&view, entry, SerialTime::default()).unwrap();
        view.apply(&refreshed.batch);
    }
    assert!(addresses(&view).is_empty());
    delete(&mut view, "one.example");
    let [left] = aliases_within(&view, &Name::ROOT).unwrap().try_into().unwrap();
    let refreshed = refresh_alias(&view, &left, SerialTime::default()).unwrap();
    view.apply(&refreshed.batch);
    assert!(view.is_empty(), "{:?}", view.entries().next());
}

#[test]
fn what_leads_nowhere_has_no_addresses() {
    for target in [
        "loop.cdn.example",
        "missing.cdn.example",
        "host.cut.cdn.example",
        "cut.cdn.example",
        "elsewhere.org",
        "one.example",
    ] {
        let mut view = store();
        point_at(&mut view, target);
        assert!(addresses(&view).is_empty(), "{target}");
    }
    // In its own zone it is there, also in the same change.
    let (mut view, apex) = (store(), name("one.example"));
    let changes = [
        Change::Rrset(RrsetChange::Add { owner: apex, rtype: Rtype::CNAME, ttl: 60, rdata: wire("www.one.example") }),
        Change::Rrset(RrsetChange::Add {
            owner: name("www.one.example"),
            rtype: Rtype::A,
            ttl: 60,
            rdata: vec![192, 0, 2, 7],
        }),
    ];
    let built = flattened_build(&view, &apex, &changes, SerialTime::default()).unwrap();
    view.apply(&built.batch);
    assert_eq!(addresses(&view), [vec![192, 0, 2, 7]]);
    assert_eq!(
        aliases_within(&view, &apex).unwrap(),
        [AliasEntry { name: name("www.one.example"), apex, zone: ZoneId::new(1) }]
    );
}

#[test]
fn where_nothing_is_flattened_a_cname_at_the_apex_is_refused() {
    let mut view = store();
    let apex = name("one.example");
    view.apply(&change_settings(&view, &apex, ZoneSettings::default()).unwrap().0);
    let set = Change::Rrset(RrsetChange::Set {
        owner: apex,
        rtype: Rtype::CNAME,
        ttl: 60,
        rdatas: vec![wire("www.cdn.example")],
    });
    flattened_build(&view, &apex, std::slice::from_ref(&set), SerialTime::default()).unwrap_err();
    // Nor beside addresses of its own.
    let settings = ZoneSettings::default().with_flatten(true);
    view.apply(&change_settings(&view, &apex, settings).unwrap().0);
    let address = Change::Rrset(RrsetChange::Add { owner: apex, rtype: Rtype::A, ttl: 60, rdata: vec![192, 0, 2, 7] });
    flattened_build(&view, &apex, &[address, set], SerialTime::default()).unwrap_err();
}

#[test]
fn what_follows_a_target_is_a_part_of_the_change_before_it() {
    let (mut view, apex) = (store(), name("one.example"));
    let write = |view: &mut MemoryView, change: Change| {
        let mut built = flattened_build(view, &apex, &[change], SerialTime::default()).unwrap();
        built.undo.remember(view, &mut built.batch, NOTE).unwrap();
        view.apply(&built.batch);
    };
    let refresh = |view: &mut MemoryView| {
        for entry in aliases_within(view, &Name::ROOT).unwrap() {
            let mut refreshed = refresh_alias(view, &entry, SerialTime::default()).unwrap();
            if let Some(undo) = refreshed.undo {
                undo.join_last(view, &mut refreshed.batch, NOTE).unwrap();
            }
            view.apply(&refreshed.batch);
        }
    };
    let text = |last: u8| {
        Change::Rrset(RrsetChange::Set { owner: apex, rtype: Rtype::TXT, ttl: 60, rdatas: vec![vec![1, last]] })
    };
    let before = view.clone();
    write(
        &mut view,
        Change::Rrset(RrsetChange::Set {
            owner: apex,
            rtype: Rtype::CNAME,
            ttl: 60,
            rdatas: vec![wire("www.cdn.example")],
        }),
    );
    let mut before_text = MemoryView::new();
    for last in 10..150 {
        let to = Change::Rrset(RrsetChange::Set {
            owner: name("edge.cdn.example"),
            rtype: Rtype::A,
            ttl: u32::from(last),
            rdatas: (0..last % 4).map(|number| vec![192, 0, number, last]).collect(),
        });
        view.apply(&flattened_build(&view, &name("cdn.example"), &[to], SerialTime::default()).unwrap().batch);
        refresh(&mut view);
        if last == 83 {
            before_text = view.clone();
            write(&mut view, text(7));
        }
    }
    let log = zone_log(&view, &apex, 1000).unwrap();
    assert_eq!(log.len(), 2, "only what somebody asked for is listed: {log:?}");
    // A state is what it was when the next change came, and going back leads exactly there, but for the serial.
    for (to, was) in [(1, before_text), (0, before)] {
        let mut view = view.clone();
        view.apply(&rollback(&view, &apex, Target::After(to), SerialTime::default(), 1).unwrap().batch);
        let records = |view: &MemoryView| zone_info(view, &apex).unwrap().unwrap().records;
        assert_eq!(records(&view), records(&was), "{to}");
        let at_apex = |view: &MemoryView| {
            let mut found = vec![];
            read_name(view, &apex, &apex, |_, record| {
                if record.rtype != Rtype::SOA {
                    found.push((record.rtype, record.ttl, record.rdata.to_vec()));
                }
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
            found
        };
        assert_eq!(at_apex(&view), at_apex(&was), "{to}");
    }
}
