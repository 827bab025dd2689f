//! How a proposal ends, and how one waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use thiserror::Error;
use tokio::sync::oneshot;
use zonecast_kv_proto::{EncodeError, Note, Refusal, RequestRecord, Revision, Version, ViewError};

use crate::member::Member;

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
        /// If the same was asked for before under the same key: what the first one noted. All here is that of the first
        /// one, and nothing was done again.
        repeats: Option<Note>,
    },
    /// Nothing was done, and nothing will be.
    Refused(Refusal),
    /// Nothing was done: another core leads, or none does.
    NotLeader {
        /// The leader, if it is known.
        leader: Option<Member>,
    },
    /// It may have been committed or may still be: the core stopped, or lost its lead, while it was on its way.
    Unknown,
}

impl Outcome {
    /// Of what was done before.
    pub(crate) fn repeated(record: RequestRecord) -> Self {
        let RequestRecord { revision, version, time_us, note, .. } = record;
        Self::Committed { revision, version, time_us, repeats: Some(note) }
    }
}

/// Ready once the lead under which something was proposed is over, and what was on its way has had time to land.
pub(crate) type GivenUp = Shared<oneshot::Receiver<()>>;

/// A proposal on its way. Dropping it does not take the proposal back.
///
/// It ends as [`Outcome::Unknown`] when raft stops, and when the lead is lost and nothing is heard of it for a while: a
/// leader without a majority may never learn what became of it.
#[derive(Debug)]
pub struct Pending {
    outcome: oneshot::Receiver<Outcome>,
    given_up: GivenUp,
}

impl Pending {
    pub(crate) fn new(given_up: GivenUp) -> (oneshot::Sender<Outcome>, Self) {
        let (tell, outcome) = oneshot::channel();
        (tell, Self { outcome, given_up })
    }

    /// Of something that is not on its way: how it ends is known.
    pub(crate) fn known(outcome: Outcome, given_up: GivenUp) -> Self {
        let (tell, pending) = Self::new(given_up);
        let _ = tell.send(outcome);
        pending
    }
}

impl Future for Pending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(outcome) = self.outcome.poll_unpin(context) {
            return Poll::Ready(outcome.unwrap_or(Outcome::Unknown));
        }
        self.given_up.poll_unpin(context).map(|_| Outcome::Unknown)
    }
}

/// Why a read cannot say that it is not outdated. What this core holds can still be read, without that.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// No majority has confirmed it in time.
    #[error("no majority of the cores has answered within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// This core has stopped.
    #[error("this core cannot read: {0}")]
    Unavailable(String),
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
    /// Another core leads, or none does at the moment. Ask that one, or try again soon.
    #[error("{}", match leader {
        Some(leader) => format!("this core does not lead; {leader} does"),
        None => "no core leads at the moment, try again".to_owned(),
    })]
    NotLeader {
        /// The leader, if it is known.
        leader: Option<Member>,
    },
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
