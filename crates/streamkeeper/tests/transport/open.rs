//! Opening a stream: what is sent, and every way in which it fails.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use streamkeeper::Secret;
use streamkeeper::transport::{
    Auth, Control, HttpTransport, OpenError, OpenErrorKind, OpenPhase, SettingsError,
};
use streamkeeper_inform::{ApiCall, CallErrorKind, Unprocessable};
use tokio::io::AsyncWriteExt as _;

use super::server::{
    BlackHole, SSE_HEAD, Server, chunk, direct, found, refusing, request, until_closed, within,
};

async fn refused(server: &Server) -> OpenError {
    server.transport().open_sse("/s", &[], &Control::new()).await.unwrap_err()
}

#[actix_rt::test]
async fn the_request_in_full() {
    let seen = Arc::new(Mutex::new(String::new()));
    let seen_by_server = Arc::clone(&seen);
    let server = Server::start(move |mut tcp| {
        let seen = Arc::clone(&seen_by_server);
        async move {
            *seen.lock().unwrap() = request(&mut tcp).await;
            tcp.write_all(SSE_HEAD.as_bytes()).await.unwrap();
            until_closed(&mut tcp).await;
        }
    });
    let mut settings = server.settings();
    settings.url += "/base/";
    settings.auth = Auth::token(Secret::new("a b&c"));
    let transport = HttpTransport::new(settings).unwrap();
    let path = "/streams/1/connect?x=y";
    let _response =
        transport.open_sse(path, &[("Last-Event-ID", "7")], &Control::new()).await.unwrap();
    let request = seen.lock().unwrap().clone();
    let mut lines: Vec<_> = request.trim_end().lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "get /base/streams/1/connect?x=y&token=a%20b%26c http/1.1");
    lines.retain(|line| !line.starts_with("date: "));
    lines.sort();
    let host = format!("host: {}", server.addr);
    let agent = format!("user-agent: streamkeeper/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: text/event-stream",
            "cache-control: no-store",
            &host,
            "last-event-id: 7",
            &agent,
        ]
    );
}

#[actix_rt::test]
async fn more_than_100_connections_at_once() {
    let server = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        tcp.write_all(SSE_HEAD.as_bytes()).await.unwrap();
        tcp.write_all(chunk(": hi\n").as_bytes()).await.unwrap();
        until_closed(&mut tcp).await;
    });
    let transport = server.transport();
    let controls: Vec<_> = (0..120).map(|_| Control::new()).collect();
    let opening = join_all(controls.iter().map(|control| transport.open_sse("/s", &[], control)));
    let mut responses: Vec<_> =
        within(opening).await.into_iter().map(|response| response.unwrap()).collect();
    for response in &mut responses {
        assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), ": hi\n");
    }
    assert_eq!(server.accepted(), 120);
    assert!(controls.iter().all(|control| !control.is_closed()));
}

#[actix_rt::test]
async fn every_stream_has_a_connection_of_its_own() {
    let server = Server::start(|mut tcp| async move {
        // A server that serves one request after the other on a connection.
        while !request(&mut tcp).await.is_empty() {
            let answer = format!("{SSE_HEAD}0\r\n\r\n");
            tcp.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let transport = server.transport();
    for count in 1..=5 {
        let mut response = transport.open_sse("/s", &[], &Control::new()).await.unwrap();
        assert!(within(response.next_chunk()).await.is_none());
        assert_eq!(server.accepted(), count);
    }
}

#[actix_rt::test]
async fn a_head_that_never_completes_times_out() {
    let server = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            tick.tick().await;
            if tcp.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let mut settings = server.settings();
    settings.connect_timeout = Duration::from_millis(300);
    let transport = HttpTransport::new(settings).unwrap();
    let control = Control::new();
    let error = within(transport.open_sse("/s", &[], &control)).await.unwrap_err();
    let expected = OpenError { phase: OpenPhase::Head, sent: true, kind: OpenErrorKind::Timeout };
    assert_eq!(error, expected);
    assert!(control.is_closed());
}

#[actix_rt::test]
async fn a_dead_first_address_costs_little() {
    let server = Server::saying(SSE_HEAD);
    let hole = BlackHole::new();
    for dead in [vec![refusing()], vec![hole.addr], vec![hole.addr, refusing(), hole.addr]] {
        let mut settings = server.settings();
        let addresses = dead.iter().copied().chain([server.addr]).collect();
        settings.url = "http://example.invalid".to_owned();
        settings.look_up = found(addresses);
        settings.connect_timeout = Duration::from_secs(5);
        let transport = HttpTransport::new(settings).unwrap();
        let begun = Instant::now();
        within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3), "{dead:?}");
    }
}

#[actix_rt::test]
async fn without_a_connection_nothing_was_sent() {
    let hole = BlackHole::new();
    for (dead, kind) in [
        (vec![refusing(), refusing()], OpenErrorKind::Network(ErrorKind::ConnectionRefused)),
        (vec![hole.addr], OpenErrorKind::Timeout),
    ] {
        let mut settings = direct("http://example.invalid");
        settings.look_up = found(dead);
        settings.connect_timeout = Duration::from_millis(300);
        let transport = HttpTransport::new(settings).unwrap();
        let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
        assert_eq!(error, OpenError { phase: OpenPhase::Connect, sent: false, kind });
    }
}

#[actix_rt::test]
async fn an_unknown_host_fails_in_the_look_up() {
    let transport = HttpTransport::new(direct("http://no.such.invalid")).unwrap();
    let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    assert_eq!((error.phase, error.sent), (OpenPhase::Dns, false));
}

#[actix_rt::test]
async fn a_connection_closed_without_an_answer() {
    let server = Server::saying("");
    let error = refused(&server).await;
    let kind = OpenErrorKind::Network(ErrorKind::UnexpectedEof);
    assert_eq!(error, OpenError { phase: OpenPhase::Head, sent: true, kind });

    let cut = Server::saying("HTTP/1.1 200 OK\r\nContent-");
    assert_eq!(refused(&cut).await, error);
}

#[actix_rt::test]
async fn what_is_not_http_is_refused() {
    for answer in ["SSH-2.0-OpenSSH_9.6\r\n".to_owned(), "x".repeat(100), huge_head()] {
        let server = Server::saying(answer);
        let error = refused(&server).await;
        assert_eq!((error.phase, error.kind), (OpenPhase::Head, OpenErrorKind::Protocol));
    }
}

fn huge_head() -> String {
    format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000))
}

#[actix_rt::test]
async fn redirects_are_refused() {
    let lured = Arc::new(AtomicBool::new(false));
    let lured_by = Arc::clone(&lured);
    let elsewhere = Server::start(move |_| {
        lured_by.store(true, Ordering::SeqCst);
        async {}
    });
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.addr;
        let server = Server::saying(format!(
            "HTTP/1.1 {status} Go\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n"
        ));
        let error = refused(&server).await;
        assert!(matches!(&error.kind, OpenErrorKind::Answer(answer) if answer.status == status));
        assert_eq!(server.accepted(), 1);
    }
    assert!(!lured.load(Ordering::SeqCst));
}

#[actix_rt::test]
async fn answers_that_are_no_stream() {
    let too_many = CallErrorKind::Unprocessable(Unprocessable::TooManyClients);
    let wait = Some(Duration::from_secs(7));
    for (head, status, retry_after, refusal) in [
        ("422 No\r\nRetry-After: 7", 422, wait, too_many),
        ("401 No", 401, None, CallErrorKind::Unauthorized),
        ("403 No", 403, None, CallErrorKind::Forbidden),
        ("404 No", 404, None, CallErrorKind::NotFound { status: 404 }),
        ("429 No\r\nretry-after: 7", 429, wait, CallErrorKind::RateLimited),
        (
            "503 No\r\nDate: Sun, 19 Apr 2026 16:48:00 GMT\r\nRetry-After: Sun, 19 Apr 2026 16:48:07 GMT",
            503,
            wait,
            CallErrorKind::Server { status: 503 },
        ),
        ("204 Nothing", 204, None, CallErrorKind::Unexpected { status: 204 }),
    ] {
        let body = r#"{"errors":["Stream has reached its maximum number of clients"]}"#;
        let length = if status == 204 { 0 } else { body.len() };
        let body = &body[..length];
        let server =
            Server::saying(format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}"));
        let error = refused(&server).await;
        let OpenErrorKind::Answer(answer) = &error.kind else { panic!("{error}") };
        let said = CallErrorKind::of_response(ApiCall::Connect, answer);
        assert_eq!(said.unwrap_or(CallErrorKind::Unexpected { status }), refusal);
        assert_eq!((error.status(), error.retry_after()), (Some(status), retry_after));
        assert!(error.sent);
    }
}

#[actix_rt::test]
async fn a_refusal_that_never_ends_is_cut_off() {
    for endless in [true, false] {
        let server = Server::start(move |mut tcp| async move {
            request(&mut tcp).await;
            tcp.write_all(b"HTTP/1.1 422 No\r\n\r\n").await.unwrap();
            while endless && tcp.write_all(&[b' '; 4096]).await.is_ok() {}
            until_closed(&mut tcp).await;
        });
        assert_eq!(within(refused(&server)).await.status(), Some(422));
    }
}

#[actix_rt::test]
async fn other_content_types_are_refused() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>");
    assert_eq!(refused(&server).await.kind, OpenErrorKind::NotEventStream);
}

#[actix_rt::test]
async fn impossible_requests_are_refused() {
    let server = Server::saying(SSE_HEAD);
    let transport = server.transport();
    for (path, headers) in [("/a b", &[][..]), ("/", &[("x\n", "y")]), ("/", &[("x", "y\nz")])] {
        let error = transport.open_sse(path, headers, &Control::new()).await.unwrap_err();
        assert_eq!((error.kind, error.sent), (OpenErrorKind::Request, false), "{path}");
    }
    // A control is for one attempt: a second would have no handle of its own.
    let control = Control::new();
    let _first = transport.open_sse("/", &[], &control).await.unwrap();
    let error = transport.open_sse("/", &[], &control).await.unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::Request);
    assert_eq!(HttpTransport::new(direct("nonsense")).unwrap_err(), SettingsError::Url);
}
