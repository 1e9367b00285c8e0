//! What we say on a connection beyond the request: answers and questions of a WebSocket.
//!
//! Whoever reads the connection leaves it here, and the tap writes it when it is read next. So there is one task
//! for both directions, and nothing is written to a socket that nobody reads.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// A server that takes nothing any more is told no more: its silence will be noticed.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// What is to be said.
#[derive(Default)]
pub(super) struct Outgoing {
    waiting: RefCell<BytesMut>,
    farewell: RefCell<Option<Bytes>>,
}

impl Outgoing {
    pub(super) fn say(&self, bytes: &[u8]) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() + bytes.len() <= WAITING_BYTES_MAX {
            waiting.extend_from_slice(bytes);
        }
    }

    /// What is said in place of a half-close: the protocol above has a word of its own for it.
    pub(super) fn set_farewell(&self, bytes: Bytes) {
        self.farewell.replace(Some(bytes));
    }

    /// Says it; `false` if there is none.
    pub(super) fn say_farewell(&self) -> bool {
        let farewell = self.farewell.take();
        if let Some(bytes) = &farewell {
            self.say(bytes);
        }
        farewell.is_some()
    }

    /// Writes as much as there is room for. A failure shows on reading, if it matters.
    pub(super) fn write(&self, wire: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return;
        }
        while !waiting.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut *wire).poll_write(cx, &waiting)
        {
            match written {
                Ok(count @ 1..) => waiting.advance(count),
                Ok(0) | Err(_) => waiting.clear(),
            }
        }
        let _written_or_woken = Pin::new(wire).poll_flush(cx);
        if waiting.is_empty() {
            // A stream lives for days, and says little.
            *waiting = BytesMut::new();
        }
    }
}
