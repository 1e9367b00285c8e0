//! One stream's life at exact times: starts, cursors, ends, gaps, steering, stops.

mod bench;
mod cursors;
mod gaps;
mod group;
mod pauses;
mod starts;
mod steering;
