//! A real Prometheus as a child process that scrapes a running system, with the configuration and rules of `ops/`.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use zonecast_tests::{Child, System, free_port, poll_until};

use super::rules::shortened;
use super::{INSTALL, read_ops};

/// For data to be there, and for an alert to fire or clear, with the rules as [`shortened`].
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks: asking all the time would keep busy what is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// A Prometheus process that scrapes a running system with our configuration and rules. Ended when dropped.
pub(super) struct Prometheus {
    agent: ureq::Agent,
    base: String,
    child: Child,
    folder: TempDir,
}

impl Prometheus {
    pub(super) fn start(system: &System) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules = shortened(&read_ops("prometheus/zonecast.rules.yml"));
        std::fs::write(folder.path().join("zonecast.rules.yml"), rules).unwrap();
        let edges: Vec<String> = system.edges.iter().map(|edge| format!("\"{}\"", edge.http)).collect();
        let config = read_ops("prometheus/prometheus.yml")
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
        let mut prometheus = Self { agent, base, child: child.expect(INSTALL), folder };
        let started = prometheus.wait_ready();
        let log = std::fs::read_to_string(prometheus.folder.path().join("log")).unwrap_or_default();
        assert!(started, "{INSTALL}; its log:\n{log}");
        prometheus
    }

    /// Whether it gets ready; not when it has ended.
    fn wait_ready(&mut self) -> bool {
        let deadline = Instant::now() + DEADLINE;
        let ready = poll_until(deadline, || {
            std::thread::park_timeout(PAUSE);
            let answers = self.agent.get(format!("{}/-/ready", self.base)).call().is_ok();
            (answers || self.child.ended().is_some()).then_some(answers)
        });
        ready == Some(true)
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
    pub(super) fn rules(&self) -> Vec<(String, String)> {
        let answer = self.get("/api/v1/rules", None).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
    }

    /// Waits until every expression has data; the name beside each says whose it is.
    pub(super) fn wait_data(&self, mut missing: Vec<(String, String)>) {
        poll_until(Instant::now() + DEADLINE, || {
            std::thread::park_timeout(PAUSE);
            missing.retain(|(_, query)| self.series(query) == 0);
            missing.is_empty().then_some(())
        });
        assert!(missing.is_empty(), "no data: {missing:#?}");
    }

    /// Names of the alerts that fire, those with this value of this label or all of them.
    fn firing(&self, label: Option<(&str, &str)>) -> Option<BTreeSet<String>> {
        let answer = self.get("/api/v1/alerts", None)?;
        let alerts = answer["data"]["alerts"].as_array()?.iter().filter(|alert| {
            alert["state"] == "firing" && label.is_none_or(|(label, value)| alert["labels"][label] == value)
        });
        Some(alerts.filter_map(|alert| alert["labels"]["alertname"].as_str()).map(str::to_owned).collect())
    }

    /// Whether an alert with this value of this label fires in time.
    pub(super) fn fires(&self, name: &str, label: (&str, &str)) -> bool {
        self.wait(|| Some(self.firing(Some(label))?.contains(name)))
    }

    /// Whether it clears in time.
    pub(super) fn clears(&self, name: &str, label: (&str, &str)) -> bool {
        self.wait(|| Some(!self.firing(Some(label))?.contains(name)))
    }

    /// Waits until no alert fires, but for the one about the disk: how full that of this machine is says nothing about
    /// zonecast, and `ops/prometheus/zonecast.rules.test.yml` tests that alert.
    pub(super) fn wait_quiet(&self) {
        let firing = || {
            let mut firing = self.firing(None)?;
            firing.remove("ZonecastDiskFilling");
            Some(firing)
        };
        assert!(self.wait(|| Some(firing()?.is_empty())), "still firing: {:?}", firing());
    }

    fn wait(&self, good: impl Fn() -> Option<bool>) -> bool {
        let look = || {
            std::thread::park_timeout(PAUSE);
            (good() == Some(true)).then_some(())
        };
        poll_until(Instant::now() + DEADLINE, look).is_some()
    }
}
