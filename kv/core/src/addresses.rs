//! Where members say that they are reached, for as long as the membership says something else: a voter that has moved may
//! need the votes of others before there is a leader who can write it down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::member::Member;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    heard: Mutex<BTreeMap<u64, Heard>>,
}

#[derive(Debug)]
struct Heard {
    is: Member,
    /// What the membership said then. What it says later is newer.
    instead_of: Member,
}

impl Addresses {
    /// A member is there now. A wrong address cannot do harm: whoever is there must have the certificate of this name.
    pub(crate) fn hear(&self, id: u64, known: &Member, is: Member) {
        if *known == is {
            self.lock().remove(&id);
        } else {
            self.lock().insert(id, Heard { is, instead_of: known.clone() });
        }
    }

    /// Where a member is, of whom the membership says this.
    pub(crate) fn of(&self, id: u64, known: Member) -> Member {
        let heard = self.lock();
        let newer = heard.get(&id).filter(|heard| heard.instead_of == known);
        newer.map(|heard| heard.is.clone()).unwrap_or(known)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Member {
        Member { name: "core-2".into(), address: address.into() }
    }

    #[test]
    fn what_was_heard_holds_until_the_membership_says_something_else() {
        let addresses = Addresses::default();
        assert_eq!(addresses.of(2, at("old")), at("old"));
        addresses.hear(2, &at("old"), at("new"));
        assert_eq!(addresses.of(2, at("old")), at("new"));
        assert_eq!(addresses.of(3, at("old")), at("old"), "of somebody else");
        assert_eq!(addresses.of(2, at("newer")), at("newer"));
        addresses.hear(2, &at("old"), at("old"));
        assert_eq!(addresses.of(2, at("old")), at("old"), "it has moved back");
    }
}
