//! A validator that is not ours, BIND's `delv`, believes what signed zones answer, and believes what they deny.

use std::path::Path;
use std::process::Command;

use zonecast_tests::{Corpus, DevOptions, Zonecast};

/// What `delv` says of an answer.
const VALIDATED: &str = "; fully validated";
const DENIED: &str = "; negative response, fully validated";
/// An answer that nobody signs for: in a span of names with opt-out, what a wildcard makes (RFC 5155 section 6).
const UNSIGNED: &str = "; unsigned answer";

/// Asked in every zone, and what comes of it where nothing is left out of the proofs.
const ASKED: [(&str, &str, &str); 15] = [
    ("", "SOA", VALIDATED),
    ("", "DNSKEY", VALIDATED),
    ("www.", "A", VALIDATED),
    ("www.", "TXT", VALIDATED),
    ("www.", "MX", DENIED),
    ("x.wild.", "A", VALIDATED),
    ("x.wild.", "MX", DENIED),
    ("c.ent.", "A", DENIED),
    ("x.www.", "A", DENIED),
    ("alias.", "A", VALIDATED),
    ("x.cwild.", "A", VALIDATED),
    ("here.dname.", "A", VALIDATED),
    ("secure.", "DS", VALIDATED),
    ("insecure.", "DS", DENIED),
    ("x.y.z.", "HINFO", VALIDATED),
];

#[test]
fn delv_believes_signed_zones() {
    let corpus = Corpus::load("signed").unwrap();
    let server = Zonecast::start(&DevOptions::of_corpus(&corpus)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for zone in &corpus.zones {
        let apex = zone.apex.to_string();
        let anchor = folder.path().join(&apex);
        std::fs::write(&anchor, trust_anchor(&apex, &std::fs::read_to_string(&zone.file).unwrap())).unwrap();
        for (name, rtype, expected) in ASKED {
            let made_by_wildcard = ["x.wild.", "x.cwild.", "x.y.z."].contains(&name) && expected == VALIDATED;
            let expected = if apex == "optout.test" && made_by_wildcard { UNSIGNED } else { expected };
            let said = delv(&server, &anchor, &apex, &format!("{name}{apex}."), rtype);
            assert!(said.lines().any(|line| line == expected), "{name}{apex} {rtype}, not `{expected}`: {said}");
        }
    }
}

/// The key-signing key of a zone file, as `delv` reads it.
fn trust_anchor(apex: &str, text: &str) -> String {
    let (_, key) = text.split_once("DNSKEY\t257 3 13 ").expect("the zone has a key-signing key");
    let key: String = key.lines().next().unwrap().split(';').next().unwrap().split_whitespace().collect();
    format!("trust-anchors {{ \"{apex}.\" static-key 257 3 13 \"{key}\"; }};\n")
}

fn delv(server: &Zonecast, anchor: &Path, apex: &str, name: &str, rtype: &str) -> String {
    let address = server.dns[0];
    let mut command = Command::new("delv");
    command.arg(format!("@{}", address.ip())).args(["-p", &address.port().to_string(), "-a"]).arg(anchor);
    let output = command.args([&format!("+root={apex}"), name, rtype]).output().expect("delv of bind9-dnsutils runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
