//! Answers DNS queries from the present state of an edge.

use std::sync::Arc;

use self_cell::self_cell;
use zonecast_dns::{Answerer, Session};
use zonecast_edge_reader::{Outcome, Reader, Scratch, Transport, ZoneTable};
use zonecast_kv_edge::EdgeView;
use zonecast_kv_proto::MemoryView;

use crate::edge_state::{EdgeState, EdgeStates};

impl Answerer for EdgeStates {
    type Session<'a> = EdgeSession<'a>;

    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> EdgeSession<'a> {
        let reading = self.load().map(|state| Reading::new(state, |state| state.snapshot.view()));
        EdgeSession { reading, scratch }
    }
}

self_cell!(
    /// A state and the reads of it.
    struct Reading {
        owner: Arc<EdgeState>,
        #[not_covariant]
        dependent: EdgeView,
    }
);

/// One burst of queries.
pub(crate) struct EdgeSession<'a> {
    /// None while the edge has no copy yet: then every zone is another's.
    reading: Option<Reading>,
    scratch: &'a mut Scratch,
}

impl std::fmt::Debug for EdgeSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeSession").finish_non_exhaustive()
    }
}

impl Session for EdgeSession<'_> {
    fn answer(&mut self, query: &[u8], transport: Transport, out: &mut Vec<u8>) -> Outcome {
        match &self.reading {
            Some(reading) => reading.with_dependent(|state, view| {
                Reader::new(view, &state.zones).answer(self.scratch, query, transport, out)
            }),
            None => {
                let (view, zones) = (MemoryView::new(), ZoneTable::new());
                Reader::new(&view, &zones).answer(self.scratch, query, transport, out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rcode;

    use super::*;

    #[test]
    fn an_edge_without_a_copy_refuses() {
        let query = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let outcome = EdgeStates::default().session(&mut scratch).answer(&query, Transport::UDP, &mut out);
        assert_eq!(outcome.rcode, Rcode::REFUSED);
    }
}
