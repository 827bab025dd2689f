//! The seam between sockets and stores.

use zonecast_edge_reader::{Client, Outcome, Reader, Scratch, ZoneTable};
use zonecast_kv_proto::View;

/// Hands out the present state.
pub trait Answerer: Send + Sync + 'static {
    /// One state, for one burst of queries on one thread.
    type Session<'a>: Session
    where
        Self: 'a;

    /// The present state: a snapshot of the store and the zone table of the same version. It is taken once per burst
    /// and must be cheap and not wait for anybody.
    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> Self::Session<'a>;
}

/// Answers from one state.
pub trait Session {
    /// Puts the answer to `query` into `out`, replacing what it held.
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome;
}

/// A session over a view and its zone table: what most answerers hand out.
#[derive(Debug)]
pub struct ReaderSession<'a, V> {
    view: V,
    zones: ZoneTable,
    scratch: &'a mut Scratch,
}

impl<'a, V: View> ReaderSession<'a, V> {
    /// Over this state; both parts must be of one version.
    pub fn new(view: V, zones: ZoneTable, scratch: &'a mut Scratch) -> Self {
        Self { view, zones, scratch }
    }
}

impl<V: View> Session for ReaderSession<'_, V> {
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome {
        Reader::new(&self.view, &self.zones).answer(self.scratch, query, client, out)
    }
}
