//! What an ACME client does (RFC 8555 section 8.4): adds a TXT record, waits until every edge serves it, deletes it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::base::iana::{Rcode, Rtype};
use zonecast_api::types::{Action, RecordChange};
use zonecast_api::{Patience, WaitFor};

use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::figure::Figure;
use crate::generate;
use crate::probe::Probe;
use crate::samples::Samples;

/// Edges that are waited for.
const EDGES: usize = 2;

/// For an edge; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (zones, orders) = bench.size.pick((10, 20), (1_000, 1_000), (10_000, 10_000));
    let folder = bench.folder("churn")?;
    generate::small_zones(&folder, zones)?;
    bench.say(&format!("starting a core and {EDGES} edges with {zones} zones"));
    let cluster = Cluster::start(&folder, EDGES, &generate::apex(zones - 1))?;
    let api = cluster.api();
    let mut probes: Vec<Probe> = cluster.edges().into_iter().map(Probe::new).collect::<Result<_, _>>()?;
    let everywhere = Patience { wait: Some(WaitFor::All), timeout: PATIENCE };
    let (mut added, mut deleted, mut orders_took) = (Vec::new(), Vec::new(), Vec::new());
    for order in 0..orders {
        let apex = generate::apex(order % zones);
        let change = |action, data: Vec<String>| RecordChange {
            action,
            name: "_acme-challenge".into(),
            rtype: Some("TXT".into()),
            ttl: (action == Action::Add).then_some(60),
            data,
            ..RecordChange::default()
        };
        let token = format!("token-{order}-of-an-order-that-is-43-characters-long");
        let started = Instant::now();
        api.change(&apex, change(Action::Add, vec![token.clone()]), everywhere)?;
        added.push(started.elapsed());
        // What was awaited is there: one question to each edge, and no second one.
        for probe in &mut probes {
            let answer = probe.ask(&format!("_acme-challenge.{apex}"), Rtype::TXT)?;
            ensure!(answer.records.iter().any(|record| record.contains(&token)), "{apex} does not show {token}");
        }
        let before = Instant::now();
        api.change(&apex, change(Action::Delete, Vec::new()), everywhere)?;
        deleted.push(before.elapsed());
        orders_took.push(started.elapsed());
        for probe in &mut probes {
            let answer = probe.ask(&format!("_acme-challenge.{apex}"), Rtype::TXT)?;
            ensure!(answer.rcode == Rcode::NXDOMAIN, "{apex} still shows {token}");
        }
    }
    let work = format!("ACME order: TXT added, awaited at {EDGES} edges, deleted");
    record(bench, &work, "added and awaited everywhere", &added)?;
    record(bench, &work, "deleted and awaited everywhere", &deleted)?;
    record(bench, &work, "whole order", &orders_took)
}

fn record(bench: &mut Bench, work: &str, what: &str, times: &[Duration]) -> anyhow::Result<()> {
    let figure = |measure: &str| {
        let figure = Figure::new(work, "zonecast", format!("{what}, {measure}"));
        figure.note("each wait checked by a DNS answer of each edge")
    };
    Figure::percentiles(&Samples::new(times), "ms", figure).into_iter().try_for_each(|figure| bench.record(figure))
}
