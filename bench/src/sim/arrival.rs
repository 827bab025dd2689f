//! When a change has come to an edge, and to the last of all edges, through a tree.
//!
//! A node gives a change to its downstreams one after the other. A downstream has it after its turn, a write that may
//! be combined, the way, and its own work, and only then passes it on. All of these are independent of each other.

use super::delay::Delay;
use super::inputs::Inputs;
use super::link;
use super::sending::Sending;
use super::tree::{Level, Tree};

/// Turns of a round that are told apart.
const TURNS: u32 = 8;

/// From when a node has a change.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// Until any one edge below it has it.
    pub(super) one: Delay,
    /// Until all of them do.
    pub(super) last: Delay,
}

impl Arrival {
    /// From the request for a change.
    pub(super) fn of(tree: &Tree, inputs: &Inputs) -> Self {
        let edge = Self { one: Delay::exactly(0.0), last: Delay::exactly(0.0) };
        let core = tree.levels.iter().rev().fold(edge, |below, level| below.under(level, inputs));
        let commit = Delay::of(inputs.commit_p50, inputs.commit_p99).later(inputs.voters_apart);
        Self { one: commit.then(&core.one), last: commit.then(&core.last) }
    }

    /// Of a node of this level, all of whose downstreams are as this.
    fn under(&self, level: &Level, inputs: &Inputs) -> Self {
        let sending = Sending::to(level.downstreams, inputs);
        let parts = f64::from(u32::try_from(level.round_trips.len()).unwrap_or(u32::MAX));
        let (mut one, mut last) = (Vec::new(), Vec::new());
        for round_trip in &level.round_trips {
            let hop = hop(*round_trip, sending, inputs);
            one.push(hop.then(&self.one));
            let below = hop.then(&self.last);
            for turn in 1..=TURNS {
                let at = below.later(sending.round_ms * f64::from(turn) / f64::from(TURNS));
                last.push((level.downstreams / parts / f64::from(TURNS), at));
            }
        }
        let one: Vec<(f64, &Delay)> = one.iter().map(|delay| (1.0 / parts, delay)).collect();
        Self { one: Delay::either(&one).then(&Delay::up_to(sending.round_ms)), last: Delay::last(&last) }
    }
}

/// To one downstream, from its turn on.
fn hop(round_trip: f64, sending: Sending, inputs: &Inputs) -> Delay {
    let work = Delay::of(inputs.hop_p50, inputs.hop_p99);
    let way = link::way(round_trip, sending.writes, inputs);
    work.then(&Delay::up_to(sending.rest_ms)).then(&way)
}

#[cfg(test)]
mod tests {
    use super::super::tree::Shape;
    use super::*;

    fn near(inputs: Inputs) -> Inputs {
        Inputs { loss: 0.0, voters_apart: 0.0, ..inputs }
    }

    fn of_edges(number: f64) -> Tree {
        Tree { levels: vec![Level { nodes: 1.0, downstreams: number, edges: number, round_trips: vec![0.0] }] }
    }

    #[test]
    fn one_edge_of_three_voters_comes_out_as_it_was_measured() {
        // The run of fca557f7cbcd has 2.77 and 3.83 ms.
        let arrival = Arrival::of(&of_edges(1.0), &near(Inputs::default()));
        assert!((arrival.one.percentile(50.0) - 2.77).abs() <= 0.5, "{}", arrival.one.percentile(50.0));
        assert!((arrival.last.percentile(99.0) - 3.83).abs() <= 0.5, "{}", arrival.last.percentile(99.0));
    }

    #[test]
    fn a_thousand_edges_of_one_core_come_out_as_they_were_measured() {
        // The run of fca557f7cbcd has 113 ms for the last of 1,000; half of the two processors was the edges'.
        let arrival = Arrival::of(&of_edges(1_000.0), &near(Inputs { processors: 1.0, ..Inputs::default() }));
        let last = arrival.last.percentile(50.0);
        assert!((last / 112.8 - 1.0).abs() < 0.15, "{last}");
    }

    #[test]
    fn each_level_takes_time_and_loss_takes_the_last_edge_longest() {
        let inputs = Inputs::default();
        let of = |depth, inputs: &Inputs| Arrival::of(&Tree::of(Shape { degree: 300, depth }, inputs).unwrap(), inputs);
        let lossless = Inputs { loss: 0.0, ..inputs.clone() };
        let (one, two) = (of(1, &lossless), of(2, &lossless));
        assert!(two.one.percentile(50.0) > one.one.percentile(50.0) - 1.0);
        // Chennai is farthest from Washington, 121 ms one way, and its cities up to 13 ms farther.
        let last = two.last.percentile(50.0);
        assert!((134.0..160.0).contains(&last), "{last}");
        assert!(of(2, &inputs).last.percentile(99.0) > last + 50.0);
    }
}
