//! A core as a process with TLS and tokens, and the command line against it.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{DEADLINE, ZONE};

/// A core, ended when dropped.
struct Core {
    child: Child,
    url: String,
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Exit code, standard output and standard error.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// Everything of one system, in one folder.
struct Place(tempfile::TempDir);

impl Place {
    /// With a CA and a certificate for a core.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for ca in ["ca", "other-ca"] {
            assert_eq!(place.run(&["ca", "init", &place.text(ca)]).code, 0);
        }
        place.issue("ca");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn issue(&self, ca: &str) {
        let (ca, out) = (self.text(ca), self.text("identity"));
        let core = ["--role", "core", "--name", "core-1", "--host", "127.0.0.1", "--out", &out, "--force"];
        let issued = self.run(&[&["ca", "issue", &ca], &core[..]].concat());
        assert_eq!(issued.code, 0, "{}", issued.err);
    }

    fn keep_token(&self, name: &str, token: &str) {
        std::fs::write(self.path(name), token).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn configure(&self, http: &str) -> PathBuf {
        let (data, identity) = (self.text("data"), self.text("identity"));
        let text = format!(
            "role = \"core\"\ndata = {data:?}\nidentity = {identity:?}\nquic = \"127.0.0.1:0\"\n[http]\n{http}"
        );
        std::fs::write(self.path("core.toml"), text).unwrap();
        self.path("core.toml")
    }

    fn start(&self) -> Core {
        let config = self.configure("listen = \"127.0.0.1:0\"\ntls = true\ntokens = true\n");
        let mut child = command(&["core", "--json", "--config"]).arg(config).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        std::fs::copy(self.path("data/first-token"), self.path("admin")).unwrap();
        Core { child, url: format!("https://{}", ready["http"].as_str().unwrap()) }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(command(arguments).current_dir(self.0.path()))
    }

    /// A command against a core, with the CA and a token.
    fn ask(&self, core: &Core, ca: &str, token: &str, arguments: &[&str]) -> Ended {
        let (ca, token) = (self.text(&format!("{ca}/ca.pem")), self.text(token));
        self.run(&[arguments, &["--core", &core.url, "--ca", &ca, "--token-file", &token]].concat())
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonecast"));
    for variable in ["ZONECAST_CORE", "ZONECAST_TOKEN", "ZONECAST_TOKEN_FILE", "ZONECAST_CA"] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn fails(ended: &Ended, code: i32, word: &str) {
    assert_eq!(ended.code, code, "{}", ended.err);
    assert!(ended.err.contains(word) && ended.err.trim_end().lines().count() == 1, "{}", ended.err);
}

#[test]
fn commands_show_their_token_and_trust_one_ca() {
    let place = Place::new();
    let core = place.start();
    std::fs::write(place.path("example.com.zone"), ZONE).unwrap();
    let imported = place.ask(&core, "ca", "admin", &["zone", "import", "example.com.zone"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    fails(&place.ask(&core, "other-ca", "admin", &["status"]), 10, "is not trusted");
    fails(&place.run(&["status", "--core", &core.url]), 2, "--ca FILE");
    let ca = place.text("ca/ca.pem");
    fails(&place.run(&["status", "--core", &core.url, "--ca", &ca]), 10, "--token-file");
    let with_variables = |token: &str| {
        let mut status = command(&["status"]);
        run(status.env("ZONECAST_CORE", &core.url).env("ZONECAST_CA", &ca).env("ZONECAST_TOKEN", token))
    };
    assert_eq!(with_variables(&std::fs::read_to_string(place.path("admin")).unwrap()).code, 0);
    fails(&with_variables("zc_wrong"), 10, "not valid");
    fails(&with_variables("two words"), 2, "ZONECAST_TOKEN");
    place.keep_token("open", "zc_x");
    std::fs::set_permissions(place.path("open"), Permissions::from_mode(0o644)).unwrap();
    fails(&place.ask(&core, "ca", "open", &["status"]), 5, "chmod 600");
}

#[test]
fn tokens_come_and_go_while_the_core_runs() {
    let place = Place::new();
    let core = place.start();
    let zones = ["--zone", "example.net", "--zone", "example.com"];
    let admin = |arguments: &[&str]| place.ask(&core, "ca", "admin", &[&["token"], arguments].concat());
    let made = admin(&[&["create", "ci", "--role", "read"], &zones[..]].concat());
    place.keep_token("ci", &made.out);
    assert_eq!(place.ask(&core, "ca", "ci", &["status"]).code, 0);
    std::fs::write(place.path("example.com.zone"), ZONE).unwrap();
    fails(&place.ask(&core, "ca", "ci", &["zone", "import", "example.com.zone"]), 10, "role write");
    fails(&place.ask(&core, "ca", "ci", &["zone", "export", "example.org"]), 10, "outside the scope");
    fails(&place.ask(&core, "ca", "ci", &["token", "list"]), 10, "role admin");
    fails(&admin(&["create", "ci", "--role", "read"]), 1, "already");
    fails(&admin(&["create", "a b", "--role", "read"]), 1, "is not a name for a token");
    fails(&admin(&["revoke", "first"]), 1, "the last token of role admin");
    fails(&admin(&["revoke", "other"]), 1, "there is no token");
    let listed = admin(&["list"]).out;
    assert_eq!(listed, "ci\tread\texample.com. example.net.\tnever expires\nfirst\tadmin\tall zones\tnever expires\n");
    assert_eq!(admin(&["revoke", "ci"]).code, 0);
    fails(&place.ask(&core, "ca", "ci", &["status"]), 10, "not valid");
}

#[test]
fn a_certificate_is_renewed_while_the_core_runs() {
    let place = Place::new();
    let core = place.start();
    assert_eq!(place.ask(&core, "ca", "admin", &["status"]).code, 0);
    place.issue("other-ca");
    until(|| place.ask(&core, "other-ca", "admin", &["status"]).code == 0);
    assert_eq!(place.ask(&core, "ca", "admin", &["status"]).code, 10);
}

#[test]
fn a_core_that_others_could_ask_anything_does_not_start() {
    let place = Place::new();
    let start = |config: &Path| run(command(&["core", "--config"]).arg(config));
    for wanting in ["", "tls = true\n", "tokens = true\n"] {
        let config = place.configure(&format!("listen = \"0.0.0.0:0\"\n{wanting}"));
        fails(&start(&config), 2, "beyond loopback");
    }
    let dev = place.run(&["dev", "--zones", ".", "--http", "0.0.0.0:0", "--dns", "127.0.0.1:0"]);
    fails(&dev, 2, "beyond loopback");
    let config = place.configure("listen = \"127.0.0.1:0\"\ntokens = \"/tokens\"\n");
    fails(&start(&config), 2, "true or false");
}
