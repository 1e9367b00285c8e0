//! The policies of one stream: a closed family, and what its members have in common.
//!
//! Servers differ in what they let a client that has lost something do about it. A *marked* stream is read
//! again from a moment in the service's time, the low-water mark ([`crate::marked`]). A *cursored* stream goes on
//! from the last cursor that the server gave ([`crate::cursored`]). Each family is a module of its own beside
//! the others. What any stream has is here: slots, admission, what is refused; these parts
//! say what happened and know nothing of the family that they are a part of.
//!
//! **The contract.** After every [`Policy::handle`], drain [`Policy::poll`] to `None` and carry the outputs
//! out in order; then arrange to call `handle(now, Input::Tick)` at [`Policy::deadline`]. An early tick is no
//! fault. Every `Connect` is answered by exactly one `Ended`, every `Persist` by one `Persisted`, every `Flush`
//! by one `Flushed`.
//!
//! What only one family hears, wants or reports is an enum of its own within the common one.

pub(crate) mod admission;
pub(crate) mod effects;
mod health;
mod input;
mod output;
pub(crate) mod refused;
pub(crate) mod slots;

use std::time::Duration;

use crate::cursored::{Cursored, CursoredConfig};
use crate::id::SlotId;
use crate::marked::{Marked, MarkedConfig, Members};
use crate::time::{Instant, Timestamp};

pub use self::health::Health;
pub use self::input::{Datum, Input, Span};
pub use self::output::{Incident, Output, Report, Target};
pub use self::slots::SlotState;

/// The policies of one stream. The `Supervisor` actor owns one.
///
/// ```
/// use streamkeeper_core::marked::{self, MarkedConfig, establish::Call};
/// use streamkeeper_core::policy::{Input, Output, Policy};
/// use streamkeeper_core::time::{Instant, Timestamp};
///
/// let mut policy = Policy::marked(MarkedConfig::new("acme", 3), 1);
/// let now = Instant::ZERO;
/// policy.handle(now, Input::Start { state: None, wall: Timestamp::from_micros(0) });
/// while let Some(output) = policy.poll() {
///     match output {
///         Output::Persist { number, .. } => policy.handle(now, Input::Persisted(number)),
///         Output::Marked(marked::Output::Call(call)) => {
///             assert_eq!(call, Call::List, "look before creating");
///         }
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
pub enum Policy {
    /// It is read again from a mark.
    Marked(Box<Marked>),
    /// It goes on from a cursor.
    Cursored(Box<Cursored>),
}

impl Policy {
    /// The policies of a marked stream that has not started. `seed` draws every jitter.
    #[must_use]
    pub fn marked(config: MarkedConfig, seed: u64) -> Self {
        Self::Marked(Box::new(Marked::new(config, seed)))
    }

    /// The policies of a cursored stream that has not started. `seed` draws every jitter.
    #[must_use]
    pub fn cursored(config: CursoredConfig, seed: u64) -> Self {
        Self::Cursored(Box::new(Cursored::new(config, seed)))
    }

    /// Takes an input that happened at `now`. A `now` earlier than the last counts as the last.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match self {
            Self::Marked(marked) => marked.handle(now, input),
            Self::Cursored(cursored) => cursored.handle(now, input),
        }
    }

    /// The next effect, in order.
    pub fn poll(&mut self) -> Option<Output> {
        match self {
            Self::Marked(marked) => marked.poll(),
            Self::Cursored(cursored) => cursored.poll(),
        }
    }

    /// When to tick next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Marked(marked) => marked.deadline(),
            Self::Cursored(cursored) => cursored.deadline(),
        }
    }

    /// The stream's state, in one word.
    #[must_use]
    pub fn health(&self) -> Health {
        match self {
            Self::Marked(marked) => marked.health(),
            Self::Cursored(cursored) => cursored.health(),
        }
    }

    /// The slots' states, in order, and whether a live one is late.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, SlotState, bool)> {
        let (marked, cursored) = match self {
            Self::Marked(marked) => (Some(marked.slots()), None),
            Self::Cursored(cursored) => (None, Some(cursored.slots())),
        };
        marked.into_iter().flatten().chain(cursored.into_iter().flatten())
    }

    /// When the next attempt to connect may be made, if attempts are being held back.
    #[must_use]
    pub fn backing_off_until(&self) -> Option<Instant> {
        match self {
            Self::Marked(marked) => marked.backing_off_until(),
            Self::Cursored(cursored) => cursored.backing_off_until(),
        }
    }

    /// Whether `Room` in the queue is waited for.
    #[must_use]
    pub fn awaits_room(&self) -> bool {
        match self {
            Self::Marked(marked) => marked.awaits_room(),
            Self::Cursored(_) => false,
        }
    }

    /// The low-water mark; a cursored stream has none.
    #[must_use]
    pub fn mark(&self) -> Option<Timestamp> {
        match self {
            Self::Marked(marked) => marked.mark(),
            Self::Cursored(_) => None,
        }
    }

    /// Whether slots read what was sent before.
    #[must_use]
    pub fn replays(&self) -> bool {
        match self {
            Self::Marked(marked) => marked.replays(),
            Self::Cursored(cursored) => cursored.incident().is_some(),
        }
    }

    /// How far the mark is behind.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        match self {
            Self::Marked(marked) => marked.lag(),
            Self::Cursored(_) => None,
        }
    }

    /// How many suspects hold the mark down.
    #[must_use]
    pub fn suspects(&self) -> usize {
        match self {
            Self::Marked(marked) => marked.suspects(),
            Self::Cursored(_) => 0,
        }
    }

    /// The clients that the service counts, and the most that it allows.
    #[must_use]
    pub fn members(&self) -> Members {
        match self {
            Self::Marked(marked) => marked.members(),
            Self::Cursored(_) => Members::default(),
        }
    }

    /// The incident under way.
    #[must_use]
    pub fn incident(&self) -> Option<Incident> {
        match self {
            Self::Marked(marked) => marked.incident().map(Incident::Marked),
            Self::Cursored(cursored) => cursored.incident().map(Incident::Cursored),
        }
    }
}
