//! The rules, alerts and dashboards of `ops/`, held against a real Prometheus that scrapes a real core and two edges.
//!
//! Grafana is in no Debian release, so dashboards are read as it would read them, and their queries run.

mod dashboards;
mod rules;
mod server;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::base::iana::Rtype;
use zonecast_tests::{Asker, Mode, Question, Recursion, System, or_skip, set_read_only};

use crate::http::Http;
use dashboards::panel_queries;
use rules::{family, metrics, promtool, selectors};
use server::Prometheus;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

const INSTALL: &str = "prometheus is not installed, or does not start: `apt-get install -y prometheus`";

/// Labels of our metrics. Each has few values: those of `core` and `edge` are bounded where they are counted, `node` is the one
/// that runs, `version` the release; all others name what the code can name.
const LABELS: [&str; 15] = [
    "action",
    "class",
    "core",
    "edge",
    "for",
    "kind",
    "le",
    "node",
    "outcome",
    "rcode",
    "reason",
    "result",
    "stage",
    "transport",
    "version",
];

fn ops(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops").join(file)
}

fn read_ops(file: &str) -> String {
    std::fs::read_to_string(ops(file)).unwrap()
}

/// Changes and queries until it is told to stop: most answers that there are.
fn load(core: SocketAddr, edges: &[SocketAddr], stop: &AtomicBool) {
    let core = Http::new(core);
    let askers: Vec<Asker> = edges.iter().map(|edge| Asker::new(*edge, Recursion::Off)).collect();
    let questions = [("www.one.test", Rtype::A), ("no.one.test", Rtype::A), ("www.one.test", Rtype::MX)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // While the core is stopped there is no answer.
                let _ = core.set("one.test", "www", "A", &Ipv4Addr::from(0xC000_0200 + number % 200).to_string());
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        while !stop.load(Ordering::Relaxed) {
            for asker in &askers {
                for (name, rtype) in questions {
                    let question = Question { name: name.parse().unwrap(), rtype };
                    // A stopped edge gives none.
                    let _ = asker.ask(&question, Mode::Plain);
                }
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
    });
}

/// Stops the load also when a test fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn every_panel_and_rule_has_data_and_alerts_fire_and_clear() {
    let _alone = crate::heavy::alone();
    let mut system = System::start(2).unwrap();
    let core = Http::new(system.core.http);
    let (status, written) = core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap();
    assert_eq!(status, 200, "{written}");
    assert_metrics_follow_the_conventions(&system);
    let prometheus = Prometheus::start(&system);
    let stop = AtomicBool::new(false);
    let (api, edges) = (system.core.http, system.edges.iter().map(|edge| edge.service).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let _stopping = Stopping(&stop);
        scope.spawn(|| load(api, &edges, &stop));
        assert_has_data(&prometheus);
        prometheus.wait_quiet();
        an_edge_dies(&mut system, &prometheus);
        an_edge_hangs(&system, &prometheus);
        the_core_hangs(&system, &prometheus);
        the_core_can_write_no_more(&system, &prometheus);
        prometheus.wait_quiet();
    });
}

/// Those of Prometheus, as `promtool` checks them, and ours: documented, and with labels that have few values.
fn assert_metrics_follow_the_conventions(system: &System) {
    let page = read_ops("../docs/operations.md");
    let table = page.split("\n## Metrics\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let mut shown = BTreeSet::new();
    for node in [&system.core, &system.edges[0]] {
        let text = Http::new(node.http).call("GET", "/metrics", None).unwrap().1;
        let text = text.as_str().unwrap();
        let (good, said) = promtool(&["check", "metrics"], text);
        assert!(good && said.trim().is_empty(), "promtool check metrics of {}: {said}", node.name);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            for label in labels.split(',').filter_map(|label| label.split_once('=')) {
                assert!(LABELS.contains(&label.0), "how many values has a label of {line}");
            }
            shown.insert(family(name).to_owned());
        }
    }
    assert_eq!(shown, metrics(table), "what nodes show, and the table in docs/operations.md");
}

/// Panels have it themselves, recording rules under their names, and alerts, which are quiet, in all that they look at.
fn assert_has_data(prometheus: &Prometheus) {
    let mut wanted = panel_queries();
    for (name, query) in prometheus.rules() {
        wanted.extend(selectors(&query).into_iter().map(|selector| (name.clone(), selector)));
        if name.contains(':') {
            wanted.push((name.clone(), name));
        }
    }
    assert!(wanted.len() > 100, "{} queries are not all", wanted.len());
    prometheus.wait_data(wanted);
}

fn an_edge_dies(system: &mut System, prometheus: &Prometheus) {
    let edge = system.edges[1].http.to_string();
    system.edges[1].kill();
    assert!(prometheus.fires("ZonecastEdgeDown", ("instance", &edge)));
    system.edges[1].start_ready().unwrap();
    assert!(prometheus.clears("ZonecastEdgeDown", ("instance", &edge)));
}

fn an_edge_hangs(system: &System, prometheus: &Prometheus) {
    system.edges[0].pause();
    assert!(prometheus.fires("ZonecastEdgeLagging", ("edge", "edge-1")));
    system.edges[0].resume();
    assert!(prometheus.clears("ZonecastEdgeLagging", ("edge", "edge-1")));
}

fn the_core_hangs(system: &System, prometheus: &Prometheus) {
    let alerts = [("ZonecastCoreStalled", ("job", "zonecast")), ("ZonecastCoreDown", ("role", "core"))];
    system.core.pause();
    assert!(alerts.iter().all(|(name, label)| prometheus.fires(name, *label)));
    system.core.resume();
    assert!(alerts.iter().all(|(name, label)| prometheus.clears(name, *label)));
}

fn the_core_can_write_no_more(system: &System, prometheus: &Prometheus) {
    let Some(()) = or_skip(set_read_only(&system.core.data, true), "files cannot be made read-only here") else {
        return;
    };
    let fires = prometheus.fires("ZonecastFault", ("role", "core"));
    // Before anything is asserted, so that the folder can be removed.
    set_read_only(&system.core.data, false).unwrap();
    assert!(fires);
    assert!(prometheus.clears("ZonecastFault", ("role", "core")));
}
