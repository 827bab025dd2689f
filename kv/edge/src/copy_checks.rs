//! What an edge says of its copy at markers: what it comes to, and whether that is what voters agree on.
//!
//! Pure: what the store and the stream say is an argument.

use std::sync::Arc;

use zonecast_kv_proto::{Agreement, CopyCheck, CopyCheckState, Marker, RangeHash};
use zonecast_kv_store::{CheckProgress, Checked, RangeCheck};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CopyChecks {
    agreement: Option<Agreement>,
    /// What was said last.
    said: Option<CopyCheck>,
    /// The last marker at which the copy turned out to be other than what voters agree on. Not its number alone: a store that
    /// was restored numbers anew.
    other: Option<Marker>,
    /// Where, as far as that is known.
    differs: Option<Differs>,
    /// The last marker at which the copy was other and after which it was put right.
    repaired: Option<Marker>,
}

/// Where a copy differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differs {
    /// The number of the marker.
    pub(crate) number: u64,
    /// How many ranges.
    pub(crate) ranges: u64,
    /// The first key that differs, or the last one of the first range that does.
    pub(crate) first: Vec<u8>,
}

/// What has come of a look.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// To be said to the upstream.
    pub(crate) said: Option<CopyCheck>,
    /// The copy has turned out to be other than what voters agree on.
    pub(crate) found: Option<Other>,
    /// The last marker is settled for this copy: it is what voters agree on, or was put right.
    pub(crate) is_settled: bool,
}

/// A copy that is other than what voters agree on.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    /// Where it was summed up.
    pub(crate) marker: Marker,
    /// What it came to.
    pub(crate) own: Arc<Checked>,
    /// What voters did.
    pub(crate) agreement: Agreement,
}

impl CopyChecks {
    /// Voters agree on this.
    pub(crate) fn agreed(&mut self, agreement: Agreement) {
        self.agreement = Some(agreement);
    }

    /// The copy differs there.
    pub(crate) fn differs(&mut self, differs: Differs) {
        self.differs = Some(differs);
    }

    /// The copy was other at the last marker, and is not any more.
    pub(crate) fn repaired(&mut self) {
        self.repaired = self.other;
    }

    /// Whether the copy is other than what voters agree on, as far as is known.
    pub(crate) fn is_other(&self) -> bool {
        self.other.is_some() && self.other != self.repaired
    }

    /// Compares what the copy has come to with what voters agree on.
    pub(crate) fn look(&mut self, present: Option<&RangeCheck>) -> Look {
        let mut look = Look::default();
        let check = match present {
            Some(present) => {
                let marker = present.marker;
                let agreement = self.agreement.filter(|agreement| agreement.number == marker.number);
                if let (Some(agreement), CheckProgress::Done(done)) = (agreement, &present.progress) {
                    let is_equal = agreement.root == done.published.root();
                    if !is_equal && self.other.replace(marker) != Some(marker) {
                        self.differs = None;
                        look.found = Some(Other { marker, own: Arc::clone(done), agreement });
                    }
                    if is_equal {
                        self.other = None;
                    }
                    look.is_settled = !self.is_other();
                }
                self.check(present)
            }
            // It was replaced as a whole.
            None if self.is_other() => {
                self.repaired = self.other;
                let Some(said) = self.said.clone() else { return look };
                said.in_state(CopyCheckState::Repaired)
            }
            None => return look,
        };
        if self.said.as_ref() != Some(&check) {
            self.said = Some(check.clone());
            look.said = Some(check);
        }
        look
    }

    fn check(&self, present: &RangeCheck) -> CopyCheck {
        let number = present.marker.number;
        let (state, root) = match &present.progress {
            CheckProgress::Hashing => (CopyCheckState::Hashing, RangeHash::default()),
            CheckProgress::Failed(_) => (CopyCheckState::Failed, RangeHash::default()),
            CheckProgress::Done(done) if self.repaired == Some(present.marker) => {
                (CopyCheckState::Repaired, done.published.root())
            }
            CheckProgress::Done(done) => (CopyCheckState::Hashed, done.published.root()),
        };
        let check = CopyCheck::new(number, state, root);
        match &self.differs {
            Some(differs) if differs.number == number => check.differs(differs.ranges, &differs.first),
            _ => check,
        }
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{Position, RangeHasher, StoreId};

    use super::*;

    fn root(value: &[u8]) -> (RangeHasher, RangeHash) {
        let hasher = || {
            let mut hasher = RangeHasher::default();
            hasher.add(&[0, 1, 1], value);
            hasher
        };
        (hasher(), hasher().finish().root())
    }

    fn check(number: u64, value: Option<&[u8]>) -> RangeCheck {
        let progress = value.map_or(CheckProgress::Hashing, |value| {
            CheckProgress::Done(Arc::new(Checked::of(root(value).0.finish(), 1, None)))
        });
        RangeCheck { marker: Marker::new(number, 1, 1), position: Position::origin(StoreId::new(9)), progress }
    }

    fn agreement(number: u64, value: &[u8]) -> Agreement {
        Agreement { number, root: root(value).1, agreeing: 2, voters: 3, ..Agreement::default() }
    }

    fn states(look: &Look) -> (Option<CopyCheckState>, bool, bool) {
        (look.said.as_ref().and_then(CopyCheck::state), look.found.is_some(), look.is_settled)
    }

    #[test]
    fn an_equal_copy_is_said_once_and_settled_by_the_agreement() {
        let mut checks = CopyChecks::default();
        assert_eq!(states(&checks.look(None)), (None, false, false));
        assert_eq!(states(&checks.look(Some(&check(1, None)))), (Some(CopyCheckState::Hashing), false, false));
        let done = check(1, Some(b"value"));
        assert_eq!(states(&checks.look(Some(&done))), (Some(CopyCheckState::Hashed), false, false));
        assert_eq!(states(&checks.look(Some(&done))), (None, false, false));
        checks.agreed(agreement(1, b"value"));
        assert_eq!(states(&checks.look(Some(&done))), (None, false, true));
        assert!(!checks.is_other());
        // The agreement is on an earlier marker.
        let done = check(2, Some(b"other"));
        assert_eq!(states(&checks.look(Some(&done))), (Some(CopyCheckState::Hashed), false, false));
    }

    #[test]
    fn another_copy_is_found_once_and_is_put_right_or_replaced() {
        for is_replaced in [false, true] {
            let mut checks = CopyChecks::default();
            checks.agreed(agreement(1, b"value"));
            let done = check(1, Some(b"velue"));
            assert_eq!(states(&checks.look(Some(&done))), (Some(CopyCheckState::Hashed), true, false));
            assert_eq!(states(&checks.look(Some(&done))), (None, false, false));
            assert!(checks.is_other());
            checks.differs(Differs { number: 1, ranges: 3, first: b"key".to_vec() });
            let said = checks.look(Some(&done)).said.unwrap();
            assert_eq!((said.differing, &**said.first), (3, &b"key"[..]));
            let look = if is_replaced {
                checks.look(None)
            } else {
                checks.repaired();
                checks.look(Some(&done))
            };
            assert_eq!(look.said.as_ref().and_then(CopyCheck::state), Some(CopyCheckState::Repaired));
            assert_eq!(look.said.unwrap().differing, 3);
            assert!(!checks.is_other());
            // What it is at the next marker is seen anew.
            checks.agreed(agreement(2, b"value"));
            let again = checks.look(Some(&check(2, Some(b"velue"))));
            assert_eq!(states(&again), (Some(CopyCheckState::Hashed), true, false));
        }
    }
}
