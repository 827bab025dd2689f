//! What is left of a cluster goes on alone, and others join it anew.

use zonecast_kv_core::{CoreError, Remains};
use zonecast_kv_proto::Epoch;

use super::site::{Node, Site, voters};
use super::*;

const MINUTE_US: u64 = 60_000_000;

/// Makes the folder of a core that does not run a cluster of its own.
pub(crate) fn recover(folder: &Path, now_us: u64) -> Result<zonecast_kv_core::Recovered, CoreError> {
    Remains::open(folder, &StateOptions::default())?.recover(now_us, Epoch::ZERO)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_left_of_three_goes_on_alone_and_others_join_anew() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    for _ in 0..3 {
        a.write("n").await;
    }
    assert_eq!(c.read("n").await, 3);
    c.kill().await;
    assert_eq!(a.write("n").await, 4, "which c never heard of");
    for node in [a, b] {
        node.kill().await;
    }
    let remains = Remains::open(&site.path("c"), &StateOptions::default()).unwrap();
    let names: Vec<String> = remains.found().members.iter().map(|member| member.name.clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let recovered = remains.recover(MINUTE_US, Epoch::ZERO).unwrap();
    assert_eq!(recovered.fork.version, recovered.kept.version.next().unwrap());
    // Whatever the others wrote meanwhile and whomever they let in, no index and no node id was given twice.
    assert!(recovered.node > recovered.last + u64::from(u32::MAX), "{recovered:?}");

    let c = site.prepare("c").start(vec![]).await.unwrap();
    assert_eq!(c.read("n").await, 3);
    assert_eq!(c.write("n").await, 4);
    let known = c.core.cluster().await;
    assert_eq!((known.members.len(), voters(&known)), (1, vec!["c"]));
    follow(&c.core);
    // Under a name of before, with an empty disk.
    std::fs::remove_dir_all(site.path("b")).unwrap();
    let b = site.add(&c, "b").await;
    let d = site.add(&c, "d").await;
    c.until(|cluster| voters(cluster) == ["b", "c", "d"]).await;
    assert_eq!(c.write("n").await, 5);
    for node in [&b, &d] {
        assert_eq!((node.read("n").await, node.core.position()), (5, c.core.position()));
        assert_eq!(node.core.forks().unwrap(), c.core.forks().unwrap());
    }
    for node in [b, c, d] {
        node.kill().await;
    }
}

/// One that comes back from before is nobody here any more, and is told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_from_before_takes_no_part() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    assert_eq!(c.read("n").await, 1);
    let address = c.address();
    for node in [c, b, a] {
        node.kill().await;
    }
    recover(&site.path("c"), MINUTE_US).unwrap();
    let c: Node = site.prepare_at("c", &address).await.start(vec![]).await.unwrap();
    assert_eq!(c.write("n").await, 2);
    let a = site.prepare("a").start(vec![]).await.unwrap();
    assert_eq!(c.write("n").await, 3);
    let [here, there] = [&c, &a].map(|node| node.core.position());
    assert!(there.version < here.version && there.epoch == Epoch::ZERO, "{there}");
    assert_eq!(voters(&c.core.cluster().await), ["c"]);
    assert!(!a.core.leads());
    for node in [a, c] {
        node.kill().await;
    }
}
