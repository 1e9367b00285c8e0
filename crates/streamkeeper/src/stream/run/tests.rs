//! What the next supervisor begins with when the last one did not stop in order.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;

use actix::{Handler, Message};
use actix_rt::{Arbiter, System};

use super::*;
use crate::config::SseTable;

/// A supervisor that is given this panics.
#[derive(Message)]
#[rtype(result = "()")]
struct Doom;

impl Handler<Doom> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Doom, _: &mut Self::Context) {
        panic!("on purpose");
    }
}

/// A server that sends each client one event more than the last, and what it was asked.
fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|read| read > 0)
            {
                head.push(byte[0]);
            }
            let number = held.len() + 1;
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            write!(socket, "{answer}id: at-{number}\ndata: {number}\n\n").unwrap();
            noted.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
            held.push(socket);
        }
    });
    (url, asked)
}

async fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the server is asked by the supervisor that comes after one which ended so.
fn asked_after(end: impl FnOnce(&Stream)) -> String {
    System::new().block_on(async {
        let (url, asked) = server();
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let ground = Ground {
            writers: WriterPool::start(1, &registry).unwrap(),
            arbiters: vec![Arbiter::current()],
            registry,
            groups: Groups::default(),
            replay_places: ReplayPlaces::default(),
        };
        let config = StreamConfig::sse("a", url, SseTable::preset("sse").unwrap());
        let prepared = Prepared::new(&config, folder.path(), Vec::new(), Vec::new()).unwrap();
        let mut stream = prepared.start(0, &ground).unwrap();
        wait_for("the first event", || stream.entry().counters.read() == 1).await;
        end(&stream);
        let transport = transport(&config).unwrap();
        stream.replace_reader(config, transport, Instant::now(), &ground).await;
        wait_for("the next supervisor", || asked.lock().unwrap().len() == 2).await;
        stream.abandon();
        asked.lock().unwrap().remove(1)
    })
}

#[test]
fn a_stream_keeps_its_cursor_when_its_supervisor_panics() {
    let asked = asked_after(|stream| stream.reader.supervisor.do_send(Doom));
    assert!(asked.contains("last-event-id: at-1"), "{asked}");
}

#[test]
fn a_stream_keeps_its_newest_cursor_when_its_supervisor_does_not_stop_in_time() {
    // It is not told to stop, and so it is abandoned.
    let asked = asked_after(|_| {});
    assert!(asked.contains("last-event-id: at-1"), "{asked}");
}
