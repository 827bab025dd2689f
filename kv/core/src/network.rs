//! The network of raft: what openraft has to say to another voter, over streams of messages.
//!
//! Appends have a stream for as long as they go on, and are sent without waiting for answers. Votes, heartbeats and
//! what else is asked have streams of their own, so that none of them waits behind a large append.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AsyncRuntime, OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use tokio::sync::mpsc;

use crate::addresses::Addresses;
use crate::environment::{Environment, MessageReceiver as _, MessageSender as _, State as _, Wire as _};
use crate::loan::Loan;
use crate::member::Member;
use crate::members::member;
use crate::message::{Answer, Call, Hello, Refused, decode_appended, encode_append, stream};
use crate::metrics::CoreMetrics;
use crate::refusals::{JOIN, Refusals};
use crate::removal::Removal;
use crate::snapshots::{self, Outgoing};
use crate::types::{MetricsReceiver, Snapshot, TypeConfig, Vote};

/// Appends on their way to a follower without an answer.
const APPENDS_AHEAD: usize = 64;
/// A follower that does not answer an append for so long is tried anew: its disk may take seconds, not this.
const APPENDED_WITHIN: Duration = Duration::from_secs(10);

/// Reaches the other voters.
pub(crate) struct Network<E: Environment> {
    shared: Arc<Shared<E>>,
}

/// What all ways to others share.
pub(crate) struct Shared<E: Environment> {
    id: u64,
    wire: E::Wire,
    pub(crate) state: E::State,
    removal: Removal,
    refusals: Refusals,
    addresses: Addresses,
    pub(crate) outgoing: Outgoing,
    /// Set once raft runs.
    running: OnceLock<Running<E>>,
}

/// What the network knows of the voter that it belongs to.
pub(crate) struct Running<E: Environment> {
    /// What raft says of who is where.
    pub(crate) seen: MetricsReceiver<E>,
    pub(crate) loan: Arc<Loan<E>>,
    pub(crate) metrics: CoreMetrics,
}

/// Reaches one of them.
pub(crate) struct Connection<E: Environment> {
    shared: Arc<Shared<E>>,
    to: u64,
    /// Where it was when raft made this way.
    member: Member,
    /// Of the streams that appends go on.
    append_kind: u8,
}

impl<E: Environment> Network<E> {
    pub(crate) fn new(id: u64, wire: E::Wire, state: E::State, removal: Removal) -> Self {
        let shared = Shared {
            id,
            wire,
            state,
            removal,
            refusals: Refusals::default(),
            addresses: Addresses::default(),
            outgoing: Outgoing::default(),
            running: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Looks up in the membership from now on where a member is: openraft keeps its ways to members, and does not make
    /// them anew when one of them moves.
    pub(crate) fn follow(&self, running: Running<E>) {
        // Raft starts once.
        let _ = self.shared.running.set(running);
    }

    /// Counts and tells that this core refuses what another one asks.
    pub(crate) fn refuses(&self, core: &str, refused: &Refused) {
        self.shared.refusals.refuses(core, refused);
        refused.label().into_iter().for_each(|reason| self.shared.count(reason));
    }

    /// The same of one that asks to be let in.
    pub(crate) fn refuses_join(&self, core: &str, why: &str) {
        self.shared.refusals.refuses_join(core, why);
        self.shared.count(JOIN);
    }

    /// Where members say that they are.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.shared.addresses
    }

    /// The snapshots that are on their way from here.
    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.shared.outgoing
    }

    /// The way to a member.
    pub(crate) fn to(&self, to: u64, member: Member) -> Connection<E> {
        Connection { shared: Arc::clone(&self.shared), to, member, append_kind: stream::APPEND }
    }
}

impl<E: Environment> Clone for Network<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<E: Environment> RaftNetworkFactory<TypeConfig<E>> for Network<E> {
    type Network = Connection<E>;

    async fn new_client(&mut self, to: u64, member: &Member) -> Connection<E> {
        self.to(to, member.clone())
    }

    async fn new_heartbeat_client(&mut self, to: u64, member: &Member) -> Connection<E> {
        Connection { append_kind: stream::HEARTBEAT, ..self.to(to, member.clone()) }
    }
}

type Streams<E> = (
    <<E as Environment>::Wire as crate::environment::Wire>::Sender,
    <<E as Environment>::Wire as crate::environment::Wire>::Receiver,
);

impl<E: Environment> Connection<E> {
    pub(crate) fn shared(&self) -> &Shared<E> {
        &self.shared
    }

    pub(crate) fn hello(&self) -> Bytes {
        let head = self.shared.state.head();
        let store = head.is_founded().then_some(head.position.store);
        Hello { store, from: self.shared.id, to: self.to }.to_bytes()
    }

    pub(crate) async fn open(&self, kind: u8) -> io::Result<Streams<E>> {
        let to = self.member();
        self.shared.wire.open(&to, kind).await.inspect_err(|error| self.shared.not_reached(&to, error))
    }

    /// Where it is now, as far as is known here.
    fn member(&self) -> Member {
        let running = self.shared.running.get();
        let known = running.and_then(|running| member(&running.seen.borrow_watched(), self.to));
        self.shared.addresses.of(self.to, known.unwrap_or_else(|| self.member.clone()))
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&self, call: &Call<E>, within: Duration) -> Result<Answer<E>, CallError> {
        let asking = async {
            let streams = self.open(stream::CALL).await?;
            let answer = self.call_on(streams, call).await;
            answer.inspect_err(|error| self.shared.not_reached(&self.member(), error))
        };
        let answer = E::Runtime::timeout(within, asking).await.map_err(|_| CallError::Timeout)?;
        match answer.map_err(CallError::Failed)? {
            Answer::Refused(refused) => Err(CallError::Refused(self.refused(refused))),
            answer => Ok(answer),
        }
    }

    async fn call_on(&self, (mut sender, mut receiver): Streams<E>, call: &Call<E>) -> io::Result<Answer<E>> {
        sender.send(vec![self.hello(), call.to_bytes()]).await?;
        sender.finish();
        let answer = receiver.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Answer::from_bytes(answer)
    }

    /// Notes what a refusal says about this voter.
    pub(crate) fn refused(&self, refused: Refused) -> Refused {
        self.shared.refusals.refused_by(&self.member(), &refused);
        if let Refused::NotMember(index) = &refused {
            self.shared.removal.heard(&self.member(), *index);
        }
        refused
    }

    async fn ask(
        &self,
        call: Call<E>,
        option: &RPCOption,
        kind: RPCTypes,
    ) -> Result<Answer<E>, RPCError<TypeConfig<E>>> {
        let answer = self.call(&call, option.soft_ttl()).await;
        answer.map_err(|error| match error {
            CallError::Timeout => RPCError::Timeout(Timeout {
                action: kind,
                id: self.shared.id,
                target: self.to,
                timeout: option.soft_ttl(),
            }),
            other => RPCError::Unreachable(Unreachable::new(&other)),
        })
    }

    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot<E>) -> io::Result<Vote> {
        let running = self.shared.running.get().ok_or(io::ErrorKind::NotConnected)?;
        let environment = running.loan.get().ok_or(io::ErrorKind::NotConnected)?;
        let known = snapshots::send(self, environment, vote, snapshot.snapshot).await?;
        if known <= vote {
            running.metrics.snapshots_sent.inc();
            tracing::info!(core = %self.member(), "it was sent the state, and has installed it");
        }
        Ok(known)
    }

    async fn ask_vote(
        &self,
        call: Call<E>,
        option: &RPCOption,
    ) -> Result<VoteResponse<TypeConfig<E>>, RPCError<TypeConfig<E>>> {
        match self.ask(call, option, RPCTypes::Vote).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(unreachable(&io::Error::other("a vote was asked for, and something else answered"))),
        }
    }
}

impl<E: Environment> Shared<E> {
    /// The way to another core cannot be had, or broke.
    fn not_reached(&self, to: &Member, error: &io::Error) {
        if let Some(reason) = self.refusals.not_reached(to, error) {
            self.count(reason);
        }
    }

    fn count(&self, reason: &str) {
        if let Some(running) = self.running.get() {
            running.metrics.refused.with_label_values(&[reason]).inc();
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Failed(io::Error),
    #[error("refused: {0}")]
    Refused(Refused),
}

fn unreachable<E: Environment>(error: &(impl std::error::Error + 'static)) -> RPCError<TypeConfig<E>> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl<E: Environment> RaftNetworkV2<TypeConfig<E>> for Connection<E> {
    type SnapshotData = E::Snapshot;

    async fn append_entries(
        &mut self,
        append: AppendEntriesRequest<TypeConfig<E>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig<E>>, RPCError<TypeConfig<E>>> {
        let one = futures_util::stream::iter([append]);
        let mut answers = self.stream_append(one, option).await?;
        match answers.next().await {
            Some(answer) => Ok(answer?.into()),
            None => Err(unreachable(&io::Error::from(io::ErrorKind::UnexpectedEof))),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendAnswers<'s, E>, RPCError<TypeConfig<E>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig<E>>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let opening = E::Runtime::timeout(option.soft_ttl(), self.open(self.append_kind)).await;
            let timeout = || Timeout {
                action: RPCTypes::AppendEntries,
                id: self.shared.id,
                target: self.to,
                timeout: option.soft_ttl(),
            };
            let (sender, receiver) =
                opening.map_err(|_| RPCError::Timeout(timeout()))?.map_err(|error| unreachable(&error))?;
            let (sent, on_their_way) = mpsc::channel(APPENDS_AHEAD);
            drop(E::Runtime::spawn(send_appends::<E, S>(self.hello(), input, sender, sent)));
            let answers = Answers { connection: &*self, receiver, on_their_way, has_ended: false };
            let answers = futures_util::stream::unfold(answers, |mut answers| async move {
                let answer = answers.next().await?;
                answers.has_ended = !matches!(answer, Ok(Ok(_)));
                Some((answer, answers))
            });
            Ok(Box::pin(answers) as AppendAnswers<'s, E>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig<E>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<E>>, RPCError<TypeConfig<E>>> {
        self.ask_vote(Call::Vote(request), &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig<E>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<E>>, RPCError<TypeConfig<E>>> {
        self.ask_vote(Call::PreVote(request), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<E>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig<E>>, StreamingError<TypeConfig<E>>> {
        let sending = Box::pin(self.send_snapshot(vote, snapshot));
        let sent = match E::Runtime::select2(Box::pin(cancel), sending).await {
            Select2::First(closed) => return Err(StreamingError::Closed(closed)),
            Select2::Second(sent) => sent,
        };
        sent.map(SnapshotResponse::new).map_err(|error| {
            tracing::warn!(core = %self.member(), %error, "a snapshot of the state did not get there; it is tried again");
            StreamingError::Unreachable(Unreachable::new(&error))
        })
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig<E>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig<E>>, RPCError<TypeConfig<E>>> {
        match self.ask(Call::TakeLead(request), &option, RPCTypes::TransferLeader).await? {
            Answer::Done => Ok(Ok(())),
            _ => Err(unreachable(&io::Error::other("the lead was offered, and something else answered"))),
        }
    }
}

type AppendAnswers<'s, E> = BoxStream<'s, Result<StreamAppendResult<TypeConfig<E>>, RPCError<TypeConfig<E>>>>;

/// Sends appends as they come; ends with them, or when nobody waits for answers any more.
async fn send_appends<E, S>(
    hello: Bytes,
    mut input: S,
    mut sender: <E::Wire as crate::environment::Wire>::Sender,
    sent: mpsc::Sender<()>,
) where
    E: Environment,
    S: Stream<Item = AppendEntriesRequest<TypeConfig<E>>> + Send + Unpin,
{
    let mut first = VecDeque::from([hello]);
    loop {
        let next = match E::Runtime::select2(sent.closed(), input.next()).await {
            Select2::First(()) => return,
            Select2::Second(next) => next,
        };
        let Some(append) = next else { break };
        let mut messages: Vec<Bytes> = first.drain(..).collect();
        messages.push(encode_append::<E>(&append));
        // Before it is sent, so that its answer finds somebody.
        if sent.send(()).await.is_err() || sender.send(messages).await.is_err() {
            return;
        }
    }
    sender.finish();
}

/// Answers to appends, in their order.
struct Answers<'s, E: Environment> {
    connection: &'s Connection<E>,
    receiver: <E::Wire as crate::environment::Wire>::Receiver,
    on_their_way: mpsc::Receiver<()>,
    has_ended: bool,
}

impl<E: Environment> Answers<'_, E> {
    async fn next(&mut self) -> Option<Result<StreamAppendResult<TypeConfig<E>>, RPCError<TypeConfig<E>>>> {
        if self.has_ended {
            return None;
        }
        self.on_their_way.recv().await?;
        let answer = match E::Runtime::timeout(APPENDED_WITHIN, self.receiver.next()).await {
            Ok(Ok(Some(answer))) => decode_appended::<E>(answer),
            Ok(Ok(None)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        Some(match answer {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(refused)) => Err(unreachable(&CallError::Refused(self.connection.refused(refused)))),
            Err(error) => {
                self.connection.shared.not_reached(&self.connection.member(), &error);
                Err(unreachable(&error))
            }
        })
    }
}
