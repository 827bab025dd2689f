//! Two releases beside each other: a cluster goes from an earlier one to the present one, core by core, and back where it
//! still can.

use std::time::{Duration, Instant};

use serde_json::Value;
use zonecast_tests::{NoPrevious, Node, System, previous_zonecast, run, skip, skip_also_in_ci};

use crate::cluster::{PATIENCE, ZONE, has, let_in, takes_a_write, url, wait};
use crate::http::Http;

const LEVEL_BEFORE: u64 = 1;
const LEVEL: u64 = 2;
/// How often a leader looks whether it can raise the level.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The level that the cluster has agreed on, as this core knows it.
fn level(core: &Node) -> Value {
    Http::new(core.http).get("/v1/cluster")["level"].clone()
}

/// Stops it in order, and starts it with this program, or with the one that was built with this test.
fn restart_with(node: &mut Node, binary: Option<&std::path::Path>) {
    assert!(node.stop().unwrap().success(), "{}", node.log());
    node.binary = binary.map(Into::into);
    node.start_ready().unwrap();
}

#[test]
fn a_cluster_goes_to_a_new_release_core_by_core_and_an_old_one_is_refused_then() {
    let previous = match previous_zonecast() {
        Ok(previous) => previous,
        Err(why @ NoPrevious::NoHistory(_)) => return skip_also_in_ci(why),
        Err(why @ NoPrevious::NotBuilt) => return skip(why),
    };
    let _alone = crate::heavy::alone();
    let mut system = System::new(1).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    for old in [&mut system.core, &mut second, &mut system.edges[0]] {
        old.binary = Some(previous.clone());
    }
    system.core.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    // The third is new, and joins a cluster of the old release.
    let_in(&system, [&mut second, &mut third]);
    system.edges[0].upstreams.extend([second.service, third.service]);
    system.edges[0].start_ready().unwrap();
    assert!(takes_a_write(&third, "192.0.2.2"), "an old core leads: {}", third.log());
    has(&system.edges[0], &system.core, "192.0.2.2");
    run(&["--core", &url(&system.core), "cluster", "transfer", "core-3"]).unwrap();
    // For longer than it takes the leader to look what the others can read.
    let begun = Instant::now();
    while begun.elapsed() < 3 * LOOK_EVERY {
        assert!(takes_a_write(&second, "192.0.2.1"), "a new core leads: {}", second.log());
        assert!(takes_a_write(&second, "192.0.2.3"), "a new core leads: {}", second.log());
    }
    has(&system.edges[0], &system.core, "192.0.2.3");
    assert_eq!(level(&third), LEVEL_BEFORE, "two cores cannot read more: {}", third.log());
    // It can go back, with all that it has written.
    restart_with(&mut third, Some(&previous));
    assert!(takes_a_write(&third, "192.0.2.4"), "{}", third.log());
    restart_with(&mut third, None);
    restart_with(&mut second, None);
    assert_eq!(level(&second), LEVEL_BEFORE, "one core cannot read more: {}", second.log());
    restart_with(&mut system.core, None);
    for core in [&system.core, &second, &third] {
        wait(core, "the level is raised", |cluster| cluster["level"] == LEVEL && cluster["reached"] == 3);
    }
    assert!(takes_a_write(&second, "192.0.2.5"), "{}", second.log());
    has(&system.edges[0], &system.core, "192.0.2.5");
    restart_with(&mut system.edges[0], None);
    has(&system.edges[0], &system.core, "192.0.2.5");

    // No way back now, and nothing of the data is changed by the try.
    assert!(second.stop().unwrap().success());
    second.binary = Some(previous.clone());
    second.start().unwrap();
    assert!(!second.wait_ended().expect("it ends").success());
    assert!(!second.log_lines(&["head format 2 is not known to this release"]).is_empty(), "{}", second.log());
    second.binary = None;
    second.start_ready().unwrap();
    assert!(takes_a_write(&second, "192.0.2.6"), "{}", second.log());
    let mut fourth = system.joining("core-4").unwrap();
    fourth.binary = Some(previous);
    fourth.start().unwrap();
    let why = "feature level 1, and the cluster has agreed on 2";
    assert!(fourth.wait_log(&[why], PATIENCE).is_some(), "{}", fourth.log());
    assert!(!fourth.wait_ended().expect("it ends").success());
    assert!(!fourth.data.join("core/node").exists(), "it has a node id");
}
