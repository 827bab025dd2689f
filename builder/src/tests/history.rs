//! What a zone was can be seen and had again: rollbacks and differences against a list of all its states.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use proptest::prelude::*;
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView, View};
use zonecast_records::{ChangeKind, DnsKey, Generation, KeySection, RecordRef, ZoneId};

use super::generator::{adds, apex, batches};
use super::law::{assert_same, changed, config, exported};
use super::model::Model;
use super::{IDENTITY, Record, build_at, name, store};
use crate::{
    Change, ChangeNote, ChangeSpan, DeletedZone, Diff, FullBuild, KEPT_CHANGES, KEPT_GENERATIONS, PastError,
    RememberError, RrsetChange, SerialPolicy, SerialTime, Side, Target, UndeleteError, ZoneIdentity, ZoneSettings,
    batch_diff, change_settings, delete_for_good, delete_retired, delete_zone, deleted_zones, record_build,
    retire_present, retired_generations, rollback, undelete_zone, zone_diff, zone_info, zone_log,
};

/// Keeps no change for its age.
const TO_TEST: ChangeNote<'_> =
    ChangeNote { kind: ChangeKind::Records, time: 1_795_777_800, by: "test", keep_since: u64::MAX };

/// To the state after a change.
fn go_to(view: &MemoryView, to: u64) -> Result<crate::Rollback, PastError> {
    rollback(view, &apex(), Target::After(to), SerialTime::default(), 7)
}

/// A zone with its history, and all that it ever was.
struct World {
    view: MemoryView,
    states: Vec<Model>,
    /// Where each state was.
    generations: Vec<Generation>,
    generation: Generation,
}

impl World {
    fn new(model: Model) -> Self {
        let view = store(build_at(IDENTITY, &model).unwrap(), MAX_BATCH_LEN);
        let generation = IDENTITY.generation;
        Self { view, states: vec![model], generations: vec![generation], generation }
    }

    fn identity(&self) -> ZoneIdentity {
        ZoneIdentity { generation: self.generation, ..IDENTITY }
    }

    fn present(&self) -> &Model {
        self.states.last().unwrap()
    }

    /// Changes records, if that is possible.
    fn change(&mut self, changes: &[Change]) {
        let next = changed(self.present(), changes);
        let Ok(mut done) = record_build(&self.view, &apex(), changes, SerialTime::default()) else { return };
        done.undo.remember(&self.view, &mut done.batch, TO_TEST).unwrap();
        self.view.apply(&done.batch);
        if next != *self.present() {
            self.push(next);
        }
    }

    /// Replaces the zone in its generation.
    fn replace(&mut self, next: &Model) {
        let Ok(build) = build_at(self.identity(), next) else { return };
        let Diff::Batch(mut batch, undo) = build.diff(&self.view, MAX_BATCH_LEN).unwrap() else { panic!() };
        let is_empty = batch.is_empty();
        let note = ChangeNote { kind: ChangeKind::Replaced, ..TO_TEST };
        undo.remember(&self.view, &mut batch, note).unwrap();
        assert_eq!(batch.is_empty(), is_empty);
        self.view.apply(&batch);
        if !is_empty {
            self.push(next.clone());
        }
    }

    fn push(&mut self, next: Model) {
        self.states.push(next);
        self.generations.push(self.generation);
    }

    /// Replaces the zone by a new generation.
    fn flip(&mut self, next: &Model) {
        let generation = Generation::new(self.states.len() as u64 + 100);
        let identity = ZoneIdentity { generation, ..IDENTITY };
        let Ok(build) = build_at(identity, next) else { return };
        let serial = build.serial().into_int();
        let mut batches: Vec<_> = build.into_batches(200).collect();
        let note = ChangeNote { kind: ChangeKind::Replaced, ..TO_TEST };
        let retire = retire_present(&self.view, &apex(), serial, note).unwrap();
        batches.last_mut().unwrap().join(retire);
        batches.iter().for_each(|batch| self.view.apply(batch));
        self.generation = generation;
        self.push(next.clone());
    }

    /// The keys that answer from the present generation.
    fn live(&self, view: &MemoryView, generation: Generation) -> MemoryView {
        let mut live = MemoryView::new();
        for (key, value) in view.entries() {
            let parsed = DnsKey::parse(key).unwrap();
            let history = matches!(parsed.section, KeySection::History | KeySection::Retired | KeySection::Deleted);
            if !history && [Generation::ZONES, generation].contains(&parsed.generation) {
                live.insert(key, value);
            }
        }
        live
    }
}

fn records(model: &Model) -> Vec<Record> {
    let mut records = model.records();
    records.sort();
    records
}

fn with_serial(model: &Model, serial: u32) -> Model {
    let mut next = model.clone();
    next.set_serial(serial);
    next
}

fn set(records: &[Record]) -> BTreeSet<Record> {
    records.iter().cloned().collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_state_can_be_had_again(
        adds in adds(),
        batches in batches(),
        ways in prop::collection::vec(0_u8..8, 10),
        to in any::<prop::sample::Index>(),
    ) {
        let mut model = Model::new(apex());
        for change in &adds {
            let mut next = model.clone();
            next.apply(change);
            if build_at(IDENTITY, &next).is_ok() {
                model = next;
            }
        }
        let mut world = World::new(model);
        for (changes, way) in batches.iter().zip(ways) {
            let next = changed(world.present(), changes);
            match way {
                0 => world.flip(&next),
                1 | 2 => world.replace(&next),
                _ => world.change(changes),
            }
        }
        prop_assert_eq!(&exported(&world.view), &records(world.present()));
        let last = world.states.len() - 1;
        prop_assert_eq!(zone_log(&world.view, &apex(), 100).unwrap().len(), last);
        let to = to.index(world.states.len());
        let done = go_to(&world.view, to as u64).unwrap();
        differences(&world, to)?;
        let wanted = &world.states[to];
        let same = with_serial(wanted, world.present().serial().unwrap()) == *world.present();
        let stays = world.generations[to] == world.generation;
        prop_assert_eq!(done.batch.is_empty(), same && stays);

        // Back, and the keys are those of a full build.
        let mut back = done.clone();
        back.undo.remember(&world.view, &mut back.batch, ChangeNote { kind: ChangeKind::RolledBack, ..TO_TEST }).unwrap();
        let mut view = world.view.clone();
        view.apply(&back.batch);
        let is_signed = wanted.records().iter().any(|rr| rr.rtype == 46 && rr.rdata.starts_with(&[0, 6]) && rr.owner == super::wire("example"));
        let model = if is_signed && !done.batch.is_empty() { wanted.clone() } else { with_serial(wanted, done.serial) };
        prop_assert_eq!(&exported(&view), &records(&model));
        let mut preview = Shown::default();
        prop_assert!(!batch_diff(&world.view, &apex(), &done.batch, 1000, preview.collect()).unwrap());
        preview.expect_between(world.present(), &model)?;
        let generation = zone_generation(&view);
        let fresh = build_at(ZoneIdentity { generation, ..IDENTITY }, &model).unwrap();
        assert_same(&world.live(&view, generation), &store(fresh, MAX_BATCH_LEN))?;
        // The same beside what answers.
        if !back.batch.is_empty() {
            let beside = beside(&world.view, &done.batch, 900);
            let fresh = build_at(ZoneIdentity { generation: Generation::new(900), ..IDENTITY }, &model).unwrap();
            assert_same(&world.live(&beside, Generation::new(900)), &store(fresh, MAX_BATCH_LEN))?;
        }
        // Asked for once more, nothing is left to do.
        prop_assert!(go_to(&view, to as u64).unwrap().batch.is_empty());

        // And forth again.
        if !back.batch.is_empty() {
            let mut forth = go_to(&view, last as u64).unwrap();
            forth.undo.remember(&view, &mut forth.batch, TO_TEST).unwrap();
            view.apply(&forth.batch);
            let mut found = exported(&view);
            let mut wanted = records(&with_serial(world.present(), forth.serial));
            found.retain(|rr| rr.rtype != 6);
            wanted.retain(|rr| rr.rtype != 6);
            prop_assert_eq!(found, wanted);
        }

        // It comes back as it was, and nothing is left when it goes for good.
        let before = world.live(&view, zone_generation(&view));
        view.apply(&delete_zone(&view, &apex(), TO_TEST_DELETES).unwrap());
        prop_assert!(zone_info(&view, &apex()).unwrap().is_none());
        view.apply(&undelete_zone(&view, &apex(), TO_TEST).unwrap().0);
        assert_same(&world.live(&view, zone_generation(&view)), &before)?;
        prop_assert!(deleted(&view).is_empty());
        view.apply(&delete_zone(&view, &apex(), TO_TEST_DELETES).unwrap());
        for zone in deleted(&view) {
            view.apply(&delete_for_good(&view, &zone).unwrap());
        }
        prop_assert!(view.is_empty(), "{:?}", view.entries().next());
    }
}

fn deleted(view: &dyn View) -> Vec<DeletedZone> {
    let mut zones = vec![];
    deleted_zones(view, None, |zone| {
        zones.push(zone);
        ControlFlow::Continue(())
    })
    .unwrap();
    zones
}

const TO_TEST_DELETES: ChangeNote<'_> = ChangeNote { kind: ChangeKind::Deleted, ..TO_TEST };

/// A store in which a batch was built beside what answered.
fn beside(view: &MemoryView, batch: &zonecast_kv_proto::Batch, generation: u64) -> MemoryView {
    let build = FullBuild::beside(view, &apex(), batch, Generation::new(generation)).unwrap();
    let mut view = view.clone();
    build.into_batches(200).for_each(|batch| view.apply(&batch));
    view
}

fn zone_generation(view: &MemoryView) -> Generation {
    crate::zone_info(view, &apex()).unwrap().unwrap().identity.generation
}

/// What differs between a state and now.
fn differences(world: &World, to: usize) -> Result<(), TestCaseError> {
    let last = world.states.len() - 1;
    let mut shown = Shown::default();
    let cut_short =
        zone_diff(&world.view, &apex(), ChangeSpan { from: to as u64, to: last as u64 }, 1000, shown.collect());
    prop_assert!(!cut_short.unwrap());
    shown.expect_between(&world.states[to], world.present())
}

/// What a difference shows.
#[derive(Default)]
struct Shown {
    removed: BTreeSet<Record>,
    added: BTreeSet<Record>,
}

impl Shown {
    fn collect(&mut self) -> impl FnMut(Side, RecordRef<'_>) -> ControlFlow<()> {
        |side, record| {
            let place = if side == Side::Removed { &mut self.removed } else { &mut self.added };
            assert!(place.insert(Record::of(record)), "shown twice");
            ControlFlow::Continue(())
        }
    }

    fn expect_between(self, before: &Model, after: &Model) -> Result<(), TestCaseError> {
        let (before, after) = (set(&before.records()), set(&after.records()));
        // Names that only change their letter case do not differ.
        let data = |records: &BTreeSet<Record>, others: &BTreeSet<Record>| -> BTreeSet<Record> {
            let lower = |record: &Record| Record { owner: record.owner.to_ascii_lowercase(), ..record.clone() };
            let others: BTreeSet<Record> = others.iter().map(lower).collect();
            records.iter().filter(|record| !others.contains(&lower(record))).cloned().collect()
        };
        prop_assert_eq!(self.removed, data(&before, &after));
        prop_assert_eq!(self.added, data(&after, &before));
        Ok(())
    }
}

fn small_world() -> World {
    World::new(Model::new(apex()))
}

fn address(last: u8) -> Change {
    let owner = zonecast_records::Name::parse("www", &apex()).unwrap();
    Change::Rrset(RrsetChange::Set {
        owner,
        rtype: domain::base::iana::Rtype::A,
        ttl: 60,
        rdatas: vec![vec![192, 0, 2, last]],
    })
}

#[test]
fn a_history_is_only_so_long_and_says_so() {
    let mut world = small_world();
    for last in 0..u8::MAX {
        world.change(&[address(last)]);
    }
    let log = zone_log(&world.view, &apex(), 1000).unwrap();
    let kept = log.len() as u64;
    assert!((KEPT_CHANGES..=KEPT_CHANGES + 16).contains(&kept), "{kept}");
    assert_eq!((log[0].number, log[0].serial.wrapping_sub(log[0].serial_before)), (255, 1));
    assert!(log.iter().all(|change| change.can_be_undone && change.by == "test"));
    assert_eq!(zone_log(&world.view, &apex(), 3).unwrap(), log[..3]);
    for wanted in [0, 255 - kept - 1, 256] {
        let error = go_to(&world.view, wanted).unwrap_err();
        let PastError::NotKept { oldest, newest, .. } = error else { panic!("{error}") };
        assert_eq!((oldest, newest), (255 - kept, 255));
    }
    go_to(&world.view, 255 - kept).unwrap();

    // What is young stays, however many there are.
    let note = ChangeNote { keep_since: TO_TEST.time, ..TO_TEST };
    for last in 0..100 {
        let mut done = record_build(&world.view, &apex(), &[address(last)], SerialTime::default()).unwrap();
        done.undo.remember(&world.view, &mut done.batch, note).unwrap();
        world.view.apply(&done.batch);
    }
    assert_eq!(zone_log(&world.view, &apex(), 1000).unwrap().len() as u64, kept + 100);
}

#[test]
fn a_retired_generation_goes_once_and_only_if_it_is_still_the_one() {
    let mut world = small_world();
    world.change(&[address(1)]);
    world.flip(&changed(world.present(), &[address(2)]));
    let [first] = retired_generations(&world.view).unwrap().try_into().unwrap();
    assert_eq!((first.apex, first.identity.generation), (name("example"), IDENTITY.generation));
    assert_eq!((first.identity.id, first.since), (ZoneId::new(7), TO_TEST.time));
    world.flip(&changed(world.present(), &[address(3)]));
    // Both are kept, so that either change can be taken back.
    let [_, second] = retired_generations(&world.view).unwrap().try_into().unwrap();
    assert_eq!(go_to(&world.view, 1).unwrap().serial, 1 + world.present().serial().unwrap());
    world.view.apply(&delete_retired(&world.view, &first).unwrap());
    assert!(delete_retired(&world.view, &first).unwrap().is_empty());
    assert!(matches!(go_to(&world.view, 1), Err(PastError::Deleted(2))));
    let log = zone_log(&world.view, &apex(), 10).unwrap();
    assert_eq!(log.iter().map(|change| change.can_be_undone).collect::<Vec<_>>(), [true, false, false]);
    // One that answers again is not deleted.
    let back = go_to(&world.view, 2).unwrap();
    let mut view = world.view.clone();
    view.apply(&back.batch);
    assert!(delete_retired(&view, &second).unwrap().is_empty());
    world.view.apply(&delete_retired(&world.view, &second).unwrap());
    assert!(retired_generations(&world.view).unwrap().is_empty());
    assert!(matches!(go_to(&world.view, 2), Err(PastError::Deleted(3))));
    // What came after is still there.
    world.change(&[address(4)]);
    go_to(&world.view, 3).unwrap();
}

/// Generations of the zone that have keys.
fn generations(view: &MemoryView) -> BTreeSet<Generation> {
    let of = |key: &[u8]| DnsKey::parse(key).unwrap().generation;
    view.entries().map(|(key, _)| of(key)).filter(|generation| *generation != Generation::ZONES).collect()
}

/// Else a client that replaces a large zone again and again fills the disks.
#[test]
fn of_a_zone_that_is_replaced_again_and_again_the_last_generations_are_kept() {
    let mut world = small_world();
    world.change(&[address(200)]);
    for last in 1..=20 {
        world.flip(&changed(world.present(), &[address(last)]));
        assert!(generations(&world.view).len() <= KEPT_GENERATIONS + 1);
        assert!(retired_generations(&world.view).unwrap().len() <= KEPT_GENERATIONS);
    }
    let last = world.states.len() as u64 - 1;
    let oldest = last - KEPT_GENERATIONS as u64;
    for to in 0..=last {
        match go_to(&world.view, to) {
            Ok(_) => assert!(to >= oldest, "{to}"),
            Err(PastError::Deleted(number)) => assert!(to < oldest && number == oldest, "{to}: {number}"),
            Err(error) => panic!("{error}"),
        }
    }
    let log = zone_log(&world.view, &apex(), 100).unwrap();
    assert!(log.iter().all(|change| change.can_be_undone == (change.number > oldest)), "{log:?}");
    // One that came back is the last that goes.
    let back = go_to(&world.view, oldest).unwrap();
    world.view.apply(&back.batch);
    assert_eq!(retired_generations(&world.view).unwrap().len(), KEPT_GENERATIONS);
    assert_eq!(
        exported(&world.view),
        records(&with_serial(&world.states[usize::try_from(oldest).unwrap()], back.serial))
    );
}

#[test]
fn of_zones_deleted_under_one_name_the_last_two_are_kept() {
    let mut view = MemoryView::new();
    for number in 1..=5 {
        let identity = ZoneIdentity { id: ZoneId::new(number), generation: Generation::new(number * 10) };
        let build = build_at(identity, &Model::new(apex())).unwrap();
        build.into_batches(MAX_BATCH_LEN).for_each(|batch| view.apply(&batch));
        let mut done = record_build(&view, &apex(), &[address(1)], SerialTime::default()).unwrap();
        done.undo.remember(&view, &mut done.batch, TO_TEST).unwrap();
        view.apply(&done.batch);
        view.apply(&delete_zone(&view, &apex(), TO_TEST_DELETES).unwrap());
    }
    let kept: Vec<u64> = deleted(&view).iter().map(|zone| zone.identity.id.get()).collect();
    assert_eq!(kept, [4, 5]);
    assert_eq!(generations(&view), [40, 50].map(Generation::new).into());
    view.apply(&undelete_zone(&view, &apex(), TO_TEST).unwrap().0);
    assert_eq!(zone_info(&view, &apex()).unwrap().unwrap().identity.id.get(), 5);
    // Nothing of those that went is left: no history either.
    view.apply(&delete_zone(&view, &apex(), TO_TEST_DELETES).unwrap());
    for zone in deleted(&view) {
        view.apply(&delete_for_good(&view, &zone).unwrap());
    }
    assert!(view.is_empty(), "{:?}", view.entries().next());
}

#[test]
fn what_does_not_fit_with_what_takes_it_back_says_so() {
    let mut world = small_world();
    let text =
        |seed: u8| -> Vec<u8> { std::iter::repeat_n([&[255][..], &[seed; 255]].concat(), 64).flatten().collect() };
    let many = |seed: u8| -> Vec<Change> {
        let one = |number: u8| {
            let owner = zonecast_records::Name::parse(&format!("n{number}"), &apex()).unwrap();
            let rdatas = vec![text(seed), text(seed + 1)];
            Change::Rrset(RrsetChange::Set { owner, rtype: domain::base::iana::Rtype::TXT, ttl: 60, rdatas })
        };
        (0..60).map(one).collect()
    };
    world.change(&many(0));
    let mut done = record_build(&world.view, &apex(), &many(10), SerialTime::default()).unwrap();
    let before = done.batch.clone();
    let error = done.undo.remember(&world.view, &mut done.batch, TO_TEST).unwrap_err();
    assert!(matches!(error, RememberError::TooLarge), "{error}");
    assert_eq!(done.batch, before);

    // Beside what answers it can be taken back.
    let mut view = beside(&world.view, &done.batch, 900);
    view.apply(&retire_present(&world.view, &apex(), 3, TO_TEST).unwrap());
    assert_eq!(exported(&view), records(&changed(world.present(), &many(10))));
    let back = go_to(&view, 1).unwrap();
    view.apply(&back.batch);
    assert_eq!(zone_generation(&view), IDENTITY.generation);
    assert_eq!(exported(&view), records(&with_serial(world.present(), back.serial)));
}

#[test]
fn a_rollback_that_is_asked_for_twice_does_not_undo_itself() {
    let mut world = small_world();
    world.change(&[address(1)]);
    world.change(&[address(2)]);
    let undo = |view: &MemoryView, number| rollback(view, &apex(), Target::Undo(number), SerialTime::default(), 7);
    let mut done = undo(&world.view, 2).unwrap();
    done.undo.remember(&world.view, &mut done.batch, TO_TEST).unwrap();
    let mut view = world.view.clone();
    view.apply(&done.batch);
    let again = undo(&view, 2).unwrap();
    assert!(again.batch.is_empty());
    assert_eq!(again.serial, done.serial);
    // What is not the last change, and is not undone, is named.
    for (view, wanted, newest) in [(&world.view, 1, 2), (&view, 1, 3), (&view, 9, 3), (&view, 0, 3)] {
        let error = undo(view, wanted).unwrap_err();
        let PastError::NotLast { wanted: said, newest: last } = error else { panic!("{error}") };
        assert_eq!((said, last), (wanted, newest));
    }
    // The rollback itself can be undone, by its own number.
    assert!(!undo(&view, 3).unwrap().batch.is_empty());
}

#[test]
fn settings_are_a_part_of_what_a_zone_was() {
    let mut world = small_world();
    world.change(&[address(1)]);
    let chosen = ZoneSettings::default().with_serial(SerialPolicy::Keep).with_flatten(true);
    let (mut batch, undo) = change_settings(&world.view, &apex(), chosen).unwrap();
    undo.remember(&world.view, &mut batch, ChangeNote { kind: ChangeKind::Settings, ..TO_TEST }).unwrap();
    world.view.apply(&batch);
    let serial = zone_info(&world.view, &apex()).unwrap().unwrap().serial;
    let back = go_to(&world.view, 1).unwrap();
    assert_eq!(back.serial, serial.into_int(), "no edge sees a change");
    world.view.apply(&back.batch);
    assert_eq!(zone_info(&world.view, &apex()).unwrap().unwrap().settings, ZoneSettings::default());
    assert!(go_to(&world.view, 1).unwrap().batch.is_empty());
}

#[test]
fn only_what_was_deleted_lately_and_is_not_there_comes_back() {
    let mut world = small_world();
    world.change(&[address(1)]);
    let error = undelete_zone(&world.view, &apex(), TO_TEST).unwrap_err();
    assert!(matches!(error, UndeleteError::Hosted(_)), "{error}");
    let elsewhere = name("other");
    let error = undelete_zone(&world.view, &elsewhere, TO_TEST).unwrap_err();
    assert!(matches!(error, UndeleteError::NotKept(_)), "{error}");

    world.view.apply(&delete_zone(&world.view, &apex(), TO_TEST_DELETES).unwrap());
    assert!(delete_zone(&world.view, &apex(), TO_TEST_DELETES).is_err());
    let [deleted] = deleted(&world.view).try_into().unwrap();
    assert_eq!((deleted.apex, deleted.identity, deleted.since), (apex(), IDENTITY, TO_TEST.time));
    let note = ChangeNote { kind: ChangeKind::Undeleted, by: "somebody", ..TO_TEST };
    let (batch, _) = undelete_zone(&world.view, &apex(), note).unwrap();
    let mut view = world.view.clone();
    view.apply(&batch);
    let log = zone_log(&view, &apex(), 10).unwrap();
    let told: Vec<_> = log.iter().map(|change| (change.kind.word(), change.by.as_str())).collect();
    assert_eq!(told, [("undeleted", "somebody"), ("deleted", "test"), ("records", "test")]);
    assert!(delete_for_good(&view, &deleted).unwrap().is_empty(), "it answers again");
    for to in 1..=3 {
        assert!(go_to(&view, to).unwrap().batch.is_empty(), "the zone was the same, {to}");
    }
    view.apply(&go_to(&view, 0).unwrap().batch);
    let mut first = world.states[0].clone();
    first.set_serial(zone_info(&view, &apex()).unwrap().unwrap().serial.into_int());
    assert_eq!(exported(&view), records(&first));
}
