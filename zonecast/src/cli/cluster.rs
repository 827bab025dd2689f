//! `zonecast cluster`.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::Context;
use super::recover::Recover;
use super::shared::Shared;
use crate::output::Output;
use zonecast_api::types::{ClusterInfo, ClusterMember};
use zonecast_service::exit::Outcome;

/// See `zonecast cluster --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Show the cores of the cluster and where each stands, as the core that is asked knows it.
    Status,
    /// Let a core in that asks to join. It gets its vote when it has the log and the number of voters stays odd.
    Add(Named),
    /// Remove cores. A cluster has 1, 3 or 5 voters, so two voters are removed together.
    Remove(Several),
    /// Give the lead to another core.
    Transfer(Named),
    /// Import the zone files of this core from its next start on, and those of no other core.
    ImportAt(Named),
    /// Make a cluster of the one core that is left, when the others are lost for good. Works on its data folder while it
    /// does not run, keeps all that it has, and asks for confirmation.
    Recover(Recover),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Name of the core, as in its certificate.
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Several {
    /// Names of the cores, as in their certificates.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

impl Cluster {
    pub(super) fn run(&self, shared: &Shared, output: Output) -> Outcome {
        if let Self::Recover(recover) = self {
            return recover.run(output);
        }
        let client = Context::of(shared, output)?.client;
        let cluster = match self {
            Self::Status => client.cluster()?,
            Self::Add(Named { name }) => client.add_core(name)?,
            Self::Remove(Several { names }) => client.remove_cores(names)?,
            Self::Transfer(Named { name }) => client.transfer_lead(name)?,
            Self::ImportAt(Named { name }) => client.import_at(name)?,
            Self::Recover(_) => return Ok(()),
        };
        output.show(&cluster, show)?;
        Ok(())
    }
}

fn show(cluster: &ClusterInfo, out: &mut dyn Write) -> io::Result<()> {
    let width = |text: fn(&ClusterMember) -> usize| cluster.members.iter().map(text).max().unwrap_or_default();
    let (name, address) = (width(|member| member.name.len()).max(4), width(|member| member.address.len()).max(7));
    writeln!(
        out,
        "{:name$}  {:8}  {:address$}  {:>6}  {:>10}  {:>6}  {:>8}",
        "NAME", "ROLE", "ADDRESS", "TERM", "APPLIED", "LAG", "PID"
    )?;
    for member in &cluster.members {
        write!(out, "{:name$}  {:8}  {:address$}  ", member.name, member.role, member.address)?;
        match &member.state {
            Some(state) => {
                writeln!(out, "{:>6}  {:>10}  {:>6}  {:>8}", state.term, state.applied, state.lag, state.pid)?
            }
            None => writeln!(out, "{:>6}", "away")?,
        }
    }
    for core in &cluster.asking {
        writeln!(
            out,
            "{} at {} asks to join: `zonecast cluster add {}` lets it in",
            core.name, core.address, core.name
        )?;
    }
    if let Some(importer) = &cluster.importer {
        writeln!(out, "the zone files of {importer} are imported when it starts")?;
    }
    if cluster.changing {
        writeln!(out, "a change of the membership is under way")?;
    }
    let levels = || cluster.members.iter().filter_map(|member| member.state).map(|state| state.level);
    if let Some(highest) = levels().max().filter(|highest| *highest > cluster.level) {
        let level = cluster.level;
        writeln!(out, "feature level {level}: it rises when every core runs a release that has {highest}")?;
    }
    writeln!(out, "{}", cluster.summary())
}

#[cfg(test)]
mod tests {
    use zonecast_api::types::{ClusterCandidate, ClusterMemberState, ClusterRole};

    use super::*;

    #[test]
    fn a_table_and_a_sentence_say_how_a_cluster_stands() {
        let member = |name: &str, role, state| ClusterMember {
            name: name.into(),
            role,
            address: "192.0.2.1:8054".into(),
            state,
            ..ClusterMember::default()
        };
        let state = ClusterMemberState { pid: 4711, term: 3, last: 90, applied: 88, lag: 2, level: 2 };
        let cluster = ClusterInfo {
            core: "core-1".into(),
            leader: Some("core-1".into()),
            level: 1,
            voters: 3,
            reached: 2,
            may_fail: Some(0),
            members: vec![
                member("core-1", ClusterRole::Leader, Some(state)),
                member("core-2", ClusterRole::Follower, None),
            ],
            asking: vec![ClusterCandidate { name: "core-4".into(), address: "192.0.2.4:8054".into() }],
            ..ClusterInfo::default()
        };
        let mut out = vec![];
        show(&cluster, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["core-1", "leader", "192.0.2.1:8054", "3", "88", "2", "4711"]);
        assert_eq!(lines[2], ["core-2", "follower", "192.0.2.1:8054", "away"]);
        assert!(text.contains("`zonecast cluster add core-4` lets it in"), "{text}");
        assert!(text.contains("\nfeature level 1: it rises when every core runs a release that has 2\n"), "{text}");
        assert!(text.ends_with("3 voters, core-1 leads, core-2 is away, none may fail\n"), "{text}");
    }
}
