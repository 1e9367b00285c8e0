//! Work that blocks, and what is shared with the thread that does it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use streamkeeper_sink::SinkError;

/// Does `work` on a thread that may block; to its end, even if nobody waits for it any longer.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| SinkError::broken("interrupted").with_source(error))
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
