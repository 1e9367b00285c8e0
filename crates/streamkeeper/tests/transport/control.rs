//! Closing a connection from elsewhere: gently, and at once.

use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::poll;
use streamkeeper::transport::{Control, EndKind, HttpTransport, OpenErrorKind, OpenPhase};
use tokio::io::AsyncWriteExt as _;

use super::server::{
    BlackHole, PATIENCE, SSE_HEAD, Server, chunk, read_all, request, say_and_wait, until_closed,
    within,
};

/// Says one event, waits for the client's FIN, says another and ends its stream in order.
fn ends_at_half_close() -> Server {
    Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        say_and_wait(&mut tcp, &format!("{SSE_HEAD}{}", chunk("data: 1\n\n"))).await;
        let rest = format!("{}0\r\n\r\n", chunk("data: 2\n\n"));
        tcp.write_all(rest.as_bytes()).await.unwrap();
    })
}

#[actix_rt::test]
async fn after_a_half_close_the_rest_is_read() {
    let server = ends_at_half_close();
    let mut response = server.open().await;
    assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
    let control = response.control().clone();
    let (waits, waiting) = tokio::sync::oneshot::channel();
    let reading = actix_rt::spawn(async move {
        let (text, error) = {
            let mut reading = pin!(read_all(&mut response));
            assert!(poll!(&mut reading).is_pending());
            // Received only after the await below has found nothing either.
            waits.send(()).unwrap();
            reading.await
        };
        (text, error, response.end())
    });
    within(waiting).await.unwrap();
    // From another thread, while the reader waits: it must be woken.
    std::thread::spawn(move || control.half_close()).join().unwrap();
    let expected = ("data: 2\n\n".to_owned(), None, Some(EndKind::Terminated));
    assert_eq!(reading.await.unwrap(), expected);
}

#[actix_rt::test]
async fn a_half_close_asked_for_early_is_carried_out() {
    let server = ends_at_half_close();
    let mut response = server.open().await;
    response.control().half_close();
    let (text, error) = read_all(&mut response).await;
    assert_eq!((text.as_str(), error), ("data: 1\n\ndata: 2\n\n", None));
}

#[test]
fn a_kill_needs_nothing_of_a_blocked_arbiter() {
    let (closed, closings) = mpsc::channel();
    let server = Server::start(move |mut tcp| {
        let closed = closed.clone();
        async move {
            request(&mut tcp).await;
            say_and_wait(&mut tcp, SSE_HEAD).await;
            closed.send(Instant::now()).unwrap();
        }
    });
    let control = Control::new();
    let transport = server.transport();
    let (opened, opening) = mpsc::channel();
    let (unblock, blocked) = mpsc::channel::<()>();
    let client_control = control.clone();
    let client = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let mut response = transport.open_sse("/s", &[], &client_control).await.unwrap();
            opened.send(()).unwrap();
            // The thread of this connection stands still.
            blocked.recv().unwrap();
            assert!(response.next_chunk().await.is_none());
            response.end()
        })
    });
    opening.recv_timeout(PATIENCE).unwrap();
    assert!(!control.is_closed());
    let begun = Instant::now();
    control.kill();
    let seen = closings.recv_timeout(PATIENCE).unwrap().duration_since(begun);
    // Far below a millisecond on an idle machine, which this one need not be.
    assert!(seen < Duration::from_secs(1), "the server saw it after {seen:?}");
    unblock.send(()).unwrap();
    assert_eq!(client.join().unwrap(), Some(EndKind::Killed));
    assert!(control.is_closed());
}

#[actix_rt::test]
async fn a_kill_ends_the_body_without_an_error() {
    let server = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        say_and_wait(&mut tcp, SSE_HEAD).await;
    });
    let mut response = server.open().await;
    let control = response.control().clone();
    let killing = std::thread::spawn(move || control.kill());
    let (text, error) = read_all(&mut response).await;
    killing.join().unwrap();
    assert_eq!((text.as_str(), error, response.end()), ("", None, Some(EndKind::Killed)));
}

#[actix_rt::test]
async fn a_connection_can_be_killed_before_it_has_answered() {
    let (asked, asking) = tokio::sync::oneshot::channel();
    let asked = Arc::new(Mutex::new(Some(asked)));
    let server = Server::start(move |mut tcp| {
        let asked = asked.lock().unwrap().take();
        async move {
            request(&mut tcp).await;
            asked.map(|asked| asked.send(()));
            until_closed(&mut tcp).await;
        }
    });
    let control = Control::new();
    let transport = server.transport();
    let (opened, ()) = tokio::join!(transport.open_sse("/s", &[], &control), async {
        within(asking).await.unwrap();
        control.kill();
    });
    let error = opened.unwrap_err();
    assert_eq!((error.phase, error.sent), (OpenPhase::Head, true));
    assert_eq!(error.kind, OpenErrorKind::Killed);

    // A listener that drops what it cannot queue: the connection is never made.
    let hole = BlackHole::new();
    let mut settings = server.settings();
    settings.url = format!("http://{}", hole.addr);
    let stuck = HttpTransport::new(settings).unwrap();
    let control = Control::new();
    {
        let mut opening = pin!(stuck.open_sse("/s", &[], &control));
        assert!(poll!(&mut opening).is_pending());
        control.kill();
        let Poll::Ready(Err(error)) = poll!(&mut opening) else { panic!("still opening") };
        assert_eq!((error.kind, error.sent), (OpenErrorKind::Killed, false));
    }

    let never = Control::new();
    never.kill();
    let error = transport.open_sse("/s", &[], &never).await.unwrap_err();
    assert_eq!((error.kind, error.sent), (OpenErrorKind::Killed, false));
    assert!(never.is_closed());
}

#[actix_rt::test]
async fn a_control_keeps_no_socket_open() {
    let (closed, mut closings) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut tcp| {
        let closed = closed.clone();
        async move {
            request(&mut tcp).await;
            say_and_wait(&mut tcp, SSE_HEAD).await;
            closed.send(()).unwrap();
        }
    });
    let response = server.open().await;
    let control = response.control().clone();
    tokio::join!(control.closed(), async { drop(response) });
    within(closings.recv()).await.unwrap();
    assert!(control.is_closed());
    // Too late for either, and harmless.
    control.half_close();
    control.kill();
}
