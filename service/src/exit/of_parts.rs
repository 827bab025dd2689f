//! Errors of the parts as failures of the process, each with its exit code.

use zonecast_kv_core::{CoreError, ReplayError};
use zonecast_kv_edge::EdgeError;
use zonecast_kv_store::{NO_SPACE, StoreError};
use zonecast_kv_transport::{CaError, EndpointError, IdentityError};

use super::{Code, Failure, is_disk_full};
use crate::backup::{RestoreError, ShelfError};
use crate::error::ServiceError;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Locked { .. } => Code::Locked,
            StoreError::DiskFull { .. } | StoreError::NoRoom { .. } => Code::Disk,
            StoreError::Folder { source, .. } if is_disk_full(source) => Code::Disk,
            StoreError::Folder { .. } => Code::Unreadable,
            StoreError::Damaged { .. }
            | StoreError::Other { .. }
            | StoreError::BadState(_)
            | StoreError::BadTables(_)
            | StoreError::Stopped { .. } => by_text(&error),
        };
        Self::new(code, error)
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Store(error) => error.into(),
            CoreError::NoAddress | CoreError::OtherName { .. } => Self::usage(error),
            error => Self::new(by_text(&error), error),
        }
    }
}

impl From<EdgeError> for Failure {
    fn from(error: EdgeError) -> Self {
        match error {
            EdgeError::Store(error) => error.into(),
            error => Self::new(by_text(&error), error),
        }
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        match &error {
            CaError::File { source, .. } if is_disk_full(source) => Self::new(Code::Disk, error),
            CaError::File { .. } | CaError::Key(_) => Self::new(Code::Unreadable, error),
            _ => Self::failed(error),
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let code = if matches!(error, IdentityError::File { .. } | IdentityError::Key(_)) {
            Code::Unreadable
        } else {
            Code::Failed
        };
        Self::new(code, error)
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        match &error {
            EndpointError::Bind { .. } => Self::new(Code::Port, error),
            _ => Self::failed(error),
        }
    }
}

impl From<prometheus::Error> for Failure {
    fn from(error: prometheus::Error) -> Self {
        Self::failed(format_args!("metrics: {error}"))
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        match &error {
            ShelfError::Io { source, .. } => Self::new(of_io(source), error),
            ShelfError::Busy(_) => Self::new(Code::Locked, error),
            ShelfError::Foreign { .. } | ShelfError::Empty(_) => Self::failed(error),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Shelf(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            RestoreError::Core(error) => error.into(),
            RestoreError::Io { ref source, .. } => Self::new(of_io(source), error),
            RestoreError::Log { source: ReplayError::Store(error), .. } => error.into(),
            RestoreError::Backup(_)
            | RestoreError::InTheWay(_)
            | RestoreError::OtherStore { .. }
            | RestoreError::OutOfReach { .. }
            | RestoreError::EndsEarly { .. }
            | RestoreError::Log { .. } => Self::failed(error),
        }
    }
}

fn of_io(error: &std::io::Error) -> Code {
    if is_disk_full(error) { Code::Disk } else { Code::Unreadable }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::new(by_text(&error), error)
    }
}

/// Errors that came through RocksDB or raft as text.
fn by_text(error: &impl ToString) -> Code {
    if error.to_string().contains(NO_SPACE) { Code::Disk } else { Code::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_in_every_dress() {
        let full = || StoreError::DiskFull { path: "/data/copy-2".into() };
        assert_eq!(full().to_string(), "/data/copy-2: No space left on device");
        assert_eq!(Failure::from(full()).code, Code::Disk);
        assert_eq!(by_text(&zonecast_kv_proto::SourceError::from(full())), Code::Disk);
    }
}
