//! `[service]`: what belongs to the process rather than to a stream.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::Secret;

/// The settings of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// One folder per stream lies below it; created 0700. Default: `./data`.
    pub data_dir: PathBuf,
    /// Where metrics, health and status are served. Default: `127.0.0.1:9464`. An
    /// address other than loopback needs [`token`](Self::token).
    pub listen: SocketAddr,
    /// How the log is written. Default: `text`.
    pub log_format: LogFormat,
    /// The default of [`StreamConfig::queue_bytes`](super::StreamConfig::queue_bytes).
    pub queue_bytes: usize,
    /// The bearer token for everything but `/livez` and `/readyz`; from `token`,
    /// `token_file` or `token_env`. Default: none.
    pub token: Option<Secret>,
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

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            data_dir: "./data".into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            log_format: LogFormat::Text,
            queue_bytes: super::stream::QUEUE_BYTES,
            token: None,
        }
    }
}
