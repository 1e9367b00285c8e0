//! The heads of responses that awc would misread.
//!
//! awc takes an HTTP/1.1 response without `Transfer-Encoding` and `Content-Length` for an empty
//! one, where the standard says that its body runs until the connection closes (RFC 9112, 6.3).
//! Many small servers of event streams answer so. In an HTTP/1.0 response awc reads until close,
//! so it is shown one: the minor version is changed, every other byte stays. Interim responses
//! (1xx) are taken out, since awc would take the first for the answer.

/// The most a head may measure; awc's own limit is twice that.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// As many headers as awc accepts.
const HEADERS_MAX: usize = 96;

/// What the bytes read so far begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A head that is not complete yet.
    Partial,
    /// An interim response of this many bytes; the answer is still to come.
    Interim(usize),
    /// The answer, to be passed on as it is; also if it is not HTTP: that is for awc to say.
    Final,
    /// The answer, with a body until close: the byte at this place is to become `0`.
    Unframed(usize),
}

/// Looks at the beginning of a response to a `GET`, `POST`, `PUT` or `DELETE`.
pub(super) fn inspect(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    // As awc does, or the two would disagree.
    parser.allow_spaces_after_header_name_in_responses(true);
    let length = match parser.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Final,
    };
    match response.code {
        Some(101 | 204 | 304) => Head::Final,
        Some(100..=199) => Head::Interim(length),
        _ if response.version == Some(1) && !response.headers.iter().any(is_framing) => {
            // Empty lines may precede the status line, which begins with `HTTP/1.1`.
            let line = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            line.map_or(Head::Final, |line| Head::Unframed(line + "HTTP/1.".len()))
        }
        _ => Head::Final,
    }
}

fn is_framing(header: &httparse::Header<'_>) -> bool {
    header.name.eq_ignore_ascii_case("content-length")
        || (header.name.eq_ignore_ascii_case("transfer-encoding")
            && !header.value.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        for (bytes, expected) in [
            ("", Head::Partial),
            ("HTTP/1.1 200 OK\r\nContent-", Head::Partial),
            ("HTTP/1.1 200 OK\r\n\r\n", Head::Unframed(7)),
            ("\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n: hi", Head::Unframed(9)),
            ("HTTP/1.1 200 OK\nX: content-length: 5\n\n", Head::Unframed(7)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Head::Unframed(7)),
            ("HTTP/1.1 500 Oh\r\n\r\n", Head::Unframed(7)),
            ("HTTP/1.0 200 OK\r\n\r\n", Head::Final),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Head::Final),
            ("HTTP/1.1 200 OK\r\ntRANSFER-eNCODING: Chunked\r\n\r\n", Head::Final),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n", Head::Final),
            ("HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh: 5\r\n\r\nhello", Head::Final),
            ("HTTP/1.1 204 None\r\n\r\n", Head::Final),
            ("HTTP/1.1 304 Same\r\n\r\n", Head::Final),
            ("HTTP/1.1 101 Switch\r\n\r\n", Head::Final),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1", Head::Interim(25)),
            ("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", Head::Interim(31)),
            ("SSH-2.0-OpenSSH\r\n", Head::Final),
        ] {
            assert_eq!(inspect(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }
}
