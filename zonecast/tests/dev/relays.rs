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
        assert!(receipt.commit_ms.is_some() && receipt.took.is_some(), "{receipt:?}");
        for edge in &receipt.edges {
            let [all, network, apply] = [edge.ms, edge.network_ms, edge.apply_ms].map(|ms| ms.unwrap());
            let stages = edge.relay_ms.unwrap_or_default() + network + apply;
            assert!((all - stages).abs() < 0.001 && edge.via.is_some() == edge.relay_ms.is_some(), "{edge:?}");
        }
        assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &[&address]));
        let edges = system.client.status().unwrap().edges;
        let names: Vec<&str> = edges.iter().map(|edge| edge.edge.as_str()).collect();
        assert_eq!(names, ["relay-1", "relay-2", "edge-1", "edge-2"]);
        assert!(edges.iter().all(|edge| edge.via.is_some() == (edge.role == "edge")), "{edges:?}");
        assert!(edges.iter().all(|edge| edge.connected && edge.trouble.is_none()), "{edges:?}");
        system.stop();
    }
}
