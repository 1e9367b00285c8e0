//! The failing disk as a file system: each change is a step, which may go wrong.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::{Change, Fault, FaultyFs, Lie, error, set_name, simple};
use crate::fs::{Access, File, Fs, Guard, Mapping};

impl Fs for FaultyFs {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        let disk = self.disk();
        if disk.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        let inside = disk.names.keys().filter(|path| is_in(path, dir));
        let name = |path: &OsString| Path::new(path).file_name()?.to_str().map(str::to_owned);
        Ok(inside.filter_map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut disk = self.disk();
        simple(&mut disk)?;
        let inode = disk.add_inode();
        disk.rename(path, Some(inode));
        Ok(Box::new(FaultyFile { fs: self.clone(), inode }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let disk = self.disk();
        if access == Access::Write && disk.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(Box::new(FaultyFile { fs: self.clone(), inode: disk.find(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        simple(&mut disk)?;
        let inode = disk.find(from)?;
        disk.rename(to, Some(inode));
        disk.rename(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        simple(&mut disk)?;
        disk.find(path)?;
        disk.rename(path, None);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut guard = self.disk();
        let disk = &mut *guard;
        if let Some(fault) = disk.step()?
            && fault != Fault::DiskFull
        {
            return Err(error(fault));
        }
        if disk.lie == Some(Lie::SyncDir) {
            return Ok(());
        }
        let changes = std::mem::take(&mut disk.changes);
        for (path, inode) in changes {
            if is_in(&path, dir) {
                set_name(&mut disk.durable_names, path, inode);
            } else {
                disk.changes.push((path, inode));
            }
        }
        Ok(())
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        let mut disk = self.disk();
        let inode = disk.find(path)?;
        Ok(Mapping::from_memory(disk.inode(inode)?.bytes.as_slice().into()))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Guard>>> {
        let mut disk = self.disk();
        if disk.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if !disk.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let inode = match disk.names.get(path.as_os_str()) {
            Some(&inode) => inode,
            None => {
                let inode = disk.add_inode();
                disk.rename(path, Some(inode));
                inode
            }
        };
        let boots = disk.boots;
        let file = FaultyFile { fs: self.clone(), inode };
        Ok(Some(Box::new(FaultyGuard { file, path: path.to_owned(), boots })))
    }
}

/// Whether a path lies in that directory itself.
fn is_in(path: &OsStr, dir: &Path) -> bool {
    let inside = path.as_encoded_bytes().strip_prefix(dir.as_os_str().as_encoded_bytes());
    inside.and_then(|name| name.strip_prefix(b"/")).is_some_and(|name| !name.contains(&b'/'))
}

#[derive(Debug)]
struct FaultyFile {
    fs: FaultyFs,
    inode: usize,
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let bytes = &disk.inode(self.inode)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = bytes.get(start..start.saturating_add(buffer.len()));
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let fault = disk.step()?;
        let part = match fault {
            None | Some(Fault::Sync) => bytes.len(),
            Some(Fault::DiskFull) => bytes.len() / 2,
            Some(Fault::Io) => 0,
            Some(Fault::Crash) => disk.rng.usize(0..=bytes.len()),
        };
        let written = bytes.get(..part).unwrap_or_default().to_vec();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let change = Change::Write { offset, bytes: written };
        let inode = disk.inode(self.inode)?;
        change.clone().apply(&mut inode.bytes);
        inode.pending.push(change);
        fault.filter(|&fault| fault != Fault::Sync).map_or(Ok(()), |fault| Err(error(fault)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let fault = disk.step()?;
        let lies = disk.lie == Some(Lie::Sync);
        let inode = disk.inode(self.inode)?;
        match fault {
            Some(Fault::Io | Fault::Sync) => inode.pending.clear(),
            Some(Fault::Crash) => {}
            None | Some(Fault::DiskFull) if lies => return Ok(()),
            None | Some(Fault::DiskFull) => {
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.durable);
                }
                return Ok(());
            }
        }
        Err(error(Fault::Sync))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.fs.disk();
        simple(&mut disk)?;
        let change = Change::Length(usize::try_from(bytes).unwrap_or(usize::MAX));
        let inode = disk.inode(self.inode)?;
        change.clone().apply(&mut inode.bytes);
        inode.pending.push(change);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.disk().inode(self.inode)?.bytes.len() as u64)
    }
}

#[derive(Debug)]
struct FaultyGuard {
    file: FaultyFile,
    path: PathBuf,
    boots: u64,
}

impl Guard for FaultyGuard {
    fn file(&self) -> &dyn File {
        &self.file
    }
}

impl Drop for FaultyGuard {
    fn drop(&mut self) {
        let mut disk = self.file.fs.disk();
        if disk.boots == self.boots {
            disk.locks.remove(&self.path);
        }
    }
}
