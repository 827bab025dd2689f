//! Work of a request that looks at the disk, away from the threads that serve connections: a disk that hangs must not
//! keep others waiting.

use super::ApiError;

pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}
