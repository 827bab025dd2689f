//! A machine of the simulation: virtual time, one thread for all, disks and a network that are models.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use tokio::sync::oneshot;

use super::log_disk::SimLog;
use super::run::{Run, now};
use super::state_disk::{Content, SimState};
use super::wire::SimWire;
use crate::environment::{Environment, MessageReceiver, MessageSender, StateSnapshot};

/// Microseconds that work on a disk takes.
const WORK: Range<u64> = 20..400;
/// Microseconds of Unix time at which every simulation begins.
const BEGAN: u64 = 1_800_000_000_000_000;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SimMachine {
    pub(crate) run: Run,
    /// Microseconds that its clock is ahead.
    pub(crate) ahead: Arc<AtomicU64>,
}

impl Environment for SimMachine {
    type Runtime = SimRuntime;
    type Log = SimLog;
    type State = SimState;
    type Snapshot = Arc<Content>;
    type Wire = SimWire;

    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        let (tell, told) = oneshot::channel();
        let (time, power) = (self.run.dice.micros(WORK), self.run.power.clone());
        drop(SimRuntime::spawn(async move {
            SimRuntime::sleep(time).await;
            if power.is_on() {
                // Nobody may be waiting for it.
                let _ = tell.send(work());
            }
        }));
        told.await.map_err(io::Error::other)
    }

    fn apart(
        &self,
        _name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<impl Future<Output = bool> + Send + 'static> {
        let ended = SimRuntime::spawn(work);
        Ok(async move { ended.await.is_ok() })
    }

    /// By value: the message says only where it lies.
    async fn send_snapshot(
        &self,
        _state: &SimState,
        snapshot: Arc<Content>,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<()> {
        let place = self.run.snapshots.put(snapshot);
        sender.send(vec![Bytes::copy_from_slice(&place.to_be_bytes())]).await?;
        receiver.next().await?.map(drop).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn receive_snapshot(
        &self,
        _state: &SimState,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<StateSnapshot<Arc<Content>>> {
        let place = receiver.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let content = self.run.snapshots.get(u64::from_be_bytes(place[..].try_into().unwrap()));
        sender.send(vec![Bytes::from_static(b"taken")]).await?;
        let (applied, membership) = (content.applied.clone(), content.membership.clone());
        Ok(StateSnapshot { applied, membership, content })
    }

    fn now_us(&self) -> u64 {
        BEGAN + self.ahead.load(Ordering::Relaxed) + now() / 1000
    }
}
