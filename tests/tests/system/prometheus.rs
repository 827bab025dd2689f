//! The rules, alerts and dashboards of `ops/`, held against a real Prometheus that scrapes a real core and two edges.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::base::iana::Rtype;
use serde_json::Value;
use tempfile::TempDir;
use zonecast_tests::{Asker, Child, Mode, Question, System, free_port, poll_until};

use crate::http::Http;

/// For data to be there, and for an alert to fire or clear, with the rules as [`shortened`].
const DEADLINE: Duration = Duration::from_secs(60);

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

const INSTALL: &str = "prometheus is not installed, and these tests run it: `apt-get install -y prometheus`";

fn ops(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops").join(file)
}

/// The rules with seconds for minutes, so that a test can wait for them.
fn shortened(rules: &str) -> String {
    let mut text = rules.replace("[5m]", "[5s]").replace("[1m]", "[5s]").replace("time() - 30", "time() - 4");
    for time in ["5m", "2m", "1m", "30s", "15s"] {
        text = text.replace(&format!("for: {time}\n"), "for: 1s\n");
    }
    assert!(!text.contains("[1m]") && !text.contains("m\n        labels"), "something still takes minutes:\n{text}");
    text
}

/// A running Prometheus, ended when dropped.
struct Prometheus {
    agent: ureq::Agent,
    base: String,
    _child: Child,
    _folder: TempDir,
}

impl Prometheus {
    fn start(system: &System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = std::fs::read_to_string(ops("prometheus/zonecast.rules.yml")).unwrap();
        std::fs::write(folder.path().join("zonecast.rules.yml"), shortened(&rules)).unwrap();
        let config = std::fs::read_to_string(ops("prometheus/prometheus.yml")).unwrap();
        let edges: Vec<String> = system.edges.iter().map(|edge| format!("\"{}\"", edge.http)).collect();
        let config = config
            .replace("15s", "500ms")
            .replace("\"127.0.0.1:8053\"", &format!("\"{}\"", system.core.http))
            .replace("\"127.0.0.1:8063\"", &edges.join(", "));
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Child::spawn(Path::new("/usr/bin/prometheus"), |command| {
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
            command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
            command.stdout(Stdio::null()).stderr(log);
        });
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
        let base = format!("http://{address}");
        let prometheus = Self { agent, base, _child: child.expect(INSTALL), _folder: folder };
        let ready = || prometheus.agent.get(format!("{}/-/ready", prometheus.base)).call().ok();
        poll_until(Instant::now() + DEADLINE, ready).expect(INSTALL);
        prometheus
    }

    fn get(&self, path: &str, query: Option<&str>) -> Option<Value> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let request = if let Some(query) = query { request.query("query", query) } else { request };
        request.call().ok()?.body_mut().read_json().ok()
    }

    /// How many series an expression has now.
    fn series(&self, query: &str) -> usize {
        let answer = self.get("/api/v1/query", Some(query));
        answer.and_then(|answer| answer["data"]["result"].as_array().map(Vec::len)).unwrap_or(0)
    }

    /// Names and expressions of all rules.
    fn rules(&self) -> Vec<(String, String)> {
        let answer = self.get("/api/v1/rules", None).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
    }

    /// Whether an alert fires, with this value of this label.
    fn fires(&self, name: &str, (label, value): (&str, &str)) -> Option<bool> {
        let answer = self.get("/api/v1/alerts", None)?;
        Some(answer["data"]["alerts"].as_array()?.iter().any(|alert| {
            alert["state"] == "firing" && alert["labels"]["alertname"] == name && alert["labels"][label] == value
        }))
    }

    fn wait_fires(&self, name: &str, label: (&str, &str), wanted: bool) {
        let fires = || (self.fires(name, label) == Some(wanted)).then_some(());
        let what = if wanted { "fire" } else { "clear" };
        assert!(poll_until(Instant::now() + DEADLINE, fires).is_some(), "{name} with {label:?} does not {what}");
    }
}

/// Expressions of all panels of all dashboards, with what Grafana puts in put in.
fn panel_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for (file, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query =
                    target["expr"].as_str().unwrap().replace("$__rate_interval", "5s").replace("$instance", ".*");
                assert!(!query.contains('$'), "{file}: {query} has a variable that nothing sets");
                queries.push((format!("{file}, {}", panel["title"]), query));
            }
        }
    }
    queries
}

fn dashboards() -> Vec<(String, Value)> {
    let files = ops("grafana").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).unwrap();
        (file.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
    };
    files.map(read).collect()
}

/// Names of metrics, of ours and of recording rules, in an expression or a page.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
    words.filter(|word| word.contains("zonecast_") && !word.ends_with('_')).map(str::to_owned).collect()
}

/// Changes and queries until it is told to stop: most answers that there are.
fn load(core: SocketAddr, edges: &[SocketAddr], stop: &AtomicBool) {
    let core = Http::new(core);
    let askers: Vec<Asker> = edges.iter().map(|edge| Asker::new(*edge)).collect();
    let questions = [("www.one.test", Rtype::A), ("no.one.test", Rtype::A), ("www.one.test", Rtype::MX)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0_u32.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // While the core is stopped there is no answer.
                let _ = core.set("one.test", "www", "A", &Ipv4Addr::from(0xC000_0200 + number % 200).to_string());
                std::thread::park_timeout(Duration::from_millis(20));
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

fn promtool(arguments: &[&str], input: Option<&str>) -> (bool, String) {
    use std::io::Write as _;
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect(INSTALL);
    child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn rules_and_their_own_tests_hold() {
    for arguments in [
        ["check", "config", "prometheus/prometheus.yml"],
        ["check", "rules", "prometheus/zonecast.rules.yml"],
        ["test", "rules", "prometheus/zonecast.rules.test.yml"],
    ] {
        let file = ops(arguments[2]);
        let (good, said) = promtool(&[arguments[0], arguments[1], file.to_str().unwrap()], None);
        assert!(good, "promtool {arguments:?}: {said}");
    }
}

#[test]
fn dashboards_and_alerts_are_documented() {
    let documented = std::fs::read_to_string(ops("../docs/operations.md")).unwrap();
    let rules = std::fs::read_to_string(ops("prometheus/zonecast.rules.yml")).unwrap();
    let known = metrics(&documented);
    let recorded: BTreeSet<String> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned).collect();
    let mut texts: Vec<(String, String)> = panel_queries();
    texts.push(("rules".into(), rules.clone()));
    for (place, text) in texts {
        for metric in metrics(&text) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(&metric);
            assert!(known.contains(base) || recorded.contains(base), "{place}: {base} is not in docs/operations.md");
        }
    }
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(documented.contains(&format!("| `{alert}`")), "{alert} has no line in docs/operations.md");
    }
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{file}: its uid is another's");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{file}: panels share an id");
        assert!(panels.iter().all(|panel| !panel["description"].as_str().unwrap().is_empty()), "{file}");
    }
}

#[test]
fn every_panel_and_rule_has_data_and_alerts_fire_and_clear() {
    let _alone = crate::heavy::alone();
    let mut system = System::start(2).unwrap();
    let core = Http::new(system.core.http);
    let (status, written) = core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap();
    assert_eq!(status, 200, "{written}");
    for node in [&system.core, &system.edges[0]] {
        let text = Http::new(node.http).call("GET", "/metrics", None).unwrap().1;
        let (good, said) = promtool(&["check", "metrics"], text.as_str());
        assert!(good && said.trim().is_empty(), "promtool check metrics of {}: {said}", node.name);
    }
    let prometheus = Prometheus::start(&system);
    let stop = AtomicBool::new(false);
    let (api, edges) = (system.core.http, system.edges.iter().map(|edge| edge.service).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        let _stopping = Stopping(&stop);
        scope.spawn(|| load(api, &edges, &stop));
        assert_has_data(&prometheus);

        let edge = system.edges[1].http.to_string();
        system.edges[1].kill();
        prometheus.wait_fires("ZonecastEdgeDown", ("instance", &edge), true);
        system.edges[1].start_ready().unwrap();
        prometheus.wait_fires("ZonecastEdgeDown", ("instance", &edge), false);

        system.edges[0].pause();
        prometheus.wait_fires("ZonecastEdgeLagging", ("edge", "edge-1"), true);
        system.edges[0].resume();
        prometheus.wait_fires("ZonecastEdgeLagging", ("edge", "edge-1"), false);

        system.core.pause();
        prometheus.wait_fires("ZonecastCoreStalled", ("job", "zonecast"), true);
        prometheus.wait_fires("ZonecastCoreDown", ("role", "core"), true);
        system.core.resume();
        prometheus.wait_fires("ZonecastCoreStalled", ("job", "zonecast"), false);
        prometheus.wait_fires("ZonecastCoreDown", ("role", "core"), false);
    });
}

/// Panels have it themselves, recording rules under their names, and alerts, which are quiet, in all that they look at.
fn assert_has_data(prometheus: &Prometheus) {
    let mut missing = panel_queries();
    for (name, query) in prometheus.rules() {
        let looked_at = metrics(&query).into_iter().map(|metric| (name.clone(), metric));
        missing.extend(looked_at);
        if name.contains(':') {
            missing.push((name.clone(), name));
        }
    }
    assert!(missing.len() > 80, "{} queries are not all", missing.len());
    poll_until(Instant::now() + DEADLINE, || {
        missing.retain(|(_, query)| prometheus.series(query) == 0);
        missing.is_empty().then_some(())
    });
    assert!(missing.is_empty(), "no data: {missing:#?}");
}
