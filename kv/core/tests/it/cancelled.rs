//! Whoever stops waiting, or panics, leaves nothing behind.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use zonecast_kv_core::{Core, CoreError, Outcome, Pending, ProposeError};
use zonecast_kv_proto::Batch;

use super::{NOTES, ZONE, increment, put, start_with};

/// Everything here is done long before.
const DEADLINE: Duration = Duration::from_secs(30);

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn in_flight(registry: &prometheus::Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "zonecast_proposed_unapplied_bytes").unwrap();
    family.get_metric().first().expect("one gauge").get_gauge().get_value()
}

/// Holds up the thread that proposes until it is told to go on.
fn hold_up(core: &Core) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (go_on, told) = mpsc::channel();
    let core = core.clone();
    let held = tokio::spawn(async move {
        let held = core.change(move |_, _| {
            let _ = told.recv();
            Err::<(Batch, ()), _>(())
        });
        assert!(held.await.is_err());
    });
    (go_on, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_is_cancelled_gives_its_bytes_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = prometheus::Registry::new();
    let (core, _) = start_with(folder.path(), &registry).await.unwrap();
    let (go_on, held) = hold_up(&core);
    let small = put(NOTES, "n", vec![7; 100]);
    let mut taken: Vec<Pending> = vec![];
    // Until the queue is full: then it waits with its bytes taken.
    loop {
        let before = in_flight(&registry);
        let mut proposing = Box::pin(core.propose(&small));
        match poll(proposing.as_mut()) {
            Poll::Ready(pending) => taken.push(pending.unwrap()),
            Poll::Pending => {
                assert!(in_flight(&registry) > before);
                drop(proposing);
                assert!((in_flight(&registry) - before).abs() < 0.5, "its bytes are gone for good");
                break;
            }
        }
        assert!(taken.len() < 100_000, "the queue is never full");
    }
    go_on.send(()).unwrap();
    held.await.unwrap();
    for pending in taken {
        assert!(matches!(pending.await, Outcome::Committed { .. }));
    }
    assert!(in_flight(&registry) < 0.5);
    core.shutdown().await.unwrap();
}

/// Panics where it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a bug on the thread that proposes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposer_that_panics_is_a_core_that_has_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let registry = prometheus::Registry::new();
    let (core, _) = start_with(folder.path(), &registry).await.unwrap();
    assert_eq!(increment(&core, "n").await.unwrap().0, 1);
    let (go_on, told) = mpsc::channel::<()>();
    {
        // What nobody waits for any more is dropped on the proposer's thread.
        let mut change = pin!(core.change(move |_, _| {
            let _ = told.recv();
            Ok::<_, ()>((put(ZONE, "bomb", "x"), Bomb))
        }));
        assert!(poll(change.as_mut()).is_pending());
    }
    let waiting = core.propose(&put(NOTES, "n", "x")).await.unwrap();
    go_on.send(()).unwrap();
    let stopped = tokio::time::timeout(DEADLINE, core.stopped()).await.expect("nobody is told");
    assert!(matches!(stopped, CoreError::Panicked), "{stopped}");
    assert_eq!(tokio::time::timeout(DEADLINE, waiting).await.expect("it waits for ever"), Outcome::Unknown);
    let refused = increment(&core, "n").await;
    assert!(refused.is_err());
    assert!(matches!(core.propose(&put(NOTES, "n", "x")).await, Err(ProposeError::Stopped)));
    // What had been staged lands; what had not gives its bytes back.
    let deadline = Instant::now() + DEADLINE;
    while in_flight(&registry) > 0.5 {
        assert!(Instant::now() < deadline, "{} bytes never come back", in_flight(&registry));
        tokio::task::yield_now().await;
    }
    assert!(matches!(core.shutdown().await, Err(CoreError::Panicked)));
}
