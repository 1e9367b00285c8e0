//! A way to a server that is cut after so many bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// It ends with the runtime.
pub(super) struct Proxy {
    pub(super) port: u16,
    asked: Arc<AtomicI64>,
    answered: Arc<AtomicI64>,
}

const NEVER: i64 = i64::MAX / 2;

impl Proxy {
    pub(super) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let [asked, answered] = [0; 2].map(|_| Arc::new(AtomicI64::new(NEVER)));
        let limits = [&asked, &answered].map(Arc::clone);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let [asked, answered] = limits.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = pump(from_client, to_server, &asked) => {}
                        () = pump(from_server, to_client, &answered) => {}
                    }
                });
            }
        });
        Self { port, asked, answered }
    }

    /// Cuts the next connection once, after so many further bytes to the server.
    pub(super) fn cut_questions_after(&self, bytes: i64) {
        self.asked.store(bytes, Ordering::SeqCst);
    }

    /// Cuts the next connection once, after so many further bytes from the server.
    pub(super) fn cut_answers_after(&self, bytes: i64) {
        self.answered.store(bytes, Ordering::SeqCst);
    }

    /// Cuts nothing any more; whether it was to, and has not.
    pub(super) fn heal(&self) -> bool {
        let left = [&self.asked, &self.answered].map(|left| left.swap(NEVER, Ordering::SeqCst));
        left.iter().any(|left| *left < NEVER / 2)
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: &AtomicI64) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let allowed = left.fetch_sub(count as i64, Ordering::SeqCst);
        let is_cut = allowed < count as i64;
        let count = if is_cut { usize::try_from(allowed).unwrap_or(0) } else { count };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        if is_cut {
            left.store(NEVER, Ordering::SeqCst);
            return;
        }
    }
}
