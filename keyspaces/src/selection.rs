//! Which published keyspaces an edge holds, by their names.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use zonecast_kv_proto::{Filter, KeyspaceId, View};

use crate::{KeyspaceError, KeyspaceName, NAMES, NameError, Published};

/// The keyspace of DNS, which no keyspace of a user can be called.
const DNS: &str = "dns";

/// Most names: so many that a filter has room for them, and for the keyspaces that every edge holds.
pub const MAX_SELECTED: usize = 1_000;

/// Some of the published keyspaces. One that does not exist is held as soon as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    dns: bool,
    names: BTreeSet<KeyspaceName>,
}

/// Why names select nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// There is none.
    #[error("no keyspace is named: an edge that holds nothing has nothing to answer from")]
    Empty,
    /// One of them is no name of a published keyspace.
    #[error(transparent)]
    Name(#[from] NameError),
    /// More than [`MAX_SELECTED`].
    #[error("{0} keyspaces are over the limit of {MAX_SELECTED}")]
    Many(usize),
}

impl Selection {
    /// Of these keyspaces; `dns` is that of DNS.
    ///
    /// # Errors
    /// There is no name, there are too many, or one of them is none.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, SelectionError> {
        let mut selection = Self { dns: false, names: BTreeSet::new() };
        for name in names {
            match name {
                DNS => selection.dns = true,
                name => drop(selection.names.insert(name.parse()?)),
            }
        }
        match selection.names.len() {
            0 if !selection.dns => Err(SelectionError::Empty),
            count if count > MAX_SELECTED => Err(SelectionError::Many(count)),
            _ => Ok(selection),
        }
    }

    /// The names, in ascending order after `dns`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.dns.then_some(DNS).into_iter().chain(self.names.iter().map(KeyspaceName::as_str))
    }

    /// What a new edge can ask for: where the keyspaces of users are is in the copy that it does not have yet.
    #[must_use]
    pub fn at_first(&self) -> Filter {
        self.filter_with(vec![])
    }

    /// What an edge with this copy is to hold.
    ///
    /// # Errors
    /// The copy could not be read.
    pub fn filter(&self, view: &(impl View + ?Sized)) -> Result<Filter, KeyspaceError> {
        let found = self.names.iter().map(|name| Published::find(view, name)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.filter_with(found.into_iter().flatten().map(|found| found.id).filter(|id| id.is_published()).collect()))
    }

    fn filter_with(&self, ids: Vec<KeyspaceId>) -> Filter {
        let always = [NAMES].into_iter().chain(self.dns.then_some(KeyspaceId::DNS));
        Filter::new(always.chain(ids)).expect("fewer than a filter has room for, and all published")
    }
}

impl fmt::Display for Selection {
    /// The names, with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::MemoryView;

    use super::*;
    use crate::{KeyspaceSettings, create};

    #[test]
    fn names_are_found_in_the_copy_when_they_are_there() {
        let selection = Selection::of(["rules", "dns", "flags"]).unwrap();
        assert_eq!(selection.to_string(), "dns, flags, rules");
        let always = [KeyspaceId::DNS, KeyspaceId::REVOKED, NAMES];
        assert_eq!(selection.at_first().keyspaces(), always);
        let mut view = MemoryView::new();
        assert_eq!(selection.filter(&view).unwrap(), selection.at_first());
        let made = create(&view, &"rules".parse().unwrap(), KeyspaceSettings::default()).unwrap();
        view.apply(&made.batch);
        let filter = selection.filter(&view).unwrap();
        assert_eq!(filter.keyspaces().len(), always.len() + 1);
        assert!(filter.includes(&selection.at_first()));
        let only_rules = Selection::of(["rules"]).unwrap().filter(&view).unwrap();
        assert!(!only_rules.holds_keyspace(KeyspaceId::DNS) && filter.includes(&only_rules));
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        assert_eq!(Selection::of([]), Err(SelectionError::Empty));
        assert!(matches!(Selection::of(["core"]), Err(SelectionError::Name(NameError::Reserved(_)))));
        assert!(matches!(Selection::of(["a b"]), Err(SelectionError::Name(NameError::Malformed(_)))));
        let many: Vec<String> = (0..=MAX_SELECTED).map(|number| format!("k{number}")).collect();
        assert!(matches!(Selection::of(many.iter().map(String::as_str)), Err(SelectionError::Many(_))));
    }
}
