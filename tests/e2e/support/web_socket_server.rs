//! A small WebSocket server that goes on from `?since=`, over a library that knows RFC 6455, and made to misbehave on
//! command.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message, WebSocket};

use super::Authority;

/// What is done to the open connections.
#[derive(Clone, Debug)]
enum Act {
    Send(Vec<Message>),
    /// Nothing more is read or sent, and the connection stays.
    Hang,
    /// It is closed with this code.
    Close(u16),
    /// The connection is cut.
    Cut,
}

#[derive(Default)]
struct State {
    events: Vec<String>,
    /// Path, query, and the bearer that came with it.
    asked: Vec<(String, Option<String>)>,
    clients: Vec<Sender<Act>>,
    /// The next requests are answered so.
    statuses: Vec<u16>,
    /// The codes with which clients have closed.
    closed: Vec<u16>,
}

/// A running server; its threads end with the process.
pub(crate) struct WebSocketServer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl WebSocketServer {
    pub(crate) fn start() -> Self {
        Self::start_with("ws", |socket, state| serve(socket.try_clone().unwrap(), &socket, state))
    }

    /// Over TLS, with a certificate of this authority.
    pub(crate) fn start_secured(authority: &Authority) -> Self {
        let tls = Authority::server(authority.issue("127.0.0.1"), None);
        Self::start_with("wss", move |socket, state| {
            let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let stream = StreamOwned::new(session, socket.try_clone().unwrap());
            serve(stream, &socket, state);
        })
    }

    fn start_with(
        scheme: &str,
        serve: impl Fn(TcpStream, &Mutex<State>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}/events", listener.local_addr().unwrap());
        let serve = Arc::new(serve);
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (serve, state) = (Arc::clone(&serve), Arc::clone(&shared));
                std::thread::spawn(move || serve(socket, &state));
            }
        });
        Self { url, state }
    }

    /// A new event: its number, `n` from 0 and `seq` from 1.
    pub(crate) fn emit(&self) {
        let mut state = self.state.lock().unwrap();
        let number = state.events.len();
        let text = format!("{{\"n\":{number},\"seq\":{}}}", number + 1);
        state.events.push(text.clone());
        let act = Act::Send(vec![Message::text(text)]);
        state.clients.retain(|client| client.send(act.clone()).is_ok());
    }

    /// The same, in so many parts, with a ping among them.
    pub(crate) fn emit_in_parts(&self, parts: usize) {
        let mut state = self.state.lock().unwrap();
        let number = state.events.len();
        let text = format!("{{\"n\":{number},\"seq\":{}}}", number + 1);
        state.events.push(text.clone());
        let chunks: Vec<_> = text.as_bytes().chunks(text.len().div_ceil(parts)).collect();
        let last = chunks.len() - 1;
        let mut messages = vec![];
        for (place, chunk) in chunks.into_iter().enumerate() {
            let kind = if place == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(chunk.to_vec(), OpCode::Data(kind), place == last);
            messages.push(Message::Frame(frame));
            if place == 0 {
                messages.push(Message::Ping(vec![1, 2].into()));
            }
        }
        state.clients.retain(|client| client.send(Act::Send(messages.clone())).is_ok());
    }

    /// This very message, to whoever is connected.
    pub(crate) fn say(&self, message: Message) {
        let clients = &mut self.state.lock().unwrap().clients;
        clients.retain(|client| client.send(Act::Send(vec![message.clone()])).is_ok());
    }

    pub(crate) fn hang(&self) {
        self.end(&Act::Hang);
    }

    pub(crate) fn close(&self, code: u16) {
        self.end(&Act::Close(code));
    }

    pub(crate) fn cut(&self) {
        self.end(&Act::Cut);
    }

    fn end(&self, act: &Act) {
        for client in std::mem::take(&mut self.state.lock().unwrap().clients) {
            drop(client.send(act.clone()));
        }
    }

    /// The next requests are answered so.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        self.state.lock().unwrap().statuses.extend(statuses);
    }

    /// What was asked for, in order, and with which bearer.
    pub(crate) fn asked(&self) -> Vec<(String, Option<String>)> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn connected(&self) -> usize {
        self.state.lock().unwrap().clients.len()
    }

    /// The codes with which clients have closed.
    pub(crate) fn closed(&self) -> Vec<u16> {
        self.state.lock().unwrap().closed.clone()
    }
}

/// Serves one client over `stream`, which lies on `tcp`.
fn serve(stream: impl Read + Write, tcp: &TcpStream, state: &Mutex<State>) {
    let mut asked = None;
    let judge = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let bearer = request.headers().get("authorization");
        let bearer = bearer.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut state = state.lock().unwrap();
        state.asked.push((request.uri().to_string(), bearer));
        asked = Some(request.uri().query().unwrap_or_default().to_owned());
        if state.statuses.is_empty() {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = state.statuses.remove(0).try_into().unwrap();
        Err(refusal)
    };
    let Ok(mut socket) = tungstenite::accept_hdr(stream, judge) else { return };
    let since = asked.and_then(|query| query.strip_prefix("since=")?.parse::<usize>().ok());
    let orders = {
        let mut state = state.lock().unwrap();
        let missed = state.events.get(since.unwrap_or(state.events.len())..).unwrap_or_default();
        for text in missed.iter().cloned() {
            if socket.send(Message::text(text)).is_err() {
                return;
            }
        }
        let (sender, orders) = channel();
        state.clients.push(sender);
        orders
    };
    obey(&mut socket, tcp, &orders, state);
}

fn obey(
    socket: &mut WebSocket<impl Read + Write>,
    tcp: &TcpStream,
    orders: &Receiver<Act>,
    state: &Mutex<State>,
) {
    // Questions are answered while the next order is waited for.
    tcp.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => {
                let code = frame.map_or(1005, |frame| frame.code.into());
                state.lock().unwrap().closed.push(code);
            }
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(_) => {}
            Err(_) => return,
        }
        let sent = match orders.try_recv() {
            Ok(Act::Send(messages)) => messages.into_iter().try_for_each(|one| socket.send(one)),
            Ok(Act::Close(code)) => {
                socket.close(Some(CloseFrame { code: code.into(), reason: "".into() }))
            }
            Ok(Act::Hang) => {
                // Until the client goes.
                tcp.set_read_timeout(None).unwrap();
                let mut rest = [0; 1_024];
                while matches!(socket.get_mut().read(&mut rest), Ok(1..)) {}
                return;
            }
            Ok(Act::Cut) => {
                drop(tcp.shutdown(Shutdown::Both));
                return;
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
}
