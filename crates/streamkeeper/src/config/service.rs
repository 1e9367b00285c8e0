//! `[service]`: what belongs to the process rather than to a stream.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use streamkeeper_sink::Secret;

/// The settings of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// One folder per stream lies below it; created 0700. Default: `./data`.
    pub data_dir: PathBuf,
    /// Where metrics, health, status and the page are served; port 0 takes a free one. `None`
    /// (in a file `"off"`): nowhere. Default of a file: `127.0.0.1:9464`; of a text or of code:
    /// `None`. An address other than loopback needs [`token`](Self::token).
    pub listen: Option<SocketAddr>,
    /// How the log is written. Default: `text`.
    pub log_format: LogFormat,
    /// The default of [`StreamConfig::queue_bytes`](super::StreamConfig::queue_bytes).
    pub queue_bytes: usize,
    /// The bearer token for everything but `/livez` and `/readyz`; from `token`,
    /// `token_file` or `token_env`. Default: none.
    pub token: Option<Secret>,
    /// Whether whoever has the token may steer streams over HTTP. In a file: exactly if the token
    /// is given as `token_file`, because an environment or a configuration is read by many.
    /// Default: no.
    pub steering: bool,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl ServiceConfig {
    /// Where a configuration file listens that does not say.
    pub(super) const LISTEN_OF_FILES: SocketAddr =
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            data_dir: "./data".into(),
            listen: None,
            log_format: LogFormat::Text,
            queue_bytes: super::stream::QUEUE_BYTES,
            token: None,
            steering: false,
        }
    }
}
