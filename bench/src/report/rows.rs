//! The targets, and what a run says of each.

use super::works::{ratio, value};
use crate::figure::Figure;

/// A row of the targets: its name, the work, and what is asked for.
pub(crate) struct Row {
    /// `T1` and so on.
    pub(crate) name: &'static str,
    /// In words.
    pub(crate) work: &'static str,
    /// In words.
    pub(crate) target: &'static str,
}

/// What a run says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything measured of it is met.
    Met,
    /// Something measured of it is not.
    Missed,
    /// It cannot be measured yet.
    NotYet,
    /// This run did not measure it.
    Unmeasured,
}

/// All of them.
pub(crate) const ROWS: [Row; 14] = [
    Row {
        name: "T1",
        work: "one change: request sent, durable, shown by an edge",
        target: "p50 at most 1/8 and p99 at most 1/6 of BIND to BIND; p50 at most 3 times fdatasync, a QUIC message and a UDP \
                 question together; the same in zones of 100 and 1,000,000 records",
    },
    Row {
        name: "T2",
        work: "100 changes/s through three voters until an edge shows them, and through a relay besides",
        target: "p99 at most 20 ms; with the relay 30 ms",
    },
    Row {
        name: "T3",
        work: "1,000 edges at 100 changes/s, at a core and through 4 relays; 100 edges, one change at a time",
        target: "last edge p99 under 0.5 s, nobody dropped; a relay with 1,000 edges below 512 MiB; no worse than etcd's \
                 100 watchers, both with mutual TLS",
    },
    Row {
        name: "T4",
        work: "durable changes a second, many in flight",
        target: "over TLS one voter 4 times etcd, three voters 4 times etcd's three; in process half of openraft alone; one \
                 at a time p50 2.5 appends with fdatasync (three voters 5), p99 at most etcd's",
    },
    Row {
        name: "T5",
        work: "CPU per DNS query",
        target: "less a batched UDP echo, at most a third of Knot's less the same echo",
    },
    Row { name: "T6", work: "an answer over the raw read of its key", target: "at most 300 ns more" },
    Row {
        name: "T7",
        work: "zone file of 1,000,000 records until it is served",
        target: "at most 1.5 times the fastest peer; 500,000 records/s parsed and built on one core",
    },
    Row {
        name: "T8",
        work: "one record build in a zone of millions",
        target: "p99 at most 100 us, 4,000 times faster than a full build, within 1.5 times of a zone of 1,000",
    },
    Row {
        name: "T9",
        work: "bytes per record at an edge",
        target: "at least 9 times less than one JSON key per record; at most half of PowerDNS's LMDB",
    },
    Row { name: "T10", work: "edge memory with 1,000,000 records", target: "at most a third of NSD's" },
    Row {
        name: "T11",
        work: "a new edge, 2 GB or more",
        target: "snapshot at no less than half of a raw QUIC stream's rate",
    },
    Row {
        name: "T12",
        work: "edge restart to first answer",
        target: "1,000,000 records: under 0.2 s; 100,000 zones: 0.5 s; 1,000,000 zones: 3 s",
    },
    Row { name: "T13", work: "one edge stopped", target: "the others' p99 within the spread of the runs, or 10 %" },
    Row {
        name: "T16",
        work: "leader killed until the next write is acknowledged",
        target: "p99 at most 1.5 s, none lost",
    },
];

impl Row {
    /// Its results.
    pub(crate) fn figures<'a>(&self, figures: &'a [Figure]) -> Vec<&'a Figure> {
        figures.iter().filter(|figure| figure.row.as_deref() == Some(self.name)).collect()
    }

    /// The part that is farthest from its target, in short.
    pub(crate) fn headline(&self, figures: &[Figure]) -> String {
        let figures = self.figures(figures);
        let measured = figures.iter().filter_map(|figure| Some((figure.target_part()?, figure)));
        match measured.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
            Some((_, figure)) => format!("{} {}: {}", figure.measure, value(figure), ratio(figure)),
            None => figures.iter().find_map(|figure| figure.not_yet.clone()).unwrap_or_default(),
        }
    }

    /// What they say together: one missed is a miss.
    pub(crate) fn verdict(&self, figures: &[Figure]) -> Verdict {
        let figures = self.figures(figures);
        if figures.iter().any(|figure| figure.met == Some(false)) {
            Verdict::Missed
        } else if figures.iter().any(|figure| figure.met == Some(true)) {
            Verdict::Met
        } else if figures.iter().any(|figure| figure.not_yet.is_some()) {
            Verdict::NotYet
        } else {
            Verdict::Unmeasured
        }
    }
}

impl Verdict {
    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NotYet => "not yet",
            Self::Unmeasured => "not in this run",
        }
    }

    /// Of the page.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotYet | Self::Unmeasured => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_part_is_a_miss() {
        let part = |met| Figure { met, ..Figure::new("w", "zonecast", "p50").of_row("T1") };
        let row = &ROWS[0];
        assert_eq!(row.verdict(&[]), Verdict::Unmeasured);
        assert_eq!(row.verdict(&[part(Some(true)), part(None)]), Verdict::Met);
        assert_eq!(row.verdict(&[part(Some(true)), part(Some(false))]), Verdict::Missed);
        assert_eq!(row.verdict(&[Figure::not_yet("T1", "w", "x")]), Verdict::NotYet);
        assert_eq!(row.verdict(&[part(Some(false)).of_row("T10")]), Verdict::Unmeasured);
    }
}
