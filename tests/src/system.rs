//! A core and its edges as processes of their own, with the certificates that they need.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::{Node, NodeRole, poll_until, zonecast_binary};

/// A core and its edges as processes, with the certificates they need. All processes are killed when it is dropped.
pub struct System {
    /// The core.
    pub core: Node,
    /// `edge-1` and so on.
    pub edges: Vec<Node>,
    // Last, so that the processes are gone before their files.
    folder: TempDir,
}

impl System {
    /// With a certificate authority, a core and so many edges, none of them started.
    ///
    /// # Errors
    /// `zonecast ca` fails.
    pub fn new(edges: usize) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-system-").tempdir()?;
        run(&["ca", "init", &text(&folder.path().join("ca"))?])?;
        let mut core = Node::new(NodeRole::Core, "core-1", &folder.path().join("core-1"));
        let upstream = core.service;
        let edges = (1..=edges).map(|number| {
            let name = format!("edge-{number}");
            let mut node = Node::new(NodeRole::Edge, &name, &folder.path().join(&name));
            node.upstreams.push(upstream);
            node
        });
        let edges: Vec<Node> = edges.collect();
        let names: Vec<String> = edges.iter().map(|edge| format!("\"{}\"", edge.name)).collect();
        // So that all of them count as missing while they are not there, right after a start of the core, too.
        core.lines = format!("edges = [{}]", names.join(", "));
        let system = Self { core, edges, folder };
        system.issue(&system.core, &["--role", "core", "--host", "127.0.0.1"])?;
        system.edges.iter().try_for_each(|edge| system.issue(edge, &["--role", "edge"]))?;
        Ok(system)
    }

    /// The same, running and ready. An edge of a core without zones is ready, too.
    ///
    /// # Errors
    /// A process does not get ready.
    pub fn start(edges: usize) -> anyhow::Result<Self> {
        let mut system = Self::new(edges)?;
        system.core.start_ready()?;
        system.edges.iter_mut().try_for_each(Node::start)?;
        system.edges.iter_mut().try_for_each(|edge| edge.wait_ready().map(drop))?;
        Ok(system)
    }

    /// A relay, not started, that follows the core.
    ///
    /// # Errors
    /// `zonecast ca` fails.
    pub fn relay(&self, name: &str) -> anyhow::Result<Node> {
        let mut relay = Node::new(NodeRole::Relay, name, &self.folder().join(name));
        relay.upstreams.push(self.core.service);
        self.issue(&relay, &["--role", "relay"])?;
        Ok(relay)
    }

    /// A further core, not started, that asks the first one to let it in.
    ///
    /// # Errors
    /// `zonecast ca` fails.
    pub fn joining(&self, name: &str) -> anyhow::Result<Node> {
        let mut core = Node::new(NodeRole::Core, name, &self.folder().join(name));
        core.http_lines = format!("{}\n[cluster]\njoin = [\"{}\"]\n", self.core.http_lines, self.core.service);
        self.issue(&core, &["--role", "core", "--host", "127.0.0.1"])?;
        Ok(core)
    }

    /// Starts such a core, lets it in, and waits until it is ready. `options` are for the command that lets it in, such as
    /// a token.
    ///
    /// # Errors
    /// It is not let in, or does not get ready.
    pub fn let_in(&self, core: &mut Node, options: &[&str]) -> anyhow::Result<()> {
        core.start()?;
        let ca = text(&self.ca().join("ca.pem"))?;
        let is_tls = self.core.http_lines.contains("tls = true");
        let url = format!("{}://{}", if is_tls { "https" } else { "http" }, self.core.http);
        let ca: &[&str] = if is_tls { &["--ca", &ca] } else { &[] };
        let add = [&["--core", &url], ca, options, &["cluster", "add", &core.name]].concat();
        // The leader does not know it before it has asked.
        let added = poll_until(Instant::now() + core.patience, || {
            run_any(&add).is_ok_and(|output| output.status.success()).then_some(())
        });
        added.with_context(|| format!("{} is not let in: {} {}", core.name, self.core.log(), core.log()))?;
        core.wait_ready().map(drop)
    }

    /// Puts a certificate of this node's name into its identity folder, in place of what is there; `options` has at
    /// least `--role`.
    ///
    /// # Errors
    /// `zonecast ca issue` fails.
    pub fn issue(&self, node: &Node, options: &[&str]) -> anyhow::Result<()> {
        let (ca, out) = (text(&self.ca())?, text(&node.identity)?);
        let fixed = ["ca", "issue", &ca, "--name", &node.name, "--out", &out, "--force"];
        run(&[&fixed, options].concat()).map(drop)
    }

    /// Has a core that asks for tokens make one; `options` has at least `--role`.
    ///
    /// # Errors
    /// `zonecast token create` fails.
    pub fn token(&self, core: &Node, name: &str, options: &[&str]) -> anyhow::Result<String> {
        let first = text(&core.data.join("first-token"))?;
        let fixed = ["token", "create", name, "--core", &format!("http://{}", core.http), "--token-file", &first];
        Ok(run(&[&fixed, options].concat())?.trim().to_owned())
    }

    /// The folder of the certificate authority.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// A place for more files, gone with the system.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Runs `zonecast` with these arguments; what it printed.
///
/// # Errors
/// It fails; with what it said.
pub fn run(arguments: &[&str]) -> anyhow::Result<String> {
    let output = run_any(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "zonecast {arguments:?}: {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The same, however it ends.
///
/// # Errors
/// It cannot be started.
pub fn run_any(arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(zonecast_binary()?).args(arguments).output()?)
}

fn text(path: &Path) -> anyhow::Result<String> {
    Ok(path.to_str().context("a path of a test is text")?.to_owned())
}
