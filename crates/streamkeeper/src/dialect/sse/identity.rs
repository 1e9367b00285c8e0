//! Keys of our own, for events that nobody has given one.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Draws a key for each event that has none, never one twice: random for each start of the process, and counted.
#[derive(Debug)]
pub(super) struct OwnKeys {
    start: u64,
    next: AtomicU64,
}

impl OwnKeys {
    pub(super) fn new() -> Self {
        Self { start: RandomState::new().build_hasher().finish(), next: AtomicU64::new(1) }
    }

    pub(super) fn draw(&self) -> Box<str> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("own-{:016x}-{number}", self.start).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_drawn_twice() {
        let keys = OwnKeys::new();
        assert_ne!(keys.draw(), keys.draw());
        assert_ne!(keys.draw(), OwnKeys::new().draw());
    }
}
