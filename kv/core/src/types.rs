//! The names that openraft's types have in this crate.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::impls::{BoxedErrorSource, InlineBatch};
use openraft::type_config::alias;
use openraft::{EntryPayload, OptionalSend};
use zonecast_kv_proto::Verdict;

use crate::environment::Environment;
use crate::member::Member;

/// What the replicated log carries and answers, in one kind of surroundings.
pub(crate) struct TypeConfig<E>(PhantomData<fn() -> E>);

impl<E: Environment> openraft::RaftTypeConfig for TypeConfig<E> {
    type D = Proposal;
    /// Of each command of the entry.
    type R = Vec<Verdict>;
    type NodeId = u64;
    type Node = Member;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = E::Runtime;
    type Responder<T>
        = Responder<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

pub(crate) type Payload = EntryPayload<Proposal, u64, Member>;
pub(crate) type Entry = openraft::Entry<LeaderId<u64, u64>, Payload>;
pub(crate) type LogId = openraft::LogId<LeaderId<u64, u64>>;
pub(crate) type Vote = openraft::impls::Vote<LeaderId<u64, u64>>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId<u64, u64>, u64, Member>;
pub(crate) type SnapshotMeta<E> = alias::SnapshotMetaOf<TypeConfig<E>>;
pub(crate) type Snapshot<E> = alias::SnapshotOf<TypeConfig<E>, <E as Environment>::Snapshot>;
/// A moment on the clock that raft goes by.
pub(crate) type Moment<E> = alias::InstantOf<TypeConfig<E>>;

/// Where raft stands, as it goes on.
pub(crate) type MetricsReceiver<E> = alias::WatchReceiverOf<TypeConfig<E>, openraft::RaftMetrics<TypeConfig<E>>>;

/// A command, or a group of them, as the log carries it: encoded once, decoded when it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal(pub(crate) Bytes);

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

/// How openraft tells the end of a proposal: by a call, or by letting go of it. Calls back exactly once: with the
/// result, or with `None` if raft stopped before there was one.
pub(crate) struct Responder<T> {
    done: Option<Box<dyn FnOnce(Option<T>) + Send>>,
}

impl<T> Responder<T> {
    pub(crate) fn new(done: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self { done: Some(Box::new(done)) }
    }
}

impl<E: Environment, T: Send + 'static> openraft::raft::responder::Responder<TypeConfig<E>, T> for Responder<T> {
    fn on_complete(mut self, result: T) {
        if let Some(done) = self.done.take() {
            done(Some(result));
        }
    }
}

impl<T> Drop for Responder<T> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(None);
        }
    }
}

// openraft asks this of the name of a configuration, which holds nothing.
impl<E> Clone for TypeConfig<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for TypeConfig<E> {}
impl<E> Default for TypeConfig<E> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<E> fmt::Debug for TypeConfig<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypeConfig")
    }
}
impl<E> PartialEq for TypeConfig<E> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<E> Eq for TypeConfig<E> {}
impl<E> PartialOrd for TypeConfig<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for TypeConfig<E> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
