//! Appends batches of whole lines, each event once.
//!
//! A batch is three steps, each durable before the next: its lines in the output, the side
//! file ([`Cursor`](super::cursor)) that counts them in, and then, by our `Ok`, the ledger's
//! cursor. So whatever lies in the output behind the length in the side file was never
//! acknowledged: it is cut off and will be given again. And whatever the side file counts in
//! and the ledger does not is given again, too, and dropped.
//!
//! An output that the side file does not know for sure is never cut: after a rotation, without
//! a side file, or with one that the ledger is ahead of, lines go behind what is there, and a
//! line without its end is ended first.
//!
//! The side file is added to with each batch; it is replaced as a whole when it has grown, and whenever
//! adding to it has failed or it is not as it was left, so that nothing stands behind what was not finished.
//!
//! If the lines cannot be made durable they are cut off at once, or before anything else is
//! written: that makes every page of the batch dirty anew, so that the next sync is a true one.
//! Once they are durable they stay, whatever happens to the side file: a replacement that
//! failed may be on disk all the same, and must not count what was cut.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use streamkeeper_sink::{Judged, OwnPlace, Resume};

use super::cursor::{Counted, Cursor, Mark};
use super::lines::{Lines, Places};
use super::storage::Storage;

/// The sequence number of a ledger's first event.
const FIRST_SEQUENCE: u64 = 1;

#[derive(Debug)]
pub(super) struct Log<S> {
    /// The sink's name, for log lines.
    name: String,
    path: PathBuf,
    storage: S,
    end: End,
    /// The side file, if it is as it was left: it may be added to.
    side: Option<Side>,
    /// Where the output ends, as the side file says or is to say next.
    mark: Option<Mark>,
    places: Places,
    /// Streams whose place is from the side file and has not been held against the ledger.
    unconfirmed: BTreeSet<String>,
}

/// How long the side file is, in bytes.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// When all was said.
    whole: u64,
    /// Now.
    length: u64,
}

impl Side {
    /// Whether it is shorter than what is worth replacing.
    fn may_grow<S: Storage>(self) -> bool {
        self.length < S::SIDE_BYTES_MAX.max(4 * self.whole)
    }
}

/// What is known about the end of the open output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing: it was opened just now, or changed behind our back.
    Unknown,
    /// Behind the mark are lines that have to go.
    Torn,
    /// It is at the mark; the side file may say so or not.
    Unsaved,
    /// It is at the mark, and the side file says so.
    Known,
}

impl<S: Storage> Log<S> {
    pub(super) fn open(name: String, path: PathBuf) -> io::Result<Self> {
        let storage = S::open(&path)?;
        let cursor = S::load(&path)?;
        let (mark, places) = match cursor {
            Some(Cursor { file, places, .. }) => (Some(file), places),
            None => (None, Places::new()),
        };
        let unconfirmed = places.keys().cloned().collect();
        let (end, side) = (End::Unknown, None);
        let mut log = Self { name, path, storage, end, side, mark, places, unconfirmed };
        // With a side file the first batch has to show that the ledger is not ahead of it.
        if log.mark.is_none() {
            log.make_ready()?;
        }
        Ok(log)
    }

    /// The place in each stream.
    pub(super) fn places(&self) -> Vec<(String, OwnPlace)> {
        self.places.iter().map(|(source, place)| (source.clone(), place.clone())).collect()
    }

    /// Holds the place in a stream against the ledger's.
    pub(super) fn resume(&mut self, resume: Resume<'_>) -> io::Result<()> {
        self.hold_against(resume, Some(resume.ledger.to_owned()))
    }

    /// `ledger` is the identity of the ledger, where it is known.
    fn hold_against(&mut self, resume: Resume<'_>, ledger: Option<String>) -> io::Result<()> {
        let own = self.places.get(resume.source);
        let place = OwnPlace { ledger, next: resume.place(own) };
        let judged = own.map_or(Judged::Fits, |own| resume.judge(own));
        if let Some(own) = own.filter(|_| judged != Judged::Fits) {
            self.say_what_does_not_fit(resume, own.next, judged);
        }
        // Lines that this ledger has seen acknowledged may be behind the mark. Of another one nothing
        // is known but that it has seen none before its first event.
        let is_ahead =
            judged == Judged::Behind || judged == Judged::Foreign && resume.next > FIRST_SEQUENCE;
        if is_ahead && self.end == End::Unknown {
            self.mark = None;
        }
        // A place that is another by itself, and not by a batch, is written down with all others.
        self.side = None;
        self.places.insert(resume.source.to_owned(), place);
        // The ledger will grow: one day the old place would fit.
        if let (Judged::Ahead, Some(mark)) = (judged, &self.mark) {
            S::save(&self.path, &Cursor::new(mark.clone(), self.places.clone()).to_text())?;
        }
        self.unconfirmed.remove(resume.source);
        Ok(())
    }

    /// The lines may be there for all that, behind the mark: giving them again could double them.
    fn say_what_does_not_fit(&self, resume: Resume<'_>, own: u64, judged: Judged) {
        let Resume { source, next, .. } = resume;
        if judged == Judged::Behind {
            let (last, count) = (next - 1, next - own);
            tracing::warn!(
                sink = %self.name, stream = source, first = own, last,
                "the file's side file is older than the ledger: where the file was put back from a copy, it lacks \
                 the events {own} to {last}. With the process stopped, 'streamkeeper ledger export {source} --from \
                 {own} --limit {count}' writes those that are still on disk"
            );
        } else {
            tracing::warn!(
                sink = %self.name, stream = source, place = own, next,
                "the file's side file is of another ledger, or of a later state of this one: its place is forgotten"
            );
        }
    }

    /// Appends those of `lines` that are not there yet, and waits until they are on disk and
    /// counted in.
    pub(super) fn append(&mut self, lines: &Lines) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        // A stream that nobody spoke of is taken as it comes.
        for (source, next) in lines.events() {
            if self.unconfirmed.contains(source) {
                let ledger = self.places.get(source).and_then(|place| place.ledger.clone());
                let id = ledger.clone().unwrap_or_default();
                self.hold_against(Resume { source, ledger: &id, next, end: next }, ledger)?;
            }
        }
        self.make_ready()?;
        let (bytes, known, changed) = lines.after(&self.places);
        if known > 0 {
            tracing::info!(sink = %self.name, events = known, "dropped what is in the file already");
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.end = End::Torn;
        if let Err(error) = self.write_all(&bytes).and_then(|()| self.storage.sync()) {
            // At once, for whoever reads the file; if it fails, again before the next try.
            drop(self.cut_torn());
            return Err(error);
        }
        self.end = End::Unknown;
        self.places.extend(changed.clone());
        let length = self.mark.take().map_or(0, |mark| mark.length) + bytes.len() as u64;
        self.mark_end(length)?;
        self.count_in(changed)
    }

    /// Makes the output end at the mark, and the side file say so.
    fn make_ready(&mut self) -> io::Result<()> {
        self.cut_torn()?;
        if !self.storage.is_at(&self.path) {
            self.storage = S::open(&self.path)?;
            self.end = End::Unknown;
        } else if self.end != End::Unknown {
            let length = self.storage.length()?;
            if self.mark.as_ref().is_none_or(|mark| mark.length != length) {
                tracing::warn!(sink = %self.name, "somebody else has changed the file");
                (self.end, self.mark) = (End::Unknown, None);
            }
        }
        if self.end == End::Unknown {
            self.find_end()?;
        }
        if self.end == End::Unsaved {
            self.save()?;
        }
        Ok(())
    }

    fn find_end(&mut self) -> io::Result<()> {
        let length = self.storage.length()?;
        let end = match &self.mark {
            Some(mark) if mark.length <= length && self.mark_at(mark.length)? == *mark => {
                mark.length
            }
            _ => self.end_last_line(length)?,
        };
        if end < length {
            let bytes = length - end;
            tracing::warn!(sink = %self.name, bytes, "cut off what was not acknowledged");
            self.storage.cut(end)?;
        }
        self.mark_end(end)
    }

    /// Makes sure that the last line is ended, and that all is on disk; the length.
    fn end_last_line(&mut self, length: u64) -> io::Result<u64> {
        if self.storage.tail(length)?.last().is_some_and(|last| *last != b'\n') {
            tracing::warn!(sink = %self.name, "ended a torn last line");
            self.write_all(b"\n")?;
        }
        self.storage.sync()?;
        self.storage.length()
    }

    fn mark_end(&mut self, length: u64) -> io::Result<()> {
        self.mark = Some(self.mark_at(length)?);
        self.end = End::Unsaved;
        Ok(())
    }

    fn mark_at(&self, length: u64) -> io::Result<Mark> {
        Ok(Mark::new(self.storage.identity()?, length, &self.storage.tail(length)?))
    }

    /// Makes the side file say where the output ends, and what a batch has changed.
    fn count_in(&mut self, places: Places) -> io::Result<()> {
        // Whatever comes of it, it is not as it was left.
        let side = self.side.take().filter(|side| side.may_grow::<S>());
        if let (Some(Side { whole, length }), Some(mark)) = (side, &self.mark) {
            let text = Counted { file: mark.clone(), places }.to_text();
            if S::extend(&self.path, length, &text)? {
                self.side = Some(Side { whole, length: length + text.len() as u64 });
                self.end = End::Known;
                return Ok(());
            }
        }
        self.save()
    }

    /// Makes the side file say all.
    fn save(&mut self) -> io::Result<()> {
        self.side = None;
        if let Some(mark) = &self.mark {
            let text = Cursor::new(mark.clone(), self.places.clone()).to_text();
            S::save(&self.path, &text)?;
            let length = text.len() as u64;
            self.side = Some(Side { whole: length, length });
            self.end = End::Known;
        }
        Ok(())
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.storage.append(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn cut_torn(&mut self) -> io::Result<()> {
        if self.end == End::Torn {
            let length = self.mark.as_ref().map_or(0, |mark| mark.length);
            // Somebody else may have cut the file; cutting must never make it longer.
            if self.storage.length()? > length {
                self.storage.cut(length)?;
            }
            self.end = End::Known;
        }
        Ok(())
    }
}
