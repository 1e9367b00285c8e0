//! Why the sinks could not be started.

/// Why the sinks could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// One could not be built.
    #[error("sink `{sink}`: {source}")]
    Sink {
        /// The sink.
        sink: String,
        /// What is wrong, and with which key.
        source: streamkeeper_sink::SinkConfigError,
    },
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}
