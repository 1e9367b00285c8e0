//! The disk.
//!
//! Positioned reads and writes, so that an open file has no state of its own and readers need no
//! lock; `fdatasync` for files, `fsync` for directories. Files are for their owner alone.
//!
//! Some file systems (SMB, FUSE) know no sync of a directory and answer that it makes no sense. Nobody
//! could use one of those if that were a failure; it is said once, because names are then as durable
//! as that file system makes them. An error of the disk is a failure as ever.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Access, File, Fs, Guard};
use crate::mmap::{self, Mapping};

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl Fs for RealFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<_> = dir.ancestors().take_while(|path| !path.exists()).collect();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // The names of new directories have to be durable too, or all that is in them is not.
        for parent in missing.iter().filter_map(|path| path.parent()) {
            // The parent of a relative name is the empty path.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            self.sync_dir(parent)?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of ours.
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        fs::read_dir(dir)?.filter_map(|entry| entry.map(name).transpose()).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(RealFile(options.open(path)?)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let write = access == Access::Write;
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(write).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::File::open(dir)?.sync_all() {
            Err(error) if is_no_sync(&error) => {
                tell_no_sync(dir, &error);
                Ok(())
            }
            answer => answer,
        }
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        mmap::map(&fs::File::open(path)?)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Guard>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(RealGuard(RealFile(file))))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}

/// Closing the file gives the lock back.
#[derive(Debug)]
struct RealGuard(RealFile);

impl Guard for RealGuard {
    fn file(&self) -> &dyn File {
        &self.0
    }
}

fn tell_no_sync(folder: &Path, error: &io::Error) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        let folder = folder.display();
        tracing::warn!(
            %folder,
            %error,
            "the file system cannot sync a folder: a power cut may take new files of the ledger"
        );
    }
}

/// Whether a directory's sync was answered with "no such thing": `EINVAL`, `ENOTSUP`, `ENOSYS`, `EBADF`.
fn is_no_sync(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EBADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_sync_a_folder_is_no_failure() {
        // Linux answers EINVAL here.
        let folder = Path::new("/proc");
        assert!(fs::File::open(folder).unwrap().sync_all().is_err());
        RealFs.sync_dir(folder).unwrap();
        assert!(RealFs.sync_dir(Path::new("/proc/nowhere")).is_err());
    }

    #[test]
    fn an_error_of_the_disk_is_no_lack_of_a_sync() {
        let is = |number| is_no_sync(&io::Error::from_raw_os_error(number));
        let [ebadf, einval, enosys, enotsup] = [9, 22, 38, 95];
        assert!([ebadf, einval, enosys, enotsup].into_iter().all(is));
        let [eio, eacces, enospc, erofs, edquot] = [5, 13, 28, 30, 122];
        assert!(![eio, eacces, enospc, erofs, edquot].into_iter().any(is));
    }
}
