//! Facts in, findings out.

use super::diagnosis::examine;
use super::facts::{
    Answer, CertificateFacts, ConfigFacts, CoreChain, DataFacts, DnsFacts, DnsReply, Facts, FileFacts, FileState,
    IdentityFacts, Listener, LocalFacts, NodeFacts, PortFacts, ProcessName, Protocol, TokensFacts, Unanswered, Wanted,
};
use super::finding::Severity;
use super::report::Report;
use zonecast_api::types::{
    CertificateInfo, ClusterCandidate, ClusterInfo, ClusterMember, ClusterMemberState, DiskSpace, EdgeInfo, EdgeNode,
    NodeStatus, Status, Vitals,
};

const DAY: u64 = 24 * 60 * 60;
const NOW: u64 = 20_000 * DAY;
const GIB: u64 = 1 << 30;
const CORE: &str = "http://127.0.0.1:8053";
const EDGE: &str = "http://127.0.0.1:8063";

fn vitals(node: &str) -> Option<Vitals> {
    let disk = DiskSpace { total_bytes: 100 * GIB, free_bytes: 50 * GIB, used_bytes: GIB };
    let certificate =
        CertificateInfo { node: node.into(), serial: "01".into(), not_after: NOW + 100 * DAY, revoked: false };
    let (disk, certificate, max_files) = (Some(disk), Some(certificate), Some(65_536));
    Some(Vitals { pid: 7, open_files: 100, max_files, disk, certificate, ..Vitals::default() })
}

fn answer(status: NodeStatus) -> Answer {
    Answer { status, clock_ahead: 0.01, clock_error: 0.01, cluster: None, core_chain: None, dns: vec![] }
}

fn node(url: &str, answer: Answer) -> NodeFacts {
    NodeFacts { url: url.into(), wanted: Wanted::Named, answer: Ok(answer) }
}

fn core() -> Status {
    let edge = EdgeInfo { edge: "edge-1".into(), connected: true, expected: true, applied: 9, ..EdgeInfo::default() };
    Status {
        release: "0.1.0".into(),
        ready: true,
        store: "s".into(),
        epoch: 1,
        version: 9,
        chain: "c9".into(),
        vitals: vitals("core core-1"),
        edges: vec![edge],
        ..Status::default()
    }
}

fn edge() -> EdgeNode {
    EdgeNode {
        release: "0.1.0".into(),
        edge: "edge-1".into(),
        ready: true,
        store: "s".into(),
        epoch: 1,
        version: 9,
        head: 9,
        chain: "c9".into(),
        following: "streaming".into(),
        silent_s: Some(0.5),
        zones: 3,
        vitals: vitals("edge edge-1"),
        ..EdgeNode::default()
    }
}

fn edge_answer() -> Answer {
    let dns = [Protocol::Udp, Protocol::Tcp].map(|protocol| DnsFacts {
        address: "127.0.0.1:53".parse().unwrap(),
        protocol,
        zone: "example.com.".into(),
        is_hosted: true,
        reply: DnsReply::Soa,
    });
    let core_chain = Some(CoreChain::Known("c9".into()));
    Answer { core_chain, dns: dns.to_vec(), ..answer(NodeStatus::Edge(edge())) }
}

fn file(path: &str, mode: u32, is_folder: bool) -> FileFacts {
    FileFacts { path: path.into(), state: Some(FileState { mode, owner: 100, is_folder }) }
}

fn local() -> LocalFacts {
    let certificate = CertificateFacts {
        role: "edge".into(),
        name: "edge-1".into(),
        serial: "01".into(),
        not_before: NOW - DAY,
        not_after: NOW + 100 * DAY,
        revoked: false,
    };
    let port = |what, protocol, port: u16| PortFacts {
        what,
        protocol,
        address: ([127, 0, 0, 1], port).into(),
        is_here: true,
        listener: Listener::Somebody(vec![ProcessName { pid: 7, name: "zonecast".into() }]),
    };
    LocalFacts {
        role: "edge",
        url: EDGE.into(),
        identity: IdentityFacts {
            folder: file("/i", 0o700, true),
            key: file("/i/node.key", 0o600, false),
            certificate: Ok(certificate),
        },
        tokens: Some(TokensFacts { file: file("/t", 0o600, false), count: Ok(1) }),
        secrets: Some(file("/c", 0o600, false)),
        data: DataFacts {
            folder: file("/d", 0o700, true),
            disk: Some(DiskSpace { total_bytes: 100 * GIB, free_bytes: 50 * GIB, used_bytes: GIB }),
            read_only: false,
            in_memory: false,
        },
        ports: vec![port("HTTP", Protocol::Tcp, 8063), port("DNS", Protocol::Udp, 53), port("DNS", Protocol::Tcp, 53)],
    }
}

/// A core, its edge, and the edge's configuration; all is well.
fn healthy() -> Facts {
    Facts {
        now: NOW,
        release: "0.1.0".into(),
        configs: vec![ConfigFacts { file: "edge.toml".into(), local: Ok(local()) }],
        nodes: vec![node(CORE, answer(NodeStatus::Core(core()))), node(EDGE, edge_answer())],
    }
}

/// What is found beside what is well, as `severity node check`.
fn found(facts: &Facts) -> Vec<String> {
    let findings = examine(facts);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Ok || !finding.advice.is_empty()));
    let odd = findings.iter().filter(|finding| finding.severity != Severity::Ok);
    odd.map(|it| format!("{} {} {}", it.severity, it.node, it.check)).collect()
}

fn with_local(change: impl FnOnce(&mut LocalFacts)) -> Vec<String> {
    let mut facts = healthy();
    change(facts.configs[0].local.as_mut().unwrap());
    found(&facts)
}

fn with_core(change: impl FnOnce(&mut Status)) -> Vec<String> {
    let mut facts = healthy();
    let NodeStatus::Core(core) = &mut facts.nodes[0].answer.as_mut().unwrap().status else { panic!("not a core") };
    change(core);
    found(&facts)
}

fn with_edge(change: impl FnOnce(&mut EdgeNode, &mut Option<CoreChain>, &mut Vec<DnsFacts>)) -> Vec<String> {
    let mut facts = healthy();
    let Answer { status: NodeStatus::Edge(edge), core_chain, dns, .. } = facts.nodes[1].answer.as_mut().unwrap() else {
        panic!("not an edge")
    };
    change(edge, core_chain, dns);
    found(&facts)
}

const NONE: [&str; 0] = [];

#[test]
fn nothing_is_found_where_all_is_well() {
    let findings = examine(&healthy());
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Ok), "{findings:#?}");
    for check in ["config", "identity", "certificate", "tokens", "data", "disk", "port", "answer", "clock", "files"] {
        assert!(checks.contains(&check), "{check} was not looked at");
    }
    for check in ["following", "dns", "chain", "connected", "release"] {
        assert!(checks.contains(&check), "{check} was not looked at");
    }
}

#[test]
fn certificates() {
    let at =
        |change: fn(&mut CertificateFacts)| with_local(|local| change(local.identity.certificate.as_mut().unwrap()));
    assert_eq!(at(|it| it.not_after = NOW + 30 * DAY), NONE);
    assert_eq!(at(|it| it.not_after = NOW + 30 * DAY - 1), ["warn edge-1 certificate"]);
    assert_eq!(at(|it| it.not_after = NOW), ["ERROR edge-1 certificate"]);
    assert_eq!(at(|it| it.not_before = NOW + 1), ["ERROR edge-1 certificate"]);
    assert_eq!(at(|it| it.revoked = true), ["ERROR edge-1 certificate"]);
    assert_eq!(at(|it| it.role = "core".into()), ["ERROR edge-1 certificate"]);
    assert_eq!(at(|it| it.serial = "02".into()), ["warn edge-1 certificate"], "the node uses another");
    let none = with_local(|local| local.identity.certificate = Err("/i/node.pem cannot be used".into()));
    assert_eq!(none, ["ERROR edge certificate"]);
    let expired = with_core(|core| {
        core.vitals.as_mut().unwrap().certificate.as_mut().unwrap().not_after = NOW - 1;
    });
    assert_eq!(expired, ["ERROR core-1 certificate"], "seen from afar");
}

#[test]
fn files_and_folders() {
    let mode = |path: fn(&mut LocalFacts) -> &mut FileFacts, mode| {
        with_local(|local| path(local).state.as_mut().unwrap().mode = mode)
    };
    assert_eq!(mode(|local| &mut local.identity.key, 0o640), ["ERROR edge-1 identity"]);
    assert_eq!(mode(|local| &mut local.identity.folder, 0o755), ["ERROR edge-1 identity"]);
    assert_eq!(mode(|local| &mut local.identity.key, 0o400), NONE);
    assert_eq!(mode(|local| &mut local.data.folder, 0o750), ["warn edge-1 data"]);
    assert_eq!(mode(|local| &mut local.data.folder, 0o500), ["ERROR edge-1 data"]);
    let owner = with_local(|local| local.identity.key.state.as_mut().unwrap().owner = 0);
    assert_eq!(owner, ["warn edge-1 identity"]);
    assert_eq!(with_local(|local| local.data.read_only = true), ["ERROR edge-1 data"]);
    assert_eq!(with_local(|local| local.data.in_memory = true), ["warn edge-1 data"]);
    let secrets = with_local(|local| local.secrets.as_mut().unwrap().state.as_mut().unwrap().mode = 0o604);
    assert_eq!(secrets, ["ERROR edge-1 identity"]);
    let refused = with_local(|local| {
        local.identity.key.state.as_mut().unwrap().mode = 0o644;
        local.identity.certificate = Err("others may read it".into());
    });
    assert_eq!(refused, ["ERROR edge identity"], "once is enough");
    assert_eq!(with_local(|local| local.data.folder.state = None), ["ERROR edge-1 data"], "it runs");
    let tokens = |count| with_local(|local| local.tokens.as_mut().unwrap().count = count);
    assert_eq!(tokens(Ok(0)), ["warn edge-1 tokens"]);
    assert_eq!(tokens(Err("others may read it".into())), ["ERROR edge-1 tokens"]);
}

#[test]
fn disks() {
    let free = |free_bytes, total_bytes| {
        with_local(|local| local.data.disk = Some(DiskSpace { total_bytes, free_bytes, used_bytes: 0 }))
    };
    assert_eq!(free(10 * GIB, 100 * GIB), NONE);
    assert_eq!(free(10 * GIB - 1, 100 * GIB), ["warn edge-1 disk"], "under 10 %");
    assert_eq!(free(GIB, 2 * GIB), NONE);
    assert_eq!(free(GIB - 1, 2 * GIB), ["warn edge-1 disk"], "under 1 GiB");
    assert_eq!(free(1, 100 * GIB), ["ERROR edge-1 disk"]);
    let afar = with_core(|core| core.vitals.as_mut().unwrap().disk.as_mut().unwrap().free_bytes = 1);
    assert_eq!(afar, ["ERROR core-1 disk"]);
}

#[test]
fn ports() {
    let port = |listener: Listener| with_local(|local| local.ports[1].listener = listener);
    assert_eq!(port(Listener::Nobody), ["ERROR edge-1 port"]);
    let gone = |at: usize| with_local(|local| local.ports[at].is_here = false);
    assert_eq!(gone(0), ["ERROR edge-1 port"], "HTTP");
    assert_eq!(gone(1), ["warn edge-1 port"], "DNS is bound before the machine has the address");
    assert_eq!(port(Listener::Unknown("x".into())), ["warn edge-1 port"]);
    assert_eq!(port(Listener::Somebody(vec![])), NONE, "whose it is only root sees");
    let other = vec![ProcessName { pid: 8, name: "nsd".into() }];
    assert_eq!(port(Listener::Somebody(other.clone())), ["ERROR edge-1 port"]);

    let mut facts = healthy();
    facts.nodes[1].answer = Err(Unanswered { reached: false, why: "refused".into() });
    let local = facts.configs[0].local.as_mut().unwrap();
    local.ports.iter_mut().for_each(|port| port.listener = Listener::Nobody);
    assert_eq!(found(&facts), ["ERROR edge-1 process", &format!("ERROR {EDGE} answer")]);
    facts.configs[0].local.as_mut().unwrap().ports[0].listener = Listener::Somebody(other);
    let taken = examine(&facts).into_iter().find(|finding| finding.message.contains("taken")).unwrap();
    assert!(taken.message.contains("by nsd (process 8)"), "{taken:?}");
}

#[test]
fn a_node_that_lets_nobody_look_is_not_taken_for_a_stranger() {
    let mut facts = healthy();
    facts.nodes[1].answer = Err(Unanswered { reached: true, why: "this needs a token".into() });
    assert_eq!(found(&facts), [format!("ERROR {EDGE} answer")]);
    facts.nodes.remove(1);
    facts.configs[0].local.as_mut().unwrap().url = String::new();
    assert_eq!(found(&facts), ["warn edge-1 answer"], "HTTP on any port");
}

#[test]
fn nodes_that_do_not_answer() {
    let unanswered = |wanted, reached| {
        let mut facts = healthy();
        facts.nodes[0].wanted = wanted;
        facts.nodes[0].answer = Err(Unanswered { reached, why: "x".into() });
        found(&facts)
    };
    let (error, warning) = (format!("ERROR {CORE} answer"), "warn core answer".to_owned());
    assert_eq!(unanswered(Wanted::Named, false), [error.as_str()]);
    assert_eq!(unanswered(Wanted::Configured, false), [error.as_str()]);
    assert_eq!(unanswered(Wanted::Guessed, false), [warning.as_str()]);
    assert_eq!(unanswered(Wanted::Guessed, true), ["ERROR core answer"]);
}

#[test]
fn clocks_files_and_faults() {
    let clock = |ahead, error| {
        let mut facts = healthy();
        let answer = facts.nodes[1].answer.as_mut().unwrap();
        (answer.clock_ahead, answer.clock_error) = (ahead, error);
        found(&facts)
    };
    assert_eq!(clock(1.0, 0.0), NONE);
    assert_eq!(clock(2.0, 1.5), NONE, "a slow network");
    assert_eq!(clock(-1.1, 0.0), ["warn edge-1 clock"]);
    assert_eq!(clock(61.0, 0.5), ["ERROR edge-1 clock"]);
    let files = |open_files, max_files| {
        with_core(|core| {
            let vitals = core.vitals.as_mut().unwrap();
            (vitals.open_files, vitals.max_files) = (open_files, max_files);
        })
    };
    assert_eq!(files(100, None), NONE);
    assert_eq!(files(100, Some(1024)), ["warn core-1 files"]);
    assert_eq!(files(900, Some(1024)), ["ERROR core-1 files"]);
    assert_eq!(with_core(|core| core.fault = Some("disk full".into())), ["ERROR core-1 fault"]);
    assert_eq!(with_core(|core| core.ready = false), ["warn core-1 ready"]);
    assert_eq!(with_core(|core| core.moved_from = Some("/d on m".into())), ["warn core-1 moved"]);
    assert_eq!(with_core(|core| core.imported_elsewhere = Some("core-2".into())), ["warn core-1 zones"]);
    assert_eq!(with_core(|core| core.vitals = None), ["warn core vitals"]);
}

#[test]
fn edges_seen_by_themselves() {
    assert_eq!(with_edge(|edge, _, _| edge.following = "loading".into()), ["warn edge-1 following"]);
    assert_eq!(with_edge(|edge, _, _| edge.silent_s = Some(6.0)), ["warn edge-1 following"]);
    assert_eq!(with_edge(|edge, _, _| edge.ready = false), ["warn edge-1 ready"]);
    assert_eq!(with_edge(|edge, _, _| edge.damage = Some("copy-3 is damaged".into())), ["ERROR edge-1 copy"]);
    assert_eq!(with_edge(|edge, _, _| edge.twin = Some("another; stop it".into())), ["ERROR edge-1 twin"]);
    let mut facts = healthy();
    let Answer { status: NodeStatus::Edge(edge), .. } = facts.nodes[1].answer.as_mut().unwrap() else { panic!() };
    edge.following = "away".into();
    edge.trouble = Some("192.0.2.1:8054: timed out; is the core running?".into());
    let away = examine(&facts).into_iter().find(|finding| finding.check == "following").unwrap();
    assert!(away.message.contains("timed out") && away.advice == "is the core running?", "{away:?}");

    let reply = |reply| with_edge(|_, _, dns| dns[1].reply = reply);
    assert_eq!(reply(DnsReply::Other("REFUSED".into())), ["ERROR edge-1 dns"]);
    assert_eq!(reply(DnsReply::Nothing("no answer in time".into())), ["ERROR edge-1 dns"]);
    let not_hosted = with_edge(|_, _, dns| {
        (dns[1].is_hosted, dns[1].reply) = (false, DnsReply::Other("REFUSED".into()));
    });
    assert_eq!(not_hosted, NONE);
    let behind = with_edge(|edge, _, dns| {
        edge.head = 10;
        dns[1].reply = DnsReply::Other("REFUSED".into());
    });
    assert_eq!(behind, ["warn edge-1 dns"]);
}

#[test]
fn copies_against_the_core() {
    assert_eq!(with_edge(|edge, _, _| edge.store = "other".into()), ["ERROR edge-1 store"]);
    assert_eq!(with_edge(|edge, _, _| edge.epoch = 2), ["ERROR edge-1 store"]);
    let restored = with_edge(|edge, _, _| {
        (edge.epoch, edge.following) = (0, "away".into());
        edge.trouble = Some("refused; run `zonecast cluster recover` there".into());
    });
    assert_eq!(restored, ["warn edge-1 following", "ERROR edge-1 store"], "it is not advised again");
    assert_eq!(with_edge(|edge, _, _| edge.store = String::new()), ["warn edge-1 store"]);
    let chain = |chain| with_edge(|_, at_core, _| *at_core = Some(chain));
    assert_eq!(chain(CoreChain::Known("other".into())), ["ERROR edge-1 chain"]);
    assert_eq!(chain(CoreChain::Ahead), ["ERROR edge-1 chain"]);
    assert_eq!(chain(CoreChain::Forgotten), ["warn edge-1 chain"]);
    assert_eq!(chain(CoreChain::Unknown("x".into())), ["warn edge-1 chain"]);
}

#[test]
fn edges_seen_by_the_core() {
    let edge = |change: fn(&mut EdgeInfo)| with_core(|core| change(&mut core.edges[0]));
    assert_eq!(edge(|edge| edge.connected = false), ["ERROR edge-1 connected"]);
    assert_eq!(edge(|edge| edge.lag = 1000), NONE);
    assert_eq!(edge(|edge| edge.lag = 1001), ["warn edge-1 connected"]);
    assert_eq!(edge(|edge| edge.trouble = Some("it says nothing".into())), ["ERROR edge-1 connected"]);
    let missing = EdgeInfo { edge: "edge-2".into(), expected: true, ..EdgeInfo::default() };
    assert_eq!(with_core(|core| core.edges.push(missing)), ["ERROR edge-2 connected"]);
    let stray = EdgeInfo { edge: "edge-2".into(), ..EdgeInfo::default() };
    assert_eq!(with_core(|core| core.edges.push(stray)), ["warn edge-2 connected"], "nobody waits for it");
}

#[test]
fn releases_one_step_apart_work_together() {
    let release = |release: &str| with_edge(|edge, _, _| edge.release = release.into());
    assert_eq!(release("0.1.7"), NONE);
    assert_eq!(release("0.2.0"), NONE);
    assert_eq!(release("0.3.0"), ["ERROR releases release"]);
    assert_eq!(release("1.1.0"), ["ERROR releases release"]);
    assert_eq!(release("newest"), ["warn releases release"]);
}

#[test]
fn a_configuration_that_makes_no_sense_is_an_error_and_the_rest_is_looked_at() {
    let mut facts = healthy();
    facts.configs[0].local = Err("edge.toml:3: unknown field".into());
    assert_eq!(found(&facts), ["ERROR edge.toml config"]);
}

#[test]
fn a_report_shows_the_worst_of_a_node_first_and_counts() {
    let mut facts = healthy();
    facts.configs[0].local.as_mut().unwrap().identity.key.state.as_mut().unwrap().mode = 0o644;
    let report = Report::new(examine(&facts));
    assert!(!report.healthy && report.errors == 1 && report.warnings == 0);
    let mut text = Vec::new();
    report.write(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ERROR  edge-1    identity     others than"), "{text}");
    assert!(lines[1].trim_start().starts_with("-> chmod 600 /i/node.key"), "{text}");
    assert!(lines[lines.len() - 1].starts_with("1 error, 0 warnings, "), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["severity"], "error");
}

/// A cluster of so many, of which those are there.
fn cluster(leader: Option<&str>, there: &[bool]) -> ClusterInfo {
    let member = |(number, there): (usize, &bool)| ClusterMember {
        name: format!("core-{number}"),
        state: there.then(ClusterMemberState::default),
        ..ClusterMember::default()
    };
    let (voters, reached) = (there.len() as u64, there.iter().filter(|there| **there).count() as u64);
    ClusterInfo {
        core: "core-1".into(),
        leader: leader.map(str::to_owned),
        voters,
        reached,
        may_fail: reached.checked_sub(voters / 2 + 1),
        members: (1..).zip(there).map(member).collect(),
        ..ClusterInfo::default()
    }
}

#[test]
fn a_cluster_says_who_is_away_and_when_no_more_may_fail() {
    let found_in = |cluster: ClusterInfo| {
        let mut facts = healthy();
        facts.nodes[0].answer.as_mut().unwrap().cluster = Some(cluster);
        let findings = examine(&facts).into_iter().filter(|finding| finding.check == "cluster");
        findings.map(|finding| (finding.severity, finding.message)).collect::<Vec<_>>()
    };
    let said = |found: &[(Severity, String)], severity, words: &str| {
        assert!(found.iter().any(|(is, message)| *is == severity && message.contains(words)), "{words}: {found:?}");
    };
    let leader = Some("core-1");
    said(&found_in(cluster(leader, &[true])), Severity::Ok, "1 voter");
    said(&found_in(cluster(leader, &[true; 3])), Severity::Ok, "one may fail");
    said(&found_in(cluster(leader, &[true, true, true, true, false])), Severity::Warn, "core-5 at  is away");
    said(&found_in(cluster(leader, &[true, true, false])), Severity::Error, "core-3 at  is away");
    let lost = found_in(cluster(None, &[true, false, false]));
    said(&lost, Severity::Error, "1 of 3 voters are reached, and none is known to lead");
    said(&lost, Severity::Error, "core-2");
    let asking = vec![ClusterCandidate { name: "core-4".into(), address: "192.0.2.4:8054".into() }];
    said(&found_in(ClusterInfo { asking, ..cluster(leader, &[true; 3]) }), Severity::Warn, "core-4");
}
