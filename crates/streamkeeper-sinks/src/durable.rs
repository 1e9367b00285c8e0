//! Small files and folders whose names and contents outlive a power cut.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Replaces the file at `path`, 0600, and waits until that is on disk. After an error it is the old one or
/// the new one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("tmp");
    // Made anew, so that its rights are ours, whoever left one behind.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(folder_of(path))
}

/// Makes `folder` and its missing parents, 0700, and makes their names durable.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder_of(folder);
    create_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in `folder` durable, as far as its file system can: some (SMB, FUSE) know no sync of a
/// folder, and are to be used all the same. That is said once.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if is_no_sync(&error) => {
            tell_no_sync(folder, &error);
            Ok(())
        }
        answer => answer,
    }
}

fn tell_no_sync(folder: &Path, error: &io::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        let folder = folder.display();
        tracing::warn!(
            %folder,
            %error,
            "the file system cannot sync a folder: a power cut may take new files of the sink"
        );
    }
}

/// Whether a folder's sync was answered with "no such thing": `EINVAL`, `ENOTSUP`, `ENOSYS`, `EBADF`.
fn is_no_sync(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_sync_a_folder_is_no_failure() {
        // Linux answers EINVAL here.
        let folder = Path::new("/proc");
        assert!(File::open(folder).unwrap().sync_all().is_err());
        sync_folder(folder).unwrap();
        for number in [9, 22, 38, 95] {
            assert!(is_no_sync(&io::Error::from_raw_os_error(number)), "{number}");
        }
        let [eio, enospc, erofs] = [5, 28, 30];
        for number in [eio, enospc, erofs] {
            assert!(!is_no_sync(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
