//! What several works of `propagation` share: zonecast with a small, a middle and a large zone, and pairs of name servers
//! with the middle one, all running.

use super::peers::Peers;
use super::subject::{Subject, Writer, Zone};
use crate::api::Api;
use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::figure::Kind;
use crate::generate;

/// A running cluster with three zones and the running peers with one: the parts of `propagation` share them.
pub(super) struct Stage {
    cluster: Cluster,
    /// Those that are installed.
    pub(super) peers: Peers,
    sizes: [usize; 3],
}

impl Stage {
    pub(super) fn start(bench: &mut Bench) -> anyhow::Result<Self> {
        let sizes = bench.size.pick([100, 1_000, 10_000], [100, 100_000, 1_000_000], [100, 100_000, 1_000_000]);
        let folder = bench.folder("propagation")?;
        let [small, middle, large] = sizes;
        generate::zone(&folder, &apex(small), small)?;
        let file = generate::zone(&folder, &apex(middle), middle)?;
        generate::zone(&folder, &apex(large), large)?;
        bench.say(&format!("starting a core and an edge with zones of {small}, {middle} and {large} records"));
        let cluster = Cluster::start(&folder, 1, &apex(large))?;
        let peers = Peers::start(bench, "all", &zone(middle), &file)?;
        Ok(Self { cluster, peers, sizes })
    }

    /// zonecast in its small, its middle and its large zone.
    pub(super) fn ours(&self) -> [Subject; 3] {
        self.sizes.map(|size| ours(&self.cluster, zone(size)))
    }

    /// So many more connections to the API.
    pub(super) fn connections(&self, count: usize) -> Vec<Api> {
        (0..count).map(|_| self.cluster.api()).collect()
    }
}

/// zonecast in one zone.
pub(super) fn ours(cluster: &Cluster, zone: Zone) -> Subject {
    Subject {
        name: "zonecast".into(),
        settings: "as shipped".into(),
        kind: Kind::Ours,
        configuration: None,
        work: String::new(),
        writer: Writer::Api(cluster.api()),
        edges: cluster.edges(),
        zone,
    }
}

fn apex(size: usize) -> String {
    format!("of-{size}.example")
}

fn zone(size: usize) -> Zone {
    Zone { apex: apex(size), records: size }
}
