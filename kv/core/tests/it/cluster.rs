//! Several cores in one process, over real QUIC: they elect, replicate, let each other in and go on without each other.

use zonecast_kv_core::{CoreError, MemberError};

use super::site::{Site, WITHIN, leader, voters};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_becomes_three_and_every_one_has_what_was_written() {
    let site = Site::new();
    let a = site.found("a").await;
    for _ in 0..10 {
        a.write("n").await;
    }
    let b = site.add(&a, "b").await;
    let cluster = a.until(|cluster| cluster.members.len() == 2).await;
    assert_eq!(voters(&cluster), ["a"], "two would be no better than one");
    let c = site.add(&a, "c").await;
    a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
    assert_eq!(a.write("n").await, 11);
    for node in [&a, &b, &c] {
        assert_eq!(node.read("n").await, 11);
        assert_eq!(node.core.position(), a.core.position());
        let known = node.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
        assert!(known.members.iter().all(|member| member.status.is_some()), "{known:?}");
    }
    assert!(matches!(
        increment(&b.core, "n").await,
        Err(ChangeError::Propose(ProposeError::NotLeader { leader: Some(leader) })) if leader.name == "a"
    ));
    for node in [c, b, a] {
        node.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_go_on_and_the_third_comes_back_to_what_it_missed() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    a.kill().await;
    let nodes = [b, c];
    let led = leader(&nodes).await;
    assert_eq!(led.write("n").await, 2);
    let again = site.prepare("a").start(vec![]).await.unwrap();
    assert_eq!(again.read("n").await, 2, "at another address");
    let known = led.until(|cluster| cluster.members.iter().any(|m| m.member.address == again.address())).await;
    assert_eq!(known.members.len(), 3);
    assert_eq!(led.write("n").await, 3);
    assert_eq!(again.read("n").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lead_is_handed_over_and_a_planned_stop_hands_it_over_too() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.core.transfer_lead("b", WITHIN).await.unwrap();
    b.core.lead_changed(true).await;
    a.core.lead_changed(false).await;
    assert_eq!(b.write("n").await, 1);
    assert!(matches!(a.core.transfer_lead("c", WITHIN).await, Err(MemberError::NotLeader)));
    b.core.shutdown().await.unwrap();
    let nodes = [a, c];
    assert_eq!(leader(&nodes).await.write("n").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_become_one_and_whoever_is_removed_hears_of_it() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    let why = a.core.remove_members(&["c".into()]).await.unwrap_err();
    assert_eq!(why, MemberError::Even(2));
    let data_dir = site.path("c");
    c.kill().await;
    a.core.remove_members(&["b".into(), "c".into()]).await.unwrap();
    a.until(|cluster| voters(cluster) == ["a"] && cluster.members.len() == 1).await;
    let stopped = tokio::time::timeout(WITHIN, b.core.stopped()).await.expect("it was there, and hears of it");
    assert!(matches!(&stopped, CoreError::Removed { by, .. } if by.name == "a"), "{stopped}");
    b.kill().await;
    assert_eq!(a.write("n").await, 2);
    // It was away, still takes itself for a voter, and asks.
    assert!(data_dir.exists());
    let c = site.prepare("c").start(vec![]).await.unwrap();
    let stopped = tokio::time::timeout(WITHIN, c.core.stopped()).await.expect("it hears of it when it is back");
    assert!(matches!(&stopped, CoreError::Removed { .. }), "{stopped}");
    assert_eq!(a.write("n").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_disk_does_not_come_back_under_its_name() {
    let site = Site::new();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    c.kill().await;
    std::fs::remove_dir_all(site.path("c")).unwrap();
    let error = site.prepare("c").start(vec![a.address()]).await.err().expect("the others count on what it held");
    assert!(matches!(&error, CoreError::Join(why) if why.contains("cluster remove c")), "{error}");
    // Nor when only the log is gone.
    b.kill().await;
    std::fs::remove_dir_all(site.path("b").join("raft")).unwrap();
    let error = site.prepare("b").start(vec![]).await.err().expect("its log is gone");
    assert!(matches!(&error, CoreError::Emptied { id, .. } if *id > 1), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_of_several_says_where_it_is_reached_and_one_alone_need_not() {
    let site = Site::new();
    let unreachable = |name: &str| site.prepare(name).unreachable();
    let a = unreachable("a").start(vec![]).await.unwrap();
    a.kill().await;
    let a = site.found("a").await;
    let b = site.add(&a, "b").await;
    b.until(|cluster| cluster.members.len() == 2).await;
    b.kill().await;
    let error = unreachable("b").start(vec![]).await.err().expect("nobody could reach it");
    assert!(matches!(error, CoreError::NoAddress), "{error}");
    a.kill().await;
    // Neither the one that leads alone while the other learns.
    let error = unreachable("a").start(vec![]).await.err().expect("the learner could not reach it");
    assert!(matches!(error, CoreError::NoAddress), "{error}");
}
