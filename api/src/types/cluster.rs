//! A cluster of cores, as one of them knows it, and requests to change it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A cluster of cores, as one of them knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Name of the core that says this.
    pub core: String,
    /// Its raft term.
    pub term: u64,
    /// Name of the core that leads; absent while none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Number of cores that vote.
    pub voters: u64,
    /// Number of cores that vote and answer the core that says this, itself included.
    pub reached: u64,
    /// Number of cores that vote and may still fail, beyond those that are away already; absent while there is no
    /// majority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_fail: Option<u64>,
    /// Whether a change of the membership is under way.
    pub changing: bool,
    /// The feature level that the cluster has agreed on: what each of its cores can read.
    pub level: u32,
    /// Each core of the cluster, by name.
    pub members: Vec<ClusterMember>,
    /// Name of the core whose folder of zone files is imported; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<String>,
    /// Cores that ask to join; known to the leader only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asking: Vec<ClusterCandidate>,
}

/// A core of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// Its name, from its certificate.
    pub name: String,
    /// Its node id, which belongs to its data folder.
    pub id: u64,
    /// Whether it leads, follows, or has no vote yet.
    pub role: ClusterRole,
    /// Where the other cores reach it.
    pub address: String,
    /// Where it stands, as it says itself; absent while it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ClusterMemberState>,
}

/// Where a core stands, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMemberState {
    /// Id of its process.
    pub pid: u32,
    /// Its raft term.
    pub term: u64,
    /// Index of the last entry in its raft log.
    pub last: u64,
    /// Index of the last entry that it has applied.
    pub applied: u64,
    /// Number of entries that its raft log lacks, compared with the longest one.
    pub lag: u64,
    /// The feature level of its release: the highest that it can read.
    pub level: u32,
}

/// What a core is in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterRole {
    /// It votes and takes the changes.
    Leader,
    /// It votes.
    #[default]
    Follower,
    /// It gets the log and has no vote yet.
    Learner,
}

/// A core that asks to join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterCandidate {
    /// Its name, from its certificate.
    pub name: String,
    /// Where it says that it is reached.
    pub address: String,
}

/// Lets a core in that asks to join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddCore {
    /// The name in its certificate.
    pub name: String,
}

/// Removes cores from the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveCores {
    /// Their names.
    pub names: Vec<String>,
}

/// Gives the lead to a core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferLead {
    /// Its name.
    pub to: String,
}

/// Names the core whose folder of zone files is imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportAt {
    /// The name in its certificate.
    pub name: String,
}

impl ClusterInfo {
    /// The voters that do not answer.
    pub fn away(&self) -> impl Iterator<Item = &ClusterMember> {
        self.members.iter().filter(|member| member.role != ClusterRole::Learner && member.state.is_none())
    }

    /// How the cluster stands, in one sentence without its dot.
    #[must_use]
    pub fn summary(&self) -> String {
        let voters = if self.voters == 1 { "1 voter".to_owned() } else { format!("{} voters", self.voters) };
        let leader = match &self.leader {
            Some(leader) => format!("{leader} leads"),
            None => "no leader is known".to_owned(),
        };
        let away: Vec<&str> = self.away().map(|member| member.name.as_str()).collect();
        let away = match away.as_slice() {
            [] => String::new(),
            [one] => format!(", {one} is away"),
            several => format!(", {} are away", several.join(" and ")),
        };
        let rest = match self.may_fail {
            None => "no majority: nothing can be changed",
            Some(0) => "none may fail",
            Some(1) => "one may fail",
            Some(_) => "two may fail",
        };
        format!("{voters}, {leader}{away}, {rest}")
    }
}

impl fmt::Display for ClusterRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(leader: Option<&str>, there: &[bool]) -> ClusterInfo {
        let member = |(number, there): (usize, &bool)| ClusterMember {
            name: format!("core-{}", number + 1),
            state: there.then(ClusterMemberState::default),
            ..ClusterMember::default()
        };
        let (voters, reached) = (there.len() as u64, there.iter().filter(|there| **there).count() as u64);
        ClusterInfo {
            leader: leader.map(str::to_owned),
            voters,
            reached,
            may_fail: reached.checked_sub(voters / 2 + 1),
            members: there.iter().enumerate().map(member).collect(),
            ..ClusterInfo::default()
        }
    }

    #[test]
    fn one_sentence_says_how_a_cluster_stands() {
        for (leader, there, sentence) in [
            (Some("core-1"), &[true][..], "1 voter, core-1 leads, none may fail"),
            (Some("core-1"), &[true, true, true], "3 voters, core-1 leads, one may fail"),
            (Some("core-2"), &[false, true, true], "3 voters, core-2 leads, core-1 is away, none may fail"),
            (
                None,
                &[true, false, false],
                "3 voters, no leader is known, core-2 and core-3 are away, no majority: nothing can be changed",
            ),
            (Some("core-5"), &[true; 5], "5 voters, core-5 leads, two may fail"),
        ] {
            assert_eq!(cluster(leader, there).summary(), sentence);
        }
    }
}
