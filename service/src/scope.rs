//! Which zones a token is for.

use zonecast_records::Name;

/// Zones, and all zones below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All there are.
    All,
    /// These and those below, in canonical order, none below another.
    Zones(Vec<Name>),
}

impl Scope {
    /// The zones with these apexes, and those below; without apexes, all.
    #[must_use]
    pub fn of(mut apexes: Vec<Name>) -> Self {
        if apexes.is_empty() || apexes.contains(&Name::ROOT) {
            return Self::All;
        }
        // In canonical order a zone stands right before all that is below it.
        apexes.sort_unstable();
        apexes.dedup_by(|next, kept| next.is_within(kept));
        Self::Zones(apexes)
    }

    /// Whether the zone with this apex is one of them.
    #[must_use]
    pub fn covers(&self, zone: &Name) -> bool {
        match self {
            Self::All => true,
            Self::Zones(apexes) => apexes.iter().any(|apex| zone.is_within(apex)),
        }
    }

    /// The apexes, none for all.
    #[must_use]
    pub fn apexes(&self) -> &[Name] {
        match self {
            Self::All => &[],
            Self::Zones(apexes) => apexes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_scope_covers_its_zones_and_those_below() {
        let scope = Scope::of(names(&["example.com", "b.a.test"]));
        for inside in ["example.com", "EXAMPLE.com", "a.example.com", "x.y.example.com", "b.a.test"] {
            assert!(scope.covers(&inside.parse().unwrap()), "{inside}");
        }
        for outside in
            [".", "com", "example.net", "notexample.com", "a.test", "example.com.evil.test", r"a\.example.com"]
        {
            assert!(!scope.covers(&outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn nothing_and_the_root_are_everything() {
        for all in [&[][..], &["."], &["example.com", "."]] {
            let scope = Scope::of(names(all));
            assert_eq!(scope, Scope::All);
            assert!(scope.covers(&Name::ROOT));
        }
    }

    #[test]
    fn what_lies_below_another_adds_nothing() {
        let scope =
            Scope::of(names(&["www.example.com", "example.net", "example.com", "a.b.example.com", "EXAMPLE.net"]));
        assert_eq!(scope.apexes(), names(&["example.com", "example.net"]));
    }
}
