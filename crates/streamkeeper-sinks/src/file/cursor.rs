//! The side file: where the output ends, and where the sink is in each stream.
//!
//! It stands beside the output as `<file>.cursor` and is replaced as a whole. Two lines:
//!
//! ```text
//! {"version":2,"file":{"inode":7,"created":null,"length":90,"tail_crc":5},"places":{"acme":{"ledger":"5f…","next":43}}}
//! crc32 1a2b3c4d
//! ```
//!
//! - `file` names the output: its inode number, its time of birth in nanoseconds since 1970
//!   (`null` where the file system knows none), its length in bytes up to which it is on disk
//!   and ours, and the CRC-32 of the last 4 KiB before that. Device numbers are left out on
//!   purpose: they may change with every boot, and a power cut is what this file is for.
//! - `places` holds, for each stream, the first sequence number that is not in the output, and the
//!   identity of the ledger whose number that is; `null` where it is not known.
//! - The second line is the CRC-32 of the first, without its end, in hexadecimal.
//!
//! Version 1 had `next` in the place of `places`, a number for each stream: it is read, as numbers of a
//! ledger that is not known, and replaced with the next batch. A file that cannot be read so, or has a
//! later version, is refused: guessing could cut off or leave out events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamkeeper_sink::OwnPlace;

use super::lines::Places;

/// What the side file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    version: u32,
    /// The output, up to where it is ours.
    pub(super) file: Mark,
    pub(super) places: Places,
}

/// What the first version said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    #[serde(rename = "version")]
    _version: u32,
    file: Mark,
    next: BTreeMap<String, u64>,
}

impl From<First> for Cursor {
    fn from(First { file, next, .. }: First) -> Self {
        let unknown = |(source, next)| (source, OwnPlace { ledger: None, next });
        Self::new(file, next.into_iter().map(unknown).collect())
    }
}

/// An end of lines in a file, and how to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    inode: u64,
    created: Option<u64>,
    /// In bytes.
    pub(super) length: u64,
    tail_crc: u32,
}

/// What tells a file from others, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) inode: u64,
    /// In nanoseconds since 1970; `None` if the file system does not know.
    pub(super) created: Option<u64>,
}

impl Mark {
    /// The mark `length` bytes into a file whose last bytes before that are `tail`.
    pub(super) fn new(Identity { inode, created }: Identity, length: u64, tail: &[u8]) -> Self {
        Self { inode, created, length, tail_crc: crc32fast::hash(tail) }
    }
}

impl Cursor {
    pub(super) const fn new(file: Mark, places: Places) -> Self {
        Self { version: VERSION, file, places }
    }

    #[expect(clippy::expect_used, reason = "numbers and text keys are serializable")]
    pub(super) fn to_text(&self) -> String {
        let line = serde_json::to_string(self).expect("a cursor is valid JSON");
        let crc = crc32fast::hash(line.as_bytes());
        format!("{line}\ncrc32 {crc:08x}\n")
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, CursorError> {
        let end = text.iter().position(|byte| *byte == b'\n').ok_or(CursorError::Damaged)?;
        let (line, rest) = text.split_at(end);
        // A later version may be checked in another way, but will still say so.
        let version = serde_json::from_slice(line).map(|Versioned { version }| version).ok();
        if let Some(version) = version.filter(|version| ![FIRST, VERSION].contains(version)) {
            return Err(CursorError::Version(version));
        }
        if rest != format!("\ncrc32 {:08x}\n", crc32fast::hash(line)).as_bytes() {
            return Err(CursorError::Damaged);
        }
        let parsed = if version == Some(FIRST) {
            serde_json::from_slice::<First>(line).map(Self::from)
        } else {
            serde_json::from_slice(line)
        };
        parsed.map_err(|_| CursorError::Damaged)
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

const VERSION: u32 = 2;
const FIRST: u32 = 1;

/// Why a side file cannot be used; read after its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CursorError {
    #[error(
        "is damaged; delete it to go on at the end of the output: \
         what was delivered last may then be there twice"
    )]
    Damaged,
    #[error(
        "has the unknown version {0}; start the Streamkeeper that wrote it, or delete it to go on \
         at the end of the output: what was delivered last may then be there twice"
    )]
    Version(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 1, as it is on disk. It must be read for ever.
    const FIXTURE_1: &str = concat!(
        r#"{"version":1,"file":{"inode":7,"created":1760000000123456789,"length":90,"#,
        r#""tail_crc":3421780262},"next":{"acme":43,"other":18446744073709551615}}"#,
        "\ncrc32 192aaf99\n"
    );

    /// Version 2, as it is on disk. It must be read for ever.
    const FIXTURE: &str = concat!(
        r#"{"version":2,"file":{"inode":7,"created":1760000000123456789,"length":90,"#,
        r#""tail_crc":3421780262},"places":{"acme":{"ledger":"5f0e1d2c3b4a59687786950f00c33d17","#,
        r#""next":43},"other":{"ledger":null,"next":18446744073709551615}}}"#,
        "\ncrc32 353fd706\n"
    );

    fn cursor(acme: Option<&str>) -> Cursor {
        let identity = Identity { inode: 7, created: Some(1_760_000_000_123_456_789) };
        let place = |ledger: Option<&str>, next| {
            let ledger = ledger.map(str::to_owned);
            OwnPlace { ledger, next }
        };
        let places = [("acme", place(acme, 43)), ("other", place(None, u64::MAX))];
        let places = places.map(|(source, place)| (source.to_owned(), place)).into();
        Cursor::new(Mark::new(identity, 90, b"123456789"), places)
    }

    #[test]
    fn the_fixtures_are_read_back() {
        let known = cursor(Some("5f0e1d2c3b4a59687786950f00c33d17"));
        assert_eq!(known.to_text(), FIXTURE);
        assert_eq!(Cursor::from_text(FIXTURE.as_bytes()), Ok(known));
        assert_eq!(Cursor::from_text(FIXTURE_1.as_bytes()), Ok(cursor(None)));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_anywhere_is_refused() {
        let text = FIXTURE.as_bytes();
        for at in 0..text.len() {
            assert_eq!(Cursor::from_text(&text[..at]), Err(CursorError::Damaged), "cut at {at}");
            let mut changed = text.to_vec();
            changed[at] ^= 1;
            Cursor::from_text(&changed).unwrap_err();
        }
        assert!(Cursor::from_text(&[text, b"x"].concat()).is_err());
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let later = b"{\"version\":3,\"files\":[]}\nchecked otherwise";
        assert_eq!(Cursor::from_text(later), Err(CursorError::Version(3)));
    }
}
