//! What comes of a start, a reload and a stop.

use serde::{Deserialize, Serialize};

use crate::config::ConfigErrors;
use crate::delivery::BuildError;
use crate::stream::StreamError;

/// What went wrong at the start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong; each problem names its key.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A stream could not be made ready: its connection settings, or its ledger.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A sink could not be built.
    #[error(transparent)]
    Sink(#[from] BuildError),
    /// The HTTP endpoint's address cannot be used: somebody else has it, as a rule.
    #[error(
        "service.listen: cannot listen on {address}: {source}; choose another address, or \"off\""
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread of the system ended before it had started.
    #[error("the system's thread ended at the start; this is a bug")]
    Died,
}

/// Why a configuration was not taken over. Everything goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It is wrong; each problem names its key.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A new or changed stream cannot be started with it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It changes what cannot change while the process runs.
    #[error("{} cannot change while it runs: restart it, or put back what was there", keys.join(", "))]
    NeedsRestart {
        /// The tables or keys.
        keys: Vec<String>,
    },
    /// Everything has stopped already.
    #[error("it has stopped")]
    Stopped,
}

/// What a new configuration has changed: the names of streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Streams that were started.
    pub added: Vec<String>,
    /// Streams that were stopped. Their ledgers stay on disk.
    pub removed: Vec<String>,
    /// Streams whose connections were ended in order and opened again with the new settings. Changed
    /// filters and names on the server take effect with the next recovery, which makes the stream anew.
    pub changed: Vec<String>,
    /// Streams whose certificates or key were replaced under the same name, and nothing else of them:
    /// their next connections use the new ones.
    #[serde(default)]
    pub renewed: Vec<String>,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Every stream ended all its connections properly: the next start goes on from here without a
    /// recovery.
    pub clean: bool,
    /// Every sink has everything that was accepted.
    pub delivered: bool,
}
