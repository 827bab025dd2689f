//! `zonecast dev --processes`: the same as `zonecast dev`, with cores, relays and edges as processes of their own.
//!
//! ```text
//! data folder ─▶ CA, identities, configurations ─▶ cores ─▶ their ready lines ─▶ relays and edges ─▶ theirs ─▶ ready
//! ```
//! Children end with this process, however it ends. A child that ends by itself is not started again: killing one and
//! starting it by hand is what this mode is for.
//!
//! # Format
//! Beside `lock` and `ca/`, one folder for each process, by its name:
//! ```text
//! NAME/NAME.toml   its configuration
//! NAME/identity/   its certificate
//! NAME/data/       what it keeps
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use zonecast_kv_edge::Upstream;
use zonecast_kv_proto::WaitFor;
use zonecast_kv_store::RAFT_LOG_BYTES;
use zonecast_kv_transport::{Ca, Role};

use super::dev::{self, DevConfig, relay_name};
use super::process::{self, Ended};
use super::{DataFolder, STOP_WITHIN, Stop, ports, processes_cluster as cluster, reload, voters};
use crate::config::{
    AccessSection, ClusterSection, CoreFile, CoreRole, DEFAULT_EDGE_AWAY_MINUTES, DEFAULT_HOT_CACHE_MIB,
    DEFAULT_KEEP_REPLACED_MINUTES, DEFAULT_VERIFY_EVERY_MINUTES, DownstreamSection, EdgeFile, EdgeRole, HttpSection,
    LogSection, RateLimitSection, RelayFile, RelayRole, ZonesSection,
};
use crate::log::LogFormat;
use crate::output::Output;
use zonecast_api::types::{Process, Ready, ReadyCore};
use zonecast_api::{Client, Patience};
use zonecast_service::VERIFY_BYTES_PER_SECOND;
use zonecast_service::exit::{Code, Failure, Outcome};

/// Between two looks at whether we shall stop, while edges catch up.
const LOOK: Duration = Duration::from_millis(500);

/// A child and what it prints.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    pid: u32,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Runs until a signal; prints the ready line with the ids of all processes.
///
/// # Errors
/// A process cannot start.
pub(crate) fn run(config: DevConfig, log: LogFormat, output: Output) -> Outcome {
    let started = Instant::now();
    process::run(async |stop| {
        let _ends = reload::end_with_terminal(&stop);
        let folder = match &config.data {
            Some(path) => DataFolder::open(path)?,
            None => DataFolder::temporary()?,
        };
        let mut children = Vec::new();
        let ended = serve(&config, &folder, log, output, started, &stop, &mut children).await;
        end(children).await;
        drop(folder);
        ended.map(|()| Ended::Stopped)
    })
}

async fn serve(
    config: &DevConfig,
    folder: &DataFolder,
    log: LogFormat,
    output: Output,
    started: Instant,
    stop: &Stop,
    children: &mut Vec<Running>,
) -> Outcome {
    let home = Home { ca: Ca::open_or_create(&folder.ca())?, folder: folder.path(), log };
    let files = core_files(config, &home)?;
    for (number, core) in (1..).zip(&files) {
        let name = voters::name(number);
        home.ca.issue(Role::Core, &name)?.save(&core.identity)?;
        children.push(spawn("core", &name, &home.of(&name), core, config.allow_shrink)?);
    }
    let mut readies = ready_lines(children.get_mut(..1).unwrap_or_default(), stop).await?;
    let mut first = 0;
    if files.len() > 1 {
        let Some(leader) = cluster::gather(&files, children, stop).await? else { return Ok(()) };
        first = leader;
        readies.extend(ready_lines(children.get_mut(1..).unwrap_or_default(), stop).await?);
    }
    // Edges follow the core that leads while it is there: it counts who has what.
    let mut upstreams: Vec<Upstream> = files.iter().map(|core| core.quic.into()).collect();
    upstreams.rotate_left(first);
    let mut relays = Vec::new();
    for number in 1..=config.relays {
        let name = relay_name(number);
        let relay = relay_file(&home, &name, upstreams.clone())?;
        home.ca.issue(Role::Relay, &name)?.save(&relay.identity)?;
        relays.push(Upstream::from(relay.downstream.quic));
        children.push(spawn("relay", &name, &home.of(&name), &relay, false)?);
    }
    for (number, dns) in (1..).zip(ports::dns_addresses(config.dns, config.edges)?) {
        let name = edge_name(number);
        let edge = edge_file(&home, &name, dns, dev::upstreams(&relays, number, upstreams.clone()));
        home.ca.issue(Role::Edge, &name)?.save(&edge.identity)?;
        children.push(spawn("edge", &name, &home.of(&name), &edge, false)?);
    }
    readies.extend(ready_lines(children.get_mut(files.len()..).unwrap_or_default(), stop).await?);
    if let Some(leader) = readies.get(first).cloned() {
        all_have(leader, stop).await?;
    }
    if stop.is_asked() {
        return Ok(());
    }
    let ready = together(&readies, first, &files, children, folder.path(), started);
    output.show(&ready, |ready, out| writeln!(out, "{}", ready.line()))?;
    watch(children, stop).await;
    Ok(())
}

/// Where all processes keep what they have.
struct Home<'a> {
    ca: Ca,
    folder: &'a Path,
    log: LogFormat,
}

impl Home<'_> {
    fn of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn log(&self) -> LogSection {
        LogSection { format: self.log, level: None }
    }
}

/// The configuration of each core. Ports are kept, so that a core that is started again is found where it was.
fn core_files(config: &DevConfig, home: &Home<'_>) -> Outcome<Vec<CoreFile>> {
    let quics = match voters::addresses(home.folder, config.voters)?.as_slice() {
        [_] => vec![voters::free_port()?],
        several => several.to_vec(),
    };
    let join: Vec<String> = quics.first().map(ToString::to_string).into_iter().collect();
    let zones = ZonesSection {
        folder: absolute(&config.zones)?,
        manifest: config.manifest.as_deref().map(absolute).transpose()?,
        out_of_zone: config.tolerance.out_of_zone,
        without_ns: config.tolerance.without_ns,
    };
    let is_alone = quics.len() == 1;
    let core = |(number, quic)| {
        let (name, is_first) = (voters::name(number), number == 1);
        let listen = match (is_first, is_alone) {
            (true, true) => config.http,
            (true, false) if config.http.port() != 0 => config.http,
            _ => free_http()?,
        };
        Ok(CoreFile {
            role: CoreRole::Core,
            data: home.of(&name).join("data"),
            identity: home.of(&name).join("identity"),
            quic,
            edges: (1..=config.edges).map(edge_name).collect(),
            edge_away_minutes: DEFAULT_EDGE_AWAY_MINUTES,
            keep_replaced_minutes: DEFAULT_KEEP_REPLACED_MINUTES,
            raft_log_bytes: RAFT_LOG_BYTES,
            edge_snapshot_bytes_per_second: None,
            verify_every_minutes: DEFAULT_VERIFY_EVERY_MINUTES,
            verify_bytes_per_second: VERIFY_BYTES_PER_SECOND,
            cluster: ClusterSection { address: None, join: if is_first { vec![] } else { join.clone() } },
            http: HttpSection { listen, ..HttpSection::loopback(0) },
            zones: Some(zones.clone()),
            snapshots: None,
            log: home.log(),
        })
    };
    (1..).zip(quics).map(core).collect()
}

fn edge_file(home: &Home<'_>, name: &str, dns: SocketAddr, upstreams: Vec<Upstream>) -> EdgeFile {
    EdgeFile {
        role: EdgeRole::Edge,
        data: home.of(name).join("data"),
        identity: home.of(name).join("identity"),
        upstreams,
        keyspaces: None,
        dns: vec![dns],
        hot_cache_mib: DEFAULT_HOT_CACHE_MIB,
        cookie_secrets: None,
        nsid: None,
        access: AccessSection::default(),
        rate_limit: RateLimitSection::default(),
        max_stale_seconds: None,
        http: HttpSection::loopback(0),
        downstream: None,
        snapshots: None,
        log: home.log(),
    }
}

fn relay_file(home: &Home<'_>, name: &str, upstreams: Vec<Upstream>) -> Outcome<RelayFile> {
    Ok(RelayFile {
        role: RelayRole::Relay,
        data: home.of(name).join("data"),
        identity: home.of(name).join("identity"),
        upstreams,
        keyspaces: None,
        downstream: DownstreamSection::at(voters::free_port()?),
        max_stale_seconds: None,
        http: HttpSection::loopback(0),
        snapshots: None,
        log: home.log(),
    })
}

fn edge_name(number: usize) -> String {
    format!("edge-{number}")
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    path.canonicalize().map_err(|error| Failure::io("use", path, &error))
}

/// A port for HTTP that is free now.
fn free_http() -> Outcome<SocketAddr> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map_err(|error| Failure::bind("HTTP", Ipv4Addr::LOCALHOST, &error))
}

fn spawn(role: &str, name: &str, home: &Path, config: &impl Serialize, allow_shrink: bool) -> Outcome<Running> {
    let file = home.join(format!("{name}.toml"));
    let text = toml::to_string(config).map_err(Failure::failed)?;
    std::fs::write(&file, text).map_err(|error| Failure::io("write", &file, &error))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format_args!("cannot find the program of this process: {error}")))?;
    let child = Command::new(program)
        .args(["--json", role, "--die-with", &std::process::id().to_string(), "--config"])
        .arg(&file)
        .args(allow_shrink.then_some("--allow-shrink"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let cannot = |what: &dyn std::fmt::Display| Failure::failed(format_args!("cannot start {name}: {what}"));
    let mut child = child.map_err(|error| cannot(&error))?;
    let stdout = child.stdout.take().ok_or_else(|| cannot(&"no output"))?;
    let pid = child.id().ok_or_else(|| cannot(&"it has ended"))?;
    tracing::info!(pid, config = %file.display(), "started {name}");
    Ok(Running { name: name.to_owned(), pid, child, lines: BufReader::new(stdout).lines() })
}

/// The ready line of each; those of children that are still starting when we are asked to stop are left out.
async fn ready_lines(children: &mut [Running], stop: &Stop) -> Outcome<Vec<Ready>> {
    let mut readies = Vec::new();
    for Running { name, child, lines, .. } in children {
        let line = tokio::select! {
            line = lines.next_line() => line,
            () = stop.asked() => return Ok(readies),
        };
        let ready = line.ok().flatten().and_then(|line| serde_json::from_str(&line).ok());
        match ready {
            Some(ready) => readies.push(ready),
            None => return Err(not_ready(name, child.wait().await)),
        }
    }
    Ok(readies)
}

/// A child that ended instead.
fn not_ready(name: &str, status: std::io::Result<ExitStatus>) -> Failure {
    let code = status.as_ref().ok().and_then(ExitStatus::code);
    let said = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    let code = code.map_or(Code::Failed, Code::from_child);
    Failure::new(code, format_args!("{name} did not become ready: {said}; see its line above"))
}

/// Says when a child has ended already.
pub(super) fn check_running(children: &mut [Running]) -> Outcome {
    for Running { name, child, .. } in children {
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return Err(not_ready(name, Ok(status))),
            Err(error) => return Err(not_ready(name, Err(error))),
        }
    }
    Ok(())
}

/// Waits until every edge has what the core had when it was ready: an edge with a copy from before is ready by that.
async fn all_have(core: Ready, stop: &Stop) -> Outcome {
    if core.version == 0 {
        // Nothing was ever published, so there is nothing to have.
        return Ok(());
    }
    let client = Client::new(&format!("http://{}", core.http));
    while !stop.is_asked() {
        let client = client.clone();
        let patience = Patience { wait: Some(WaitFor::All), timeout: LOOK };
        let asked = tokio::task::spawn_blocking(move || client.receipt(core.version, patience)).await;
        if asked.map_err(Failure::failed)??.reached {
            break;
        }
    }
    Ok(())
}

/// One ready line for all. The core that leads says what is served, the first one where it is asked.
fn together(
    readies: &[Ready],
    leader: usize,
    files: &[CoreFile],
    children: &[Running],
    data: &Path,
    started: Instant,
) -> Ready {
    let dns = readies.iter().flat_map(|ready| ready.dns.clone()).collect();
    let processes = children.iter().map(|child| Process { name: child.name.clone(), pid: child.pid }).collect();
    let core = |(number, file): (usize, &CoreFile)| ReadyCore {
        name: voters::name(number),
        http: file.http.listen.to_string(),
        quic: file.quic.to_string(),
    };
    let cores = if files.len() > 1 { (1..).zip(files).map(core).collect() } else { vec![] };
    let first = readies.first().cloned().unwrap_or_default();
    Ready {
        role: "dev".into(),
        http: first.http,
        quic: first.quic,
        dns,
        cores,
        processes,
        data: data.display().to_string(),
        seconds: started.elapsed().as_secs_f64(),
        ..readies.get(leader).cloned().unwrap_or_default()
    }
}

/// Until we are asked to stop; says when a child has ended.
async fn watch(children: &mut [Running], stop: &Stop) {
    let ends = children.iter_mut().map(async |Running { name, child, .. }| {
        let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        if !stop.is_asked() {
            let role = name.split('-').next().unwrap_or_default();
            tracing::warn!(
                "{name} has ended ({status}); `zonecast {role} --config {name}/{name}.toml` in the data folder starts \
                 it again"
            );
        }
    });
    tokio::select! {
        () = stop.asked() => {}
        () = async { futures_util::future::join_all(ends).await; std::future::pending().await } => {}
    }
}

/// Asks all of them to stop and waits; who takes too long is killed.
async fn end(children: Vec<Running>) {
    let asked = |child: &Running| {
        let pid = i32::try_from(child.pid).ok().and_then(Pid::from_raw);
        // One that has been waited for has no id any more, and its number may be another's.
        if child.child.id().is_some()
            && let Some(pid) = pid
        {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    };
    children.iter().for_each(asked);
    let all = async {
        for mut child in children {
            let _ = child.child.wait().await;
        }
    };
    if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
        tracing::warn!("stopping took too long; killing the remaining processes");
    }
}
