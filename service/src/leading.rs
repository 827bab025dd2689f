//! Work that only the leader does: it begins with the lead and ends with it.

use std::future::Future;

use zonecast_kv_core::Core;

/// Runs a part anew each time that this core takes the lead, and drops it where it is when the lead is lost.
pub(crate) async fn while_leading<F: Future<Output = ()>>(core: Core, mut part: impl FnMut() -> F) {
    loop {
        core.lead_changed(true).await;
        let part = part();
        tokio::select! {
            () = core.lead_changed(false) => {}
            () = async {
                part.await;
                std::future::pending::<()>().await;
            } => {}
        }
    }
}
