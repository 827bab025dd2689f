//! A core without an API, for tests.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::Registry;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use zonecast_api::Tolerance;
use zonecast_api::types::SettingsChange;
use zonecast_kv_proto::Role;
use zonecast_kv_transport::{Ca, Endpoint};

use crate::fault::Fault;
use crate::running::{ClusterSetup, RunningService, ServiceSetup};
use crate::service::{Service, Upload};
use crate::shares::Shares;
use crate::zone::Terms;

/// A running service over a temporary folder, with a runtime of its own.
pub(crate) struct TestService {
    runtime: Runtime,
    running: Option<RunningService>,
    _folder: TempDir,
}

impl TestService {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = runtime.block_on(async {
            let ca = Ca::open_or_create(&folder.path().join("ca")).unwrap();
            let identity = ca.issue(Role::Core, "core-1").unwrap();
            let setup = ServiceSetup {
                store: folder.path().join("core"),
                data: folder.path().to_owned(),
                moved_from: None,
                endpoint: Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), &identity).unwrap(),
                identity,
                edges: vec![],
                cluster: ClusterSetup::default(),
                expected: vec![],
                edge_away: Duration::from_mins(60),
                keep_replaced: Duration::from_mins(60),
                first_token: None,
                raft_log_bytes: zonecast_kv_store::RAFT_LOG_BYTES,
                fault: Fault::new(folder.path()),
                registry: Registry::new(),
                started: Instant::now(),
            };
            RunningService::start(setup).await.unwrap()
        });
        Self { runtime, running: Some(running), _folder: folder }
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
