//! One slot's connection: socket → decoder → dialect → batch.
//!
//! `intake`: bytes into readings, of server-sent events or (`messages`) a WebSocket; `read_loop`: all the rest.
//!
//! A [`Connection`] actor lives as long as its slot and runs one read loop at a time. The loop holds
//! the response, the decoder and the [`Watchdog`]; it reports what it sees and decides nothing.
//! Every loop ends with exactly one `Ended`, sent by a drop guard after the socket is gone, so that
//! a panic or the death of the actor is reported like any other end.

mod intake;
mod messages;
mod read_loop;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use streamkeeper_core::classify::{End, Refusal};
use streamkeeper_core::cursored::{self, GapSign};
use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::policy::Input;
use tokio::sync::Notify;

use crate::base::reports::Reports;
use crate::dialect::sse::{Ask, Opened};
use crate::dialect::{Dialect, FrameReader};
use crate::observe::counts::OPENED;
use crate::observe::registry::Counters;
use crate::transport::{Control, OpenError, OpenErrorKind};

use super::documents;
use super::session::{Door, Entered};
use super::tools::Tools;

use self::read_loop::ReadLoop;

/// The supervisor's hold on a connection: works from any thread, also while the connection's own
/// arbiter is blocked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    control: Control,
    killed: Arc<Notify>,
    going_on: Arc<Notify>,
}

impl Hold {
    /// Closes the socket now.
    pub(crate) fn kill(&self) {
        self.control.kill();
        self.killed.notify_one();
    }

    /// What comes behind a lost resume point may be read.
    pub(crate) fn go_on(&self) {
        self.going_on.notify_one();
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
    pub(crate) ask: Ask,
    pub(crate) frames: FrameReader,
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
    let (connection, hold) = (connect.connection, connect.hold.clone());
    let mut ending = Ending { reports: tools.reports.clone(), connection, end: End::Panicked };
    let prepared = tokio::select! {
        biased;
        () = hold.killed.notified() => Err(End::Killed),
        prepared = prepare(&tools, connect) => prepared,
    };
    ending.end = match prepared {
        Ok(prepared) => open(tools, prepared, &hold).await,
        Err(end) => end,
    };
}

/// All that is to be known before the stream is asked for.
struct Prepared {
    connection: ConnectionId,
    ask: Ask,
    frames: FrameReader,
    /// How often a document of the server says that it says something.
    interval: Option<Duration>,
    is_in_session: bool,
}

/// Asks the server for what lies beside the stream, and begins the session that it is read within.
async fn prepare(tools: &Tools, connect: Connect) -> Result<Prepared, End> {
    let Connect { connection, ask, frames, hold } = connect;
    let mut prepared = Prepared { connection, ask, frames, interval: None, is_in_session: false };
    let Dialect::Sse(sse) = &tools.dialect else { return Ok(prepared) };
    prepared.interval = documents::interval(tools, sse).await;
    let Tools { session, transport, entry, .. } = tools;
    let Some(Entered { header, is_new }) = (Door { session, transport, entry }).enter(sse).await?
    else {
        return Ok(prepared);
    };
    if is_new {
        tools.reports.send(cursored::Input::Gap { connection, sign: GapSign::Session });
        hold.going_on.notified().await;
        // From its beginning.
        prepared.ask = sse.ask(None);
        prepared.frames = FrameReader::Sse(sse.reader(None));
    }
    prepared.is_in_session = header.is_some();
    prepared.ask.headers.extend(header);
    Ok(prepared)
}

/// Asks for the stream, and reads it to its end.
async fn open(tools: Tools, prepared: Prepared, hold: &Hold) -> End {
    let Prepared { connection, ask, frames, interval, is_in_session } = prepared;
    if ask.is_unusable && tools.entry.is_first("unusable cursor") {
        tracing::warn!(
            stream = %tools.entry.name,
            "the server's own cursor cannot be sent where sse.cursor_via wants it: it is asked without",
        );
    }
    let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let opened = if tools.dialect.is_web_socket() {
        tools.transport.open_web_socket(&ask.place, &headers, &hold.control).await
    } else {
        tools.transport.open_sse(&ask.place, &headers, &hold.control).await
    };
    let response = match opened {
        Ok(response) => response,
        Err(error) if is_in_session && let Some(status @ (400 | 404)) = error.status() => {
            // The session is over, and of the stream nothing is said.
            tools.session.is_over();
            tell(&tools, connection, "the session is over", "");
            return End::Refused(Refusal::Unavailable { status, retry_after: None });
        }
        Err(error) => {
            let (end, text) = end_of_open(&tools.dialect, &error);
            tell(&tools, connection, &text, &advice(&error));
            return end;
        }
    };
    tools.entry.note_encoding(&tools.transport);
    Counters::add(&tools.entry.counters.connects, 1);
    tools.entry.measured.connects.add(OPENED);
    tools.entry.succeeded();
    tools.reports.send(Input::Opened(connection));
    let Opened { gap, interval: of_head } = frames.opened(|name| response.header(name));
    let mut reader = ReadLoop::new(tools, connection, frames);
    if let Some(interval) = of_head.or(interval) {
        reader.set_interval(interval);
    }
    reader.read(response, hold, gap).await
}

fn tell(tools: &Tools, connection: ConnectionId, reason: &str, advice: &str) {
    if tools.entry.is_news(reason) {
        tracing::warn!(
            stream = %tools.entry.name,
            slot = %connection.reader,
            reason,
            "cannot connect to the stream; trying again, ever more slowly{advice}",
        );
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
        OpenErrorKind::NotEventStream
        | OpenErrorKind::NotWebSocket
        | OpenErrorKind::ContentEncoding => End::Refused(Refusal::NotEvents),
        _ => End::NotOpened { sent: error.sent },
    };
    (end, error.to_string())
}

#[cfg(test)]
mod tests;
