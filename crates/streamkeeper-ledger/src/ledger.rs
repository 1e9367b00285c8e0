//! The ledger of one stream: judge, take, commit.
//!
//! [`Ledger::accept`] judges an event against everything that is durable or pending, and takes it if
//! it is new. [`Ledger::commit`] makes what was taken durable with one write and one sync, and only
//! then do sinks see it. After any failed write or sync the ledger is *poisoned*: it
//! accepts nothing, and what was pending counts as never seen, until
//! [`Ledger::recover_in_place`] has read everything back from the disk. A failed sync is never
//! tried again as if nothing had happened.
//!
//! Upkeep (the next segment, sealing keys, merging sealed files) happens at the end of a commit,
//! when it is due; a failure in it poisons the ledger too, and the commit stands.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamkeeper_core::id::Cursor;
use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Verdict;

use crate::config::LedgerConfig;
use crate::error::{Bound, Context, LedgerError};
use crate::event::{EVENT_BYTES_MAX, Incoming, KEY_BYTES_MAX};
use crate::fs::{Access, Fs, Guard};
use crate::group::Group;
use crate::identity::LedgerIdentity;
use crate::keys::{KeyName, Keys};
use crate::lock;
use crate::open::{Loaded, OpenReport, load};
use crate::outbox::{Outbox, Shared};
use crate::segment::Segment;
use crate::state::KeptState;

mod upkeep;

pub use self::upkeep::Swept;

/// The ledger of one stream.
///
/// ```
/// use std::sync::Arc;
/// use streamkeeper_core::time::Timestamp;
/// use streamkeeper_core::version::{Verdict, Version};
/// use streamkeeper_ledger::fs::RealFs;
/// use streamkeeper_ledger::{LedgerConfig, Incoming, Ledger, Start};
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let config = LedgerConfig { sinks: vec!["archive".to_owned()], ..LedgerConfig::default() };
/// let (mut ledger, report) = Ledger::open(Arc::new(RealFs), dir, config)?;
/// assert_eq!(report.start, Start::First);
///
/// let now = Timestamp::from_micros(1_795_262_400_000_000);
/// let version = Version { created_at: Some(now), checksum: 7, withdrawn: false };
/// let event =
///     Incoming { kind: 0, key: "7db3", version, arrived: now, head: b"", payload: b"{}" };
/// assert_eq!(ledger.accept(&event)?, Verdict::New);
/// assert_eq!(ledger.accept(&event)?, Verdict::Duplicate);
///
/// let outbox = ledger.outbox();
/// let mut reader = outbox.reader(1);
/// assert!(reader.read(10, 1 << 20)?.is_empty(), "not durable yet");
/// ledger.commit()?;
/// assert_eq!(&reader.read(10, 1 << 20)?[0].payload[..], b"{}");
/// outbox.acknowledge("archive", 2);
/// assert_eq!(outbox.backlog("archive"), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Ledger {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    identity: LedgerIdentity,
    pub(crate) config: LedgerConfig,
    pub(crate) keys: Keys,
    pub(crate) group: Group,
    pub(crate) segment: Segment,
    /// Where the next frame goes.
    pub(crate) offset: u64,
    /// The first event whose key is not sealed.
    pub(crate) sealed_to: u64,
    pub(crate) next_file: u64,
    pub(crate) state: Option<KeptState>,
    /// From where the service goes on behind everything that was accepted.
    pub(crate) cursor: Option<Cursor>,
    /// What the sinks' cursors come to that are durable: up to here segments may go.
    pub(crate) durable_needed: u64,
    pub(crate) shared: Arc<Shared>,
    /// The bound that the outbox had reached when it was last looked at.
    full: Option<Bound>,
    poison: Option<Arc<LedgerError>>,
    _lock: Box<dyn Guard>,
}

/// What a commit made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The sequence numbers of the events.
    pub sequences: Range<u64>,
    /// The bytes they take on disk.
    pub bytes: u64,
}

impl Ledger {
    /// Opens the ledger in `dir`, which is created if it is missing.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] if another process has it; [`LedgerError::Damaged`] and
    /// [`LedgerError::NewerVersion`], with nothing changed on disk; [`LedgerError::Io`] for a
    /// directory that cannot be written to, or a disk too full for a first start.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        mut config: LedgerConfig,
    ) -> Result<(Self, OpenReport), LedgerError> {
        fs.create_dir_all(dir).context("create", dir)?;
        let guard = lock::take(fs.as_ref(), dir)?;
        let loaded = load(fs.as_ref(), dir, &config)?;
        // What is behind the end is of an earlier identity now.
        config.given.retain(|given| given.next <= loaded.log.end);
        let group = group(loaded.log.end, &config);
        let report = loaded.report.clone();
        let mut ledger = Self {
            fs,
            dir: dir.to_owned(),
            identity: loaded.identity,
            config,
            keys: loaded.keys,
            group,
            segment: loaded.segment,
            offset: loaded.offset,
            sealed_to: loaded.sealed_to,
            next_file: loaded.next_file,
            state: loaded.state,
            cursor: loaded.cursor,
            durable_needed: loaded.log.needed(),
            shared: Arc::new(Shared::new(loaded.log)),
            full: None,
            poison: None,
            _lock: guard,
        };
        ledger.reclaim()?;
        // By bytes; how old what waits is, the next event tells.
        ledger.look_for_room(Timestamp::from_micros(i64::MIN));
        Ok((ledger, report))
    }

    /// Judges an event, and takes it if it is new; it is durable after the next commit.
    ///
    /// # Errors
    /// [`LedgerError::OutboxFull`] for a new event while a bound is reached; duplicates are judged as
    /// ever. [`LedgerError::TooLarge`]. [`LedgerError::Poisoned`] after an earlier failure. In each
    /// case the event counts as never seen.
    pub fn accept(&mut self, incoming: &Incoming<'_>) -> Result<Verdict, LedgerError> {
        self.well()?;
        check_size("a key", incoming.key.len(), KEY_BYTES_MAX)?;
        let bytes = incoming.head.len().saturating_add(incoming.payload.len());
        check_size("an event", bytes, EVENT_BYTES_MAX)?;
        let name = KeyName::new(incoming.kind, incoming.key);
        if let Some(bound) = self.still_full(incoming.arrived) {
            let verdict = self.keys.judge(&name, &incoming.version, incoming.arrived);
            return if verdict.is_new() {
                Err(LedgerError::OutboxFull { bound })
            } else {
                Ok(verdict)
            };
        }
        let verdict = self.keys.accept(&name, &incoming.version, incoming.arrived);
        if verdict.is_new() {
            let pushed = self.group.push(incoming, &name).context("compress for", &self.dir);
            pushed.map_err(|error| self.poisoned_by(error))?;
        }
        Ok(verdict)
    }

    /// Behind everything that was accepted so far, the service goes on from there. Durable in the commit of
    /// what was accepted last; if that is committed, with the next commit or state.
    pub fn goes_on_from(&mut self, cursor: &Cursor) {
        if self.cursor.as_ref() != Some(cursor) {
            self.cursor = Some(cursor.clone());
            // Where there is no room for it in the log, the next state has it.
            self.group.set_cursor(self.cursor.clone().filter(|_| self.segment.takes_extras()));
        }
    }

    /// The service does not go on from there any more; durable with the next state.
    pub fn forget_cursor(&mut self) {
        self.cursor = None;
    }

    /// From where the service goes on behind everything that was accepted. After a start: everything that is
    /// durable.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Judges an event and takes nothing: what [`Ledger::accept`] would say.
    ///
    /// # Errors
    /// [`LedgerError::TooLarge`] for its key.
    pub fn judge(&self, incoming: &Incoming<'_>) -> Result<Verdict, LedgerError> {
        check_size("a key", incoming.key.len(), KEY_BYTES_MAX)?;
        let name = KeyName::new(incoming.kind, incoming.key);
        Ok(self.keys.judge(&name, &incoming.version, incoming.arrived))
    }

    /// Makes everything accepted so far durable.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if a write or a sync failed. Nothing that was pending counts as accepted
    /// then, and the ledger is poisoned. [`LedgerError::Poisoned`] from then on.
    pub fn commit(&mut self) -> Result<Committed, LedgerError> {
        self.well()?;
        let committed = self.write_group().map_err(|error| self.poisoned_by(error))?;
        if !committed.sequences.is_empty()
            && let Err(error) = self.upkeep()
        {
            // What was committed is durable all the same; the next call says what happened.
            self.poisoned_by(error);
        }
        Ok(committed)
    }

    /// Makes a state durable, with the sinks' cursors, after everything accepted before it.
    ///
    /// # Errors
    /// As [`Ledger::commit`]; then the last state persisted before is still the one on disk, or, if
    /// only the sync of the directory failed, either of the two.
    pub fn persist(&mut self, state: &KeptState) -> Result<(), LedgerError> {
        self.commit()?;
        self.well()?;
        self.save(Some(state.clone())).map_err(|error| self.poisoned_by(error))
    }

    /// The last state that was persisted; `None` at the first start.
    #[must_use]
    pub const fn state(&self) -> Option<&KeptState> {
        self.state.as_ref()
    }

    /// Which ledger this is: never that of another, nor of this one before it was put back from a copy
    /// that a sink is ahead of.
    #[must_use]
    pub const fn identity(&self) -> LedgerIdentity {
        self.identity
    }

    /// The outbox, for sinks.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox {
            fs: Arc::clone(&self.fs),
            dir: self.dir.clone(),
            identity: self.identity,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Why the ledger accepts nothing, if it does not.
    #[must_use]
    pub fn poisoned(&self) -> Option<&LedgerError> {
        self.poison.as_deref()
    }

    /// Deletes what has outlived its purpose: keys older than the retention, payloads that every sink has
    /// acknowledged. Call it every few minutes. `now` is our own time, as the events' `arrived`;
    /// `service` is the service's, which alone decides which keys are old: without it none is deleted.
    ///
    /// # Errors
    /// As [`Ledger::commit`].
    pub fn sweep(
        &mut self,
        now: Timestamp,
        service: Option<Timestamp>,
    ) -> Result<Swept, LedgerError> {
        self.commit()?;
        self.well()?;
        self.sweep_committed(now, service).map_err(|error| self.poisoned_by(error))
    }

    /// After a failure, when the disk may be well again: cuts off what is not known to be durable,
    /// reads everything back, and goes on. What was pending has to be given again. Does nothing if
    /// the ledger is well. On a disk that is still full this succeeds and the next commit fails
    /// again: leave a pause between two attempts.
    ///
    /// # Errors
    /// As [`Ledger::open`]; the ledger stays poisoned, and this can be tried again.
    pub fn recover_in_place(&mut self) -> Result<Option<OpenReport>, LedgerError> {
        if self.poison.is_none() {
            return Ok(None);
        }
        let path = &self.segment.path;
        let file = self.fs.open(path, Access::Write).context("open", path)?;
        let bytes = file.len().context("read the length of", path)?;
        if bytes > self.offset {
            file.set_len(self.offset).context("cut", path)?;
        }
        file.sync().context("sync", path)?;
        let loaded = load(self.fs.as_ref(), &self.dir, &self.config)?;
        self.group = group(loaded.log.end, &self.config);
        let Loaded { keys, segment, offset, sealed_to, next_file, state, cursor, .. } = loaded;
        let (mut log, report) = (loaded.log, loaded.report);
        (self.keys, self.segment, self.offset) = (keys, segment, offset);
        (self.sealed_to, self.next_file, self.state) = (sealed_to, next_file, state);
        self.cursor = cursor;
        let mut shared = self.shared.lock();
        // What was acknowledged in the meantime was acknowledged.
        log.cursors = std::mem::take(&mut shared.cursors);
        *shared = log;
        drop(shared);
        // Which cursors are durable is known at the next state record.
        self.durable_needed = 0;
        self.poison = None;
        Ok(Some(report))
    }

    fn well(&self) -> Result<(), LedgerError> {
        self.poison
            .as_ref()
            .map_or(Ok(()), |cause| Err(LedgerError::Poisoned { cause: Arc::clone(cause) }))
    }

    fn poisoned_by(&mut self, error: LedgerError) -> LedgerError {
        self.poison = Some(Arc::new(error.clone()));
        error
    }

    /// The bound that the outbox had reached at the last commit, and still has.
    fn still_full(&mut self, now: Timestamp) -> Option<Bound> {
        if self.full.is_some() {
            self.look_for_room(now);
        }
        self.full
    }

    fn look_for_room(&mut self, now: Timestamp) {
        let LedgerConfig { outbox_bytes_max, outbox_age_max, .. } = self.config;
        self.full = self.shared.lock().bound(outbox_bytes_max, outbox_age_max, now);
    }

    fn write_group(&mut self) -> Result<Committed, LedgerError> {
        let start = self.shared.lock().end;
        let end = self.group.next_sequence();
        if start == end {
            return Ok(Committed { sequences: start..end, bytes: 0 });
        }
        let arrived = self.group.first_arrived();
        let path = &self.segment.path;
        let frames = self.group.finish().context("compress for", path)?;
        let bytes = frames.len() as u64;
        self.segment.file.write_at(frames, self.offset).context("write", path)?;
        self.segment.file.sync().context("sync", path)?;
        self.offset += bytes;
        self.group.clear();
        let mut log = self.shared.lock();
        log.end = end;
        if let Some(segment) = log.segments.back_mut() {
            segment.bytes = self.offset;
            segment.arrived = segment.arrived.or(arrived);
        }
        drop(log);
        if let Some(arrived) = arrived {
            self.look_for_room(arrived);
        }
        Ok(Committed { sequences: start..end, bytes })
    }

    /// The bytes of memory that keys and the group being gathered take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes() + self.group.memory_bytes()
    }
}

const fn group(next_sequence: u64, config: &LedgerConfig) -> Group {
    Group::new(next_sequence, config.frame_bytes, config.compression_level)
}

fn check_size(what: &'static str, bytes: usize, max: usize) -> Result<(), LedgerError> {
    if bytes > max { Err(LedgerError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.dir).finish_non_exhaustive()
    }
}
