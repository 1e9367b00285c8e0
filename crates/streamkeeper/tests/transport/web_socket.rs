//! A WebSocket is opened by an answer that has understood the question, and by no other.

use std::time::Duration;

use actix_http::ws::hash_key;
use bytes::Bytes;
use streamkeeper::transport::{Control, EndKind, OpenErrorKind, SseResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, request, until_closed};

/// The head that opens what was asked for.
fn opening(asked: &str) -> String {
    let header = |name: &str| {
        let of = |line: &'_ str| line.to_lowercase().starts_with(&format!("{name}: "));
        asked.lines().find(|line| of(line)).unwrap_or_default()[name.len() + 2..].to_owned()
    };
    assert_eq!(header("connection").to_lowercase(), "upgrade", "{asked}");
    assert_eq!(
        (header("upgrade"), header("sec-websocket-version")),
        ("websocket".into(), "13".into())
    );
    let accept = hash_key(header("sec-websocket-key").as_bytes());
    let accept = String::from_utf8_lossy(&accept).into_owned();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

async fn open(server: &Server, control: &Control) -> Result<SseResponse, OpenErrorKind> {
    let transport = server.transport();
    transport.open_web_socket("/s", &[], control).await.map_err(|error| error.kind)
}

/// What is read, as one text, up to the end.
async fn rest(response: &mut SseResponse) -> String {
    let mut read = Vec::new();
    while let Some(Ok(chunk)) = response.next_chunk().await {
        read.extend(chunk);
    }
    String::from_utf8(read).unwrap()
}

/// Answers what it is told, word for word, until it is told to go.
async fn echo(mut tcp: TcpStream) {
    let asked = request(&mut tcp).await;
    let first = format!("{}first;", opening(&asked));
    tcp.write_all(first.as_bytes()).await.unwrap();
    let mut said = [0; 64];
    while let Ok(length @ 1..) = tcp.read(&mut said).await {
        tcp.write_all(&said[..length]).await.unwrap();
        if said[..length].ends_with(b"bye;") {
            return;
        }
    }
}

#[actix_rt::test]
async fn what_is_said_goes_out_and_a_half_close_is_a_farewell() {
    let server = Server::start(echo);
    let control = Control::new();
    let mut response = open(&server, &control).await.unwrap();
    assert_eq!(response.next_chunk().await, Some(Ok(Bytes::from("first;"))));
    response.say(b"hello;");
    assert_eq!(response.next_chunk().await, Some(Ok(Bytes::from("hello;"))));
    response.set_farewell(Bytes::from("bye;"));
    control.half_close();
    assert_eq!(rest(&mut response).await, "bye;");
    assert_eq!(response.end(), Some(EndKind::Closed));
}

#[actix_rt::test]
async fn a_kill_works_from_any_thread() {
    let server = Server::start(echo);
    let control = Control::new();
    let mut response = open(&server, &control).await.unwrap();
    assert_eq!(response.next_chunk().await, Some(Ok(Bytes::from("first;"))));
    std::thread::spawn(move || control.kill()).join().unwrap();
    let end = tokio::time::timeout(PATIENCE, rest(&mut response)).await;
    assert_eq!((end.unwrap().as_str(), response.end()), ("", Some(EndKind::Killed)));
}

#[actix_rt::test]
async fn what_opens_none_is_no_websocket() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let server = Server::saying(answer);
        let refused = open(&server, &Control::new()).await.err();
        assert_eq!(refused, Some(OpenErrorKind::NotWebSocket), "{answer}");
    }
}

#[actix_rt::test]
async fn a_refusal_has_its_status_and_how_long_to_wait() {
    let answer = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy";
    let server = Server::saying(answer);
    let Some(OpenErrorKind::Answer(refusal)) = open(&server, &Control::new()).await.err() else {
        panic!("it was answered")
    };
    assert_eq!((refusal.status, &refusal.body[..]), (503, &b"busy"[..]));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
}

#[actix_rt::test]
async fn events_are_none_that_come_over_another_protocol() {
    let server = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
        tcp.write_all(head.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
        until_closed(&mut tcp).await;
    });
    let error = server.transport().open_sse("/s", &[], &Control::new()).await.unwrap_err();
    assert_eq!(error.status(), Some(101));
}
