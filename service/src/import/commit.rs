//! Batches on their way into the core: several at a time, none lost.
//!
//! Each carries something along that its sender wants back if the batch was overtaken: refused because what it was built
//! from has changed since.

use std::collections::VecDeque;
use std::time::Duration;

use zonecast_kv_core::{ChangeError, Core, Outcome, Pending, ProposeError};
use zonecast_kv_proto::{Batch, Refusal, Version};

use crate::error::ServiceError;

/// Batches of one importer on their way: enough to keep the disk and the edges at work, few enough that a failure is
/// noticed soon.
const IN_FLIGHT: usize = 8;

/// Pause when the core takes no more and nothing of ours is on its way.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Keeps several batches in flight, takes their outcomes in order, and hands back what the refused ones carry.
#[derive(Debug)]
pub(crate) struct Committer<C> {
    core: Core,
    /// In order, with what they carry.
    in_flight: VecDeque<(Pending, C)>,
    last: Option<Version>,
    overtaken: Vec<(C, Refusal)>,
}

impl<C> Committer<C> {
    /// With nothing on its way.
    #[must_use]
    pub(crate) fn new(core: Core) -> Self {
        Self { core, in_flight: VecDeque::new(), last: None, overtaken: vec![] }
    }

    /// Sends a batch on its way; waits for earlier ones when there are many. What it carries is dropped when the batch is
    /// applied.
    ///
    /// # Errors
    /// An earlier batch or this one cannot be committed.
    pub(crate) async fn push(&mut self, batch: &Batch, carried: C) -> Result<(), ServiceError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        loop {
            match self.core.propose(batch).await {
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

    /// What the batches carried that were overtaken since this was last asked, and by what.
    pub(crate) fn overtaken(&mut self) -> impl Iterator<Item = (C, Refusal)> {
        std::mem::take(&mut self.overtaken).into_iter()
    }

    async fn wait_for_one(&mut self) -> Result<(), ServiceError> {
        let Some((pending, carried)) = self.in_flight.pop_front() else { return Ok(()) };
        match pending.await {
            Outcome::Refused(refusal @ Refusal::Precondition { .. }) => self.overtaken.push((carried, refusal)),
            outcome => self.last = committed(outcome)?.or(self.last),
        }
        Ok(())
    }
}

/// The version of a batch that was committed, if it has one.
///
/// # Errors
/// It was not committed, or that is not known.
pub(crate) fn committed(outcome: Outcome) -> Result<Option<Version>, ServiceError> {
    match outcome {
        Outcome::Committed { version, .. } => Ok(version),
        Outcome::Refused(refusal @ Refusal::Precondition { .. }) => Err(ServiceError::Overtaken(refusal.to_string())),
        Outcome::Refused(refusal) => Err(ServiceError::internal(refusal)),
        Outcome::NotLeader { .. } => Err(ServiceError::Unavailable("this voter does not lead".into())),
        Outcome::Unknown => Err(ServiceError::Unknown("it stopped on the way, and its log says why".into())),
    }
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
            error @ ProposeError::NotLeader { .. } => Self::Unavailable(error.to_string()),
            ProposeError::Stopped => Self::Unavailable("it has stopped".into()),
            error @ ProposeError::Lost => Self::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is told that nothing was done does it once more.
    #[test]
    fn what_may_have_been_done_is_not_called_undone() {
        for error in [committed(Outcome::Unknown).unwrap_err(), ProposeError::Lost.into()] {
            assert!(matches!(error, ServiceError::Unknown(_)), "{error}");
        }
        for error in [committed(Outcome::NotLeader { leader: None }).unwrap_err(), ProposeError::Stopped.into()] {
            assert!(matches!(error, ServiceError::Unavailable(_)), "{error}");
        }
    }
}
