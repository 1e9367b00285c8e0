//! The log over a disk in memory that fails or crashes at any step, and at any two.
//!
//! A small ledger gives two streams in batches, gives again what was not acknowledged, and may
//! forget after a crash how far it had got. In the end every event is in the files once, and in
//! its stream's order. A crash keeps anything between what was synced and what was written,
//! zeros included, of the side file, too, and either side file if a replacement was under way.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::path::Path;

use fastrand::Rng;
use streamkeeper_sink::{Resume, testkit};

use super::super::cursor::{Cursor, Identity};
use super::super::lines::Lines;
use super::super::log::Log;
use super::super::storage::{Storage, TAIL_BYTES};
use crate::Format;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// An error; everything goes on.
    Error,
    /// The end of the process and of the machine.
    Crash,
}

#[derive(Clone, Default)]
struct File {
    written: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Default)]
struct Disk {
    rng: Rng,
    files: Vec<File>,
    /// The file at the path.
    at: Option<usize>,
    side: Option<File>,
    /// What else the side file may be after a crash.
    side_before: Option<Option<File>>,
    steps: usize,
    faults: Vec<(usize, Fault)>,
    crashed: bool,
}

impl Disk {
    fn step(&mut self) -> io::Result<()> {
        if self.crashed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.steps += 1;
        let Some(place) = self.faults.iter().position(|(at, _)| *at == self.steps - 1) else {
            return Ok(());
        };
        self.crashed = self.faults[place].1 == Fault::Crash;
        Err(ErrorKind::StorageFull.into())
    }

    /// What is found after the crash.
    fn restart(&mut self) {
        self.crashed = false;
        let Self { rng, files, side, side_before, .. } = self;
        if let Some(before) = side_before.take()
            && rng.bool()
        {
            *side = before;
        }
        for File { written, synced } in files.iter_mut().chain(side) {
            let same = written.iter().zip(&*synced).take_while(|(a, b)| a == b).count();
            let kept = rng.usize(same..=written.len());
            match rng.u8(0..4) {
                0 => {}
                1 => written.truncate(kept),
                2 => written[kept..].fill(0),
                _ => written.clone_from(synced),
            }
            synced.clone_from(written);
        }
    }
}

thread_local! {
    static DISK: RefCell<Disk> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    DISK.with_borrow_mut(work)
}

/// An open file, by its number.
struct Memory(usize);

impl Storage for Memory {
    const SIDE_BYTES_MAX: u64 = 0;

    fn open(_: &Path) -> io::Result<Self> {
        with(|disk| {
            disk.step()?;
            let new = disk.files.len();
            let file = *disk.at.get_or_insert(new);
            if file == new {
                disk.files.push(File::default());
            }
            Ok(Self(file))
        })
    }
    fn is_at(&self, _: &Path) -> bool {
        with(|disk| disk.at == Some(self.0))
    }
    fn length(&self) -> io::Result<u64> {
        with(|disk| Ok(disk.files[self.0].written.len() as u64))
    }
    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity { inode: self.0 as u64, created: None })
    }
    fn tail(&self, end: u64) -> io::Result<Vec<u8>> {
        let range = end.saturating_sub(TAIL_BYTES) as usize..end as usize;
        with(|disk| Ok(disk.files[self.0].written[range].to_vec()))
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        with(|disk| {
            let step = disk.step();
            let count = if step.is_ok() { bytes.len() } else { disk.rng.usize(..bytes.len()) };
            if step.is_ok() || !disk.crashed || disk.rng.bool() {
                disk.files[self.0].written.extend_from_slice(&bytes[..count]);
            }
            step.map(|()| count)
        })
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        with(|disk| {
            let step = disk.step();
            let File { written, synced } = &mut disk.files[self.0];
            if step.is_ok() || disk.rng.bool() {
                written.truncate(length as usize);
            }
            if step.is_ok() {
                synced.clone_from(written);
            }
            step
        })
    }
    fn sync(&mut self) -> io::Result<()> {
        with(|disk| {
            disk.step()?;
            let File { written, synced } = &mut disk.files[self.0];
            synced.clone_from(written);
            Ok(())
        })
    }
    fn load(_: &Path) -> io::Result<Option<Cursor>> {
        let read = |side: &File| Cursor::from_text(&side.written).expect("it is whole");
        with(|disk| Ok(disk.side.as_ref().map(read)))
    }
    fn save(_: &Path, text: &str) -> io::Result<()> {
        with(|disk| {
            let step = disk.step();
            if step.is_ok() || disk.rng.bool() {
                // Its bytes are synced before it has its name.
                let text = text.as_bytes().to_vec();
                let before = disk.side.replace(File { synced: text.clone(), written: text });
                // Only what was synced with its folder is there for sure.
                disk.side_before = match step {
                    Ok(()) => None,
                    Err(_) => Some(disk.side_before.take().unwrap_or(before)),
                };
            }
            step
        })
    }
    fn extend(_: &Path, length: u64, text: &str) -> io::Result<bool> {
        with(|disk| {
            if disk.side.as_ref().is_none_or(|side| side.written.len() as u64 != length) {
                return Ok(false);
            }
            let step = disk.step();
            let count = if step.is_ok() { text.len() } else { disk.rng.usize(..=text.len()) };
            let Some(side) = &mut disk.side else { return Ok(false) };
            side.written.extend_from_slice(&text.as_bytes()[..count]);
            if step.is_ok() {
                side.synced.clone_from(&side.written);
            }
            step.map(|()| true)
        })
    }
}

const STREAMS: [&str; 2] = ["testkit", "other"];
const EVENTS: u64 = 9;

/// What the ledger knows of one stream, and what it will know after a crash.
struct Source {
    name: &'static str,
    next: u64,
    durable: u64,
}

/// Delivers everything, over all faults; the number of steps.
fn run(seed: u64, faults: &[(usize, Fault)]) -> usize {
    with(|disk| {
        *disk = Disk { rng: Rng::with_seed(seed), faults: faults.to_vec(), ..Disk::default() };
    });
    let mut rng = Rng::with_seed(!seed);
    let mut sources = STREAMS.map(|name| Source { name, next: 1, durable: 1 });
    while !one_life(&mut sources, &mut rng) {
        with(Disk::restart);
        sources.iter_mut().for_each(|source| source.next = source.durable);
    }

    let lines = with(|disk| disk.files.iter().flat_map(|file| file.written.clone()).collect());
    let text = String::from_utf8(lines).unwrap();
    assert!(text.ends_with('\n'), "seed {seed}, {faults:?}: torn");
    let mut lines: Vec<&str> = text.lines().collect();
    for name in STREAMS {
        let events = testkit::envelopes_of(name, 1..EVENTS + 1);
        let is_own = |line: &mut &str| events.iter().any(|event| event.data == *line);
        let own: Vec<&str> = lines.extract_if(.., is_own).collect();
        let data = events.iter().map(|event| str::from_utf8(&event.data).unwrap());
        assert!(own.iter().copied().eq(data), "seed {seed}, {faults:?}: {name}:\n{text}");
    }
    assert!(lines.is_empty(), "seed {seed}, {faults:?}: {lines:?}");
    with(|disk| disk.steps)
}

/// From a start to a crash, or to the end of all events.
fn one_life(sources: &mut [Source; 2], rng: &mut Rng) -> bool {
    let mut log = loop {
        match Log::<Memory>::open("archive".into(), "events".into()) {
            Ok(log) => break log,
            Err(_) if with(|disk| disk.crashed) => return false,
            Err(_) => {}
        }
    };
    let mut resumed = [false; 2];
    let mut lines = Lines::default();
    while sources.iter().any(|source| source.next <= EVENTS) {
        let index = rng.usize(..2);
        let source = &mut sources[index];
        if !std::mem::replace(&mut resumed[index], true) {
            let (next, end) = (source.next, EVENTS + 1);
            log.resume(Resume { source: source.name, ledger: "one", next, end }).unwrap();
        }
        let end = (source.next + rng.u64(0..5)).min(EVENTS + 1);
        lines.fill(Format::Raw, &testkit::envelopes_of(source.name, source.next..end));
        match log.append(&lines) {
            Ok(()) => {
                source.next = end;
                // The ledger writes its cursors down now and then.
                if rng.bool() {
                    source.durable = end;
                }
                // Not before the first batch after a crash: its tail would go along.
                if !lines.is_empty() && rng.u8(0..8) == 0 {
                    with(|disk| disk.at = None);
                }
            }
            Err(_) if with(|disk| disk.crashed) => return false,
            Err(_) => {}
        }
    }
    true
}

#[test]
fn every_event_is_there_once_whatever_step_fails() {
    for seed in 0..8 {
        let steps = run(seed, &[]);
        for first in 0..steps {
            for fault in [Fault::Error, Fault::Crash] {
                run(seed, &[(first, fault)]);
            }
        }
    }
}

#[test]
fn every_event_is_there_once_whatever_two_steps_fail() {
    for seed in 0..8 {
        let steps = run(seed, &[]);
        for first in 0..steps {
            for second in first + 1..first + 12 {
                for (one, two) in [
                    (Fault::Error, Fault::Error),
                    (Fault::Error, Fault::Crash),
                    (Fault::Crash, Fault::Error),
                    (Fault::Crash, Fault::Crash),
                ] {
                    run(seed, &[(first, one), (second, two)]);
                }
            }
        }
    }
}
