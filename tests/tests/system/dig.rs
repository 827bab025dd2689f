//! What `dig` sees of an edge beside records: cookies, NSID, and why there is no answer.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use zonecast_tests::{System, poll_until};

use crate::api::DEADLINE;
use crate::http::Http;

const ZONE: &str = "$TTL 300\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.10\n";

pub(crate) fn dig(edge: SocketAddr, arguments: &[&str]) -> String {
    let (address, port) = (format!("@{}", edge.ip()), edge.port().to_string());
    let fixed = [address.as_str(), "-p", &port, "+tries=1", "+time=5"];
    let output = Command::new("dig").args(fixed).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn cookies_nsid_access_and_rates_are_as_the_file_says() {
    let mut system = System::new(3).unwrap();
    let secrets = system.folder().join("cookie-secrets");
    std::fs::write(&secrets, "00112233445566778899aabbccddeeff\n").unwrap();
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let shared = format!("cookie_secrets = \"{}\"\n", secrets.display());
    system.edges[0].lines = format!("{shared}nsid = \"one.test\"\n");
    system.edges[1].lines = format!("{shared}[rate_limit]\nresponses_per_second = 1\nslip = 1\n");
    system.edges[2].lines = "[access]\ndeny = [\"127.0.0.0/8\"]\n".into();
    system.core.start_ready().unwrap();
    let (status, written) = Http::new(system.core.http).call("PUT", "/v1/zones/example.com", Some(ZONE)).unwrap();
    assert_eq!(status, 200, "{written}");
    system.edges.iter_mut().for_each(|edge| drop(edge.start_ready().unwrap()));
    let [one, limited, closed] = [0, 1, 2].map(|number| system.edges[number].service);
    let www = poll_until(Instant::now() + DEADLINE, || {
        let said = dig(one, &["+nsid", "+cookie=0123456789abcdef", "www.example.com"]);
        said.contains("192.0.2.10").then_some(said)
    });
    let www = www.expect("the zone is served");
    assert!(www.contains("one.test") && www.contains("(good)"), "{www}");
    let cookie = www.lines().find_map(|line| line.strip_prefix("; COOKIE: ")?.split(' ').next()).unwrap().to_owned();
    assert!(dig(one, &["www.example.org"]).contains("EDE: 20"), "not authoritative");
    assert!(dig(one, &["AXFR", "example.com"]).contains("Transfer failed"));

    let refused = dig(closed, &["www.example.com"]);
    assert!(refused.contains("REFUSED") && refused.contains("EDE: 18"), "{refused}");
    assert!(!dig(closed, &["+tcp", "www.example.com"]).contains("status:"), "closed");

    // The other edge takes the cookie of the first; without one, the limit soon sends clients to TCP.
    let shown = format!("+cookie={cookie}");
    for _ in 0..20 {
        let said = dig(limited, &["+ignore", &shown, "www.example.com"]);
        assert!(said.contains("192.0.2.10") && said.contains("(good)"), "{said}");
    }
    let limits = || dig(limited, &["+ignore", "+nocookie", "+norecurse", "www.example.com"]).contains("qr tc;");
    assert!(poll_until(Instant::now() + DEADLINE, || limits().then_some(())).is_some(), "no answer is truncated");
    assert!(dig(limited, &["+nocookie", "www.example.com"]).contains("192.0.2.10"), "over TCP it is there");
}
