//! Durable changes per second of a core in this process, and the latency of one, of etcd and of the bare disk (T4).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use prometheus::Registry;
use tokio::runtime::Runtime;
use zonecast_kv_core::{Applied, Core, CoreConfig, Outcome};
use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Section, SectionId, Value, ViewError};
use zonecast_kv_store::StateOptions;

use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::limit::fdatasync;
use crate::limit::openraft_alone::OpenraftAlone;
use crate::peer::etcd::{Etcd, EtcdClient};
use crate::peer::redis::{Durability, Redis};
use crate::samples::Samples;

/// Changes on their way at a time.
const IN_FLIGHT: usize = 256;

/// The part of what openraft alone takes that a core must take.
const OF_OPENRAFT: f64 = 0.5;

/// Bytes of a value.
pub(super) const VALUE: usize = 100;

/// Keys that are written, again and again.
pub(super) const KEYS: usize = 10_000;

const SECTION: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let folder = bench.folder("store")?;
    bench.say("starting a core in this process");
    let core = runtime.block_on(Core::start(CoreConfig {
        data_dir: folder.join("core"),
        state: StateOptions::default(),
        registry: Registry::new(),
        sink: Arc::new(|_: &Applied| {}),
        cluster: None,
    }))?;
    let etcd = match Etcd::version() {
        Some(_) => Some(Etcd::start(&folder, 1)?),
        None => None,
    };
    let client = match &etcd {
        Some(etcd) => Some(runtime.block_on(etcd.client())?),
        None => None,
    };
    in_process(bench, &runtime, &core)?;
    latency(bench, &runtime, &core, etcd.as_ref().zip(client.as_ref()))?;
    runtime.block_on(core.shutdown())?;
    replicated(bench)
}

/// What the core takes without a network, and openraft with nothing around it.
fn in_process(bench: &mut Bench, runtime: &Runtime, core: &Core) -> anyhow::Result<()> {
    let work = format!("durable puts of {VALUE} bytes, {IN_FLIGHT} in flight, in the measuring process");
    let (rounds, time) = rounds(bench);
    let alone = runtime.block_on(OpenraftAlone::start(&bench.folder("alone")?))?;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        bench.say(&format!("{work}: round {round} of {rounds}"));
        ours.push(runtime.block_on(puts(time, IN_FLIGHT, |number| async move { put(core, number).await }))?);
        limit.push(runtime.block_on(puts(time, IN_FLIGHT, |number| alone.put(value(number))))?);
    }
    runtime.block_on(alone.stop())?;
    let figure = |subject: &str, rates: &[f64]| {
        Figure::new(&work, subject, "puts per second").values(rates, "1/s").more_is_better()
    };
    let limit = figure("openraft alone, with a log that syncs", &limit).kind(Kind::Limit);
    bench.record(figure("zonecast", &ours).of_row("T4").against(&limit, Some(OF_OPENRAFT)))?;
    bench.record(limit)
}

/// Rounds, and how long each is.
pub(super) fn rounds(bench: &Bench) -> (usize, Duration) {
    let (rounds, seconds) = bench.size.pick((1, 1), (3, 4), (5, 20));
    (rounds, Duration::from_secs(seconds))
}

/// Puts with so many in flight for a while: how many a second.
pub(super) async fn puts<F>(time: Duration, in_flight: usize, put: impl Fn(usize) -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut flying = FuturesUnordered::new();
    let (mut next, mut done, started) = (0, 0_u32, Instant::now());
    while started.elapsed() < time {
        while flying.len() < in_flight {
            flying.push(put(next));
            next += 1;
        }
        if let Some(put) = flying.next().await {
            put?;
            done += 1;
        }
    }
    let rate = f64::from(done) / started.elapsed().as_secs_f64();
    while let Some(put) = flying.next().await {
        put?;
    }
    Ok(rate)
}

fn latency(
    bench: &mut Bench,
    runtime: &Runtime,
    core: &Core,
    etcd: Option<(&Etcd, &EtcdClient)>,
) -> anyhow::Result<()> {
    let work = format!("durable put of {VALUE} bytes, one at a time");
    let count = bench.size.pick(100, 1_000, 10_000);
    let folder = bench.folder("appended")?;
    bench.say(&work);
    let disk = fdatasync::append(&folder, count)?;
    let ours = runtime.block_on(one_by_one(count, |number| put(core, number)))?;
    let limit = p50_p99(&work, "append of 4 KiB and fdatasync", Kind::Limit, &disk);
    for (figure, limit) in p50_p99(&work, "zonecast", Kind::Ours, &ours).into_iter().zip(&limit) {
        bench.record(figure.settings("core in the measuring process").against(limit, None))?;
    }
    if let Some((_, client)) = etcd {
        let theirs = runtime.block_on(one_by_one(count, |number| put_etcd(client, number)))?;
        for figure in p50_p99(&work, "etcd", Kind::Peer, &theirs) {
            bench.record(figure)?;
        }
    }
    limit.into_iter().try_for_each(|figure| bench.record(figure))
}

pub(super) fn p50_p99(work: &str, subject: &str, kind: Kind, samples: &Samples) -> Vec<Figure> {
    Figure::percentiles(samples, "ms", |measure| Figure::new(work, subject, measure).kind(kind))
}

pub(super) async fn one_by_one<F>(count: usize, put: impl Fn(usize) -> F) -> anyhow::Result<Samples>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let started = Instant::now();
        put(number).await?;
        times.push(started.elapsed());
    }
    Ok(Samples::new(&times))
}

async fn put(core: &Core, number: usize) -> anyhow::Result<()> {
    let (key, value) = (key(number)?, Value::new(value(number))?);
    let batch =
        Batch { preconditions: vec![], sections: vec![Section { id: SECTION, ops: vec![Op::Put { key, value }] }] };
    let ((), pending) = core.change(move |_, _| Ok::<_, ViewError>((batch, ()))).await?;
    match pending.await {
        Outcome::Committed { .. } => Ok(()),
        other => bail!("a put ended as {other:?}"),
    }
}

pub(super) async fn put_etcd(client: &EtcdClient, number: usize) -> anyhow::Result<()> {
    client.put(format!("key-{}", number % KEYS).as_bytes(), &value(number)).await
}

fn key(number: usize) -> anyhow::Result<Key> {
    let name = format!("key-{}", number % KEYS);
    Ok(Key::new([&SECTION.keyspace.get().to_be_bytes(), name.as_bytes()].concat())?)
}

/// Another one each time, which does not compress well.
fn value(number: usize) -> Vec<u8> {
    let bytes = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    bytes.iter().copied().cycle().take(VALUE).collect()
}

/// Redis until its replica has it: what a store costs that promises less.
fn replicated(bench: &mut Bench) -> anyhow::Result<()> {
    let work = "set until the replica has it, one at a time";
    if Redis::version().is_none() {
        return bench.skipped(work, "Redis", "redis-server is not installed");
    }
    for durability in [Durability::None, Durability::EverySecond, Durability::Always] {
        bench.say(&format!("Redis, {}", durability.name()));
        let folder = bench.folder("redis")?;
        let redis = Redis::start(&folder, durability)?;
        let count = bench.size.pick(100, 1_000, 10_000);
        let times = redis.set_until_replicated(count)?;
        ensure!(times.len() == count, "every set is timed");
        for figure in p50_p99(work, "Redis", Kind::Peer, &Samples::new(&times)) {
            bench.record(figure.settings(durability.name()).configuration(redis.configuration()))?;
        }
    }
    Ok(())
}
