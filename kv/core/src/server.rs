//! What a voter answers to the others.
//!
//! # Invariants
//! - A node id speaks only through the certificate of its member's name. An id that no membership here knows is one that
//!   is newer than what is here, or was removed: ids are indexes of the log, so the two can be told apart.
//! - A removed voter is told so, and can end nobody's lead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use openraft::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use zonecast_kv_proto::FEATURE_LEVEL;

use crate::entry::decode_membership;
use crate::environment::{Environment, MessageReceiver, MessageSender, State as _};
use crate::heard::Heard;
use crate::join::{JoinAnswer, JoinRequest};
use crate::loan::Loan;
use crate::member::Member;
use crate::members::{MemberError, Members, member};
use crate::message::{ANYBODY, Answer, Call, Hello, NodeStatus, Refused, decode_append, encode_appended, stream};
use crate::network::Network;
use crate::reads::Reads;
use crate::snapshots::Incoming;
use crate::state_machine::Raft;
use crate::types::{Membership, StoredMembership};

/// A stream whose first words do not come in this time is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How long the leader has to write down where a member is.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Server<E: Environment> {
    raft: Raft<E>,
    state: E::State,
    network: Network<E>,
    members: Arc<Members<E>>,
    loan: Arc<Loan<E>>,
    snapshots: Arc<Incoming<E>>,
    reads: Reads,
    pub(crate) heard: Heard<E>,
}

/// What it is made of.
pub(crate) struct ServerParts<E: Environment> {
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) network: Network<E>,
    pub(crate) members: Arc<Members<E>>,
    pub(crate) loan: Arc<Loan<E>>,
    pub(crate) snapshots: Arc<Incoming<E>>,
    pub(crate) reads: Reads,
}

impl<E: Environment> Server<E> {
    pub(crate) fn new(parts: ServerParts<E>) -> Self {
        let ServerParts { raft, state, network, members, loan, snapshots, reads } = parts;
        Self { raft, state, network, members, loan, snapshots, reads, heard: Heard::new() }
    }

    /// Serves one stream that a core with this name has opened.
    pub(crate) async fn serve<S: MessageSender, R: MessageReceiver>(
        self: Arc<Self>,
        name: String,
        kind: u8,
        sender: S,
        receiver: R,
    ) {
        let served = match kind {
            stream::CALL => self.serve_call(&name, sender, receiver).await,
            stream::JOIN => self.serve_join(&name, sender, receiver).await,
            stream::APPEND | stream::HEARTBEAT => self.serve_appends(&name, sender, receiver).await,
            stream::SNAPSHOT => self.serve_snapshot(&name, sender, receiver).await,
            kind => Err(io::Error::new(io::ErrorKind::InvalidData, format!("streams of kind {kind} are not known"))),
        };
        if let Err(error) = served {
            tracing::debug!(%name, kind, %error, "a stream of a core has ended");
        }
    }

    async fn serve_join(
        &self,
        name: &str,
        mut sender: impl MessageSender,
        mut receiver: impl MessageReceiver,
    ) -> io::Result<()> {
        let request = JoinRequest::from_bytes(first::<E>(&mut receiver).await?)?;
        let answer = self.members.join(name, &request);
        if let JoinAnswer::Refused(why) = &answer {
            self.network.refuses_join(name, why);
        }
        sender.send(vec![answer.to_bytes()]).await?;
        sender.finish();
        Ok(())
    }

    async fn serve_call(
        &self,
        name: &str,
        mut sender: impl MessageSender,
        mut receiver: impl MessageReceiver,
    ) -> io::Result<()> {
        let hello = Hello::from_bytes(first::<E>(&mut receiver).await?)?;
        let call = Call::<E>::from_bytes(first::<E>(&mut receiver).await?)?;
        let hello = match call {
            Call::Status | Call::Moved(..) if hello.to == ANYBODY => Hello { to: *self.raft.node_id(), ..hello },
            _ => hello,
        };
        let answer = match self.check(name, &hello) {
            Ok(()) => self.answer(hello.from, call).await,
            Err(refused) => {
                self.network.refuses(name, &refused);
                Answer::Refused(refused)
            }
        };
        sender.send(vec![answer.to_bytes()]).await?;
        sender.finish();
        Ok(())
    }

    async fn answer(&self, from: u64, call: Call<E>) -> Answer<E> {
        let answered = match call {
            Call::Vote(request) => self.raft.vote(request).await.map(Answer::Vote).map_err(|error| error.to_string()),
            Call::PreVote(request) => {
                self.raft.pre_vote(request).await.map(Answer::Vote).map_err(|error| error.to_string())
            }
            Call::TakeLead(request) => match self.raft.handle_transfer_leader(request).await {
                Ok(Ok(())) => Ok(Answer::Done),
                Ok(Err(error)) => Err(error.to_string()),
                Err(fatal) => Err(fatal.to_string()),
            },
            Call::ReadIndex => self.reads.index().await.map(Answer::Index),
            // What raft itself has, not what it shows: it may have promised its vote to a later leader a moment ago.
            Call::Leader => match self.raft.with_raft_state(|state| state.vote_ref().leader_id).await {
                Ok(leader) => Ok(Answer::Leader(leader)),
                Err(fatal) => Err(fatal.to_string()),
            },
            Call::Status => Ok(Answer::Status(own_status(&self.raft, &self.loan))),
            Call::Moved(id, to) => self.moved(from, id, to).await.map(|()| Answer::Done),
        };
        answered.unwrap_or_else(|why| Answer::Refused(Refused::NotNow(why)))
    }

    /// A member is there now, as it says itself or somebody whom it has told. The leader writes it down; whoever does not
    /// lead tells the leader, who may be one that the member does not reach.
    async fn moved(&self, from: u64, id: u64, to: Member) -> Result<(), String> {
        let (known, leader) = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            let leader = seen.current_leader.filter(|leader| *leader != seen.id);
            (member(&seen, id), leader.and_then(|leader| Some((leader, member(&seen, leader)?))))
        };
        let known = known.filter(|known| known.name == to.name);
        let known = known.ok_or_else(|| format!("{} is not the member with node id {id} here", to.name))?;
        self.network.addresses().hear(id, &known, to.clone());
        match (self.members.moved(id, to.clone()).await, leader) {
            (Err(MemberError::NotLeader), Some((leader, at))) if from == id => {
                let leader = self.network.to(leader, at);
                let told = leader.call(&Call::Moved(id, to), TOLD_WITHIN).boxed().await;
                told.map(drop).map_err(|error| error.to_string())
            }
            (moved, _) => moved.map_err(|error| error.to_string()),
        }
    }

    async fn serve_appends(
        &self,
        name: &str,
        mut sender: impl MessageSender,
        mut receiver: impl MessageReceiver,
    ) -> io::Result<()> {
        let hello = Hello::from_bytes(first::<E>(&mut receiver).await?)?;
        if let Err(refused) = self.check(name, &hello) {
            self.network.refuses(name, &refused);
            sender.send(vec![encode_appended::<E>(&Err(refused))]).await?;
            sender.finish();
            return Ok(());
        }
        let (name, heard) = (name.to_owned(), self.heard.clone());
        let appends = futures_util::stream::unfold(receiver, move |mut receiver| {
            let (name, heard) = (name.clone(), heard.clone());
            async move {
                let append = match receiver.next().await {
                    Ok(Some(bytes)) => decode_append::<E>(bytes),
                    Ok(None) => return None,
                    Err(error) => Err(error),
                };
                match append {
                    Ok(append) => {
                        heard.hear(&name);
                        Some((append, receiver))
                    }
                    Err(error) => {
                        if error.kind() == io::ErrorKind::InvalidData {
                            tracing::warn!(%name, %error, "a core sent what makes no sense");
                        }
                        None
                    }
                }
            }
        });
        let mut answers = Box::pin(self.raft.stream_append(appends));
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|fatal| Refused::NotNow(fatal.to_string()));
            sender.send(vec![encode_appended::<E>(&answer)]).await?;
        }
        sender.finish();
        Ok(())
    }

    async fn serve_snapshot(
        &self,
        name: &str,
        mut sender: impl MessageSender,
        mut receiver: impl MessageReceiver,
    ) -> io::Result<()> {
        let hello = Hello::from_bytes(first::<E>(&mut receiver).await?)?;
        if let Err(refused) = self.check(name, &hello) {
            self.network.refuses(name, &refused);
            sender.send(vec![Answer::<E>::Refused(refused).to_bytes()]).await?;
            sender.finish();
            return Ok(());
        }
        self.snapshots.serve(name, sender, receiver).await.inspect_err(|error| {
            tracing::warn!(core = name, %error, "the state that it sends did not come to its end");
        })
    }

    /// Whether this core may say something, and means this one.
    fn check(&self, name: &str, hello: &Hello) -> Result<(), Refused> {
        let head = self.state.head();
        if head.is_founded() && hello.store.is_some_and(|store| store != head.position.store) {
            return Err(Refused::OtherStore(head.position.store));
        }
        let metrics = self.raft.metrics();
        let (id, effective) = {
            let seen = metrics.borrow_watched();
            (seen.id, seen.membership_config.clone())
        };
        if hello.to != id {
            return Err(Refused::OtherNode(id));
        }
        let applied = self.state.membership().map(decode_membership).transpose();
        let applied = applied.map_err(|error| Refused::NotNow(error.to_string()))?.unwrap_or_default();
        check_sender(name, hello.from, effective.membership(), &applied)
    }
}

/// Where this core stands.
pub(crate) fn own_status<E: Environment>(raft: &Raft<E>, loan: &Loan<E>) -> NodeStatus {
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    NodeStatus {
        pid: std::process::id(),
        term: seen.current_term,
        last: seen.last_log_index.unwrap_or_default(),
        applied: seen.last_applied.map_or(0, |applied| applied.index),
        level: FEATURE_LEVEL,
        now_us: loan.get().map_or(0, |environment| environment.now_us()),
    }
}

/// Whether a node id may speak through a certificate of this name.
fn check_sender(name: &str, from: u64, effective: &Membership, applied: &StoredMembership) -> Result<(), Refused> {
    match effective.get_node(&from).or_else(|| applied.membership().get_node(&from)) {
        Some(member) if member.name == name => Ok(()),
        Some(member) => Err(Refused::OtherName(member.name.clone())),
        None => match applied.log_id() {
            Some(log_id) if log_id.index >= from => Err(Refused::NotMember(log_id.index)),
            // Newer than what is known here.
            _ => Ok(()),
        },
    }
}

/// A message that must come soon.
pub(crate) async fn first<E: Environment>(receiver: &mut impl MessageReceiver) -> io::Result<Bytes> {
    let message = E::Runtime::timeout(HELLO_WITHIN, receiver.next()).await;
    message.map_err(|_| io::ErrorKind::TimedOut)??.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;
    use crate::member::Member;
    use crate::types::LogId;

    fn members(ids: &[(u64, &str)]) -> Membership {
        let member = |name: &str| Member { name: name.into(), address: String::new() };
        let nodes: BTreeMap<_, _> = ids.iter().map(|(id, name)| (*id, member(name))).collect();
        Membership::new(vec![nodes.keys().copied().collect::<BTreeSet<_>>()], nodes).unwrap()
    }

    fn stored(index: u64, ids: &[(u64, &str)]) -> StoredMembership {
        let log_id = LogId { leader_id: LeaderId { term: 1, node_id: 1 }, index };
        StoredMembership::new(Some(log_id), members(ids))
    }

    #[test]
    fn a_node_id_speaks_through_the_certificate_of_its_name_only() {
        let applied = stored(20, &[(1, "a"), (12, "b")]);
        let check = |name, from| check_sender(name, from, applied.membership(), &applied);
        assert_eq!(check("b", 12), Ok(()));
        assert_eq!(check("a", 12), Err(Refused::OtherName("b".into())));
        assert_eq!(check("c", 1), Err(Refused::OtherName("a".into())));
    }

    #[test]
    fn who_was_removed_is_told_and_who_is_newer_than_what_is_known_is_heard() {
        let applied = stored(20, &[(1, "a"), (12, "b")]);
        let check = |from| check_sender("c", from, applied.membership(), &applied);
        assert_eq!(check(7), Err(Refused::NotMember(20)));
        assert_eq!(check(20), Err(Refused::NotMember(20)));
        assert_eq!(check(21), Ok(()));
        // What is not committed removes nobody.
        let effective = members(&[(1, "a")]);
        assert_eq!(check_sender("b", 12, &effective, &applied), Ok(()));
        // A voter without a log hears everybody.
        assert_eq!(check_sender("a", 1, &Membership::default(), &StoredMembership::default()), Ok(()));
    }
}
