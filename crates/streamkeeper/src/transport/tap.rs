//! The connection as awc sees it, and what awc does not tell about it.
//!
//! Between the socket (or the TLS session on it) and awc, the tap notes when the request went
//! out, corrects the response heads that awc would misread, carries out a half-close, and notes
//! how reading ended. The last is what makes the end of a body reliable: awc reports a chunked
//! body cut in the middle as a clean end. It stops reading when it has decoded the body's proper
//! end; so if the tap has shown it the end of the connection, the body was not over.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready};
use bytes::{Buf as _, BytesMut};
use streamkeeper_call::TlsFault;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::control::Control;
use super::error::{OpenErrorKind, OpenPhase};
use super::head::{HEAD_BYTES_MAX, Head, inspect};
use super::outgoing::Outgoing;
use super::tls_fault;
use super::wire::Wire;

/// What is known about one attempt beyond awc's answer.
pub(super) struct Trace {
    pub(super) phase: Cell<OpenPhase>,
    /// Whether any of the request was written.
    pub(super) sent: Cell<bool>,
    /// Whether we show a certificate of our own.
    pub(super) shows: Cell<bool>,
    /// Why dialling failed, or what the server said of TLS in place of an answer.
    pub(super) failure: Cell<Option<OpenErrorKind>>,
    /// How reading ended, if it did.
    pub(super) end: Cell<Option<ConnectionEnd>>,
    /// What is to be said beyond the request.
    pub(super) outgoing: Outgoing,
}

/// How a connection ended, whatever it was in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// By the peer. On TLS without a `close_notify`, which anyone could have sent, reading also
    /// fails.
    Closed,
    Reset,
    Killed,
    Error,
}

impl Trace {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(OpenPhase::Dns),
            sent: Cell::new(false),
            shows: Cell::new(false),
            failure: Cell::new(None),
            end: Cell::new(None),
            outgoing: Outgoing::default(),
        })
    }
}

/// What awc reads from and writes to.
pub(super) struct Tap {
    wire: Wire,
    control: Control,
    trace: Rc<Trace>,
    half_closed: bool,
    /// Bytes not yet passed on: the head until it is complete, then what came with it.
    held: BytesMut,
    head_passed: bool,
}

impl Tap {
    pub(super) fn new(wire: Wire, control: Control, trace: Rc<Trace>) -> Self {
        Self { wire, control, trace, half_closed: false, held: BytesMut::new(), head_passed: false }
    }

    fn poll_half_close(&mut self, cx: &mut Context<'_>) {
        if self.control.wants_half_close(cx.waker()) && !self.half_closed {
            // A failure shows on reading, if it matters.
            self.half_closed = self.trace.outgoing.say_farewell()
                || Pin::new(&mut self.wire).poll_shutdown(cx).is_ready();
        }
    }

    /// Reads from the wire, and notes the end.
    fn poll_wire(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.wire).poll_read(cx, buf));
        let end = match &result {
            Ok(()) if buf.filled().len() > before => return Poll::Ready(result),
            _ if self.control.is_killed() => ConnectionEnd::Killed,
            Ok(()) => ConnectionEnd::Closed,
            Err(error) => {
                if let Some(fault) = tls_fault::alert(error, self.trace.shows.get()) {
                    self.refused(fault);
                }
                match error.kind() {
                    io::ErrorKind::UnexpectedEof => ConnectionEnd::Closed,
                    io::ErrorKind::ConnectionReset => ConnectionEnd::Reset,
                    _ => ConnectionEnd::Error,
                }
            }
        };
        self.trace.end.set(Some(end));
        Poll::Ready(result)
    }

    /// In place of an answer, TLS was refused: the request has reached nobody.
    fn refused(&self, fault: TlsFault) {
        if !self.head_passed && self.held.first().is_none_or(tls_fault::is_record) {
            self.trace.failure.set(Some(OpenErrorKind::Tls(fault)));
            self.trace.phase.set(OpenPhase::Tls);
            self.trace.sent.set(false);
        }
    }

    /// Collects the head of the response and corrects it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.head_passed {
            match inspect(&self.held) {
                Head::Interim(length) => {
                    self.held.advance(length);
                    continue;
                }
                Head::Unframed(place) => {
                    if let Some(version) = self.held.get_mut(place) {
                        *version = b'0';
                    }
                    self.head_passed = true;
                    continue;
                }
                Head::Final => {
                    if self.held.first().is_some_and(tls_fault::is_record) {
                        self.refused(TlsFault::Wanted);
                    }
                    self.head_passed = true;
                    continue;
                }
                Head::Partial if self.held.len() > HEAD_BYTES_MAX => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Head::Partial => {}
            }
            let mut chunk = [0; 4096];
            let mut buf = ReadBuf::new(&mut chunk);
            ready!(self.poll_wire(cx, &mut buf))?;
            // The end of the connection within the head: awc shall see it.
            self.head_passed = buf.filled().is_empty();
            self.held.extend_from_slice(buf.filled());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = &mut *self;
        tap.poll_half_close(cx);
        tap.trace.outgoing.write(&mut tap.wire, cx);
        if !tap.head_passed {
            ready!(tap.poll_head(cx))?;
        }
        if tap.held.is_empty() {
            return tap.poll_wire(cx, buf);
        }
        let length = tap.held.len().min(buf.remaining());
        buf.put_slice(&tap.held.split_to(length));
        if tap.held.is_empty() {
            // A stream lives for days: its first bytes need not.
            tap.held = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.wire).poll_write(cx, buf));
        self.trace.sent.set(self.trace.sent.get() || result.is_ok());
        if result.is_err() && !self.head_passed {
            // Closed while we write; what the server said before is still to be read.
            let mut chunk = [0; 512];
            let mut said = ReadBuf::new(&mut chunk);
            let _nothing_more = self.poll_wire(cx, &mut said);
            self.held.extend_from_slice(said.filled());
        }
        Poll::Ready(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

/// Asked for by the trait, never called by awc.
impl ActixStream for Tap {
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}
