//! Watching a version on its way: its receipt, whenever more edges have it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use zonecast_kv_proto::{Version, WaitFor};

use super::Service;
use crate::error::ServiceError;
use zonecast_api::Patience;
use zonecast_api::types::Receipt;

/// Between two looks at who has it: as often as a person can follow.
const LOOK: Duration = Duration::from_millis(50);

/// With very many edges a look takes long: it is rested for as many times as long.
const RESTS: u32 = 10;

/// The receipts of one version, one line of JSON each.
#[derive(Debug)]
pub struct ReceiptWatch {
    service: Arc<Service>,
    version: Version,
    wait: WaitFor,
    ends_at: Instant,
    /// What was told last.
    told: Option<Receipt>,
    /// How long the last look took.
    took: Duration,
    is_over: bool,
}

impl Service {
    /// Watches a version until as many edges have it as `patience` says, or its time is over; all edges if it does not say.
    ///
    /// # Errors
    /// There is no such version yet.
    pub async fn watch_receipt(
        self: &Arc<Self>,
        version: Version,
        patience: Patience,
    ) -> Result<ReceiptWatch, ServiceError> {
        // Says whether there is such a version.
        self.receipt(version, Patience { wait: None, ..patience }).await?;
        let wait = patience.wait.unwrap_or(WaitFor::All);
        let ends_at = Instant::now() + patience.timeout;
        Ok(ReceiptWatch {
            service: Arc::clone(self),
            version,
            wait,
            ends_at,
            told: None,
            took: Duration::ZERO,
            is_over: false,
        })
    }
}

impl ReceiptWatch {
    /// The next line: at first how it is now, then whenever that has changed. Nothing after the last one.
    pub async fn next_line(&mut self) -> Option<Bytes> {
        while !self.is_over {
            let is_first = self.told.is_none();
            let now = Instant::now();
            let left = self.ends_at.saturating_duration_since(now);
            let timeout = if is_first { Duration::ZERO } else { left.min(LOOK.max(self.took * RESTS)) };
            let receipt = self.service.receipt_of(self.version, Patience { wait: Some(self.wait), timeout }).await;
            self.took = now.elapsed().saturating_sub(timeout);
            self.is_over = receipt.reached || receipt.interrupted || self.ends_at <= Instant::now();
            if self.is_over || is_first || self.is_news(&receipt) {
                let mut line = serde_json::to_vec(&receipt).ok()?;
                line.push(b'\n');
                self.told = Some(receipt);
                return Some(line.into());
            }
        }
        None
    }

    fn is_news(&self, receipt: &Receipt) -> bool {
        let counts = |receipt: &Receipt| (receipt.applied, receipt.durable, receipt.of);
        self.told.as_ref().map(counts) != Some(counts(receipt))
    }
}
