//! One client for each edge, each in a thread of its own: says when every edge showed a change.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::probe::{Answer, Probe};

/// An address that is waited for, and for how long.
struct Watch {
    name: String,
    address: Ipv4Addr,
    limit: Duration,
}

/// When an edge answered with the address, and that answer.
pub(crate) type Sighting = (Instant, Answer);

/// One thread for each edge, which queries it until it shows a change. The threads end when it is dropped.
pub(crate) struct Watchers {
    edges: Vec<(SyncSender<Watch>, Receiver<anyhow::Result<Sighting>>)>,
}

impl Watchers {
    /// One for each of these.
    pub(crate) fn start<'scope>(scope: &'scope Scope<'scope, '_>, edges: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut channels = Vec::new();
        for edge in edges {
            let (ask, asked) = sync_channel::<Watch>(1);
            let (tell, told) = sync_channel(1);
            let mut probe = Probe::new(*edge)?;
            scope.spawn(move || {
                for watch in asked {
                    if tell.send(probe.wait_for(&watch.name, watch.address, watch.limit)).is_err() {
                        return;
                    }
                }
            });
            channels.push((ask, told));
        }
        Ok(Self { edges: channels })
    }

    /// Begins to ask every edge for this address.
    pub(crate) fn watch(&self, name: &str, address: Ipv4Addr, limit: Duration) -> anyhow::Result<()> {
        for (ask, _) in &self.edges {
            ask.send(Watch { name: name.to_owned(), address, limit }).context("watcher ended")?;
        }
        Ok(())
    }

    /// Waits until all of them have it; in the order of the edges.
    pub(crate) fn seen(&self) -> anyhow::Result<Vec<Sighting>> {
        self.edges.iter().map(|(_, told)| told.recv().context("watcher ended")?).collect()
    }
}
