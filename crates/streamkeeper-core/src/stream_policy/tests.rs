//! One stream's life at exact times: starts, rests, limits, ends, recoveries, stops.

mod attempts;
mod bench;
mod life;
mod recoveries;
mod start_time;
