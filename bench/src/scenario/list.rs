//! The scenarios by their names on the command line.

use super::{bootstrap, build, churn, fanout, propagation, restart, serve, space, store, voters};
use crate::bench::Bench;

/// A scenario by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// From the request for a change until a DNS answer shows it.
    Propagation,
    /// Answering queries: CPU per query, memory.
    Serve,
    /// Loading and building zones.
    Build,
    /// Durable writes and point reads of the store.
    Store,
    /// One node feeding many edges.
    Fanout,
    /// A new edge: from an empty disk to serving.
    Bootstrap,
    /// An edge that is started again.
    Restart,
    /// Bytes on disk.
    Space,
    /// ACME: a TXT record added, awaited everywhere, deleted.
    Churn,
    /// Three voters: changes at a rate, and a leader that is killed.
    Voters,
}

impl Scenario {
    /// All of them, in the order in which they are run.
    pub(crate) const ALL: [Self; 10] = [
        Self::Propagation,
        Self::Serve,
        Self::Build,
        Self::Store,
        Self::Fanout,
        Self::Bootstrap,
        Self::Restart,
        Self::Space,
        Self::Churn,
        Self::Voters,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Propagation => "propagation",
            Self::Serve => "serve",
            Self::Build => "build",
            Self::Store => "store",
            Self::Fanout => "fanout",
            Self::Bootstrap => "bootstrap",
            Self::Restart => "restart",
            Self::Space => "space",
            Self::Churn => "churn",
            Self::Voters => "voters",
        }
    }

    /// Makes its figures.
    pub(crate) fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        bench.begin(self.name());
        match self {
            Self::Propagation => propagation::run(bench),
            Self::Serve => serve::run(bench),
            Self::Build => build::run(bench),
            Self::Store => store::run(bench),
            Self::Fanout => fanout::run(bench),
            Self::Bootstrap => bootstrap::run(bench),
            Self::Restart => restart::run(bench),
            Self::Space => space::run(bench),
            Self::Churn => churn::run(bench),
            Self::Voters => voters::run(bench),
        }
    }
}
