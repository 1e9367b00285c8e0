//! What the policies of any stream have in common.
//!
//! Slots, admission and what is refused: each says what happened, and knows nothing of the family that it is
//! a part of. What goes in and what comes out is here, too.

pub(crate) mod admission;
pub(crate) mod effects;
mod input;
mod output;
pub(crate) mod refused;
pub(crate) mod slots;

pub use crate::marked::Health;

pub use self::input::{Datum, Input, Members, Span, Target};
pub use self::output::{Cause, IncidentSummary, Lost, Output, Report};
pub use self::slots::SlotState;
