//! A cluster of three cores in one process.

use zonecast::roles::dev::DevConfig;
use zonecast_api::types::ClusterRole;
use zonecast_service::exit::Code;

use super::*;

#[test]
fn three_cores_are_one_cluster_and_stay_one_over_a_restart() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let three = || DevConfig { voters: 3, ..config(folder.path()) };
    for round in 1..=2 {
        let system = System::try_start(three()).unwrap();
        let names: Vec<&str> = system.ready.cores.iter().map(|core| core.name.as_str()).collect();
        assert_eq!(names, ["core-1", "core-2", "core-3"], "{:?}", system.ready);
        for core in &system.ready.cores {
            let cluster = Client::new(&format!("http://{}", core.http)).cluster().unwrap();
            assert_eq!((&cluster.core, cluster.voters, cluster.reached), (&core.name, 3, 3), "{cluster:?}");
            assert_eq!(cluster.leader.as_deref(), Some("core-1"));
            assert!(cluster.members.iter().all(|member| member.role != ClusterRole::Learner), "{cluster:?}");
        }
        let address = format!("192.0.2.{round}");
        system.change("example.com", set("www", "A", None, &[&address]));
        assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &[&address]));
        system.stop();
    }
    let refused = System::try_start(config(folder.path())).err().unwrap();
    assert!(refused.code == Code::Usage && refused.message.contains("--voters 3"), "{refused}");
}
