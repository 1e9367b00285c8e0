//! Just enough HTTP/1.1: reads requests off a socket and writes answers, with nothing hidden.
//!
//! The service's faults are faults of bytes, so the bytes are written here by hand. Requests with
//! a chunked body are refused; the API has none.

use std::io;

use actix_web::{
    http::StatusCode,
    web::{Bytes, Query},
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request, read whole.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// The raw query, without `?`.
    pub(super) query: String,
    pub(super) body: Bytes,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
}

impl Request {
    /// The query's parameters, decoded; none if it is malformed.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        Query::from_query(&self.query).map(Query::into_inner).unwrap_or_default()
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The peer closed, properly, before one began; or the socket failed.
    Closed,
    /// Not a request that the service takes: to be answered with this status.
    Bad(u16),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// Reads the next request; `buffer` holds what came after the last one.
pub(super) async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
) -> Result<Request, Unread> {
    loop {
        if let Some((request, head, body)) = parse(buffer)? {
            while buffer.len() < head + body {
                if socket.read_buf(buffer).await? == 0 {
                    return Err(Unread::Closed);
                }
            }
            drop(buffer.split_to(head));
            return Ok(Request { body: buffer.split_to(body).freeze(), ..request });
        }
        if buffer.len() > HEAD_MAX {
            return Err(Unread::Bad(431));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err(Unread::Closed);
        }
    }
}

/// A request without its body, and the sizes of head and body; `None` if the head is incomplete.
fn parse(buffer: &[u8]) -> Result<Option<(Request, usize, usize)>, Unread> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(buffer).map_err(|_| Unread::Bad(400))?;
    let httparse::Status::Complete(head) = status else { return Ok(None) };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    if header("transfer-encoding").is_some() {
        return Err(Unread::Bad(411));
    }
    let body = match header("content-length").map(str::parse) {
        None => 0,
        Some(Ok(length)) if length <= BODY_MAX => length,
        Some(Ok(_)) => return Err(Unread::Bad(413)),
        Some(Err(_)) => return Err(Unread::Bad(400)),
    };
    let connection = header("connection").unwrap_or_default().to_ascii_lowercase();
    let keep_alive = match parsed.version {
        Some(1) => connection != "close",
        _ => connection == "keep-alive",
    };
    let (path, query) = match parsed.path.unwrap_or("/").split_once('?') {
        Some((path, query)) => (path, query),
        None => (parsed.path.unwrap_or("/"), ""),
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: Bytes::new(),
        keep_alive,
    };
    Ok(Some((request, head, body)))
}

/// An answer with a whole body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after_s: Option<u64>,
    /// JSON.
    pub(super) body: Bytes,
}

impl Answer {
    /// Writes it. Without a length, the body ends with the connection.
    pub(super) async fn write(
        &self,
        socket: &mut TcpStream,
        with_length: bool,
        keep_alive: bool,
    ) -> io::Result<()> {
        let mut bytes = status_line(self.status).into_bytes();
        bytes.extend_from_slice(b"content-type: application/json\r\n");
        if let Some(seconds) = self.retry_after_s {
            bytes.extend_from_slice(format!("retry-after: {seconds}\r\n").as_bytes());
        }
        if with_length {
            let length = format!("content-length: {}\r\n", self.body.len());
            bytes.extend_from_slice(length.as_bytes());
        }
        if !keep_alive {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        socket.write_all(&bytes).await
    }
}

/// The first line of an answer.
pub(super) fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or("Unknown"))
}

/// Reads and drops what the peer sends until it closes, or sends a RST.
pub(super) async fn wait_for_close(socket: &mut TcpStream) {
    let mut scratch = [0; 1024];
    while socket.read(&mut scratch).await.is_ok_and(|count| count > 0) {}
}

const HEADERS_MAX: usize = 64;
const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 1 << 20;
