//! The ledgers on disk, for reading: what they hold, whether they are sound, their events.
//!
//! For commands, and for programs that embed. Nothing here opens a ledger as a running
//! Streamkeeper does, so nothing changes who is known as a sink, cuts a tail or removes a file.
//! [`stats`] takes no lock and works beside a running process; [`verify`] and [`export`] read
//! everything, take the lock while they do, and say who has it if it is taken.
//!
//! A stream's ledger is `<data_dir>/streams/<name>`; what lies in it is told by the documentation of
//! `streamkeeper-ledger`.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use streamkeeper_core::marked::{Phase, StreamState};
use streamkeeper_core::state::PolicyState;
use streamkeeper_core::state::StateError;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Contents, KeptState, Ledger, SinkPlace};
use streamkeeper_sink::Envelope;

use crate::base::rfc3339::rfc3339;
use crate::store::head;

pub use streamkeeper_ledger::{LedgerError, Verified};

/// The folder of a stream's ledger.
#[must_use]
pub fn folder(data_dir: &Path, stream: &str) -> PathBuf {
    data_dir.join(STREAMS).join(stream)
}

/// The state that a running stream's ledger has, unclean. The newest cursor lies beside it, in the commit of its event.
pub(crate) fn newest_state(ledger: &Ledger) -> Result<Option<PolicyState>, StateError> {
    let Some(kept) = ledger.state() else { return Ok(None) };
    Ok(Some(match PolicyState::decode(&kept.bytes)? {
        PolicyState::Cursored(state) => state.with_newest(ledger.cursor().cloned()).into(),
        marked @ PolicyState::Marked(_) => marked,
    }))
}

/// The folder of all streams' ledgers.
const STREAMS: &str = "streams";

/// The names of the streams that have a ledger below `data_dir`, in order; none if nothing ever ran
/// there.
///
/// ```
/// let nothing_yet = tempfile::tempdir()?;
/// assert!(streamkeeper::ledgers::streams(nothing_yet.path())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LedgerError::Io`] for a folder that cannot be read.
pub fn streams(data_dir: &Path) -> Result<Vec<String>, LedgerError> {
    let dir = data_dir.join(STREAMS);
    let failed = |source| io_error("list", &dir, source);
    let entries = match dir.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // A name that is not UTF-8 is no stream's.
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The folder, if there is one: reading must not create it.
fn existing(data_dir: &Path, stream: &str) -> Result<PathBuf, LedgerError> {
    let dir = folder(data_dir, stream);
    match dir.metadata() {
        Ok(_) => Ok(dir),
        Err(source) => Err(io_error("open", &dir, source)),
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io { action, path: path.to_owned(), source: Arc::new(source) }
}

/// Reads everything that a stream's ledger has on disk, and checks it.
///
/// # Errors
/// [`LedgerError::Locked`] while a process uses the ledger; [`LedgerError::Io`]. Damage is no error
/// here but what the report is about.
pub fn verify(data_dir: &Path, stream: &str) -> Result<Verified, LedgerError> {
    streamkeeper_ledger::verify(&RealFs, &existing(data_dir, stream)?)
}

/// Why an export ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read, or not further.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What belongs to the envelope of an event is in no form that is known here.
    #[error(
        "event {sequence} was written by a newer version of Streamkeeper: use that version, or a \
         newer one"
    )]
    NewerVersion {
        /// The event's sequence number.
        sequence: u64,
    },
}

/// Gives the events that a stream's ledger still has, as the sinks get them, to `each`, until that
/// breaks off: in the stream's order, from the sequence number `from` on. What every sink has
/// acknowledged is there until its segment is removed.
///
/// # Errors
/// See [`ExportError`]. What came before the error has been given.
pub fn export(
    data_dir: &Path,
    stream: &str,
    from: u64,
    mut each: impl FnMut(Envelope) -> ControlFlow<()>,
) -> Result<(), ExportError> {
    let dir = existing(data_dir, stream)?;
    let source: Arc<str> = stream.into();
    let mut unknown = None;
    streamkeeper_ledger::export(&RealFs, &dir, from, |entry| {
        let sequence = entry.sequence;
        match head::envelope(&source, entry) {
            Some(envelope) => each(envelope),
            None => {
                unknown = Some(sequence);
                ControlFlow::Break(())
            }
        }
    })?;
    unknown.map_or(Ok(()), |sequence| Err(ExportError::NewerVersion { sequence }))
}

/// Why it cannot be said what a ledger holds.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What it keeps of the stream's state cannot be read here.
    #[error("stream `{stream}`: {source}")]
    State {
        /// The stream.
        stream: String,
        /// What is wrong, and what to do.
        source: StateError,
    },
}

/// What a stream's ledger holds. Times are RFC 3339, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerStats {
    /// The stream.
    pub stream: String,
    /// The ledger's folder.
    pub folder: PathBuf,
    /// Which ledger it is: places that sinks keep of their own name it. `None` before the first start of a
    /// version that gives it one.
    pub identity: Option<String>,
    /// `running` or `recovering`, as it was written last; `None` before the first time.
    pub phase: Option<&'static str>,
    /// The low-water mark: everything before it has been accepted.
    pub mark: Option<String>,
    /// Whether the last process has stopped so that the next start goes on without a recovery.
    pub clean: bool,
    /// How many suspects hold the mark down.
    pub suspects: usize,
    /// How many incidents there were, the one under way included.
    pub incidents: u64,
    /// The incident under way.
    pub incident: Option<UnfinishedIncident>,
    /// Events ever accepted.
    pub events_accepted: u64,
    /// Those among them whose payload is still on disk.
    pub events_on_disk: u64,
    /// Segments of the outbox.
    pub segments: u64,
    /// Their bytes.
    pub segment_bytes: u64,
    /// What a million events take in them.
    pub segment_bytes_per_million_events: Option<u64>,
    /// Sealed key files.
    pub key_files: u64,
    /// Their bytes.
    pub key_file_bytes: u64,
    /// Keys in them.
    pub keys_sealed: u64,
    /// What a million keys take in them.
    pub key_file_bytes_per_million_keys: Option<u64>,
    /// Accepted events whose keys are in the segments only: a start reads them from there.
    pub keys_in_segments: u64,
    /// The bytes of the state, the checkpoint and the identity.
    pub state_bytes: u64,
    /// The sinks, by name.
    pub sinks: Vec<SinkStats>,
}

/// An incident that was under way when the state was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnfinishedIncident {
    /// Its number within the stream, from 1.
    pub id: u64,
    /// Why it began.
    pub cause: &'static str,
    /// When it began, in the service's time.
    pub since: Option<String>,
    /// How many recoveries it had taken.
    pub recoveries: u32,
    /// Events accepted since.
    pub new: u64,
    /// Those among them that were created before everything was terminated.
    pub recovered: u64,
    /// Events that were known.
    pub duplicate: u64,
}

/// Where a sink was when the state was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SinkStats {
    /// Its name.
    pub name: String,
    /// The sequence number of the first event that it had not acknowledged.
    pub next: u64,
    /// How many events it had not acknowledged.
    pub backlog: u64,
    /// Whether it was configured at the last start, and so holds back what it has not acknowledged.
    pub configured: bool,
}

/// What a stream's ledger holds. While a process uses it, the state and the sinks' places are those
/// that it wrote last, some seconds ago.
///
/// # Errors
/// See [`StatsError`]; of the ledger: [`LedgerError::Io`], [`LedgerError::Damaged`],
/// [`LedgerError::NewerVersion`].
pub fn stats(data_dir: &Path, stream: &str) -> Result<LedgerStats, StatsError> {
    let folder = existing(data_dir, stream)?;
    let contents = streamkeeper_ledger::inspect(&RealFs, &folder)?;
    let state = state(stream, contents.state.as_ref())?;
    Ok(LedgerStats::new(stream, folder, contents, state.as_ref()))
}

/// The state that was kept, in the core's words.
fn state(stream: &str, kept: Option<&KeptState>) -> Result<Option<PolicyState>, StatsError> {
    let Some(KeptState { clean, bytes }) = kept else { return Ok(None) };
    match PolicyState::decode(bytes) {
        Ok(state) => Ok(Some(state.with_clean(*clean))),
        Err(source) => Err(StatsError::State { stream: stream.to_owned(), source }),
    }
}

/// The ids of the streams on the service that are known to be this one's: the one that is read, and
/// those that could not be deleted yet. Of names there, only the configured one is ours.
///
/// # Errors
/// Those of [`stats`].
pub fn made(data_dir: &Path, stream: &str) -> Result<Vec<String>, StatsError> {
    let folder = existing(data_dir, stream)?;
    let kept = streamkeeper_ledger::inspect(&RealFs, &folder)?.state;
    let state = state(stream, kept.as_ref())?;
    // What goes on from a cursor has made nothing there.
    let Some(PolicyState::Marked(state)) = state else { return Ok(Vec::new()) };
    let ids = state.left_behind.into_iter().chain(state.stream_id);
    Ok(ids.map(|id| id.0).collect())
}

impl LedgerStats {
    fn new(stream: &str, folder: PathBuf, contents: Contents, state: Option<&PolicyState>) -> Self {
        let (clean, incidents) = match state {
            Some(PolicyState::Marked(state)) => (state.clean, state.incidents.0),
            Some(PolicyState::Cursored(state)) => (state.clean, state.incidents.0),
            None => (false, 0),
        };
        let state = match state {
            Some(PolicyState::Marked(state)) => Some(state),
            Some(PolicyState::Cursored(_)) | None => None,
        };
        let Contents { next_sequence, oldest_sequence, .. } = contents;
        let events_on_disk = next_sequence.saturating_sub(oldest_sequence);
        let (segment_bytes, key_file_bytes) = (contents.segment_bytes, contents.key_file_bytes);
        let sink = |SinkPlace { sink, next, active }| SinkStats {
            name: sink,
            next,
            backlog: next_sequence.saturating_sub(next),
            configured: active,
        };
        Self {
            stream: stream.to_owned(),
            folder,
            identity: contents.identity.map(|identity| identity.to_string()),
            phase: state.map(|state| match state.phase {
                Phase::Running => "running",
                Phase::Recovering | Phase::Rereading => "recovering",
            }),
            mark: state.and_then(|state| state.mark).and_then(rfc3339),
            clean,
            suspects: state.map_or(0, |state| state.suspects.len()),
            incidents,
            incident: state.and_then(open_incident),
            events_accepted: next_sequence.saturating_sub(1),
            events_on_disk,
            segments: contents.segments,
            segment_bytes,
            segment_bytes_per_million_events: per_million(segment_bytes, events_on_disk),
            key_files: contents.key_files,
            key_file_bytes,
            keys_sealed: contents.keys_sealed,
            key_file_bytes_per_million_keys: per_million(key_file_bytes, contents.keys_sealed),
            keys_in_segments: next_sequence.saturating_sub(contents.sealed_to),
            state_bytes: contents.small_file_bytes,
            sinks: contents.sinks.into_iter().map(sink).collect(),
        }
    }
}

fn open_incident(state: &StreamState) -> Option<UnfinishedIncident> {
    let incident = state.incident.as_ref()?;
    Some(UnfinishedIncident {
        id: state.incidents.0,
        cause: incident.cause.reason(),
        since: rfc3339(incident.since),
        recoveries: incident.recoveries,
        new: incident.new,
        recovered: incident.recovered,
        duplicate: incident.duplicate,
    })
}

fn per_million(bytes: u64, count: u64) -> Option<u64> {
    let scaled = (u128::from(bytes) * 1_000_000).checked_div(u128::from(count))?;
    u64::try_from(scaled).ok()
}
