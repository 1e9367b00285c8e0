//! No secret shows anywhere: not in a log at the finest level, an error, or a `Debug` output.
//!
//! A binary of its own: it captures everything that the whole process logs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "transport/server.rs"]
mod server;

use std::io::Write;
use std::sync::{Arc, Mutex};

use server::{SSE_HEAD, Server, chunk, direct, read_all, request, within};
use streamkeeper::Secret;
use streamkeeper::transport::{Auth, Control, HttpTransport, Proxy, TransportSettings};
use streamkeeper_inform::{Client, NewStream};
use tokio::io::AsyncWriteExt as _;

const TOKEN: &str = "t0ken-MARKER";
const PAYLOAD: &str = "payload-MARKER";

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_rt::test]
async fn the_token_is_never_shown() {
    let capture = Capture::default();
    let writer = capture.clone();
    // Installs the bridge from the `log` crate too, which awc uses.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();

    let mut shown = Vec::new();
    for answer in [
        format!("{SSE_HEAD}{}0\r\n\r\n", chunk(PAYLOAD)),
        format!("HTTP/1.1 200 OK\r\n\r\n{PAYLOAD}"),
        format!("{SSE_HEAD}{PAYLOAD}"),
        format!("HTTP/1.1 302 Go\r\nLocation: /?token={TOKEN}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 422 No\r\n\r\n{{\"errors\":[\"{TOKEN} {PAYLOAD}\"]}}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{PAYLOAD}"),
        format!("HTTP/1.1 200 OK\r\nContent-Type: {PAYLOAD}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {PAYLOAD}\r\n\r\n"),
        PAYLOAD.to_owned(),
        String::new(),
    ] {
        let server = Server::saying(answer);
        let settings = with_token(server.settings());
        shown.push(format!("{settings:?}"));
        let transport = HttpTransport::new(settings).unwrap();
        let control = Control::new();
        match within(transport.open_sse("/s", &[("x", PAYLOAD)], &control)).await {
            Ok(mut response) => {
                let (_, error) = read_all(&mut response).await;
                shown.push(format!("{response:?} {error:?} {transport:?} {control:?}"));
            }
            Err(error) => shown.push(whole(&error)),
        }
        let client = Client::new(transport);
        shown.push(format!("{client:?} {}", whole(&client.list().await.unwrap_err())));
        let new = NewStream::default();
        shown.push(whole(&client.create(&new).await.err().unwrap()));
    }
    // No connection, no host, no URL, no TLS.
    for url in ["http://127.0.0.1:9", "http://no.such.invalid", "https://127.0.0.1:9"] {
        let settings = with_token(direct(format!("{url}/?secret={TOKEN}")));
        match HttpTransport::new(settings) {
            Ok(transport) => {
                let opening = transport.open_sse("", &[], &Control::new()).await;
                shown.push(whole(&opening.unwrap_err()));
            }
            Err(error) => shown.push(whole(&error)),
        }
    }
    for auth in forms() {
        shown.extend(with_each_answer(auth).await);
    }
    let nonsense = direct(format!("nonsense {TOKEN}"));
    shown.push(whole(&HttpTransport::new(nonsense).unwrap_err()));
    // A server that hangs up in the middle of the request.
    let rude = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        socket2::SockRef::from(&tcp).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        tcp.flush().await.unwrap();
    });
    let transport = HttpTransport::new(with_token(rude.settings())).unwrap();
    shown.push(whole(&transport.open_sse("/s", &[], &Control::new()).await.unwrap_err()));

    // A proxy that refuses, one that quotes what it was told, one that is none.
    for answer in ["HTTP/1.1 407 No\r\nX: u:MARKER dTpNQVJLRVI=\r\n\r\n", "u:MARKER", ""] {
        let server = Server::saying(answer);
        let mut settings = with_token(direct("https://service.example"));
        settings.proxy = Proxy::Url(Secret::new(format!("http://u:MARKER@{}", server.addr)));
        shown.push(format!("{settings:?} {:?}", settings.proxy));
        let transport = HttpTransport::new(settings).unwrap();
        let opening = within(transport.open_sse("/s", &[], &Control::new())).await;
        shown.push(whole(&opening.unwrap_err()));
        let client = Client::new(transport);
        shown.push(format!("{client:?} {}", whole(&client.list().await.unwrap_err())));
    }
    let mut settings = direct("https://service.example");
    settings.proxy = Proxy::Url(Secret::new("socks5://u:MARKER@p"));
    shown.push(whole(&HttpTransport::new(settings).unwrap_err()));

    let logged = String::from_utf8(capture.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("TRACE"), "nothing was captured");
    for text in shown.iter().chain([&logged]) {
        assert!(
            !text.contains("MARKER")
                && !text.contains("dTpNQVJLRVI=")
                && !text.contains("dDBrZW4t"),
            "{text}"
        );
    }
}

/// Every form of a secret.
fn forms() -> [Auth; 5] {
    let (name, value) = (|| "key".to_owned(), || Secret::new(TOKEN));
    [
        Auth::Bearer(value()),
        Auth::Basic { user: value(), password: value() },
        Auth::Header { name: name(), value: value() },
        Auth::Query { name: name(), value: value() },
        Auth::Cookie { name: name(), value: value() },
    ]
}

/// What is shown of a stream, of a server that sends us elsewhere, of one that refuses, and of a secret that no
/// request can hold; the URL, and headers of our own, are secret too.
async fn with_each_answer(auth: Auth) -> Vec<String> {
    let mut shown = vec![format!("{auth:?}")];
    let target = Server::saying(format!("{SSE_HEAD}{}0\r\n\r\n", chunk(PAYLOAD)));
    let place = format!("http://{}/{PAYLOAD}", target.addr);
    for answer in [
        format!("{SSE_HEAD}{}0\r\n\r\n", chunk(PAYLOAD)),
        format!("HTTP/1.1 302 Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 302 Go\r\nLocation: {TOKEN}\u{e9}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 401 {TOKEN}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 404 No\r\nContent-Length: 99\r\n\r\n{TOKEN}"),
    ] {
        for broken in [false, true] {
            let server = Server::saying(answer.clone());
            let mut settings = server.settings();
            settings.url += &format!("/{TOKEN}?x={TOKEN}");
            settings.auth = auth.clone();
            let value = if broken { format!("{TOKEN}\n") } else { TOKEN.to_owned() };
            settings.headers = vec![("X-Extra".to_owned(), Secret::new(value))];
            settings.redirects = true;
            shown.push(format!("{settings:?}"));
            let transport = HttpTransport::new(settings).unwrap();
            let headers = [("Last-Event-ID", TOKEN)];
            match within(transport.open_sse("", &headers, &Control::new())).await {
                Ok(mut response) => {
                    let (_, error) = read_all(&mut response).await;
                    shown.push(format!("{response:?} {error:?}"));
                }
                Err(error) => shown.push(whole(&error)),
            }
            match within(transport.fetch(&place, &headers)).await {
                Ok(answer) => shown.push(format!("{answer:?}")),
                Err(error) => shown.push(whole(&error)),
            }
        }
    }
    shown
}

fn with_token(mut settings: TransportSettings) -> TransportSettings {
    settings.auth = Auth::token(Secret::new(TOKEN));
    settings
}

/// Everything an error says of itself and of what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}
