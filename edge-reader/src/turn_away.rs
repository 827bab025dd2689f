//! Answers for queries that the caller has decided not to resolve, made without looking into any zone.

use domain::base::iana::{ExtendedErrorCode, Rcode};
use zonecast_records::Name;

use crate::answer::finish;
use crate::message::{MessageWriter, WrittenNames};
use crate::query::{Header, Query};
use crate::{AnswerClass, Client, Lookups, Outcome};

/// Why a query is not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TurnAwayReason {
    /// The client is not allowed to query: REFUSED, with EDE 18 (RFC 8914).
    Prohibited,
    /// The edge has no data yet: REFUSED, with EDE 14.
    NotReady,
    /// The rate limit of the network is exceeded: an empty answer with TC, so that a real client retries over TCP.
    Limited,
}

/// Puts the answer to such a query into `out`, replacing what it held.
pub fn turn_away<'c>(query: &[u8], client: impl Into<Client<'c>>, why: TurnAwayReason, out: &mut Vec<u8>) -> Outcome {
    out.clear();
    let client = client.into();
    let Some(header) = Header::read(query) else { return Outcome::DROPPED };
    let mut read = Query::default();
    // Whatever is wrong with it, it is turned away.
    let _ = read.read(header, query, &mut Name::default());
    let mut names = WrittenNames::default();
    let mut message = MessageWriter::new(out, &mut names, &client, header, &read);
    let (class, rcode, explanation) = match why {
        TurnAwayReason::Prohibited => (AnswerClass::Refused, Rcode::REFUSED, Some(ExtendedErrorCode::PROHIBITED)),
        TurnAwayReason::NotReady => (AnswerClass::Refused, Rcode::REFUSED, Some(ExtendedErrorCode::NOT_READY)),
        TurnAwayReason::Limited => (AnswerClass::Rejected, Rcode::NOERROR, None),
    };
    message.explanation = explanation;
    message.truncated = why == TurnAwayReason::Limited;
    finish(&mut message, class, rcode, Lookups::default())
}
