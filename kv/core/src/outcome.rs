//! How a proposal ends, and how one waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use thiserror::Error;
use tokio::sync::oneshot;
use zonecast_kv_proto::{EncodeError, Refusal, Revision, Version, ViewError};

/// How a proposed batch ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable on a majority, and applied here.
    Committed {
        /// Its revision.
        revision: Revision,
        /// Its version, if any of it is published.
        version: Option<Version>,
        /// Its time, microseconds of Unix time.
        time_us: u64,
    },
    /// Nothing was done, and nothing will be.
    Refused(Refusal),
    /// Nothing was done: another voter leads, or none does.
    NotLeader {
        /// Node id of the leader, if it is known.
        leader: Option<u64>,
    },
    /// It may have been committed or may still be: the core stopped, or lost its lead, while it was on its way.
    Unknown,
}

/// A proposal on its way. Dropping it does not take the proposal back.
#[derive(Debug)]
pub struct Pending {
    outcome: oneshot::Receiver<Outcome>,
}

impl Pending {
    pub(crate) fn new() -> (oneshot::Sender<Outcome>, Self) {
        let (tell, outcome) = oneshot::channel();
        (tell, Self { outcome })
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(Outcome::Unknown))
    }
}

/// Why something is not proposed. Nothing was done, but for [`ProposeError::Lost`].
#[derive(Debug, Error)]
pub enum ProposeError {
    /// Too much is proposed and unapplied, or a bulk load is under way in the section: try again soon.
    #[error("the core is busy, try again")]
    Busy,
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The state cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The core has stopped.
    #[error("the core has stopped")]
    Stopped,
    /// The core stopped while it had the change: whether it was proposed is not known.
    #[error("the core stopped while it had the change")]
    Lost,
}

/// Why a change is not proposed. Nothing was done, but for [`ProposeError::Lost`].
#[derive(Debug, Error)]
pub enum ChangeError<E> {
    /// The builder said no.
    #[error(transparent)]
    Build(E),
    /// The core did.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}
