//! What answers on one thread.

use zonecast_edge::{EdgeStates, Reading, Scratch, Transport};

/// Answers queries on one thread; between `begin` and `end` it holds one state for all of them.
#[derive(Debug)]
pub struct CReader {
    states: EdgeStates,
    scratch: Scratch,
    /// Held for a burst of queries.
    burst: Option<Reading>,
    answer: Vec<u8>,
}

impl CReader {
    pub(crate) fn new(states: EdgeStates, cache: usize) -> Self {
        let scratch = if cache == 0 { Scratch::new() } else { Scratch::with_cache(cache) };
        Self { states, scratch, burst: None, answer: Vec::new() }
    }

    pub(crate) fn begin(&mut self) {
        self.burst = Some(self.states.read());
    }

    pub(crate) fn end(&mut self) {
        self.burst = None;
    }

    /// The answer; empty when there is none.
    pub(crate) fn answer(&mut self, query: &[u8], over_tcp: bool) -> &[u8] {
        let transport = if over_tcp { Transport::Tcp } else { Transport::UDP };
        let Self { states, scratch, burst, answer } = self;
        match burst {
            Some(reading) => reading.answer(scratch, query, transport, answer),
            None => states.read().answer(scratch, query, transport, answer),
        };
        answer
    }
}
