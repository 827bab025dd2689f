//! Relays between the core and the edges, in one process.

use zonecast::roles::dev::DevConfig;

use super::*;

#[test]
fn edges_follow_relays_and_the_core_knows_who_has_what() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let config = || DevConfig { relays: 2, ..config(folder.path()) };
    for round in 1..=2 {
        let system = System::try_start(config()).unwrap();
        let address = format!("192.0.2.{round}");
        let change = ChangeRequest { changes: vec![set("www", "A", None, &[&address])] };
        let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
        let receipt = system.client.change("example.com", &change, all).unwrap().receipt.unwrap();
        assert!(receipt.reached && receipt.applied == 4 && receipt.of == 4, "relays count as well: {receipt:?}");
        assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &[&address]));
        let edges = system.client.status().unwrap().edges;
        let via: Vec<(&str, Option<&str>)> =
            edges.iter().map(|edge| (edge.edge.as_str(), edge.via.as_deref())).collect();
        let expected = [("relay-1", None), ("relay-2", None), ("edge-1", Some("relay-1")), ("edge-2", Some("relay-2"))];
        assert_eq!(via, expected, "{edges:?}");
        assert!(edges.iter().all(|edge| edge.connected && edge.trouble.is_none()), "{edges:?}");
        system.stop();
    }
}
