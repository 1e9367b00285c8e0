//! The body of an event stream: SSE in HTTP framing, whole or cut off.

use std::io::Write as _;

use bytes::{BufMut as _, BytesMut};
use flate2::{Compression, write::GzEncoder};

use super::http::status_line;

/// How the body of one event stream is framed.
#[derive(Debug)]
pub(super) struct Body {
    chunked: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Body {
    pub(super) fn new(chunked: bool, gzip: bool) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { chunked, gzip }
    }

    /// The answer's head.
    pub(super) fn head(&self, out: &mut BytesMut) {
        out.put_slice(status_line(200).as_bytes());
        out.put_slice(b"content-type: text/event-stream\r\ncache-control: no-cache\r\n");
        if self.gzip.is_some() {
            out.put_slice(b"content-encoding: gzip\r\n");
        }
        if self.chunked {
            out.put_slice(b"transfer-encoding: chunked\r\n");
        }
        out.put_slice(b"\r\n");
    }

    /// One SSE frame, in a chunk of its own.
    pub(super) fn frame(&mut self, event: &str, data: &[u8], out: &mut BytesMut) {
        let frame = self.encode(event, data);
        self.chunk(&frame, out);
    }

    /// The first half of a frame. If chunked, the chunk announces all of it.
    pub(super) fn half_frame(&mut self, event: &str, data: &[u8], out: &mut BytesMut) {
        let frame = self.encode(event, data);
        let mut whole = BytesMut::new();
        self.chunk(&frame, &mut whole);
        whole.truncate(whole.len() - frame.len() / 2);
        out.unsplit(whole);
    }

    /// The proper end.
    pub(super) fn end(&mut self, out: &mut BytesMut) {
        if let Some(gzip) = self.gzip.take() {
            // Writing to memory does not fail.
            let rest = gzip.finish().unwrap_or_default();
            self.chunk(&rest, out);
        }
        if self.chunked {
            out.put_slice(b"0\r\n\r\n");
        }
    }

    fn encode(&mut self, event: &str, data: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(event.len() + data.len() + 17);
        frame.extend_from_slice(b"event: ");
        frame.extend_from_slice(event.as_bytes());
        frame.extend_from_slice(b"\ndata: ");
        frame.extend_from_slice(data);
        frame.extend_from_slice(b"\n\n");
        match &mut self.gzip {
            None => frame,
            Some(gzip) => {
                let written = gzip.write_all(&frame).and_then(|()| gzip.flush());
                debug_assert!(written.is_ok(), "memory takes everything");
                std::mem::take(gzip.get_mut())
            }
        }
    }

    fn chunk(&self, bytes: &[u8], out: &mut BytesMut) {
        if bytes.is_empty() {
            return; // an empty chunk would be the end
        }
        if self.chunked {
            out.put_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        }
        out.put_slice(bytes);
        if self.chunked {
            out.put_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn written(write: impl FnOnce(&mut Body, &mut BytesMut), mut body: Body) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut body, &mut out);
        out.to_vec()
    }

    #[test]
    fn a_frame_is_one_chunk_and_the_end_is_the_terminator() {
        let write = |body: &mut Body, out: &mut BytesMut| {
            body.frame("poke", b"{}", out);
            body.end(out);
        };
        let chunked = written(write, Body::new(true, false));
        assert_eq!(chunked, b"16\r\nevent: poke\ndata: {}\n\n\r\n0\r\n\r\n");
        let plain = written(write, Body::new(false, false));
        assert_eq!(plain, b"event: poke\ndata: {}\n\n");
    }

    #[test]
    fn half_a_frame_is_announced_whole() {
        let bytes =
            written(|body, out| body.half_frame("data", b"12345678", out), Body::new(true, false));
        assert_eq!(bytes, b"1c\r\nevent: data\ndata");
    }

    #[test]
    fn gzip_unpacks_to_the_same_frames() {
        let write = |body: &mut Body, out: &mut BytesMut| {
            body.frame("data", b"one", out);
            body.frame("data", b"two", out);
            body.end(out);
        };
        let packed = written(write, Body::new(false, true));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, "event: data\ndata: one\n\nevent: data\ndata: two\n\n");
    }
}
