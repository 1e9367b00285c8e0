//! The calls on stream resources, over the real thing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamkeeper::Secret;
use streamkeeper::transport::{Auth, HttpTransport};
use streamkeeper_call::{TransportError, TransportErrorKind};
use streamkeeper_inform::{CallErrorKind, Client, Deletion, NewStream};
use tokio::io::AsyncWriteExt as _;

use super::server::{Server, direct, request, until_closed, within};

fn client(server: &Server) -> Client<HttpTransport> {
    let mut settings = server.settings();
    settings.auth = Auth::token(Secret::new("t0ken"));
    settings.call_timeout = Duration::from_millis(500);
    Client::new(HttpTransport::new(settings).unwrap())
}

async fn failure(server: &Server) -> TransportError {
    match within(client(server).create(&NewStream::default())).await.unwrap_err().kind {
        CallErrorKind::Transport(error) => error,
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn calls_in_full() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_server = Arc::clone(&seen);
    let server = Server::start(move |mut tcp| {
        let seen = Arc::clone(&seen_by_server);
        async move {
            let request = request(&mut tcp).await;
            let body = if request.starts_with("GET /streams?") {
                r#"[{"id":"s1"}]"#
            } else {
                r#"{"id":"s1"}"#
            };
            seen.lock().unwrap().push(request);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            tcp.write_all(answer.as_bytes()).await.unwrap();
            // Kept alive, as servers do.
            until_closed(&mut tcp).await;
        }
    });
    let client = client(&server);
    assert_eq!(client.list().await.unwrap()[0].id, "s1");
    let new = NewStream { name: "acme".into(), ..NewStream::default() };
    assert_eq!(client.create(&new).await.unwrap().id, "s1");
    client.rename("s1", "other").await.unwrap();
    assert_eq!(client.delete("s1").await.unwrap(), Deletion::Deleted);
    let seen = seen.lock().unwrap();
    let lines: Vec<_> = seen.iter().map(|request| request.lines().next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "GET /streams?token=t0ken HTTP/1.1",
            "POST /streams?token=t0ken HTTP/1.1",
            "PUT /streams/s1?token=t0ken HTTP/1.1",
            "DELETE /streams/s1?token=t0ken HTTP/1.1",
        ]
    );
    assert!(seen[1].ends_with("\r\n\r\n{\"name\":\"acme\"}"), "{}", seen[1]);
    assert!(seen[1].contains("content-type: application/json"));
    assert!(seen[0].contains("accept: application/json"));
}

#[actix_rt::test]
async fn a_refusal_keeps_its_reason_and_its_wait() {
    let body = r#"{"errors":["slow down"]}"#;
    let length = body.len();
    let server = Server::saying(format!(
        "HTTP/1.1 429 No\r\nRetry-After: 3\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let error = client(&server).list().await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::RateLimited);
    assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
}

#[actix_rt::test]
async fn a_lost_answer_says_that_the_request_was_sent() {
    for (answer, kind) in [
        ("", TransportErrorKind::Lost),
        ("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":", TransportErrorKind::Lost),
        (
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n",
            TransportErrorKind::Lost,
        ),
        ("SSH-2.0-OpenSSH\r\n", TransportErrorKind::Protocol),
    ] {
        let server = Server::saying(answer);
        assert_eq!(failure(&server).await, TransportError { sent: true, kind }, "{answer}");
    }
}

#[actix_rt::test]
async fn a_body_that_trickles_times_out_and_one_without_end_is_too_large() {
    for (endless, kind) in
        [(false, TransportErrorKind::Timeout), (true, TransportErrorKind::TooLarge)]
    {
        let server = Server::start(move |mut tcp| async move {
            request(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while endless && tcp.write_all(&[b' '; 65_536]).await.is_ok() {}
            until_closed(&mut tcp).await;
        });
        let mut settings = server.settings();
        // The large body has all the time it needs.
        settings.call_timeout = Duration::from_millis(if endless { 20_000 } else { 300 });
        let client = Client::new(HttpTransport::new(settings).unwrap());
        let error = within(client.list()).await.unwrap_err();
        assert_eq!(error.kind, CallErrorKind::Transport(TransportError { sent: true, kind }));
    }
}

#[actix_rt::test]
async fn without_a_connection_nothing_was_sent() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = direct(format!("http://{dead}"));
    let client = Client::new(HttpTransport::new(settings).unwrap());
    let error = client.create(&NewStream::default()).await.unwrap_err();
    let kind = TransportErrorKind::Connect;
    assert_eq!(error.kind, CallErrorKind::Transport(TransportError { sent: false, kind }));
    assert!(!error.may_have_acted());
}

#[actix_rt::test]
async fn an_answer_whose_encoding_names_no_compression_is_read_as_it_is() {
    for coding in ["none", "utf-8", "identity, identity", "", "Binary"] {
        let body = r#"[{"id":"s1"}]"#;
        let server = Server::saying(format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(client(&server).list().await.unwrap()[0].id, "s1", "{coding}");
    }
    let server =
        Server::saying("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n[]");
    assert!(client(&server).list().await.is_err());
}
