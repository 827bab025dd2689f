//! A core without an API, for tests.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zonecast_api::Tolerance;
use zonecast_api::types::SettingsChange;
use zonecast_kv_proto::Role;
use zonecast_kv_transport::{Ca, Endpoint, Identity};

use crate::fault::Fault;
use crate::running::{ClusterSetup, RunningService, ServiceSetup};
use crate::service::{Service, Upload};
use crate::shares::Shares;
use crate::zone::Terms;

/// A running service over a temporary folder, with a runtime of its own.
pub(crate) struct TestService {
    runtime: Runtime,
    running: Option<RunningService>,
    identity: Identity,
    folder: TempDir,
}

impl TestService {
    pub(crate) fn start() -> Self {
        Self::started(false)
    }

    /// One whose API asks for tokens: it leaves the first one in the file `first-token` of its folder.
    pub(crate) fn start_with_tokens() -> Self {
        Self::started(true)
    }

    fn started(asks_for_tokens: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = Ca::open_or_create(&folder.path().join("ca")).unwrap();
        let identity = ca.issue(Role::Core, "core-1").unwrap();
        let running = runtime.block_on(async {
            let setup = ServiceSetup {
                store: folder.path().join("core"),
                data: folder.path().to_owned(),
                moved_from: None,
                endpoint: Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), &identity).unwrap(),
                identity: identity.clone(),
                edges: vec![],
                cluster: ClusterSetup::default(),
                expected: vec![],
                edge_away: Duration::from_mins(60),
                keep_replaced: Duration::from_mins(60),
                verify: crate::verification::VerifyOptions::default(),
                first_token: asks_for_tokens.then(|| folder.path().join("first-token")),
                raft_log_bytes: zonecast_kv_store::RAFT_LOG_BYTES,
                edge_snapshot_rate: None,
                fault: Fault::new(folder.path()),
                registry: Registry::new(),
                started: Instant::now(),
            };
            RunningService::start(setup).await.unwrap()
        });
        Self { runtime, running: Some(running), identity, folder }
    }

    /// Where it keeps everything; its certificate authority is in `ca`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Who it is, and whom it believes.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn service(&self) -> &Arc<Service> {
        self.running.as_ref().unwrap().service()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Makes or replaces a zone.
    pub(crate) fn put_zone(&self, zone: &str, text: &[u8]) {
        let upload = Upload {
            text: Bytes::copy_from_slice(text),
            file: "test".into(),
            settings: SettingsChange::default(),
            tolerance: Tolerance::default(),
            allow_shrink: false,
            place: Shares::new(1).try_take(&Terms::default().who).unwrap(),
        };
        let put = self.service().put_zone(zone.parse().unwrap(), upload, Terms::default());
        self.runtime.block_on(put).unwrap();
    }

    pub(crate) fn stop(mut self) {
        let running = self.running.take().unwrap();
        self.runtime.block_on(async { running.end().await.stop().await.close().await });
    }
}
