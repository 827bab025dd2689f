//! What the doctor knows before it judges: plain data, gathered elsewhere.

use std::net::SocketAddr;

use zonecast_api::types::{ClusterInfo, DiskSpace, NodeStatus};

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// When they were gathered, seconds of Unix time.
    pub now: u64,
    /// Release of this program.
    pub release: String,
    /// Each configuration that was named.
    pub configs: Vec<ConfigFacts>,
    /// Each node that was asked.
    pub nodes: Vec<NodeFacts>,
}

/// A configuration file, and what it points at on this machine.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFacts {
    /// Where it is.
    pub file: String,
    /// What it says, or why it says nothing.
    pub local: Result<LocalFacts, String>,
}

/// What a node has on this machine.
#[derive(Clone, Debug)]
pub(crate) struct LocalFacts {
    /// `core` or `edge`.
    pub role: &'static str,
    /// URL of its HTTP side, by which it is found among the nodes.
    pub url: String,
    /// Its certificate.
    pub identity: IdentityFacts,
    /// Who may ask it for what, if it asks.
    pub tokens: Option<TokensFacts>,
    /// Its secrets of cookies, if they are in a file.
    pub secrets: Option<FileFacts>,
    /// Where it keeps everything.
    pub data: DataFacts,
    /// Where it listens.
    pub ports: Vec<PortFacts>,
}

/// A file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Where.
    pub path: String,
    /// How it is; absent where there is none.
    pub state: Option<FileState>,
}

/// Who may do what with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    /// The nine bits of permissions.
    pub mode: u32,
    /// Number of its owner.
    pub owner: u32,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// An identity folder.
#[derive(Clone, Debug)]
pub(crate) struct IdentityFacts {
    /// The folder itself.
    pub folder: FileFacts,
    /// The private key.
    pub key: FileFacts,
    /// What the files say together, or why nothing.
    pub certificate: Result<CertificateFacts, String>,
}

/// A certificate whose key and CA fit it. Times are seconds of Unix time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// What the node may be.
    pub role: String,
    /// What it is called.
    pub name: String,
    /// Number, hexadecimal.
    pub serial: String,
    /// Good from here.
    pub not_before: u64,
    /// Good to here.
    pub not_after: u64,
    /// Whether the list beside it names it.
    pub revoked: bool,
}

/// A file of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokensFacts {
    /// The file.
    pub file: FileFacts,
    /// How many are in it, or why it cannot be used.
    pub count: Result<usize, String>,
}

/// A data folder.
#[derive(Clone, Debug)]
pub(crate) struct DataFacts {
    /// The folder.
    pub folder: FileFacts,
    /// Of its disk, or of where it would be made.
    pub disk: Option<DiskSpace>,
    /// Whether its disk takes no writes.
    pub read_only: bool,
    /// Whether it is in memory, and gone with the machine.
    pub in_memory: bool,
}

/// An address that a node is to listen on.
#[derive(Clone, Debug)]
pub(crate) struct PortFacts {
    /// For what: `DNS`, `HTTP`, `QUIC`.
    pub what: &'static str,
    /// Over what.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// Whether the machine has the address.
    pub is_here: bool,
    /// Who is there.
    pub listener: Listener,
}

/// What is spoken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

/// Who listens on an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// Nobody.
    Nobody,
    /// Somebody, who may be known.
    Somebody(Vec<ProcessName>),
    /// The system does not tell.
    Unknown(String),
}

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessName {
    /// Its id.
    pub pid: u32,
    /// What the system calls it.
    pub name: String,
}

/// A node that was asked how it stands.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    /// Where.
    pub url: String,
    /// How sure it is that there should be one.
    pub wanted: Wanted,
    /// What it said, or why it said nothing.
    pub answer: Result<Answer, Unanswered>,
}

/// How sure it is that there should be a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It was named.
    Named,
    /// A configuration was named that makes one.
    Configured,
    /// It is where a core is when nobody says otherwise.
    Guessed,
}

/// Why a node did not say how it stands.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    /// Whether anybody is there at all.
    pub reached: bool,
    /// One line.
    pub why: String,
}

/// What a node said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// How it stands.
    pub status: NodeStatus,
    /// Its clock less ours in the middle of the request, seconds.
    pub clock_ahead: f64,
    /// What that may be wrong by: half of how long the request took.
    pub clock_error: f64,
    /// Of a core: its cluster, unless its release does not say.
    pub cluster: Option<ClusterInfo>,
    /// Of an edge: the chain that the core has at the edge's version.
    pub core_chain: Option<CoreChain>,
    /// Of an edge: what came of asking it for DNS.
    pub dns: Vec<DnsFacts>,
}

/// What a core says about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CoreChain {
    /// This chain.
    Known(String),
    /// It does not remember so far back.
    Forgotten,
    /// It has no such version yet.
    Ahead,
    /// It could not be asked.
    Unknown(String),
}

/// One DNS query.
#[derive(Clone, Debug)]
pub(crate) struct DnsFacts {
    /// Whom.
    pub address: SocketAddr,
    /// Over what.
    pub protocol: Protocol,
    /// For the SOA of what.
    pub zone: String,
    /// Whether the zone is known to be hosted.
    pub is_hosted: bool,
    /// What came back.
    pub reply: DnsReply,
}

/// What came back on a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DnsReply {
    /// The SOA, with authority.
    Soa,
    /// Something else, by its code.
    Other(String),
    /// Nothing.
    Nothing(String),
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

impl Facts {
    /// The core that answered, if one did. Of several, the one that leads, else the first.
    pub(super) fn core(&self) -> Option<&zonecast_api::types::Status> {
        let mut cores = self.nodes.iter().filter_map(|node| match node.answer.as_ref().ok()? {
            answer @ Answer { status: NodeStatus::Core(core), .. } => Some((core, answer.leads())),
            _ => None,
        });
        let (first, leads) = cores.next()?;
        if leads { Some(first) } else { Some(cores.find(|(_, leads)| *leads).map_or(first, |(core, _)| core)) }
    }

    /// Whether somebody is at this URL who does not let us look.
    pub(super) fn is_shut_at(&self, url: &str) -> bool {
        let shut = |node: &NodeFacts| matches!(&node.answer, Err(Unanswered { reached: true, .. }));
        self.nodes.iter().any(|node| node.url == url && shut(node))
    }

    /// What the node at this URL said.
    pub(super) fn answer_at(&self, url: &str) -> Option<&Answer> {
        self.nodes.iter().find(|node| node.url == url)?.answer.as_ref().ok()
    }
}

impl Answer {
    /// Whether it is of a core that leads its cluster.
    fn leads(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.leader.as_ref() == Some(&cluster.core))
    }
}

impl LocalFacts {
    /// What the node is called, as far as its certificate says.
    pub(super) fn name(&self) -> &str {
        self.identity.certificate.as_ref().map_or(self.role, |certificate| &certificate.name)
    }
}

impl NodeFacts {
    /// What the node is called: by itself, else by its URL.
    pub(super) fn name(&self) -> String {
        let Ok(answer) = &self.answer else {
            return if self.wanted == Wanted::Guessed { "core".into() } else { self.url.clone() };
        };
        match &answer.status {
            NodeStatus::Edge(edge) => edge.edge.clone(),
            status @ NodeStatus::Core(_) => {
                let certificate = status.vitals().and_then(|vitals| vitals.certificate.as_ref());
                certificate.map_or("core", |it| it.node.rsplit(' ').next().unwrap_or("core")).to_owned()
            }
        }
    }
}
