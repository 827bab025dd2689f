//! `zonecast dev --processes`: the same as `zonecast dev`, with core and edges as processes of their own.
//!
//! ```text
//! data folder ─▶ CA, identities, configurations ─▶ core ─▶ its ready line ─▶ edges ─▶ theirs ─▶ ready
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

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use zonecast_kv_proto::WaitFor;
use zonecast_kv_store::RAFT_LOG_BYTES;
use zonecast_kv_transport::{Ca, Role};

use super::dev::DevConfig;
use super::process::{self, Ended};
use super::{DataFolder, STOP_WITHIN, Stop, ports, reload};
use crate::config::{
    AccessSection, ClusterSection, CoreFile, CoreRole, DEFAULT_EDGE_AWAY_MINUTES, DEFAULT_HOT_CACHE_MIB,
    DEFAULT_KEEP_REPLACED_MINUTES, EdgeFile, EdgeRole, HttpSection, LogSection, RateLimitSection, ZonesSection,
};
use crate::log::LogFormat;
use crate::output::Output;
use zonecast_api::types::{Process, Ready};
use zonecast_api::{Client, Patience};
use zonecast_service::exit::{Code, Failure, Outcome};

/// Between two looks at whether we shall stop, while edges catch up.
const LOOK: Duration = Duration::from_millis(500);

/// A child and what it prints.
#[derive(Debug)]
struct Running {
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
    let ca = Ca::open_or_create(&folder.ca())?;
    let home = |name: &str| folder.path().join(name);
    let log = LogSection { format: log, level: None };
    // One that is kept, so that a core that is started again is found where it was.
    let quic = free_port()?;
    let core = CoreFile {
        role: CoreRole::Core,
        data: home("core-1").join("data"),
        identity: home("core-1").join("identity"),
        quic,
        edges: (1..=config.edges).map(edge_name).collect(),
        edge_away_minutes: DEFAULT_EDGE_AWAY_MINUTES,
        keep_replaced_minutes: DEFAULT_KEEP_REPLACED_MINUTES,
        raft_log_bytes: RAFT_LOG_BYTES,
        cluster: ClusterSection::default(),
        http: HttpSection { listen: config.http, ..HttpSection::loopback(0) },
        zones: Some(ZonesSection {
            folder: absolute(&config.zones)?,
            manifest: None,
            out_of_zone: config.tolerance.out_of_zone,
            without_ns: config.tolerance.without_ns,
        }),
        log: log.clone(),
    };
    let manifest = config.manifest.as_deref().map(absolute).transpose()?;
    let core = CoreFile { zones: core.zones.map(|zones| ZonesSection { manifest, ..zones }), ..core };
    ca.issue(Role::Core, "core-1")?.save(&core.identity)?;
    let mut readies = Vec::new();
    children.push(spawn("core", "core-1", &home("core-1"), &core, config.allow_shrink)?);
    readies.extend(ready_lines(children, stop).await?);
    for (number, dns) in (1..).zip(ports::dns_addresses(config.dns, config.edges)?) {
        let name = edge_name(number);
        let edge = EdgeFile {
            role: EdgeRole::Edge,
            data: home(&name).join("data"),
            identity: home(&name).join("identity"),
            upstreams: vec![quic],
            dns: vec![dns],
            hot_cache_mib: DEFAULT_HOT_CACHE_MIB,
            cookie_secrets: None,
            nsid: None,
            access: AccessSection::default(),
            rate_limit: RateLimitSection::default(),
            http: HttpSection::loopback(0),
            log: log.clone(),
        };
        ca.issue(Role::Edge, &name)?.save(&edge.identity)?;
        children.push(spawn("edge", &name, &home(&name), &edge, false)?);
    }
    readies.extend(ready_lines(children.get_mut(1..).unwrap_or_default(), stop).await?);
    if let Some(core) = readies.first().cloned() {
        all_have(core, stop).await?;
    }
    if stop.is_asked() {
        return Ok(());
    }
    let ready = together(readies, children, folder.path(), started);
    output.show(&ready, |ready, out| writeln!(out, "{}", ready.line()))?;
    watch(children, stop).await;
    Ok(())
}

fn edge_name(number: usize) -> String {
    format!("edge-{number}")
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    path.canonicalize().map_err(|error| Failure::io("use", path, &error))
}

fn free_port() -> Outcome<SocketAddr> {
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    bound.map_err(|error| Failure::bind("QUIC", Ipv4Addr::LOCALHOST, &error))
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
            None => {
                let status = child.wait().await;
                let code = status.as_ref().ok().and_then(std::process::ExitStatus::code);
                let said = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                let code = code.map_or(Code::Failed, Code::from_child);
                return Err(Failure::new(
                    code,
                    format_args!("{name} did not become ready: {said}; see its line above"),
                ));
            }
        }
    }
    Ok(readies)
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

/// One ready line for all.
fn together(readies: Vec<Ready>, children: &[Running], data: &Path, started: Instant) -> Ready {
    let dns = readies.iter().flat_map(|ready| ready.dns.clone()).collect();
    let processes = children.iter().map(|child| Process { name: child.name.clone(), pid: child.pid }).collect();
    let core = readies.into_iter().next().unwrap_or_default();
    Ready {
        role: "dev".into(),
        dns,
        processes,
        data: data.display().to_string(),
        seconds: started.elapsed().as_secs_f64(),
        ..core
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
