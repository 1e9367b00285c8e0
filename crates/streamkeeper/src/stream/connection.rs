//! One slot's connection: socket → decoder → dialect → batch.
//!
//! A [`Connection`] actor lives as long as its slot and runs one read loop at a time. The loop holds
//! the response, the decoder and the [`Watchdog`]; it reports what it sees and decides nothing.
//! Every loop ends with exactly one `Ended`, sent by a drop guard after the socket is gone, so that
//! a panic or the death of the actor is reported like any other end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use bytes::Bytes;
use futures_util::FutureExt as _;
use streamkeeper_core::classify::{End, Refusal};
use streamkeeper_core::id::{ConnectionId, Reader};
use streamkeeper_core::marked;
use streamkeeper_core::policy::Input;
use streamkeeper_core::time::Instant;
use streamkeeper_core::watchdog::{Lack, Signal, Watchdog, WatchdogConfig};
use streamkeeper_sse::{Decoder, Limits};
use tokio::sync::Notify;

use crate::base::budget::Budget;
use crate::base::clock::{Clock, wall};
use crate::base::reports::Reports;
use crate::dialect::{Dialect, Reading};
use crate::observe::counts::OPENED;
use crate::observe::registry::{Counters, StreamEntry};
use crate::observe::tally::Tally;
use crate::store::batch::Batch;
use crate::store::writer::Writer;
use crate::transport::{Control, EndKind, HttpTransport, OpenError, OpenErrorKind, SseResponse};

/// What every connection of one stream works with.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) dialect: Dialect,
    pub(crate) transport: HttpTransport,
    pub(crate) watchdog: WatchdogConfig,
    pub(crate) event_bytes_max: usize,
    pub(crate) budget: Budget,
    pub(crate) writer: Writer,
    pub(crate) reports: Reports,
    pub(crate) entry: Arc<StreamEntry>,
    pub(crate) clock: Clock,
    /// What is read now is read again, as the supervisor knows.
    pub(crate) replaying: Arc<AtomicBool>,
    /// An operator's replay, if it is for one.
    pub(crate) tally: Option<Arc<Tally>>,
}

/// The supervisor's hold on a connection: works from any thread, also while the connection's own
/// arbiter is blocked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    control: Control,
    killed: Arc<Notify>,
}

impl Hold {
    /// Closes the socket now.
    pub(crate) fn kill(&self) {
        self.control.kill();
        self.killed.notify_one();
    }

    /// Half-closes the socket; the loop reads to the end.
    pub(crate) fn half_close(&self) {
        self.control.half_close();
    }
}

/// Open a connection and read it to its end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Connect {
    pub(crate) connection: ConnectionId,
    pub(crate) path_and_query: String,
    pub(crate) hold: Hold,
}

/// The actor of one slot.
pub(crate) struct Connection {
    tools: Tools,
}

impl Connection {
    pub(crate) const fn new(tools: Tools) -> Self {
        Self { tools }
    }
}

impl Actor for Connection {
    type Context = Context<Self>;
}

impl Handler<Connect> for Connection {
    type Result = ();

    fn handle(&mut self, connect: Connect, ctx: &mut Self::Context) {
        let tools = self.tools.clone();
        ctx.spawn(actix::fut::wrap_future(run(tools, connect)));
    }
}

/// Reports the end when it is dropped, which is after everything declared later: the socket.
struct Ending {
    reports: Reports,
    connection: ConnectionId,
    end: End,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Self { connection, end, .. } = *self;
        self.reports.send(Input::Ended { connection, end });
    }
}

async fn run(tools: Tools, connect: Connect) {
    let Connect { connection, path_and_query, hold } = connect;
    let mut ending = Ending { reports: tools.reports.clone(), connection, end: End::Panicked };
    let opened = tools.transport.open_sse(&path_and_query, &[], &hold.control).await;
    let end = match opened {
        Err(error) => {
            let (end, text) = end_of_open(&tools.dialect, &error);
            if tools.entry.is_news(&text) {
                tracing::warn!(
                    stream = %tools.entry.name,
                    slot = %connection.reader,
                    reason = text,
                    "cannot connect to the stream; trying again, ever more slowly{}",
                    advice(&error),
                );
            }
            end
        }
        Ok(response) => {
            tools.entry.note_encoding(&tools.transport);
            Counters::add(&tools.entry.counters.connects, 1);
            tools.entry.measured.connects.add(OPENED);
            tools.entry.succeeded();
            tools.reports.send(Input::Opened(connection));
            ReadLoop::new(tools, connection).read(response, &hold).await
        }
    };
    ending.end = end;
}

/// What was read at once.
struct Read {
    batch: Batch,
    bytes: usize,
    frames: u64,
    comments: u64,
    /// A poke is among it, which has to be committed, too.
    proof: bool,
}

impl Read {
    fn new(reader: &ReadLoop) -> Self {
        let ReadLoop { tools, connection, .. } = reader;
        let batch = Batch {
            connection: *connection,
            arrived: tools.clock.now(),
            replayed: connection.reader == Reader::Replay
                || tools.replaying.load(Ordering::Relaxed),
            poke: None,
            events: Vec::new(),
            tally: tools.tally.clone(),
            reader: tools.reports.clone(),
        };
        Self { batch, bytes: 0, frames: 0, comments: 0, proof: false }
    }
}

/// So much is read at once, if it is there: then the frames are handed on.
const JOINED_BYTES_MAX: usize = 256 << 10;

/// The read loop of one open connection.
struct ReadLoop {
    tools: Tools,
    connection: ConnectionId,
    decoder: Decoder,
    watchdog: Watchdog,
    /// Data came since the last poke, and was reported.
    data_reported: bool,
    /// When the last read that brought frames was.
    last_arrived: Option<Instant>,
    /// A garbled frame was logged: a service that sends nothing else would fill the log.
    garbled_told: bool,
}

impl ReadLoop {
    fn new(tools: Tools, connection: ConnectionId) -> Self {
        Self {
            decoder: Decoder::new(Limits { event_bytes_max: tools.event_bytes_max }),
            watchdog: Watchdog::new(tools.watchdog, tools.clock.now()),
            tools,
            connection,
            data_reported: false,
            last_arrived: None,
            garbled_told: false,
        }
    }

    /// Reads to the end of the body; the response, and with it the socket, is dropped on return.
    async fn read(mut self, mut response: SseResponse, hold: &Hold) -> End {
        loop {
            let wake = self.watchdog.deadline().map(|deadline| self.tools.clock.wake_at(deadline));
            // In this order: what can be read is read before a deadline is judged.
            let chunk = tokio::select! {
                biased;
                () = hold.killed.notified() => return End::Killed,
                chunk = response.next_chunk() => chunk,
                () = sleep_until(wake) => {
                    self.tick();
                    continue;
                }
            };
            match chunk {
                Some(Ok(chunk)) => {
                    let (read, ended) = self.read_what_is_there(chunk, &mut response);
                    if !self.take(read, hold).await {
                        return End::Killed;
                    }
                    if ended {
                        return self.end(response.end());
                    }
                }
                Some(Err(_)) | None => return self.end(response.end()),
            }
        }
    }

    /// Decodes a chunk, and what has come behind it: a service that sends an HTTP chunk for each event
    /// would cost a batch for each otherwise. The second value says that the body has ended.
    fn read_what_is_there(&mut self, first: Bytes, response: &mut SseResponse) -> (Read, bool) {
        let mut read = Read::new(self);
        self.decode(first, &mut read);
        while read.bytes < JOINED_BYTES_MAX
            && let Some(next) = response.next_chunk().now_or_never()
        {
            let Some(Ok(chunk)) = next else { return (read, true) };
            self.decode(chunk, &mut read);
        }
        (read, false)
    }

    fn report(&self, input: impl Into<Input>) {
        self.tools.reports.send(input);
    }

    fn tick(&mut self) {
        let connection = self.connection;
        match self.watchdog.tick(self.tools.clock.now()) {
            Some(Signal::Late(lack)) => self.report(Input::Late(connection, lack)),
            Some(Signal::Stale(Lack::Silence)) => self.report(Input::Stale(connection)),
            Some(Signal::Stale(Lack::SlowFrame)) => self.report(Input::TooSlow(connection)),
            Some(Signal::Suspended(away)) => self.report(Input::Suspended { connection, away }),
            None => {}
        }
    }

    /// Decodes a chunk.
    fn decode(&mut self, chunk: Bytes, read: &mut Read) {
        let counters = &self.tools.entry.counters;
        let length = chunk.len();
        Counters::add(&counters.bytes_received, length as u64);
        self.decoder.push(chunk);
        let Read { batch, bytes, frames, comments, proof } = read;
        *bytes += length;
        let replaced = self.decoder.replaced();
        while let Some(frame) = self.decoder.next_frame() {
            *frames += 1;
            match frame.map_or(Reading::Garbled, |frame| self.tools.dialect.read(frame)) {
                Reading::Alive => *comments += 1,
                Reading::Poke { ts, members } => {
                    Counters::add(&self.tools.entry.counters.pokes, 1);
                    self.data_reported = false;
                    batch.poke = ts.or(batch.poke);
                    *proof = true;
                    self.report(marked::Input::Poke { connection: self.connection, members });
                }
                Reading::Event(event) => {
                    if !std::mem::replace(&mut self.data_reported, true) {
                        self.report(Input::Data(self.connection));
                    }
                    batch.events.push(event);
                }
                // What only servers say that resume from a cursor.
                Reading::Ignored
                | Reading::Heartbeat
                | Reading::Planned
                | Reading::Gap(_)
                | Reading::Cursor(_)
                | Reading::Interval(_)
                | Reading::Retry(_) => {}
                Reading::Garbled => {
                    Counters::add(&self.tools.entry.counters.garbled, 1);
                    if !std::mem::replace(&mut self.garbled_told, true) {
                        tracing::warn!(
                            stream = %self.tools.entry.name,
                            slot = %self.connection.reader,
                            "a frame is not an event of this service, or too long; it is left out, \
                             and will be looked for in a replay; further ones on this connection \
                             are only counted",
                        );
                    }
                    self.report(Input::Garbled(self.connection));
                }
            }
        }
        let replaced = self.decoder.replaced() - replaced;
        Counters::add(&self.tools.entry.counters.replaced, replaced);
    }

    /// Hands what was read on. Returns false if it was killed while waiting.
    async fn take(&mut self, read: Read, hold: &Hold) -> bool {
        let Read { batch, bytes, frames, comments, proof } = read;
        if frames == 0 {
            self.watch_progress(bytes);
            return true;
        }
        let arrived = batch.arrived;
        Counters::add(&self.tools.entry.counters.frames, frames);
        self.measure(arrived, comments, batch.events.len() as u64);
        self.watchdog.frame(arrived);
        self.watch_progress(0);
        if let Reader::Slot(slot) = self.connection.reader {
            self.tools.entry.history.heard(slot.0);
        }
        if batch.events.is_empty() && !proof {
            return true;
        }
        self.hand_over(batch, hold).await
    }

    /// Bytes came, or are left, that complete no frame: the frame that they begin takes its time.
    fn watch_progress(&mut self, bytes: usize) {
        if self.decoder.is_mid_event() {
            self.watchdog.progress(self.tools.clock.now(), bytes);
            // While there always is something to read, nobody waits for the deadline.
            self.tick();
        }
    }

    /// Counts what a read brought.
    fn measure(&mut self, arrived: Instant, comments: u64, events: u64) {
        let StreamEntry { counters, measured, .. } = &*self.tools.entry;
        let now = wall().as_micros();
        counters.last_frame.store(now, Ordering::Relaxed);
        Counters::add(&measured.comments, comments);
        if events > 0 {
            Counters::add(&measured.data, events);
            measured.last_data.store(now, Ordering::Relaxed);
        }
        if let Some(before) = self.last_arrived.replace(arrived) {
            measured.frame_gap.observe(arrived.since(before));
        }
    }

    /// Hands a batch over, in parts if it is a large share of what the stream may hold.
    async fn hand_over(&mut self, mut batch: Batch, hold: &Hold) -> bool {
        while let Some(part) = batch.split_off_front(self.tools.budget.share()) {
            if !self.enqueue(part, hold).await {
                return false;
            }
        }
        self.enqueue(batch, hold).await
    }

    /// Puts a batch into the stream's queue; while it is full, reading and the watchdog stand still.
    async fn enqueue(&mut self, batch: Batch, hold: &Hold) -> bool {
        let room = batch.room();
        if !self.tools.budget.try_take(room) {
            self.watchdog.block(self.tools.clock.now());
            self.report(Input::Blocked(self.connection));
            if let Reader::Slot(slot) = self.connection.reader {
                self.tools.entry.history.blocked(slot.0);
            }
            tokio::select! {
                biased;
                () = hold.killed.notified() => return false,
                () = self.tools.budget.take(room) => {}
            }
            self.watchdog.unblock(self.tools.clock.now());
            self.report(Input::Unblocked(self.connection));
        }
        self.tools.writer.batch(batch);
        true
    }

    fn end(mut self, kind: Option<EndKind>) -> End {
        let mid_event = self.decoder.is_mid_event();
        self.decoder.finish();
        match kind {
            Some(EndKind::Terminated) => End::Terminated { mid_event },
            Some(EndKind::Closed) => End::Closed { mid_event },
            Some(EndKind::Eof) => End::Eof { mid_event },
            Some(EndKind::Killed) => End::Killed,
            Some(EndKind::Error) => End::Corrupt,
            Some(EndKind::Reset) | None => End::Reset,
        }
    }
}

/// What a person can do about it, where it is not plain from the reason.
fn advice(error: &OpenError) -> String {
    match error.kind {
        OpenErrorKind::Tls(fault) => format!(": {}", fault.advice()),
        _ => String::new(),
    }
}

/// What an attempt that did not open means, and that in words.
fn end_of_open(dialect: &Dialect, error: &OpenError) -> (End, String) {
    let end = match &error.kind {
        OpenErrorKind::Answer(answer) => {
            let (refusal, words) = dialect.refusal(answer);
            return (End::Refused(refusal), format!("{}: {words}", error.phase));
        }
        OpenErrorKind::NotEventStream | OpenErrorKind::ContentEncoding => {
            End::Refused(Refusal::NotEvents)
        }
        _ => End::NotOpened { sent: error.sent },
    };
    (end, error.to_string())
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        // No deadline: only a chunk or a kill goes on.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
