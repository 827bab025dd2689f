//! Who makes changes and shows them: zonecast, or a primary with its secondary.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::peer::Updater;
use crate::samples::Samples;
use crate::watchers::Watchers;

/// A change that takes longer than this has failed. Name servers as shipped wait for seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// TTL of what is changed.
pub(super) const TTL: u32 = 60;

/// Who is asked for changes.
pub(super) enum Writer {
    /// The API of a core.
    Api(Api),
    /// DNS UPDATE to a primary.
    Update(Updater),
}

impl Writer {
    /// Makes the address of `name` in `apex` this one; returns once that is acknowledged.
    pub(super) fn set(&self, apex: &str, name: &str, address: Ipv4Addr) -> anyhow::Result<()> {
        match self {
            Self::Api(api) => api.set(apex, name, "A", TTL, &address.to_string()).map(drop),
            Self::Update(updater) => updater.set_address(apex, name, address),
        }
    }
}

/// One work of one subject: changes in a zone.
pub(super) struct Subject {
    /// `zonecast`, `BIND to BIND`.
    pub(super) name: String,
    /// How it is set up.
    pub(super) settings: String,
    /// Whose figures they are.
    pub(super) kind: Kind,
    /// Its configuration, for the report.
    pub(super) configuration: Option<String>,
    /// What it does, in words.
    pub(super) work: String,
    /// Who is asked.
    pub(super) writer: Writer,
    /// Who shows changes; the last of them counts.
    pub(super) edges: Vec<SocketAddr>,
    /// Where the changes are made.
    pub(super) zone: Zone,
}

/// A zone of `host-0`, `host-1` and so on.
#[derive(Clone)]
pub(super) struct Zone {
    /// Its name.
    pub(super) apex: String,
    /// So many records it has, hosts and three others.
    pub(super) records: usize,
}

impl Zone {
    /// The name that change `number` is made at, relative and absolute: all over the zone.
    pub(super) fn host(&self, number: usize) -> (String, String) {
        // A prime that shares no factor with the sizes of zones here.
        let host = format!("host-{}", number.wrapping_mul(7919) % generate::hosts(self.records));
        let full = format!("{host}.{}", self.apex);
        (host, full)
    }
}

impl Subject {
    /// One change: from the request until the last edge shows it.
    pub(super) fn change(&self, watchers: &Watchers, number: usize) -> anyhow::Result<Duration> {
        let (host, full) = self.zone.host(number);
        let address = generate::new_address(number);
        let started = Instant::now();
        watchers.watch(&full, address, LIMIT)?;
        self.writer.set(&self.zone.apex, &host, address)?;
        let last = watchers.seen()?.into_iter().map(|(at, _)| at).max();
        Ok(last.map_or(Duration::ZERO, |last| last.saturating_duration_since(started)))
    }

    /// A result of its work.
    pub(super) fn figure(&self, measure: &str) -> Figure {
        let figure = Figure::new(&self.work, &self.name, measure).kind(self.kind).settings(&self.settings);
        Figure { configuration: self.configuration.clone(), ..figure }
    }

    /// What there is to say of one run of it.
    pub(super) fn record(&self, bench: &mut Bench, samples: &Samples) -> anyhow::Result<()> {
        let figures = Figure::percentiles(samples, "ms", |measure| self.figure(measure));
        figures.into_iter().try_for_each(|figure| bench.record(figure))
    }
}

/// Numbers for so many changes that no other change of this process has: the first of them. A change with the address
/// of an earlier one could be one that changes nothing.
pub(super) fn numbers(count: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(count, Ordering::Relaxed)
}
