//! Work that is not for the threads that serve connections.

use crate::error::ServiceError;

/// Runs what reads the disk or builds, away from the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(ServiceError::internal(error)))
}
