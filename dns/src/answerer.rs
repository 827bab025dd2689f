//! The interface between the sockets and the store that answers.

use zonecast_edge_reader::{Client, Outcome, Reader, Scratch, ZoneTable};
use zonecast_kv_proto::View;

/// A source of answers, shared by all threads of a server. Each thread takes a session per burst of queries and answers
/// the burst from it.
pub trait Answerer: Send + Sync + 'static {
    /// One unchanging state, for one burst of queries on one thread.
    type Session<'a>: Session
    where
        Self: 'a;

    /// Returns the present state: a snapshot of the store and the zone table of the same version. The server calls it
    /// once per burst, so it must be cheap and must not block.
    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> Self::Session<'a>;
}

/// Answers queries from one state.
pub trait Session {
    /// Replaces the content of `out` by the answer to `query`. If the outcome is
    /// [`AnswerClass::Dropped`](zonecast_edge_reader::AnswerClass::Dropped), `out` must be empty and nothing is sent.
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome;
}

/// A session over a view and its zone table, which suits most answerers.
#[derive(Debug)]
pub struct ReaderSession<'a, V> {
    view: V,
    zones: ZoneTable,
    scratch: &'a mut Scratch,
}

impl<'a, V: View> ReaderSession<'a, V> {
    /// Makes a session. `view` and `zones` must be of the same version.
    pub fn new(view: V, zones: ZoneTable, scratch: &'a mut Scratch) -> Self {
        Self { view, zones, scratch }
    }
}

impl<V: View> Session for ReaderSession<'_, V> {
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome {
        Reader::new(&self.view, &self.zones).answer(self.scratch, query, client, out)
    }
}
