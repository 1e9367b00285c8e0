//! A receiver: a real HTTP server whose answers are told beforehand, and a cable to it that can be cut.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What the next request is answered with.
pub(super) enum Answer {
    Status(u16),
    With(u16, &'static str, &'static str),
    /// Never.
    Hang,
    /// When so many requests are there.
    Together(Arc<Barrier>),
}

#[derive(Clone)]
pub(super) struct Got {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) is_taken: bool,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The records in it, byte for byte.
    pub(super) fn records(&self) -> Vec<Bytes> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let events: Vec<Event<'_>> = match self.header("content-type") {
            "application/cloudevents-batch+json; charset=utf-8" => {
                serde_json::from_slice(&self.body).unwrap()
            }
            "application/cloudevents+json; charset=utf-8" => {
                vec![serde_json::from_slice(&self.body).unwrap()]
            }
            other => panic!("{other}"),
        };
        let record = |event: &Event<'_>| Bytes::copy_from_slice(event.data.get().as_bytes());
        events.iter().map(record).collect()
    }
}

#[derive(Clone, Default)]
pub(super) struct Receiver {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    /// On a free port of `listener`'s.
    pub(super) fn start<L>(listener: L) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let receiver = Self::default();
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        receiver
    }

    pub(super) async fn on_a_free_port() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self::start(listener), address)
    }

    pub(super) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// All requests so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(super) fn records(&self) -> Vec<Bytes> {
        self.got().iter().filter(|got| got.is_taken).flat_map(Got::records).collect()
    }
}

/// The receiver refuses an event with this in its id, for ever.
pub(super) const POISON: &str = "poison";

async fn take(State(receiver): State<Receiver>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let is_poisoned = String::from_utf8_lossy(&body).contains(POISON);
    let answer = receiver.answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or(Answer::Status(if is_poisoned { 422 } else { 204 }));
    let is_taken = match &answer {
        Answer::Status(status) | Answer::With(status, ..) => *status < 300,
        Answer::Hang => false,
        Answer::Together(_) => true,
    };
    let (method, uri, version, headers) = (head.method, head.uri, head.version, head.headers);
    receiver.got.lock().unwrap().push(Got { method, uri, version, headers, body, is_taken });
    let status = |status: u16| StatusCode::from_u16(status).unwrap();
    match answer {
        Answer::Status(code) => status(code).into_response(),
        Answer::With(code, name, value) => (status(code), [(name, value)]).into_response(),
        Answer::Hang => std::future::pending().await,
        Answer::Together(barrier) => {
            barrier.wait().await;
            status(200).into_response()
        }
    }
}

/// A cable to a receiver: it swallows answers, or breaks in the middle of a request.
pub(super) struct Cable {
    pub(super) address: SocketAddr,
    answers_lost: Arc<AtomicUsize>,
    requests_torn: Arc<AtomicUsize>,
}

impl Cable {
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers_lost = Arc::new(AtomicUsize::new(0));
        let requests_torn = Arc::new(AtomicUsize::new(0));
        let (lost, torn) = (Arc::clone(&answers_lost), Arc::clone(&requests_torn));
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(server).await.unwrap();
                tokio::spawn(carry(near, far, Arc::clone(&lost), Arc::clone(&torn)));
            }
        });
        Self { address, answers_lost, requests_torn }
    }

    /// The next answer does not come through: the connection is cut when it comes.
    pub(super) fn lose_an_answer(&self) {
        self.answers_lost.fetch_add(1, Ordering::SeqCst);
    }

    /// Of the next request only some bytes come through.
    pub(super) fn tear_a_request(&self) {
        self.requests_torn.fetch_add(1, Ordering::SeqCst);
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

async fn carry(
    mut near: TcpStream,
    mut far: TcpStream,
    lost: Arc<AtomicUsize>,
    torn: Arc<AtomicUsize>,
) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => match read {
                Ok(count @ 1..) => {
                    if take_one(&torn) {
                        far.write_all(&up[..count.min(40)]).await.unwrap();
                        return;
                    }
                    far.write_all(&up[..count]).await.unwrap();
                }
                _ => return,
            },
            read = far.read(&mut down) => match read {
                Ok(count @ 1..) if !take_one(&lost) => near.write_all(&down[..count]).await.unwrap(),
                _ => return,
            },
        }
    }
}
