//! What must hold, each rule in a module of its own.
//!
//! A checker sees facts (an event was published, a version was accepted, a connection was asked
//! for) and answers with an error that says what is broken. None knows how the policies work.

pub mod calls;
pub mod connections;
pub mod events;
pub mod incidents;
pub mod lag;
pub mod mark;
pub mod replays;
pub mod sinks;
pub mod streams;
pub mod turns;

/// What a checker says: all is well, or this is broken.
pub type Verdict = Result<(), String>;
