//! Nodes compared with each other: store, history, chain, releases, and who is missing.

use super::facts::{Answer, CoreChain, Facts};
use super::finding::{About, Finding};
use zonecast_api::types::{EdgeInfo, EdgeNode, NodeStatus, Status};

/// Versions on their way to an edge in a busy system; more are some seconds of work for it.
const LAG: u64 = 1000;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    check_releases(facts, findings);
    let Some(core) = facts.core() else { return };
    for answer in facts.nodes.iter().filter_map(|node| node.answer.as_ref().ok()) {
        if let NodeStatus::Edge(edge) = &answer.status {
            check_copy(core, edge, answer, &mut About::new(&edge.edge, findings));
        }
    }
    for edge in &core.edges {
        check_known(edge, &mut About::new(&edge.edge, findings));
    }
    for other in facts.nodes.iter().filter_map(|node| node.answer.as_ref().ok()) {
        if let NodeStatus::Core(other) = &other.status
            && other.store != core.store
        {
            let message = format_args!("two cores hold two stores: {} and {}", core.store, other.store);
            About::new("cores", findings).error("store", message, "stop the one that does not belong here");
        }
    }
}

/// An edge's copy against the core.
fn check_copy(core: &Status, edge: &EdgeNode, answer: &Answer, about: &mut About<'_>) {
    if edge.store.is_empty() {
        return about.warn("store", "it has no copy yet", "it fetches one once it follows a core");
    }
    let renew = "if the edge belongs to this core, stop it, remove its data folder and start it again";
    if edge.store != core.store {
        let message = format_args!("it has a copy of store {}, the core holds {}", edge.store, core.store);
        return about.error("store", message, renew);
    }
    if edge.epoch != core.epoch {
        let message = format_args!("it stands in epoch {}, the core in {}", edge.epoch, core.epoch);
        let advice = if edge.epoch < core.epoch {
            "the core was restored or recovered: the edge follows by itself once it reaches it"
        } else {
            "the core was put back to a state from before a restore: if that is to hold, stop it and run `zonecast cluster \
             recover` on its data folder, and the edge follows by itself"
        };
        return about.error("store", message, advice);
    }
    let version = edge.version;
    match answer.core_chain.as_ref() {
        Some(CoreChain::Known(chain)) if *chain == edge.chain => {
            about.ok("chain", format_args!("equal to the core's at version {version}"));
        }
        Some(CoreChain::Known(chain)) => about.error(
            "chain",
            format_args!("{} at version {version}, the core's is {chain}: their data differs", edge.chain),
            "stop the edge, keep its data folder for whoever looks into it, and start it on an empty one",
        ),
        Some(CoreChain::Ahead) => about.error(
            "chain",
            format_args!("it is at version {version}, the core only at {}", core.version),
            "the core was put back to an older state: bring the newer core back; or, to keep this one, stop it and run \
             `zonecast cluster recover` on its data folder, and the edge follows by itself",
        ),
        Some(CoreChain::Forgotten) => {
            let message = format_args!("not known: the core does not remember version {version}");
            about.warn("chain", message, "again when the edge has caught up");
        }
        Some(CoreChain::Unknown(why)) => about.warn("chain", format_args!("not known: {why}"), "ask again"),
        None => {}
    }
}

/// An edge as its core sees it. One that nobody waits for may be gone.
fn check_known(edge: &EdgeInfo, about: &mut About<'_>) {
    let EdgeInfo { connected, expected, lag, trouble, silent_s, .. } = edge;
    let silent = silent_s.map_or(String::new(), |silent| format!(", last heard {silent:.0} s ago"));
    let trouble = trouble.as_deref().or((!connected).then_some("not connected; is it running?"));
    if let Some(trouble) = trouble {
        let (what, advice) = trouble.split_once("; ").unwrap_or((trouble, "look at its log"));
        let message = format_args!("{what}, {lag} versions behind{silent}");
        match *connected || *expected {
            true => about.error("connected", message, advice),
            false => about.warn("connected", message, advice),
        }
    } else if *lag > LAG {
        about.warn("connected", format_args!("{lag} versions behind"), "look at its load, its disk, the network to it");
    } else {
        about.ok("connected", format_args!("to the core, {lag} versions behind"));
    }
}

/// Releases one step apart work together.
fn check_releases(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut releases = vec![("this program".to_owned(), facts.release.as_str())];
    for node in &facts.nodes {
        match node.answer.as_ref().map(|answer| &answer.status) {
            Ok(NodeStatus::Core(core)) => releases.push((node.name(), &core.release)),
            Ok(NodeStatus::Edge(edge)) => releases.push((node.name(), &edge.release)),
            Err(_) => {}
        }
    }
    let steps: Vec<_> = releases.iter().filter_map(|(name, release)| Some((step(release)?, name, release))).collect();
    let mut about = About::new("releases", findings);
    if let Some((name, release)) = releases.iter().find(|(_, release)| step(release).is_none()) {
        return about.warn("release", format_args!("{name} is of {release}, which is no release"), "is it zonecast?");
    }
    let (Some(oldest), Some(newest)) = (steps.iter().min(), steps.iter().max()) else { return };
    let ((from, _), (to, _)) = (oldest.0, newest.0);
    let message = format!("{} of {}, {} of {}", oldest.1, oldest.2, newest.1, newest.2);
    if oldest.0 == newest.0 {
        about.ok("release", format_args!("{} everywhere", oldest.2));
    } else if from == to && newest.0.1 - oldest.0.1 == 1 {
        about.ok("release", format_args!("one step apart: {message}"));
    } else {
        about.error(
            "release",
            format_args!("more than one step apart: {message}"),
            "upgrade step by step, cores first",
        );
    }
}

/// Major and minor number; patches change nothing on disk or on the wire.
fn step(release: &str) -> Option<(u64, u64)> {
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
