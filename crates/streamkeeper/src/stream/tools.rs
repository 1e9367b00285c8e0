//! What every connection of one stream works with.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use streamkeeper_core::watchdog::WatchdogConfig;

use crate::base::budget::Budget;
use crate::base::clock::Clock;
use crate::base::reports::Reports;
use crate::config::StreamConfig;
use crate::dialect::Dialect;
use crate::observe::registry::StreamEntry;
use crate::observe::tally::Tally;
use crate::store::writer::Writer;
use crate::transport::HttpTransport;

use super::rhythm::Rhythm;
use super::session::SessionOfStream;

/// What every connection of one stream works with.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) config: Arc<StreamConfig>,
    pub(crate) dialect: Dialect,
    /// What has been seen of the server's silences.
    pub(crate) rhythm: Arc<Mutex<Rhythm>>,
    /// What the stream is read within.
    pub(crate) session: Arc<SessionOfStream>,
    pub(crate) transport: HttpTransport,
    pub(crate) watchdog: WatchdogConfig,
    pub(crate) event_bytes_max: usize,
    pub(crate) budget: Budget,
    pub(crate) writer: Writer,
    pub(crate) reports: Reports,
    pub(crate) entry: Arc<StreamEntry>,
    pub(crate) clock: Clock,
    /// What is read now is read again, as the supervisor knows.
    pub(crate) replaying: Arc<AtomicBool>,
    /// An operator's replay, if it is for one.
    pub(crate) tally: Option<Arc<Tally>>,
}
