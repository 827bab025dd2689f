//! Which zones lie in which others: what a zone has of names in another is never answered from it.

use std::collections::{HashMap, HashSet};

use zonecast_records::Name;

/// Listed zones that lie in other listed zones. What lies in none, nearly all there is, takes no room.
#[derive(Debug, Default)]
pub(crate) struct Nesting {
    /// By apex, those that lie in no nearer zone, in wire form.
    below: HashMap<Name, Vec<Box<[u8]>>>,
}

impl Nesting {
    /// Of these apexes.
    #[must_use]
    pub(crate) fn of<'n>(apexes: impl Iterator<Item = &'n Name> + Clone) -> Self {
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
    pub(crate) fn below(&self, apex: &Name) -> Vec<Box<[u8]>> {
        self.below.get(apex).cloned().unwrap_or_default()
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
}
