//! Why a stream could not be made ready to start.

/// Why a stream could not be made ready to start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Its connection settings cannot be used: its URL, or its `ca_file`.
    #[error("stream `{stream}`: {source}")]
    Transport {
        /// The stream.
        stream: String,
        /// What is wrong.
        source: crate::transport::SettingsError,
    },
    /// Its ledger could not be opened: the error names the file and what to do.
    #[error("stream `{stream}`: {source}{}", because(source))]
    Ledger {
        /// The stream.
        stream: String,
        /// What is wrong.
        source: streamkeeper_ledger::LedgerError,
    },
    /// What its ledger keeps of its state cannot be gone on from: the error says what to do.
    #[error("stream `{stream}`: {source}")]
    State {
        /// The stream.
        stream: String,
        /// What is wrong.
        source: streamkeeper_core::state::StateError,
    },
    /// The threads that write ledgers have ended.
    #[error("stream `{stream}`: the threads that write ledgers have ended; this is a bug")]
    NoWriter {
        /// The stream.
        stream: String,
    },
}

/// What the file system said, in the same line.
fn because(error: &streamkeeper_ledger::LedgerError) -> String {
    std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default()
}
