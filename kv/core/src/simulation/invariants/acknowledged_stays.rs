//! What a client was told is so: an acknowledged write is at the revision that was said, and one that was refused is
//! nowhere.

use std::collections::BTreeMap;

use zonecast_kv_proto::Revision;

use crate::simulation::commits::Commits;
use crate::simulation::history::{Operation, Told};

pub(crate) fn acknowledged_stays(operations: &[Operation], commits: &Commits) -> Result<(), String> {
    let done = revisions(commits);
    for operation in operations {
        match (operation.told, done.get(&operation.id)) {
            (Told::Committed(said), found) if found != Some(&said) => {
                return Err(format!("{operation:?} was acknowledged and is at revision {found:?}"));
            }
            (Told::NotDone, Some(found)) => {
                return Err(format!("{operation:?} was refused and is at revision {found}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of each operation that is committed.
pub(crate) fn revisions(commits: &Commits) -> BTreeMap<u64, Revision> {
    commits
        .iter()
        .flat_map(|(revision, commit)| commit.writes.iter().map(move |written| (written.by, revision)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::writes::Written;

    fn told(id: u64, told: Told) -> Operation {
        Operation { id, invoked: 1, returned: 2, told }
    }

    fn one_commit() -> Commits {
        let mut commits = Commits::default();
        commits.add(Revision::new(1), vec![Written { key: vec![0, 1, 1], by: 7, count: 1 }]).unwrap();
        commits
    }

    #[test]
    fn a_lost_write_and_one_that_was_refused_and_done_are_found() {
        let commits = one_commit();
        let check = |operation| acknowledged_stays(&[operation], &commits);
        assert_eq!(check(told(7, Told::Committed(Revision::new(1)))), Ok(()));
        assert_eq!(check(told(7, Told::Unknown)), Ok(()));
        assert_eq!(check(told(8, Told::Unknown)), Ok(()));
        assert_eq!(check(told(8, Told::NotDone)), Ok(()));
        assert!(check(told(8, Told::Committed(Revision::new(2)))).is_err());
        assert!(check(told(7, Told::Committed(Revision::new(2)))).is_err());
        assert!(check(told(7, Told::NotDone)).is_err());
    }
}
