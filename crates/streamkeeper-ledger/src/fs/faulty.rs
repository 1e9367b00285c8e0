//! A disk in memory that does the worst a disk may do.
//!
//! Every change (create, write, cut, sync, rename, remove) is one *step*. A [`Fault`] can be planned
//! for any step. A power cut keeps of everything that was not synced a random part: each write whole,
//! torn at any byte, in scattered sectors or not at all, each change of a name or not, in
//! any combination. A failed sync forgets what it was to save for good, as Linux does: the file reads
//! well until the power is cut, and a later sync that succeeds has not saved it.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong at a planned step, and from there on until [`FaultyFs::heal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies in the middle of the step; follow with [`FaultyFs::power_cut`] or
    /// [`FaultyFs::kill`].
    Crash,
    /// No room: a write gets half of its bytes in, a file cannot be created.
    DiskFull,
    /// Nothing can be written.
    Io,
    /// No sync succeeds; what one was to save is forgotten.
    Sync,
}

/// What the disk says it has done, and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// What was written and synced is as safe as before: not at all.
    Sync,
    /// Names are not durable after the sync of their directory.
    SyncDir,
}

/// The disk; clones share it.
///
/// ```
/// use std::path::Path;
/// use streamkeeper_ledger::fs::{Access, FaultyFs, Fs};
///
/// let disk = FaultyFs::new(1);
/// let (file, dir) = (Path::new("/dir/file"), Path::new("/dir"));
/// disk.create(file)?.write_at(b"synced", 0)?;
/// disk.open(file, Access::Write)?.sync()?;
/// disk.sync_dir(dir)?;
/// disk.power_cut();
/// assert_eq!(disk.list(dir)?, ["file"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyFs(Arc<Mutex<Disk>>);

#[derive(Clone, Debug)]
struct Disk {
    rng: fastrand::Rng,
    inodes: BTreeMap<usize, Inode>,
    created: usize,
    /// Paths, compared byte for byte: the simulation looks them up by the million.
    names: BTreeMap<OsString, usize>,
    durable_names: BTreeMap<OsString, usize>,
    /// Changes of names that are not durable yet.
    changes: Vec<(OsString, Option<usize>)>,
    locks: BTreeSet<PathBuf>,
    boots: u64,
    steps: u64,
    plan: Option<(u64, Fault)>,
    fault: Option<Fault>,
    lie: Option<Lie>,
    read_only: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// What a reader sees.
    bytes: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl FaultyFs {
    /// An empty disk. What a power cut keeps follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            rng: fastrand::Rng::with_seed(seed),
            inodes: BTreeMap::new(),
            created: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            locks: BTreeSet::new(),
            boots: 0,
            steps: 0,
            plan: None,
            fault: None,
            lie: None,
            read_only: false,
        })))
    }

    /// A disk like this one and apart from it, to see what a power cut at this moment would leave;
    /// that follows from `seed`.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let mut disk = self.disk();
        let inodes = std::mem::take(&mut disk.inodes);
        let mut fork = disk.clone();
        let named = disk.named();
        // A file without a name is nobody's after a power cut.
        let copy = |number| inodes.get(&number).map(|inode| (number, inode.clone()));
        fork.inodes = named.into_iter().filter_map(copy).collect();
        disk.inodes = inodes;
        fork.rng = fastrand::Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(fork)))
    }

    /// How many steps there have been.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.disk().steps
    }

    /// Plans `fault` for the step after so many more steps (0: the next one).
    pub fn plan(&self, after: u64, fault: Fault) {
        let mut disk = self.disk();
        disk.plan = Some((disk.steps + after, fault));
    }

    /// Whether a planned fault has come.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.disk().fault.is_some()
    }

    /// Whether the process has died of a planned [`Fault::Crash`].
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.disk().fault == Some(Fault::Crash)
    }

    /// The disk is well again; nothing is planned any more. (A crash needs a restart.)
    pub fn heal(&self) {
        let mut disk = self.disk();
        disk.plan = None;
        disk.fault = disk.fault.filter(|&fault| fault == Fault::Crash);
    }

    /// From now on the disk lies. No ledger can be safe on it: this is to show that it is seen.
    pub fn lie(&self, lie: Option<Lie>) {
        self.disk().lie = lie;
    }

    /// Refuses every change with "read-only file system".
    pub fn set_read_only(&self, read_only: bool) {
        self.disk().read_only = read_only;
    }

    /// The process is gone, the machine is not: everything written is still there to read.
    pub fn kill(&self) {
        let mut disk = self.disk();
        (disk.plan, disk.fault) = (None, None);
        disk.locks.clear();
        disk.boots += 1;
    }

    /// The machine is gone: of what was not synced, a random part is there.
    pub fn power_cut(&self) {
        self.kill();
        let mut guard = self.disk();
        let disk = &mut *guard;
        for (path, inode) in std::mem::take(&mut disk.changes) {
            if disk.rng.bool() {
                set_name(&mut disk.durable_names, path, inode);
            }
        }
        disk.names.clone_from(&disk.durable_names);
        let named = disk.named();
        disk.inodes.retain(|number, _| named.contains(number));
        for inode in disk.inodes.values_mut() {
            for change in std::mem::take(&mut inode.pending) {
                tear(&mut inode.durable, change, &mut disk.rng);
            }
            inode.bytes.clone_from(&inode.durable);
        }
    }

    /// Flips a bit of a file, on the platter and for readers; `false` if there is no such byte.
    pub fn flip_bit(&self, path: &Path, offset: usize) -> bool {
        let mut disk = self.disk();
        let Some(&inode) = disk.names.get(path.as_os_str()) else { return false };
        let Some(inode) = disk.inodes.get_mut(&inode) else { return false };
        let mut flipped = false;
        for bytes in [&mut inode.bytes, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 0x10;
                flipped = true;
            }
        }
        flipped
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Counts a step; says what goes wrong with it.
    fn step(&mut self) -> io::Result<Option<Fault>> {
        if self.fault == Some(Fault::Crash) {
            return Err(io::Error::other("the process is dead"));
        }
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if let Some((_, fault)) = self.plan.take_if(|(at, _)| *at <= self.steps) {
            self.fault = Some(fault);
        }
        self.steps += 1;
        Ok(self.fault)
    }

    /// The files that have a name, or may have one after a power cut.
    fn named(&self) -> BTreeSet<usize> {
        let changed = self.changes.iter().filter_map(|(_, inode)| *inode);
        let named = self.names.values().chain(self.durable_names.values()).copied();
        named.chain(changed).collect()
    }

    fn add_inode(&mut self) -> usize {
        self.created += 1;
        self.inodes.insert(self.created, Inode::default());
        self.created
    }

    fn inode(&mut self, inode: usize) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path.as_os_str()).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, path: &Path, inode: Option<usize>) {
        set_name(&mut self.names, path.into(), inode);
        self.changes.push((path.into(), inode));
    }
}

/// A change of names either happens (half of a crash's steps) or not.
fn simple(disk: &mut Disk) -> io::Result<()> {
    match disk.step()? {
        None | Some(Fault::Sync) => Ok(()),
        Some(Fault::Crash) if disk.rng.bool() => Ok(()),
        Some(fault) => Err(error(fault)),
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::DiskFull => io::ErrorKind::StorageFull.into(),
        Fault::Crash => io::Error::other("the process died"),
        Fault::Io | Fault::Sync => io::Error::other("the disk does not answer"),
    }
}

fn set_name(names: &mut BTreeMap<OsString, usize>, path: OsString, inode: Option<usize>) {
    match inode {
        Some(inode) => {
            names.insert(path, inode);
        }
        None => {
            names.remove(&path);
        }
    }
}

impl Change {
    fn apply(self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(length, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                to.resize(to.len().max(end), 0);
                if let Some(range) = to.get_mut(offset..end) {
                    range.copy_from_slice(&bytes);
                }
            }
        }
    }
}

/// Applies as much of an unsynced change as a power cut leaves.
fn tear(to: &mut Vec<u8>, change: Change, rng: &mut fastrand::Rng) {
    match (rng.u8(0..4), change) {
        (0, _) => {}
        (1, Change::Write { offset, mut bytes }) => {
            bytes.truncate(rng.usize(0..=bytes.len()));
            Change::Write { offset, bytes }.apply(to);
        }
        (2, Change::Write { offset, bytes }) => {
            for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                if rng.bool() {
                    let offset = offset + number * SECTOR;
                    Change::Write { offset, bytes: sector.to_vec() }.apply(to);
                }
            }
        }
        (_, change) => change.apply(to),
    }
}

/// What a torn write keeps or loses at once; small, so that small files tear too.
const SECTOR: usize = 64;
