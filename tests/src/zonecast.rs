//! The real `zonecast dev` as a child process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Child, Corpus};

/// How long loading may take on a busy machine with a debug build.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// SIGTERM to exit, as issue 2 promises, and what a busy machine adds.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A running `zonecast dev`, ended when dropped.
pub struct Zonecast {
    child: Child,
    /// Where each edge answers.
    pub dns: Vec<SocketAddr>,
    /// Of the API: `host:port`.
    pub http: String,
    /// The whole ready line.
    pub ready: Value,
    log: PathBuf,
    _folder: TempDir,
}

/// How a `zonecast dev` is started.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Folder of zone files.
    pub zones: PathBuf,
    /// Which of them, if not all.
    pub manifest: Option<PathBuf>,
    /// Where it keeps its data; without it, a temporary folder of its own.
    pub data: Option<PathBuf>,
    /// DNS address of the first edge; port 0 for any.
    pub dns: String,
    /// Address of the API; port 0 for any.
    pub http: String,
    /// How many edges.
    pub edges: usize,
}

impl DevOptions {
    /// One edge on any ports, with every zone file of the folder.
    #[must_use]
    pub fn new(zones: &Path) -> Self {
        let any = "127.0.0.1:0".to_owned();
        Self { zones: zones.to_owned(), manifest: None, data: None, dns: any.clone(), http: any, edges: 1 }
    }

    /// With the zones of a corpus.
    #[must_use]
    pub fn of_corpus(corpus: &Corpus) -> Self {
        Self { manifest: Some(corpus.manifest.clone()), ..Self::new(&corpus.folder) }
    }

    fn arguments(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut arguments = vec!["dev".to_owned(), "--json".to_owned(), "--zones".to_owned(), path(&self.zones)];
        arguments.extend(self.manifest.iter().flat_map(|manifest| ["--manifest".to_owned(), path(manifest)]));
        arguments.extend(self.data.iter().flat_map(|data| ["--data".to_owned(), path(data)]));
        let rest = [("--dns", self.dns.clone()), ("--http", self.http.clone()), ("--edges", self.edges.to_string())];
        arguments.extend(rest.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        arguments
    }
}

impl Zonecast {
    /// Starts it and waits for the ready line.
    ///
    /// # Errors
    /// The binary is missing or older than its sources, or it ends instead of getting ready.
    pub fn start(options: &DevOptions) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-dev-").tempdir()?;
        let log = folder.path().join("log");
        let mut child = spawn(options, folder.path(), &log)?;
        let stdout = child.take_stdout().context("standard output is piped")?;
        let Some(line) = first_line(stdout, READY_DEADLINE) else {
            let status = child.wait_until(Instant::now() + Duration::from_secs(1));
            bail!("zonecast dev is not ready ({status:?}); its log:\n{}", read(&log));
        };
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not a ready line: {line}"))?;
        ensure!(ready.get("event").and_then(Value::as_str) == Some("ready"), "not a ready line: {line}");
        let dns = ready.get("dns").and_then(Value::as_array).context("ready line without dns")?;
        let dns = dns.iter().map(|address| Ok(address.as_str().context("an address is text")?.parse()?));
        let dns = dns.collect::<anyhow::Result<Vec<_>>>()?;
        let http = ready.get("http").and_then(Value::as_str).context("ready line without http")?.to_owned();
        Ok(Self { child, dns, http, ready, log, _folder: folder })
    }

    /// Starts it where it must not get ready; how it ended and what it wrote to standard error.
    ///
    /// # Errors
    /// It cannot be started, or does not end.
    pub fn start_and_fail(options: &DevOptions) -> anyhow::Result<(ExitStatus, String)> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        let mut child = spawn(options, folder.path(), &log)?;
        let status = child.wait_until(Instant::now() + READY_DEADLINE).context("it did not end")?;
        Ok((status, read(&log)))
    }

    /// A number of the ready line.
    #[must_use]
    pub fn ready_count(&self, field: &str) -> Option<u64> {
        self.ready.get(field).and_then(Value::as_u64)
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.child.terminate();
        self.child.wait_until(Instant::now() + STOP_DEADLINE).context("it did not end after SIGTERM")
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill();
    }
}

/// The program that tests and benchmarks run: `ZONECAST_BIN`, or the one that Cargo built beside them.
///
/// # Errors
/// It is missing, or older than its sources.
pub fn zonecast_binary() -> anyhow::Result<PathBuf> {
    match std::env::var_os("ZONECAST_BIN") {
        Some(path) => Ok(path.into()),
        None => built("zonecast", "zonecast.d", "zonecast"),
    }
}

/// `zonecast` of an earlier commit, which `ops/previous.sh` builds.
///
/// # Errors
/// It was not built, for this reason.
pub fn previous_zonecast() -> Result<PathBuf, NoPrevious> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/previous");
    let binary = folder.join("zonecast");
    if binary.exists() {
        return Ok(binary);
    }
    match std::fs::read_to_string(folder.join("missing")) {
        Ok(why) => Err(NoPrevious::NoHistory(why.trim().to_owned())),
        Err(_) => Err(NoPrevious::NotBuilt),
    }
}

/// Why there is no earlier `zonecast`.
#[derive(Debug, thiserror::Error)]
pub enum NoPrevious {
    /// It can be built.
    #[error("there is no zonecast of an earlier commit: run `ops/previous.sh` (`make test` does)")]
    NotBuilt,
    /// Its sources are not in this clone.
    #[error("{0}")]
    NoHistory(String),
}

/// The library of package `zonecast-c` of the same build.
///
/// # Errors
/// It is missing, or older than its sources.
pub fn c_library() -> anyhow::Result<PathBuf> {
    built("libzonecast_c.so", "libzonecast_c.d", "zonecast-c")
}

/// A file of the build that this program belongs to.
fn built(name: &str, dep_info: &str, package: &str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().context("a program lies in a folder")?;
    // Tests lie one folder below the programs.
    let profile = folder.parent().filter(|_| folder.ends_with("deps")).unwrap_or(folder);
    let binary = profile.join(name);
    let advice = format!("run `cargo build -p {package}` (`make test` does)");
    let built = binary.metadata().with_context(|| format!("{} is missing: {advice}", binary.display()))?.modified()?;
    // Cargo lists the sources beside the program, as make would have them; a program that was put elsewhere has none.
    let sources = match std::fs::read_to_string(profile.join(dep_info)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder == profile => String::new(),
        sources => sources?,
    };
    let sources = sources.split_once(": ").map_or("", |(_, sources)| sources);
    for source in sources.split_whitespace() {
        if std::fs::metadata(source).and_then(|source| source.modified()).is_ok_and(|changed| changed > built) {
            bail!("{} is older than {source}: {advice}", binary.display());
        }
    }
    Ok(binary)
}

fn spawn(options: &DevOptions, temporary: &Path, log: &Path) -> anyhow::Result<Child> {
    let log = File::create(log)?;
    let child = Child::spawn(&zonecast_binary()?, |command| {
        // What it cannot remove when it is killed goes with our folder.
        command.env("TMPDIR", temporary);
        command.args(options.arguments()).stdout(Stdio::piped()).stderr(log);
    });
    Ok(child?)
}

/// The first line of a stream, unless it ends or the time passes before.
fn first_line(stream: impl std::io::Read + Send + 'static, patience: Duration) -> Option<String> {
    let (sender, line) = mpsc::channel();
    // Reads on to the end, so that the writer never blocks.
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    line.recv_timeout(patience).ok()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
