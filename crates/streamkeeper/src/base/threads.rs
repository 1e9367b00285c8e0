//! Threads, and moments in which the system gives none (`RLIMIT_NPROC`, `TasksMax`).
//!
//! Libraries panic then, wherever they need one. So what runs for ever is started at the start, after a
//! look whether there are as many as it takes; what needs one later gets it here, or an error.

use std::io;
use std::sync::{Arc, Barrier};

use tokio::sync::oneshot;

/// Fails unless that many threads are to be had at the same time.
pub(crate) fn are_to_be_had(count: usize) -> io::Result<()> {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..count {
        let held = Arc::clone(&held);
        let builder = std::thread::Builder::new().name("sk-look".into());
        // Each waits for its turn, until nobody holds them any more.
        let wait = move || drop(held.lock().map(|held| held.recv()));
        match builder.spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    drop(hold);
    for thread in threads {
        // They do nothing that panics.
        thread.join().ok();
    }
    outcome
}

/// Keeps that many threads of a runtime's pool at hand, for work that blocks.
///
/// A pool that has none, and can get none, panics; one that has some lets the work wait for them.
pub(crate) fn keep_at_hand(runtime: &tokio::runtime::Runtime, count: usize) {
    let all = Arc::new(Barrier::new(count + 1));
    for _ in 0..count {
        let all = Arc::clone(&all);
        runtime.spawn_blocking(move || all.wait());
    }
    all.wait();
}

/// Does something that may take long on a thread of its own.
///
/// # Errors
///
/// If there is no thread to be had, or the work has panicked.
pub(crate) async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, when_done) = oneshot::channel();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        // It fails if nobody waits any more.
        done.send(work()).ok();
    })?;
    when_done.await.map_err(|_| io::Error::other("what ran on a thread of its own panicked"))
}
