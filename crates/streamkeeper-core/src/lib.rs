//! The policies of Streamkeeper, as state machines without I/O.
//!
//! Nothing here opens a socket, reads a clock, sleeps, or knows of actors: each machine takes an
//! input and the time now, and gives back effects and its next deadline. That makes a scenario of
//! hours a test of microseconds, and lets a seeded simulation run millions of fault schedules.
//! Randomness is a seed that is given.
//!
//! Read [`policy::Policy`] first, and [`marked::Marked`], which composes the machines of one stream. Then
//! [`marked::low_water`], which says how far the stream has been read, and [`marked::establish`], which makes
//! a new one.
//!
//! # Layout
//!
//! - [`time`], [`id`]: the values that everything else is made of.
//! - [`watchdog`] (one per connection), [`hygiene`] (one per slot), [`backoff`], [`restart`]: small
//!   machines, one rule each.
//! - [`classify`]: what the end of a connection means.
//! - [`version`]: which version of a record is new.
//! - [`service_clock`]: what time it is at the service.
//! - [`policy`]: the policies of a stream, a closed family: their contract, and what all have in common.
//! - [`marked`]: the family of streams that are read again from a mark.
//! - [`cursored`]: the family of streams that go on from a cursor.
//! - [`state`]: what is written down of a stream, as bytes.
//! - [`turns`] (one per sink): which streams a delivery carries, and when again after a failure.

pub mod backoff;
pub mod classify;
pub mod cursored;
pub mod hygiene;
pub mod id;
pub mod marked;
pub mod policy;
pub mod restart;
pub mod service_clock;
pub mod state;
pub mod time;
pub mod turns;
pub mod version;
pub mod watchdog;
