//! Tests of the control socket: who may use it, what is left behind, who is dropped.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crate::observe::registry::Registry;

use super::*;

/// A served socket, on a thread of its own.
struct Served {
    data: tempfile::TempDir,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(data: tempfile::TempDir) -> Self {
        let dir = data.path().to_owned();
        let (started, when_started) = channel();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let (requests, _receiver) = Requests::channel(Registry::default());
                let mut application = requests.control_requests().unwrap();
                actix_rt::spawn(async move {
                    while let Some(request) = application.recv().await {
                        let known = request.text == "reload";
                        let answer = known.then(|| "[]".to_owned());
                        request.answer(answer.ok_or_else(|| "not known here".to_owned()));
                    }
                });
                let control = Control::start(&dir, &requests);
                started.send(control.is_some()).unwrap();
                let wait = move || stopped.recv().is_err();
                assert!(actix_rt::task::spawn_blocking(wait).await.unwrap());
                drop(control);
            });
        });
        assert!(when_started.recv().unwrap(), "there is a socket");
        Self { data, stop: Some(stop), thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        socket(self.data.path())
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn read_to_end(mut client: UnixStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn it_answers_its_owner_alone_and_is_gone_afterwards() {
    let mut served = Served::start();
    let mode = fs::metadata(served.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = status(served.data.path()).unwrap();
    assert_eq!((answer.pid, answer.streams.len()), (std::process::id(), 0));
    served.stop();
    assert!(!served.path().exists());
    let error = status(served.data.path()).unwrap_err();
    assert!(matches!(error, ControlError::NobodyListens { .. }), "{error}");
}

#[test]
fn a_client_that_says_nothing_is_dropped_and_holds_up_nobody() {
    let served = Served::start();
    let silent = UnixStream::connect(served.path()).unwrap();
    let mut endless = UnixStream::connect(served.path()).unwrap();
    endless.write_all(&[b'x'; REQUEST_BYTES_MAX as usize]).unwrap();
    status(served.data.path()).unwrap();
    assert!(read_to_end(endless).contains("not known here"));
    assert_eq!(read_to_end(silent), "");
}

#[test]
fn what_a_crash_has_left_behind_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    // A listener that is gone leaves its file.
    drop(std::os::unix::net::UnixListener::bind(socket(data.path())).unwrap());
    let error = status(data.path()).unwrap_err();
    assert!(matches!(error, ControlError::NobodyListens { .. }), "{error}");
    let served = Served::start_in(data);
    status(served.data.path()).unwrap();
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let served = Served::start();
    let error = bind(&served.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
    status(served.data.path()).unwrap();

    let data = tempfile::tempdir().unwrap();
    fs::write(socket(data.path()), "no socket").unwrap();
    let error = bind(&socket(data.path())).unwrap_err();
    assert!(error.to_string().contains("something else"), "{error}");
    assert_eq!(fs::read(socket(data.path())).unwrap(), b"no socket");
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_accepts_nobody_is_not_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let path = socket(data.path());
    let address = SockAddr::unix(&path).unwrap();
    let server = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    server.bind(&address).unwrap();
    server.listen(0).unwrap();
    let _first = connect(&path, CLIENT_TIME).unwrap();
    let error = failure(path.clone(), connect(&path, Duration::from_millis(50)).unwrap_err());
    assert!(matches!(error, ControlError::NoAnswer { .. }), "{error}");
}

#[test]
fn a_path_too_long_for_a_socket_is_told() {
    let data = tempfile::tempdir().unwrap();
    let long = data.path().join("x".repeat(120));
    fs::create_dir(&long).unwrap();
    let error = failure(socket(&long), bind(&socket(&long)).unwrap_err());
    assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
    let error = status(&long).unwrap_err();
    assert!(error.to_string().contains("shorter path"), "{error}");
}

#[test]
fn what_the_library_does_not_know_is_the_applications_to_answer() {
    let mut served = Served::start();
    let dir = served.data.path().to_owned();
    assert_eq!(request(&dir, "reload").unwrap().trim_end(), "[]");
    let error = request(&dir, "unload").unwrap_err();
    assert_eq!(error.to_string(), "not known here");
    served.stop();
}

#[test]
fn a_stream_that_is_not_there_cannot_be_steered() {
    let mut served = Served::start();
    for act in Act::ALL {
        let error = steer(served.data.path(), "acme", act).unwrap_err();
        assert!(matches!(error, ControlError::Refused { .. }), "{error}");
        assert_eq!(error.to_string(), "no stream has that name");
    }
    served.stop();
}
