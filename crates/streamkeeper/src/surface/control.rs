//! The control socket: how a command on the same machine asks a running Streamkeeper.
//!
//! `<data_dir>/control.sock`, a Unix socket for its owner alone (0600 before anybody can connect).
//! A client writes one line, the request, and reads one line, the answer as JSON; then the connection
//! is over. The requests are `status`, `recover NAME` and the other [`Act`]s, `replay` with a
//! [`ReplaySpec`] and `dead-letters` with a [`LetterSpec`] as JSON; any other is the
//! application's ([`crate::ControlRequest`]). An answer that begins with `{"error":` says why not.
//! Whoever says nothing is dropped after some seconds, so a client holds up nothing but its own place
//! among a few.
//!
//! The socket is there while the streams' ledgers are held. One that a crash has left behind does not
//! answer, and is replaced; one that does answer belongs to another process with the same `data_dir`
//! and other streams, and is left alone. Without a socket everything else works: a command then reads
//! the ledgers' folders. Nothing here is health data or a secret: see [`crate::Status`].

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use crate::api::act::Act;
use crate::api::replay::ReplaySpec;
pub use crate::api::status::ProcessStatus;
use crate::delivery::{LetterReport, LetterSpec};
use crate::requests::Requests;

/// Why a running process could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens there: no process runs with that `data_dir`, or it could not make its socket.
    #[error("nothing answers at {}", path.display())]
    NobodyListens {
        /// The socket.
        path: PathBuf,
    },
    /// A Unix socket's path has about a hundred bytes at most.
    #[error("{} is too long for a Unix socket: give `data_dir` a shorter path", path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
    },
    /// The process that listens there is suspended, or very busy.
    #[error("the process at {} does not answer", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be used: most often it belongs to another user.
    #[error("cannot use {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It was understood and not done.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The answer is not one that is known here.
    #[error("the process at {} answers something else: it may be of another version", path.display())]
    OtherVersion {
        /// The socket.
        path: PathBuf,
    },
}

/// The path of the control socket.
#[must_use]
pub fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Asks the process that runs with `data_dir` for its state. Blocks, for some seconds at most.
///
/// # Errors
/// See [`ControlError`].
pub fn status(data_dir: &Path) -> Result<ProcessStatus, ControlError> {
    let answer = request(data_dir, STATUS)?;
    // What the parser says would quote the answer.
    serde_json::from_str(&answer).map_err(|_| ControlError::OtherVersion { path: socket(data_dir) })
}

/// Asks the process that runs with `data_dir` to do `act` to a stream. Blocks, for some seconds at most.
///
/// # Errors
/// See [`ControlError`].
pub fn steer(data_dir: &Path, stream: &str, act: Act) -> Result<(), ControlError> {
    request(data_dir, &format!("{} {stream}", act.word())).map(drop)
}

/// Asks the process that runs with `data_dir` for a replay; its state shows how it goes.
///
/// # Errors
/// See [`ControlError`].
pub fn replay(data_dir: &Path, spec: &ReplaySpec) -> Result<(), ControlError> {
    // A name, a day and some words are always JSON.
    let spec = serde_json::to_string(spec).unwrap_or_default();
    request(data_dir, &format!("replay {spec}")).map(drop)
}

/// Asks the process that runs with `data_dir` to do something with a sink's dead letters. It works at them for
/// some seconds at most, and says how many are left: ask again for those. Blocks.
///
/// # Errors
/// See [`ControlError`].
pub fn dead_letters(data_dir: &Path, spec: &LetterSpec) -> Result<LetterReport, ControlError> {
    // A name, a word and some numbers are always JSON.
    let spec = serde_json::to_string(spec).unwrap_or_default();
    let answer = request(data_dir, &format!("dead-letters {spec}"))?;
    serde_json::from_str(&answer).map_err(|_| ControlError::OtherVersion { path: socket(data_dir) })
}

/// Asks the process that runs with `data_dir` for something, one line, and returns the answer, one
/// line. Blocks, for half a minute at most.
///
/// # Errors
/// See [`ControlError`].
pub fn request(data_dir: &Path, request: &str) -> Result<String, ControlError> {
    let path = socket(data_dir);
    let answer = match ask(&path, request) {
        Ok(answer) => String::from_utf8(answer),
        Err(source) => return Err(failure(path, source)),
    };
    let Ok(answer) = answer else { return Err(ControlError::OtherVersion { path }) };
    match serde_json::from_str::<Refusal>(&answer) {
        Ok(Refusal { error: reason }) => Err(ControlError::Refused { reason }),
        Err(_) if answer.is_empty() => Err(ControlError::NoAnswer { path }),
        Err(_) => Ok(answer),
    }
}

/// The answer to what is not done.
#[derive(Serialize, Deserialize)]
struct Refusal {
    error: String,
}

fn ask(path: &Path, request: &str) -> io::Result<Vec<u8>> {
    let mut socket = connect(path, CLIENT_TIME)?;
    socket.set_read_timeout(Some(ANSWER_TIME))?;
    socket.write_all(format!("{request}\n").as_bytes())?;
    let mut answer = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Connects within so long, which is also how long the server may take to read: one that is suspended
/// accepts nobody, and behind a full backlog a connection would wait for ever.
fn connect(path: &Path, within: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux counts the wait for a place in the backlog as sending; elsewhere it is refused at once.
    socket.set_write_timeout(Some(within))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn failure(path: PathBuf, source: io::Error) -> ControlError {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ControlError::NobodyListens { path }
        }
        io::ErrorKind::InvalidInput => ControlError::PathTooLong { path },
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ControlError::NoAnswer { path },
        _ => ControlError::Io { path, source },
    }
}

/// A socket that is served until this is dropped; then it is gone.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    /// What was made, so that nobody else's is removed.
    inode: u64,
    server: actix_rt::task::JoinHandle<()>,
}

impl Control {
    /// Serves the socket on this thread's runtime. `None`, and one warning, if there can be none.
    pub(crate) fn start(data_dir: &Path, requests: &Requests) -> Option<Self> {
        let path = socket(data_dir);
        match Self::serve(&path, requests.clone()) {
            Ok(control) => Some(control),
            Err(source) => {
                let why = match failure(path, source) {
                    ControlError::Io { path, source } => format!("{}: {source}", path.display()),
                    other => other.to_string(),
                };
                tracing::warn!(
                    why,
                    "no control socket: commands read the ledgers' folders instead"
                );
                None
            }
        }
    }

    fn serve(path: &Path, requests: Requests) -> io::Result<Self> {
        let listener = UnixListener::from_std(bind(path)?)?;
        let inode = fs::symlink_metadata(path)?.ino();
        let server = actix_rt::spawn(serve(listener, requests));
        Ok(Self { path: path.to_owned(), inode, server })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket could not be removed");
        }
    }
}

/// Makes the socket. Nobody can connect before it is the owner's alone: it does not listen yet.
fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Removes a socket that nobody serves any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let taken = |what: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, what.to_owned()));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return taken("there is something else of that name");
    }
    match connect(path, CLIENT_TIME) {
        Ok(_) => taken("another process with this data_dir answers there"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Answers one client after the other, some of them at the same time.
async fn serve(listener: UnixListener, requests: Requests) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((client, _)) = listener.accept().await else {
            // No descriptor is free, as a rule.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let requests = requests.clone();
        actix_rt::spawn(async move {
            match tokio::time::timeout(ANSWER_TIME, answer(client, &requests)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a client of the control socket left"),
                Err(_) => tracing::debug!("a client of the control socket said nothing"),
            }
            drop(place);
        });
    }
}

/// Reads a request and answers it.
async fn answer(mut client: tokio::net::UnixStream, requests: &Requests) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new((&mut client).take(REQUEST_BYTES_MAX));
    tokio::time::timeout(CLIENT_TIME, reader.read_line(&mut request)).await??;
    let done = perform(request.trim_end(), requests).await;
    let mut answer = match done {
        Ok(answer) => answer.into_bytes(),
        Err(error) => serde_json::to_vec(&Refusal { error })?,
    };
    answer.push(b'\n');
    tokio::time::timeout(CLIENT_TIME, client.write_all(&answer)).await??;
    client.shutdown().await
}

/// Does what is asked; the answer, or why not.
async fn perform(request: &str, requests: &Requests) -> Result<String, String> {
    if request == STATUS {
        let status = requests.registry().process_status();
        return serde_json::to_string(&status).map_err(|_| "the status is not JSON".to_owned());
    }
    let act =
        request.split_once(' ').and_then(|(act, stream)| Some((Act::from_word(act)?, stream)));
    if let Some((act, stream)) = act {
        requests.steer(stream, act).map_err(|error| error.to_string())?;
        tracing::info!(stream, act = act.word(), by = "control socket", "an operator acts");
        return Ok("{}".to_owned());
    }
    if let Some(spec) = request.strip_prefix("replay ") {
        // What the parser says would quote the request.
        let spec = serde_json::from_str(spec).map_err(|_| "not a replay's JSON".to_owned())?;
        requests.replay(spec).await.map_err(|error| error.to_string())?;
        return Ok("{}".to_owned());
    }
    if let Some(spec) = request.strip_prefix("dead-letters ") {
        let spec = serde_json::from_str(spec).map_err(|_| "not an order's JSON".to_owned())?;
        let report = requests.letters(spec).await.map_err(|error| error.to_string())?;
        return serde_json::to_string(&report).map_err(|_| "the report is not JSON".to_owned());
    }
    let unknown = || Err("unknown request: it may be of another version".to_owned());
    requests.ask_application(request).await.unwrap_or_else(unknown)
}

/// The request for the state.
const STATUS: &str = "status";

/// How long a client may take to say what it wants, and to take the answer.
const CLIENT_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take: a reload ends connections in order.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// So many clients are listened to at once.
const CLIENTS_MAX: usize = 16;

/// So many more may wait.
const BACKLOG: i32 = 16;

/// A request is not longer.
const REQUEST_BYTES_MAX: u64 = 16 << 10;

/// An answer is not longer: some kilobytes for each stream.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The pause after a client could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
