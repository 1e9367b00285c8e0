//! A small server of event streams that go on from `Last-Event-ID`, written from the standard and from
//! `docs/dialects.md` alone, and made to misbehave on command.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) path: String,
    /// The heads' lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// What was posted; nothing if it was a `GET`.
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is done to the open connections.
#[derive(Clone, Debug)]
enum Act {
    Send(String),
    /// Nothing more is sent, and the connection stays.
    Hang,
    /// The body ends in order.
    End,
    /// The connection is cut.
    Cut,
}

#[derive(Default)]
struct State {
    /// Number, name, data.
    events: Vec<(u64, String, String)>,
    /// What is older than this number is forgotten.
    oldest: u64,
    asked: Vec<Asked>,
    /// With the path that each asked for.
    clients: Vec<(String, Sender<Act>)>,
    /// The next requests for the stream are answered so.
    statuses: Vec<u16>,
    /// The body at `/boot`.
    boot: String,
    /// The session that requests for the stream have to name, and what was posted.
    session: Option<u64>,
    posted: Vec<Asked>,
    /// With which status a point that is forgotten is answered; 200: with all there is.
    forgotten: u16,
    /// With which status a request is answered that names no session of these days.
    outside: u16,
}

/// A running server; its threads end with the process.
pub(crate) struct SseServer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl SseServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { forgotten: 200, ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(socket, &state));
            }
        });
        Self { url, state }
    }

    /// A new event of that name.
    pub(crate) fn emit(&self, name: &str, data: &str) {
        let mut state = self.state.lock().unwrap();
        let number = state.events.len() as u64 + 1;
        state.events.push((number, name.to_owned(), data.to_owned()));
        let text = block(number, name, data);
        state.clients.retain(|(_, client)| client.send(Act::Send(text.clone())).is_ok());
    }

    /// These very bytes, to whoever is connected.
    pub(crate) fn say(&self, text: &str) {
        self.act(&Act::Send(text.to_owned()));
    }

    pub(crate) fn hang(&self) {
        self.act(&Act::Hang);
    }

    /// Only who asked for that path.
    pub(crate) fn hang_at(&self, path: &str) {
        let clients = &mut self.state.lock().unwrap().clients;
        for (_, client) in clients.extract_if(.., |(asked, _)| asked == path) {
            drop(client.send(Act::Hang));
        }
    }

    pub(crate) fn end(&self) {
        self.act(&Act::End);
    }

    pub(crate) fn cut(&self) {
        self.act(&Act::Cut);
    }

    fn act(&self, act: &Act) {
        let keeps = matches!(act, Act::Send(_));
        let clients = &mut self.state.lock().unwrap().clients;
        clients.retain(|(_, client)| client.send(act.clone()).is_ok() && keeps);
    }

    /// Everything until now is forgotten; who asks for more than that is answered with this status.
    pub(crate) fn forget(&self, status: u16) {
        let mut state = self.state.lock().unwrap();
        (state.oldest, state.forgotten) = (state.events.len() as u64 + 1, status);
    }

    /// The next requests for the stream are answered so.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.state.lock().unwrap().statuses.extend(statuses);
    }

    /// Requests are answered with this status unless they name a session that began after this.
    pub(crate) fn forget_sessions(&self, status: u16) {
        let mut state = self.state.lock().unwrap();
        state.outside = status;
        state.session = Some(state.session.unwrap_or_default() + 1);
    }

    /// What was posted, in order.
    pub(crate) fn posted(&self) -> Vec<Asked> {
        self.state.lock().unwrap().posted.clone()
    }

    pub(crate) fn boot(&self, body: &str) {
        body.clone_into(&mut self.state.lock().unwrap().boot);
    }

    /// The requests for the stream, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let asked = self.state.lock().unwrap().asked.clone();
        asked.into_iter().filter(|asked| asked.path.starts_with("/events")).collect()
    }

    pub(crate) fn connected(&self) -> usize {
        self.state.lock().unwrap().clients.len()
    }
}

fn block(number: u64, name: &str, data: &str) -> String {
    format!("id: {number}\nevent: {name}\ndata: {data}\n\n")
}

fn serve(mut socket: TcpStream, state: &Mutex<State>) {
    let Some(asked) = head(&socket) else { return };
    let path = asked.path.clone();
    let last = asked.header("last-event-id").and_then(|id| id.parse::<u64>().ok());
    let (orders, start) = {
        let mut state = state.lock().unwrap();
        let session = state.session.map(|session| format!("session-{session}"));
        if let (Some(session), false) = (&session, asked.body.is_empty()) {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nMcp-Session-Id: {session}\r\nContent-Type: application/json\r\n\
                 Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
            );
            state.posted.push(asked);
            drop(socket.write_all(answer.as_bytes()));
            return;
        }
        let is_in_session =
            session.is_none_or(|session| asked.header("mcp-session-id") == Some(&session));
        state.asked.push(asked);
        if path.starts_with("/boot") {
            let body = state.boot.clone();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
            drop(socket.write_all(answer.as_bytes()));
            return;
        }
        let is_forgotten = last.is_some_and(|last| last + 1 < state.oldest);
        let status = if !is_in_session {
            state.outside
        } else if state.statuses.is_empty() {
            if is_forgotten { state.forgotten } else { 200 }
        } else {
            state.statuses.remove(0)
        };
        if status != 200 {
            let answer =
                format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(socket.write_all(answer.as_bytes()));
            return;
        }
        let from = last.map_or(state.events.len() as u64 + 1, |last| last + 1).max(state.oldest);
        let missed = state.events.iter().filter(|(number, _, _)| *number >= from);
        let missed: String =
            missed.map(|(number, name, data)| block(*number, name, data)).collect();
        let (sender, orders) = channel();
        state.clients.push((path, sender));
        (orders, missed)
    };
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    if socket.write_all(head.as_bytes()).is_ok() && chunk(&mut socket, &start) {
        obey(socket, &orders);
    }
}

fn obey(mut socket: TcpStream, orders: &Receiver<Act>) {
    for act in orders {
        match act {
            Act::Send(text) => {
                if !chunk(&mut socket, &text) {
                    return;
                }
            }
            Act::Hang => {
                // Until the client goes.
                let mut rest = [0];
                drop(std::io::Read::read(&mut socket, &mut rest));
                return;
            }
            Act::End => {
                drop(socket.write_all(b"0\r\n\r\n"));
                return;
            }
            Act::Cut => {
                drop(socket.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

fn chunk(socket: &mut TcpStream, text: &str) -> bool {
    text.is_empty()
        || socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).is_ok()
}

fn head(socket: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(socket);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let request = lines.next()?;
    let path = request.split(' ').nth(1)?.to_owned();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    let mut asked = Asked { path, headers: headers.collect(), body: String::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok());
    reader.take(length.unwrap_or(0)).read_to_string(&mut asked.body).ok()?;
    Some(asked)
}
