//! Segments: the files that the log of accepted events is made of.
//!
//! # Format
//!
//! The name is `outbox-` and the first sequence number in 20 digits and `.log`. A header of 32
//! bytes, little-endian, then frames (see `record`) one after the other to the end:
//!
//! | at | bytes | header |
//! | --- | --- | --- |
//! | 0 | 8 | `SKSEGMT1` |
//! | 8 | 2 | format version: 2; 1 is the same, and no frame has extras |
//! | 10 | 2 | zero |
//! | 12 | 8 | sequence number of the first event |
//! | 20 | 8 | zero |
//! | 28 | 4 | CRC-32 of the 28 bytes before |
//!
//! A segment's header and name are synced before its first frame is written, and every commit is
//! synced before the next is written. So a crash can leave a bad frame in one place only: in the
//! last commit of the last segment. Anything bad with a later commit behind it is damage.

use std::path::{Path, PathBuf};

use streamkeeper_core::id::Cursor;

use crate::codec::Take;
use crate::error::{Context, LedgerError};
use crate::fs::{Access, File, Fs};
use crate::record::{FrameHeader, HEADER_BYTES, MAGIC, take_extras};

/// The bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = 32;

const SEGMENT_MAGIC: [u8; 8] = *b"SKSEGMT1";
const VERSION: u16 = 2;

/// The first version whose frames may have extras.
const EXTRAS_SINCE: u16 = 2;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn File>,
    pub(crate) first_sequence: u64,
    /// The format version that it was begun with, and keeps.
    version: u16,
}

/// The file name of a segment.
pub(crate) fn segment_name(first_sequence: u64) -> String {
    format!("outbox-{first_sequence:020}.log")
}

/// The first sequence number of the segment of that name; `None` if it is not a segment's.
pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("outbox-")?.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

impl Segment {
    /// Creates an empty segment, durably.
    pub(crate) fn create(
        fs: &dyn Fs,
        dir: &Path,
        first_sequence: u64,
    ) -> Result<Self, LedgerError> {
        let path = dir.join(segment_name(first_sequence));
        let file = fs.create(&path).context("create", &path)?;
        let segment = Self { path, file, first_sequence, version: VERSION };
        segment.write_header()?;
        segment.file.sync().context("sync", &segment.path)?;
        fs.sync_dir(dir).context("sync", dir)?;
        Ok(segment)
    }

    /// Writes the header; it is durable after the next sync.
    pub(crate) fn write_header(&self) -> Result<(), LedgerError> {
        let mut header = Vec::new();
        header.extend_from_slice(&SEGMENT_MAGIC);
        header.extend_from_slice(&self.version.to_le_bytes());
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&self.first_sequence.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        self.file.write_at(&header, 0).context("write", &self.path)
    }

    /// Opens a segment; `None` if its header is not whole.
    pub(crate) fn open(
        fs: &dyn Fs,
        dir: &Path,
        first_sequence: u64,
        access: Access,
    ) -> Result<(Self, Header), LedgerError> {
        let path = dir.join(segment_name(first_sequence));
        let file = fs.open(&path, access).context("open", &path)?;
        let mut segment = Self { path, file, first_sequence, version: VERSION };
        let header = segment.header()?;
        Ok((segment, header))
    }

    fn header(&mut self) -> Result<Header, LedgerError> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        if self.len()? < SEGMENT_HEADER_BYTES {
            return Ok(Header::Torn);
        }
        self.file.read_at(&mut bytes, 0).context("read", &self.path)?;
        let whole = bytes
            .split_last_chunk::<4>()
            .is_some_and(|(sealed, crc)| crc32fast::hash(sealed) == u32::from_le_bytes(*crc));
        let mut take = Take(&bytes);
        let (magic, version) = (take.array::<8>(), take.u16().unwrap_or(0));
        if magic == Some(SEGMENT_MAGIC) && version > VERSION {
            return Err(LedgerError::NewerVersion {
                path: self.path.clone(),
                found: version,
                known: VERSION,
            });
        }
        let (_, first) = (take.u16(), take.u64());
        let named = magic == Some(SEGMENT_MAGIC) && first == Some(self.first_sequence);
        if !(whole && named) {
            return Ok(Header::Torn);
        }
        self.version = version;
        Ok(Header::Whole)
    }

    /// Whether its frames may have extras.
    pub(crate) const fn takes_extras(&self) -> bool {
        self.version >= EXTRAS_SINCE
    }

    pub(crate) fn len(&self) -> Result<u64, LedgerError> {
        self.file.len().context("read the length of", &self.path)
    }

    pub(crate) fn damaged(&self, fault: &Fault) -> LedgerError {
        LedgerError::damaged(&self.path, fault.offset, fault.what)
    }

    /// Whether a commit begins somewhere behind `offset`.
    pub(crate) fn commit_after(&self, offset: u64) -> Result<bool, LedgerError> {
        let end = self.len()?;
        let mut at = offset + 1;
        let mut window = vec![0; WINDOW_BYTES];
        while at + HEADER_BYTES as u64 <= end {
            let bytes = usize::try_from(end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            let window = window.get_mut(..bytes).unwrap_or_default();
            self.file.read_at(window, at).context("read", &self.path)?;
            let start = |at: usize| {
                let header = window.get(at..)?.first_chunk::<HEADER_BYTES>()?;
                FrameHeader::parse(header).filter(|header| header.commit_start)
            };
            if memchr::memmem::find_iter(window, &MAGIC).any(|at| start(at).is_some()) {
                return Ok(true);
            }
            // Windows overlap, so that no header is cut by the end of one.
            at += (bytes - HEADER_BYTES + 1) as u64;
        }
        Ok(false)
    }
}

/// How much is searched at once.
const WINDOW_BYTES: usize = 1 << 18;

/// The state of a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Whole,
    /// Not whole: no frame can have been written behind it.
    Torn,
}

/// Where a segment goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
}

/// Goes through a segment frame by frame.
pub(crate) struct Scan<'a> {
    segment: &'a Segment,
    /// Where the next frame starts.
    pub(crate) offset: u64,
    /// The sequence number the next frame starts with.
    pub(crate) sequence: u64,
    end: u64,
    extras: Vec<u8>,
    keys: Vec<u8>,
    body: Vec<u8>,
}

/// How much of a frame is read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The header.
    Header,
    /// Header, extras and keys.
    Keys,
    /// All of it.
    Whole,
}

/// What a scan comes upon.
pub(crate) enum Scanned<'s> {
    Frame {
        header: FrameHeader,
        /// From where the service goes on behind it, if it says so.
        cursor: Option<Cursor>,
        keys: &'s [u8],
        body: &'s [u8],
    },
    /// The file ends here; the next event would have this sequence number.
    End {
        sequence: u64,
    },
    Fault(Fault),
}

impl<'a> Scan<'a> {
    /// Starts at a frame.
    pub(crate) const fn at(segment: &'a Segment, offset: u64, sequence: u64, end: u64) -> Self {
        let extras = Vec::new();
        Self { segment, offset, sequence, end, extras, keys: Vec::new(), body: Vec::new() }
    }

    /// Starts at the first frame.
    pub(crate) fn new(segment: &'a Segment) -> Result<Self, LedgerError> {
        Ok(Self::at(segment, SEGMENT_HEADER_BYTES, segment.first_sequence, segment.len()?))
    }

    /// Reads the next frame, as much of it as `depth` says once its header is known.
    pub(crate) fn next(
        &mut self,
        depth: impl FnOnce(&FrameHeader) -> Depth,
    ) -> Result<Scanned<'_>, LedgerError> {
        let fault = |what| Ok(Scanned::Fault(Fault { offset: self.offset, what }));
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Scanned::End { sequence: self.sequence });
        }
        if left < HEADER_BYTES as u64 {
            return fault("a frame is cut in its header");
        }
        let (path, file) = (&self.segment.path, &self.segment.file);
        let mut header = [0; HEADER_BYTES];
        file.read_at(&mut header, self.offset).context("read", path)?;
        let Some(header) = FrameHeader::parse(&header) else {
            return fault("there is no whole frame header");
        };
        if header.is_newer {
            let (path, offset) = (path.clone(), self.offset);
            return Err(LedgerError::NewerFrame { path, offset });
        }
        if header.first_sequence != self.sequence {
            return fault("a frame is out of sequence");
        }
        if header.frame_bytes() > left {
            return fault("a frame is cut");
        }
        let depth = depth(&header);
        self.keys.clear();
        self.body.clear();
        let mut cursor = None;
        if depth != Depth::Header {
            if header.extras_bytes > 0 {
                self.extras.resize(usize::from(header.extras_bytes), 0);
                file.read_at(&mut self.extras, self.offset + HEADER_BYTES as u64)
                    .context("read", path)?;
                cursor = take_extras(&self.extras);
                if cursor.is_none() {
                    return fault("the extras of a frame are damaged");
                }
            }
            self.keys.resize(header.keys_bytes as usize, 0);
            let at = self.offset + header.keys_at();
            file.read_at(&mut self.keys, at).context("read", path)?;
            if !header.keys_are_whole(&self.keys) {
                return fault("the keys of a frame are damaged");
            }
        }
        if depth == Depth::Whole {
            self.body.resize(header.body_bytes as usize, 0);
            let at = self.offset + header.keys_at() + u64::from(header.keys_bytes);
            file.read_at(&mut self.body, at).context("read", path)?;
            if !header.body_is_whole(&self.body) {
                return fault("the payloads of a frame are damaged");
            }
        }
        self.offset += header.frame_bytes();
        self.sequence = header.end();
        Ok(Scanned::Frame { header, cursor, keys: &self.keys, body: &self.body })
    }
}
