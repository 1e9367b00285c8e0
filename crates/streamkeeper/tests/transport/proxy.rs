//! Through a forward proxy: the tunnel is asked for as it should be, whatever the proxy answers
//! means what it means, and everything else is as without one.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use streamkeeper::Secret;
use streamkeeper::transport::{
    Control, EndKind, HttpTransport, OpenError, OpenErrorKind, OpenPhase, Proxy, SettingsError,
    TlsFault, TransportSettings,
};
use streamkeeper_call::{ProxyRefusal, TransportError, TransportErrorKind};
use streamkeeper_inform::{CallErrorKind, Client, NewStream};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::authority::Authority;
use super::secured::secured;
use super::server::{
    BlackHole, SSE_HEAD, Server, chunk, direct, found, read_all, refusing, request, say_and_wait,
    until_closed, within,
};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

type Asked = Arc<Mutex<Vec<String>>>;

/// Reads a CONNECT, answers it, and passes everything on to `upstream`.
async fn tunnel(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: &Server,
    asked: &Asked,
    answer: &[&str],
) {
    let head = request(&mut client).await;
    asked.lock().unwrap().push(head);
    for part in answer {
        client.write_all(part.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        // The parts go out one by one.
        tokio::task::yield_now().await;
    }
    let mut server = TcpStream::connect(upstream.addr).await.unwrap();
    // It passes a half-close on, in both directions. A reset is its end, as ours.
    copy_bidirectional(&mut client, &mut server).await.ok();
}

/// A proxy that connects everybody to `upstream`, whatever they ask for, and what it was asked.
fn proxy_to(upstream: &Arc<Server>, answer: &'static [&'static str]) -> (Server, Asked) {
    let (upstream, asked) = (Arc::clone(upstream), Asked::default());
    let heard = Arc::clone(&asked);
    let proxy = Server::start(move |tcp| {
        let (upstream, heard) = (Arc::clone(&upstream), Arc::clone(&heard));
        async move {
            tcp.set_nodelay(true).unwrap();
            tunnel(tcp, &upstream, &heard, answer).await;
        }
    });
    (proxy, asked)
}

/// A service that says one event and waits for the client to close.
fn service() -> Arc<Server> {
    Arc::new(Server::start(|mut tcp| async move {
        let request = request(&mut tcp).await;
        assert!(request.starts_with("GET /s HTTP/1.1\r\n"), "no form for proxies: {request}");
        assert!(!request.to_lowercase().contains("proxy"), "{request}");
        let event = format!("{SSE_HEAD}{}", chunk("data: 1\n\n"));
        say_and_wait(&mut tcp, &event).await;
        tcp.write_all(b"0\r\n\r\n").await.ok();
    }))
}

/// Settings for a service that nobody but the proxy finds.
fn through(proxy: &Server) -> TransportSettings {
    let mut settings = direct("http://service.example:8600");
    settings.proxy = Proxy::Url(Secret::new(format!("http://{}", proxy.addr)));
    settings.look_up = Arc::new(|_, _| panic!("looked up here, and not by the proxy"));
    settings
}

async fn failure(settings: TransportSettings) -> OpenError {
    let transport = HttpTransport::new(settings).unwrap();
    within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err()
}

#[actix_rt::test]
async fn what_the_proxy_is_asked() {
    let service = service();
    let (proxy, asked) = proxy_to(&service, &[ESTABLISHED]);
    let mut settings = through(&proxy);
    let url = format!("http://user:p%40ss%3A@proxy.example:{}", proxy.addr.port());
    settings.proxy = Proxy::Url(Secret::new(url));
    let addr = proxy.addr;
    settings.look_up = Arc::new(move |host, port| {
        assert_eq!((host, port), ("proxy.example", addr.port()));
        Ok(vec![addr])
    });
    let transport = HttpTransport::new(settings).unwrap();
    let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    assert_eq!(within(stream.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
    let agent = concat!("streamkeeper/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        *asked.lock().unwrap(),
        [format!(
            "CONNECT service.example:8600 HTTP/1.1\r\nHost: service.example:8600\r\n\
             User-Agent: {agent}\r\nProxy-Authorization: Basic dXNlcjpwQHNzOg==\r\n\r\n"
        )]
    );
}

#[actix_rt::test]
async fn an_ipv6_service_is_named_with_brackets() {
    let (service, authority) = (service(), "[2001:db8::7]:8600");
    let (proxy, asked) = proxy_to(&service, &[ESTABLISHED]);
    let mut settings = through(&proxy);
    settings.url = format!("http://{authority}");
    let transport = HttpTransport::new(settings).unwrap();
    let _stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with(&format!("CONNECT {authority} HTTP/1.1\r\n")), "{asked:?}");
    assert!(!asked[0].contains("Authorization"), "{asked:?}");
}

#[actix_rt::test]
async fn heads_of_every_shape_open_the_tunnel() {
    const SHAPES: [&[&str]; 6] = [
        &["HTTP/1.1 200 Connection established\r\n\r\n"],
        &["H", "TTP/1.1 2", "00 OK\r", "\n", "Via: x\r\n\r", "\n"],
        &["HTTP/1.0 200 OK\n\n"],
        &["HTTP/1.1 204 Fine\r\n\r\n"],
        // No body follows, whatever it says.
        &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"],
        &["HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 100 Go on\r\nX: y\r\n\r\n", ESTABLISHED],
    ];
    let service = service();
    for shape in SHAPES {
        let (proxy, _) = proxy_to(&service, shape);
        let transport = HttpTransport::new(through(&proxy)).unwrap();
        let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
        let chunk = within(stream.next_chunk()).await.unwrap().unwrap();
        assert_eq!(chunk, "data: 1\n\n", "{shape:?}");
    }
}

#[actix_rt::test]
async fn what_follows_the_head_is_the_services() {
    // In one segment with the proxy's own answer, and before the request.
    let proxy = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        let answer = format!("{ESTABLISHED}{SSE_HEAD}{}0\r\n\r\n", chunk("data: 1\n\n"));
        say_and_wait(&mut tcp, &answer).await;
    });
    let transport = HttpTransport::new(through(&proxy)).unwrap();
    let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    let (text, error) = read_all(&mut stream).await;
    assert_eq!((text.as_str(), error), ("data: 1\n\n", None));
    assert_eq!(stream.end(), Some(EndKind::Terminated));
}

#[actix_rt::test]
async fn a_refusal_of_the_proxy_is_no_answer_of_the_service() {
    for (status, says) in [
        (407, "check the user and password of the key proxy"),
        (403, "it does not allow connections to this host and port"),
        (401, "it does not allow connections to this host and port"),
        (502, "it cannot reach the service"),
        (503, "it cannot reach the service"),
        (302, "it does not connect us to the service"),
        (500, "it does not connect us to the service"),
    ] {
        let proxy = Server::saying(format!(
            "HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic\r\nRetry-After: 99\r\n\
             Content-Length: 2\r\n\r\nno"
        ));
        let error = failure(through(&proxy)).await;
        let refusal = ProxyRefusal { status };
        let kind = OpenErrorKind::ProxyRefused(refusal);
        assert_eq!(error, OpenError { phase: OpenPhase::Proxy, sent: false, kind });
        assert_eq!((error.status(), error.retry_after()), (None, None));
        let expected = format!("reaching the proxy: the proxy answered {status}: {says}");
        assert!(error.to_string().starts_with(&expected), "{error}");

        let client = Client::new(HttpTransport::new(through(&proxy)).unwrap());
        let error = within(client.create(&NewStream::default())).await.unwrap_err();
        let kind = TransportErrorKind::ProxyRefused(refusal);
        assert_eq!(error.kind, CallErrorKind::Transport(TransportError { sent: false, kind }));
        assert!(!error.may_have_acted());
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[actix_rt::test]
async fn a_proxy_that_says_nothing_of_use() {
    let endless = || format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1_000_000));
    let interims = || "HTTP/1.1 100 Go on\r\n\r\n".repeat(10_000);
    for (answer, kind) in [
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), OpenErrorKind::Protocol),
        (endless(), OpenErrorKind::Protocol),
        (interims(), OpenErrorKind::Protocol),
        ("\x15\x03\x03\0\x02\x02\x46".to_owned(), OpenErrorKind::Tls(TlsFault::Wanted)),
        (String::new(), OpenErrorKind::Network(ErrorKind::UnexpectedEof)),
        ("HTTP/1.1 200 OK\r\nX:".to_owned(), OpenErrorKind::Network(ErrorKind::UnexpectedEof)),
    ] {
        let proxy = Server::saying(answer);
        let error = failure(through(&proxy)).await;
        assert_eq!(error, OpenError { phase: OpenPhase::Proxy, sent: false, kind });
    }
}

#[actix_rt::test]
async fn the_time_for_the_proxy_is_part_of_the_whole() {
    let silent = Server::start(|mut tcp| async move { until_closed(&mut tcp).await });
    let trickling = Server::start(|mut tcp| async move {
        request(&mut tcp).await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            tick.tick().await;
            if tcp.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
    let hole = BlackHole::new();
    for addr in [silent.addr, trickling.addr, hole.addr] {
        let mut settings = through(&silent);
        settings.proxy = Proxy::Url(Secret::new(format!("http://{addr}")));
        settings.connect_timeout = Duration::from_millis(300);
        let error = failure(settings).await;
        let kind = OpenErrorKind::Timeout;
        assert_eq!(error, OpenError { phase: OpenPhase::Proxy, sent: false, kind });
        assert_eq!(error.to_string(), "reaching the proxy: timed out");
    }
    // The tunnel stands, and the service says nothing: that is another phase.
    let service = Arc::new(Server::start(|mut tcp| async move { until_closed(&mut tcp).await }));
    let (proxy, _) = proxy_to(&service, &[ESTABLISHED]);
    let mut settings = through(&proxy);
    settings.connect_timeout = Duration::from_millis(300);
    let error = failure(settings).await;
    let kind = OpenErrorKind::Timeout;
    assert_eq!(error, OpenError { phase: OpenPhase::Head, sent: true, kind });
}

#[actix_rt::test]
async fn a_dead_proxy_and_a_dead_first_address_of_one() {
    let service = service();
    let (proxy, _) = proxy_to(&service, &[ESTABLISHED]);
    let hole = BlackHole::new();
    let mut settings = through(&proxy);
    settings.proxy = Proxy::Url(Secret::new("http://proxy.example"));
    settings.look_up = found(vec![refusing(), hole.addr, proxy.addr]);
    let transport = HttpTransport::new(settings.clone()).unwrap();
    within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();

    settings.look_up = found(vec![refusing()]);
    let client = Client::new(HttpTransport::new(settings.clone()).unwrap());
    let kind = OpenErrorKind::Network(ErrorKind::ConnectionRefused);
    assert_eq!(failure(settings).await, OpenError { phase: OpenPhase::Proxy, sent: false, kind });
    let error = within(client.list()).await.unwrap_err();
    let kind = TransportErrorKind::Proxy;
    assert_eq!(error.kind, CallErrorKind::Transport(TransportError { sent: false, kind }));
}

/// With TLS to the service, and to the proxy as well: each has to be who it says.
#[actix_rt::test]
async fn tls_is_with_the_one_behind_the_tunnel() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("service.example", None);
    let service = Arc::new(secured(acceptor, "127.0.0.1:0", |mut tls| async move {
        assert_eq!(tls.get_ref().1.server_name(), Some("service.example"));
        request(&mut tls).await;
        say_and_wait(&mut tls, &format!("{SSE_HEAD}{}", chunk("data: 1\n\n"))).await;
        tls.write_all(format!("{}0\r\n\r\n", chunk("data: 2\n\n")).as_bytes()).await.ok();
        tls.shutdown().await.ok();
    }));
    let (plain, _) = proxy_to(&service, &[ESTABLISHED]);
    let (upstream, asked) = (Arc::clone(&service), Asked::default());
    let heard = Arc::clone(&asked);
    // It asks for a client certificate that it must not be shown: the session has no name for it.
    let acceptor = authority.acceptor("proxy.example", None);
    let secure = secured(acceptor, "127.0.0.1:0", move |tls| {
        let (upstream, heard) = (Arc::clone(&upstream), Arc::clone(&heard));
        async move {
            assert_eq!(tls.get_ref().1.server_name(), Some("proxy.example"));
            tunnel(tls, &upstream, &heard, &[ESTABLISHED]).await;
        }
    });
    for (scheme, proxy) in [("http", &plain), ("https", &secure)] {
        let mut settings = authority.settings(proxy, "service.example");
        let url = |host: &str| {
            Proxy::Url(Secret::new(format!("{scheme}://{host}:{}", proxy.addr.port())))
        };
        settings.proxy = url("proxy.example");
        let transport = HttpTransport::new(settings.clone()).unwrap();
        let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
        assert_eq!(within(stream.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
        // A half-close, through both sessions, and back again.
        stream.control().half_close();
        let (text, error) = read_all(&mut stream).await;
        assert_eq!((text.as_str(), error), ("data: 2\n\n", None), "{scheme}");
        assert_eq!(stream.end(), Some(EndKind::Terminated), "{scheme}");

        let kind = OpenErrorKind::Tls(TlsFault::WrongName);
        settings.url = "https://other.example".to_owned();
        let expected = OpenError { phase: OpenPhase::Tls, sent: false, kind: kind.clone() };
        assert_eq!(failure(settings.clone()).await, expected, "{scheme}");
        if scheme == "https" {
            settings.proxy = url("another-proxy.example");
            let expected = OpenError { phase: OpenPhase::Proxy, sent: false, kind };
            assert_eq!(failure(settings).await, expected);
        }
    }
    assert!(!asked.lock().unwrap().is_empty());
}

#[actix_rt::test]
async fn a_half_close_goes_through_the_tunnel() {
    let service = service();
    let (proxy, _) = proxy_to(&service, &[ESTABLISHED]);
    let transport = HttpTransport::new(through(&proxy)).unwrap();
    let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    stream.control().half_close();
    let (text, error) = read_all(&mut stream).await;
    assert_eq!((text.as_str(), error), ("data: 1\n\n", None));
    assert_eq!(stream.end(), Some(EndKind::Terminated));
}

#[actix_rt::test]
async fn a_kill_closes_the_socket_that_the_proxy_sees() {
    let (closed, mut closings) = tokio::sync::mpsc::unbounded_channel();
    let proxy = Server::start(move |mut tcp| {
        let closed = closed.clone();
        async move {
            request(&mut tcp).await;
            tcp.write_all(ESTABLISHED.as_bytes()).await.unwrap();
            request(&mut tcp).await;
            say_and_wait(&mut tcp, SSE_HEAD).await;
            closed.send(()).unwrap();
        }
    });
    let transport = HttpTransport::new(through(&proxy)).unwrap();
    let mut stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    let control = stream.control().clone();
    std::thread::spawn(move || control.kill()).join().unwrap();
    within(closings.recv()).await.unwrap();
    let (_, error) = read_all(&mut stream).await;
    assert_eq!((error, stream.end()), (None, Some(EndKind::Killed)));
    assert!(stream.control().is_closed());

    // Before the tunnel stands.
    let (asked, asking) = tokio::sync::oneshot::channel();
    let asked = Mutex::new(Some(asked));
    let silent = Server::start(move |mut tcp| {
        let asked = asked.lock().unwrap().take();
        async move {
            request(&mut tcp).await;
            asked.map(|asked| asked.send(()));
            until_closed(&mut tcp).await;
        }
    });
    let transport = HttpTransport::new(through(&silent)).unwrap();
    let control = Control::new();
    let mut opening = pin!(transport.open_sse("/s", &[], &control));
    tokio::select! {
        _ = &mut opening => panic!("the proxy said nothing"),
        asking = within(asking) => asking.unwrap(),
    }
    control.kill();
    let Poll::Ready(Err(error)) = poll!(&mut opening) else { panic!("still opening") };
    assert_eq!((error.phase, error.sent), (OpenPhase::Proxy, false));
    assert_eq!(error.kind, OpenErrorKind::Killed);
}

#[test]
fn a_url_that_is_none_names_the_key_and_nothing_else() {
    for url in ["s3cret", "socks5://u:s3cret@p", "http://u:s3cret pw@p", "http://"] {
        let mut settings = direct("https://localhost");
        settings.proxy = Proxy::Url(Secret::new(url));
        let error = HttpTransport::new(settings.clone()).unwrap_err();
        assert_eq!(error, SettingsError::Proxy("proxy"));
        assert!(!format!("{error} {settings:?} {:?}", settings.proxy).contains("s3cret"));
    }
}

/// Only a process of its own may be given another environment: this one runs itself again.
#[actix_rt::test]
async fn the_environment_names_a_proxy_and_exempts_from_it() {
    let service = service();
    let (proxy, asked) = proxy_to(&service, &[ESTABLISHED]);
    let inner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "proxy::inner_with_an_environment", "--ignored"])
        .env_remove("http_proxy")
        .env_remove("no_proxy")
        .env("HTTP_PROXY", format!("http://{}", proxy.addr))
        .env("NO_PROXY", "127.0.0.0/8")
        .env("STREAMKEEPER_TEST_ADDR", service.addr.to_string())
        .output()
        .unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    let asked = asked.lock().unwrap();
    assert_eq!((asked.len(), service.accepted()), (1, 3));
    assert!(asked[0].starts_with("CONNECT service.example:80 "), "{asked:?}");
}

#[actix_rt::test]
#[ignore = "run by the_environment_names_a_proxy_and_exempts_from_it"]
async fn inner_with_an_environment() {
    let addr: std::net::SocketAddr =
        std::env::var("STREAMKEEPER_TEST_ADDR").unwrap().parse().unwrap();
    let exempt = TransportSettings::new(format!("http://{addr}"));
    let named = TransportSettings::new("http://service.example");
    let mut off = named.clone();
    off.proxy = Proxy::Off;
    off.look_up = found(vec![addr]);
    for settings in [exempt, named, off] {
        let transport = HttpTransport::new(settings).unwrap();
        within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    }
}
