//! A node as it says itself: clock, certificate, disk, files, faults; and of an edge whether it follows and answers.

use super::facts::{Answer, DnsFacts, DnsReply, Facts, NodeFacts, Unanswered, Wanted};
use super::finding::{About, Finding};
use super::{cluster_check, folder_check, identity_check};
use zonecast_api::types::{EdgeNode, NodeStatus, Status, Vitals};

/// Seconds. Clocks that are kept in step differ by milliseconds; propagation times are then worth nothing.
const CLOCK_ODD: f64 = 1.0;

/// Seconds. Certificates, tokens and stamps of versions are off by so much.
const CLOCK_WRONG: f64 = 60.0;

/// Seconds of silence after which something is wrong: a core is heard several times in it, whatever happens.
const SILENT: f64 = 5.0;

/// Files that a node needs: 512 HTTP connections, as many of DNS, and what the databases keep open.
const ENOUGH_FILES: u64 = 4096;

/// Of the files it may have open, a node that has more in percent will soon be refused some.
const MANY_FILES_PERCENT: u64 = 80;

pub(super) fn check(facts: &Facts, node: &NodeFacts, findings: &mut Vec<Finding>) {
    let name = node.name();
    let mut about = About::new(&name, findings);
    let answer = match &node.answer {
        Ok(answer) => answer,
        Err(unanswered) => return check_unanswered(node, unanswered, &mut about),
    };
    about.ok("answer", format_args!("{} answers", node.url));
    // What its configuration shows need not be said twice.
    let is_local = facts.configs.iter().any(|config| config.local.as_ref().is_ok_and(|local| local.url == node.url));
    match answer.status.vitals() {
        Some(vitals) => {
            check_clock(answer, &mut about);
            check_vitals(facts.now, vitals, is_local, &mut about);
        }
        None => about.warn("vitals", "its release does not say how its process stands", "bring it to this release"),
    }
    let fault = match &answer.status {
        NodeStatus::Core(core) => &core.fault,
        NodeStatus::Edge(edge) => &edge.fault,
    };
    if let Some(fault) = fault {
        let advice = "put right what it says; a disk that works again is noticed by itself, else restart the node";
        about.error("fault", fault, advice);
    }
    if let Some(cluster) = &answer.cluster {
        cluster_check::check(cluster, &mut about);
    }
    match &answer.status {
        NodeStatus::Core(core) => check_core(core, &mut about),
        NodeStatus::Edge(edge) => check_edge(edge, answer, facts.core(), &mut about),
    }
}

fn check_unanswered(node: &NodeFacts, Unanswered { reached, why }: &Unanswered, about: &mut About<'_>) {
    match (reached, node.wanted) {
        (true, _) => about.error(
            "answer",
            why,
            "name a token of role read (--token-file) and the CA (--ca); the host in the URL must be in the certificate",
        ),
        (false, Wanted::Guessed) => about.warn(
            "answer",
            format_args!("{why}; so nothing was compared with a core"),
            "name one: --core URL",
        ),
        (false, Wanted::Named | Wanted::Configured) => {
            about.error("answer", why, "is it running, is the address right, does TCP reach it?");
        }
    }
}

fn check_clock(answer: &Answer, about: &mut About<'_>) {
    let (ahead, error) = (answer.clock_ahead, answer.clock_error);
    let off = ahead.abs() - error;
    let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
    let message = format_args!("{:.1} s {direction} the clock here (+-{error:.1} s)", ahead.abs());
    let advice = "keep clocks in step (chrony, systemd-timesyncd); if all nodes differ alike, it is the clock here";
    if off > CLOCK_WRONG {
        about.error("clock", message, advice);
    } else if off > CLOCK_ODD {
        about.warn("clock", message, advice);
    } else {
        about.ok("clock", message);
    }
}

fn check_vitals(now: u64, vitals: &Vitals, is_local: bool, about: &mut About<'_>) {
    if let Some(certificate) = vitals.certificate.as_ref().filter(|_| !is_local)
        && identity_check::check_end(now, certificate.not_after, certificate.revoked, about)
    {
        about.ok(
            "certificate",
            format_args!("{}, until {}", certificate.node, zonecast_service::day(certificate.not_after)),
        );
    }
    if let Some(disk) = vitals.disk.filter(|_| !is_local) {
        folder_check::check_disk(disk, about);
    }
    let open = vitals.open_files;
    match vitals.max_files {
        Some(max) if open.saturating_mul(100) > max.saturating_mul(MANY_FILES_PERCENT) => {
            let message = format_args!("{open} files and sockets are open, of at most {max}");
            about.error(
                "files",
                message,
                "raise the limit (LimitNOFILE= in the unit, `ulimit -n`) and restart the node",
            );
        }
        Some(max) if max < ENOUGH_FILES => {
            let message = format_args!(
                "at most {max} files and sockets may be open, {open} are; connections and table files may take more"
            );
            let advice = format_args!("raise it to {ENOUGH_FILES} or more (LimitNOFILE= in the unit, `ulimit -n`)");
            about.warn("files", message, advice);
        }
        Some(max) => about.ok("files", format_args!("{open} files and sockets are open, of at most {max}")),
        None => about.ok("files", format_args!("{open} files and sockets are open, without a limit")),
    }
}

fn check_core(core: &Status, about: &mut About<'_>) {
    if let Some(from) = &core.moved_from {
        let message = format_args!("its data folder was moved or copied; before, it was {from}");
        about.warn("moved", message, "if a core still runs there, stop one of the two: edges can follow only one");
    }
    if let Some(other) = &core.imported_elsewhere {
        let message = format_args!("its folder of zone files is not imported, because that of {other} is");
        let advice = "take [zones] out of its configuration, or `zonecast cluster import-at` it and restart it";
        about.warn("zones", message, advice);
    }
    if core.ready {
        about.ok("ready", format_args!("{} zones at version {}", core.zones, core.version));
    } else {
        about.warn("ready", "it is still importing zones", "wait; its log says how far it is");
    }
}

fn check_edge(edge: &EdgeNode, answer: &Answer, core: Option<&Status>, about: &mut About<'_>) {
    let silent = edge.silent_s.filter(|silent| *silent > SILENT);
    let since = edge.silent_s.map_or("never heard it".into(), |silent| format!("heard it {silent:.0} s ago"));
    match (edge.following.as_str(), silent) {
        ("streaming", None) => about.ok("following", format_args!("{} zones at version {}", edge.zones, edge.version)),
        ("streaming", Some(_)) => {
            about.warn("following", format_args!("its core is silent, {since}"), "look at the core and the network");
        }
        ("loading", _) => about.warn("following", "it is loading a snapshot", "wait; meanwhile it answers what it had"),
        // What its status says is from its last attempt.
        _ if core.is_some_and(|core| core.store == edge.store && core.epoch > edge.epoch) => about.warn(
            "following",
            format_args!("no core, {since}: it was refused before a restore was accepted there"),
            "wait: it connects again by itself",
        ),
        _ => {
            let trouble = edge.trouble.as_deref().unwrap_or("it has just started, or lost its core this moment");
            let (trouble, advice) = trouble.split_once("; ").unwrap_or((trouble, "is its core running?"));
            about.error("following", format_args!("no core, {since}: {trouble}"), advice);
        }
    }
    if let Some((what, advice)) = edge.twin.as_deref().map(|twin| twin.split_once("; ").unwrap_or((twin, "stop one"))) {
        about.error("twin", what, advice);
    }
    if !edge.ready && edge.following != "loading" {
        match edge.stale_s {
            _ if edge.store.is_empty() => {
                about.warn("ready", "it has no copy to answer from", "it fetches one, once it follows a core");
            }
            Some(stale) => about.warn(
                "ready",
                format_args!("no majority of the cores has confirmed its copy for {stale:.0} s (`max_stale_seconds`)"),
                "it answers all the same; look at its upstreams and at the cores",
            ),
            None => about.warn(
                "ready",
                "no majority of the cores has confirmed its copy since it started (`max_stale_seconds`)",
                "it answers all the same; look at its upstreams and at the cores",
            ),
        }
    }
    if let Some(damage) = &edge.damage {
        let advice =
            "it mends itself once it follows a core; if it comes again, the disk fails: the kernel's log says so";
        about.error(
            "copy",
            format_args!("{damage}; names that lie there get SERVFAIL until it is fetched again"),
            advice,
        );
    }
    let is_behind = edge.version < edge.head || edge.following != "streaming";
    answer.dns.iter().for_each(|dns| check_dns(dns, is_behind, about));
}

fn check_dns(dns: &DnsFacts, is_behind: bool, about: &mut About<'_>) {
    let DnsFacts { address, protocol, zone, is_hosted, reply } = dns;
    let asked = format!("{address} over {protocol}");
    match reply {
        DnsReply::Soa => about.ok("dns", format_args!("{asked} answers for {zone}")),
        DnsReply::Other(code) if !is_hosted => {
            about.ok("dns", format_args!("{asked} answers ({code} for {zone}, which it need not host)"));
        }
        DnsReply::Other(code) if is_behind => {
            let message = format_args!("{asked} says {code} for {zone}, which its core hosts");
            about.warn("dns", message, "it is behind; again when it has caught up");
        }
        DnsReply::Other(code) => about.error(
            "dns",
            format_args!("{asked} says {code} for {zone}, which its core hosts"),
            format_args!("`zonecast get {zone} SOA` against the edge and the core shows what each holds"),
        ),
        DnsReply::Nothing(why) => {
            about.error(
                "dns",
                format_args!("{asked}: {why}"),
                "is there a firewall between, is the machine overloaded?",
            );
        }
    }
}
