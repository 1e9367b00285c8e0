//! What was sent and not answered: where each such request begins and ends in its stream.
//!
//! Written down before a request is sent, so that the same events are sent in the same request again, over
//! a crash, too: a file for each stream in the `state` folder, replaced as a whole. What is on disk may be
//! behind what was answered; that repeats a request as it was, which is what a receiver knows.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use streamkeeper_sink::{Envelope, Resume, SinkError};

use crate::blocking::{blocking, lock};
use crate::durable;

/// Of all streams.
pub(super) struct Sent {
    folder: Option<PathBuf>,
    streams: Mutex<HashMap<String, Arc<Stream>>>,
}

/// Of one stream.
#[derive(Default)]
struct Stream {
    state: Mutex<State>,
    /// Held while the file is written; the state is not.
    file: Mutex<()>,
}

#[derive(Default)]
struct State {
    known: Requests,
    /// Whether the file says at least this.
    is_written: bool,
}

/// As in the file of a stream.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requests {
    version: u32,
    /// The identity of the ledger whose numbers these are.
    ledger: Option<String>,
    /// First and last sequence number of each; they do not overlap.
    requests: Vec<(u64, u64)>,
}

const VERSION: u32 = 1;

impl Default for Requests {
    fn default() -> Self {
        Self { version: VERSION, ledger: None, requests: Vec::new() }
    }
}

impl Sent {
    /// Makes the folder, if there is to be one.
    pub(super) fn open(folder: Option<PathBuf>) -> io::Result<Self> {
        folder.as_deref().map_or(Ok(()), durable::create_folder)?;
        Ok(Self { folder, streams: Mutex::default() })
    }

    /// Reads what was written down of a stream, as far as it is of this ledger and not acknowledged.
    pub(super) async fn resume(&self, resume: Resume<'_>) -> Result<(), SinkError> {
        let mut found = Requests::default();
        if let Some(file) = self.file(resume.source) {
            let name = file.display().to_string();
            let read = blocking(move || std::fs::read(file)).await?;
            match read {
                Ok(text) => {
                    found = serde_json::from_slice(&text)
                        .ok()
                        .filter(|requests: &Requests| requests.version == VERSION)
                        .ok_or_else(|| damaged(&name).of_stream(resume.source))?;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(unusable(error)),
            }
        }
        if found.ledger.as_deref() != Some(resume.ledger) {
            found.requests.clear();
        }
        // What ends beyond the ledger's end is of a ledger that was put back from a copy.
        found.requests.retain(|(first, last)| *first >= resume.next && *last < resume.end);
        found.ledger = Some(resume.ledger.to_owned());
        *lock(&self.stream(resume.source).state) = State { known: found, is_written: true };
        Ok(())
    }

    /// How many of these events, at least one, the next request has: it begins and ends where one does that
    /// was sent before.
    pub(super) fn cut(&self, events: &[Envelope]) -> usize {
        let Some(begin) = events.first() else { return 0 };
        let stream = self.stream(&begin.source);
        let state = lock(&stream.state);
        // The first number that is not in it.
        let end = state.known.requests.iter().filter_map(|(first, last)| match *first {
            first if first == begin.sequence => Some(last.saturating_add(1)),
            first if first > begin.sequence => Some(first),
            _ => None,
        });
        let end = end.min().unwrap_or(u64::MAX);
        events.partition_point(|event| event.sequence < end).max(1)
    }

    /// Writes down that these events are sent now.
    pub(super) async fn note(&self, events: &[Envelope]) -> Result<(), SinkError> {
        let [begin, ..] = events else { return Ok(()) };
        let request = (begin.sequence, events.last().map_or(begin.sequence, |last| last.sequence));
        let stream = self.stream(&begin.source);
        {
            let mut state = lock(&stream.state);
            let State { known, is_written } = &mut *state;
            if !known.requests.contains(&request) {
                let (from, to) = request;
                known.requests.retain(|(first, last)| *last < from || *first > to);
                known.requests.push(request);
                *is_written = false;
            }
            if *is_written {
                return Ok(());
            }
        }
        let Some(file) = self.file(&begin.source) else { return Ok(()) };
        if let Err(TryLockError::WouldBlock) = stream.file.try_lock() {
            // A dropped delivery has left it behind; while a disk hangs there shall not be more and more.
            return Err(SinkError::busy("still_writing", None).of_stream(&*begin.source));
        }
        let write = move || -> io::Result<()> {
            let _alone = lock(&stream.file);
            let known = lock(&stream.state).known.clone();
            let text = serde_json::to_string(&known).map_err(io::Error::other)?;
            durable::replace(&file, &format!("{text}\n"))?;
            let mut state = lock(&stream.state);
            state.is_written = state.known == known;
            Ok(())
        };
        blocking(write).await?.map_err(unusable)
    }

    /// These events were answered: they are there, or they are given in parts.
    pub(super) fn forget(&self, events: &[Envelope]) {
        let Some(begin) = events.first() else { return };
        let stream = self.stream(&begin.source);
        lock(&stream.state).known.requests.retain(|(first, _)| *first != begin.sequence);
    }

    fn stream(&self, source: &str) -> Arc<Stream> {
        let mut streams = lock(&self.streams);
        match streams.get(source) {
            Some(stream) => Arc::clone(stream),
            None => Arc::clone(streams.entry(source.to_owned()).or_default()),
        }
    }

    fn file(&self, source: &str) -> Option<PathBuf> {
        let name = utf8_percent_encode(source, NON_ALPHANUMERIC);
        Some(self.folder.as_ref()?.join(format!("{name}.json")))
    }
}

fn unusable(error: io::Error) -> SinkError {
    SinkError::broken("state_unusable").with_source(error)
}

fn damaged(file: &str) -> SinkError {
    SinkError::refused("state_damaged").with_detail(format!(
        "{file} is not what was written: delete it; what was sent last may then come under another \
         webhook-id"
    ))
}
