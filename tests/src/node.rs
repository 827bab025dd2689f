//! One `zonecast core`, `zonecast relay` or `zonecast edge` in a process of its own, at ports that it keeps when it is started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{Child, free_port, poll_until, zonecast_binary};

/// Getting ready with little data on a busy machine with a debug build.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// SIGTERM to exit: what docs/operations.md says, and what a busy machine adds.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// `zonecast core`.
    Core,
    /// `zonecast relay`.
    Relay,
    /// `zonecast edge`.
    Edge,
}

/// A core, a relay or an edge that runs as a process of its own and keeps its ports when it is started again. Killed when
/// dropped.
pub struct Node {
    /// From its certificate.
    pub name: String,
    /// Where it keeps its data. A change counts from the next start on, as of all fields.
    pub data: PathBuf,
    /// Its certificate.
    pub identity: PathBuf,
    /// Of the API of a core, of the status of an edge.
    pub http: SocketAddr,
    /// Where a core or relay listens for edges, and an edge for queries.
    pub service: SocketAddr,
    /// Cores or relays that an edge or a relay follows.
    pub upstreams: Vec<SocketAddr>,
    /// Lines of the file outside any section.
    pub lines: String,
    /// Folder of zone files that a core imports when it starts.
    pub zones: Option<PathBuf>,
    /// Lines of `[http]` beside `listen`.
    pub http_lines: String,
    /// For the process.
    pub environment: Vec<(String, String)>,
    /// How long it may take to get ready, or to end by itself: more where it has much to load.
    pub patience: Duration,
    /// The program, if not the one that was built with this test.
    pub binary: Option<PathBuf>,
    /// The one processor that it is to think the machine has.
    pub cpu: Option<usize>,
    role: NodeRole,
    home: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Node {
    /// In a folder of its own, not started.
    #[must_use]
    pub fn new(role: NodeRole, name: &str, home: &Path) -> Self {
        let any = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self {
            name: name.to_owned(),
            data: home.join("data"),
            identity: home.join("identity"),
            http: any(),
            service: any(),
            upstreams: Vec::new(),
            lines: String::new(),
            zones: None,
            http_lines: String::new(),
            environment: Vec::new(),
            patience: READY_DEADLINE,
            binary: None,
            cpu: None,
            role,
            home: home.to_owned(),
            running: None,
        }
    }

    /// Starts the process.
    ///
    /// # Errors
    /// The program is missing or older than its sources, or a file cannot be written.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.kill();
        let config = self.write_config()?;
        let log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let binary = self.binary.clone().map_or_else(zonecast_binary, Ok)?;
        let cpu = self.cpu.map(|cpu| cpu.to_string());
        let program = if cpu.is_some() { Path::new("taskset") } else { binary.as_path() };
        let mut child = Child::spawn(program, |command| {
            if let Some(cpu) = &cpu {
                command.args(["-c", cpu]).arg(&binary);
            }
            command.args(["--json", self.verb(), "--config"]).arg(&config).stdout(Stdio::piped()).stderr(log);
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        })?;
        let lines = lines_of(child.take_stdout().context("standard output is piped")?);
        self.running = Some(Running { child, lines });
        Ok(())
    }

    /// Writes its configuration file, which a process that runs may read again; says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self) -> anyhow::Result<PathBuf> {
        std::fs::create_dir_all(&self.home)?;
        let config = self.home.join("node.toml");
        std::fs::write(&config, self.config())?;
        Ok(config)
    }

    /// Waits for its next ready line.
    ///
    /// # Errors
    /// It ends instead, or takes too long.
    pub fn wait_ready(&mut self) -> anyhow::Result<Value> {
        let running = self.running.as_mut().with_context(|| format!("{} is not running", self.name))?;
        if let Ok(line) = running.lines.recv_timeout(self.patience) {
            return serde_json::from_str(&line).with_context(|| format!("not a ready line: {line}"));
        }
        let status = running.child.ended();
        bail!("{} is not ready ({status:?}); its log:\n{}", self.name, self.log())
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// As [`Node::start`] and [`Node::wait_ready`].
    pub fn start_ready(&mut self) -> anyhow::Result<Value> {
        self.start()?;
        self.wait_ready()
    }

    /// Waits until it has ended by itself.
    pub fn wait_ended(&mut self) -> Option<ExitStatus> {
        self.running.as_mut()?.child.wait_until(Instant::now() + self.patience)
    }

    /// Its exit status, if it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.running.as_mut()?.child.ended()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// It is not running, or did not end in time.
    pub fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let mut running = self.running.take().with_context(|| format!("{} is not running", self.name))?;
        running.child.terminate();
        let ended = running.child.wait_until(Instant::now() + STOP_DEADLINE);
        ended.with_context(|| format!("{} did not end after SIGTERM", self.name))
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Stops the process where it is (SIGSTOP): a machine that hangs.
    pub fn pause(&self) {
        if let Some(running) = &self.running {
            running.child.pause();
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        if let Some(running) = &self.running {
            running.child.resume();
        }
    }

    /// Everything it wrote to standard error since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Lines of its log with all of these words.
    #[must_use]
    pub fn log_lines(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        lines.map(str::to_owned).collect()
    }

    /// Waits for a line of its log with all of these words; what it says then.
    #[must_use]
    pub fn wait_log(&self, words: &[&str], patience: Duration) -> Option<String> {
        poll_until(Instant::now() + patience, || self.log_lines(words).into_iter().next())
    }

    /// Bytes of memory that it has right now.
    ///
    /// # Errors
    /// It is not running.
    pub fn memory(&self) -> anyhow::Result<u64> {
        let running = self.running.as_ref().with_context(|| format!("{} is not running", self.name))?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    fn verb(&self) -> &'static str {
        match self.role {
            NodeRole::Core => "core",
            NodeRole::Relay => "relay",
            NodeRole::Edge => "edge",
        }
    }

    fn log_path(&self) -> PathBuf {
        self.home.join("log")
    }

    fn config(&self) -> String {
        let Self { data, identity, http, service, lines, http_lines, .. } = self;
        let (data, identity) = (data.display(), identity.display());
        let upstreams: Vec<String> = self.upstreams.iter().map(|address| format!("\"{address}\"")).collect();
        let upstreams = format!("upstreams = [{}]\n", upstreams.join(", "));
        let (own, section) = match self.role {
            NodeRole::Core => (format!("quic = \"{service}\"\n"), String::new()),
            NodeRole::Relay => (upstreams, format!("[downstream]\nquic = \"{service}\"\n")),
            NodeRole::Edge => (format!("dns = [\"{service}\"]\n{upstreams}"), String::new()),
        };
        let zones = self.zones.as_ref().map(|folder| format!("[zones]\nfolder = \"{}\"\n", folder.display()));
        let (role, zones) = (self.verb(), zones.unwrap_or_default());
        format!(
            "role = \"{role}\"\ndata = \"{data}\"\nidentity = \"{identity}\"\n{own}{lines}\n\
             [http]\nlisten = \"{http}\"\n{http_lines}\n{zones}{section}"
        )
    }
}

/// Lines of a stream as they come; read to the end, so that the writer never blocks.
fn lines_of(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Whoever has killed the process listens no more.
            let _ = sender.send(line);
        }
    });
    lines
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            let mut source = File::open(entry.path())?;
            std::io::copy(&mut source, &mut File::create(target)?)?;
        }
    }
    Ok(())
}
