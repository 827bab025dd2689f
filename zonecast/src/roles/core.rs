//! `zonecast core`: a core in a process of its own.
//!
//! ```text
//! config ─▶ ports ─▶ data folder ─▶ voter ─▶ fan-out, API ─▶ import of [zones] ─▶ ready
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use zonecast_kv_transport::{CertificateMetrics, Endpoint, Identity, Peer, Role};

use super::majority::{self, Stands};
use super::process::{self, Ended, notify};
use super::running_core::{CoreSetup, RunningCore};
use super::snapshot_store::StoreWriter;
use super::zone_folder::ZoneFolder;
use super::{DataFolder, STOP_WITHIN, Stop, ports, reload, zone_import};
use crate::config::{CoreFile, SnapshotsSection, ZonesSection};
use crate::metrics::MetricsRegistry;
use crate::output::Output;
use zonecast_api::types::Ready;
use zonecast_service::Fault;
use zonecast_service::Holdings;
use zonecast_service::ServiceSetup;
use zonecast_service::exit::{Failure, Outcome};
use zonecast_service::{ImportChoices, ImportReport};

/// Runs until a signal; prints the ready line.
///
/// # Errors
/// It cannot start, or writing had ended for good before the signal came.
pub(crate) fn run(config: CoreFile, allow_shrink: bool, output: Output) -> Outcome {
    let started = Instant::now();
    process::run(async |stop| serve(config, allow_shrink, output, started, stop).await)
}

async fn serve(config: CoreFile, allow_shrink: bool, output: Output, started: Instant, stop: Stop) -> Outcome<Ended> {
    // Another provider that is installed already does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let zones = config.zones.as_ref().map(|zones| open_zones(zones, allow_shrink)).transpose()?;
    let store = config.snapshots.as_ref().map(SnapshotsSection::open).transpose()?;
    let metrics = Arc::new(MetricsRegistry::new());
    let registry = metrics.registry().clone();
    let identity = identity(&config.identity, Role::Core, &metrics)?;
    let http = ports::bind_http(config.http.listen)?;
    let endpoint = Endpoint::server(config.quic, &identity)?;
    let folder = DataFolder::open(&config.data)?;
    tracing::info!(data = %folder.path().display(), node = %identity.peer(), "starting");
    let fault = Fault::new(folder.path());
    let joins = !config.cluster.join.is_empty();
    let verify = config.verify_options();
    let setup = CoreSetup {
        service: ServiceSetup {
            store: folder.core(),
            data: folder.path().to_owned(),
            moved_from: folder.moved_from().map(str::to_owned),
            identity: identity.clone(),
            endpoint,
            cluster: config.cluster.setup(),
            edges: vec![],
            expected: config.edges.iter().map(|name| Peer::edge(name)).collect(),
            edge_away: Duration::from_mins(config.edge_away_minutes),
            keep_replaced: Duration::from_mins(config.keep_replaced_minutes),
            verify,
            first_token: config.http.asks_for_stored_tokens().then(|| folder.first_token()),
            raft_log_bytes: config.raft_log_bytes,
            edge_snapshot_rate: config.edge_snapshot_bytes_per_second,
            fault: fault.clone(),
            registry: metrics.registry().clone(),
            started,
        },
        http,
        tls: config.http.tls.then(|| identity.https_server()).transpose()?,
        metrics,
    };
    let store = StoreWriter::new(store, identity.clone(), &registry)?;
    let Some(running) = start(setup, joins, &stop).await? else { return Ok(Ended::Stopped) };
    let hangup = reload::on_hangup(&stop, identity.clone(), running.gate().clone(), None);
    let ended = match become_ready(&running, zones, &folder, started, &stop).await {
        Ok(Some(ready)) => {
            output.show(&ready, |ready, out| writeln!(out, "{}", ready.line()))?;
            notify(NotifyState::Ready);
            tokio::select! {
                () = stop.asked() => Ok(Ended::Stopped),
                () = fault.disk_works_again() => Ok(Ended::Restart),
                () = store.run(&running) => Ok(Ended::Stopped),
            }
        }
        Ok(None) => Ok(Ended::Stopped),
        Err(failure) => Err(failure),
    };
    hangup.abort();
    // Not when it begins anew in place: systemd kills who says so and has not ended in time.
    if !matches!(ended, Ok(Ended::Restart)) {
        notify(NotifyState::Stopping);
    }
    let closing = async { running.stop_api().await.close().await };
    if tokio::time::timeout(STOP_WITHIN, closing).await.is_err() {
        tracing::warn!("stopping took too long; ending without waiting further");
    }
    drop(folder);
    match ended? {
        Ended::Restart => Ok(Ended::Restart),
        Ended::Stopped => fault.get().map_or(Ok(Ended::Stopped), Err),
    }
}

fn open_zones(zones: &ZonesSection, allow_shrink: bool) -> Outcome<ZoneFolder> {
    let choices = ImportChoices { allow_shrink, tolerance: zones.tolerance() };
    ZoneFolder::open(&zones.folder, zones.manifest.as_ref(), choices)
}

/// Starts a core. Nothing, when it was asked to stop while it waited to be let in.
async fn start(setup: CoreSetup, joins: bool, stop: &Stop) -> Outcome<Option<RunningCore>> {
    if joins {
        notify(NotifyState::Status("starting; at its first start it waits until `zonecast cluster add` lets it in"));
    }
    tokio::select! {
        running = RunningCore::start(setup) => running.map(Some),
        // It may wait for days.
        () = stop.asked(), if joins => {
            notify(NotifyState::Stopping);
            Ok(None)
        }
    }
}

/// The certificate in a folder, which must be of this role; a renewed one is taken over.
pub(super) fn identity(folder: &Path, role: Role, metrics: &MetricsRegistry) -> Outcome<Identity> {
    let identity = Identity::watch(folder, &CertificateMetrics::register(metrics.registry())?)?;
    if identity.peer().role == role {
        return Ok(identity);
    }
    let (peer, folder) = (identity.peer(), folder.display());
    Err(Failure::usage(format_args!(
        "{folder} holds the certificate of {peer}; this needs one made by `zonecast ca issue --role {role}`"
    )))
}

async fn become_ready(
    running: &RunningCore,
    zones: Option<ZoneFolder>,
    folder: &DataFolder,
    started: Instant,
    stop: &Stop,
) -> Outcome<Option<Ready>> {
    let Some(stands) = majority::wait(running, stop).await? else { return Ok(None) };
    if stands == Stands::Leads
        && let Err(error) = running.service().ensure_admin_token().await
    {
        return Err(running.service().failure(error).await);
    }
    let Some(report) = zone_import::import(running, zones.as_ref(), stop).await? else { return Ok(None) };
    let ImportReport { refused, held, .. } = report;
    let Holdings { zones, records } = Holdings::read(&running.core().view()).map_err(Failure::failed)?;
    running.service().set_ready();
    Ok(Some(Ready {
        event: "ready".into(),
        role: "core".into(),
        http: running.http().to_string(),
        quic: Some(running.quic().to_string()),
        data: folder.path().display().to_string(),
        zones,
        records,
        refused,
        held,
        seconds: started.elapsed().as_secs_f64(),
        version: running.core().position().version.get(),
        ..Ready::default()
    }))
}
