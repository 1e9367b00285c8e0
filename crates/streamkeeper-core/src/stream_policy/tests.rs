//! One stream's life at exact times: starts, rests, limits, ends, recoveries, steering, stops.

mod attempts;
mod bench;
mod left_behind;
mod life;
mod recoveries;
mod start_time;
mod steering;
