//! Small files that are replaced as a whole: the checkpoint, the state, the identity.
//!
//! # Format
//!
//! Little-endian: a magic of 8 bytes, the format version (2), zero (2), the length of the content
//! (4), its CRC-32 (4), the content.
//!
//! A file is replaced by writing `<name>.tmp`, syncing it, renaming it over the old one, and syncing
//! the directory. So after a crash either the old or the new content is there, whole; anything else
//! is damage.

use std::io;
use std::path::Path;

use crate::codec::Take;
use crate::error::{Context, LedgerError};
use crate::fs::{Access, Fs};

/// Names a kind of small file.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) magic: [u8; 8],
    pub(crate) version: u16,
}

const HEADER_BYTES: usize = 20;

/// Replaces the file, durably.
pub(crate) fn replace(
    fs: &dyn Fs,
    dir: &Path,
    kind: &Kind,
    content: &[u8],
) -> Result<(), LedgerError> {
    let (path, temporary) = (dir.join(kind.name), dir.join(format!("{}.tmp", kind.name)));
    let mut bytes = Vec::with_capacity(HEADER_BYTES + content.len());
    bytes.extend_from_slice(&kind.magic);
    bytes.extend_from_slice(&kind.version.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    bytes.extend_from_slice(content);
    let file = fs.create(&temporary).context("create", &temporary)?;
    file.write_at(&bytes, 0).context("write", &temporary)?;
    file.sync().context("sync", &temporary)?;
    fs.rename(&temporary, &path).context("rename", &temporary)?;
    fs.sync_dir(dir).context("sync", dir)
}

/// Reads the file's version and content; `None` if there is no such file.
pub(crate) fn read(
    fs: &dyn Fs,
    dir: &Path,
    kind: &Kind,
) -> Result<Option<(u16, Vec<u8>)>, LedgerError> {
    let path = dir.join(kind.name);
    let file = match fs.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.context("open", &path)?,
    };
    let length = file.len().context("read the length of", &path)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, 0).context("read", &path)?;
    let damaged = |what| LedgerError::damaged(&path, 0, what);
    let mut take = Take(&bytes);
    let cut = || damaged("the file is cut");
    let (magic, version) = (take.array::<8>().ok_or_else(cut)?, take.u16().ok_or_else(cut)?);
    if magic != kind.magic {
        return Err(damaged("the file is not what its name says"));
    }
    if version > kind.version {
        return Err(LedgerError::NewerVersion { path, found: version, known: kind.version });
    }
    let (_zero, length) = (take.u16(), take.u32().ok_or_else(cut)?);
    let crc = take.u32().ok_or_else(cut)?;
    if take.0.len() as u64 != u64::from(length) || crc32fast::hash(take.0) != crc {
        return Err(damaged("the content does not match its checksum"));
    }
    Ok(Some((version, take.0.to_vec())))
}

/// The content cannot be read although its checksum is right.
pub(crate) fn unreadable(dir: &Path, kind: &Kind) -> LedgerError {
    LedgerError::damaged(&dir.join(kind.name), HEADER_BYTES as u64, "the content makes no sense")
}
