//! A real NATS server as a process of its own, and a wire to it that can be cut.

use std::net::TcpListener as Listener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Nothing takes longer, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message that is there.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) subject: String,
    pub(super) headers: String,
    pub(super) data: Bytes,
}

/// The process; it is killed when this is dropped.
pub(super) struct Server {
    program: PathBuf,
    folder: TempDir,
    pub(super) port: u16,
    process: Child,
}

impl Server {
    /// The pinned one, with JetStream, and more in its configuration.
    pub(super) fn start(more: &str) -> Self {
        let folder = run("need-packages", "nats");
        Self::of(Path::new(folder.trim()).join("bin/nats-server"), Some(""), more)
    }

    /// The pinned one, which takes batches of no more than 100.
    pub(super) fn start_small() -> Self {
        let folder = run("need-packages", "nats");
        let program = Path::new(folder.trim()).join("bin/nats-server");
        Self::of(program, Some("limits { batch { max_msgs: 100 } }"), "")
    }

    /// Debian's, which is older.
    pub(super) fn start_old() -> Self {
        run("need", "nats-server");
        Self::of("/usr/sbin/nats-server".into(), Some(""), "")
    }

    /// The pinned one without JetStream.
    pub(super) fn start_plain() -> Self {
        let folder = run("need-packages", "nats");
        Self::of(Path::new(folder.trim()).join("bin/nats-server"), None, "")
    }

    fn of(program: PathBuf, jetstream: Option<&str>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = Listener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let store = folder.path().join("store");
        let jetstream =
            jetstream.map(|inner| format!("jetstream {{ store_dir: {store:?}\n{inner} }}\n"));
        let jetstream = jetstream.unwrap_or_default();
        let text = format!("listen: \"127.0.0.1:{port}\"\nmax_payload: 65536\n{jetstream}{more}\n");
        std::fs::write(folder.path().join("server.conf"), text).unwrap();
        let process = spawn(&program, folder.path(), port);
        Self { program, folder, port, process }
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// It can do nothing any more.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(super) fn start_again(&mut self) {
        self.process = spawn(&self.program, self.folder.path(), self.port);
    }

    /// Asks its JetStream API, as its user `login` (`name:password@`) if there is one.
    pub(super) fn api(&self, what: &str, question: &Value) -> Value {
        let url = self.url();
        let (subject, body) = (format!("$JS.API.{what}"), Bytes::from(question.to_string()));
        apart(async move {
            let client = async_nats::connect(url).await.unwrap();
            let answer = client.request(subject, body).await.unwrap();
            serde_json::from_slice(&answer.payload).unwrap()
        })
    }

    /// All messages of a JetStream stream.
    pub(super) fn stored(&self, stream: &str) -> Vec<Stored> {
        let (url, stream) = (self.url(), stream.to_owned());
        apart(async move {
            let client = async_nats::connect(url).await.unwrap();
            let mut stored = Vec::new();
            for seq in 1.. {
                let question = json!({ "next_by_subj": ">", "seq": seq }).to_string();
                let ask =
                    client.request(format!("$JS.API.STREAM.MSG.GET.{stream}"), question.into());
                let answer: Value = serde_json::from_slice(&ask.await.unwrap().payload).unwrap();
                let Some(message) = answer.get("message") else { break };
                assert_eq!(message["seq"], seq, "none is ever removed");
                let decoded = |key: &str| {
                    BASE64_STANDARD.decode(message[key].as_str().unwrap_or_default()).unwrap()
                };
                stored.push(Stored {
                    subject: message["subject"].as_str().unwrap().to_owned(),
                    headers: String::from_utf8(decoded("hdrs")).unwrap(),
                    data: decoded("data").into(),
                });
            }
            stored
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(program: &Path, folder: &Path, port: u16) -> Child {
    let log = folder.join("server.log");
    let mut process = Command::new(program)
        .args(["-c", "server.conf", "-l"])
        .arg(&log)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server is installed");
    let ends = Instant::now() + PATIENCE;
    // It listens before JetStream is there, and says when all is.
    let ready = || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        said.matches("Server is ready").count()
            > said.matches("Starting nats-server").count().saturating_sub(1)
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    };
    while !ready() {
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(process.try_wait().unwrap().is_none(), "the server ended: {}", said());
        assert!(Instant::now() < ends, "the server does not listen: {}", said());
        std::thread::sleep(Duration::from_millis(10));
    }
    process
}

/// Runs one of the scripts that install; gives what it prints.
fn run(script: &str, argument: &str) -> String {
    let script = format!("{}/../../scripts/{script}", env!("CARGO_MANIFEST_DIR"));
    let ended = Command::new(script).arg(argument).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// On a thread and a runtime of its own, since a test may be inside of another.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    };
    std::thread::spawn(run).join().unwrap()
}

/// A wire to a server. What is cut is cut for the connections that there are; the next one is whole.
pub(super) struct Wire {
    pub(super) port: u16,
    control: Arc<Control>,
}

struct Control {
    /// So many more bytes go to the server, and then it is cut. Negative: no such thing.
    up: AtomicI64,
    /// The next that comes from the server is kept back, and the wire cut.
    deaf: AtomicBool,
}

impl Wire {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            control: Arc::new(Control { up: (-1).into(), deaf: false.into() }),
        };
        let control = Arc::clone(&wire.control);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let control = Arc::clone(&control);
                tokio::spawn(async move {
                    // While the server is away, the client is hung up on.
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let ((from, to), (back, there)) = (client.into_split(), server.into_split());
                    tokio::select! {
                        () = up(from, there, &control) => {}
                        () = down(back, to, &control) => {}
                    }
                });
            }
        });
        wire
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Cuts when so many more bytes have gone to the server.
    pub(super) fn cut_after(&self, bytes: i64) {
        self.control.up.store(bytes, Ordering::SeqCst);
    }

    /// Cuts when the server says the next thing, which does not arrive.
    pub(super) fn cut_the_answer(&self) {
        self.control.deaf.store(true, Ordering::SeqCst);
    }
}

async fn up(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, control: &Control) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let left = control.up.load(Ordering::SeqCst);
        let pass = usize::try_from(left).map_or(read, |left| left.min(read));
        let cut = usize::try_from(left).is_ok_and(|left| left <= read);
        if left >= 0 {
            let left = if cut { -1 } else { left - i64::try_from(pass).unwrap() };
            control.up.store(left, Ordering::SeqCst);
        }
        if to.write_all(&bytes[..pass]).await.is_err() || cut {
            return;
        }
    }
}

async fn down(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    control: &Control,
) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if control.deaf.swap(false, Ordering::SeqCst) || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}
