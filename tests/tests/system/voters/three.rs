//! Three cores that vote, each of which the others reach through a proxy.

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::Value;
use zonecast_tests::{Node, System, UdpProxy, poll_until};

use crate::cluster::{PATIENCE, wait};
use crate::http::Http;

/// How many there are.
pub(super) const CORES: usize = 3;

/// Three cores that vote, and the network between them.
pub(super) struct Three {
    system: System,
    others: [Node; 2],
    pub(super) proxy: UdpProxy,
}

impl Three {
    /// `prepare` changes each of them, by its place, before it starts.
    pub(super) fn start(seed: u64, prepare: impl Fn(usize, &mut Node)) -> Self {
        let mut system = System::new(0).unwrap();
        let mut others = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
        let addresses = [system.core.service, others[0].service, others[1].service];
        let proxy = UdpProxy::start(&addresses, seed).unwrap();
        let address = |place: usize| format!("address = \"{}\"\n", proxy.front(place).unwrap());
        system.core.http_lines.push_str(&format!("[cluster]\n{}", address(0)));
        others.iter_mut().enumerate().for_each(|(place, core)| core.http_lines.push_str(&address(place + 1)));
        prepare(0, &mut system.core);
        others.iter_mut().enumerate().for_each(|(place, core)| prepare(place + 1, core));
        system.core.start_ready().unwrap();
        others.iter_mut().for_each(|core| system.let_in(core, &[]).unwrap());
        wait(&system.core, "three vote", |cluster| cluster["voters"] == 3 && cluster["changing"] == false);
        Self { system, others, proxy }
    }

    pub(super) fn core(&self, place: usize) -> &Node {
        match place {
            0 => &self.system.core,
            _ => &self.others[place - 1],
        }
    }

    pub(super) fn core_mut(&mut self, place: usize) -> &mut Node {
        match place {
            0 => &mut self.system.core,
            _ => &mut self.others[place - 1],
        }
    }

    /// Where their APIs are.
    pub(super) fn apis(&self) -> [SocketAddr; CORES] {
        [0, 1, 2].map(|place| self.core(place).http)
    }

    /// Waits until some core says that all are there and which one leads; its place.
    pub(super) fn wait_whole(&self, round: &str) -> usize {
        let look = || (0..CORES).find_map(|place| self.leader_as_seen_by(place));
        poll_until(Instant::now() + PATIENCE, look).unwrap_or_else(|| {
            let logs: Vec<String> = (0..CORES).map(|place| self.core(place).log()).collect();
            panic!("{round}: the cores do not become one again: {logs:#?}")
        })
    }

    fn leader_as_seen_by(&self, place: usize) -> Option<usize> {
        let (status, cluster) = Http::new(self.core(place).http).call("GET", "/v1/cluster", None).ok()?;
        let leader: &Value = &cluster["leader"];
        let is_whole = status == 200 && cluster["reached"] == CORES;
        (0..CORES).find(|place| is_whole && *leader == self.core(*place).name.as_str())
    }

    /// No core has ended by itself, or panicked.
    pub(super) fn assert_well(&mut self, round: &str) {
        for place in 0..CORES {
            let core = self.core_mut(place);
            assert!(core.ended().is_none(), "{round}: {} has ended:\n{}", core.name, core.log());
            assert!(core.log_lines(&["panicked"]).is_empty(), "{round}: {}:\n{}", core.name, core.log());
        }
    }
}
