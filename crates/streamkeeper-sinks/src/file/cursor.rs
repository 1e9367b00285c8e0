//! The side file: where the output ends, and where the sink is in each stream.
//!
//! It stands beside the output as `<file>.cursor`. Two lines say all, and two more for each batch since
//! what that has changed:
//!
//! ```text
//! {"version":2,"file":{"inode":7,"created":null,"length":90,"tail_crc":5},"places":{"acme":{"ledger":"5f…","next":43}}}
//! crc32 1a2b3c4d
//! {"file":{"inode":7,"created":null,"length":99,"tail_crc":6},"places":{"acme":{"ledger":"5f…","next":44}}}
//! crc32 5e6f7081
//! ```
//!
//! So a batch costs as much as it has streams, and not as much as there are. Now and then, and after
//! anything that went wrong, the file is replaced by one of two lines.
//!
//! - `file` names the output: its inode number, its time of birth in nanoseconds since 1970
//!   (`null` where the file system knows none), its length in bytes up to which it is on disk
//!   and ours, and the CRC-32 of the last 4 KiB before that. Device numbers are left out on
//!   purpose: they may change with every boot, and a power cut is what this file is for.
//! - `places` holds, for each stream, the first sequence number that is not in the output, and the
//!   identity of the ledger whose number that is; `null` where it is not known.
//! - The second line is the CRC-32 of the first, without its end, in hexadecimal; so for each two.
//!
//! What a crash left of the last two lines is as if it was not there: the batch was not acknowledged.
//! Version 1 had `next` in the place of `places`, a number for each stream: it is read, as numbers of a
//! ledger that is not known, and replaced with the next batch. Any other file that cannot be read so, or has a
//! later version, is refused: guessing could cut off or leave out events.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
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

/// What a batch has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    pub(super) file: Mark,
    /// Those that are others now.
    pub(super) places: Places,
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

    pub(super) fn to_text(&self) -> String {
        checked(self)
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, CursorError> {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // A later version may be checked in another way, but will still say so.
        let version = serde_json::from_slice(line).map(|Versioned { version }| version).ok();
        match version {
            Some(FIRST) => match take::<First>(text) {
                Some((first, b"")) => Ok(first.into()),
                _ => Err(CursorError::Damaged),
            },
            Some(VERSION) => Self::with_batches(text).ok_or(CursorError::Damaged),
            Some(version) => Err(CursorError::Version(version)),
            None => Err(CursorError::Damaged),
        }
    }

    fn with_batches(text: &[u8]) -> Option<Self> {
        let (mut cursor, mut rest) = take::<Self>(text)?;
        while let Some((Counted { file, places }, after)) = take(rest) {
            cursor.file = file;
            cursor.places.extend(places);
            rest = after;
        }
        // Nothing is ever written behind what was not finished.
        (!holds_any(rest)).then_some(cursor)
    }
}

impl Counted {
    pub(super) fn to_text(&self) -> String {
        checked(self)
    }
}

/// A line of JSON and the line that checks it.
#[expect(clippy::expect_used, reason = "numbers and text keys are serializable")]
fn checked(of: &impl Serialize) -> String {
    let line = serde_json::to_string(of).expect("a cursor is valid JSON");
    let crc = crc32fast::hash(line.as_bytes());
    format!("{line}\ncrc32 {crc:08x}\n")
}

/// The first two lines, if they are whole, and what is behind them.
fn take<T: DeserializeOwned>(text: &[u8]) -> Option<(T, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = text.split_at(end);
    let after = rest.strip_prefix(format!("\ncrc32 {:08x}\n", crc32fast::hash(line)).as_bytes())?;
    Some((serde_json::from_slice(line).ok()?, after))
}

/// Whether whole lines begin anywhere in it.
fn holds_any(text: &[u8]) -> bool {
    let begins = text.windows(BEGIN.len()).enumerate().filter(|(_, window)| *window == BEGIN);
    begins.filter_map(|(at, _)| text.get(at..)).any(|text| take::<Counted>(text).is_some())
}

/// How a batch's first line begins.
const BEGIN: &[u8] = br#"{"file":"#;

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

    /// Version 2, as it is on disk: all, and two batches. It must be read for ever.
    const FIXTURE: &str = concat!(
        r#"{"version":2,"file":{"inode":7,"created":1760000000123456789,"length":90,"#,
        r#""tail_crc":3421780262},"places":{"acme":{"ledger":"5f0e1d2c3b4a59687786950f00c33d17","#,
        r#""next":43},"other":{"ledger":null,"next":18446744073709551615}}}"#,
        "\ncrc32 353fd706\n",
        r#"{"file":{"inode":7,"created":1760000000123456789,"length":99,"tail_crc":3421780262},"#,
        r#""places":{"acme":{"ledger":"5f0e1d2c3b4a59687786950f00c33d17","next":44}}}"#,
        "\ncrc32 67974031\n",
        r#"{"file":{"inode":8,"created":null,"length":9,"tail_crc":3421780262},"#,
        r#""places":{"acme":{"ledger":"5f0e1d2c3b4a59687786950f00c33d17","next":46},"#,
        r#""new":{"ledger":null,"next":2}}}"#,
        "\ncrc32 a001dd16\n",
    );

    const LEDGER: Option<&str> = Some("5f0e1d2c3b4a59687786950f00c33d17");

    fn places(of: &[(&str, Option<&str>, u64)]) -> Places {
        let place = |(source, ledger, next): &(&str, Option<&str>, u64)| {
            let ledger = ledger.map(str::to_owned);
            ((*source).to_owned(), OwnPlace { ledger, next: *next })
        };
        of.iter().map(place).collect()
    }

    fn mark(inode: u64, created: Option<u64>, length: u64) -> Mark {
        Mark::new(Identity { inode, created }, length, b"123456789")
    }

    const BORN: Option<u64> = Some(1_760_000_000_123_456_789);

    fn whole(ledger: Option<&str>) -> Cursor {
        let places = places(&[("acme", ledger, 43), ("other", None, u64::MAX)]);
        Cursor::new(mark(7, BORN, 90), places)
    }

    fn batches() -> [String; 2] {
        let first = places(&[("acme", LEDGER, 44)]);
        let second = places(&[("acme", LEDGER, 46), ("new", None, 2)]);
        [(mark(7, BORN, 99), first), (mark(8, None, 9), second)]
            .map(|(file, places)| Counted { file, places }.to_text())
    }

    #[test]
    fn the_fixtures_are_read_back() {
        let [one, two] = batches();
        assert_eq!([whole(LEDGER).to_text(), one, two].concat(), FIXTURE);
        let last = places(&[("acme", LEDGER, 46), ("new", None, 2), ("other", None, u64::MAX)]);
        let last = Cursor::new(mark(8, None, 9), last);
        assert_eq!(Cursor::from_text(FIXTURE.as_bytes()), Ok(last));
        assert_eq!(Cursor::from_text(FIXTURE_1.as_bytes()), Ok(whole(None)));
    }

    #[test]
    fn a_file_that_is_cut_or_changed_where_all_is_said_is_refused() {
        let whole = whole(LEDGER).to_text();
        for text in [FIXTURE_1.as_bytes(), whole.as_bytes()] {
            for at in 0..text.len() {
                assert_eq!(
                    Cursor::from_text(&text[..at]),
                    Err(CursorError::Damaged),
                    "cut at {at}"
                );
                let mut changed = text.to_vec();
                changed[at] ^= 1;
                Cursor::from_text(&changed).unwrap_err();
            }
        }
        assert!(Cursor::from_text(&[FIXTURE_1.as_bytes(), b"x"].concat()).is_err());
    }

    #[test]
    fn what_was_not_finished_is_not_there_and_a_hole_is_damage() {
        let [one, two] = batches();
        let whole = whole(LEDGER).to_text();
        let before = [whole.clone(), one].concat();
        let read = |tail: &[u8]| Cursor::from_text(&[before.as_bytes(), tail].concat());
        let expected = read(b"").unwrap();
        for at in 0..two.len() {
            assert_eq!(read(&two.as_bytes()[..at]).as_ref(), Ok(&expected), "cut at {at}");
            let mut zeros = two.as_bytes().to_vec();
            zeros[at..].fill(0);
            assert_eq!(read(&zeros).as_ref(), Ok(&expected), "zeros from {at}");
        }
        for at in whole.len()..before.len() {
            let mut changed = [before.as_bytes(), two.as_bytes()].concat();
            changed[at] ^= 1;
            assert_eq!(Cursor::from_text(&changed), Err(CursorError::Damaged), "changed at {at}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let later = b"{\"version\":3,\"files\":[]}\nchecked otherwise";
        assert_eq!(Cursor::from_text(later), Err(CursorError::Version(3)));
    }
}
