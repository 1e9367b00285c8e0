//! The handle by which others close a connection: gently, or at once.
//!
//! A connection is read on one thread, but must be closable from any: a supervisor that has to
//! terminate all connections within milliseconds cannot wait for an arbiter that is blocked. So
//! the handle refers to the socket itself, weakly: it closes nothing by living on, and holds no
//! duplicate descriptor that would keep a dropped socket from closing.

use std::fmt;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Notify, watch};

/// Closes one connection, from any thread. Made before the attempt to connect, for one attempt.
///
/// ```
/// use streamkeeper::transport::Control;
///
/// let control = Control::new();
/// assert!(control.is_closed());
/// // A control killed beforehand keeps the connection from being opened.
/// control.kill();
/// ```
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    socket: Mutex<Option<Weak<OwnedWriteHalf>>>,
    killed: AtomicBool,
    /// Whoever waits for the connection to open, to be told of a kill.
    opening: Notify,
    half_close: AtomicBool,
    /// Whoever reads the connection, to be woken for a half-close.
    reader: AtomicWaker,
    open: watch::Sender<bool>,
}

impl Control {
    /// A handle for one attempt to connect.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            socket: Mutex::new(None),
            killed: AtomicBool::new(false),
            opening: Notify::new(),
            half_close: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            open: watch::Sender::new(false),
        }))
    }

    /// Says that we send nothing more, and goes on reading: the server ends its stream in order,
    /// and nothing that it wrote is lost.
    ///
    /// On TLS a `close_notify` goes before the FIN. Carried out by whoever reads the body, who is
    /// woken for it: the body must be read on, to its end.
    pub fn half_close(&self) {
        self.0.half_close.store(true, Ordering::SeqCst);
        self.0.reader.wake();
    }

    /// Closes the connection in both directions, now, even if its own thread is blocked.
    ///
    /// What the server wrote and we have not read is lost. A connection not yet open will not be.
    pub fn kill(&self) {
        self.0.killed.store(true, Ordering::SeqCst);
        self.0.opening.notify_one();
        let socket = self.socket().as_ref().and_then(Weak::upgrade);
        if let Some(socket) = socket {
            // It fails only if the connection is down already.
            SockRef::from((*socket).as_ref()).shutdown(Shutdown::Both).ok();
        }
    }

    /// Whether no socket of this attempt is open: not yet, or not any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !*self.0.open.borrow()
    }

    /// Waits until no socket of this attempt is open; at once, if none was opened yet.
    pub async fn closed(&self) {
        let mut open = self.0.open.subscribe();
        // It fails only if the sender is gone, which we hold.
        open.wait_for(|open| !open).await.ok();
    }

    /// Ties the handle to its socket. `None` if it is tied to one already.
    pub(super) fn attach(&self, socket: &Arc<OwnedWriteHalf>) -> Option<OpenGuard> {
        let mut attached = self.socket();
        if attached.is_some() {
            return None;
        }
        *attached = Some(Arc::downgrade(socket));
        drop(attached);
        self.0.open.send_replace(true);
        Some(OpenGuard(self.clone()))
    }

    /// Lets go of a socket that is gone, for the next one of the same attempt: the server sends us elsewhere.
    pub(super) fn release(&self) {
        *self.socket() = None;
    }

    fn socket(&self) -> MutexGuard<'_, Option<Weak<OwnedWriteHalf>>> {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a kill. For one waiter: whoever opens the connection.
    pub(super) async fn killed(&self) {
        self.0.opening.notified().await;
    }

    pub(super) fn is_killed(&self) -> bool {
        self.0.killed.load(Ordering::SeqCst)
    }

    /// Whether to half-close; `waker` is woken once that changes.
    pub(super) fn wants_half_close(&self, waker: &Waker) -> bool {
        self.0.reader.register(waker);
        self.0.half_close.load(Ordering::SeqCst)
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("closed", &self.is_closed())
            .field("killed", &self.is_killed())
            .finish_non_exhaustive()
    }
}

/// Tells the handle that the socket is gone; to be dropped after it.
pub(super) struct OpenGuard(Control);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.open.send_replace(false);
    }
}
