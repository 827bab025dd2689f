//! The cluster of a core: whether it has a leader, who is away, and how many more may fail.

use super::finding::About;
use zonecast_api::types::ClusterInfo;

const CHECK: &str = "cluster";

pub(super) fn check(cluster: &ClusterInfo, about: &mut About<'_>) {
    if cluster.leader.is_none() {
        let message =
            format_args!("{} of {} voters are reached, and none is known to lead", cluster.reached, cluster.voters);
        about.error(CHECK, message, "start the cores that are away; nothing can be changed before a majority is there");
    }
    let is_last = cluster.may_fail.is_none_or(|left| left == 0);
    for member in cluster.away() {
        let message = format_args!("{} at {} is away", member.name, member.address);
        if is_last {
            let advice = "start it, or replace it: when one more is away, nothing can be changed; if its certificate was \
                          revoked, issue it a new one, or remove it";
            about.error(CHECK, message, advice);
        } else {
            let advice = "start it, or replace it; if its certificate was revoked, issue it a new one, or \
                          `zonecast cluster remove` it";
            about.warn(CHECK, message, advice);
        }
    }
    for core in &cluster.asking {
        let message = format_args!("{} at {} asks to join", core.name, core.address);
        about.warn(CHECK, message, format_args!("`zonecast cluster add {}`, if it belongs here", core.name));
    }
    if cluster.leader.is_some() && cluster.away().next().is_none() {
        about.ok(CHECK, cluster.summary());
    }
}
