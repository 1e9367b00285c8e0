//! Numbers, published one after the other for as long as a trial lasts.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::kind::Kind;
use super::process::Place;

/// About two hundred a second.
const PACE: Duration = Duration::from_millis(5);

/// What was published.
pub(super) struct Published {
    kind: Arc<dyn Kind>,
    place: Arc<Place>,
    last: u64,
    /// What the server has taken, by its own word.
    pub(super) taken: Vec<u64>,
}

impl Published {
    /// Publishes the next number.
    pub(super) fn next(&mut self) {
        let number = self.last + 1;
        match self.kind.publish(&self.place, number) {
            Ok(()) => self.taken.push(number),
            // Nobody has it.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            // The answer is lost: it may come once, or never.
            Err(_) => {}
        }
        self.last = number;
    }
}

/// Publishes, until it is dropped.
pub(super) struct Load {
    published: Arc<Mutex<Published>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(kind: &Arc<dyn Kind>, place: &Arc<Place>) -> Self {
        let (kind, place) = (Arc::clone(kind), Arc::clone(place));
        let published = Arc::new(Mutex::new(Published { kind, place, last: 0, taken: Vec::new() }));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, ends) = (Arc::clone(&published), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                shared.lock().unwrap().next();
                // The pace; nothing is waited for.
                std::thread::sleep(PACE);
            }
        });
        Self { published, is_over, thread: Some(thread) }
    }

    /// What was published so far; nothing is while this is held.
    pub(super) fn hold(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it is dropped once").expect("it published to the end");
        }
    }
}
