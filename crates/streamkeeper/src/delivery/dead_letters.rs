//! Dead letters: events that a sink refused for good, kept on disk until a hand decides.
//!
//! A file for each sink, `<data_dir>/.dead-letters/<sink>.ndjson`: one letter in a line, each on disk before the
//! sink's cursor passes its event. They are few, so all of it is as plain as can be: a line is added, or the
//! file is replaced as a whole. A last line that a crash has torn was never relied on, and is cut off.
//!
//! A letter holds health data: the file is its owner's alone, and nothing of it is shown but by
//! [`letters`], which is for whoever asked for it, and leaves a line in `audit.ndjson` beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use streamkeeper_ledger::fs::{Fs as _, RealFs};
use streamkeeper_sink::{Content, Envelope};

use crate::base::clock::wall;
use crate::base::rfc3339::rfc3339;

/// An event that a sink has refused for good.
///
/// `Debug` shows nothing of the event.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number within the sink, from 1, never used again while others are there.
    pub number: u64,
    /// When it was given up, by our clock: RFC 3339.
    pub at: String,
    /// The stream.
    pub stream: String,
    /// Why the sink refused it: one of its fixed words.
    pub reason: String,
    /// Its number in the stream.
    pub sequence: u64,
    /// The envelope's id: health data, as all below.
    pub id: String,
    /// The envelope's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Microseconds since 1970.
    pub time_us: Option<i64>,
    /// The user.
    pub subject: Option<String>,
    /// Whether it came from a replay.
    pub replayed: bool,
    /// Whether the record is text that is no JSON.
    pub text: bool,
    /// The record, byte for byte.
    pub data: String,
}

impl std::fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetter").field("number", &self.number).finish_non_exhaustive()
    }
}

impl DeadLetter {
    fn new(number: u64, event: &Envelope, reason: &str) -> Self {
        Self {
            number,
            at: rfc3339(wall()).unwrap_or_default(),
            stream: event.source.to_string(),
            reason: reason.to_owned(),
            sequence: event.sequence,
            id: event.id.clone(),
            kind: event.kind.to_string(),
            time_us: event.time_us,
            subject: event.subject.clone(),
            replayed: event.replayed,
            text: event.content == Content::Text,
            data: String::from_utf8_lossy(&event.data).into_owned(),
        }
    }

    /// The event, to be delivered again.
    pub(super) fn envelope(&self) -> Envelope {
        Envelope {
            id: self.id.clone(),
            source: self.stream.as_str().into(),
            kind: self.kind.clone().into(),
            time_us: self.time_us,
            subject: self.subject.clone(),
            sequence: self.sequence,
            replayed: self.replayed,
            redelivered: true,
            content: if self.text { Content::Text } else { Content::Json },
            data: self.data.clone().into(),
        }
    }
}

/// The dead letters of one sink, as the process that runs has them.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
    known: Mutex<Option<Vec<DeadLetter>>>,
}

impl DeadLetters {
    /// Of this sink; nothing is read or made yet.
    pub(crate) fn new(data_dir: &Path, sink: &str) -> Self {
        Self { path: path(data_dir, sink), known: Mutex::new(None) }
    }

    /// Adds a letter, durably. An event that is there already is not added twice. Blocks.
    pub(super) fn put(&self, event: &Envelope, reason: &str) -> io::Result<()> {
        self.with(|letters, path| {
            let is_it = |one: &DeadLetter| {
                one.stream == *event.source && one.sequence == event.sequence && one.id == event.id
            };
            if letters.iter().any(is_it) {
                return Ok(());
            }
            let number = letters.iter().map(|letter| letter.number).max().unwrap_or(0) + 1;
            let letter = DeadLetter::new(number, event, reason);
            append(path, &letter)?;
            letters.push(letter);
            Ok(())
        })
    }

    /// Those with these numbers; none given: all. Blocks.
    pub(super) fn get(&self, numbers: &[u64]) -> io::Result<Vec<DeadLetter>> {
        let is_meant =
            |letter: &&DeadLetter| numbers.is_empty() || numbers.contains(&letter.number);
        self.with(|letters, _| Ok(letters.iter().filter(is_meant).cloned().collect()))
    }

    /// Removes those with these numbers, all at once. Blocks.
    pub(super) fn remove(&self, numbers: &[u64]) -> io::Result<()> {
        let stays = |letter: &&DeadLetter| !numbers.contains(&letter.number);
        self.with(|letters, path| {
            let rest: Vec<_> = letters.iter().filter(stays).cloned().collect();
            replace(path, &rest)?;
            *letters = rest;
            Ok(())
        })
    }

    /// How many there are of a stream. Blocks.
    pub(super) fn count(&self, stream: &str) -> u64 {
        let count = |letters: &mut Vec<DeadLetter>, _: &Path| {
            Ok(letters.iter().filter(|letter| letter.stream == stream).count() as u64)
        };
        self.with(count).unwrap_or(0)
    }

    /// Does something with the letters, which are read first if they were not, or if that has failed.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Vec<DeadLetter>, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut letters = match known.take() {
            Some(letters) => letters,
            None => open(&self.path)?,
        };
        let done = work(&mut letters, &self.path);
        // What has failed may have left half a line: it is read afresh.
        *known = done.is_ok().then_some(letters);
        done
    }
}

/// Reads the dead letters of a sink, for whoever asked for them; `show` says that payloads are shown, which
/// is written down for an audit.
///
/// # Errors
/// If the file cannot be read, or holds something else; if the audit cannot be written.
pub fn letters(data_dir: &Path, sink: &str, show: bool) -> io::Result<Vec<DeadLetter>> {
    let path = path(data_dir, sink);
    let letters = match fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text)?.0,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    if show && !letters.is_empty() {
        audit(data_dir, sink, "show", letters.len())?;
    }
    Ok(letters)
}

/// The sinks that have dead letters below this folder, by name.
///
/// # Errors
/// If the folder cannot be read.
pub fn sinks(data_dir: &Path) -> io::Result<Vec<String>> {
    let folder = match fs::read_dir(data_dir.join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        folder => folder?,
    };
    let mut sinks = Vec::new();
    for entry in folder {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let sink = name.strip_suffix(".ndjson").filter(|sink| *sink != AUDIT);
        sinks.extend(sink.map(str::to_owned));
    }
    sinks.sort();
    Ok(sinks)
}

/// Writes down who did what to a sink's letters, without anything of them.
pub(super) fn audit(data_dir: &Path, sink: &str, act: &str, letters: usize) -> io::Result<()> {
    let at = rfc3339(wall()).unwrap_or_default();
    let line = serde_json::json!({
        "at": at, "act": act, "sink": sink, "letters": letters, "process": std::process::id(),
    });
    append(&data_dir.join(FOLDER).join(format!("{AUDIT}.ndjson")), &line)
}

/// The name cannot be that of a stream's folder, which begins with a letter or digit.
const FOLDER: &str = ".dead-letters";

/// The name cannot be that of a sink.
const AUDIT: &str = ".audit";

fn path(data_dir: &Path, sink: &str) -> PathBuf {
    data_dir.join(FOLDER).join(format!("{sink}.ndjson"))
}

/// The letters in the file, and the file without a torn last line.
fn open(path: &Path) -> io::Result<Vec<DeadLetter>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let (letters, whole) = parse(path, &text)?;
    if whole < text.len() {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(letters)
}

/// The letters in whole lines, and how long those are.
fn parse(path: &Path, text: &str) -> io::Result<(Vec<DeadLetter>, usize)> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let lines = text.get(..whole).unwrap_or_default().lines().enumerate();
    let letter = |(index, line): (usize, &str)| {
        // What the parser says would quote the letter.
        serde_json::from_str(line).map_err(|_| {
            let message = format!("{}: line {} is no dead letter", path.display(), index + 1);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    };
    Ok((lines.map(letter).collect::<io::Result<_>>()?, whole))
}

fn append(path: &Path, line: &impl Serialize) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        RealFs.create_dir_all(folder)?;
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    let written = write_line(&mut file, line).and_then(|()| file.sync_all());
    if written.is_err() {
        // Whatever comes of it, the next reading cuts a torn line off.
        drop(file.set_len(length));
    }
    written?;
    if is_new { sync_folder(path) } else { Ok(()) }
}

fn write_line(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn replace(path: &Path, letters: &[DeadLetter]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    letters.iter().try_for_each(|letter| write_line(&mut file, letter))?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| RealFs.sync_dir(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> Envelope {
        Envelope {
            id: format!("record/{sequence}"),
            source: "acme".into(),
            kind: "inform.data".into(),
            time_us: Some(7),
            subject: Some("marker".into()),
            sequence,
            replayed: true,
            redelivered: false,
            content: Content::Json,
            data: "{ \"a\":\r\n1.00 }".into(),
        }
    }

    #[test]
    fn letters_are_there_after_a_restart_byte_for_byte_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), "hook");
        for sequence in [3, 3, 4] {
            letters.put(&event(sequence), "refused").unwrap();
        }
        let letters = DeadLetters::new(folder.path(), "hook");
        letters.put(&event(4), "refused").unwrap();
        let there = letters.get(&[]).unwrap();
        let again = |letter: &DeadLetter| Envelope { redelivered: false, ..letter.envelope() };
        assert_eq!(there.iter().map(again).collect::<Vec<_>>(), [event(3), event(4)]);
        assert_eq!((letters.count("acme"), letters.count("other")), (2, 0));
        letters.remove(&[1, 7]).unwrap();
        assert_eq!(letters.get(&[1]).unwrap(), []);
        assert_eq!(DeadLetters::new(folder.path(), "hook").get(&[2]).unwrap().len(), 1);
        assert_eq!(sinks(folder.path()).unwrap(), ["hook"]);
        assert!(!format!("{there:?}").contains("marker"));
    }

    #[test]
    fn a_torn_line_is_cut_off_and_what_is_no_letter_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path(), "hook");
        letters.put(&event(1), "refused").unwrap();
        let path = path(folder.path(), "hook");
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
        let letters = DeadLetters::new(folder.path(), "hook");
        letters.put(&event(2), "refused").unwrap();
        assert_eq!(letters.get(&[]).unwrap().len(), 2);
        fs::write(&path, format!("{whole}\"marker\"\n")).unwrap();
        let error = super::letters(folder.path(), "hook", true).unwrap_err().to_string();
        assert!(
            error.ends_with("line 2 is no dead letter") && !error.contains("marker"),
            "{error}"
        );
    }

    #[test]
    fn who_shows_letters_leaves_a_line() {
        let folder = tempfile::tempdir().unwrap();
        DeadLetters::new(folder.path(), "hook").put(&event(1), "refused").unwrap();
        letters(folder.path(), "hook", false).unwrap();
        assert!(!folder.path().join(".dead-letters/.audit.ndjson").exists());
        letters(folder.path(), "hook", true).unwrap();
        let audit = fs::read_to_string(folder.path().join(".dead-letters/.audit.ndjson")).unwrap();
        assert!(audit.contains("\"show\"") && audit.contains("\"hook\""), "{audit}");
        assert_eq!(sinks(folder.path()).unwrap(), ["hook"]);
    }
}
