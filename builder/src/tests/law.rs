//! Promise P5: record builds equal full builds, byte for byte.

use std::ops::ControlFlow;

use proptest::prelude::*;
use proptest::test_runner::Config;
use zonecast_kv_proto::{MAX_BATCH_LEN, MemoryView};

use super::generator::{adds, apex, batches};
use super::model::Model;
use super::{IDENTITY, Record, build, build_at, store};
use crate::{
    Change, ChangeError, Diff, Layer, LayerChange, NameChange, RrsetChange, SerialTime, export, record_build,
    zone_layers,
};

/// Enough to find a broken rule; PROPTEST_CASES asks for more.
const CASES: u32 = 2_000;

pub(super) fn config() -> Config {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => Config::default(),
        None => Config::with_cases(CASES),
    }
}

/// The model after changes, its serial raised if they changed something else.
pub(super) fn changed(model: &Model, changes: &[Change]) -> Model {
    let mut next = model.clone();
    changes.iter().for_each(|change| next.apply(change));
    if next != *model && next.serial() == model.serial() {
        next.bump();
    }
    next
}

pub(super) fn exported(view: &MemoryView) -> Vec<Record> {
    let mut records = vec![];
    export(view, &apex(), |layer, record| {
        if !matches!(layer, Layer::Source | Layer::Override | Layer::Address) {
            return ControlFlow::Continue(());
        }
        records.push(Record::of(record));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(records[0].rtype, 6, "the SOA comes first");
    records.sort();
    records
}

/// Data is in canonical order in the store, in that of bytes in the model.
fn in_order(mut layers: Vec<LayerChange>) -> Vec<LayerChange> {
    for layer in &mut layers {
        if let LayerChange::Override { rdatas, .. } = layer {
            rdatas.sort();
        }
    }
    layers.sort_by_key(|layer| format!("{layer:?}"));
    layers
}

fn fresh(model: &Model) -> Option<MemoryView> {
    // Batches as small as they get: one entry each.
    build_at(IDENTITY, model).ok().map(|build| store(build, 1))
}

pub(super) fn assert_same(found: &MemoryView, wanted: &MemoryView) -> Result<(), TestCaseError> {
    let show = |view: &MemoryView| -> Vec<String> {
        view.entries().map(|(key, value)| format!("{} = {}", key.escape_ascii(), value.escape_ascii())).collect()
    };
    if found != wanted {
        let (found, wanted) = (show(found), show(wanted));
        let extra: Vec<_> = found.iter().filter(|line| !wanted.contains(line)).collect();
        let missing: Vec<_> = wanted.iter().filter(|line| !found.contains(line)).collect();
        return Err(TestCaseError::fail(format!("extra: {extra:#?}\nmissing: {missing:#?}")));
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn record_builds_equal_full_builds(adds in adds(), batches in batches(), flatten in any::<bool>()) {
        let mut model = Model::new(apex());
        model.flatten = flatten;
        for change in &adds {
            let mut next = model.clone();
            next.apply(change);
            if build_at(IDENTITY, &next).is_ok() {
                model = next;
            }
        }
        let mut present = fresh(&model).unwrap();
        for changes in &batches {
            let next = changed(&model, changes);
            let wanted = fresh(&next);
            match record_build(&present, &apex(), changes, SerialTime::default()) {
                Ok(done) => {
                    let wanted = wanted.ok_or_else(|| TestCaseError::fail("a full build refuses this"))?;
                    prop_assert_eq!(done.unchanged, next == model);
                    prop_assert_eq!(done.batch.is_empty(), done.unchanged);
                    prop_assert_eq!(Some(done.serial.into_int()), next.serial());
                    done.batch.encode().unwrap();
                    let before = present.clone();
                    present.apply(&done.batch);
                    assert_same(&present, &wanted)?;
                    diff_leads_from(before, &next, &wanted)?;
                    model = next;
                }
                Err(ChangeError::Refused(refused)) => {
                    let is_whole = |change: &Change| matches!(change, Change::Name(NameChange::DeleteSubtree { owner }) if *owner == apex());
                    let whole = changes.iter().any(is_whole);
                    prop_assert!(wanted.is_none() || whole, "a full build takes this: {refused}");
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
            let mut records = model.records();
            records.sort();
            prop_assert_eq!(exported(&present), records);
            prop_assert_eq!(in_order(zone_layers(&present, &apex()).unwrap()), in_order(model.layers()));
        }
    }

    /// The order of records, and what repeats, does not matter; entries ascend.
    #[test]
    fn full_builds_are_functions_of_the_set(adds in adds(), seed in any::<u64>()) {
        let mut records = Model::new(apex()).records();
        for change in &adds {
            if let Change::Rrset(RrsetChange::Add { owner, rtype, ttl, rdata }) = change {
                let owner = owner.as_wire().to_vec();
                records.push(Record { owner, rtype: rtype.to_int(), ttl: *ttl, rdata: rdata.clone() });
            }
        }
        let again = records.iter().step_by(2).map(|record| Record {
            owner: record.owner.to_ascii_uppercase(),
            ttl: record.ttl ^ 1,
            ..record.clone()
        });
        let again: Vec<Record> = again.collect();
        records.extend(again);
        let mut shuffled = records.clone();
        shuffled.sort_by_key(|record| {
            record.rdata.iter().chain(&record.owner).fold(seed, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
            }) ^ (u64::from(record.ttl) << 60)
        });
        match (build(&apex(), &records), build(&apex(), &shuffled)) {
            (Ok(one), Ok(other)) => {
                prop_assert!(one.published().map(|(key, _)| key).is_sorted_by(|one, other| one < other));
                prop_assert!(one.private().map(|(key, _)| key).is_sorted_by(|one, other| one < other));
                prop_assert_eq!(one.into_batches(MAX_BATCH_LEN).count(), 1);
                let one = build(&apex(), &records).unwrap();
                let keys = one.counts().keys;
                let one = store(one, 100);
                prop_assert_eq!(one.len() as u64, keys);
                assert_same(&one, &store(other, 1000))?;
            }
            (Err(one), Err(other)) => prop_assert_eq!(one.findings.total(), other.findings.total()),
            (one, other) => return Err(TestCaseError::fail(format!("{:?} but {:?}", one.err(), other.err()))),
        }
    }
}

fn diff_leads_from(mut before: MemoryView, model: &Model, wanted: &MemoryView) -> Result<(), TestCaseError> {
    let next = build_at(IDENTITY, model).unwrap();
    let Diff::Batch(batch, _) = next.diff(&before, MAX_BATCH_LEN).unwrap() else {
        return Err(TestCaseError::fail("a small difference is not too large"));
    };
    prop_assert_eq!(batch.is_empty(), before == *wanted);
    before.apply(&batch);
    assert_same(&before, wanted)
}
