//! Parts of a node that run beside it for as long as it lives. One that dies is a fault that is shown, not silence.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::fault::Fault;

/// Runs a part on a task of its own; `lost` says what is missing from when it has died.
pub fn run_part(fault: &Fault, lost: &'static str, part: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let fault = fault.clone();
    tokio::spawn(async move {
        // Nothing of it is looked at after a panic.
        if AssertUnwindSafe(part).catch_unwind().await.is_err() {
            fault.part_died(lost);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_a_fault_that_ends_no_writing() {
        let folder = tempfile::tempdir().unwrap();
        let fault = Fault::new(folder.path());
        run_part(&fault, "sums are added no more", async {}).await.unwrap();
        assert!(fault.get().is_none() && fault.message().is_none());
        run_part(&fault, "sums are added no more", async { panic!("by this test") }).await.unwrap();
        let told = fault.message().unwrap();
        assert!(told.contains("sums are added no more") && told.contains("restart"), "{told}");
        assert!(!told.contains("writing has stopped"), "{told}");
        assert!(fault.get().is_some(), "health and metrics show it");
        assert!(fault.wait().now_or_never().is_none(), "it is no reason why a core cannot commit");
    }
}
