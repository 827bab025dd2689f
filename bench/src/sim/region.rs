//! Where edges are, and how far apart in round trips.
//!
//! Between regions these are the averages that IBM Cloud published for 8 November to 7 December 2025
//! (`_include-segments/network-latency.md` of github.com/ibm-cloud-docs/vpc). For each pair the direction is taken whose
//! region stands first here.

use serde::Serialize;

/// Number of regions.
pub(super) const REGIONS: usize = 10;

/// By the city where its hub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Region {
    Dallas,
    Toronto,
    Washington,
    Frankfurt,
    London,
    Madrid,
    Chennai,
    Sydney,
    Tokyo,
    SaoPaulo,
}

/// Milliseconds from each region to those after it.
const ROUND_TRIPS: [&[f64]; REGIONS] = [
    &[33.0, 31.0, 122.0, 112.0, 116.0, 246.0, 184.0, 141.0, 142.0],
    &[19.0, 92.0, 82.0, 104.0, 222.0, 212.0, 134.0, 127.0],
    &[88.0, 76.0, 87.0, 242.0, 213.0, 139.0, 118.0],
    &[13.0, 29.0, 143.0, 249.0, 225.0, 194.0],
    &[27.0, 143.0, 261.0, 238.0, 183.0],
    &[150.0, 275.0, 251.0, 206.0],
    &[125.0, 101.0, 356.0],
    &[115.0, 326.0],
    &[282.0],
    &[],
];

/// Within a city, and within a hub: the same page has 0.5 to 2 ms between zones of a region.
pub(super) const CITY_MS: f64 = 1.0;

/// From a hub to the cities of its region: as many cities for each of these. An assumption; the same page has 9 ms for
/// Osaka and Tokyo, 11 for Montreal and Toronto, 13 for Frankfurt and London, 29 for Frankfurt and Madrid.
pub(super) const CITIES_MS: [f64; 5] = [2.0, 8.0, 14.0, 20.0, 26.0];

/// Milliseconds from the hub of a region to that of each one, its own included.
pub(super) fn round_trips(from: Region) -> [f64; REGIONS] {
    std::array::from_fn(|to| between(from as usize, to))
}

fn between(one: usize, other: usize) -> f64 {
    let (first, second) = (one.min(other), one.max(other));
    let after = second.checked_sub(first + 1);
    let known = after.and_then(|after| ROUND_TRIPS.get(first)?.get(after));
    known.copied().unwrap_or(CITY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_far_there_as_back() {
        assert!(ROUND_TRIPS.iter().enumerate().all(|(number, after)| after.len() == REGIONS - 1 - number));
        assert!((round_trips(Region::Tokyo)[Region::Dallas as usize] - 141.0).abs() < f64::EPSILON);
        assert!((round_trips(Region::Dallas)[Region::Tokyo as usize] - 141.0).abs() < f64::EPSILON);
        assert!((round_trips(Region::SaoPaulo)[Region::SaoPaulo as usize] - CITY_MS).abs() < f64::EPSILON);
        assert!((round_trips(Region::SaoPaulo)[Region::Tokyo as usize] - 282.0).abs() < f64::EPSILON);
    }
}
