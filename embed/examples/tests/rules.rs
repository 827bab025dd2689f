//! The catalogue of rules, shipped through a keyspace and read by an embedded edge, as its users would.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that finds something missing has failed")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use zonecast_tests::{System, run, run_any};

/// Everything in these tests is there long before.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running catalogue, which ends when its input does.
struct Catalogue {
    child: std::process::Child,
    questions: ChildStdin,
    lines: Receiver<String>,
}

impl Catalogue {
    fn start(system: &System) -> Self {
        let node = &system.edges[0];
        let mut command = Command::new(env!("CARGO_BIN_EXE_rules_catalogue"));
        command.arg(&node.identity).arg(node.upstreams[0].to_string()).arg(&node.data).arg("rules/eu");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (questions, said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, questions, lines }
    }

    /// Waits until it says this.
    fn says(&self, wanted: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            if line.unwrap_or_else(|error| panic!("it does not say {wanted:?}: {error}")) == wanted {
                return;
            }
        }
    }

    fn decides(&mut self, question: &str, decision: &str) {
        writeln!(self.questions, "{question}").unwrap();
        self.says(&format!("{question}: {decision}"));
    }
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn rules_are_shipped_decided_and_taken_back() {
    let mut system = System::new(1).unwrap();
    system.core.start_ready().unwrap();
    let core = format!("http://{}", system.core.http);
    let kv = |arguments: &[&str]| run(&[&["--core", &core, "kv"], arguments].concat()).unwrap();
    kv(&["create", "rules"]);
    let folder = system.folder().join("rules");
    write(&folder, "10-ssh", "# nobody\ndeny 192.0.2.0/24 22\n");
    write(&folder, "90/rest", "allow 192.0.2.0/24\nallow 2001:db8::/32 443\n");
    let folder_text = folder.to_str().unwrap();
    kv(&["publish", "rules", "eu", folder_text]);

    let mut catalogue = Catalogue::start(&system);
    catalogue.says("revision 1: 3 rules");
    catalogue.decides("192.0.2.7 22", "deny, eu/10-ssh");
    catalogue.decides("192.0.2.7 443", "allow, eu/90/rest");
    catalogue.decides("2001:db8::1 443", "allow, eu/90/rest");
    catalogue.decides("198.51.100.1 443", "deny, no rule");

    // Another catalogue is there as a whole, and nothing is to be started again.
    write(&folder, "10-ssh", "allow 192.0.2.7/32 22\n");
    write(&folder, "90/rest", "deny 0.0.0.0/0\n");
    kv(&["publish", "rules", "eu", folder_text]);
    catalogue.says("revision 2: 2 rules");
    catalogue.decides("192.0.2.7 22", "allow, eu/10-ssh");
    catalogue.decides("192.0.2.7 443", "deny, eu/90/rest");

    // An empty folder is a mistake.
    let empty = system.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let held = run_any(&["--core", &core, "kv", "publish", "rules", "eu", empty.to_str().unwrap()]).unwrap();
    let said = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(!held.status.success() && said.contains("would lose 2 of its 2 keys"), "{said}");

    kv(&["rollback", "rules", "eu", "--undo"]);
    catalogue.says("revision 3: 3 rules");
    catalogue.decides("192.0.2.7 22", "deny, eu/10-ssh");
    let log = kv(&["log", "rules", "eu"]);
    let kinds: Vec<_> = log.lines().map(|line| line.split('\t').nth(2).unwrap()).collect();
    assert_eq!(kinds, ["rolled-back", "published", "published"], "{log}");

    drop(catalogue.questions);
    assert!(catalogue.child.wait().unwrap().success());
}
