//! What comes out of the model: a line for each tree, and the best of them.

use serde::Serialize;

use super::arrival::Arrival;
use super::group::Group;
use super::inputs::{
    ACK_EVERY, ACK_EVERY_PER_EDGE, FOLD_FROM, Inputs, MAX_CONNECTIONS, MAX_EDGES, MAX_REPORTED, NEWS_A_SECOND,
    SINGLE_A_SECOND,
};
use super::sending::Sending;
use super::tree::{Level, Shape, Tree};

/// Downstreams of a relay that are tried, and levels of relays.
const DEGREES: [u32; 10] = [10, 20, 35, 50, 75, 100, 150, 200, 300, 1_000];
const DEPTHS: [u32; 4] = [0, 1, 2, 3];

/// Trees whose last edge is no later than this much beside the best one count as equally good.
const AS_GOOD: f64 = 1.05;

/// Everything that the model says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    /// So that nobody takes it for a measurement.
    pub(super) kind: &'static str,
    pub(super) inputs: Inputs,
    pub(super) trees: Vec<Line>,
    /// Its place among the trees.
    pub(super) best: Option<usize>,
    pub(super) group: Group,
}

/// What one tree does.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) depth: u32,
    pub(super) degree: u32,
    pub(super) relays: f64,
    /// Downstreams of the core, and most of a relay.
    pub(super) core_downstreams: f64,
    pub(super) relay_downstreams: f64,
    /// Until an edge has a change.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Until the last edge has it.
    pub(super) last_p50_ms: f64,
    pub(super) last_p99_ms: f64,
    /// Bytes a second out of the core, and at most out of a relay.
    pub(super) core_bytes: f64,
    pub(super) relay_bytes: f64,
    /// Processors that are busy with sending at the core, and at most at a relay.
    pub(super) core_processors: f64,
    pub(super) relay_processors: f64,
    /// Acks of its downstreams that come to the core in a second, and what they tell of the edges below them.
    pub(super) core_acks: f64,
    /// Until a relay has told a new upstream of each of its edges by name.
    pub(super) told_ms: f64,
    /// Why nobody can build it.
    pub(super) impossible: Option<String>,
    /// Edges that no receipt of the core can count, as its limits are.
    pub(super) uncounted: f64,
}

impl Outcome {
    pub(super) fn of(inputs: &Inputs) -> Self {
        let mut trees: Vec<(Tree, Line)> = Vec::new();
        for depth in DEPTHS {
            // Without relays, their degree says nothing.
            for degree in if depth == 0 { &DEGREES[..1] } else { &DEGREES[..] } {
                let shape = Shape { degree: *degree, depth };
                let Some(tree) = Tree::of(shape, inputs) else { continue };
                if trees.iter().all(|(other, _)| *other != tree) {
                    let line = Line::of(shape, &tree, inputs);
                    trees.push((tree, line));
                }
            }
        }
        let trees: Vec<Line> = trees.into_iter().map(|(_, line)| line).collect();
        Self { kind: "model", inputs: inputs.clone(), best: best(&trees), trees, group: Group::of(inputs) }
    }

    pub(super) fn best(&self) -> Option<&Line> {
        self.trees.get(self.best?)
    }
}

/// The fewest relays among the trees whose last edge is about as early as that of any.
fn best(trees: &[Line]) -> Option<usize> {
    let possible = || trees.iter().enumerate().filter(|(_, line)| line.impossible.is_none());
    let earliest = possible().map(|(_, line)| line.last_p99_ms).min_by(f64::total_cmp)?;
    let good = possible().filter(|(_, line)| line.last_p99_ms <= earliest * AS_GOOD);
    good.min_by(|(_, one), (_, other)| one.relays.total_cmp(&other.relays)).map(|(place, _)| place)
}

impl Line {
    fn of(shape: Shape, tree: &Tree, inputs: &Inputs) -> Self {
        let arrival = Arrival::of(tree, inputs);
        let core_downstreams = tree.core().map_or(0.0, |core| core.downstreams);
        let core = Sending::to(core_downstreams, inputs);
        let relays = || tree.relays().iter();
        let most = |value: &dyn Fn(&Level) -> f64| relays().map(value).fold(0.0, f64::max);
        Self {
            depth: shape.depth,
            degree: if shape.depth == 0 { inputs.nodes } else { shape.degree },
            relays: relays().map(|level| level.nodes).fold(0.0, |sum, nodes| sum + nodes),
            core_downstreams,
            relay_downstreams: most(&|level| level.downstreams),
            p50_ms: arrival.one.percentile(50.0),
            p99_ms: arrival.one.percentile(99.0),
            last_p50_ms: arrival.last.percentile(50.0),
            last_p99_ms: arrival.last.percentile(99.0),
            core_bytes: core.bytes,
            relay_bytes: most(&|level| Sending::to(level.downstreams, inputs).bytes),
            core_processors: core.processors,
            relay_processors: most(&|level| Sending::to(level.downstreams, inputs).processors),
            core_acks: core_acks(tree, inputs),
            told_ms: relays().map(|level| level.edges / NEWS_A_SECOND * 1000.0).fold(0.0, f64::max),
            impossible: impossible(tree, inputs),
            uncounted: uncounted(tree, inputs),
        }
    }
}

/// Acks of the core's downstreams, and what they tell of those below them: how far all are that are in step, as all are
/// here.
fn core_acks(tree: &Tree, inputs: &Inputs) -> f64 {
    let Some(core) = tree.core() else { return 0.0 };
    let [shortest, longest] = ACK_EVERY;
    let every = (core.downstreams * ACK_EVERY_PER_EDGE).clamp(shortest, longest);
    let writes = Sending::to(core.downstreams, inputs).writes;
    let told = match tree.relays() {
        [] => 0.0,
        [top, ..] if top.edges < FOLD_FROM => (top.edges * writes).min(SINGLE_A_SECOND),
        _ => writes.min(1.0 / longest),
    };
    core.downstreams * (writes.min(1.0 / every) + told)
}

fn impossible(tree: &Tree, inputs: &Inputs) -> Option<String> {
    let reason = |level: &Level| {
        let sending = Sending::to(level.downstreams, inputs);
        if level.downstreams > MAX_CONNECTIONS {
            return Some(format!("a node serves {MAX_CONNECTIONS} connections"));
        }
        let is_over = sending.processors > inputs.processors;
        is_over.then(|| format!("sending keeps {:.1} processors busy", sending.processors))
    };
    tree.levels.iter().find_map(reason)
}

/// A relay tells of so many edges, and a core knows so many nodes, relays included.
fn uncounted(tree: &Tree, inputs: &Inputs) -> f64 {
    let nodes = f64::from(inputs.nodes);
    let core = tree.core().map_or(0.0, |core| core.downstreams);
    let told = match tree.relays() {
        [] => nodes,
        [top, ..] => top.nodes * top.edges.min(MAX_REPORTED) + core,
    };
    let relays: f64 = tree.relays().iter().map(|level| level.nodes).sum();
    (nodes + relays - told.min(MAX_EDGES)).clamp(0.0, nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: &Outcome, depth: u32, degree: u32) -> &Line {
        outcome.trees.iter().find(|line| (line.depth, line.degree) == (depth, degree)).unwrap()
    }

    #[test]
    fn the_same_inputs_give_the_same_outcome() {
        let inputs = Inputs { nodes: 3_000, cities: 30, ..Inputs::default() };
        let [one, other] = [(); 2].map(|()| serde_json::to_string(&Outcome::of(&inputs)).unwrap());
        assert_eq!(one, other);
    }

    #[test]
    fn ninety_thousand_edges_need_relays() {
        let outcome = Outcome::of(&Inputs::default());
        assert!(line(&outcome, 0, 90_000).impossible.is_some());
        let best = outcome.best().unwrap();
        assert!(best.depth > 0 && best.impossible.is_none());
        assert!(
            outcome
                .trees
                .iter()
                .all(|line| line.impossible.is_some() || line.last_p99_ms >= best.last_p99_ms / AS_GOOD)
        );
        assert!(outcome.trees.iter().all(|line| line.p50_ms <= line.p99_ms && line.p50_ms <= line.last_p50_ms));
    }

    #[test]
    fn fewer_relays_are_better_where_the_last_edge_is_about_as_early() {
        let outcome = Outcome::of(&Inputs { nodes: 3_000, cities: 30, ..Inputs::default() });
        let of = |relays, last_p99_ms, impossible: bool| Line {
            relays,
            last_p99_ms,
            impossible: impossible.then(String::new),
            ..outcome.trees.first().cloned().unwrap()
        };
        assert_eq!(best(&[of(50.0, 100.0, false), of(10.0, 104.0, false), of(5.0, 120.0, false)]), Some(1));
        assert_eq!(best(&[of(50.0, 100.0, false), of(10.0, 90.0, true)]), Some(0));
        assert_eq!(best(&[of(10.0, 90.0, true)]), None);
    }

    #[test]
    fn relays_tell_so_much_and_a_core_knows_so_many() {
        let outcome = Outcome::of(&Inputs::default());
        // Each of 330 relays acknowledges for itself and for all below it.
        let flat = line(&outcome, 1, 300);
        assert!((flat.core_acks - 330.0 * (100.0 + 100.0)).abs() < 1e-6, "{}", flat.core_acks);
        assert!((flat.told_ms - 27.27).abs() < 0.01);
        assert!(flat.uncounted.abs() < 1e-6);
        let many = Outcome::of(&Inputs { nodes: 200_000, ..Inputs::default() });
        let counted = MAX_EDGES - line(&many, 1, 1_000).relays;
        assert!((line(&many, 1, 1_000).uncounted - (200_000.0 - counted)).abs() < 1e-6);
        let few = Outcome::of(&Inputs { nodes: 3_000, cities: 30, changes: 1.0, ..Inputs::default() });
        assert!(line(&few, 1, 100).uncounted.abs() < 1e-6);
        assert!((line(&few, 1, 100).core_acks - 60.0).abs() < 1e-6);
        // A relay with few edges names each.
        let named = Outcome::of(&Inputs { nodes: 600, cities: 30, changes: 1.0, ..Inputs::default() });
        assert!((line(&named, 1, 20).core_acks - 630.0).abs() < 1e-6);
    }
}
