//! Three voters on one machine: changes at a rate until an edge shows them, also an edge behind a relay (T2), and the time
//! without a leader when the leader is killed (T16).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use zonecast_api::types::{Action, ChangeRequest, RecordChange};
use zonecast_api::{Client, Patience};

use crate::bench::Bench;
use crate::cluster::{Cluster, Layout};
use crate::figure::Figure;
use crate::generate;
use crate::probe::Probe;
use crate::samples::Samples;

const APEX: &str = "changed.example";
const RECORDS: usize = 1_000;

/// Time between two changes.
const EVERY: Duration = Duration::from_millis(10);

/// Past this a change has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// The way from the voters to the edge.
struct Way {
    work: &'static str,
    /// What T2 asks, in milliseconds.
    within_ms: f64,
}

const DIRECT: Way = Way { work: "100 changes/s through three voters, until an edge shows them", within_ms: 20.0 };

const BEHIND_A_RELAY: Way =
    Way { work: "100 changes/s through three voters and a relay, until an edge behind it shows them", within_ms: 30.0 };

/// What T16 asks, in seconds.
const LED_AGAIN_WITHIN: f64 = 1.5;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("voters")?;
    generate::zone(&folder, APEX, RECORDS)?;
    bench.say("starting three cores and an edge");
    let layout = Layout { further: 2, edges: 1, ..Layout::default() };
    let mut cluster = Cluster::laid_out(layout, &folder, APEX)?;
    cluster.wait_whole()?;
    at_a_rate(bench, &cluster, &DIRECT)?;
    let kills = bench.size.pick(2, 20, 100);
    leader_killed(bench, &mut cluster, kills)?;
    drop(cluster);
    bench.say("starting three cores, a relay and an edge");
    let cluster = Cluster::laid_out(Layout { relays: 1, ..layout }, &folder, APEX)?;
    cluster.wait_whole()?;
    at_a_rate(bench, &cluster, &BEHIND_A_RELAY)
}

/// A time runs from when the change was due.
fn at_a_rate(bench: &mut Bench, cluster: &Cluster, way: &Way) -> anyhow::Result<()> {
    let Way { work, within_ms } = *way;
    let count = bench.size.pick(50, 1_000, 6_000);
    bench.say(work);
    let (client, edge) = (cluster.client()?, *cluster.edges().first().context("an edge")?);
    let mut probe = Probe::new(edge)?;
    let (mut times, start) = (Vec::new(), Instant::now());
    for number in 0..count {
        let due = start + EVERY * u32::try_from(number)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (host, address) = (format!("host-{}", number % generate::hosts(RECORDS)), generate::new_address(number));
        set(&client, &host, "A", &address.to_string())?;
        let (at, _) = probe.wait_for(&format!("{host}.{APEX}"), address, LIMIT)?;
        times.push(at.saturating_duration_since(due));
    }
    for figure in Figure::percentiles(&Samples::new(&times), "ms", |measure| Figure::new(work, "zonecast", measure)) {
        bench.record(match figure.measure.as_str() {
            "p99" => {
                let asked = format!("what T2 asks: {within_ms} ms");
                figure.of_row("T2").against_value(within_ms, asked, Some(1.0))
            }
            _ => figure,
        })?;
    }
    Ok(())
}

/// A write that was acknowledged.
struct Acknowledged {
    number: usize,
    asked: Instant,
    answered: Instant,
}

/// One client writes all the time; the time runs from the kill until it is answered to something that it asked after it.
fn leader_killed(bench: &mut Bench, cluster: &mut Cluster, kills: usize) -> anyhow::Result<()> {
    let work = "leader of three killed (SIGKILL), until the next write is acknowledged";
    let (client, stopped) = (cluster.client()?, AtomicBool::new(false));
    let (tell, told) = channel();
    let (times, numbers) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&client, &stopped, tell));
        let killed = kill_leaders(bench, cluster, kills, &told);
        stopped.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
        let (times, mut numbers) = killed?;
        numbers.extend(told.try_iter().map(|write| write.number));
        anyhow::Ok((times, numbers))
    })?;
    let lost = numbers.difference(&written(&cluster.client()?)?).count();
    let note = format!("{kills} kills; {lost} of {} acknowledged writes lost", numbers.len());
    let samples = Samples::of(times.iter().map(Duration::as_secs_f64).collect());
    let worst = samples.percentile(99.0).or(samples.max()).context("no kill")?;
    let of = |measure: &str, value: f64| {
        Figure::new(work, "zonecast", measure).values(&[value], "s").samples(kills).note(&note)
    };
    let measure = if samples.percentile(99.0).is_some() { "p99" } else { "max" };
    let asked = format!("what T16 asks: {LED_AGAIN_WITHIN} s");
    let figure = of(measure, worst).of_row("T16").against_value(LED_AGAIN_WITHIN, asked, Some(1.0));
    // None may be lost.
    let met = figure.met.map(|met| met && lost == 0);
    bench.record(Figure { met, ..figure })?;
    let median = samples.median().context("no kill")?;
    bench.record(of("p50", median))
}

/// Seconds without a leader for each kill, and the writes that were acknowledged meanwhile.
fn kill_leaders(
    bench: &Bench,
    cluster: &mut Cluster,
    kills: usize,
    told: &Receiver<Acknowledged>,
) -> anyhow::Result<(Vec<Duration>, BTreeSet<usize>)> {
    let (mut times, mut numbers) = (Vec::new(), BTreeSet::new());
    for kill in 1..=kills {
        cluster.wait_whole()?;
        let name = cluster.leader()?.name.clone();
        bench.say(&format!("kill {kill} of {kills}: {name}"));
        let leader = cluster.core_mut(&name).context("the leader is a core")?;
        leader.kill();
        let killed = Instant::now();
        let answered = loop {
            let write = told.recv_timeout(LIMIT).context("nothing is acknowledged any more")?;
            numbers.insert(write.number);
            if write.asked >= killed {
                break write.answered;
            }
        };
        times.push(answered.saturating_duration_since(killed));
        leader.start_ready()?;
    }
    Ok((times, numbers))
}

fn write(client: &Client, stopped: &AtomicBool, tell: Sender<Acknowledged>) {
    for number in 0.. {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let asked = Instant::now();
        let write = set(client, &format!("written-{number}"), "TXT", "yes");
        if write.is_ok() && tell.send(Acknowledged { number, asked, answered: Instant::now() }).is_err() {
            return;
        }
    }
}

/// The numbers of what is there.
fn written(client: &Client) -> anyhow::Result<BTreeSet<usize>> {
    let text = String::from_utf8(client.export_zone(APEX)?)?;
    let numbers =
        text.lines().filter_map(|line| line.strip_prefix("written-")?.split(['.', ' ', '\t']).next()?.parse().ok());
    let numbers: BTreeSet<usize> = numbers.collect();
    ensure!(!numbers.is_empty(), "nothing was written");
    Ok(numbers)
}

fn set(client: &Client, name: &str, rtype: &str, data: &str) -> anyhow::Result<()> {
    let change = RecordChange {
        action: Action::Set,
        name: name.into(),
        rtype: Some(rtype.into()),
        ttl: Some(60),
        data: vec![data.into()],
        ..RecordChange::default()
    };
    client.change(APEX, &ChangeRequest { changes: vec![change] }, Patience::default())?;
    Ok(())
}
