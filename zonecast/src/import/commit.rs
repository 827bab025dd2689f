//! Batches on their way into the core: several at a time, none lost.

use std::collections::VecDeque;
use std::time::Duration;

use zonecast_kv_core::{ChangeError, Core, Outcome, Pending, ProposeError};
use zonecast_kv_proto::{Batch, Version};

use crate::service::{ServiceError, ZoneGuard};

/// Batches of one importer on their way: enough to keep the disk and the edges at work, few enough that a failure is
/// noticed soon.
const IN_FLIGHT: usize = 8;

/// Pause when the core takes no more and nothing of ours is on its way.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Committer {
    core: Core,
    /// In order, with the zones that they work on.
    in_flight: VecDeque<(Pending, Vec<ZoneGuard>)>,
    last: Option<Version>,
}

impl Committer {
    /// With nothing on its way.
    #[must_use]
    pub(crate) fn new(core: Core) -> Self {
        Self { core, in_flight: VecDeque::new(), last: None }
    }

    /// Sends a batch on its way; waits for earlier ones when there are many. The guards are held until it is applied.
    ///
    /// # Errors
    /// An earlier batch or this one cannot be committed.
    pub(crate) async fn push(&mut self, batch: &Batch, guards: Vec<ZoneGuard>) -> Result<(), ServiceError> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        loop {
            match self.core.propose(batch).await {
                Ok(pending) => {
                    self.in_flight.push_back((pending, guards));
                    return Ok(());
                }
                Err(ProposeError::Busy) if self.in_flight.is_empty() => tokio::time::sleep(BUSY_PAUSE).await,
                Err(ProposeError::Busy) => self.wait_for_one().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until everything is applied; gives the last version, if any batch had one.
    ///
    /// # Errors
    /// Some batch was not committed.
    pub(crate) async fn settle(&mut self) -> Result<Option<Version>, ServiceError> {
        while !self.in_flight.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(self.last)
    }

    async fn wait_for_one(&mut self) -> Result<(), ServiceError> {
        if let Some((pending, _guards)) = self.in_flight.pop_front() {
            self.last = settled(pending.await)?.or(self.last);
        }
        Ok(())
    }
}

/// The version of a batch that was committed, if it has one.
///
/// # Errors
/// It was not committed, or that is not known.
pub(crate) fn settled(outcome: Outcome) -> Result<Option<Version>, ServiceError> {
    match outcome {
        Outcome::Committed { version, .. } => Ok(version),
        Outcome::Refused(refusal) => Err(ServiceError::Overtaken(refusal.to_string())),
        Outcome::NotLeader { .. } => Err(ServiceError::Unavailable("this voter does not lead".into())),
        Outcome::Unknown => Err(ServiceError::Unavailable("it stopped on the way; the log says why".into())),
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
            ProposeError::Stopped => Self::Unavailable("it has stopped".into()),
        }
    }
}
