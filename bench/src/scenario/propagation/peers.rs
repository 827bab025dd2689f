//! Pairs of name servers that take part in `propagation`.

use std::path::Path;

use anyhow::Context as _;

use super::subject::{Subject, Writer, Zone};
use crate::bench::{Bench, Size};
use crate::figure::{Figure, Kind};
use crate::peer::{Pair, ServedZone, Setup, Software};

/// The pair that ours is compared with.
pub(super) const REFERENCE: &str = "BIND to BIND";

/// Each pair, how it is set up, and how many changes it makes at the standard size: fewer where one takes long.
const PAIRS: [(Software, Software, Setup, usize); 6] = [
    (Software::Bind, Software::Bind, Setup::Tuned, 1_000),
    (Software::Bind, Software::Nsd, Setup::Tuned, 1_000),
    (Software::Bind, Software::Knot, Setup::Tuned, 100),
    (Software::Knot, Software::Knot, Setup::Tuned, 20),
    (Software::Bind, Software::Bind, Setup::AsShipped, 3),
    (Software::Bind, Software::Nsd, Setup::AsShipped, 3),
];

/// Why figures are as they are, where that is known.
pub(super) fn remark(figure: Figure) -> Figure {
    match (figure.subject.as_str(), figure.settings.as_str()) {
        ("Knot to Knot", _) => figure.note("by DNS UPDATE; Knot's own ways to change a zone are not measured"),
        (_, "as shipped") if figure.kind == Kind::Peer => figure.note("BIND waits for notify-delay, 5 s by default"),
        _ => figure,
    }
}

/// The running pairs of name servers that are installed, all with the same zone.
pub(super) struct Peers {
    running: Vec<Running>,
    zone: Zone,
}

struct Running {
    pair: Pair,
    name: String,
    setup: Setup,
    changes: usize,
}

impl Peers {
    /// Those that are installed, with one zone.
    pub(super) fn start(bench: &mut Bench, work: &str, zone: &Zone, file: &Path) -> anyhow::Result<Self> {
        let mut running = Vec::new();
        for (primary, secondary, setup, changes) in PAIRS {
            let name = format!("{} to {}", primary.name(), secondary.name());
            if let Some(missing) = [primary, secondary].into_iter().find(|software| software.version().is_none()) {
                bench.skipped(work, &name, &format!("{} is not installed", missing.package()))?;
                continue;
            }
            bench.say(&format!("starting {name}, {}", setup.name()));
            let folder = bench.folder(&format!("{name}, {}", setup.name()).replace([' ', ','], "-"))?;
            let zones = [ServedZone { apex: zone.apex.clone(), file: file.to_owned() }];
            match Pair::start([primary, secondary], setup, &zones, &folder) {
                Ok(pair) => running.push(Running { pair, name, setup, changes }),
                Err(error) => bench.skipped(work, &name, &format!("{error:#}"))?,
            }
        }
        Ok(Self { running, zone: zone.clone() })
    }

    /// What each of them does in its one zone, and how many changes.
    pub(super) fn subjects(&self, size: Size) -> anyhow::Result<Vec<(Subject, usize)>> {
        self.running.iter().map(|running| Ok((self.subject(running)?, running.changes(size)))).collect()
    }

    /// So many more clients of the primary of a pair.
    pub(super) fn writers(&self, subject: &Subject, count: usize) -> anyhow::Result<Vec<Writer>> {
        let is_it = |running: &&Running| running.name == subject.name && running.setup.name() == subject.settings;
        let running = self.running.iter().find(is_it).context("the pair runs")?;
        (0..count).map(|_| Ok(Writer::Update(running.pair.updater()?))).collect()
    }

    fn subject(&self, running: &Running) -> anyhow::Result<Subject> {
        Ok(Subject {
            name: running.name.clone(),
            settings: running.setup.name().into(),
            kind: Kind::Peer,
            configuration: Some(running.pair.configuration().to_owned()),
            work: String::new(),
            writer: Writer::Update(running.pair.updater()?),
            edges: vec![running.pair.secondary_address()],
            zone: self.zone.clone(),
        })
    }
}

impl Running {
    fn changes(&self, size: Size) -> usize {
        size.pick(self.changes.min(20), self.changes, self.changes * 2)
    }
}
