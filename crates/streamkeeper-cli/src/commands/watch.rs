//! Notices changes in the folder of drop-in files.
//!
//! The main file is not watched: an editor's half-written file is no wish. A folder of drop-ins is
//! written by programs that put whole files there, and nobody is at hand to send SIGHUP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Tells of changes in a folder until it is dropped.
pub(crate) struct Watch {
    /// Watches as long as it lives; `None`: there is nothing to watch, or no way to.
    _watcher: Option<notify::RecommendedWatcher>,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Watches `folder`. If it is not there, or cannot be watched, nothing is ever told, and a line
    /// says so: SIGHUP still works.
    pub(crate) fn start(folder: Option<PathBuf>) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let watcher = folder.and_then(|folder| match watch(&folder, sender) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "the drop-in files cannot be watched: use SIGHUP");
                None
            }
        });
        Self { _watcher: watcher, changes }
    }

    /// Waits for a change, and then until nothing has changed for a moment: files come one by one.
    pub(crate) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
    }
}

fn watch(
    folder: &Path,
    changes: mpsc::UnboundedSender<()>,
) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Also an error may mean that something was missed. Reading is no change.
        if !event.is_ok_and(|event| event.kind.is_access()) && changes.send(()).is_err() {
            tracing::trace!("nobody waits for changes any more");
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// So long nothing more may change.
const QUIET: Duration = Duration::from_millis(300);
