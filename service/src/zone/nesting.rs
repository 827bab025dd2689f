//! Which zones lie in which others: what a zone has of names in another is never answered from it.

use std::collections::{HashMap, HashSet};

use zonecast_ingest::ManifestEntry;
use zonecast_records::Name;

/// Listed zones that lie in other listed zones. What lies in none, nearly all there is, takes no room.
#[derive(Debug, Default)]
pub struct Nesting {
    /// By apex, those that lie in no nearer zone, in wire form.
    below: HashMap<Name, Vec<Box<[u8]>>>,
}

impl Nesting {
    /// Of these apexes.
    #[must_use]
    pub fn of<'n>(apexes: impl Iterator<Item = &'n Name> + Clone) -> Self {
        let all: HashSet<&Name> = apexes.clone().collect();
        let mut below: HashMap<Name, Vec<Box<[u8]>>> = HashMap::new();
        for apex in apexes {
            let mut above = apex.parent();
            while let Some(candidate) = above {
                if all.contains(&candidate) {
                    below.entry(candidate).or_default().push(apex.as_wire().into());
                    break;
                }
                above = candidate.parent();
            }
        }
        Self { below }
    }

    /// Those that lie in a zone, in wire form.
    #[must_use]
    pub fn below(&self, apex: &Name) -> Vec<Box<[u8]>> {
        self.below.get(apex).cloned().unwrap_or_default()
    }

    /// Puts every zone behind those that lie in it; gives where each run of zones ends none of which lies in another. Zones
    /// in which none lies, nearly all there are, keep their order and are the first run.
    pub fn inner_first(&self, entries: &mut [ManifestEntry]) -> Vec<usize> {
        let rank = |entry: &ManifestEntry| match self.below.contains_key(&entry.apex) {
            true => usize::MAX - entry.apex.label_count(),
            false => 0,
        };
        entries.sort_by_cached_key(rank);
        let runs = entries.chunk_by(|one, other| rank(one) == rank(other));
        runs.scan(0, |end, run| {
            *end += run.len();
            Some(*end)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_lies_in_the_nearest_above_it() {
        let apexes = [".", "example.com", "a.b.example.com", "x.a.b.EXAMPLE.com", "example.net"];
        let apexes = apexes.map(|apex| apex.parse::<Name>().unwrap());
        let nesting = Nesting::of(apexes.iter());
        let below = |apex: &str| {
            let below = nesting.below(&apex.parse().unwrap());
            below.iter().map(|wire| Name::from_wire(wire).unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(below("."), ["example.com.", "example.net."]);
        assert_eq!(below("Example.com"), ["a.b.example.com."]);
        assert_eq!(below("a.b.example.com"), ["x.a.b.EXAMPLE.com."]);
        assert!(below("example.net").is_empty());
    }

    #[test]
    fn a_zone_comes_after_those_that_lie_in_it() {
        let entry = |apex: &str| ManifestEntry { apex: apex.parse().unwrap(), file: apex.into() };
        let mut entries = [".", "a", "b", "d.c.b", "a.b", "x.a", "y.x.a", "c.d.e", "e"].map(entry);
        let nesting = Nesting::of(entries.iter().map(|entry| &entry.apex));
        let ends = nesting.inner_first(&mut entries);
        let order = entries.each_ref().map(|entry| entry.file.to_str().unwrap());
        assert_eq!(order, ["d.c.b", "a.b", "y.x.a", "c.d.e", "x.a", "a", "b", "e", "."]);
        assert_eq!(ends, [4, 5, 8, 9]);
        assert_eq!(Nesting::default().inner_first(&mut []), [0; 0]);
    }
}
