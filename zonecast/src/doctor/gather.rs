//! From what was asked for to facts: reads configurations and folders, asks nodes, asks edges for DNS.
//!
//! Nodes are asked at the same time, so that those that do not answer cost little. An edge's chain is asked for at the
//! core after the edge has said its version, so that a core that goes on is not taken for one that lacks it.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::facts::{
    Answer, ConfigFacts, CoreChain, DnsFacts, Facts, LocalFacts, NodeFacts, Protocol, Unanswered, Wanted,
};
use super::local::{look, reachable};
use super::probe;
use crate::config::{RoleFile, read_any};
use zonecast_api::ClientOptions;
use zonecast_api::types::{EdgeNode, NodeStatus};
use zonecast_api::{Client, ClientError};

/// For a node to say how it stands; one that takes longer has a trouble of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which zone is asked for when nobody says which is hosted. Any answer shows that the server lives.
const ANY_ZONE: &str = ".";

/// What to look at.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Files of nodes of this machine.
    pub configs: Vec<PathBuf>,
    /// The core, and how sure it is that there is one.
    pub core: (String, bool),
    /// Further nodes.
    pub nodes: Vec<String>,
    /// Token and CA for all of them.
    pub options: ClientOptions,
}

/// A node to ask.
struct Target {
    url: String,
    wanted: Wanted,
    client: Result<Client, String>,
}

/// Gathers everything. Takes some seconds when nodes do not answer.
#[must_use]
pub(crate) fn gather(asked: &Asked) -> Facts {
    let (mut configs, mut targets) = (Vec::new(), Vec::<Target>::new());
    for file in &asked.configs {
        let read = read_any(file).map_err(|failure| failure.message);
        let local = read.map(|config| {
            let local = look(&config);
            let ca = identity_of(&config).join("ca.pem");
            add(&mut targets, &local.url, Wanted::Configured, asked.options.clone().or_ca_file(&ca).ok(), asked);
            local
        });
        configs.push(ConfigFacts { file: file.display().to_string(), local });
    }
    let (core, is_named) = &asked.core;
    let core_is_configured = configs.iter().any(is_core);
    if *is_named || !core_is_configured {
        // On a machine that was said to hold an edge alone, no core is missing.
        let nothing_else = asked.configs.is_empty() && asked.nodes.is_empty();
        let wanted = if *is_named || nothing_else { Wanted::Named } else { Wanted::Guessed };
        add(&mut targets, core, wanted, None, asked);
    }
    asked.nodes.iter().for_each(|url| add(&mut targets, url, Wanted::Named, None, asked));

    let mut nodes = at_once(&targets, |target| NodeFacts {
        url: target.url.clone(),
        wanted: target.wanted,
        answer: target.client.as_ref().map_err(|why| Unanswered { reached: true, why: why.clone() }).and_then(status),
    });
    let is_core = |node: &NodeFacts| matches!(&node.answer, Ok(Answer { status: NodeStatus::Core(_), .. }));
    let core = nodes.iter().zip(&targets).find(|(node, _)| is_core(node));
    let core = core.and_then(|(_, target)| target.client.as_ref().ok());
    let hosted = core.and_then(|core| core.zones(None).ok()).and_then(|page| page.zones.into_iter().next());
    let hosted = hosted.map(|zone| zone.zone);
    let asked_more = at_once(&nodes, |node| match &node.answer {
        Ok(Answer { status: NodeStatus::Edge(edge), .. }) => {
            let chain = core.filter(|_| !edge.store.is_empty()).map(|core| core_chain(core, edge));
            (chain, dns(edge, &node.url, hosted.as_deref()))
        }
        _ => (None, vec![]),
    });
    for (node, (core_chain, dns)) in nodes.iter_mut().zip(asked_more) {
        if let Ok(answer) = &mut node.answer {
            (answer.core_chain, answer.dns) = (core_chain, dns);
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Facts { now, release: env!("CARGO_PKG_VERSION").into(), configs, nodes }
}

fn is_core(config: &ConfigFacts) -> bool {
    matches!(&config.local, Ok(LocalFacts { role: "core", .. }))
}

fn identity_of(config: &RoleFile) -> &Path {
    match config {
        RoleFile::Core(core) => &core.identity,
        RoleFile::Relay(relay) => &relay.identity,
        RoleFile::Edge(edge) => &edge.identity,
    }
}

/// One node more, unless it is there already.
fn add(targets: &mut Vec<Target>, url: &str, wanted: Wanted, options: Option<ClientOptions>, asked: &Asked) {
    let url = url.trim_end_matches('/');
    if url.is_empty() || targets.iter().any(|target| target.url == url) {
        return;
    }
    let options = options.unwrap_or_else(|| asked.options.clone()).within(PATIENCE);
    let client = Client::with_options(url, options).map_err(|error| error.to_string());
    targets.push(Target { url: url.to_owned(), wanted, client });
}

/// All of them at the same time.
fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

fn status(client: &Client) -> Result<Answer, Unanswered> {
    // The first request also connects; the second is answered in the time that the network takes.
    let first = client.node().map_err(|error| unanswered(&error))?;
    let (wall, begin) = (SystemTime::now(), Instant::now());
    let status = client.node().unwrap_or(first);
    let half = begin.elapsed().as_secs_f64() / 2.0;
    let here = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() + half;
    let clock_ahead = status.vitals().map_or(0.0, |vitals| vitals.now - here);
    let cluster = match &status {
        NodeStatus::Core(_) => client.cluster().ok(),
        NodeStatus::Edge(_) => None,
    };
    Ok(Answer { status, clock_ahead, clock_error: half, cluster, core_chain: None, dns: vec![] })
}

fn unanswered(error: &ClientError) -> Unanswered {
    match error {
        // It may be an edge that should be there.
        ClientError::Unreachable { core, source } => {
            Unanswered { reached: false, why: format!("nobody answers at {core}: {source}") }
        }
        ClientError::Silent { .. } => Unanswered { reached: false, why: error.to_string() },
        error => Unanswered { reached: true, why: error.to_string() },
    }
}

fn core_chain(core: &Client, edge: &EdgeNode) -> CoreChain {
    match core.chain(edge.version) {
        Ok(known) => match known.chain {
            Some(chain) => CoreChain::Known(chain),
            None if edge.version > known.head => CoreChain::Ahead,
            None => CoreChain::Forgotten,
        },
        Err(error) => CoreChain::Unknown(error.to_string()),
    }
}

fn dns(edge: &EdgeNode, url: &str, hosted: Option<&str>) -> Vec<DnsFacts> {
    let addresses = edge.dns.iter().filter_map(|address| seen_from_here(address.parse().ok()?, url));
    let asked = addresses.flat_map(|address| [(address, Protocol::Udp), (address, Protocol::Tcp)]);
    let (zone, is_hosted) = hosted.map_or((ANY_ZONE, false), |zone| (zone, true));
    asked.map(|(address, protocol)| probe::ask(address, protocol, zone, is_hosted)).collect()
}

/// Where an address of a node is reached: one that stands for all of its machine is where its HTTP side is, and one of
/// its loopback cannot be asked from elsewhere.
fn seen_from_here(address: SocketAddr, url: &str) -> Option<SocketAddr> {
    let host = host(url)?;
    let is_here = host.is_loopback();
    match address.ip() {
        ip if ip.is_unspecified() && is_here => Some(reachable(address)),
        ip if ip.is_unspecified() => (ip.is_ipv4() == host.is_ipv4()).then(|| (host, address.port()).into()),
        ip if ip.is_loopback() => is_here.then_some(address),
        _ => Some(address),
    }
}

/// The address in a URL, or that of the name in it.
fn host(url: &str) -> Option<IpAddr> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let with_port =
        if authority.ends_with(']') || !authority.contains(':') { format!("{authority}:80") } else { authority.into() };
    Some(with_port.to_socket_addrs().ok()?.next()?.ip())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_node_whose_port_speaks_tls_is_reached_and_the_url_is_wrong() {
        const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x32";
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Plain HTTP, then whether it is TLS that is spoken.
        let node = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(ALERT).unwrap();
            }
        });
        let Err(Unanswered { reached, why }) = status(&Client::new(&url)) else { panic!("it has no answer") };
        assert!(reached && why.ends_with("speaks TLS: use `https://`"), "{why}");
        node.join().unwrap();
    }

    #[test]
    fn an_edge_is_asked_where_it_can_be_reached() {
        let seen = |address: &str, url: &str| {
            seen_from_here(address.parse().unwrap(), url).map(|address| address.to_string()).unwrap_or_default()
        };
        assert_eq!(seen("0.0.0.0:53", "http://192.0.2.7:8063"), "192.0.2.7:53");
        assert_eq!(seen("0.0.0.0:53", "http://127.0.0.1:8063"), "127.0.0.1:53");
        assert_eq!(seen("[::]:53", "https://[2001:db8::7]:8063"), "[2001:db8::7]:53");
        assert_eq!(seen("[::]:53", "http://192.0.2.7"), "", "not over the other protocol");
        assert_eq!(seen("127.0.0.1:53", "http://192.0.2.7:8063"), "", "not from here");
        assert_eq!(seen("198.51.100.1:53", "http://192.0.2.7:8063"), "198.51.100.1:53");
    }
}
