//! Batches on their way into the core: several at a time, none lost.
//!
//! Each carries something along that its sender wants back if the batch was overtaken: refused because what it was built
//! from has changed since.

use std::collections::VecDeque;
use std::time::Duration;

use zonecast_kv_core::{ChangeError, Core, HeldLead, Member, Outcome, Pending, ProposeError};
use zonecast_kv_proto::{Batch, Once, Refusal, Version};

use crate::answer::{Earlier, Wrote};
use crate::error::ServiceError;

/// Batches of one importer on their way: enough to keep the disk and the edges at work, few enough that a failure is
/// noticed soon.
const IN_FLIGHT: usize = 8;

/// Pause when the core takes no more and nothing of ours is on its way.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Keeps several batches in flight, takes their outcomes in order, and hands back what the refused ones carry. All of them
/// are proposed under one lead, and none after it.
#[derive(Debug)]
pub(crate) struct Committer<C> {
    core: Core,
    lead: HeldLead,
    /// In order, with what they carry.
    in_flight: VecDeque<(Pending, C)>,
    last: Option<Version>,
    earlier: Option<Earlier>,
    overtaken: Vec<(C, Refusal)>,
}

impl<C> Committer<C> {
    /// With nothing on its way, under this lead.
    #[must_use]
    pub(crate) fn new(core: Core, lead: HeldLead) -> Self {
        Self { core, lead, in_flight: VecDeque::new(), last: None, earlier: None, overtaken: vec![] }
    }

    /// The same under the present lead.
    ///
    /// # Errors
    /// This core does not lead.
    pub(crate) fn leading(core: &Core) -> Result<Self, ServiceError> {
        Ok(Self::new(core.clone(), core.hold_lead()?))
    }

    /// Sends a batch on its way; waits for earlier ones when there are many. What it carries is dropped when the batch is
    /// applied.
    ///
    /// # Errors
    /// An earlier batch or this one cannot be committed, and this one was not proposed.
    pub(crate) async fn push(&mut self, batch: &Batch, carried: C) -> Result<(), ServiceError> {
        self.push_once(batch, None, carried).await
    }

    /// The same of a batch that is done once, if it says so.
    ///
    /// # Errors
    /// As [`Committer::push`].
    pub(crate) async fn push_once(
        &mut self,
        batch: &Batch,
        once: Option<Once>,
        carried: C,
    ) -> Result<(), ServiceError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        loop {
            match self.core.propose_in(&self.lead, batch, once.clone()).await {
                Ok(pending) => {
                    self.in_flight.push_back((pending, carried));
                    return Ok(());
                }
                Err(ProposeError::Busy) if self.in_flight.is_empty() => tokio::time::sleep(BUSY_PAUSE).await,
                Err(ProposeError::Busy) => self.wait_for_one().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until everything is applied or overtaken; gives the last version, if any batch had one.
    ///
    /// # Errors
    /// The core cannot commit.
    pub(crate) async fn finish(&mut self) -> Result<Option<Version>, ServiceError> {
        while !self.in_flight.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(self.last)
    }

    /// What was done before in place of a batch that is done once.
    pub(crate) fn earlier(&mut self) -> Option<Earlier> {
        self.earlier.take()
    }

    /// What the batches carried that were overtaken since this was last asked, and by what.
    pub(crate) fn overtaken(&mut self) -> impl Iterator<Item = (C, Refusal)> {
        std::mem::take(&mut self.overtaken).into_iter()
    }

    async fn wait_for_one(&mut self) -> Result<(), ServiceError> {
        let Some((pending, carried)) = self.in_flight.pop_front() else { return Ok(()) };
        match pending.await {
            Outcome::Refused(refusal @ Refusal::Precondition { .. }) => self.overtaken.push((carried, refusal)),
            outcome => match landed(outcome)? {
                Wrote::Now(version) => self.last = version.or(self.last),
                Wrote::Before(earlier) => self.earlier = Some(earlier),
            },
        }
        Ok(())
    }
}

/// The version of a batch that was committed, if it has one.
///
/// # Errors
/// It was not committed, or that is not known.
pub(crate) fn committed(outcome: Outcome) -> Result<Option<Version>, ServiceError> {
    landed(outcome).map(|landed| match landed {
        Wrote::Now(version) | Wrote::Before(Earlier { version, .. }) => version,
    })
}

/// The same of a batch that is done once.
///
/// # Errors
/// As [`committed`], or its key cannot be used.
pub(crate) fn landed(outcome: Outcome) -> Result<Wrote<Option<Version>>, ServiceError> {
    match outcome {
        Outcome::Committed { version, repeats: None, .. } => Ok(Wrote::Now(version)),
        Outcome::Committed { version, repeats: Some(note), .. } => Ok(Wrote::Before(Earlier { version, note })),
        Outcome::Refused(refusal) => Err(refused(refusal)),
        Outcome::NotLeader { leader } => Err(not_leader(leader)),
        Outcome::Unknown => {
            Err(ServiceError::Unknown("it stopped or lost the lead on the way, its log says which".into()))
        }
    }
}

fn refused(refusal: Refusal) -> ServiceError {
    match refusal {
        Refusal::Precondition { .. } => ServiceError::Overtaken(refusal.to_string()),
        Refusal::KeyReused => ServiceError::KeyReused,
        Refusal::KeyTooOld | Refusal::KeyFromFuture => {
            ServiceError::KeyTime { message: refusal.to_string(), store_ms: None }
        }
        // What was done then may be undone by the restore, or may not.
        Refusal::KeyOfOtherEpoch(_) => ServiceError::Unknown(refusal.to_string()),
        Refusal::TooManyKeys => ServiceError::TooManyKeys,
        refusal => ServiceError::internal(refusal),
    }
}

fn not_leader(leader: Option<Member>) -> ServiceError {
    ServiceError::NotLeader { leader: leader.map(|leader| leader.to_string()) }
}

impl<E> From<ChangeError<E>> for ServiceError
where
    Self: From<E>,
{
    fn from(error: ChangeError<E>) -> Self {
        match error {
            ChangeError::Build(error) => error.into(),
            ChangeError::Propose(error) => error.into(),
        }
    }
}

impl From<ProposeError> for ServiceError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Busy => Self::Overloaded,
            ProposeError::Encode(error) => Self::internal(error),
            ProposeError::View(error) => Self::internal(error),
            ProposeError::NotLeader { leader } => not_leader(leader),
            ProposeError::Stopped => Self::Unavailable("it has stopped".into()),
            error @ ProposeError::Lost => Self::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::Epoch;

    use super::*;
    use crate::test_service::TestService;

    /// What was begun under a lead that is over is not gone on with under a later one, which may have swept what was begun.
    #[test]
    fn nothing_is_proposed_after_the_lead_it_was_begun_under() {
        let (leads, led) = (TestService::start(), TestService::start());
        let over = led.service().core().hold_lead().unwrap();
        led.stop();
        let core = leads.service().core().clone();
        assert!(over.is_over() && core.leads());
        let mut committer = Committer::new(core, over);
        let pushed = leads.runtime().block_on(committer.push(&Batch::default(), ()));
        assert!(matches!(pushed, Err(ServiceError::NotLeader { .. })), "{pushed:?}");
        drop(committer);
        leads.stop();
    }

    /// Whoever is told that nothing was done does it once more.
    #[test]
    fn what_may_have_been_done_is_not_called_undone() {
        for error in [committed(Outcome::Unknown).unwrap_err(), ProposeError::Lost.into()] {
            assert!(matches!(error, ServiceError::Unknown(_)), "{error}");
        }
        for error in [committed(Outcome::NotLeader { leader: None }).unwrap_err(), ProposeError::Stopped.into()] {
            assert!(matches!(error, ServiceError::Unavailable(_) | ServiceError::NotLeader { .. }), "{error}");
        }
    }

    /// A key of an earlier epoch says that something was done, and not whether edges have kept it.
    #[test]
    fn only_a_key_of_an_earlier_epoch_leaves_it_open_what_was_done() {
        let of = |refusal| landed(Outcome::Refused(refusal)).unwrap_err();
        assert!(matches!(of(Refusal::KeyOfOtherEpoch(Epoch::ZERO)), ServiceError::Unknown(_)));
        assert!(matches!(of(Refusal::KeyReused), ServiceError::KeyReused));
        assert!(matches!(of(Refusal::KeyTooOld), ServiceError::KeyTime { .. }));
        assert!(matches!(of(Refusal::KeyFromFuture), ServiceError::KeyTime { .. }));
        assert!(matches!(of(Refusal::TooManyKeys), ServiceError::TooManyKeys));
    }
}
