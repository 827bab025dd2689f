//! Reads and writes are linearizable. Every committed batch has a revision, so the one order that there can be is known,
//! and a sweep over time checks it: what begins after something has returned has no smaller revision, a write a greater
//! one, and a read shows what the writes up to its revision make.

use zonecast_kv_proto::Revision;

use super::acknowledged_stays::revisions;
use crate::simulation::commits::Commits;
use crate::simulation::history::{Operation, Told};

pub(crate) fn linearizable(operations: &[Operation], commits: &Commits) -> Result<(), String> {
    let done = revisions(commits);
    let mut places = Vec::new();
    for operation in operations {
        match operation.told {
            Told::Read { revision, content } => {
                if commits.content(revision) != Some(content) {
                    return Err(format!("{operation:?} is not what there was at its revision"));
                }
                places.push(Place { operation, least: revision, revision, returned: Some(operation.returned) });
            }
            Told::Committed(_) | Told::Unknown | Told::NotDone => {
                let Some(revision) = done.get(&operation.id).copied() else { continue };
                let least = Revision::new(revision.get() - 1);
                let is_known = matches!(operation.told, Told::Committed(_));
                places.push(Place { operation, least, revision, returned: is_known.then_some(operation.returned) });
            }
            Told::NotRead => {}
        }
    }
    sweep(&places)
}

/// An operation in the order of revisions.
struct Place<'o> {
    operation: &'o Operation,
    /// Nothing that had returned before may have a greater one.
    least: Revision,
    revision: Revision,
    /// When the client knew. An operation of which nothing was heard has no such time.
    returned: Option<u64>,
}

fn sweep(places: &[Place<'_>]) -> Result<(), String> {
    let mut begun: Vec<&Place<'_>> = places.iter().collect();
    begun.sort_by_key(|place| place.operation.invoked);
    let mut returned: Vec<(u64, &Place<'_>)> =
        places.iter().filter_map(|place| place.returned.map(|at| (at, place))).collect();
    returned.sort_by_key(|(at, _)| *at);
    let mut returned = returned.into_iter().peekable();
    let mut latest: Option<&Place<'_>> = None;
    for place in begun {
        while let Some((_, ended)) = returned.next_if(|(at, _)| *at < place.operation.invoked) {
            if latest.is_none_or(|latest| latest.revision < ended.revision) {
                latest = Some(ended);
            }
        }
        if let Some(latest) = latest.filter(|latest| latest.revision > place.least) {
            let (before, after) = (latest.operation, place.operation);
            return Err(format!("{after:?} began after {before:?} had returned and is before it"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::writes::Written;

    const FIRST: Revision = Revision::new(1);
    const SECOND: Revision = Revision::new(2);

    /// Operation 7 has revision 1, operation 8 revision 2.
    fn two_commits() -> Commits {
        let mut commits = Commits::default();
        commits.add(FIRST, vec![Written { key: vec![0, 1, 1], by: 7, count: 1 }]).unwrap();
        commits.add(SECOND, vec![Written { key: vec![0, 1, 1], by: 8, count: 2 }]).unwrap();
        commits
    }

    fn operation(id: u64, invoked: u64, returned: u64, told: Told) -> Operation {
        Operation { id, invoked, returned, told }
    }

    fn read(commits: &Commits, invoked: u64, returned: u64, revision: Revision) -> Operation {
        let content = commits.content(revision).unwrap();
        operation(0, invoked, returned, Told::Read { revision, content })
    }

    #[test]
    fn what_overlaps_may_be_in_either_order() {
        let commits = two_commits();
        let writes = [operation(7, 10, 40, Told::Committed(FIRST)), operation(8, 20, 30, Told::Committed(SECOND))];
        assert_eq!(linearizable(&writes, &commits), Ok(()));
        for revision in [Revision::ZERO, FIRST, SECOND] {
            let mut all = writes.to_vec();
            all.push(read(&commits, 15, 35, revision));
            assert_eq!(linearizable(&all, &commits), Ok(()), "{revision}");
        }
    }

    #[test]
    fn a_read_that_misses_what_was_acknowledged_is_found() {
        let commits = two_commits();
        let write = operation(7, 10, 20, Told::Committed(FIRST));
        let check = |read| linearizable(&[write.clone(), read], &commits);
        assert_eq!(check(read(&commits, 21, 30, FIRST)), Ok(()));
        assert!(check(read(&commits, 21, 30, Revision::ZERO)).is_err());
    }

    #[test]
    fn a_read_that_goes_back_behind_another_one_is_found() {
        let commits = two_commits();
        let unknown = operation(7, 10, 99, Told::Unknown);
        let reads = [read(&commits, 20, 30, FIRST), read(&commits, 31, 40, Revision::ZERO)];
        assert!(linearizable(&[unknown.clone(), reads[0].clone(), reads[1].clone()], &commits).is_err());
        let forward = [read(&commits, 20, 30, Revision::ZERO), read(&commits, 31, 40, FIRST)];
        assert_eq!(linearizable(&[unknown, forward[0].clone(), forward[1].clone()], &commits), Ok(()));
    }

    #[test]
    fn a_read_of_something_else_than_its_revision_is_found() {
        let commits = two_commits();
        let content = commits.content(SECOND).unwrap();
        let bad = operation(0, 50, 60, Told::Read { revision: FIRST, content });
        assert!(linearizable(&[bad], &commits).is_err());
    }

    #[test]
    fn writes_whose_revisions_are_against_their_times_are_found() {
        let commits = two_commits();
        let writes = [operation(8, 10, 20, Told::Committed(SECOND)), operation(7, 30, 40, Told::Committed(FIRST))];
        assert!(linearizable(&writes, &commits).is_err());
    }

    #[test]
    fn a_read_that_sees_what_was_not_written_yet_is_found() {
        let commits = two_commits();
        let write = operation(7, 30, 40, Told::Committed(FIRST));
        assert!(linearizable(&[read(&commits, 10, 20, FIRST), write], &commits).is_err());
    }

    #[test]
    fn an_unknown_write_holds_nothing_up() {
        let commits = two_commits();
        let unknown = operation(7, 10, 20, Told::Unknown);
        assert_eq!(linearizable(&[unknown, read(&commits, 30, 40, Revision::ZERO)], &commits), Ok(()));
    }
}
