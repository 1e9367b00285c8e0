//! One event stream on its socket: what the model writes, what the client closes, what breaks.
//!
//! While `out` holds bytes that the socket does not take, nothing is read from the model: the
//! service waits for a slow client. A FIN of the client is a half-close: the model decides when it
//! is noticed and ends the body properly. A client that closed for good answers the next write
//! with a RST, and then the model learns of an abrupt end. So what is lost and what is not follows
//! from bytes, as it does in production.

use std::{
    io,
    ops::ControlFlow::{self, Break as Done, Continue},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BytesMut};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc::UnboundedReceiver, time};

use super::{body::Body, http::wait_for_close, journal::ClosedBy, state::Organization};
use crate::{
    fault::{Break, ConnectionFault, OnFin},
    model::{ClientId, Event, Frame, Hang, StreamId},
    record::{self, kind_name, rfc3339},
};

/// An open event stream.
#[derive(Debug)]
pub(super) struct EventStream {
    organization: Arc<Organization>,
    socket: TcpStream,
    number: u64,
    client: ClientId,
    /// The stream's id, as pokes say it.
    stream: String,
    orders: UnboundedReceiver<ConnectionFault>,
    body: Body,
    out: BytesMut,
    phase: Phase,
    /// Break in the middle of the next frame.
    cut: Option<Break>,
    slow: Option<Slow>,
    fin_seen: bool,
    on_fin: OnFin,
}

/// What is known of a client when its event stream opens.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) client: ClientId,
    pub(super) number: u64,
    /// `None` for a replay.
    pub(super) stream: Option<StreamId>,
    pub(super) orders: UnboundedReceiver<ConnectionFault>,
    pub(super) on_fin: OnFin,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Written to. Looks at the model again at that time.
    Serving { look_at: Instant },
    /// Nothing is written until then.
    Stalled { until: Instant },
    /// Nothing is written any more; reset then, if ever.
    Hung { until: Option<Instant> },
    /// Ends once everything is written: properly, or so.
    Ending(Option<Break>),
}

#[derive(Clone, Copy, Debug)]
struct Slow {
    bytes_per_s: u64,
    until: Option<Instant>,
    next_write_at: Instant,
}

/// What happens next.
enum Turn {
    Ordered(ConnectionFault),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Woke,
}

impl EventStream {
    pub(super) fn new(
        organization: Arc<Organization>,
        socket: TcpStream,
        body: Body,
        opened: Opened,
    ) -> Self {
        let Opened { client, number, stream, orders, on_fin } = opened;
        let mut out = BytesMut::new();
        body.head(&mut out);
        let stream = stream.map_or_else(|| format!("{number:024x}"), |id| id.to_string());
        Self {
            organization,
            socket,
            number,
            client,
            stream,
            orders,
            body,
            out,
            phase: Phase::Serving { look_at: Instant::now() },
            cut: None,
            slow: None,
            fin_seen: false,
            on_fin,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run(mut self) {
        loop {
            if self.out.is_empty() {
                let flow = match self.phase {
                    Phase::Ending(None) => return self.finish().await,
                    Phase::Ending(Some(how)) => self.break_now(how),
                    Phase::Serving { look_at } if look_at <= Instant::now() => {
                        self.look();
                        // A fast client could keep this task busy with a backlog for ever.
                        actix_rt::task::yield_now().await;
                        continue;
                    }
                    _ => Continue(()),
                };
                if flow.is_break() {
                    return;
                }
            }
            let flow = match self.turn().await {
                Turn::Ordered(fault) => self.obey(fault),
                Turn::Read(Ok(0)) => self.hear_fin(),
                Turn::Read(Ok(_)) => Continue(()),
                Turn::Read(Err(_)) | Turn::Wrote(Err(_)) => self.lose(ClosedBy::ClientReset),
                Turn::Wrote(Ok(count)) => self.wrote(count),
                Turn::Woke => self.wake(),
            };
            if flow.is_break() {
                return;
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let slow_until = self.slow.map(|slow| slow.next_write_at).filter(|at| *at > Instant::now());
        let writes =
            matches!(self.phase, Phase::Serving { .. } | Phase::Ending(_)) && !self.out.is_empty();
        let wake_at = match self.phase {
            Phase::Stalled { until } => Some(until),
            Phase::Hung { until } => until,
            _ if writes => slow_until,
            Phase::Serving { look_at } => Some(look_at),
            Phase::Ending(_) => None,
        };
        let size = self.slow.map_or(usize::MAX, |slow| {
            usize::try_from(slow.bytes_per_s / SLOW_WRITES_PER_S).unwrap_or(usize::MAX).max(1)
        });
        let slice = self.out.get(..size).unwrap_or(&self.out);
        tokio::select! {
            biased;
            Some(fault) = self.orders.recv() => Turn::Ordered(fault),
            read = read(&self.socket), if !self.fin_seen => Turn::Read(read),
            wrote = write(&self.socket, slice), if writes && slow_until.is_none() => {
                Turn::Wrote(wrote)
            }
            () = sleep_until(wake_at) => Turn::Woke,
        }
    }

    /// Takes from the model what is due, and notes when to look again.
    fn look(&mut self) {
        let mut frames = Vec::new();
        let mut due = Vec::new();
        let (seed, style) = {
            let mut state = self.organization.lock();
            let now = state.now();
            state.model.poll(self.client, now, FRAMES_MAX, &mut frames);
            for frame in &frames {
                match frame {
                    Frame::Poke { .. } => state.journal.wrote_poke(self.number),
                    Frame::Event { .. } => state.journal.wrote_event(self.number),
                    Frame::End { .. } => state.journal.close(now, self.number, ClosedBy::Service),
                }
                due.push(Due::of(*frame, |id| state.model.event(id).copied()));
            }
            let next = state.model.next_due().map_or(now + LOOK_MS_MAX, |at| at.max(now));
            let next = next.clamp(now + LOOK_MS_MIN, now + LOOK_MS_MAX);
            let look_at = if frames.is_empty() { state.instant(next) } else { Instant::now() };
            self.phase = Phase::Serving { look_at };
            (state.config.seed, state.config.style)
        };
        for due in due {
            let (name, data) = match due {
                Due::End => {
                    if !(self.fin_seen && self.on_fin == OnFin::Bare) {
                        self.body.end(&mut self.out);
                    }
                    self.phase = Phase::Ending(None);
                    break;
                }
                Due::Event(event) => (kind_name(event.kind), record::render(seed, &event, style)),
                Due::Poke { at, count, max } => {
                    let members = json!({"count": count, "max": max});
                    let poke =
                        json!({"ts": rfc3339(at), "stream": self.stream, "members": members});
                    ("poke", poke.to_string().into_bytes())
                }
            };
            if let Some(how) = self.cut.take() {
                self.body.half_frame(name, &data, &mut self.out);
                self.phase = Phase::Ending(Some(how));
                break; // the frames after it are written to nobody
            }
            self.body.frame(name, &data, &mut self.out);
        }
    }

    fn obey(&mut self, fault: ConnectionFault) -> ControlFlow<()> {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        match fault {
            ConnectionFault::Break { how, mid_event: false } => return self.break_now(how),
            ConnectionFault::Break { how, mid_event: true } => self.cut = Some(how),
            ConnectionFault::End => {
                let mut state = self.organization.lock();
                let now = state.now();
                state.model.end(self.client, now);
                drop(state);
                self.look_now();
            }
            ConnectionFault::Slow { bytes_per_s, for_ms } => {
                let until = for_ms.map(after);
                self.slow = Some(Slow { bytes_per_s, until, next_write_at: now });
            }
            ConnectionFault::Stall { for_ms } if matches!(self.phase, Phase::Serving { .. }) => {
                self.phase = Phase::Stalled { until: after(for_ms) };
            }
            ConnectionFault::Stall { .. } => {}
            ConnectionFault::Garbage => {
                self.body.frame("data", br#"{"id":"7db30219, oops"#, &mut self.out);
            }
            ConnectionFault::Huge { bytes } => {
                let filler = "x".repeat(bytes.saturating_sub(HUGE_FRAME.len()));
                let record = HUGE_FRAME.replace('~', &filler);
                self.body.frame("data", record.as_bytes(), &mut self.out);
            }
            ConnectionFault::Fin(on_fin) => self.on_fin = on_fin,
        }
        Continue(())
    }

    fn break_now(&mut self, how: Break) -> ControlFlow<()> {
        match how {
            Break::Hang { deaf, for_ms } => {
                let mut state = self.organization.lock();
                let now = state.now();
                let hang = if deaf { Hang::Deaf } else { Hang::Hearing };
                state.model.hang(self.client, hang, now);
                self.out.clear();
                let until = for_ms.map(|span| Instant::now() + Duration::from_millis(span));
                self.phase = Phase::Hung { until };
                Continue(())
            }
            // Closing a socket on which nothing is unread sends a FIN.
            Break::Fin => self.lose(ClosedBy::Fault),
            Break::Reset => {
                // It fails only on a socket that is closed already.
                drop(self.socket.set_zero_linger());
                self.lose(ClosedBy::Fault)
            }
        }
    }

    /// The connection ends at once, in a way that loses what the service writes until it notices.
    fn lose(&mut self, by: ClosedBy) -> ControlFlow<()> {
        let mut state = self.organization.lock();
        let now = state.now();
        state.model.abort(self.client, now);
        state.journal.close(now, self.number, by);
        state.closed(self.number);
        Done(())
    }

    fn hear_fin(&mut self) -> ControlFlow<()> {
        self.fin_seen = true;
        let mut state = self.organization.lock();
        let now = state.now();
        state.journal.close(now, self.number, ClosedBy::ClientFin);
        if self.on_fin != OnFin::Ignored {
            // The model knows whether the service hears it.
            state.model.half_close(self.client, now);
        }
        if let Phase::Hung { until } = &mut self.phase {
            // Nothing is written, so no RST would ever tell that the client is gone for good.
            let gone = Instant::now() + HUNG_AFTER_FIN;
            *until = Some(until.map_or(gone, |until| until.min(gone)));
        }
        drop(state);
        self.look_now();
        Continue(())
    }

    fn wrote(&mut self, count: usize) -> ControlFlow<()> {
        self.out.advance(count);
        let now = Instant::now();
        if let Some(slow) = &mut self.slow {
            if slow.until.is_some_and(|until| until <= now) {
                self.slow = None;
            } else {
                let pause =
                    Duration::from_secs(1).mul_f64(count as f64 / slow.bytes_per_s.max(1) as f64);
                slow.next_write_at = now + pause;
            }
        }
        Continue(())
    }

    fn wake(&mut self) -> ControlFlow<()> {
        match self.phase {
            Phase::Stalled { .. } => self.phase = Phase::Serving { look_at: Instant::now() },
            Phase::Hung { .. } => return self.break_now(Break::Reset),
            Phase::Serving { .. } | Phase::Ending(_) => {}
        }
        Continue(())
    }

    fn look_now(&mut self) {
        if let Phase::Serving { look_at } = &mut self.phase {
            *look_at = Instant::now();
        }
    }

    /// The proper end is written: closes, and lets the client read in peace.
    async fn finish(mut self) {
        self.organization.lock().closed(self.number);
        if self.socket.shutdown().await.is_ok() && !self.fin_seen {
            // Whether it closes or not, that is all.
            drop(time::timeout(LINGER, wait_for_close(&mut self.socket)).await);
        }
    }
}

/// A frame with what is needed to render it outside the lock.
enum Due {
    Poke { at: u64, count: usize, max: usize },
    Event(Event),
    End,
}

impl Due {
    fn of(frame: Frame, event: impl Fn(crate::model::EventId) -> Option<Event>) -> Self {
        match frame {
            Frame::Poke { at, count, max } => Self::Poke { at, count, max },
            // The model only sends events it has.
            Frame::Event { event: id, .. } => event(id).map_or(Self::End, Self::Event),
            Frame::End { .. } => Self::End,
        }
    }
}

async fn read(socket: &TcpStream) -> io::Result<usize> {
    let mut scratch = [0; 1024];
    loop {
        socket.readable().await?;
        match socket.try_read(&mut scratch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

async fn write(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

/// `None` is never.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Frames taken from the model at once: enough to fill a socket, few enough to be lost fairly.
const FRAMES_MAX: usize = 16;
/// The model is looked at no more often than this while nothing is due …
const LOOK_MS_MIN: u64 = 5;
/// … and no less often, since the control port may have ended the stream meanwhile.
const LOOK_MS_MAX: u64 = 100;
/// A slow connection dribbles in so many writes a second.
const SLOW_WRITES_PER_S: u64 = 20;
/// How long a hung socket is kept for a client that sent a FIN.
const HUNG_AFTER_FIN: Duration = Duration::from_secs(60);
/// How long a client may take to close after the proper end.
const LINGER: Duration = Duration::from_secs(5);
/// A record of any size; `~` is the filler.
const HUGE_FRAME: &str = r#"{"id":"fffffffffffffffffffffffffffffff0","checksum":"0","type":"intraday","created_at":"2026-01-01T00:00:00.000Z","user":{"user_id":"ffffffffffffffffffffffff"},"filler":"~"}"#;
