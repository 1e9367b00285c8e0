//! The policies of Streamkeeper as state machines: no I/O, no clock.
