//! Zones and questions out of a grammar, before and after thousands of record builds, against Knot and NSD.
//!
//! Few labels and many types, so that cuts, glue, wildcards, aliases, DNAMEs and empty non-terminals meet each other and
//! come and go; what the zone is at a moment is loaded into the peers from an export. `ZONECAST_SEED` repeats a run, and
//! `ZONECAST_SOAK` asks a million questions.

use std::time::Instant;

use domain::base::iana::Rtype;
use serde_json::{Value, json};
use zonecast_tests::{DevOptions, HostedZone, Peer, Question, Random, Report, Software, Zonecast, compare_asked};

use crate::api::call;
use crate::crash::{number_from_environment, seed_of_run};

const APEX: &str = "rand.test";

const ZONE: &str = "$TTL 300\n@ SOA ns admin 1 3600 600 86400 300\n@ NS ns\n@ NS ns.elsewhere.test.\nns A 192.0.2.53\n";

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
        // What NS at a wildcard means is left open, RFC 4592 section 4.2.
        if rtype == "NS" && name.starts_with('*') {
            rtype = "TXT";
        }
        match self.random.below(20) {
            0..8 => json!({"action": "set", "name": name, "type": rtype, "ttl": 300, "data": [self.data(rtype)]}),
            8..13 => json!({"action": "add", "name": name, "type": rtype, "ttl": 300, "data": [self.data(rtype)]}),
            13..16 => json!({"action": "delete", "name": name, "type": rtype}),
            16..18 => json!({"action": "delete", "name": name}),
            18 if name != "@" => json!({"action": "delete", "name": name, "subtree": true}),
            _ => {
                let to = self.name();
                // It may take an NS along.
                json!({"action": "rename", "name": name, "to": to.replace('*', "w")})
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
        let mut text = if name == "@" { format!("{APEX}.") } else { format!("{name}.{APEX}.") };
        if self.random.below(3) == 0 {
            text = text.to_uppercase();
        }
        let types = [Rtype::SOA, Rtype::DNAME, Rtype::DNSKEY, Rtype::NSEC];
        let rtype = match self.random.below(6) {
            0 => types[self.random.below(types.len())],
            _ => self.pick(&TYPES).parse().unwrap(),
        };
        Question { name: text.parse().unwrap(), rtype }
    }
}

#[test]
fn zones_and_questions_out_of_a_grammar_are_answered_as_knot_or_nsd_answers() {
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
    let (mut asked, mut built, started) = (0, 0, Instant::now());
    for round in 0..=rounds {
        let accepted = if round == 0 { 0 } else { change(&server, &mut grammar) };
        built += accepted;
        let report = compare(&server, &file, &mut grammar, if soak { QUESTIONS_OF_SOAK } else { QUESTIONS });
        let zone = || std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(report.unexplained(), 0, "ZONECAST_SEED={seed}, round {round}: {report}\n{}", zone());
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
        let (status, written) = call(server, "POST", &path, Some(&json!({"changes": changes})));
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

fn compare(server: &Zonecast, file: &std::path::Path, grammar: &mut Grammar, questions: usize) -> Report {
    let (status, text) = call(server, "GET", &format!("/v1/zones/{APEX}/file"), None);
    assert_eq!(status, 200, "{text}");
    std::fs::write(file, text.as_str().unwrap()).unwrap();
    let zone = HostedZone { apex: APEX.parse().unwrap(), file: file.to_owned() };
    let zones = std::slice::from_ref(&zone);
    let peers = [Software::Knot, Software::Nsd].map(|software| Peer::start(software, zones).unwrap());
    let data = peers[0].zones(zones).unwrap();
    let mut asked: Vec<Question> = (0..questions).map(|_| grammar.question()).collect();
    asked.sort();
    asked.dedup();
    compare_asked(server.dns[0], &peers, &data, &asked, true).unwrap()
}
