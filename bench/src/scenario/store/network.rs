//! Durable changes per second that one client makes over TLS, and what they cost the server: of one core or
//! three, and of etcd with as many nodes (T4).
//!
//! Both clients are tasks of one runtime in this process, so they take a share of the same processors; what a change costs
//! the server does not depend on them. HTTP/1.1 takes a connection for each change on its way, gRPC a stream of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use hyper::Method;
use tokio::runtime::Runtime;
use zonecast_api::types::{Action, ChangeRequest, KeyspaceSetup, RecordChange};
use zonecast_tests::Node;

use super::writes::{KEYS, VALUE, one_by_one, p50_p99, put_etcd, puts, rounds};
use crate::bench::Bench;
use crate::cluster::{Cluster, Layout};
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::https::{HttpsConnection, HttpsWrite, trusting};
use crate::limit::fdatasync;
use crate::peer::etcd::{Etcd, EtcdClient};
use crate::process::cpu_time;
use crate::samples::Samples;

const APEX: &str = "changed.example";
const KEYSPACE: &str = "bench";

/// Changes on their way at a time: as many requests as the API works on for one client.
const IN_FLIGHT: usize = 256;

/// How often a core must make as many changes as etcd.
const TIMES: f64 = 4.0;

/// What one change at a time may take, in appends with fdatasync: one voter, and three.
const APPENDS: [f64; 2] = [2.5, 5.0];

/// What is written.
#[derive(Clone, Copy)]
enum Work {
    /// A record of a zone.
    Record,
    /// A key of a keyspace beside DNS.
    Key,
}

impl Work {
    fn write(self, number: usize) -> anyhow::Result<HttpsWrite> {
        Ok(match self {
            Self::Record => HttpsWrite {
                method: Method::POST,
                path: format!("/v1/zones/{APEX}/changes"),
                kind: "application/json",
                body: serde_json::to_string(&change(number))?,
            },
            Self::Key => HttpsWrite {
                method: Method::PUT,
                path: format!("/v1/kv/{KEYSPACE}/keys/key-{}", number % KEYS),
                kind: "application/octet-stream",
                body: text(number),
            },
        })
    }
}

/// What rounds came to.
struct Rounds {
    /// Changes a second.
    rates: Vec<f64>,
    /// Processor time of the servers for each change, in microseconds.
    costs: Vec<f64>,
}

impl Rounds {
    const NONE: Self = Self { rates: Vec::new(), costs: Vec::new() };

    /// One more, of these servers.
    fn round(&mut self, servers: &[u32], run: impl FnOnce() -> anyhow::Result<f64>) -> anyhow::Result<()> {
        let spent = || servers.iter().map(|server| cpu_time(*server)).sum::<Duration>();
        let (before, started) = (spent(), Instant::now());
        let rate = run()?;
        let (spent, took) = (spent().saturating_sub(before), started.elapsed());
        self.rates.push(rate);
        self.costs.push(spent.as_secs_f64() * 1e6 / (rate * took.as_secs_f64()));
        Ok(())
    }

    fn figures(&self, work: &str, subject: &str, kind: Kind) -> [Figure; 2] {
        let rate = Figure::new(work, subject, "changes per second").kind(kind).values(&self.rates, "1/s");
        let cost = Figure::new(work, subject, "CPU of the servers per change").kind(kind).values(&self.costs, "us");
        [rate.more_is_better(), cost]
    }
}

/// A cluster and etcd with as many nodes, and what asks them.
struct Pair {
    runtime: Runtime,
    cluster: Cluster,
    etcd: Option<(Etcd, EtcdClient)>,
    /// In words.
    nodes: &'static str,
    /// Appends with fdatasync that one change at a time may take.
    appends: f64,
}

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let [one, three] = APPENDS;
    for (further, nodes, appends) in [(0, "one node", one), (2, "three nodes on one machine", three)] {
        let folder = bench.folder("network")?;
        generate::zone(&folder, APEX, 10)?;
        bench.say(&format!("starting {nodes}"));
        let runtime = Runtime::new()?;
        let cluster = Cluster::laid_out(Layout { further, tls: true, ..Layout::default() }, &folder, APEX)?;
        cluster.wait_whole()?;
        cluster.client()?.put_keyspace(KEYSPACE, &KeyspaceSetup::default())?;
        let etcd = Etcd::version().map(|_| Etcd::start(&folder, 1 + further)).transpose()?;
        let etcd = etcd.map(|etcd| anyhow::Ok((runtime.block_on(etcd.client())?, etcd))).transpose()?;
        let etcd = etcd.map(|(client, etcd)| (etcd, client));
        let pair = Pair { runtime, cluster, etcd, nodes, appends };
        pair.one_by_one(bench)?;
        pair.many(bench)?;
    }
    Ok(())
}

impl Pair {
    fn connections(&self, count: usize) -> anyhow::Result<Vec<HttpsConnection>> {
        let trust = trusting(&self.cluster.system.ca().join("ca.pem"))?;
        let address = self.cluster.leader()?.http;
        let open = (0..count).map(|_| HttpsConnection::open(address, Arc::clone(&trust)));
        self.runtime.block_on(try_join_all(open))
    }

    /// Many writes at a time: records of a zone, and keys beside DNS, which is what etcd does.
    fn many(&self, bench: &mut Bench) -> anyhow::Result<()> {
        let mut connections = self.connections(IN_FLIGHT)?;
        let cores: Vec<u32> = self.cluster.cores().filter_map(Node::id).collect();
        let (rounds, time) = rounds(bench);
        let [mut keys, mut records, mut theirs] = [const { Rounds::NONE }; 3];
        for round in 1..=rounds {
            bench.say(&format!("writes over TLS, {IN_FLIGHT} in flight, {}: round {round} of {rounds}", self.nodes));
            for (work, done) in [(Work::Key, &mut keys), (Work::Record, &mut records)] {
                done.round(&cores, || self.runtime.block_on(writes(&mut connections, work, time)))?;
            }
            if let Some((etcd, client)) = &self.etcd {
                let puts = puts(time, IN_FLIGHT, |number| put_etcd(client, number));
                theirs.round(&etcd.ids(), || self.runtime.block_on(puts))?;
            }
        }
        let of =
            |what: &str| format!("durable {what} of {VALUE} bytes over TLS, {IN_FLIGHT} in flight, {}", self.nodes);
        for (what, done) in [("puts", keys), ("changes", records)] {
            let [rate, cost] = done.figures(&of(what), "zonecast", Kind::Ours);
            let (rate, asked) = match what {
                "puts" => (rate.of_row("T4"), Some(TIMES)),
                _ => {
                    (rate.note("records set over the HTTP API: keys are built, history is kept; etcd puts bytes"), None)
                }
            };
            let Some((etcd, _)) = &self.etcd else {
                bench.skipped(&of(what), "etcd", "etcd-server is not installed")?;
                bench.record(cost)?;
                bench.record(rate)?;
                continue;
            };
            let theirs = theirs.figures(&of(what), "etcd", Kind::Peer);
            let [their_rate, their_cost] =
                theirs.map(|figure| figure.settings("mutual TLS").configuration(etcd.configuration()));
            bench.record(rate.against(&their_rate, asked))?;
            bench.record(cost.against(&their_cost, None))?;
            bench.record(their_rate)?;
            bench.record(their_cost)?;
        }
        Ok(())
    }

    /// One change at a time: against the bare disk, and against etcd.
    fn one_by_one(&self, bench: &mut Bench) -> anyhow::Result<()> {
        let work = format!("durable change of {VALUE} bytes over TLS, one at a time, {}", self.nodes);
        let count = bench.size.pick(100, 1_000, 10_000);
        bench.say(&work);
        let disk = fdatasync::append(&bench.folder("appended")?, count)?;
        let mut connections = self.connections(1)?;
        let connection = connections.first_mut().context("a connection")?;
        let ours = self.runtime.block_on(set_one_by_one(connection, count))?;
        let theirs = self
            .etcd
            .as_ref()
            .map(|(_, client)| self.runtime.block_on(one_by_one(count, |number| put_etcd(client, number))));
        let limit = p50_p99(&work, "append of 4 KiB and fdatasync", Kind::Limit, &disk);
        let theirs = theirs.transpose()?.map(|theirs| p50_p99(&work, "etcd", Kind::Peer, &theirs)).unwrap_or_default();
        for figure in p50_p99(&work, "zonecast", Kind::Ours, &ours) {
            let of = |others: &[Figure]| others.iter().find(|other| other.measure == figure.measure).cloned();
            let figure = match (figure.measure.as_str(), of(&limit), of(&theirs)) {
                ("p50", Some(limit), _) => figure.of_row("T4").against(&limit, Some(self.appends)),
                (_, _, Some(theirs)) => figure.of_row("T4").against(&theirs, Some(1.0)),
                _ => figure,
            };
            bench.record(figure)?;
        }
        limit.into_iter().chain(theirs).try_for_each(|figure| bench.record(figure))
    }
}

async fn set_one_by_one(connection: &mut HttpsConnection, count: usize) -> anyhow::Result<Samples> {
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let write = Work::Record.write(number)?;
        let started = Instant::now();
        connection.send(write).await?;
        times.push(started.elapsed());
    }
    Ok(Samples::new(&times))
}

/// Writes a second over so many connections, each of which waits for its answer.
async fn writes(connections: &mut [HttpsConnection], work: Work, time: Duration) -> anyhow::Result<f64> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let next = &next;
    let senders = connections.iter_mut().map(|connection| async move {
        let mut done = 0_u32;
        while started.elapsed() < time {
            connection.send(work.write(next.fetch_add(1, Ordering::Relaxed))?).await?;
            done += 1;
        }
        anyhow::Ok(done)
    });
    let done: u32 = try_join_all(senders).await?.into_iter().sum();
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}

/// Another one each time.
fn text(number: usize) -> String {
    format!("{number:0width$}", width = VALUE)
}

fn change(number: usize) -> ChangeRequest {
    let change = RecordChange {
        action: Action::Set,
        name: format!("key-{}", number % KEYS),
        rtype: Some("TXT".into()),
        ttl: Some(60),
        data: vec![format!("\"{}\"", text(number))],
        ..RecordChange::default()
    };
    ChangeRequest { changes: vec![change] }
}
