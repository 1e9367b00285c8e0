//! Servers that say exactly what a test wants said, on a thread of their own, so that they go on
//! while a test blocks its own. Each binary uses its own part of this.
#![allow(dead_code, reason = "shared by several test binaries")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamkeeper::transport::{
    Control, HttpTransport, LookUp, Proxy, SseResponse, TransportSettings,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Long enough for a loaded machine; no test waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Gives every accepted connection to `serve`.
    pub(crate) fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Self::start_at("127.0.0.1:0", serve)
    }

    /// The same at a given address.
    pub(crate) fn start_at<F, Fut>(addr: &str, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind(addr).unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel::<()>();
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let local = tokio::task::LocalSet::new();
            local.spawn_local(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::task::spawn_local(serve(tcp));
                }
            });
            // Also when the sender is dropped.
            local.block_on(&runtime, async { stopped.await.ok() });
        });
        Self { addr, accepted, _stop: stop }
    }

    /// Answers every request with these bytes, and closes.
    pub(crate) fn saying(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::start(move |mut tcp| {
            let answer = Arc::clone(&answer);
            async move {
                request(&mut tcp).await;
                tcp.write_all((*answer).as_ref()).await.ok();
            }
        })
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn settings(&self) -> TransportSettings {
        direct(format!("http://{}", self.addr))
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        HttpTransport::new(self.settings()).unwrap()
    }

    pub(crate) async fn open(&self) -> SseResponse {
        self.transport().open_sse("/s", &[], &Control::new()).await.unwrap()
    }
}

/// The settings for this URL, whatever the environment of the tests says about proxies.
pub(crate) fn direct(url: impl Into<String>) -> TransportSettings {
    let mut settings = TransportSettings::new(url);
    settings.proxy = Proxy::Off;
    settings
}

/// A look-up that always finds these.
pub(crate) fn found(addresses: Vec<SocketAddr>) -> LookUp {
    Arc::new(move |_, _| Ok(addresses.clone()))
}

/// An address where nobody listens.
pub(crate) fn refusing() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Reads a request up to the end of its head, and its body by `Content-Length`.
pub(crate) async fn request(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    loop {
        if let Some(head) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
            let length = text
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.split("\r\n").next().unwrap().trim().parse().unwrap());
            if read.len() >= head + 4 + length {
                return String::from_utf8(read).unwrap();
            }
        }
        if io.read_buf(&mut read).await.unwrap() == 0 {
            return String::from_utf8(read).unwrap();
        }
    }
}

pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// Says something, and waits until the peer has closed its side.
pub(crate) async fn say_and_wait(io: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) {
    io.write_all(text.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
    until_closed(io).await;
}

pub(crate) async fn until_closed(io: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 1024];
    while io.read(&mut rest).await.is_ok_and(|length| length > 0) {}
}

/// The whole body as text, and an error if one came. The response is at its end afterwards.
pub(crate) async fn read_all(
    response: &mut SseResponse,
) -> (String, Option<streamkeeper::transport::BodyError>) {
    let mut text = String::new();
    let reading = async {
        while let Some(chunk) = response.next_chunk().await {
            match chunk {
                Ok(bytes) => text += std::str::from_utf8(&bytes).unwrap(),
                Err(error) => return Some(error),
            }
        }
        None
    };
    let error = within(reading).await;
    // Fused: asking again is harmless.
    assert!(response.next_chunk().await.is_none() && response.next_chunk().await.is_none());
    (text, error)
}

/// Fails the test if it takes too long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("took too long")
}

/// An address that answers nothing: a listener whose queue is full drops what else arrives.
pub(crate) struct BlackHole {
    pub(crate) addr: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub(crate) fn at(addr: &str) -> Self {
        use socket2::{Domain, Socket, Type};
        let addr: SocketAddr = addr.parse().unwrap();
        let domain = Domain::for_address(addr);
        let listener = Socket::new(domain, Type::STREAM, None).unwrap();
        listener.bind(&addr.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        loop {
            let socket = Socket::new(domain, Type::STREAM, None).unwrap();
            let full = socket.connect_timeout(&addr, Duration::from_millis(100)).is_err();
            queued.push(socket);
            if full {
                break;
            }
        }
        Self { addr: addr.as_socket().unwrap(), _listener: listener, _queued: queued }
    }
}
