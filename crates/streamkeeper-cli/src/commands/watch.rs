//! Notices that the configuration was replaced: the main file, the folder of drop-in files, and the
//! files that they name.
//!
//! A file is another one when what its path leads to, through whatever links, is another file: renamed
//! into its place by an editor or a program, or behind a link, or in a folder, that was replaced, as
//! Kubernetes does with a mounted ConfigMap. A file that is written in place is no other one: half of
//! what somebody is writing is no wish. Drop-in files are written by programs, and nobody is at hand to
//! send SIGHUP: there every change counts.
//!
//! The files are looked at again and again. What a system tells about changes depends on where the links
//! lead, and on the file system; and a change counts only when it is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use streamkeeper::config::Config;
use tokio::sync::mpsc;

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) main: PathBuf,
    /// The folder that was given, if one was.
    pub(crate) drop_ins: Option<PathBuf>,
    /// Tokens, certificates, keys.
    pub(crate) named: BTreeSet<PathBuf>,
}

/// Tells of changes until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    changes: mpsc::UnboundedReceiver<()>,
    /// Its end ends the thread.
    _end: std::sync::mpsc::Sender<()>,
}

impl Watch {
    /// Tells of what changes from now on. If that cannot be done, nothing is ever told, and a line says
    /// so: SIGHUP still works.
    pub(crate) fn start(seen: Seen) -> Self {
        let seen = Arc::new(Mutex::new(seen));
        let (sender, changes) = mpsc::unbounded_channel();
        let (end, ended) = channel();
        let on_thread = Arc::clone(&seen);
        let look = move || look_again(&on_thread, &sender, &ended);
        if let Err(error) = std::thread::Builder::new().name("watch".into()).spawn(look) {
            tracing::warn!(%error, "the configuration's files cannot be watched: use SIGHUP");
        }
        Self { seen, changes, _end: end }
    }

    /// The configuration names these files now, and is about to be read.
    pub(crate) fn look_at(&self, named: BTreeSet<PathBuf>) {
        lock(&self.seen).name(named);
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        // One reading is for all that has changed until now.
        while self.changes.try_recv().is_ok() {}
    }
}

fn look_again(seen: &Mutex<Seen>, changes: &mpsc::UnboundedSender<()>, end: &Receiver<()>) {
    while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        if lock(seen).has_changed() && changes.send(()).is_err() {
            return;
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was there when it was looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    watched: Watched,
    /// What was last told of.
    told: Look,
    /// What the last look has found.
    last: Look,
}

/// By path. A file that has gone is kept as it was: somebody is about to replace it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Look {
    files: BTreeMap<PathBuf, FileId>,
    drop_ins: BTreeMap<PathBuf, (FileId, u64, Option<SystemTime>)>,
}

/// Which file it is, whatever its name. A number may be given again, though not at the same time.
#[derive(Clone, Debug, PartialEq)]
struct FileId {
    device: u64,
    number: u64,
    made: Option<SystemTime>,
}

impl FileId {
    fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), number: file.ino(), made: file.created().ok() }
    }
}

impl Seen {
    /// What is there now.
    pub(crate) fn now(watched: Watched) -> Self {
        let mut seen = Self { watched, told: Look::default(), last: Look::default() };
        seen.told = seen.look();
        seen.last = seen.told.clone();
        seen
    }

    /// Looks whether there is something new, and whether it has come to rest.
    fn has_changed(&mut self) -> bool {
        // Without it there is nothing to read: a whole folder is being replaced.
        if !self.watched.main.exists() {
            return false;
        }
        let found = self.look();
        let is_over = found == self.last;
        self.last = found;
        let is_news = is_over && self.last != self.told;
        if is_news {
            self.told = self.last.clone();
        }
        is_news
    }

    /// Other files are named. Those that are new are watched as they are now.
    fn name(&mut self, named: BTreeSet<PathBuf>) {
        self.watched.named = named;
        let found = self.look().files;
        for look in [&mut self.told, &mut self.last] {
            look.files.retain(|path, _| found.contains_key(path));
            for (path, id) in &found {
                look.files.entry(path.clone()).or_insert_with(|| id.clone());
            }
        }
    }

    fn look(&self) -> Look {
        let Watched { main, drop_ins, named } = &self.watched;
        let id = |path: &PathBuf| {
            let now = fs::metadata(path).ok().map(|file| FileId::of(&file));
            Some((path.clone(), now.or_else(|| self.last.files.get(path).cloned())?))
        };
        let files = [main].into_iter().chain(named).filter_map(id).collect();
        let drop_in = |path: PathBuf| {
            let file = fs::metadata(&path).ok()?;
            Some((path, (FileId::of(&file), file.len(), file.modified().ok())))
        };
        let drop_ins = Config::drop_in_files(main, drop_ins.as_deref());
        Look { files, drop_ins: drop_ins.into_iter().filter_map(drop_in).collect() }
    }
}

/// A change is told of when two looks have found the same.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// A folder with a configuration in `current`, which is a link to `first`.
    struct Mount {
        folder: tempfile::TempDir,
        seen: Seen,
    }

    impl Mount {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            write_all(&at("first"));
            symlink("first", at("..data")).unwrap();
            symlink("..data/main.toml", at("main.toml")).unwrap();
            symlink("..data/token", at("token")).unwrap();
            symlink("..data", at("main.toml.d")).unwrap();
            let (main, named) = (at("main.toml"), [at("token")].into());
            let seen = Seen::now(Watched { main, drop_ins: None, named });
            Self { folder, seen }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Whether a change is told of, once it is over, and then no other.
        fn tells(&mut self) -> bool {
            let told = [(); 4].map(|()| self.seen.has_changed());
            assert!(!told[0] && !told[2] && !told[3], "{told:?}");
            told[1]
        }
    }

    fn write_all(folder: &Path) {
        fs::create_dir(folder).unwrap();
        for name in ["main.toml", "token", "more.toml"] {
            fs::write(folder.join(name), name).unwrap();
        }
    }

    #[test]
    fn what_a_link_leads_to_is_watched() {
        let mut mount = Mount::new();
        assert!(!mount.tells());
        // As a ConfigMap is replaced.
        write_all(&mount.at("second"));
        symlink("second", mount.at("..data_tmp")).unwrap();
        fs::rename(mount.at("..data_tmp"), mount.at("..data")).unwrap();
        fs::remove_dir_all(mount.at("first")).unwrap();
        assert!(mount.tells());
        for name in ["main.toml", "token", "more.toml"] {
            // As editors do, behind the link.
            fs::write(mount.at("new"), "new").unwrap();
            fs::rename(mount.at("new"), mount.at("second").join(name)).unwrap();
            assert!(mount.tells(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_is_replaced_is_another_one_when_it_is_there() {
        let mut mount = Mount::new();
        fs::rename(mount.at("first"), mount.at("old")).unwrap();
        assert!(!mount.tells(), "nothing is there to be read");
        fs::rename(mount.at("old"), mount.at("first")).unwrap();
        assert!(!mount.tells(), "it is the same");
        fs::rename(mount.at("first"), mount.at("old")).unwrap();
        write_all(&mount.at("first"));
        assert!(mount.tells());
    }

    #[test]
    fn what_is_written_in_place_counts_among_drop_ins_alone() {
        let mut mount = Mount::new();
        for (name, counts) in
            [("token", false), ("log", false), (".x.toml", false), ("more.toml", true)]
        {
            fs::write(mount.at("first").join(name), "written in place").unwrap();
            assert_eq!(mount.tells(), counts, "{name}");
        }
    }

    #[test]
    fn other_files_are_watched_from_the_moment_on_at_which_they_are_named() {
        let mut mount = Mount::new();
        fs::write(mount.at("certificate"), "one").unwrap();
        mount.seen.name([mount.at("certificate"), mount.at("none")].into());
        assert!(!mount.tells());
        let replace = |mount: &Mount, name: &str| {
            fs::write(mount.at("new"), "new").unwrap();
            fs::rename(mount.at("new"), mount.at(name)).unwrap();
        };
        replace(&mount, "token");
        assert!(!mount.tells(), "it is not named any more");
        for name in ["certificate", "none"] {
            replace(&mount, name);
            assert!(mount.tells(), "{name}");
        }
        fs::remove_file(mount.at("certificate")).unwrap();
        assert!(!mount.tells(), "there is nothing to be read");
    }
}
