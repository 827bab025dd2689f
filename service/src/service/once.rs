//! Writes under an idempotency key: each is done once, and whoever asks again gets the first answer.
//!
//! ```text
//! request ─▶ its turn, after the same one under way ─▶ done before? ─┬─ no ──▶ the write; its record is part of its batch
//!                                                                    └─ yes ─▶ the first answer
//! ```
//! It is looked before anything else of the request is: what was done once has moved on the zone that it asked for.

use std::future::Future;
use std::sync::Arc;

use zonecast_api::types::Written;
use zonecast_kv_core::{ChangeError, Editions, Pending};
use zonecast_kv_proto::{Batch, Idempotency, Note, View};
use zonecast_records::Name;

use super::Service;
use crate::answer::{Earlier, Wrote};
use crate::error::ServiceError;
use crate::import::landed;
use crate::zone::{Terms, unix_time_ms};

/// Nothing was done under the key yet.
struct New;

impl Service {
    /// Does a write to its end; under a key, only if it was not done before.
    ///
    /// # Errors
    /// The key cannot be used, too many writes are under way, or what the write says.
    pub(super) fn do_once<T: Send + 'static>(
        self: &Arc<Self>,
        terms: &Terms,
        write: impl Future<Output = Result<Wrote<T>, ServiceError>> + Send + 'static,
    ) -> impl Future<Output = Result<Wrote<T>, ServiceError>> + Send {
        // It has kilobytes, and whoever waits for it would move them from one future into the next.
        let write = Box::pin(write);
        async move {
            let Some(asked) = terms.once else { return self.to_the_end(&terms.who, write).await };
            // Whoever waits here has begun nothing, and may go.
            let turn = self.requests.begin(asked.id()).await;
            let service = Arc::clone(self);
            let once = async move {
                let _turn = turn;
                let done = match service.earlier(asked).await {
                    Ok(Some(earlier)) => return Ok(Wrote::Before(earlier)),
                    Ok(None) => write.await,
                    Err(error) => Err(error),
                };
                done.map_err(|error| service.with_time(error))
            };
            self.to_the_end(&terms.who, once).await
        }
    }

    /// What was done before under a key.
    ///
    /// # Errors
    /// The key cannot be used, or this core does not lead.
    async fn earlier(&self, asked: Idempotency) -> Result<Option<Earlier>, ServiceError> {
        let seen = self.core().change_once(asked, |_, _| Err::<(Batch, Note, ()), New>(New)).await;
        match seen {
            Err(ChangeError::Build(New)) => Ok(None),
            Err(ChangeError::Propose(error)) => Err(error.into()),
            Ok((_, pending)) => match landed(pending.await)? {
                Wrote::Before(earlier) => Ok(Some(earlier)),
                Wrote::Now(_) => Err(ServiceError::internal("a request was done by looking at it")),
            },
        }
    }

    /// Says to a client whose clock is wrong what time it is here.
    fn with_time(&self, error: ServiceError) -> ServiceError {
        match error {
            ServiceError::KeyTime { message, .. } => {
                let store_ms = unix_time_ms().max(self.core().head().time_us / 1000);
                ServiceError::KeyTime { message, store_ms: Some(store_ms) }
            }
            error => error,
        }
    }

    /// Builds and proposes a change, once if it is under a key. What was built is missing if the change was done before, or
    /// its key cannot be used; the outcome says so.
    ///
    /// # Errors
    /// As [`zonecast_kv_core::Core::change`].
    pub(super) async fn propose<T, E>(
        &self,
        once: Option<Idempotency>,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, Note, T), E> + Send + 'static,
    ) -> Result<(Option<T>, Pending), ChangeError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let Some(asked) = once else {
            let plain = move |view: &dyn View, editions: &Editions<'_>| {
                let (batch, _, built) = build(view, editions)?;
                Ok((batch, built))
            };
            let (built, pending) = self.core().change(plain).await?;
            return Ok((Some(built), pending));
        };
        self.core().change_once(asked, build).await
    }

    /// The answer of a write of a zone that is done, or was before.
    pub(super) fn wrote(&self, apex: Name, wrote: Wrote<Written>) -> Written {
        match wrote {
            Wrote::Now(written) => written,
            Wrote::Before(earlier) => {
                let noted: Written = earlier.answer().unwrap_or_default();
                let written = self.written(apex, earlier.version);
                let changed = written.changed || noted.changed;
                Written { zone: written.zone, version: written.version, changed, repeated: true, ..noted }
            }
        }
    }
}
