//! Zones and questions out of a grammar, before and after thousands of record builds, against Knot, NSD and BIND.
//!
//! Few labels and many types, so that cuts, glue, wildcards, aliases, DNAMEs and empty non-terminals meet each other and
//! come and go; what the zone is at a moment is loaded into the peers from an export. BIND signs the same records as
//! another zone, with NSEC, NSEC3 and opt-out in turn, and all load that too. `ZONECAST_SEED` repeats a run, and
//! `ZONECAST_SOAK` asks a million questions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use domain::base::iana::Rtype;
use serde_json::{Value, json};
use zonecast_tests::{DevOptions, HostedZone, Peer, Question, Random, Report, Software, Zonecast, compare_asked};

use crate::api::call;
use crate::crash::{number_from_environment, seed_of_run};
use crate::http::Http;

const APEX: &str = "rand.test";

/// Has the same records, and signatures.
const SIGNED: &str = "sign.test";

/// How it is signed, in turn: NSEC, NSEC3 with a salt, without one, and with opt-out.
const CHAINS: [&[&str]; 4] = [&[], &["-3", "aabb"], &["-3", "-"], &["-3", "-", "-A"]];

const ZONE: &str = "$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns.elsewhere.test.\nns A 192.0.2.53\n";

/// Labels of names; that few, so that they meet.
const LABELS: [&str; 10] = ["a", "a", "b", "c", "*", "ent", "ns", "www", "x-1", "_tcp"];

/// Names that get a DNAME, and nothing beneath: NSD and Knot load no zone that has something there.
const DNAMES: [&str; 2] = ["dn1", "dn2.a"];

const TYPES: [&str; 14] =
    ["A", "A", "A", "AAAA", "NS", "NS", "CNAME", "MX", "TXT", "SRV", "DS", "CAA", "HTTPS", "TYPE65280"];

/// Record builds before each comparison.
const BUILDS: usize = 1_500;

/// Questions of each comparison, in `make test` and in `make soak`.
const QUESTIONS: usize = 2_500;
const QUESTIONS_OF_SOAK: usize = 50_000;

/// Comparisons of one zone: before any change, and after each round of them.
const ROUNDS: usize = 3;
const ROUNDS_OF_SOAK: usize = 19;

struct Grammar {
    random: Random,
}

impl Grammar {
    fn pick<'t>(&mut self, words: &[&'t str]) -> &'t str {
        words[self.random.below(words.len())]
    }

    /// Relative to the apex.
    fn name(&mut self) -> String {
        let labels: Vec<&str> = (0..self.random.below(4)).map(|_| self.pick(&LABELS)).collect();
        if labels.is_empty() { "@".to_owned() } else { labels.join(".") }
    }

    /// Where a record leads: no name server or host is a wildcard.
    fn target(&mut self) -> String {
        match self.random.below(6) {
            0 => "host.elsewhere.test.".to_owned(),
            _ => self.name().replace('*', "w"),
        }
    }

    fn data(&mut self, rtype: &str) -> String {
        let number = self.random.below(4);
        match rtype {
            "A" => format!("192.0.2.{number}"),
            "AAAA" => format!("2001:db8::{number}"),
            "MX" => format!("{number} {}", self.target()),
            "TXT" => format!("\"text {number}\""),
            "SRV" => format!("0 {number} 5060 {}", self.target()),
            "DS" => format!("{number} 8 2 {}", "ab".repeat(32)),
            "CAA" => format!("0 issue \"ca{number}.test\""),
            "HTTPS" => format!("{} {} alpn=h2", number + 1, self.target()),
            "TYPE65280" => format!("\\# 2 000{number}"),
            _ => self.target(),
        }
    }

    fn change(&mut self) -> Value {
        if self.random.below(12) == 0 {
            let name = self.pick(&DNAMES);
            let data = [self.target()];
            return json!({"action": "set", "name": name, "type": "DNAME", "ttl": 300, "data": data});
        }
        if self.random.below(6) == 0 {
            return self.glue();
        }
        let (name, mut rtype) = (self.name(), self.pick(&TYPES));
        // What NS at a wildcard means is left open, RFC 4592 section 4.2; a DS at the apex BIND does not load.
        if (rtype == "NS" && name.starts_with('*')) || (rtype == "DS" && name == "@") {
            rtype = "TXT";
        }
        let data = match (name.as_str(), rtype) {
            // BIND loads no zone whose own name servers have no address.
            ("@", "NS") => self.pick(&["ns.elsewhere.test.", "host.elsewhere.test."]).to_owned(),
            _ => self.data(rtype),
        };
        match self.random.below(20) {
            0..8 => json!({"action": "set", "name": name, "type": rtype, "ttl": 300, "data": [data]}),
            8..13 => json!({"action": "add", "name": name, "type": rtype, "ttl": 300, "data": [data]}),
            13..16 => json!({"action": "delete", "name": name, "type": rtype}),
            16..18 => json!({"action": "delete", "name": name}),
            18 if name != "@" => json!({"action": "delete", "name": name, "subtree": true}),
            _ => {
                // It may take an NS along.
                let to = self.name().replace(['*', '@'], "w");
                json!({"action": "rename", "name": name, "to": to})
            }
        }
    }

    /// A delegation whose name server lies below it, or the address of such a name server, which comes and goes.
    fn glue(&mut self) -> Value {
        let cut = self.pick(&["a", "b", "c", "b.a", "ent.c"]);
        let (server, rtype) = (format!("ns.{cut}"), self.pick(&["A", "AAAA"]));
        match self.random.below(4) {
            0 => json!({"action": "set", "name": cut, "type": "NS", "ttl": 300, "data": [server]}),
            1 => json!({"action": "delete", "name": server, "type": rtype}),
            _ => json!({"action": "set", "name": server, "type": rtype, "ttl": 300, "data": [self.data(rtype)]}),
        }
    }

    fn question(&mut self) -> Question {
        let name = match self.random.below(12) {
            0 => format!("{}.{}", self.pick(&LABELS), self.pick(&DNAMES)),
            1 => self.pick(&DNAMES).to_owned(),
            _ => self.name(),
        };
        let apex = self.pick(&[APEX, SIGNED]);
        let mut text = if name == "@" { format!("{apex}.") } else { format!("{name}.{apex}.") };
        if self.random.below(3) == 0 {
            text = text.to_uppercase();
        }
        let types = [Rtype::SOA, Rtype::DNAME, Rtype::DNSKEY, Rtype::NSEC, Rtype::NSEC3PARAM];
        let rtype = match self.random.below(6) {
            0 => types[self.random.below(types.len())],
            _ => self.pick(&TYPES).parse().unwrap(),
        };
        Question { name: text.parse().unwrap(), rtype }
    }
}

#[test]
fn zones_and_questions_out_of_a_grammar_are_answered_as_a_peer_answers() {
    let soak = std::env::var_os("ZONECAST_SOAK").is_some();
    let seed = seed_of_run();
    println!("ZONECAST_SEED={seed}");
    let rounds = if soak { ROUNDS_OF_SOAK } else { ROUNDS };
    let rounds = number_from_environment("ZONECAST_ROUNDS").map_or(rounds, |rounds| usize::try_from(rounds).unwrap());
    let mut grammar = Grammar { random: Random::new(seed) };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{APEX}.zone"));
    std::fs::write(&file, ZONE).unwrap();
    let server = Zonecast::start(&DevOptions::new(folder.path())).unwrap();
    let signer = Signer::new();
    let (mut asked, mut built, started) = (0, 0, Instant::now());
    for round in 0..=rounds {
        let accepted = if round == 0 { 0 } else { change(&server, &mut grammar) };
        built += accepted;
        let files = [export(&server, &file), signer.sign(&server, &file, CHAINS[round % CHAINS.len()])];
        let report = compare(&server, &files, &mut grammar, if soak { QUESTIONS_OF_SOAK } else { QUESTIONS });
        let zones = || files.iter().flat_map(std::fs::read_to_string).collect::<String>();
        assert_eq!(report.unexplained(), 0, "ZONECAST_SEED={seed}, round {round}: {report}\n{}", zones());
        asked += report.asked();
    }
    println!("{asked} questions, {built} record builds in {:?}", started.elapsed());
    assert!(asked >= u64::try_from((rounds + 1) * QUESTIONS).unwrap(), "only {asked} questions were asked");
    assert!(built >= rounds * BUILDS / 2, "only {built} record builds were accepted");
}

/// Makes changes; how many were accepted.
fn change(server: &Zonecast, grammar: &mut Grammar) -> usize {
    let path = format!("/v1/zones/{APEX}/changes");
    let mut accepted = 0;
    for _ in 0..BUILDS {
        let changes: Vec<Value> = (0..1 + grammar.random.below(3)).map(|_| grammar.change()).collect();
        let (status, written) =
            call(server, "POST", &format!("{path}?allow_shrink=true"), Some(&json!({"changes": changes})));
        assert!(matches!(status, 200 | 422), "{changes:?}: {written}");
        accepted += usize::from(status == 200);
    }
    // This one is live when it is answered.
    let last = json!({"changes": [{"action": "set", "name": "last", "type": "TXT", "ttl": 300, "data": ["x"]},
        {"action": "delete", "name": "last"}, {"action": "set", "name": "z", "type": "TXT", "ttl": 300,
        "data": [accepted.to_string()]}]});
    let (status, written) = call(server, "POST", &format!("{path}?wait=all"), Some(&last));
    assert!(status == 200 && written["receipt"]["reached"] == true, "{written}");
    accepted
}

/// Writes the zone as it is now; the file.
fn export(server: &Zonecast, file: &Path) -> PathBuf {
    let (status, text) = call(server, "GET", &format!("/v1/zones/{APEX}/file"), None);
    assert_eq!(status, 200, "{text}");
    std::fs::write(file, text.as_str().unwrap()).unwrap();
    file.to_owned()
}

/// BIND's signer, and a key of each kind.
struct Signer {
    folder: tempfile::TempDir,
}

impl Signer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for role in [&["-f", "KSK"][..], &[]] {
            let mut command = Command::new("dnssec-keygen");
            command.args(["-q", "-a", "ECDSAP256SHA256", "-K"]).arg(folder.path()).args(role).arg(SIGNED);
            run(&mut command);
        }
        Self { folder }
    }

    /// Loads the signed zone of these records and waits until it is served; its file.
    fn sign(&self, server: &Zonecast, file: &Path, chain: &[&str]) -> PathBuf {
        let text = signable(&std::fs::read_to_string(file).unwrap()).replace(APEX, SIGNED);
        let (unsigned, signed) = (self.folder.path().join("unsigned"), self.folder.path().join("signed"));
        std::fs::write(&unsigned, text).unwrap();
        let mut command = Command::new("dnssec-signzone");
        // What the grammar makes breaks rules of BIND's that are not the protocol's: no check afterwards.
        command
            .args(["-q", "-S", "-P", "-O", "full", "-o", SIGNED, "-K"])
            .arg(self.folder.path())
            .arg("-f")
            .arg(&signed);
        run(command.args(chain).arg(&unsigned).current_dir(self.folder.path()));
        let http = Http::new(server.http.parse().unwrap());
        let body = std::fs::read_to_string(&signed).unwrap();
        let (status, answer) =
            http.call("PUT", &format!("/v1/zones/{SIGNED}?wait=all&allow_shrink=true"), Some(&body)).unwrap();
        assert!(status == 200 && answer["receipt"]["reached"] == true, "{answer}\n{body}");
        signed
    }
}

/// The zone without what BIND does not sign: DS records where there is no delegation.
fn signable(text: &str) -> String {
    let of_type = |line: &str, rtype: &str| line.split_whitespace().nth(3) == Some(rtype);
    let owner = |line: &str| line.split_whitespace().next().map(str::to_lowercase);
    let cuts: BTreeSet<_> = text.lines().filter(|line| of_type(line, "NS")).map(owner).collect();
    let kept = text.lines().filter(|line| !of_type(line, "DS") || cuts.contains(&owner(line)));
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn run(command: &mut Command) {
    let output = command.output().expect("the tools of BIND (bind9-utils) are installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asks for either zone; the files are in the order of the zones.
fn compare(server: &Zonecast, files: &[PathBuf; 2], grammar: &mut Grammar, questions: usize) -> Report {
    let zones = [APEX, SIGNED].into_iter().zip(files);
    let zones = zones.map(|(apex, file)| HostedZone { apex: apex.parse().unwrap(), file: file.clone() });
    let zones: Vec<HostedZone> = zones.collect();
    let peers = [Software::Knot, Software::Nsd, Software::Bind].map(|software| Peer::start(software, &zones).unwrap());
    let data = peers[0].zones(&zones).unwrap();
    let mut asked: Vec<Question> = (0..questions).map(|_| grammar.question()).collect();
    asked.sort();
    asked.dedup();
    compare_asked(server.dns[0], &peers, &data, &asked, true).unwrap()
}
