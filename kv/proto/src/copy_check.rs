//! What a node says of its copy at a marker: part of its acks, so that it takes the way of acks to the leader.

use crate::{RangeHash, positional};

/// Most bytes of a key in it: enough for a person to find it.
pub const MAX_CHECK_KEY: usize = 64;

/// [`CopyCheck::state`].
const HASHING: u8 = 0;
const HASHED: u8 = 1;
const REPAIRED: u8 = 2;
const FAILED: u8 = 3;

positional! {
    /// See the module.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct CopyCheck {
        /// That of the marker.
        pub number: u64,
        /// 0: it still sums up; 1: it has; 2: it has, differed, and was put right since; 3: it could not be read. Others are
        /// of later releases.
        pub state: u8,
        /// Of what it had at the marker.
        pub root: RangeHash,
        /// How many of its ranges differ from what voters agree on, as far as it knows.
        pub differing: u64,
        /// The first key that differs, or before which it does; cut.
        pub first: serde_bytes::ByteBuf,
    }
}

/// How far a node is with its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyCheckState {
    /// It sums up.
    Hashing,
    /// It has.
    Hashed,
    /// It has, differed, and was put right since.
    Repaired,
    /// It could not be read.
    Failed,
}

impl CopyCheck {
    /// One in this state.
    #[must_use]
    pub fn new(number: u64, state: CopyCheckState, root: RangeHash) -> Self {
        Self { number, root, ..Self::default() }.in_state(state)
    }

    /// The same in this state.
    #[must_use]
    pub fn in_state(self, state: CopyCheckState) -> Self {
        let state = match state {
            CopyCheckState::Hashing => HASHING,
            CopyCheckState::Hashed => HASHED,
            CopyCheckState::Repaired => REPAIRED,
            CopyCheckState::Failed => FAILED,
        };
        Self { state, ..self }
    }

    /// The same of a copy that differs in so many ranges, the first time at this key.
    #[must_use]
    pub fn differs(self, ranges: u64, first: &[u8]) -> Self {
        let first = first.get(..MAX_CHECK_KEY).unwrap_or(first).to_vec().into();
        Self { differing: ranges, first, ..self }
    }

    /// How far it is; a state of a later release is none that is known.
    #[must_use]
    pub fn state(&self) -> Option<CopyCheckState> {
        match self.state {
            HASHING => Some(CopyCheckState::Hashing),
            HASHED => Some(CopyCheckState::Hashed),
            REPAIRED => Some(CopyCheckState::Repaired),
            FAILED => Some(CopyCheckState::Failed),
            _ => None,
        }
    }

    /// Whether it keeps to the bounds.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.first.len() <= MAX_CHECK_KEY
    }
}

/// The last one, until the present publisher has been told.
#[derive(Debug, Default)]
pub(crate) struct DueCheck {
    last: Option<CopyCheck>,
    is_due: bool,
}

impl DueCheck {
    /// This is to be told.
    pub(crate) fn say(&mut self, check: CopyCheck) {
        (self.last, self.is_due) = (Some(check), true);
    }

    /// There is another publisher, or the same one has forgotten.
    pub(crate) fn begin_anew(&mut self) {
        self.is_due = true;
    }

    /// Whether an ack is due for it.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due && self.last.is_some()
    }

    /// What is to be told with the next ack.
    pub(crate) fn take(&mut self) -> Option<CopyCheck> {
        self.last.clone().filter(|_| std::mem::take(&mut self.is_due))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{AcceptedLink, Ack, AckBook, EdgeTold, Epoch, Peer, Version};

    #[test]
    fn states_come_back_and_keys_are_cut() {
        use CopyCheckState::{Failed, Hashed, Hashing, Repaired};
        for state in [Hashing, Hashed, Repaired, Failed] {
            let check = CopyCheck::new(3, state, RangeHash::of_entries(b"x"));
            assert_eq!(check.state(), Some(state));
            let check = check.differs(2, &[7; 1000]);
            assert!(check.is_bounded() && check.first.len() == MAX_CHECK_KEY && check.differing == 2);
        }
        assert_eq!(CopyCheck { state: 9, ..CopyCheck::default() }.state(), None);
        assert!(!CopyCheck { first: vec![0; 65].into(), ..CopyCheck::default() }.is_bounded());
    }

    #[test]
    fn what_was_said_outlives_acks_that_say_nothing_and_ends_with_the_process() {
        let (edge, now) = (Peer::edge("a"), Duration::ZERO);
        let mut book = AckBook::new(Epoch::ZERO);
        book.tell_all();
        let link = |session, incarnation| AcceptedLink {
            session,
            incarnation,
            connection: session,
            is_below: true,
            ..AcceptedLink::default()
        };
        let said = CopyCheck::new(3, CopyCheckState::Hashed, RangeHash::of_entries(b"x"));
        let ack = |incarnation, check| Ack { incarnation, applied: Version::new(1), check, ..Ack::default() };
        let check = |book: &AckBook| book.edges().first().unwrap().check.clone();
        assert!(book.accept(&edge, link(1, 7)));
        book.ack(now, &edge, 1, &ack(7, Some(said.clone())));
        book.ack(now, &edge, 1, &ack(7, None));
        assert_eq!(check(&book), Some(said.clone()));
        let Some(EdgeTold::Edge(news)) = book.take_news(now, 1).pop() else { panic!("there is no news") };
        assert_eq!(news.ack.unwrap().check, Some(said.clone()), "whoever is above hears of it");
        book.disconnect(now, &edge, 1);
        assert!(book.accept(&edge, link(2, 7)));
        assert_eq!(check(&book), Some(said));
        assert!(book.accept(&edge, link(3, 8)));
        assert_eq!(check(&book), None, "another process has another memory");
    }

    #[test]
    fn an_ack_in_place_of_another_one_keeps_what_that_said() {
        let of = |number| Ack { check: Some(CopyCheck { number, ..CopyCheck::default() }), ..Ack::default() };
        let number = |ack: Ack| ack.check.map(|check| check.number);
        assert_eq!(number(Ack::default().with_check_of(Some(of(1)))), Some(1));
        assert_eq!(number(of(2).with_check_of(Some(of(1)))), Some(2));
        assert_eq!(number(Ack::default().with_check_of(None)), None);
    }
}
