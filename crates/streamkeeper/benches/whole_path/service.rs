//! The least of a service: the calls that a start makes, then as many events as were asked for, as
//! fast as they are taken, then a poke every second. It shares nothing with the product, and it ends
//! when its process is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::records;

/// The bytes of an event on the wire, and those of its record.
pub(crate) const EVENT_BYTES: usize = 790;
const RECORD_BYTES: usize = EVENT_BYTES - START.len() - END.len();
const START: &str = "event: data\ndata: ";
const END: &str = "\n\n";

/// An HTTP chunk has so many bytes, where it is not one event.
pub(crate) const CHUNK_BYTES: usize = 16 << 10;

/// The day of every record: a key of long ago would be forgotten at once.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Writes event `number` as it is on the wire.
pub(crate) fn event(number: u64, day: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(START.as_bytes());
    records::write(number, day, RECORD_BYTES, out);
    out.extend_from_slice(END.as_bytes());
}

/// Serves for ever, and says where on stdout.
pub(crate) fn serve(chunk_for_each: bool, events: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    for socket in listener.incoming() {
        let socket = socket.unwrap();
        std::thread::spawn(move || requests(&socket, chunk_for_each, events));
    }
}

/// Answers the requests of one connection.
fn requests(socket: &TcpStream, chunk_for_each: bool, events: usize) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(socket);
    loop {
        let (mut length, mut line) = (0, String::new());
        let mut next = || {
            line.clear();
            reader.read_line(&mut line).ok().filter(|&bytes| bytes > 0)?;
            Some(line.trim_end().to_ascii_lowercase())
        };
        let request = next()?;
        loop {
            let header = next()?;
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).ok()?;
        let stream = r#"{"id":"5f0e1d2c3b4a596877869501","name":"bench","members":0}"#;
        if request.contains("/connect") {
            return stream_events(socket, chunk_for_each, events);
        } else if request.starts_with("post /streams") {
            respond(socket, "201 Created", stream)?;
        } else if request.starts_with("get /streams/") {
            respond(socket, "200 OK", stream)?;
        } else {
            respond(socket, "200 OK", r#"{"streams":[]}"#)?;
        }
    }
}

fn respond(mut socket: &TcpStream, status: &str, body: &str) -> Option<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n");
    write!(socket, "{head}content-length: {length}\r\n\r\n{body}").ok()
}

/// The events, then pokes.
fn stream_events(mut socket: &TcpStream, chunk_for_each: bool, events: usize) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
    write!(socket, "{head}transfer-encoding: chunked\r\n\r\n").ok()?;
    let (day, mut text, mut wire) = (today(), Vec::new(), Vec::new());
    for number in 0..events {
        event(number as u64, &day, &mut text);
        let last = number + 1 == events;
        if chunk_for_each {
            chunk(&text, &mut wire);
            text.clear();
        }
        while !chunk_for_each && (text.len() >= CHUNK_BYTES || last && !text.is_empty()) {
            let bytes = text.len().min(CHUNK_BYTES);
            chunk(&text[..bytes], &mut wire);
            text.drain(..bytes);
        }
        // As a server that is behind: many chunks with one call.
        if wire.len() >= 4 * CHUNK_BYTES || last {
            socket.write_all(&wire).ok()?;
            wire.clear();
        }
    }
    loop {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        let poke = format!(
            "event: poke\ndata: {{\"ts\":\"{now}\",\"stream\":\"bench\",\"members\":{{\"count\":1,\"max\":20}}}}\n\n"
        );
        chunk(poke.as_bytes(), &mut wire);
        socket.write_all(&wire).ok()?;
        wire.clear();
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn chunk(text: &[u8], wire: &mut Vec<u8>) {
    write!(wire, "{:x}\r\n", text.len()).unwrap();
    wire.extend_from_slice(text);
    wire.extend_from_slice(b"\r\n");
}
