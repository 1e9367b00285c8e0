//! `Content-Encoding`: whether a body is compressed.

use awc::http::header::{CONTENT_ENCODING, HeaderMap};

/// What has to be undone to read a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    /// What is named is no compression: the body is as it is.
    Odd,
    Gzip,
    /// A compression that we cannot undo.
    Unknown,
}

impl Encoding {
    /// What all the codings that an answer names come to. Servers also write there what is no coding
    /// at all (`none`, `utf-8`), to keep a proxy from compressing.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let named = headers.get_all(CONTENT_ENCODING);
        let codings = named.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let codings: Vec<_> = codings.map(Self::of_coding).collect();
        let mut compressions =
            codings.iter().filter(|coding| matches!(coding, Self::Gzip | Self::Unknown));
        match (compressions.next(), compressions.next()) {
            (Some(&compression), None) => compression,
            // Compressed twice.
            (Some(_), Some(_)) => Self::Unknown,
            (None, _) if codings.contains(&Self::Odd) => Self::Odd,
            (None, _) => Self::Identity,
        }
    }

    fn of_coding(coding: &[u8]) -> Self {
        let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
        let is = |names: &[&str]| {
            names.iter().any(|known| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes()))
        };
        match () {
            () if is(&["", "identity"]) => Self::Identity,
            () if is(&["gzip", "x-gzip"]) => Self::Gzip,
            () if is(&COMPRESSIONS) => Self::Unknown,
            () => Self::Odd,
        }
    }
}

/// The codings of the IANA's registry that we cannot undo, and names under which others go.
const COMPRESSIONS: [&str; 22] = [
    "aes128gcm",
    "br",
    "brotli",
    "bzip2",
    "compress",
    "dcb",
    "dcz",
    "deflate",
    "exi",
    "lz4",
    "lzma",
    "pack200-gzip",
    "sdch",
    "snappy",
    "x-bzip2",
    "x-compress",
    "x-deflate",
    "x-snappy",
    "xz",
    "zlib",
    "zst",
    "zstd",
];

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Encoding {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        Encoding::of(&headers)
    }

    #[test]
    fn what_names_no_compression_is_none() {
        let plain: [&[&str]; 7] = [
            &[],
            &[""],
            &["identity"],
            &[" Identity , IDENTITY"],
            &["identity", "identity"],
            &[",,"],
            &["identity;q=1"],
        ];
        for values in plain {
            assert_eq!(of(values), Encoding::Identity, "{values:?}");
        }
        let odd: [&[&str]; 9] = [
            &["none"],
            &["utf-8"],
            &["UTF-8, identity"],
            &["identity", "none"],
            &["none, none"],
            &["text/event-stream"],
            &["8bit"],
            &["*"],
            &["charset=utf-8"],
        ];
        for values in odd {
            assert_eq!(of(values), Encoding::Odd, "{values:?}");
        }
    }

    #[test]
    fn a_compression_is_one_whatever_stands_beside_it() {
        let gzip: [&[&str]; 7] = [
            &["gzip"],
            &["GZIP "],
            &["x-gzip"],
            &["identity,gzip"],
            &["gzip, identity"],
            &["gzip", "utf-8"],
            &["none", "gzip;x=1"],
        ];
        for values in gzip {
            assert_eq!(of(values), Encoding::Gzip, "{values:?}");
        }
        let unknown: [&[&str]; 7] = [
            &["br"],
            &["Deflate"],
            &["zstd"],
            &["identity, br"],
            &["gzip, br"],
            &["br", "gzip"],
            &["gzip, gzip"],
        ];
        for values in unknown {
            assert_eq!(of(values), Encoding::Unknown, "{values:?}");
        }
    }
}
