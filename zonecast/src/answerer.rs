//! Lets the DNS front end answer from the present state of an edge.
//!
//! It stands here and not beside [`EdgeStates`]: whoever embeds an edge brings a front end of their own.

use std::sync::atomic::{AtomicBool, Ordering};

use zonecast_dns::{Answerer, Session};
use zonecast_edge::{Client, EdgeStates, Outcome, Reading, Scratch};

/// An edge as the DNS front end sees it. Until it is opened it answers as one that holds nothing.
#[derive(Debug)]
pub(crate) struct EdgeAnswerer {
    states: EdgeStates,
    is_open: AtomicBool,
}

impl EdgeAnswerer {
    /// From these states, not opened yet.
    pub(crate) fn new(states: EdgeStates) -> Self {
        Self { states, is_open: AtomicBool::new(false) }
    }

    /// What it answers from.
    pub(crate) fn states(&self) -> &EdgeStates {
        &self.states
    }

    /// Answers from the present state from now on.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }
}

/// One burst of queries.
#[derive(Debug)]
pub(crate) struct EdgeSession<'a> {
    reading: Reading,
    scratch: &'a mut Scratch,
}

impl Answerer for EdgeAnswerer {
    type Session<'a> = EdgeSession<'a>;

    fn session<'a>(&'a self, scratch: &'a mut Scratch) -> EdgeSession<'a> {
        let is_open = self.is_open.load(Ordering::Relaxed);
        EdgeSession { reading: if is_open { self.states.read() } else { Reading::not_ready() }, scratch }
    }
}

impl Session for EdgeSession<'_> {
    fn answer(&mut self, query: &[u8], client: Client<'_>, out: &mut Vec<u8>) -> Outcome {
        self.reading.answer(self.scratch, query, client, out)
    }
}
