//! A write that is asked for until its outcome is known: under one idempotency key, so it is done once however often it
//! arrives.
//!
//! # Invariants
//! - Once an attempt may have arrived, nothing but an answer of success says more than that: what was sent first may still
//!   be on its way when a later attempt is refused.
//! - What is known not to be done is called so.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use zonecast_kv_proto::RequestKey;

use crate::client_error::ClientError;
use crate::types::KEY_TIME;

/// Between two attempts: an election takes some seconds.
const PAUSE: Duration = Duration::from_millis(100);

/// All attempts of one write.
#[derive(Debug)]
pub(crate) struct Attempts {
    key: RequestKey,
    /// The key goes by the clock of the core: that of this machine is wrong.
    is_redrawn: bool,
    within: Duration,
    /// Set by the first failure after which it is asked again.
    until: Option<Instant>,
    /// The first attempt that may have arrived: who was asked, and what came instead of an answer.
    unknown: Option<(String, String)>,
}

/// What an error says of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// It may have been done.
    Unknown,
    /// It was not done, because nobody leads at the moment.
    NoLeader,
    /// It was not done, and may be in a moment.
    NotNow,
    /// It is not done.
    No,
}

impl Attempts {
    /// Of a write that is asked for again within so long after its first failure.
    pub(crate) fn new(within: Duration) -> Self {
        let key = draw(now_ms());
        Self { key, is_redrawn: false, within, until: None, unknown: None }
    }

    /// The key of the next attempt.
    pub(crate) fn key(&self) -> RequestKey {
        self.key
    }

    /// After an attempt that failed so: how long to pause before the next one, or how the write ends.
    pub(crate) fn after(&mut self, error: ClientError, now: Instant) -> ControlFlow<ClientError, Duration> {
        if let Some(core_ms) = time_of_core(&error).filter(|_| self.unknown.is_none() && !self.is_redrawn) {
            (self.key, self.is_redrawn) = (draw(core_ms), true);
            return ControlFlow::Continue(Duration::ZERO);
        }
        let says = Says::of(&error);
        if let (Says::Unknown, ClientError::Unknown { core, reason }, None) = (says, &error, &self.unknown) {
            self.unknown = Some((core.clone(), reason.clone()));
        }
        let is_asked_again = match says {
            Says::Unknown | Says::NoLeader => true,
            Says::NotNow => self.unknown.is_some(),
            Says::No => false,
        };
        let until = *self.until.get_or_insert(now + self.within);
        if is_asked_again && now + PAUSE < until {
            return ControlFlow::Continue(PAUSE);
        }
        ControlFlow::Break(self.end(error))
    }

    /// How it ends: what may have been done stays so, whatever the last attempt says.
    fn end(&mut self, error: ClientError) -> ClientError {
        match (self.unknown.take(), error) {
            (Some((core, reason)), ClientError::Unknown { .. }) => ClientError::Unknown { core, reason },
            (Some((core, reason)), last) => {
                let reason = format!("{reason}; asked again under the same key, the last answer was: {last}");
                ClientError::Unknown { core, reason }
            }
            (None, error) => error,
        }
    }
}

impl Says {
    fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Unknown { .. } => Self::Unknown,
            ClientError::Unreachable { .. } | ClientError::Silent { .. } => Self::NotNow,
            ClientError::Refused { detail, .. } => match detail.code.as_str() {
                "not_leader" | "no_leader" => Self::NoLeader,
                "busy" | "overloaded" | "unavailable" | "too_many_keys" => Self::NotNow,
                _ => Self::No,
            },
            _ => Self::No,
        }
    }
}

/// What time it is at the core, if the time of the key is what it refuses.
fn time_of_core(error: &ClientError) -> Option<u64> {
    let ClientError::Refused { detail, .. } = error else { return None };
    detail.store_ms.filter(|_| detail.code == KEY_TIME)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A key that nobody else draws. It is no secret; the hasher of the standard library is seeded by the system.
fn draw(ms: u64) -> RequestKey {
    let [high, low] = [(); 2].map(|()| u128::from(RandomState::new().build_hasher().finish()));
    RequestKey::made_at(ms, high << 64 | low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ErrorDetail;

    const WITHIN: Duration = Duration::from_secs(10);

    fn unknown() -> ClientError {
        ClientError::Unknown { core: "core".into(), reason: "the connection ended".into() }
    }

    fn refused(code: &str) -> ClientError {
        ClientError::Refused {
            status: 503,
            detail: Box::new(ErrorDetail { code: code.into(), ..ErrorDetail::default() }),
        }
    }

    fn silent() -> ClientError {
        ClientError::Silent { core: "core".into(), within: WITHIN }
    }

    /// How attempts that fail so one after the other end, if they do.
    fn end(errors: impl IntoIterator<Item = ClientError>) -> Option<ClientError> {
        let (mut attempts, now) = (Attempts::new(WITHIN), Instant::now());
        errors.into_iter().find_map(|error| attempts.after(error, now).break_value())
    }

    #[test]
    fn what_may_have_arrived_and_what_found_no_leader_is_asked_for_again() {
        assert!(end([unknown(), refused("no_leader"), unknown(), refused("not_leader")]).is_none());
        assert!(end([unknown(), silent(), refused("busy"), refused("unavailable"), refused("overloaded")]).is_none());
        for error in [silent(), refused("busy"), refused("unavailable"), refused("held")] {
            assert!(end([error]).is_some());
        }
    }

    #[test]
    fn what_may_have_been_done_is_never_called_undone() {
        let ended = end([unknown(), refused("held")]).unwrap();
        assert!(matches!(ended, ClientError::Unknown { .. }), "{ended:?}");
        let ended = end([refused("no_leader"), refused("held")]).unwrap();
        assert!(matches!(ended, ClientError::Refused { .. }), "{ended:?}");
    }

    #[test]
    fn it_ends_in_time_and_says_what_is_known() {
        let start = Instant::now();
        for (error, is_unknown) in [(unknown(), true), (refused("no_leader"), false)] {
            let mut attempts = Attempts::new(WITHIN);
            assert!(attempts.after(error, start).is_continue());
            let ended = attempts.after(refused("no_leader"), start + WITHIN).break_value().unwrap();
            assert_eq!(matches!(ended, ClientError::Unknown { .. }), is_unknown, "{ended:?}");
        }
        let mut once = Attempts::new(Duration::ZERO);
        assert!(matches!(once.after(unknown(), start), ControlFlow::Break(ClientError::Unknown { .. })));
    }

    #[test]
    fn a_client_whose_clock_is_wrong_goes_by_that_of_the_core_once() {
        let wrong = |store_ms| {
            let detail = ErrorDetail { code: KEY_TIME.into(), store_ms, ..ErrorDetail::default() };
            ClientError::Refused { status: 422, detail: Box::new(detail) }
        };
        let (mut attempts, now) = (Attempts::new(WITHIN), Instant::now());
        let first = attempts.key();
        assert_eq!(attempts.after(wrong(Some(5_000)), now).continue_value(), Some(Duration::ZERO));
        assert!(attempts.key().made_ms() == 5_000 && attempts.key() != first);
        assert!(attempts.after(wrong(Some(6_000)), now).is_break());
        assert!(end([wrong(None)]).is_some());
        // Under another key it could be done twice.
        let ended = end([unknown(), wrong(Some(5_000))]).unwrap();
        assert!(matches!(ended, ClientError::Unknown { .. }), "{ended:?}");
    }

    #[test]
    fn no_two_keys_are_equal() {
        let keys: std::collections::HashSet<_> = (0..1000).map(|_| draw(7)).collect();
        assert!(keys.len() == 1000 && keys.iter().all(|key| key.made_ms() == 7));
    }
}
