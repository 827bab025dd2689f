//! zonecast answers as NSD or Knot does, or as docs/conformance.md says.

use std::time::Instant;

use zonecast_tests::{Breadth, Corpus, DevOptions, Peer, Software, Zonecast, compare_all, conformance_page};

#[test]
fn small_hard_zones() {
    agrees_with_a_peer(
        "hard",
        Breadth::Full,
        &[Software::Knot, Software::Nsd],
        &[
            "case-kept-by-compression",
            "chain-into-a-zone-below",
            "chain-limit",
            "delegation-by-a-wildcard",
            "sibling-glue-that-fits",
            "signatures-over-nothing",
            "udp-payload",
        ],
    );
}

#[test]
fn signed_zones() {
    agrees_with_a_peer(
        "signed",
        Breadth::Full,
        &[Software::Knot, Software::Nsd],
        &["asterisk-below-a-hash", "nsec-at-a-cut", "one-rrset-for-any"],
    );
}

#[test]
fn zones_that_only_bind_loads() {
    agrees_with_a_peer("odd", Breadth::Full, &[Software::Bind], &["one-rrset-for-any"]);
}

#[test]
fn the_root_zone() {
    agrees_with_a_peer(
        "root",
        Breadth::Narrow,
        &[Software::Knot, Software::Nsd],
        &["case-kept-by-compression", "nsec-at-a-cut", "sibling-glue-that-fits"],
    );
}

/// Compares with these peers, the first of which also says what is in the zones. Exactly these choices show.
fn agrees_with_a_peer(corpus: &str, breadth: Breadth, peers: &[Software], choices: &[&str]) {
    let corpus = Corpus::load(corpus).unwrap();
    let server = Zonecast::start(&DevOptions::of_corpus(&corpus)).unwrap();
    let count = u64::try_from(corpus.zones.len()).unwrap();
    assert_eq!(server.ready_count("zones"), Some(count), "{}", server.log());
    let peers: Vec<Peer> = peers.iter().map(|software| Peer::start(*software, &corpus.zones).unwrap()).collect();
    let zones = peers[0].zones(&corpus.zones).unwrap();
    let started = Instant::now();
    let report = compare_all(server.dns[0], &peers, &zones, breadth).unwrap();
    println!("{report}in {:?}", started.elapsed());
    assert!(report.asked() > 5_000, "only {} questions were asked", report.asked());
    assert_eq!(report.unexplained(), 0, "{report}");
    assert!(report.chosen().keys().eq(choices), "other choices than expected: {report}");
}

#[test]
fn the_page_says_what_the_table_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, conformance_page()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(page, conformance_page(), "run `UPDATE_DOCS=1 cargo test -p zonecast-tests the_page`");
}
