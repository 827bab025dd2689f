//! Snapshots of the state from a leader to a voter that is behind what the log holds: what is said around the transfer
//! itself, which [`Environment`] does.
//!
//! ```text
//! leader   hello, vote ──────────────▶            vote of the leader
//!          ◀───────────────────────── answer      done: send it; vote: a higher one is known here; refused
//!          transfer ◀───────────────▶
//!          ◀───────────────────────── answer      vote: it is installed, or a higher one is known here
//! ```
//! # Format
//! A stream of its own ([`stream::SNAPSHOT`]). The vote is encoded as in the raft log, an answer as on a stream of calls.
//!
//! # Invariants
//! - What is installed is what the received database says that it is: the leader takes its checkpoint after raft asked for
//!   a snapshot, so it may hold more.
//! - One transfer comes in at a time: the newest, because the one before is from before a cut.
//! - What has come of a snapshot goes when the log has led to where it stands: nobody will send the rest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::VoteResponse;
use tokio::sync::{Mutex, Notify, watch};

use crate::entry::{decode_log_id, decode_membership, decode_vote, encode_vote};
use crate::environment::{Environment, MessageReceiver, MessageSender, State as _, StateSnapshot};
use crate::loan::Loan;
use crate::message::{Answer, Refused};
use crate::metrics::CoreMetrics;
use crate::network::{CallError, Connection};
use crate::server::first;
use crate::state_machine::Raft;
use crate::types::{Snapshot, SnapshotMeta, Vote};

/// For an answer that needs no disk.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// For a received state to take the place of the present one: slices that are being applied are written first.
const INSTALLED_WITHIN: Duration = Duration::from_secs(120);

/// How many snapshots are on their way to others. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    count: Arc<AtomicUsize>,
}

/// One that is.
struct OnItsWay(Arc<AtomicUsize>);

impl Outgoing {
    /// Whether a follower is being sent one: it will need the log from there on.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    fn begin(&self) -> OnItsWay {
        self.count.fetch_add(1, Ordering::AcqRel);
        OnItsWay(Arc::clone(&self.count))
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sends a snapshot. Says the vote of the receiver, which has installed it unless that vote is a higher one.
pub(crate) async fn send<E: Environment>(
    connection: &Connection<E>,
    environment: E,
    vote: Vote,
    snapshot: E::Snapshot,
) -> io::Result<Vote> {
    let shared = connection.shared();
    let (mut sender, mut receiver) = connection.open(crate::message::stream::SNAPSHOT).await?;
    sender.send(vec![connection.hello(), encode_vote(&vote)]).await?;
    match answer::<E>(connection, &mut receiver, ANSWERED_WITHIN).await? {
        Answer::Done => {}
        Answer::Vote(response) => return Ok(response.vote),
        _ => return Err(unexpected()),
    }
    let _on_its_way = shared.outgoing.begin();
    environment.send_snapshot(&shared.state, snapshot, &mut sender, &mut receiver).await?;
    sender.finish();
    match answer::<E>(connection, &mut receiver, INSTALLED_WITHIN).await? {
        Answer::Vote(response) => Ok(response.vote),
        _ => Err(unexpected()),
    }
}

async fn answer<E: Environment>(
    connection: &Connection<E>,
    receiver: &mut impl MessageReceiver,
    within: Duration,
) -> io::Result<Answer<E>> {
    let heard = E::Runtime::timeout(within, receiver.next()).await;
    let heard = heard.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    match Answer::from_bytes(heard.ok_or(io::ErrorKind::UnexpectedEof)?)? {
        Answer::Refused(refused) => Err(io::Error::other(CallError::Refused(connection.refused(refused)))),
        answer => Ok(answer),
    }
}

fn unexpected() -> io::Error {
    io::Error::other("a snapshot was offered, and something else answered")
}

/// Takes snapshots from others.
pub(crate) struct Incoming<E: Environment> {
    raft: Raft<E>,
    state: E::State,
    loan: Arc<Loan<E>>,
    metrics: CoreMetrics,
    stopping: watch::Receiver<bool>,
    /// The number of the newest transfer.
    newest: watch::Sender<u64>,
    /// Held by the one that receives.
    turn: Mutex<()>,
    /// Told when a transfer has ended, however it did.
    ended: Notify,
}

impl<E: Environment> Incoming<E> {
    pub(crate) fn new(
        raft: Raft<E>,
        state: E::State,
        loan: Arc<Loan<E>>,
        metrics: CoreMetrics,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (newest, turn, ended) = (watch::Sender::new(0), Mutex::default(), Notify::new());
        Self { raft, state, loan, metrics, stopping, newest, turn, ended }
    }

    /// Removes what transfers that were cut off have left, once the log has led to where their snapshots stand.
    pub(crate) async fn forget_parts(self: Arc<Self>) {
        loop {
            if let Some(index) = self.part().await {
                let caught_up = self.raft.wait(None);
                let caught_up = Box::pin(caught_up.applied_index_at_least(Some(index), "the log has led further"));
                match E::Runtime::select2(Box::pin(self.ended.notified()), caught_up).await {
                    Select2::First(()) => continue,
                    Select2::Second(Err(_)) => return,
                    Select2::Second(Ok(_)) => self.forget_part().await,
                }
            }
            self.ended.notified().await;
        }
    }

    /// The index at which the snapshot stands of which a part is here.
    async fn part(&self) -> Option<u64> {
        let state = self.state.clone();
        let part = self.loan.get()?.on_disk(move || state.part()).await.ok()??;
        Some(decode_log_id(part).map_or(0, |log_id| log_id.index))
    }

    async fn forget_part(&self) {
        let (Some(environment), state) = (self.loan.get(), self.state.clone()) else { return };
        match environment.on_disk(move || state.forget_part()).await {
            Ok(Ok(())) => tracing::info!("what had come of a snapshot is removed: the log has led further"),
            // Another transfer is under way, perhaps; this is tried again when it has ended.
            Ok(Err(error)) => tracing::info!(%error, "what had come of a snapshot is not removed yet"),
            Err(_) => {}
        }
    }

    /// Serves a stream whose sender may say something, after its hello.
    pub(crate) async fn serve(
        &self,
        name: &str,
        mut sender: impl MessageSender,
        mut receiver: impl MessageReceiver,
    ) -> io::Result<()> {
        let vote = decode_vote(first::<E>(&mut receiver).await?)?;
        let known = { self.raft.metrics().borrow_watched().vote };
        if known > vote {
            return end::<E>(sender, &voted(known)).await;
        }
        sender.send(vec![Answer::<E>::Done.to_bytes()]).await?;
        tracing::info!(core = name, "it sends the state: the log that this voter lacks is gone");
        let snapshot = self.receive(&mut sender, &mut receiver).await?;
        let answer = match self.install(vote, snapshot).await {
            Ok(vote) => voted(vote),
            Err(why) => Answer::Refused(Refused::NotNow(why)),
        };
        end::<E>(sender, &answer).await
    }

    /// Until it is there, a newer transfer comes, or this voter stops.
    async fn receive(
        &self,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<StateSnapshot<E::Snapshot>> {
        let mut newest = self.newest.subscribe();
        let mut number = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let mut stopping = self.stopping.clone();
        let is_over = Box::pin(async {
            let newer = Box::pin(newest.wait_for(|newest| *newest != number));
            let stops = Box::pin(stopping.wait_for(|stopping| *stopping));
            E::Runtime::select2(newer, stops).await;
        });
        let receiving = Box::pin(async {
            let _turn = self.turn.lock().await;
            let environment = self.loan.get().ok_or(io::ErrorKind::NotConnected)?;
            environment.receive_snapshot(&self.state, sender, receiver).await
        });
        let received = match E::Runtime::select2(is_over, receiving).await {
            Select2::First(()) => Err(io::Error::other("a newer transfer has come, or this voter stops")),
            Select2::Second(received) => received,
        };
        self.ended.notify_one();
        received
    }

    async fn install(&self, vote: Vote, snapshot: StateSnapshot<E::Snapshot>) -> Result<Vote, String> {
        let snapshot = with_meta::<E>(snapshot).map_err(|error| error.to_string())?;
        // A leader that has lost its lead may have applied what a later one committed. This voter may not know that one
        // yet, and raft takes a snapshot from the owner of its entries or a later leader only.
        if snapshot.meta.last_log_id.is_some_and(|log_id| log_id.leader_id > vote.leader_id) {
            return Err("the state has entries of a later leader".into());
        }
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(|fatal| fatal.to_string())?;
        self.metrics.snapshots_received.inc();
        Ok(response.vote)
    }
}

/// What raft has to know of a snapshot, as the snapshot itself says.
pub(crate) fn with_meta<E: Environment>(snapshot: StateSnapshot<E::Snapshot>) -> io::Result<Snapshot<E>> {
    let StateSnapshot { applied, membership, content } = snapshot;
    let meta = SnapshotMeta::<E> {
        last_log_id: applied.map(decode_log_id).transpose()?,
        last_membership: membership.map(decode_membership).transpose()?.unwrap_or_default(),
    };
    Ok(Snapshot::<E> { meta, snapshot: content })
}

fn voted<E: Environment>(vote: Vote) -> Answer<E> {
    Answer::Vote(VoteResponse::new(vote, None, false))
}

async fn end<E: Environment>(mut sender: impl MessageSender, answer: &Answer<E>) -> io::Result<()> {
    sender.send(vec![answer.to_bytes()]).await?;
    sender.finish();
    Ok(())
}
