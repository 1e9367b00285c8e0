//! One stream's life at exact times: starts, absences, rests, limits, ends, recoveries, steering, stops.

mod absence;
mod attempts;
mod bench;
mod left_behind;
mod life;
mod lost_history;
mod recoveries;
mod refused_replay;
mod same_stream;
mod silences;
mod start_time;
mod steering;
mod wrong_statements;
