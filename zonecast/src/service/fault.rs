//! When writing has ended for good: a full or failing disk. Answers go on; health checks and the exit code say so.

use std::io::Write as _;
use std::path::Path;

use super::{Service, ServiceError};
use crate::exit::{Code, Failure, is_disk_full};

/// As much as the largest batch takes: what failed may have needed less, but hardly more.
const PROBE_BYTES: usize = zonecast_kv_proto::MAX_BATCH_LEN;

impl Service {
    /// What ended writing for good, if anything did.
    #[must_use]
    pub(crate) fn fault(&self) -> Option<&Failure> {
        self.fault.get()
    }

    /// Writing has ended for good. The first reason counts.
    pub(crate) fn set_fault(&self, fault: Failure) {
        if self.fault.set(fault).is_ok()
            && let Some(fault) = self.fault()
        {
            tracing::error!("writing has stopped, answers go on: {fault}");
        }
    }

    /// Passes a result on and notes when it means that the core is gone.
    pub(crate) fn noted<T>(&self, result: Result<T, ServiceError>) -> Result<T, ServiceError> {
        if let Err(ServiceError::Unavailable(reason)) = &result
            && self.fault().is_none()
        {
            let fault = disk_fault(&self.parts.data).unwrap_or_else(|| Failure::failed(reason));
            self.set_fault(fault);
        }
        result
    }
}

/// The core does not say why it stopped; a full disk shows when one tries.
fn disk_fault(data: &Path) -> Option<Failure> {
    let path = data.join("probe");
    let probe = || {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    };
    let error = probe().err();
    // It may not exist.
    let _ = std::fs::remove_file(&path);
    error.map(|error| {
        let code = if is_disk_full(&error) { Code::Disk } else { Code::Failed };
        Failure::new(code, format_args!("cannot write in data folder {}: {error}", data.display()))
    })
}
