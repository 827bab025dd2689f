//! Whether all nodes hold the same: the leader commits a marker, asks voters what they have come to there, and commits what
//! most of them agree on; edges compare themselves with that, and say so in their acks.
//!
//! ```text
//! marker ─▶ every node sums up ─▶ leader asks voters ─▶ agreement ─▶ every edge compares
//!                                                                        │ acks
//!                          `zonecast verify`, metrics ◀─ leader ◀────────┘
//! ```
//! Nothing of it is in memory alone: marker and agreement are in the store, so another leader goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::time::Instant;
use zonecast_api::types::{AgreedCopy, VerificationInfo, VerifiedNode, VerifiedState};
use zonecast_kv_core::{MemberRole, MemberStatus};
use zonecast_kv_proto::{
    Agreement, Batch, Marker, Op, Precondition, Section, VERIFICATION, Verification, VerificationError,
};

use super::Service;
use crate::error::ServiceError;
use crate::import::committed;
use crate::verification::{Judge, Majority, VoterSays, VoterSums, ask_sums};
use crate::who::Who;

/// Between two looks of the leader.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two looks at all nodes once voters agree.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// Nodes that have said nothing so long after the marker will not.
const LATE_AFTER: Duration = Duration::from_mins(1);

/// While voters have not agreed for less than this, no other verification begins: it would end the one before.
const MAY_RUN: Duration = Duration::from_mins(10);

/// A store that was never verified is, so long after a core took the lead or sooner.
const FIRST_AFTER: Duration = Duration::from_hours(1);

impl From<VerificationError> for ServiceError {
    fn from(error: VerificationError) -> Self {
        Self::internal(error)
    }
}

/// What the leader remembers from one look to the next.
struct Looks {
    began: Instant,
    shown_at: Option<Instant>,
    /// Nodes that were told of as other, of the verification of this number.
    told: (u64, BTreeSet<(String, String)>),
}

impl Service {
    /// Begins a verification, unless one is under way; says how the last one stands. On the leader only.
    ///
    /// # Errors
    /// The core cannot commit.
    pub async fn begin_verification(self: &Arc<Self>, who: &Who) -> Result<VerificationInfo, ServiceError> {
        let service = Arc::clone(self);
        let begun = async move {
            if !service.is_verifying()? {
                service.put_marker().await?;
            }
            service.verification().await
        };
        let info = self.to_the_end(who, begun).await?;
        tracing::info!(by = who.name(), verification = info.number, "all nodes are compared");
        Ok(info)
    }

    /// How the last verification stands. On the leader only: other cores do not know of all edges.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn verification(&self) -> Result<VerificationInfo, ServiceError> {
        let last = Verification::read(&self.core().view())?;
        let Some(marker) = last.marker else { return Ok(VerificationInfo::default()) };
        let voters = self.ask_voters().await;
        Ok(self.described(&marker, last.present_agreement(), &voters))
    }

    /// Begins verifications when they are due, and has what most voters come to committed, for as long as this core leads.
    pub async fn keep_verified(&self) {
        let mut looks = Looks { began: Instant::now(), shown_at: None, told: (0, BTreeSet::new()) };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let _shown = self.parts.metrics.verification().leading();
        loop {
            ticks.tick().await;
            if let Err(error) = self.look_at_verification(&mut looks).await {
                tracing::debug!(%error, "the verification of copies has not come further");
            }
        }
    }

    async fn look_at_verification(&self, looks: &mut Looks) -> Result<(), ServiceError> {
        let last = Verification::read(&self.core().view())?;
        if self.is_due(last.marker.as_ref(), looks.began) {
            return self.put_marker().await;
        }
        let Some(marker) = last.marker else { return Ok(()) };
        let is_agreed = last.present_agreement().is_some();
        if is_agreed && looks.shown_at.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
            return Ok(());
        }
        let is_over = age(&marker) > self.longest();
        if is_over && !is_agreed && looks.shown_at.is_some_and(|shown| shown.elapsed() < LATE_AFTER) {
            return Ok(());
        }
        let voters = self.ask_voters().await;
        if !is_agreed && let Majority::Of(agreement) = Judge::new(marker.number, false, None, &voters).majority {
            self.put_agreement(&agreement).await?;
            let Agreement { agreeing, voters, keys, root, .. } = *agreement;
            tracing::info!(verification = marker.number, keys, %root, "{agreeing} of {voters} voters hold the same");
        }
        looks.shown_at = Some(Instant::now());
        let info = self.described(&marker, last.present_agreement(), &voters);
        self.parts.metrics.verification().show(&info);
        looks.tell(&info);
        Ok(())
    }

    /// Time that a copy of any size is read in that anybody waits for.
    fn longest(&self) -> Duration {
        self.parts.verify.every.unwrap_or(Duration::from_hours(24))
    }

    fn is_due(&self, last: Option<&Marker>, began: Instant) -> bool {
        let Some(every) = self.parts.verify.every else { return false };
        match last {
            Some(marker) => age(marker) >= every,
            None => began.elapsed() >= every.min(FIRST_AFTER),
        }
    }

    fn is_verifying(&self) -> Result<bool, ServiceError> {
        let last = Verification::read(&self.core().view())?;
        let runs = |marker: &Marker| last.present_agreement().is_none() && age(marker) < MAY_RUN;
        Ok(last.marker.as_ref().is_some_and(runs))
    }

    async fn put_marker(&self) -> Result<(), ServiceError> {
        let last = Verification::read(&self.core().view())?.marker;
        let number = last.map_or(0, |marker| marker.number).saturating_add(1);
        let marker = Marker::new(number, now_us(), self.parts.verify.bytes_per_second.get());
        tracing::info!(verification = number, "every node sums up its copy");
        self.put_verification(marker.put()).await
    }

    async fn put_agreement(&self, agreement: &Agreement) -> Result<(), ServiceError> {
        self.put_verification(agreement.put()).await
    }

    /// Commits it alone: what is summed up stands at the end of an entry of the log. If somebody else has done so in
    /// between, it is refused.
    async fn put_verification(&self, op: Op) -> Result<(), ServiceError> {
        let (core, lead) = (self.core(), self.core().hold_lead()?);
        let edition = core.view().edition(VERIFICATION).map_err(ServiceError::internal)?;
        let batch = Batch {
            preconditions: vec![Precondition { section: VERIFICATION, edition }],
            sections: vec![Section { id: VERIFICATION, ops: vec![op] }],
        };
        let pending = core.propose_in(&lead, &batch, None).await?;
        committed(pending.await).map(drop)
    }

    /// What every voter says.
    async fn ask_voters(&self) -> Vec<VoterSays> {
        let cluster = self.core().cluster().await;
        let voters = cluster.members.iter().filter(|member| member.role == MemberRole::Voter);
        join_all(voters.map(|member| self.ask_voter(member, member.id == cluster.id))).await
    }

    async fn ask_voter(&self, voter: &MemberStatus, is_here: bool) -> VoterSays {
        let name = voter.member.name.clone();
        if is_here {
            return VoterSays { name, sums: Some(VoterSums::of(self.core().checks().present().as_ref())) };
        }
        let sums = ask_sums(self.core(), &voter.member).await;
        let sums = sums.inspect_err(|error| tracing::debug!(core = name, %error, "it does not say what it holds"));
        VoterSays { name, sums: sums.ok() }
    }

    fn described(&self, marker: &Marker, agreement: Option<Agreement>, voters: &[VoterSays]) -> VerificationInfo {
        let judge = Judge::new(marker.number, age(marker) > LATE_AFTER, agreement, voters);
        let edges = self.parts.publisher.edges();
        let nodes: Vec<VerifiedNode> = voters
            .iter()
            .map(|voter| judge.voter(voter))
            .chain(edges.iter().map(|edge| judge.edge(&edge.report)))
            .collect();
        let agreed = if let Majority::Of(agreed) = &judge.majority { Some(agreed) } else { None };
        VerificationInfo {
            number: marker.number,
            state: VerificationInfo::worst(&nodes),
            began: marker.time_us / 1_000_000,
            version: judge.version.map(|version| version.get()),
            agreed: agreed.map(|agreed| AgreedCopy {
                hash: agreed.root.to_string(),
                keys: agreed.keys,
                agreeing: agreed.agreeing.into(),
                voters: agreed.voters.into(),
            }),
            nodes,
        }
    }
}

impl Looks {
    /// Says once of each node that it is other.
    fn tell(&mut self, info: &VerificationInfo) {
        if self.told.0 != info.number {
            self.told = (info.number, BTreeSet::new());
        }
        for node in &info.nodes {
            let is_other = matches!(node.state, VerifiedState::Differs | VerifiedState::Failed);
            if is_other && self.told.1.insert((node.role.clone(), node.node.clone())) {
                let (role, name, why) = (&node.role, &node.node, node.why.as_deref().unwrap_or_default());
                let ranges = node.ranges.unwrap_or_default();
                let key = node.key.as_deref().unwrap_or_default();
                tracing::error!(verification = info.number, ranges, key, "{role} {name} differs: {why}");
            }
        }
    }
}

/// How long ago a marker was made; one from the future was just made.
fn age(marker: &Marker) -> Duration {
    Duration::from_micros(now_us().saturating_sub(marker.time_us))
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
