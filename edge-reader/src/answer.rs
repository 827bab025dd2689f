//! Turns a query into an answer: rejects queries that need no zone, and writes the steps of the resolution as a
//! message.

use domain::base::iana::{Class, ExtendedErrorCode, Opcode, Rcode, Rtype};
use zonecast_kv_proto::View;
use zonecast_records::Path;

use crate::message::MessageWriter;
use crate::query::{Header, Query};
use crate::resolution::{End, Resolution};
use crate::scratch::Buffers;
use crate::{AnswerClass, Client, Lookups, Outcome, Reader, Scratch, Zone};

/// Extended RCODE 16: its upper eight bits, RFC 6891 section 6.1.3.
const BADVERS_EXTENDED: u8 = 1;

impl<V: View> Reader<'_, V> {
    /// Answers a query, wire to wire: `out` holds the answer afterwards, or nothing when the outcome is
    /// [`AnswerClass::Dropped`](crate::AnswerClass::Dropped).
    pub fn answer<'c>(
        &self,
        scratch: &mut Scratch,
        query: &[u8],
        client: impl Into<Client<'c>>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let client = client.into();
        let Scratch { buffers, cache } = scratch;
        match cache.as_deref_mut().zip(self.changes) {
            Some((cache, (changes, version))) => {
                let view = cache.view(self.view, changes, version);
                answer(&Reader::new(&view, self.zones), buffers, query, &client, out)
            }
            None => answer(self, buffers, query, &client, out),
        }
    }
}

fn answer<V: View>(
    reader: &Reader<'_, V>,
    buffers: &mut Buffers,
    bytes: &[u8],
    client: &Client<'_>,
    out: &mut Vec<u8>,
) -> Outcome {
    out.clear();
    let Some(header) = Header::read(bytes) else { return Outcome::DROPPED };
    let Buffers { finder, name, path, target_path, chain, extra, names, damage } = buffers;
    let mut query = Query::default();
    let read = query.read(header, bytes, name);
    let mut message = MessageWriter::new(out, names, client, header, &query);
    if query.edns.is_some_and(|edns| edns.version != 0) && read.as_ref().err() != Some(&Rcode::FORMERR) {
        let address_proven = message.address_proven();
        let outcome = Outcome { class: AnswerClass::Rejected, address_proven, ..Outcome::DROPPED };
        message.finish(Rcode::NOERROR, BADVERS_EXTENDED);
        return outcome;
    }
    let question = match read {
        Ok(question) => question,
        Err(rcode) => return finish(&mut message, AnswerClass::Rejected, rcode, Lookups::default()),
    };
    let full = Path::of(name, 0, path);
    let asks_for_data = header.opcode() == Opcode::QUERY && !matches!(question.rtype, Rtype::AXFR | Rtype::IXFR);
    if query.tsig.is_some() || !asks_for_data {
        let is_apex = |zone: Zone| zone.apex_len == full.as_bytes().len();
        let is_ours = question.class == Class::IN && reader.zones.find(full).is_some_and(is_apex);
        return turn_stranger_away(&mut message, &query, is_ours);
    }
    let is_internet = question.class == Class::IN;
    let Some(zone) = is_internet.then(|| reader.zone_of(full, question.rtype)).flatten() else {
        message.explanation = Some(ExtendedErrorCode::NOT_AUTHORITATIVE);
        return finish(&mut message, AnswerClass::Refused, Rcode::REFUSED, Lookups::default());
    };
    if !zone.has_data() {
        message.explanation = Some(ExtendedErrorCode::INVALID_DATA);
        return finish(&mut message, AnswerClass::Failed, Rcode::SERVFAIL, Lookups::default());
    }
    chain.clear();
    extra.clear();
    let mut resolution = Resolution {
        reader,
        zone,
        top: zone.apex_labels,
        name,
        rtype: question.rtype,
        sink: &mut message,
        chain,
        extra,
        lookups: Lookups::default(),
        hops: 0,
        source_len: u8::try_from(question.name.len()).unwrap_or_default(),
    };
    let result = resolution.run(finder, full, target_path);
    let Resolution { lookups, source_len, .. } = resolution;
    let outcome = match result {
        Ok(End { class, rcode }) => finish(&mut message, class, rcode, lookups),
        Err(error) => {
            *damage = error.damage();
            message.reset();
            message.explanation = Some(ExtendedErrorCode::OTHER);
            finish(&mut message, AnswerClass::Failed, Rcode::SERVFAIL, lookups)
        }
    };
    Outcome { source_len, ..outcome }
}

/// Keys, transfers, notifications and updates are for the core's own, and not of this path: whoever comes with one is a
/// stranger. As BIND, Knot and NSD, as far as they agree.
#[cold]
fn turn_stranger_away<'w>(message: &mut MessageWriter<'w>, query: &Query<'w>, is_ours: bool) -> Outcome {
    let rcode = match query.tsig {
        None if is_ours => Rcode::REFUSED,
        _ => Rcode::NOTAUTH,
    };
    // An answer with more than OPT and TSIG in it says nothing more.
    message.explanation = match query.tsig {
        Some(_) => None,
        None if is_ours => Some(ExtendedErrorCode::NOT_SUPPORTED),
        None => Some(ExtendedErrorCode::NOT_AUTHORITATIVE),
    };
    message.bad_key = query.tsig;
    finish(message, AnswerClass::Refused, rcode, Lookups::default())
}

pub(crate) fn finish(message: &mut MessageWriter<'_>, class: AnswerClass, rcode: Rcode, lookups: Lookups) -> Outcome {
    let (truncated, address_proven) = (message.truncated, message.address_proven());
    message.finish(rcode, 0);
    Outcome { class, rcode, truncated, lookups, source_len: 0, address_proven }
}
