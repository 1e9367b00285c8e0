//! How many may look at once. A client that has stopped reading loses its place when another wants
//! one; nothing waits for it meanwhile, since what a feed sends is made when there is room for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Open feeds. Each takes about 100 KiB at most while it is read, and a few milliseconds a second
/// with hundreds of streams.
pub(super) const PLACES: usize = 16;

/// A client that has taken nothing for so long is not reading.
const SLOW_AFTER: Duration = Duration::from_secs(15);

/// The places of all feeds.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Vec<Arc<Seat>>>);

#[derive(Debug)]
struct Seat {
    turned: Mutex<Instant>,
    lost: AtomicBool,
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    seat: Arc<Seat>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; `None` if all are taken by clients that read.
    pub(super) fn take(self: &Arc<Self>, now: Instant) -> Option<Place> {
        let mut seats = self.lock();
        if seats.len() >= PLACES {
            let slow = seats.iter().position(|seat| seat.is_slow(now))?;
            seats.swap_remove(slow).lost.store(true, Ordering::Relaxed);
        }
        let seat = Arc::new(Seat { turned: Mutex::new(now), lost: AtomicBool::new(false) });
        seats.push(Arc::clone(&seat));
        Some(Place { places: Arc::clone(self), seat })
    }
}

impl Seat {
    fn is_slow(&self, now: Instant) -> bool {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(turned) > SLOW_AFTER
    }
}

impl Place {
    /// The client has taken what it was sent. Returns whether it still has its place.
    pub(super) fn turn(&self, now: Instant) -> bool {
        *self.seat.turned.lock().unwrap_or_else(PoisonError::into_inner) = now;
        !self.seat.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_makes_room_for_who_does() {
        let places = Arc::new(Places::default());
        let start = Instant::now();
        let taken: Vec<_> = (0..PLACES).map(|_| places.take(start).unwrap()).collect();
        assert!(places.take(start).is_none(), "all are taken");
        let later = start + SLOW_AFTER + Duration::from_secs(1);
        for place in &taken[1..] {
            assert!(place.turn(later));
        }
        let newcomer = places.take(later).unwrap();
        assert!(!taken[0].turn(later), "the one that did not read has lost it");
        assert!(places.take(later).is_none());
        drop(newcomer);
        assert!(places.take(later).is_some(), "a place is given back");
        drop(taken);
        assert!(places.lock().is_empty());
    }
}
