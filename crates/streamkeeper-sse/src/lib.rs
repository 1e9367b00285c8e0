//! Server-sent events: bytes in, frames out, and back. No I/O.
//!
//! [`Decoder`] takes the chunks of a body as they arrive and gives back [`Frame`]s;
//! [`encode_event`] and [`encode_comment`] go the other way. Read those two and [`Event`] first.
//!
//! The rules are those of the WHATWG HTML standard, "Server-sent events", with four things added
//! that a client which must not lose anything needs: comments are frames (they are heartbeats),
//! blocks without data are events (they may carry a cursor), fields that the standard ignores are
//! kept, and an event has a byte limit.
//!
//! Payloads may be health data: nothing here prints one. [`Text`] shows its length only, and an
//! error says how many bytes, never which.
//!
//! What a frame *means* (life, data, a cursor, an end) is the dialect's business, and time is the
//! caller's: this crate has no clock, no socket and no runtime.
//!
//! # Layout
//!
//! - `text`: [`Text`], UTF-8 that shares the chunk it came from, and [`Label`], a short one
//! - `frame`: [`Frame`], [`Event`], [`Field`]
//! - `line`: chunks in, lines out
//! - `decoder`: lines in, frames out
//! - `encoder`: frames in, bytes out
//!
//! ```
//! use bytes::Bytes;
//! use streamkeeper_sse::{Decoder, Frame, Limits};
//!
//! let mut decoder = Decoder::new(Limits::default());
//! decoder.push(Bytes::from("event: poke\nda"));
//! assert!(decoder.next_frame().is_none());
//! decoder.push(Bytes::from("ta: {}\n\n"));
//! let Some(Ok(Frame::Event(event))) = decoder.next_frame() else { unreachable!() };
//! assert_eq!(event.name.unwrap(), "poke");
//! assert_eq!(event.data, "{}");
//! ```

mod decoder;
mod encoder;
mod frame;
mod line;
mod text;

pub use decoder::{DecodeError, Decoder, Limits};
pub use encoder::{EncodeError, encode_comment, encode_event};
pub use frame::{Event, Field, Frame};
pub use text::{Label, Text};
