//! How bodies end, and that each end is told from the others.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use streamkeeper::transport::{BodyError, Control, EndKind, OpenErrorKind};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::server::{SSE_HEAD, Server, chunk, read_all, request, until_closed, within};

async fn end_of(answer: String) -> (String, Option<BodyError>, EndKind) {
    let server = Server::saying(answer);
    let mut response = server.open().await;
    assert_eq!(response.end(), None);
    let (text, error) = read_all(&mut response).await;
    (text, error, response.end().expect("ended"))
}

#[actix_rt::test]
async fn a_body_without_length_is_read_until_close() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let (text, error, end) = end_of(format!("{head}data: 1\n\ndata: 2\n\n")).await;
        assert_eq!(text, "data: 1\n\ndata: 2\n\n", "{head}");
        assert_eq!((error, end), (None, EndKind::Closed), "{head}");
    }
}

#[actix_rt::test]
async fn a_body_without_length_comes_as_it_is_sent() {
    let (go, gone) = mpsc::unbounded_channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let server = Server::start(move |mut tcp| {
        let mut gone = gone.lock().unwrap().take().expect("one connection");
        async move {
            request(&mut tcp).await;
            // The head comes in single bytes, the first event with its last.
            for byte in b"HTTP/1.1 200 OK\r\nX: \xc3\xa9\r\n\r" {
                tcp.write_all(&[*byte]).await.unwrap();
            }
            tcp.write_all(b"\ndata: 1\n\n").await.unwrap();
            gone.recv().await;
            tcp.write_all(b"data: 2\n\n").await.unwrap();
            until_closed(&mut tcp).await;
        }
    });
    let mut response = server.open().await;
    assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
    go.send(()).unwrap();
    assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), "data: 2\n\n");
    assert_eq!(response.header("x"), Some("é"), "as ids come back");
}

#[actix_rt::test]
async fn proper_ends() {
    let text = "data: 1\n\n";
    let chunks = format!("{}{}", chunk(text), chunk(text));
    let twice = format!("{text}{text}");
    for answer in [
        format!("{SSE_HEAD}{chunks}0\r\n\r\n"),
        format!("{SSE_HEAD}{chunks}0\r\nTrailer: x\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ntRANSFER-eNCODING: Chunked\r\n\r\n{chunks}0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh: {}\r\n\r\n{twice}", twice.len()),
        format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{twice}", twice.len()),
        format!(
            "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\n{SSE_HEAD}{chunks}0\r\n\r\n"
        ),
    ] {
        let expected = (twice.clone(), None, EndKind::Terminated);
        assert_eq!(end_of(answer.clone()).await, expected, "{answer}");
    }
    assert!(EndKind::Terminated.is_proper() && EndKind::Closed.is_proper());
    assert!(!EndKind::Eof.is_proper() && !EndKind::Killed.is_proper());
}

#[actix_rt::test]
async fn a_body_cut_anywhere_is_no_proper_end() {
    let whole = format!("{}{}0\r\n\r\n", chunk("data: 1\n\n"), chunk("data: 2\n\n"));
    for length in 0..whole.len() {
        let (_, error, end) = end_of(format!("{SSE_HEAD}{}", &whole[..length])).await;
        assert_eq!((error, end), (None, EndKind::Eof), "cut at {length}");
    }
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata: 1\n\n".to_owned();
    assert_eq!(end_of(cut).await, ("data: 1\n\n".to_owned(), None, EndKind::Eof));
}

#[actix_rt::test]
async fn a_reset_is_told_apart() {
    for framed in [true, false] {
        let server = Server::start(move |mut tcp| async move {
            request(&mut tcp).await;
            let head = if framed { SSE_HEAD } else { "HTTP/1.1 200 OK\r\n\r\n" };
            tcp.write_all(head.as_bytes()).await.unwrap();
            tcp.write_all(chunk("data: 1\n\n").as_bytes()).await.unwrap();
            // Not before the client has opened the stream: a reset overtakes what was written.
            let mut byte = [0];
            tcp.peek(&mut byte).await.unwrap();
            socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let mut response = server.open().await;
        within(response.next_chunk()).await.unwrap().unwrap();
        // The server's peek returns at our FIN.
        response.control().half_close();
        let (_, error) = read_all(&mut response).await;
        assert_eq!((error, response.end()), (Some(BodyError::Reset), Some(EndKind::Reset)));
    }
}

#[actix_rt::test]
async fn invalid_framing_is_an_error() {
    let (text, error, end) =
        end_of(format!("{SSE_HEAD}{}nonsense\r\n", chunk("data: 1\n\n"))).await;
    assert_eq!(text, "data: 1\n\n");
    assert_eq!((error, end), (Some(BodyError::Framing), EndKind::Error));
}

#[actix_rt::test]
async fn the_socket_closes_with_the_body_and_with_the_response() {
    let (closed, mut closings) = mpsc::unbounded_channel();
    let server = Server::start(move |mut tcp| {
        let closed = closed.clone();
        async move {
            let path = request(&mut tcp).await;
            let end = if path.contains("/ends") { "0\r\n\r\n" } else { "" };
            let answer = format!("{SSE_HEAD}{}{end}", chunk("data: 1\n\n"));
            tcp.write_all(answer.as_bytes()).await.unwrap();
            // The server would keep the connection for another request.
            until_closed(&mut tcp).await;
            closed.send(()).unwrap();
        }
    });
    let control = Control::new();
    let mut response = server.transport().open_sse("/ends", &[], &control).await.unwrap();
    assert!(!control.is_closed());
    assert_eq!(read_all(&mut response).await.0, "data: 1\n\n");
    within(closings.recv()).await.unwrap();
    assert!(control.is_closed(), "closed at the end of the body, with the response still held");

    let control = Control::new();
    let response = server.transport().open_sse("/stays", &[], &control).await.unwrap();
    drop(response);
    within(closings.recv()).await.unwrap();
    within(control.closed()).await;
    assert_eq!(server.accepted(), 2);
}

fn gzip_head() -> String {
    SSE_HEAD.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n")
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[actix_rt::test]
async fn gzip_is_decoded_chunk_by_chunk() {
    let (go, gone) = mpsc::unbounded_channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let server = Server::start(move |mut tcp| {
        let mut gone = gone.lock().unwrap().take().expect("one connection");
        async move {
            request(&mut tcp).await;
            tcp.write_all(gzip_head().as_bytes()).await.unwrap();
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            for event in ["data: 1\n\n".to_owned(), "data: 2\n\n".repeat(100_000)] {
                encoder.write_all(event.as_bytes()).unwrap();
                encoder.flush().unwrap();
                let compressed = std::mem::take(encoder.get_mut());
                tcp.write_all(&framed(&compressed)).await.unwrap();
                gone.recv().await;
            }
            let rest = encoder.finish().unwrap();
            tcp.write_all(&framed(&rest)).await.unwrap();
            tcp.write_all(b"0\r\n\r\n").await.unwrap();
        }
    });
    let mut response = server.open().await;
    // The first event comes while the server waits to send the second.
    assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
    go.send(()).unwrap();
    go.send(()).unwrap();
    let (text, error) = read_all(&mut response).await;
    assert_eq!(text, "data: 2\n\n".repeat(100_000));
    assert_eq!((error, response.end()), (None, Some(EndKind::Terminated)));
}

#[actix_rt::test]
async fn corrupt_gzip_is_an_error() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"data: 1\n\n").unwrap();
    let whole = encoder.finish().unwrap();
    let mut flipped = whole.clone();
    flipped[12] ^= 0xff;
    for broken in [b"not gzip at all".to_vec(), flipped] {
        let answer = [gzip_head().into_bytes(), framed(&broken), b"0\r\n\r\n".to_vec()].concat();
        let server = Server::saying(answer);
        let mut response = server.open().await;
        let (_, error) = read_all(&mut response).await;
        assert_eq!((error, response.end()), (Some(BodyError::Gzip), Some(EndKind::Error)));
    }
}

#[actix_rt::test]
async fn a_body_that_ends_in_order_has_ended_whatever_its_gzip_lacks() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"data: 1\n\n").unwrap();
    encoder.flush().unwrap();
    let flushed = encoder.get_ref().clone();
    let whole = encoder.finish().unwrap();
    let second = [whole.as_slice(), flushed.as_slice()].concat();
    for (lacking, text) in [
        (flushed.as_slice(), "data: 1\n\n"),
        (&whole[..whole.len() - 8], "data: 1\n\n"),
        (&whole[..whole.len() - 3], "data: 1\n\n"),
        (&second, "data: 1\n\ndata: 1\n\n"),
        (&[], ""),
    ] {
        let body = if lacking.is_empty() { Vec::new() } else { framed(lacking) };
        let answer = [gzip_head().into_bytes(), body.clone(), b"0\r\n\r\n".to_vec()].concat();
        let mut response = Server::saying(answer).open().await;
        assert_eq!(read_all(&mut response).await, (text.to_owned(), None));
        assert_eq!(response.end(), Some(EndKind::Terminated));

        // Without HTTP's word for it, nobody knows whether more was to come.
        let mut response = Server::saying([gzip_head().into_bytes(), body].concat()).open().await;
        assert_eq!(read_all(&mut response).await, (text.to_owned(), None));
        assert_eq!(response.end(), Some(EndKind::Eof));
        if !lacking.is_empty() {
            let head = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
            let mut response = Server::saying([head.as_bytes(), lacking].concat()).open().await;
            assert_eq!(read_all(&mut response).await, (text.to_owned(), None));
            assert_eq!(response.end(), Some(EndKind::Eof));
        }
    }
}

#[actix_rt::test]
async fn what_stands_before_a_fault_of_gzip_is_delivered() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"data: 1\n\n").unwrap();
    encoder.flush().unwrap();
    let broken = [encoder.get_ref().as_slice(), &[0xff; 20]].concat();
    let answer = [gzip_head().into_bytes(), framed(&broken), b"0\r\n\r\n".to_vec()].concat();
    let mut response = Server::saying(answer).open().await;
    assert_eq!(read_all(&mut response).await, ("data: 1\n\n".to_owned(), Some(BodyError::Gzip)));
    assert_eq!(response.end(), Some(EndKind::Error));
}

#[actix_rt::test]
async fn other_encodings_are_refused() {
    for coding in ["br", "deflate", "identity, zstd", "gzip, br"] {
        let server = Server::saying(gzip_head().replace("gzip", coding));
        let error = server.transport().open_sse("/", &[], &Control::new()).await.unwrap_err();
        assert_eq!(error.kind, OpenErrorKind::ContentEncoding, "{coding}");
    }
}

#[actix_rt::test]
async fn an_encoding_that_names_no_compression_is_none() {
    for coding in
        ["none", "utf-8", "UTF-8", "identity, identity", "", " ", "Identity ,none", "text"]
    {
        let head = gzip_head().replace("gzip", coding);
        let mut response =
            Server::saying(format!("{head}{}0\r\n\r\n", chunk("data: 1\n\n"))).open().await;
        assert_eq!(read_all(&mut response).await, ("data: 1\n\n".to_owned(), None), "{coding}");
        assert_eq!(response.end(), Some(EndKind::Terminated), "{coding}");
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"data: 1\n\n").unwrap();
    let body = framed(&encoder.finish().unwrap());
    for coding in ["identity,gzip", "gzip, none", "X-GZIP"] {
        let head = gzip_head().replace("gzip", coding).into_bytes();
        let answer = [head, body.clone(), b"0\r\n\r\n".to_vec()].concat();
        let mut response = Server::saying(answer).open().await;
        assert_eq!(read_all(&mut response).await, ("data: 1\n\n".to_owned(), None), "{coding}");
    }
}
