//! A core with one zone, and who may follow it.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use prometheus::Registry;
use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
use zonecast_edge::{DnsEdgeConfig, EdgeOptions, Name, Position};
use zonecast_kv_core::{Applied, Core, CoreConfig, Outcome};
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Section, SectionId, Value};
use zonecast_kv_store::StateOptions;
use zonecast_kv_transport::{Ca, Endpoint, IssueOptions, Publisher, PublisherOptions, Role, TransportMetrics};
use zonecast_records::{ADDRESS_KIND, Generation, KeyBuffer, KeySection, NameInZone, ZoneId};

const HEAD: &str = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 NS ns\nns 60 A 192.0.2.53\n";

/// A running core.
pub(crate) struct CoreSide {
    core: Core,
    publisher: Arc<Publisher>,
    identity: ZoneIdentity,
}

impl CoreSide {
    /// With `example.com`, which holds these records.
    pub(crate) async fn start(folder: &Path, records: &str) -> Self {
        let publisher = Arc::new(OnceLock::<Arc<Publisher>>::new());
        let sink = Arc::clone(&publisher);
        let config = CoreConfig {
            data_dir: folder.join("core"),
            state: StateOptions::default(),
            registry: Registry::new(),
            sink: Arc::new(move |version: &Applied| {
                if let Some(publisher) = sink.get() {
                    publisher.publish(&version.bytes, version.position);
                }
            }),
            cluster: None,
        };
        let core = Core::start(config).await.unwrap();
        let ids = core.allocate(2).await.unwrap();
        let identity = ZoneIdentity { id: ZoneId::new(ids.start), generation: Generation::new(ids.start + 1) };
        let served = Ca::open_or_create(&folder.join("ca")).unwrap().issue(Role::Core, "core-1").unwrap();
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &served).unwrap();
        let metrics = TransportMetrics::register(&Registry::new()).unwrap();
        let started = Arc::new(Publisher::start(endpoint, core.source(), PublisherOptions::default(), metrics));
        let _ = publisher.set(Arc::clone(&started));
        let side = Self { core, publisher: started, identity };
        side.put(records).await;
        side
    }

    /// Puts the keys of these records in place; none is taken away.
    pub(crate) async fn put(&self, records: &str) {
        let apex: Name = "example.com".parse().unwrap();
        let mut zone = ZoneSource::new(apex);
        let text = format!("{HEAD}{records}");
        zonecast_ingest::read_zone_bytes("example.com", text.as_bytes(), &apex, &mut |record, location| {
            zone.push(record, Location::new(location.line));
            ControlFlow::Continue(())
        })
        .unwrap();
        for batch in zone.build(self.identity, &Settings::default()).unwrap().into_batches(1 << 20) {
            assert!(matches!(self.core.propose(&batch).await.unwrap().await, Outcome::Committed { .. }));
        }
    }

    /// Puts in place of the addresses of `www` what is no value.
    pub(crate) async fn damage(&self) {
        let ZoneIdentity { id, generation } = self.identity;
        let name = "www.example.com".parse().unwrap();
        let mut key = KeyBuffer::new();
        key.node(
            KeyspaceId::DNS,
            generation,
            KeySection::Name,
            NameInZone { name: &name, apex_labels: 2 },
            ADDRESS_KIND,
        );
        let op = Op::Put { key: key.to_key(), value: Value::new(&b"no value"[..]).unwrap() };
        let section = Section { id: SectionId { keyspace: KeyspaceId::DNS, partition: id.get() }, ops: vec![op] };
        let batch = Batch { preconditions: vec![], sections: vec![section] };
        assert!(matches!(self.core.propose(&batch).await.unwrap().await, Outcome::Committed { .. }));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.publisher.local_addr().unwrap()
    }

    pub(crate) fn position(&self) -> Position {
        self.core.position()
    }

    pub(crate) async fn stop(self) {
        self.core.shutdown().await.unwrap();
    }
}

/// The folder of an identity of this name.
pub(crate) fn issue(folder: &Path, role: Role, name: &str) -> PathBuf {
    let identity = folder.join(name);
    let ca = Ca::open_or_create(&folder.join("ca")).unwrap();
    ca.issue_with(&IssueOptions::new(role, name)).unwrap().save(&identity).unwrap();
    identity
}

/// An edge of this name that follows the core at an address.
pub(crate) fn config(folder: &Path, name: &str, core: SocketAddr) -> DnsEdgeConfig {
    DnsEdgeConfig {
        identity: issue(folder, Role::Edge, name),
        upstreams: vec![core.into()],
        data: folder.join(format!("copy-{name}")),
        store: EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, ..EdgeOptions::default() },
        keyspaces: None,
    }
}
