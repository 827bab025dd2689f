//! Filters: what is left out of versions, and what a follower makes of it.

use bytes::Bytes;

use crate::filtered_frames::{filtered_frames, versions_of};
use crate::random::Random;
use crate::{
    EncodedSection, Epoch, Filter, FilterError, Frame, FrameDecoder, KeyspaceId, MAX_SKIPPED, MAX_SKIPPED_SECTIONS,
    OmittedSection, OperationsHash, Position, Published, PublishedError, RestoreId, SectionId, SkippedRun, StoreId,
    Version,
};

const RULES: KeyspaceId = KeyspaceId::new(0x0100);
const OTHER: KeyspaceId = KeyspaceId::new(0x0101);

fn id(keyspace: KeyspaceId, partition: u64) -> SectionId {
    SectionId { keyspace, partition }
}

fn section(keyspace: KeyspaceId, partition: u64) -> EncodedSection {
    EncodedSection { id: id(keyspace, partition), count: 0, ops: Bytes::new() }
}

fn filter(keyspaces: impl IntoIterator<Item = KeyspaceId>) -> Filter {
    Filter::new(keyspaces).unwrap()
}

fn origin() -> Position {
    Position::origin(StoreId::new(5))
}

/// Versions one after the other, each with sections of these keyspaces.
fn versions(of: &[&[KeyspaceId]]) -> Vec<Published> {
    let mut here = origin();
    of.iter()
        .zip(1..)
        .map(|(keyspaces, time)| {
            let sections = keyspaces.iter().zip(0..).map(|(keyspace, partition)| section(*keyspace, partition));
            let version = Published::after(&here, time, sections.collect()).unwrap();
            here = version.follow(&here).unwrap();
            version
        })
        .collect()
}

fn frames(filter: &Filter, versions: &[Published]) -> Vec<Frame> {
    let (mut decoder, mut frames) = (FrameDecoder::new(), vec![]);
    for bytes in filtered_frames(filter, versions.iter().map(Published::to_bytes).collect()).unwrap() {
        decoder.push(&bytes);
        while let Some(frame) = decoder.poll().unwrap() {
            frames.push(frame);
        }
    }
    frames
}

#[test]
fn the_chain_of_a_version_is_the_same_whatever_is_left_out_of_it() {
    let mut random = Random(7);
    for _ in 0..300 {
        let keyspaces: Vec<KeyspaceId> = (0..random.below(6))
            .map(|_| [KeyspaceId::DNS, RULES, OTHER][usize::try_from(random.below(3)).unwrap()])
            .collect();
        let version = versions(&[&keyspaces]).remove(0);
        let mut some = || filter([KeyspaceId::DNS, RULES, OTHER].into_iter().filter(|_| random.one_in(2)));
        let (wide, narrow) = (some(), some());
        let there = version.follow(&origin()).unwrap();
        let once = version.filtered(&wide);
        assert_eq!(once.follow(&origin()).unwrap(), there);
        assert_eq!(Published::from_bytes(&once.to_bytes()).unwrap(), once);
        assert!(once.check_filter(Some(&wide)).is_ok());
        assert!(once.to_bytes().len() <= version.to_bytes().len() + keyspaces.len() * crate::SECTION_OVERHEAD);
        // What a relay with a filter passes on to a node with another one.
        let twice = once.filtered(&narrow);
        assert_eq!(twice.follow(&origin()).unwrap(), there);
        if wide.includes(&narrow) {
            assert_eq!(twice, version.filtered(&narrow));
        }
    }
}

#[test]
fn a_section_that_is_changed_moved_or_left_away_shows() {
    let version = versions(&[&[RULES, KeyspaceId::DNS, OTHER]]).remove(0);
    let partial = version.filtered(&filter([KeyspaceId::DNS]));
    assert_eq!((partial.sections.len(), partial.omitted.len()), (1, 2));
    let other = OmittedSection { operations: OperationsHash::of(b"other"), ..partial.omitted[0] };
    let moved = OmittedSection { after: 1, ..partial.omitted[0] };
    let renamed = OmittedSection { id: id(RULES, 9), ..partial.omitted[0] };
    let omitted = &partial.omitted;
    for omitted in [vec![other, omitted[1]], vec![moved, omitted[1]], vec![renamed, omitted[1]], vec![omitted[0]]] {
        let changed = Published { omitted, ..partial.clone() };
        assert!(matches!(changed.follow(&origin()), Err(PublishedError::Chain { .. })), "{changed:?}");
    }
    let without = Published { sections: vec![], ..partial.clone() };
    assert!(matches!(without.follow(&origin()), Err(PublishedError::Chain { .. })));
}

#[test]
fn a_version_that_contradicts_itself_is_none() {
    let partial = versions(&[&[RULES, KeyspaceId::DNS, OTHER]]).remove(0).filtered(&filter([KeyspaceId::DNS]));
    let [first, last] = partial.omitted[..] else { panic!("{partial:?}") };
    let read = |omitted| Published::from_bytes(&Published { omitted, ..partial.clone() }.to_bytes());
    let there = OmittedSection { id: id(KeyspaceId::DNS, 1), ..first };
    let beyond = OmittedSection { after: 2, ..last };
    for omitted in [vec![last, first], vec![first, first], vec![there], vec![beyond]] {
        assert!(matches!(read(omitted), Err(PublishedError::Omitted)));
    }
    let private = OmittedSection { id: id(KeyspaceId::CORE, 1), ..first };
    assert!(matches!(read(vec![private]), Err(PublishedError::Private)));
    let fork = Published::fork(&origin(), Epoch::ZERO, 1, RestoreId::new(3)).unwrap();
    let fork = Published { omitted: vec![first], ..fork };
    assert!(matches!(Published::from_bytes(&fork.to_bytes()), Err(PublishedError::Fork)));
}

#[test]
fn a_filter_gets_just_what_it_holds() {
    let version = versions(&[&[RULES, KeyspaceId::DNS]]).remove(0);
    let rules = filter([RULES]);
    assert!(version.check_filter(None).is_ok());
    assert!(matches!(version.check_filter(Some(&rules)), Err(PublishedError::Exceeds { .. })));
    let partial = version.filtered(&rules);
    assert!(partial.check_filter(Some(&rules)).is_ok());
    assert!(matches!(partial.check_filter(None), Err(PublishedError::Lacks { .. })));
    let more = filter([RULES, KeyspaceId::DNS]);
    assert!(matches!(partial.check_filter(Some(&more)), Err(PublishedError::Lacks { .. })));
}

#[test]
fn versions_that_change_nothing_held_are_one_run() {
    let mut of: Vec<&[KeyspaceId]> = vec![&[RULES]; 3];
    of.push(&[RULES, KeyspaceId::DNS]);
    of.extend(vec![&[OTHER] as &[KeyspaceId]; MAX_SKIPPED + 1]);
    let versions = versions(&of);
    let frames = frames(&filter([KeyspaceId::DNS]), &versions);
    let [Frame::Skipped(first), Frame::Version(_), Frame::Skipped(full), Frame::Skipped(last)] = &frames[..] else {
        panic!("{} frames: {:?}", frames.len(), frames.first())
    };
    assert_eq!((first.versions.len(), full.versions.len(), last.versions.len()), (3, MAX_SKIPPED, 1));
    let there = first.versions_after(&origin()).unwrap();
    assert_eq!(there.last().unwrap().chain, versions[2].chain);
    let here = versions[2].next_after(&Position { version: Version::new(2), ..origin() }).unwrap();
    assert!(matches!(first.versions_after(&here), Err(PublishedError::Gap { .. })));
    assert!(matches!(SkippedRun::default().versions_after(&origin()), Err(PublishedError::Gap { .. })));
    let mut changed = first.clone();
    changed.versions[1].time_us += 1;
    assert!(matches!(changed.versions_after(&origin()), Err(PublishedError::Chain { .. })));
    let mut doubled = first.clone();
    let twice = doubled.versions[1].omitted[0];
    doubled.versions[1].omitted.push(twice);
    assert!(matches!(doubled.versions_after(&origin()), Err(PublishedError::Omitted)));
}

#[test]
fn a_fork_and_a_version_of_many_sections_go_alone() {
    let many = vec![RULES; MAX_SKIPPED_SECTIONS + 1];
    let version = versions(&[&many]).remove(0);
    let fork = Published::fork(&origin(), Epoch::ZERO, 1, RestoreId::new(3)).unwrap();
    let dns = filter([KeyspaceId::DNS]);
    for alone in [version, fork] {
        let [Frame::Version(bytes)] = &frames(&dns, std::slice::from_ref(&alone))[..] else { panic!("{alone:?}") };
        assert_eq!(Published::from_bytes(bytes).unwrap().follow(&origin()).unwrap().chain, alone.chain);
    }
}

#[test]
fn a_version_of_which_nothing_is_left_out_is_passed_on_as_it_came() {
    let version = versions(&[&[RULES]]).remove(0);
    // As a later release may write it: with another field at the end.
    let fields = (1, 0, 1, 1, version.chain, vec![(id(RULES, 0), 0, Bytes::new())], 0, Vec::<u8>::new(), "later");
    let bytes = Bytes::from(rmp_serde::to_vec(&fields).unwrap());
    assert_eq!(Published::from_bytes(&bytes).unwrap(), version);
    let passed = filtered_frames(&filter([RULES]), vec![bytes.clone()]).unwrap();
    assert_eq!(versions_of(&passed).unwrap(), [bytes]);
}

#[test]
fn what_is_no_version_is_not_passed_on() {
    assert!(filtered_frames(&filter([RULES]), vec![Bytes::from_static(b"junk")]).is_err());
    assert!(versions_of(&[Frame::Goodbye.to_bytes()]).is_err());
}

#[test]
fn filters_are_read_as_written_and_bad_ones_refused() {
    let two = filter([RULES, KeyspaceId::DNS]);
    assert_eq!(Filter::from_bytes(&two.to_bytes()).unwrap(), two);
    assert_eq!(two.keyspaces(), [KeyspaceId::DNS, KeyspaceId::REVOKED, RULES]);
    assert!(two.includes(&filter([RULES])) && !filter([RULES]).includes(&two));
    assert!(matches!(Filter::new([KeyspaceId::CORE]), Err(FilterError::Private(_))));
    let many = (0x0100..0x0600).map(KeyspaceId::new);
    assert!(matches!(Filter::new(many), Err(FilterError::Long(_))));
    let read = |format: u8, keyspaces: &[u16]| Filter::from_bytes(&rmp_serde::to_vec(&(format, keyspaces)).unwrap());
    assert!(read(1, &[1, 2, 0x100]).is_ok());
    assert!(matches!(read(2, &[2]), Err(FilterError::Format(2))));
    assert!(matches!(read(1, &[2, 1]), Err(FilterError::Order)));
    assert!(matches!(read(1, &[2, 2]), Err(FilterError::Order)));
    assert!(matches!(read(1, &[1]), Err(FilterError::Order)), "who is revoked is always held");
    assert!(matches!(read(1, &[2, 0x8000]), Err(FilterError::Private(_))));
    assert!(matches!(read(1, &vec![3; 70_000]), Err(FilterError::Syntax(_))));
    for cut in 0..two.to_bytes().len() {
        assert!(Filter::from_bytes(&two.to_bytes()[..cut]).is_err());
    }
}
