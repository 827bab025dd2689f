//! Where one raft group ends, and how many it takes beyond.

use serde::Serialize;

use super::inputs::Inputs;

/// Newest changes that a core and a relay keep for nodes that were away, in bytes: 256 MiB.
const BATCH_LOG: f64 = 256.0 * 1_048_576.0;

/// Rates of changes for which groups are counted.
const RATES: [f64; 4] = [1_000.0, 10_000.0, 50_000.0, 100_000.0];

/// What one group takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Group {
    /// Changes a second.
    pub(super) changes: f64,
    /// Records that fit on the disk of an edge, while a snapshot is loaded beside the present copy.
    pub(super) records_on_disk: f64,
    /// Records that a new edge loads in the time that it may take.
    pub(super) records_loaded: f64,
    /// Seconds that an edge may be away at that rate before it needs a snapshot.
    pub(super) away_s: f64,
    /// The same at the rate of the model.
    pub(super) away_now_s: f64,
    /// Groups for a rate of changes.
    pub(super) groups: Vec<Groups>,
}

/// So many groups for so many changes a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Groups {
    pub(super) changes: f64,
    pub(super) groups: f64,
}

impl Group {
    pub(super) fn of(inputs: &Inputs) -> Self {
        let away = |changes: f64| BATCH_LOG / (changes * inputs.change_bytes);
        let groups = RATES.map(|changes| Groups { changes, groups: (changes / inputs.group_changes).ceil() });
        Self {
            changes: inputs.group_changes,
            records_on_disk: inputs.disk * 1e9 / 2.0 / inputs.record_disk_bytes,
            records_loaded: inputs.bootstrap_within * 60.0 * inputs.bootstrap_rate * 1e6 / inputs.record_sent_bytes,
            away_s: away(inputs.group_changes),
            away_now_s: away(inputs.changes),
            groups: groups.into(),
        }
    }

    /// What is reached first.
    pub(super) fn records(&self) -> f64 {
        self.records_on_disk.min(self.records_loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_first_is_the_end() {
        let inputs = Inputs { disk: 1.0, record_disk_bytes: 5.0, ..Inputs::default() };
        let group = Group::of(&inputs);
        assert!((group.records() - 1e8).abs() < 1.0);
        let quick = Group::of(&Inputs { bootstrap_within: 0.1, ..inputs });
        assert!((quick.records() - 6.0 * 132e6 / 49.0).abs() < 1.0);
    }

    #[test]
    fn more_changes_than_one_group_takes_need_more_groups() {
        let group = Group::of(&Inputs { group_changes: 9_266.0, ..Inputs::default() });
        let groups: Vec<f64> = group.groups.iter().map(|groups| groups.groups).collect();
        assert_eq!(groups.iter().map(|groups| format!("{groups:.0}")).collect::<Vec<_>>(), ["1", "2", "6", "11"]);
        assert!(group.away_s < group.away_now_s);
    }
}
