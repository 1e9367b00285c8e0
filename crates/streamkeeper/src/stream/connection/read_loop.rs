//! The read loop of one open connection: bytes into frames, frames into readings, readings into batches.
//!
//! It reports what it sees and decides nothing. What it reads waits for room in the stream's queue, and its
//! silence does not count meanwhile.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use streamkeeper_core::classify::End;
use streamkeeper_core::cursored::{self, GapSign};
use streamkeeper_core::id::{ConnectionId, Reader};
use streamkeeper_core::marked;
use streamkeeper_core::policy::Input;
use streamkeeper_core::time::Instant;
use streamkeeper_core::watchdog::{Lack, Signal, Watchdog};

use crate::base::clock::wall;
use crate::dialect::{Dialect, FrameReader, Reading};
use crate::observe::registry::{Counters, StreamEntry};
use crate::store::batch::Batch;
use crate::transport::{EndKind, SseResponse};

use super::super::settings::limits;
use super::super::tools::Tools;
use super::Hold;
use super::intake::{Intake, Over};
use super::messages::Close;

/// What was read at once.
struct Read {
    batch: Batch,
    bytes: usize,
    frames: u64,
    comments: u64,
    /// A poke or a cursor is among it, which has to be committed, too.
    proof: bool,
    /// Something of it proves life.
    alive: bool,
    /// What comes behind it waits: the resume point was lost.
    gap: Option<GapSign>,
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
            cursor: None,
            tally: tools.tally.clone(),
            reader: tools.reports.clone(),
        };
        Self { batch, bytes: 0, frames: 0, comments: 0, proof: false, alive: false, gap: None }
    }
}

/// So much is read at once, if it is there: then the frames are handed on.
const JOINED_BYTES_MAX: usize = 256 << 10;

/// The read loop of one open connection.
pub(super) struct ReadLoop {
    tools: Tools,
    connection: ConnectionId,
    intake: Intake,
    frames: FrameReader,
    /// What was read of a frame and has not been taken.
    pending: VecDeque<Reading>,
    watchdog: Watchdog,
    /// The interval is learned.
    learns: bool,
    /// How often, and when next, the server is asked whether it is there; of a WebSocket.
    questions: Option<(Duration, Instant)>,
    /// Data came since the last poke, and was reported.
    data_reported: bool,
    /// When the last read that brought frames was.
    last_arrived: Option<Instant>,
    /// A garbled frame was logged: a service that sends nothing else would fill the log.
    garbled_told: bool,
}

impl ReadLoop {
    pub(super) fn new(tools: Tools, connection: ConnectionId, frames: FrameReader) -> Self {
        let learned = tools.rhythm.lock().unwrap_or_else(PoisonError::into_inner).interval();
        let mut watchdog = tools.watchdog;
        let is_web_socket = tools.dialect.is_web_socket();
        let learns = matches!(&tools.dialect, Dialect::Sse(sse) if sse.learns());
        if let Some(interval) = learned.filter(|_| learns) {
            watchdog = limits(&tools.config, Some(interval));
        }
        Self {
            intake: Intake::new(is_web_socket, tools.event_bytes_max),
            frames,
            pending: VecDeque::new(),
            questions: is_web_socket.then(|| (watchdog.stale_after / 2, tools.clock.now())),
            watchdog: Watchdog::new(watchdog, tools.clock.now()),
            // Where we ask, its silences say how often we do.
            learns: learns && !is_web_socket,
            tools,
            connection,
            data_reported: false,
            last_arrived: None,
            garbled_told: false,
        }
    }

    /// The server has said how often it says something.
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.learns = false;
        let (limits, now) = (limits(&self.tools.config, Some(interval)), self.tools.clock.now());
        if self.questions.is_some() {
            self.questions = Some((interval.min(limits.stale_after / 2), now));
        }
        self.watchdog.set_limits(limits, now);
    }

    /// Reads to the end of the body; the response, and with it the socket, is dropped on return. `gap`: its
    /// head says already that the resume point was lost.
    pub(super) async fn read(
        mut self,
        mut response: SseResponse,
        hold: &Hold,
        gap: Option<GapSign>,
    ) -> End {
        if let Some(farewell) = self.intake.farewell() {
            response.set_farewell(farewell);
        }
        if !self.wait_behind(gap, hold).await {
            return End::Killed;
        }
        loop {
            self.ask_if_due();
            response.say(&self.intake.take_answers());
            let due = self.questions.map(|(_, due)| due);
            let wake = self.watchdog.deadline().into_iter().chain(due).min();
            let wake = wake.map(|at| self.tools.clock.wake_at(at));
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
                    if !self.take_on(read, hold).await {
                        return End::Killed;
                    }
                    if let Some(over) = self.intake.over() {
                        return self.leave(over, &mut response);
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
            && read.gap.is_none()
            && self.intake.over().is_none()
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
        let length = chunk.len();
        Counters::add(&self.tools.entry.counters.bytes_received, length as u64);
        self.intake.push(chunk);
        read.bytes += length;
        self.interpret(read);
    }

    /// Takes what has been decoded, up to a sign that the resume point was lost.
    fn interpret(&mut self, read: &mut Read) {
        let replaced = self.intake.replaced();
        while read.gap.is_none()
            && let Some(reading) = self.next_reading(read)
        {
            self.note(reading, read);
        }
        let replaced = self.intake.replaced() - replaced;
        Counters::add(&self.tools.entry.counters.replaced, replaced);
        if self.frames.unusable() > 0 && self.tools.entry.is_first("long cursors") {
            tracing::warn!(
                stream = %self.tools.entry.name,
                "a cursor of the server's is longer than 4 KiB, or its header cannot hold it, and no request can \
                 carry it: a break goes on from the last one before",
            );
        }
    }

    fn next_reading(&mut self, read: &mut Read) -> Option<Reading> {
        while self.pending.is_empty() {
            let Self { intake, frames, pending, tools, .. } = self;
            intake.read(frames, &tools.entry, &mut |reading| pending.push_back(reading))?;
            read.frames += 1;
        }
        self.pending.pop_front()
    }

    fn note(&mut self, reading: Reading, read: &mut Read) {
        let connection = self.connection;
        match reading {
            Reading::Alive => {
                read.comments += 1;
                self.heartbeat(read);
            }
            Reading::Poke { ts, members } => {
                Counters::add(&self.tools.entry.counters.pokes, 1);
                self.data_reported = false;
                read.batch.poke = ts.or(read.batch.poke);
                (read.proof, read.alive) = (true, true);
                self.report(marked::Input::Poke { connection, members });
            }
            Reading::Event(event) => {
                if !std::mem::replace(&mut self.data_reported, true) {
                    self.report(Input::Data(connection));
                }
                read.alive = true;
                read.batch.cursor = event.cursor().cloned().or(read.batch.cursor.take());
                read.batch.events.push(event);
            }
            Reading::Garbled => {
                read.alive = true;
                self.garbled();
            }
            Reading::Ignored => {}
            Reading::Heartbeat => {
                Counters::add(&self.tools.entry.counters.pokes, 1);
                self.heartbeat(read);
            }
            Reading::Planned => {
                // An event behind it says that it was not the last one, and has to be heard.
                self.data_reported = false;
                self.report(cursored::Input::Planned(connection));
            }
            Reading::Gap(sign) => read.gap = Some(sign),
            Reading::Cursor(cursor) => {
                read.proof = true;
                read.batch.cursor = Some(cursor);
            }
            Reading::Interval(interval) => self.set_interval(interval),
            Reading::Retry(wait) => self.report(cursored::Input::Retry { connection, wait }),
        }
    }

    /// Something came that proves life, and is no event.
    fn heartbeat(&mut self, read: &mut Read) {
        read.alive = true;
        if let Dialect::Sse(_) = &self.tools.dialect {
            self.data_reported = false;
            self.report(cursored::Input::Heartbeat(self.connection));
        }
    }

    fn garbled(&mut self) {
        Counters::add(&self.tools.entry.counters.garbled, 1);
        if !std::mem::replace(&mut self.garbled_told, true) {
            let what = match &self.tools.dialect {
                Dialect::Inform(_) => {
                    "a frame is not an event of this service, or too long; it is left out, and will be looked \
                     for in a replay"
                }
                Dialect::Sse(_) => {
                    "an event is longer than max_event_bytes, or a message of a WebSocket is no text; it is left \
                     out, and not asked for again"
                }
            };
            tracing::warn!(
                stream = %self.tools.entry.name,
                slot = %self.connection.reader,
                "{what}; further ones on this connection are only counted",
            );
        }
        self.report(Input::Garbled(self.connection));
    }

    /// Hands what was read on, and what lies behind each sign that the resume point was lost.
    async fn take_on(&mut self, mut read: Read, hold: &Hold) -> bool {
        loop {
            let gap = read.gap;
            if !self.take(read, hold).await || !self.wait_behind(gap, hold).await {
                return false;
            }
            if gap.is_none() {
                return true;
            }
            read = Read::new(self);
            self.interpret(&mut read);
        }
    }

    /// Nothing behind a lost resume point is read before that is written down. Its silence does not count.
    async fn wait_behind(&mut self, gap: Option<GapSign>, hold: &Hold) -> bool {
        let Some(sign) = gap else { return true };
        self.report(cursored::Input::Gap { connection: self.connection, sign });
        self.watchdog.block(self.tools.clock.now());
        let goes_on = tokio::select! {
            biased;
            () = hold.killed.notified() => false,
            () = hold.going_on.notified() => true,
        };
        self.watchdog.unblock(self.tools.clock.now());
        goes_on
    }

    /// Hands what was read on. Returns false if it was killed while waiting.
    async fn take(&mut self, read: Read, hold: &Hold) -> bool {
        let Read { batch, bytes, frames, comments, proof, alive, gap: _ } = read;
        // What stood behind a sign is of a frame that was counted with it.
        if frames == 0 && !alive && !proof {
            // An empty line, for example; what is left of a frame is watched as that.
            if bytes > 0 && !self.intake.is_mid_event() && self.frames.lives_on_bytes() {
                self.watchdog.frame(batch.arrived);
            }
            self.watch_progress(bytes);
            return true;
        }
        let arrived = batch.arrived;
        Counters::add(&self.tools.entry.counters.frames, frames);
        if alive {
            self.measure(arrived, comments, batch.events.len() as u64);
            self.watchdog.frame(arrived);
            if let Reader::Slot(slot) = self.connection.reader {
                self.tools.entry.history.heard(slot.0);
            }
        }
        self.watch_progress(0);
        if batch.events.is_empty() && !proof {
            return true;
        }
        self.hand_over(batch, hold).await
    }

    /// Bytes came, or are left, that complete no frame: the frame that they begin takes its time.
    fn watch_progress(&mut self, bytes: usize) {
        if self.intake.is_mid_event() {
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
            let silence = arrived.since(before);
            measured.frame_gap.observe(silence);
            self.learn(silence, arrived);
        }
    }

    /// Where the server does not say how often it says something, its silences do.
    fn learn(&mut self, silence: Duration, now: Instant) {
        if self.learns {
            let rhythm = &self.tools.rhythm;
            let learned = rhythm.lock().unwrap_or_else(PoisonError::into_inner).observe(silence);
            if let Some(interval) = learned {
                self.watchdog.set_limits(limits(&self.tools.config, Some(interval)), now);
            }
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

    /// Asks whether the server is there, if it is time.
    fn ask_if_due(&mut self) {
        let now = self.tools.clock.now();
        if let Some((every, due)) = &mut self.questions
            && now >= *due
        {
            *due = now + *every;
            self.intake.ask();
        }
    }

    /// The server has closed the WebSocket, and is answered.
    fn leave(mut self, over: Over, response: &mut SseResponse) -> End {
        response.say(&self.intake.take_answers());
        // What it says besides means nothing any more; reading it lets the answer go out.
        while let Some(Some(Ok(_))) = response.next_chunk().now_or_never() {}
        match over {
            Over::Closed(Close::Planned) => End::Terminated { mid_event: false },
            Over::Closed(Close::Failed(code)) => {
                let stream = &*self.tools.entry.name;
                tracing::info!(
                    stream,
                    code,
                    "the server closes the connection, and not as planned"
                );
                End::Eof { mid_event: false }
            }
            Over::Broken => End::Corrupt,
        }
    }

    fn end(mut self, kind: Option<EndKind>) -> End {
        let mid_event = self.intake.is_mid_event();
        self.intake.finish();
        match kind {
            // It ends by a frame that says so, and by nothing else.
            Some(EndKind::Terminated | EndKind::Closed) if self.intake.is_web_socket() => {
                End::Eof { mid_event }
            }
            Some(EndKind::Terminated) => End::Terminated { mid_event },
            Some(EndKind::Closed) => End::Closed { mid_event },
            Some(EndKind::Eof) => End::Eof { mid_event },
            Some(EndKind::Killed) => End::Killed,
            Some(EndKind::Error) => End::Corrupt,
            Some(EndKind::Reset) | None => End::Reset,
        }
    }
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        // No deadline: only a chunk or a kill goes on.
        None => std::future::pending().await,
    }
}
