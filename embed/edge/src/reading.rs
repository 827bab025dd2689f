//! One state of an edge, held for a burst of queries.

use std::fmt;
use std::sync::Arc;

use domain::base::iana::Rtype;
use self_cell::self_cell;
use zonecast_edge_reader::{AnswerClass, Client, FindError, Lookup, Outcome, Scratch, TurnAwayReason, turn_away};
use zonecast_kv_edge::EdgeView;
use zonecast_kv_proto::Position;
use zonecast_records::{Name, TypeBitmap};

use crate::EdgeState;

self_cell!(
    /// A state and the reads of it.
    struct Held {
        owner: Arc<EdgeState>,
        #[not_covariant]
        dependent: EdgeView,
    }
);

/// One unchanging state of an edge. Take it once per burst of queries on one thread and drop it after the burst: while
/// it is held, its version is not freed and it does not see later changes.
pub struct Reading {
    /// None while the edge has no copy yet: then every zone is another's.
    held: Option<Held>,
}

impl Reading {
    /// The reading of an edge that may not answer yet: it answers like a new edge, with REFUSED.
    #[must_use]
    pub fn not_ready() -> Self {
        Self { held: None }
    }

    pub(crate) fn of(state: Option<Arc<EdgeState>>) -> Self {
        Self { held: state.map(|state| Held::new(state, |state| state.snapshot.view())) }
    }

    /// Reads the keys of this state; nothing while the edge is new.
    pub(crate) fn with_view<T>(&self, read: impl FnOnce(&EdgeState, &EdgeView<'_>) -> T) -> Option<T> {
        self.held.as_ref().map(|held| held.with_dependent(|state, view| read(state, view)))
    }

    /// The position of this state; `None` while the edge is new.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.held.as_ref().map(|held| held.borrow_owner().position)
    }

    /// Answers a query, wire to wire; see [`Reader::answer`](zonecast_edge_reader::Reader::answer). A new edge answers
    /// REFUSED.
    pub fn answer<'c>(
        &self,
        scratch: &mut Scratch,
        query: &[u8],
        client: impl Into<Client<'c>>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let client = client.into();
        match &self.held {
            Some(held) => held.with_dependent(|state, view| {
                let outcome = state.reader(view).answer(scratch, query, client, out);
                if outcome.class == AnswerClass::Failed
                    && let Some(what) = scratch.take_damage()
                {
                    state.snapshot.report_damage(&what);
                }
                outcome
            }),
            None => turn_away(query, client, TurnAwayReason::NotReady, out),
        }
    }

    /// Looks one name up, for a server that builds its own messages; see
    /// [`Reader::lookup`](zonecast_edge_reader::Reader::lookup). `None` if no hosted zone contains the name, or the
    /// edge is new.
    ///
    /// # Errors
    /// The copy could not be read or is damaged; the server should answer SERVFAIL.
    pub fn lookup<'s>(
        &self,
        scratch: &'s mut Scratch,
        name: &Name,
        rtype: Rtype,
    ) -> Result<Option<Lookup<'s>>, FindError> {
        let Some(held) = &self.held else { return Ok(None) };
        held.with_dependent(|state, view| state.seen(state.reader(view).lookup(scratch, name, rtype)))
    }

    /// The types of the records that a name owns, for a server that looks up all of them; see
    /// [`Reader::types`](zonecast_edge_reader::Reader::types).
    ///
    /// # Errors
    /// As [`Reading::lookup`].
    pub fn types<'s>(&self, scratch: &'s mut Scratch, name: &Name) -> Result<Option<TypeBitmap<'s>>, FindError> {
        let Some(held) = &self.held else { return Ok(None) };
        held.with_dependent(|state, view| state.seen(state.reader(view).types(scratch, name)))
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("position", &self.position()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rcode;
    use zonecast_edge_reader::Transport;

    use super::*;

    #[test]
    fn an_edge_without_a_copy_refuses() {
        let query = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let reading = crate::EdgeStates::default().read();
        assert_eq!(reading.answer(&mut scratch, &query, Transport::UDP, &mut out).rcode, Rcode::REFUSED);
        assert!(reading.lookup(&mut scratch, &"a".parse().unwrap(), Rtype::A).unwrap().is_none());
        assert_eq!(reading.position(), None);
    }
}
