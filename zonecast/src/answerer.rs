//! Lets the DNS front end answer from the present state of an edge.
//!
//! It stands here and not beside [`EdgeStates`]: whoever embeds an edge brings a front end of their own.

use zonecast_dns::{Answerer, Session};
use zonecast_edge::{Client, EdgeStates, Outcome, Reading, Scratch};

/// An edge as the DNS front end sees it.
#[derive(Debug)]
pub(crate) struct EdgeAnswerer(pub(crate) EdgeStates);

/// One burst of queries.
#[derive(Debug)]
pub(crate) struct EdgeSession<'a> {
    reading: Reading,
    scratch: &'a mut Scratch,
}

impl Answerer for EdgeAnswerer {
    type Session<'a> = EdgeSession<'a>;

    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> EdgeSession<'a> {
        EdgeSession { reading: self.0.read(), scratch }
    }
}

impl Session for EdgeSession<'_> {
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome {
        self.reading.answer(self.scratch, query, client, out)
    }
}
