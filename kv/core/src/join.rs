//! How a core without a node id gets one: it asks the cluster until an operator has admitted its name.
//!
//! ```text
//! core-2 ── join, address ─▶ any member          "not admitted"     (operator: cluster add core-2)
//! core-2 ── join, address ─▶ leader              "admitted, node 7" ─▶ raft begins under id 7, as a learner
//! ```
//! # Format
//! A stream of its own with one message each way. Asked: `format (1 byte: 1)`, feature level (4 bytes), address. Answered:
//! kind 1 (admitted), node id, store id (16 bytes); kind 2 (not admitted); kind 3 (ask the leader), name and address;
//! kind 4 (refused), text.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::{AsyncRuntime as _, Instant as _};
use zonecast_kv_proto::{FEATURE_LEVEL, StoreId};

use crate::codec::{Reader, Write as _};
use crate::environment::{Environment, MessageReceiver as _, MessageSender as _, Wire as _};
use crate::member::Member;
use crate::message::stream;
use crate::refusals::Refusals;
use crate::types::Moment;

const FORMAT: u8 = 1;
const ADMITTED: u8 = 1;
const WAIT: u8 = 2;
const ELSEWHERE: u8 = 3;
const REFUSED: u8 = 4;

/// Between two requests.
const ASK_EVERY: Duration = Duration::from_secs(1);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// Between two lines in the log that say what an operator has to do.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What a core without a node id says. Its name is in its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRequest {
    /// The feature level of its release. A cluster takes in whoever has the agreed level, or the next.
    pub(crate) level: u32,
    /// Where the others reach it.
    pub(crate) address: String,
}

/// What a core that was let in must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) id: u64,
    pub(crate) store: StoreId,
}

/// What it hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JoinAnswer {
    Admitted {
        id: u64,
        store: StoreId,
    },
    /// Nobody has admitted it yet.
    Wait,
    /// This one leads.
    Elsewhere(Member),
    Refused(String),
}

impl JoinRequest {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(FORMAT);
        out.put_u32(self.level);
        out.put_text(&self.address);
        out.freeze()
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> io::Result<Self> {
        let mut reader = Reader::new(bytes, "a request to join");
        let format = reader.u8()?;
        if format != FORMAT {
            return Err(reader.bad(&format!("format {format} is not known to this release")));
        }
        Ok(Self { level: reader.u32()?, address: reader.text()? })
    }
}

impl JoinAnswer {
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Admitted { id, store } => {
                out.put_u8(ADMITTED);
                out.put_u64(*id);
                out.put_u128(store.get());
            }
            Self::Wait => out.put_u8(WAIT),
            Self::Elsewhere(leader) => {
                out.put_u8(ELSEWHERE);
                out.put_member(leader);
            }
            Self::Refused(why) => {
                out.put_u8(REFUSED);
                out.put_text(why);
            }
        }
        out.freeze()
    }

    pub(crate) fn from_bytes(bytes: Bytes) -> io::Result<Self> {
        let mut reader = Reader::new(bytes, "the answer to a request to join");
        let answer = match reader.u8()? {
            ADMITTED => Self::Admitted { id: reader.u64()?, store: StoreId::new(reader.u128()?) },
            WAIT => Self::Wait,
            ELSEWHERE => Self::Elsewhere(reader.member()?),
            REFUSED => Self::Refused(reader.text()?),
            kind => return Err(reader.bad(&format!("kind {kind} is not known to this release"))),
        };
        reader.end()?;
        Ok(answer)
    }
}

/// Asks until this core is admitted. Logs what is to be done for it.
///
/// # Errors
/// The cluster refuses it for good.
pub(crate) fn ask_to_join<E: Environment>(
    wire: E::Wire,
    me: Member,
    addresses: Vec<String>,
) -> BoxFuture<'static, Result<Admitted, String>> {
    async move {
        let request = JoinRequest { level: FEATURE_LEVEL, address: me.address.clone() };
        let mut leader: Option<Member> = None;
        let (mut told, mut missed): (Option<Moment<E>>, Option<Moment<E>>) = (None, None);
        let refusals = Refusals::default();
        loop {
            let says_missed = missed.is_none_or(|missed| missed.elapsed() > TOLD_EVERY);
            let known: Vec<Member> = leader.take().into_iter().chain(anyone(&addresses)).collect();
            for member in known {
                match ask::<E>(&wire, &member, &request).await {
                    Ok(JoinAnswer::Admitted { id, store }) => return Ok(Admitted { id, store }),
                    Ok(JoinAnswer::Refused(why)) => return Err(why),
                    Ok(JoinAnswer::Elsewhere(member)) => leader = Some(member),
                    Ok(JoinAnswer::Wait) => {
                        if told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
                            let name = &me.name;
                            tracing::info!(name, "waiting to be admitted: `zonecast cluster add {name}` does it");
                            told = Some(Moment::<E>::now());
                        }
                        leader = Some(member);
                        break;
                    }
                    Err(error) => {
                        refusals.not_reached(&member, &error);
                        if says_missed {
                            tracing::info!(core = %member, %error, "a core that was asked to let this one in is not there");
                            missed = Some(Moment::<E>::now());
                        }
                    }
                }
            }
            E::Runtime::sleep(ASK_EVERY).await;
        }
    }
    .boxed()
}

/// Whoever is there.
pub(crate) fn anyone(addresses: &[String]) -> Vec<Member> {
    addresses.iter().map(|address| Member { name: String::new(), address: address.clone() }).collect()
}

async fn ask<E: Environment>(wire: &E::Wire, member: &Member, request: &JoinRequest) -> io::Result<JoinAnswer> {
    let asking = async {
        let (mut sender, mut receiver) = wire.open(member, stream::JOIN).await?;
        sender.send(vec![request.to_bytes()]).await?;
        sender.finish();
        JoinAnswer::from_bytes(receiver.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?)
    };
    E::Runtime::timeout(ANSWERED_WITHIN, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_as_written_and_no_part_of_it() {
        let request = JoinRequest { level: 7, address: "core-2.example:7843".into() };
        let bytes = request.to_bytes();
        assert_eq!(JoinRequest::from_bytes(bytes.clone()).unwrap(), request);
        assert!((0..bytes.len()).all(|cut| JoinRequest::from_bytes(bytes.slice(..cut)).is_err()));
        let leader = Member { name: "core-1".into(), address: "192.0.2.1:7843".into() };
        let answers = [
            JoinAnswer::Admitted { id: 9, store: StoreId::new(u128::MAX) },
            JoinAnswer::Wait,
            JoinAnswer::Elsewhere(leader),
            JoinAnswer::Refused("no".into()),
        ];
        for answer in answers {
            let bytes = answer.to_bytes();
            assert_eq!(JoinAnswer::from_bytes(bytes.clone()).unwrap(), answer);
            assert!((0..bytes.len()).all(|cut| JoinAnswer::from_bytes(bytes.slice(..cut)).is_err()));
        }
    }
}
