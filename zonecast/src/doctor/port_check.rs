//! Ports of a configuration: whether its node listens there, or who does.

use super::facts::{Answer, Listener, LocalFacts, PortFacts, ProcessName, Protocol};
use super::finding::About;

/// What is known of the process of a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running<'a> {
    /// What it said.
    pub answer: Option<&'a Answer>,
    /// Whether it may run all the same if it said nothing.
    pub may_be_silent: bool,
}

pub(super) fn check(local: &LocalFacts, running: Running<'_>, about: &mut About<'_>) {
    let nobody = !local.ports.is_empty() && local.ports.iter().all(|port| port.listener == Listener::Nobody);
    if running.answer.is_none() && nobody {
        return about.error("process", format_args!("this {} does not run", local.role), start_command(local));
    }
    local.ports.iter().for_each(|port| check_one(port, local, running, about));
}

fn check_one(port: &PortFacts, local: &LocalFacts, running: Running<'_>, about: &mut About<'_>) {
    let PortFacts { what, protocol, address, is_here, listener } = port;
    let not_here = format_args!("{address} ({what}) is not an address of this machine");
    // A node binds it for DNS alone before the machine has it.
    if !is_here && *what != "DNS" {
        return about.error("port", not_here, "put the address into the configuration right, or onto the machine");
    }
    if !is_here && *protocol == Protocol::Udp {
        about.warn(
            "port",
            format_args!("{not_here} yet; the node binds it all the same, and answers there once it is"),
            "nothing, if it comes by anycast or failover; else put it into the configuration right, or onto the machine",
        );
    }
    let find = format_args!("find who it is: `ss -lnp 'sport = :{}'` as root", address.port());
    match (listener, running.answer) {
        (Listener::Somebody(who), Some(answer)) => match stranger(who, answer) {
            None => about.ok("port", format_args!("{what} on {address} over {protocol}")),
            Some(other) => about.error(
                "port",
                format_args!("{address} over {protocol} ({what}) is {other}'s, not this node's"),
                "stop that, or take another address; then restart the node",
            ),
        },
        (Listener::Somebody(who), None) if running.may_be_silent => {
            about.ok("port", format_args!("{what} on {address} over {protocol}, taken {}", by(who)));
        }
        (Listener::Somebody(who), None) => {
            let message = format_args!(
                "{address} over {protocol} ({what}) is taken {}, and this {} does not answer",
                by(who),
                local.role
            );
            about.error("port", message, format_args!("{find}; its log says whether it is this node, still starting"));
        }
        (Listener::Nobody, Some(_)) => {
            let message = format_args!("the node runs, but nothing listens on {address} over {protocol} ({what})");
            about.error("port", message, "the configuration may be newer than the process: restart it");
        }
        (Listener::Nobody, None) => {
            about.error(
                "port",
                format_args!("nothing listens on {address} over {protocol} ({what})"),
                start_command(local),
            );
        }
        (Listener::Unknown(why), _) => {
            about.warn("port", format_args!("not known who listens on {address} over {protocol}: {why}"), find);
        }
    }
}

/// Who has the port, if it is known and not the node that answered.
fn stranger(who: &[ProcessName], answer: &Answer) -> Option<String> {
    let pid = answer.status.vitals()?.pid;
    let is_stranger = !who.is_empty() && who.iter().all(|process| process.pid != pid);
    is_stranger.then(|| names(who))
}

fn by(who: &[ProcessName]) -> String {
    if who.is_empty() { "by a process that only root sees".into() } else { format!("by {}", names(who)) }
}

fn names(who: &[ProcessName]) -> String {
    let names: Vec<String> = who.iter().map(|ProcessName { pid, name }| format!("{name} (process {pid})")).collect();
    names.join(", ")
}

/// The command that starts a node of this role where the Debian package runs it.
fn start_command(local: &LocalFacts) -> String {
    format!("start it: `systemctl start zonecast-{0}`, or `zonecast {0} --config FILE`", local.role)
}
