//! Durable changes per second that one client makes over TLS: in a core and in etcd (T4).
//!
//! A change is a request of its own on both sides. The client of zonecast has a connection and a thread for each change
//! on its way, that of etcd one connection with as many streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use zonecast_tests::System;

use super::writes::{KEYS, VALUE, put_etcd, puts, rounds};
use crate::api::{Access, Api};
use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::peer::etcd::Etcd;

const APEX: &str = "changed.example";

/// Changes on their way at a time: as many requests as the API works on.
const IN_FLIGHT: usize = 128;

/// How often a core must make as many changes as etcd.
const TIMES: f64 = 4.0;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let work = format!("durable changes of {VALUE} bytes over TLS, {IN_FLIGHT} in flight, one node");
    let folder = bench.folder("network")?;
    generate::zone(&folder, APEX, 10)?;
    bench.say("starting a core");
    let mut system = System::new(0)?;
    system.core.zones = Some(folder.clone());
    system.core.http_lines = "tls = true".into();
    system.core.start_ready()?;
    let access = Access { token_file: None, ca: Some(system.ca().join("ca.pem")) };
    let url = format!("https://{}", system.core.http);
    let apis: Vec<Api> = (0..IN_FLIGHT).map(|_| Api::with_access(&url, &access)).collect::<Result<_, _>>()?;
    let runtime = Runtime::new()?;
    let etcd = Etcd::version().map(|_| Etcd::start(&folder)).transpose()?;
    let client = etcd.as_ref().map(|etcd| runtime.block_on(etcd.client())).transpose()?;

    let (rounds, time) = rounds(bench);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        bench.say(&format!("{work}: round {round} of {rounds}"));
        ours.push(changes(&apis, time)?);
        if let Some(client) = &client {
            theirs.push(runtime.block_on(puts(time, IN_FLIGHT, |number| put_etcd(client, number)))?);
        }
    }
    let ours = Figure::new(&work, "zonecast", "changes per second").values(&ours, "1/s").more_is_better();
    let ours =
        ours.of_row("T4").note("records set over the HTTP API: keys are built, history is kept; etcd puts bytes");
    let Some(etcd) = etcd else {
        bench.skipped(&work, "etcd", "etcd-server is not installed")?;
        return bench.record(ours);
    };
    let theirs = Figure::new(&work, "etcd", "changes per second").kind(Kind::Peer).values(&theirs, "1/s");
    let theirs = theirs.more_is_better().settings("mutual TLS").configuration(etcd.configuration());
    bench.record(ours.against(&theirs, Some(TIMES)))?;
    bench.record(theirs)
}

/// Changes a second over so many connections, each of which waits for its answer.
fn changes(apis: &[Api], time: Duration) -> anyhow::Result<f64> {
    let (next, started) = (AtomicUsize::new(0), Instant::now());
    let done: u32 = thread::scope(|scope| {
        let sender = |api: &Api| {
            let mut done = 0;
            while started.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let text = format!("\"{number:0width$}\"", width = VALUE);
                api.set(APEX, &format!("key-{}", number % KEYS), "TXT", 60, &text)?;
                done += 1;
            }
            anyhow::Ok(done)
        };
        let senders: Vec<_> = apis.iter().map(|api| scope.spawn(move || sender(api))).collect();
        let counts =
            senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
        counts.sum::<anyhow::Result<u32>>()
    })?;
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
