//! A tree: a core, levels of relays, edges. The lowest relays stand in the cities of their edges, the others in the hub
//! of their region.

use super::inputs::Inputs;
use super::region::{CITIES_MS, CITY_MS, REGIONS, round_trips};

/// What is asked of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Downstreams of a relay, at most.
    pub(super) degree: u32,
    /// Levels of relays.
    pub(super) depth: u32,
}

/// The nodes of one level, which are all alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Level {
    /// How many there are.
    pub(super) nodes: f64,
    /// Downstreams of each.
    pub(super) downstreams: f64,
    /// Edges below each.
    pub(super) edges: f64,
    /// Round trips to the downstreams, each to as many of them.
    pub(super) round_trips: Vec<f64>,
}

/// From the core down.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub(super) levels: Vec<Level>,
}

impl Tree {
    /// Nothing if relays would stand above one other each, which adds a hop and takes nothing off anybody.
    pub(super) fn of(shape: Shape, inputs: &Inputs) -> Option<Self> {
        let counts = counts(shape, inputs);
        let nodes = f64::from(inputs.nodes);
        let level = |(number, pair): (usize, &[f64])| {
            let [above, below] = *pair else { return None };
            let is_useless = number > 0 && below / above < 1.5;
            (!is_useless).then(|| Level {
                nodes: above,
                downstreams: below / above,
                edges: nodes / above,
                round_trips: round_trips_of(number, shape.depth, inputs),
            })
        };
        let levels = counts.windows(2).enumerate().map(level).collect::<Option<Vec<Level>>>()?;
        Some(Self { levels })
    }

    pub(super) fn core(&self) -> Option<&Level> {
        self.levels.first()
    }

    pub(super) fn relays(&self) -> &[Level] {
        self.levels.get(1..).unwrap_or_default()
    }
}

/// Nodes of each level: the core, the relays, the edges.
fn counts(Shape { degree, depth }: Shape, inputs: &Inputs) -> Vec<f64> {
    let (nodes, cities, degree) = (f64::from(inputs.nodes), f64::from(inputs.cities), f64::from(degree));
    let regions = f64::from(u32::try_from(REGIONS).unwrap_or(u32::MAX));
    let mut counts = vec![nodes];
    for level in 1..=depth {
        // Cities are whole, and so are regions.
        let places = if level == 1 { cities } else { regions };
        let below = counts.last().copied().unwrap_or(nodes);
        counts.push(places * (below / places / degree).ceil());
    }
    counts.push(1.0);
    counts.reverse();
    counts
}

/// From the nodes of a level, counted from the core, to their downstreams.
fn round_trips_of(level: usize, depth: u32, inputs: &Inputs) -> Vec<f64> {
    let regions = round_trips(inputs.core);
    let below = usize::try_from(depth).unwrap_or(usize::MAX).saturating_sub(level);
    match (level, below) {
        (0, 0 | 1) => regions.iter().flat_map(|region| CITIES_MS.map(|city| region + city)).collect(),
        (0, _) => regions.to_vec(),
        (_, 1) => CITIES_MS.to_vec(),
        _ => vec![CITY_MS],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(degree: u32, depth: u32) -> Option<Tree> {
        Tree::of(Shape { degree, depth }, &Inputs::default())
    }

    fn shown(tree: &Tree) -> Vec<(u32, u32)> {
        let whole = |number: f64| format!("{number:.0}").parse().unwrap();
        tree.levels.iter().map(|level| (whole(level.nodes), whole(level.downstreams))).collect()
    }

    #[test]
    fn a_city_has_as_many_relays_as_its_edges_need() {
        assert_eq!(shown(&tree(1, 0).unwrap()), [(1, 90_000)]);
        assert_eq!(shown(&tree(300, 1).unwrap()), [(1, 330), (330, 273)]);
        assert_eq!(shown(&tree(100, 1).unwrap()), [(1, 990), (990, 91)]);
        assert_eq!(shown(&tree(300, 2).unwrap()), [(1, 10), (10, 33), (330, 273)]);
        assert_eq!(shown(&tree(20, 3).unwrap()), [(1, 20), (20, 12), (240, 19), (4_620, 19)]);
    }

    #[test]
    fn relays_above_one_relay_each_are_no_tree() {
        assert_eq!(tree(300, 3), None);
    }

    #[test]
    fn the_way_to_the_hubs_comes_first() {
        let far = |tree: &Tree| tree.levels.iter().map(|level| level.round_trips.len()).collect::<Vec<_>>();
        assert_eq!(far(&tree(1, 0).unwrap()), [50]);
        assert_eq!(far(&tree(300, 1).unwrap()), [50, 1]);
        assert_eq!(far(&tree(300, 2).unwrap()), [10, 5, 1]);
        assert_eq!(far(&tree(20, 3).unwrap()), [10, 1, 5, 1]);
    }
}
