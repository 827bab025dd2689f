//! `zonecast verify`.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;

use super::Context;
use zonecast_api::parse_timeout;
use zonecast_api::types::{VerificationInfo, VerifiedNode, VerifiedState};
use zonecast_service::exit::{Code, Failure, Outcome};

/// How long `--wait` waits unless it is told: a node reads some 20 GB in this time.
const DEFAULT_WAIT: Duration = Duration::from_mins(10);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// See `zonecast verify --help`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Name of the core, relay or edge that is shown and that the exit code is about. All nodes are compared anyway.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    node: Option<String>,
    /// Show all nodes.
    #[arg(long)]
    all: bool,
    /// Show the last comparison and begin none.
    #[arg(long)]
    last: bool,
    /// Wait until it is known of each node that is shown.
    #[arg(long)]
    wait: bool,
    /// Longest time to wait, such as 30s or 10m.
    #[arg(long, value_name = "TIME", value_parser = parse_timeout, requires = "wait")]
    timeout: Option<Duration>,
}

impl Verify {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let begun = if self.last { context.client.verification()? } else { context.client.begin_verification()? };
        if begun.number == 0 {
            return Err(Failure::failed("nothing was ever verified; without --last this command begins"));
        }
        let deadline = Instant::now() + self.timeout.unwrap_or(DEFAULT_WAIT);
        let mut info = self.shown(begun);
        while self.wait && info.state == VerifiedState::Running && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
            info = self.shown(context.client.verification()?);
        }
        context.output.show(&info, show)?;
        self.judge(&info)
    }

    /// Only the nodes that are asked for.
    fn shown(&self, info: VerificationInfo) -> VerificationInfo {
        let is_shown = |node: &VerifiedNode| self.node.as_ref().is_none_or(|name| *name == node.node);
        let nodes: Vec<VerifiedNode> = info.nodes.into_iter().filter(is_shown).collect();
        VerificationInfo { state: VerificationInfo::worst(&nodes), nodes, ..info }
    }

    fn judge(&self, info: &VerificationInfo) -> Outcome {
        let (number, count) = (info.number, |state| info.nodes.iter().filter(|node| node.state == state).count());
        match info.state {
            VerifiedState::Equal | VerifiedState::Repaired => Ok(()),
            VerifiedState::Running if !self.wait && !self.last => Ok(()),
            VerifiedState::Differs | VerifiedState::Failed => {
                let other = count(VerifiedState::Differs) + count(VerifiedState::Failed);
                Err(Failure::failed(format_args!("{other} nodes differ in verification {number}; {}", advice(info))))
            }
            VerifiedState::Running | VerifiedState::Unknown => {
                let unknown = count(VerifiedState::Unknown) + count(VerifiedState::Running);
                let message = match info.nodes.len() {
                    0 => "no node of this name is known".to_owned(),
                    _ => format!("what {unknown} nodes hold is not known in verification {number}"),
                };
                Err(Failure::new(Code::NotCompared, message))
            }
        }
    }
}

fn advice(info: &VerificationInfo) -> &'static str {
    match info.agreed.as_ref().map(|agreed| agreed.voters) {
        Some(0 | 1) => {
            "with one voter nobody can say which of two copies is right: see \"Verifying copies\" in docs/operations.md"
        }
        _ => "see \"Verifying copies\" in docs/operations.md",
    }
}

fn show(info: &VerificationInfo, out: &mut dyn Write) -> io::Result<()> {
    let version = info.version.map(|version| format!(" at version {version}")).unwrap_or_default();
    writeln!(out, "verification {}{version}: {}", info.number, info.state)?;
    if let Some(agreed) = &info.agreed {
        let (agreeing, voters, keys, hash) = (agreed.agreeing, agreed.voters, agreed.keys, &agreed.hash);
        writeln!(out, "agreed   {agreeing} of {voters} voters hold the same {keys} published keys, hash {hash}")?;
    }
    info.nodes.iter().try_for_each(|node| line(node, out))
}

fn line(node: &VerifiedNode, out: &mut dyn Write) -> io::Result<()> {
    let ranges = node.ranges.map(|ranges| format!(", in {ranges} ranges")).unwrap_or_default();
    let key = node.key.as_ref().map(|key| format!(", first near key {key}")).unwrap_or_default();
    let why = node.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    writeln!(out, "{:<8} {:<5} {}{ranges}{key}{why}", node.state, node.role, node.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: VerifiedState) -> VerifiedNode {
        VerifiedNode { role: "edge".into(), node: name.into(), state, ..VerifiedNode::default() }
    }

    fn code(verify: &Verify, states: &[(&str, VerifiedState)]) -> Code {
        let nodes = states.iter().map(|(name, state)| node(name, *state)).collect();
        let info = verify.shown(VerificationInfo { number: 3, nodes, ..VerificationInfo::default() });
        verify.judge(&info).map_or_else(|failure| failure.code, |()| Code::Ok)
    }

    #[test]
    fn the_exit_code_says_whether_the_nodes_that_are_shown_are_equal() {
        use VerifiedState::{Differs, Equal, Failed, Repaired, Running, Unknown};
        let verify = |node: Option<&str>, wait| Verify {
            node: node.map(str::to_owned),
            all: node.is_none(),
            last: false,
            wait,
            timeout: None,
        };
        let all = verify(None, true);
        assert_eq!(code(&all, &[("a", Equal), ("b", Repaired)]), Code::Ok);
        assert_eq!(code(&all, &[("a", Equal), ("b", Differs)]), Code::Failed);
        assert_eq!(code(&all, &[("a", Unknown), ("b", Failed)]), Code::Failed);
        assert_eq!(code(&all, &[("a", Equal), ("b", Unknown)]), Code::NotCompared);
        assert_eq!(code(&all, &[("a", Running)]), Code::NotCompared);
        assert_eq!(code(&verify(None, false), &[("a", Running)]), Code::Ok, "it has begun");
        let one = verify(Some("a"), true);
        assert_eq!(code(&one, &[("a", Equal), ("b", Differs)]), Code::Ok);
        assert_eq!(code(&one, &[("b", Equal)]), Code::NotCompared);
    }
}
