//! A zone that is listed and was never loaded is SERVFAIL, as with the peers; it is never answered from the zone above,
//! whose NXDOMAIN resolvers would keep.

use std::path::Path;

use domain::base::iana::{OptRcode, Rtype};
use zonecast_tests::{
    Asker, DevOptions, HostedZone, Mode, Peer, Question, Recursion, Reply, Software, Zonecast, differences,
};

const GOOD: &str = "$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\n";

/// Has no name server, and a line that is no record.
const BROKEN: &str = "$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 60\nwww A not-an-address\n";

fn question(name: &str, rtype: Rtype) -> Question {
    Question { name: name.parse().unwrap(), rtype }
}

fn ask(server: &Zonecast, name: &str, rtype: Rtype) -> Reply {
    Asker::new(server.dns[0], Recursion::Off).ask(&question(name, rtype), Mode::Edns(1232)).unwrap()
}

fn write(folder: &Path, apex: &str, text: &str) -> HostedZone {
    let file = folder.join(format!("{apex}.zone"));
    std::fs::write(&file, text).unwrap();
    HostedZone { apex: apex.parse().unwrap(), file }
}

#[test]
fn a_listed_zone_that_was_never_loaded_is_servfail_until_it_is_loaded_or_not_listed() {
    let (zones, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = zones.path();
    let above = format!("{GOOD}into CNAME www.child\n*.gone TXT \"from above\"\n");
    let hosted = [write(folder, "parent.test", &above)];
    let broken = ["child.parent.test", "gone.parent.test", "alone.test"].map(|apex| write(folder, apex, BROKEN));
    let options = DevOptions { data: Some(data.path().to_owned()), ..DevOptions::new(folder) };
    let server = Zonecast::start(&options).unwrap();
    assert_eq!((server.ready_count("zones"), server.ready_count("refused")), (Some(1), Some(3)), "{}", server.log());

    let peers = [Software::Knot, Software::Nsd, Software::Bind];
    let peers = peers.map(|software| Peer::start_with(software, &hosted, &broken).unwrap());
    for (name, rtype) in [
        ("child.parent.test.", Rtype::SOA),
        ("www.child.parent.test.", Rtype::A),
        ("a.b.child.parent.test.", Rtype::TXT),
        ("x.gone.parent.test.", Rtype::TXT),
        ("alone.test.", Rtype::NS),
        ("www.alone.test.", Rtype::A),
        // The zone above is asked for it.
        ("child.parent.test.", Rtype::DS),
        // As NSD and BIND, and the next question of the resolver is SERVFAIL.
        ("into.parent.test.", Rtype::A),
    ] {
        let ours = ask(&server, name, rtype);
        let theirs = peers.each_ref().map(|peer| {
            Asker::new(peer.address(), Recursion::Off).ask(&question(name, rtype), Mode::Edns(1232)).unwrap()
        });
        assert!(theirs.iter().any(|theirs| differences(&ours, theirs).is_empty()), "{name} {rtype}: {ours} {theirs:?}");
        let is_above = rtype == Rtype::DS || name.starts_with("into");
        assert_eq!(ours.rcode == OptRcode::SERVFAIL, !is_above, "{name} {rtype}: {ours}");
    }
    assert!(server.stop().unwrap().success());

    // It stays so over a restart; what is mended takes the mark's place, and what is not listed any more loses it.
    write(folder, "child.parent.test", GOOD);
    std::fs::remove_file(&broken[1].file).unwrap();
    let server = Zonecast::start(&options).unwrap();
    assert_eq!(ask(&server, "www.alone.test.", Rtype::A).rcode, OptRcode::SERVFAIL);
    assert_eq!(ask(&server, "www.child.parent.test.", Rtype::A).class(Rtype::A), "positive");
    assert_eq!(ask(&server, "into.parent.test.", Rtype::A).answer.len(), 2);
    assert_eq!(ask(&server, "x.gone.parent.test.", Rtype::TXT).class(Rtype::TXT), "positive");
    assert!(server.stop().unwrap().success());

    // A zone that was loaded once is served from its last good version.
    write(folder, "child.parent.test", BROKEN);
    let server = Zonecast::start(&options).unwrap();
    assert_eq!(ask(&server, "www.child.parent.test.", Rtype::A).class(Rtype::A), "positive");
    assert!(server.stop().unwrap().success());
}
