//! What the operator decides about clients, as all threads and connections of a server share it.

use std::net::IpAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use zonecast_edge_reader::{Client, Cookies, Outcome, Transport, TurnAwayReason, turn_away};

use crate::rate_limit::{RateLimiter, Verdict};
use crate::tally::Tally;
use crate::{Limits, Session};

/// The limits of a server with the one rate limiter that all its threads and connections count in.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    limiter: Option<RateLimiter>,
    started: Instant,
}

/// The rules at one moment, for one burst of queries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RulesNow<'r> {
    rules: &'r Rules,
    /// Seconds of Unix time.
    wall: u32,
    /// Nanoseconds since the server started.
    elapsed: u64,
}

/// A query in wire form, and the address that it came from.
#[derive(Clone, Copy)]
pub(crate) struct ReceivedQuery<'q> {
    pub(crate) query: &'q [u8],
    pub(crate) address: IpAddr,
}

impl Rules {
    pub(crate) fn new(limits: Limits) -> Self {
        let limiter = limits.rate_limit.clone().map(RateLimiter::new);
        Self { limits, limiter, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> RulesNow<'_> {
        let wall = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let wall = if self.limits.cookies.is_some() { wall() } else { 0 };
        let elapsed = if self.limiter.is_some() { self.started.elapsed().as_nanos() } else { 0 };
        let [.., a, b, c, d] = wall.to_be_bytes();
        RulesNow {
            rules: self,
            wall: u32::from_be_bytes([a, b, c, d]),
            elapsed: u64::try_from(elapsed).unwrap_or(u64::MAX / 2),
        }
    }
}

impl RulesNow<'_> {
    /// Puts the answer to a query from an address into `out` and counts it; `false` when none is to be sent.
    pub(crate) fn answer(
        &self,
        session: &mut impl Session,
        received: ReceivedQuery<'_>,
        transport: Transport,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> bool {
        let ReceivedQuery { query, address } = received;
        let Limits { access, cookies, nsid, .. } = &self.rules.limits;
        let cookies = cookies.as_ref().map(|secrets| Cookies::new(secrets, address, self.wall));
        let client = Client::new(transport).with_cookies(cookies).with_nsid(nsid.as_deref());
        let outcome = if access.permits(address) {
            session.answer(query, client, out)
        } else {
            tally.denied += 1;
            turn_away(query, client, TurnAwayReason::Prohibited, out)
        };
        tally.answered(&outcome);
        outcome.is_answer() && (transport == Transport::Tcp || self.may_go(&outcome, received, client, tally, out))
    }

    fn may_go(
        &self,
        outcome: &Outcome,
        received: ReceivedQuery<'_>,
        client: Client<'_>,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(limiter) = &self.rules.limiter else { return true };
        let ReceivedQuery { query, address } = received;
        let verdict = limiter.judge(self.elapsed, address, query, outcome);
        tally.limited(verdict);
        match verdict {
            Verdict::Send => true,
            Verdict::Truncate => turn_away(query, client, TurnAwayReason::Limited, out).is_answer(),
            Verdict::Drop => false,
        }
    }
}
