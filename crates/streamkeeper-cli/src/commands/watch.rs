//! Notices changes in the folder of drop-in files, and when that comes or goes.
//!
//! The main file is not watched: an editor's half-written file is no wish. A folder of drop-ins is
//! written by programs that put whole files there, and nobody is at hand to send SIGHUP. Some replace
//! the folder as a whole, and some make it when the first file is to be put there; so what it lies in is
//! watched, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Tells of changes in a folder until it is dropped.
pub(crate) struct Watch {
    folder: PathBuf,
    /// `None`: there is no way to watch.
    watcher: Option<RecommendedWatcher>,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Watches `folder`, whether it is there or not. If it cannot be watched, nothing is ever told, and
    /// a line says so: SIGHUP still works.
    pub(crate) fn start(folder: &Path) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        // What is told of has the path that is watched before its name.
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let watcher = watcher(folder.clone(), sender).inspect_err(|error| {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "the drop-in files cannot be watched: use SIGHUP");
        });
        let mut watch = Self { folder, watcher: watcher.ok(), changes };
        watch.look_at_the_folder();
        watch
    }

    /// Waits for a change, and then until nothing has changed for a moment: files come one by one.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
        // Before it is read, or a file that comes in between would be missed.
        self.look_at_the_folder();
    }

    /// Watches the folder that is there now: it may be another one of that name.
    fn look_at_the_folder(&mut self) {
        if let Some(watcher) = &mut self.watcher
            && let Err(error) = watcher.watch(&self.folder, RecursiveMode::NonRecursive)
        {
            tracing::debug!(%error, "there is no folder of drop-in files");
        }
    }
}

/// Watches what the folder lies in.
fn watcher(
    folder: PathBuf,
    changes: mpsc::UnboundedSender<()>,
) -> notify::Result<RecommendedWatcher> {
    let above = folder.parent().unwrap_or(&folder).to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Also an error may mean that something was missed. Reading is no change.
        let is_change = event.map_or(true, |event| {
            !event.kind.is_access() && event.paths.iter().any(|path| path.starts_with(&folder))
        });
        if is_change && changes.send(()).is_err() {
            tracing::trace!("nobody waits for changes any more");
        }
    })?;
    watcher.watch(&above, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// So long nothing more may change.
const QUIET: Duration = Duration::from_millis(300);
