//! Durable changes per second that one client makes over TLS, and what they cost the server: of a core and of etcd (T4).
//!
//! Both clients are tasks of one runtime in this process, so they take a share of the same processors; what a change costs
//! the server does not depend on them. HTTP/1.1 takes a connection for each change on its way, gRPC a stream of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;
use zonecast_api::types::{Action, ChangeRequest, RecordChange};
use zonecast_tests::System;

use super::writes::{KEYS, VALUE, put_etcd, puts, rounds};
use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::https::{HttpsConnection, trusting};
use crate::peer::etcd::Etcd;
use crate::process::cpu_time;

const APEX: &str = "changed.example";

/// Changes on their way at a time: as many requests as the API works on.
const IN_FLIGHT: usize = 128;

/// How often a core must make as many changes as etcd.
const TIMES: f64 = 4.0;

/// What rounds came to.
#[derive(Default)]
struct Rounds {
    /// Changes a second.
    rates: Vec<f64>,
    /// Processor time of the server for each change, in microseconds.
    costs: Vec<f64>,
}

impl Rounds {
    /// One more, of this server.
    fn round(&mut self, server: u32, run: impl FnOnce() -> anyhow::Result<f64>) -> anyhow::Result<()> {
        let (before, started) = (cpu_time(server), Instant::now());
        let rate = run()?;
        let (spent, took) = (cpu_time(server).saturating_sub(before), started.elapsed());
        self.rates.push(rate);
        self.costs.push(spent.as_secs_f64() * 1e6 / (rate * took.as_secs_f64()));
        Ok(())
    }

    fn figures(&self, work: &str, subject: &str, kind: Kind) -> [Figure; 2] {
        let rate = Figure::new(work, subject, "changes per second").kind(kind).values(&self.rates, "1/s");
        let cost = Figure::new(work, subject, "CPU of the server per change").kind(kind).values(&self.costs, "us");
        [rate.more_is_better(), cost]
    }
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let work = format!("durable changes of {VALUE} bytes over TLS, {IN_FLIGHT} in flight, one node");
    let folder = bench.folder("network")?;
    generate::zone(&folder, APEX, 10)?;
    bench.say("starting a core");
    let mut system = System::new(0)?;
    system.core.zones = Some(folder.clone());
    system.core.http_lines = "tls = true".into();
    system.core.start_ready()?;
    let (address, trust) = (system.core.http, trusting(&system.ca().join("ca.pem"))?);
    let runtime = Runtime::new()?;
    let open = (0..IN_FLIGHT).map(|_| HttpsConnection::open(address, Arc::clone(&trust)));
    let mut connections = runtime.block_on(try_join_all(open))?;
    let core = system.core.id().context("the core has ended")?;
    let etcd = Etcd::version().map(|_| Etcd::start(&folder)).transpose()?;
    let client = etcd.as_ref().map(|etcd| runtime.block_on(etcd.client())).transpose()?;

    let (rounds, time) = rounds(bench);
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for round in 1..=rounds {
        bench.say(&format!("{work}: round {round} of {rounds}"));
        ours.round(core, || runtime.block_on(changes(&mut connections, time)))?;
        if let Some((etcd, client)) = etcd.as_ref().zip(client.as_ref()) {
            theirs.round(etcd.id(), || runtime.block_on(puts(time, IN_FLIGHT, |number| put_etcd(client, number))))?;
        }
    }
    let [rate, cost] = ours.figures(&work, "zonecast", Kind::Ours);
    let rate =
        rate.of_row("T4").note("records set over the HTTP API: keys are built, history is kept; etcd puts bytes");
    let Some(etcd) = etcd else {
        bench.skipped(&work, "etcd", "etcd-server is not installed")?;
        bench.record(cost)?;
        return bench.record(rate);
    };
    let theirs = theirs.figures(&work, "etcd", Kind::Peer);
    let [their_rate, their_cost] =
        theirs.map(|figure| figure.settings("mutual TLS").configuration(etcd.configuration()));
    bench.record(rate.against(&their_rate, Some(TIMES)))?;
    bench.record(cost.against(&their_cost, None))?;
    bench.record(their_rate)?;
    bench.record(their_cost)
}

/// Changes a second over so many connections, each of which waits for its answer.
async fn changes(connections: &mut [HttpsConnection], time: Duration) -> anyhow::Result<f64> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let (next, path) = (&next, format!("/v1/zones/{APEX}/changes"));
    let path = &path;
    let senders = connections.iter_mut().map(|connection| async move {
        let mut done = 0_u32;
        while started.elapsed() < time {
            let request = change(next.fetch_add(1, Ordering::Relaxed));
            connection.post(path, serde_json::to_string(&request)?).await?;
            done += 1;
        }
        anyhow::Ok(done)
    });
    let done: u32 = try_join_all(senders).await?.into_iter().sum();
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

fn change(number: usize) -> ChangeRequest {
    let change = RecordChange {
        action: Action::Set,
        name: format!("key-{}", number % KEYS),
        rtype: Some("TXT".into()),
        ttl: Some(60),
        data: vec![format!("\"{number:0width$}\"", width = VALUE)],
        ..RecordChange::default()
    };
    ChangeRequest { changes: vec![change] }
}
