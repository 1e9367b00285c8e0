//! The test kit over a real file, and what a disk can do to it.

mod crash;
mod side_file;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use streamkeeper_sink::testkit::{self, Destination};
use streamkeeper_sink::{Envelope, Sink, SinkFactory, SinkTable};

use super::cursor::{Cursor, Identity};
use super::sink::Appender;
use super::storage::Storage;
use super::{FileConfig, FileFactory, FileSink};
use crate::Format;

/// A real file that fails as `<path>.fault` says, if it is there: one word for each
/// failure, in order; a failing `write` has first written the half of its bytes.
struct Faulty {
    file: File,
    fault: PathBuf,
    half_written: bool,
}

fn next_fault(fault: &Path) -> String {
    let faults = fs::read_to_string(fault).unwrap_or_default();
    faults.split(' ').next().unwrap().to_owned()
}

fn fail_at(fault: &Path, operation: &str) -> io::Result<()> {
    if next_fault(fault) != operation {
        return Ok(());
    }
    let faults = fs::read_to_string(fault).unwrap();
    fs::write(fault, faults[operation.len()..].trim_start()).unwrap();
    Err(ErrorKind::StorageFull.into())
}

impl Storage for Faulty {
    fn open(path: &Path) -> io::Result<Self> {
        let fault = path.with_extension("fault");
        Ok(Self { file: <File as Storage>::open(path)?, fault, half_written: false })
    }
    fn is_at(&self, path: &Path) -> bool {
        self.file.is_at(path)
    }
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
    fn identity(&self) -> io::Result<Identity> {
        self.file.identity()
    }
    fn tail(&self, end: u64) -> io::Result<Vec<u8>> {
        self.file.tail(end)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if next_fault(&self.fault) == "write" && !self.half_written {
            self.half_written = true;
            return self.file.append(&bytes[..bytes.len() / 2]);
        }
        self.half_written = false;
        fail_at(&self.fault, "write")?;
        self.file.append(bytes)
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        fail_at(&self.fault, "cut")?;
        self.file.cut(length)
    }
    fn sync(&mut self) -> io::Result<()> {
        fail_at(&self.fault, "sync")?;
        self.file.sync()
    }
    fn load(path: &Path) -> io::Result<Option<Cursor>> {
        File::load(path)
    }
    fn save(path: &Path, text: &str) -> io::Result<()> {
        let fault = path.with_extension("fault");
        fail_at(&fault, "save")?;
        File::save(path, text)?;
        fail_at(&fault, "saved")
    }
    fn extend(path: &Path, length: u64, text: &str) -> io::Result<bool> {
        let fault = path.with_extension("fault");
        fail_at(&fault, "save")?;
        let extended = File::extend(path, length, text)?;
        fail_at(&fault, "saved").map(|()| extended)
    }
}

struct TestFile {
    folder: tempfile::TempDir,
    format: Format,
    fault: &'static str,
}

impl TestFile {
    fn new(format: Format, fault: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), format, fault }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a/b/events.ndjson")
    }

    fn side_file(&self) -> PathBuf {
        self.folder.path().join("a/b/events.ndjson.cursor")
    }

    fn config(&self) -> FileConfig {
        FileConfig { path: self.path(), format: self.format }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

impl Destination for TestFile {
    fn open(&mut self) -> Box<dyn Sink> {
        Box::new(Appender::<Faulty>::open("archive", self.config()).unwrap())
    }

    fn received(&mut self) -> Vec<Bytes> {
        #[derive(Deserialize)]
        struct Line<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let text = self.text();
        assert!(text.is_empty() || text.ends_with('\n'), "a torn line");
        let record = |line: &str| match self.format {
            Format::Raw => Bytes::copy_from_slice(line.as_bytes()),
            Format::CloudEvents => {
                let line: Line<'_> = serde_json::from_str(line).unwrap();
                Bytes::copy_from_slice(line.data.get().as_bytes())
            }
        };
        text.lines().map(record).collect()
    }

    fn fail_next(&mut self) -> bool {
        fs::write(self.path().with_extension("fault"), self.fault).unwrap();
        true
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn remembers(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_test_kit_passes() {
    for format in [Format::CloudEvents, Format::Raw] {
        for fault in ["write", "sync", "write cut", "sync cut", "save", "saved"] {
            testkit::check(|| TestFile::new(format, fault)).await;
        }
    }
}

async fn deliver(sink: &mut dyn Sink, batch: &[Envelope]) {
    sink.deliver(batch).await.unwrap();
}

#[tokio::test]
async fn a_tail_that_could_not_be_cut_is_cut_before_the_next_batch() {
    let mut destination = TestFile::new(Format::Raw, "write cut cut write");
    let (first, second) = (testkit::envelopes(0..2), testkit::envelopes(2..4));
    let mut sink = destination.open();
    deliver(&mut *sink, &first).await;
    let whole = destination.text();

    destination.fail_next();
    assert_eq!(sink.deliver(&second).await.unwrap_err().reason, "disk_full");
    assert!(destination.text().len() > whole.len(), "the half of the batch is still there");
    assert_eq!(sink.deliver(&second).await.unwrap_err().reason, "disk_full");
    assert!(destination.text().len() > whole.len(), "and still");
    assert_eq!(sink.deliver(&second).await.unwrap_err().reason, "disk_full");
    assert_eq!(destination.text(), whole);
    deliver(&mut *sink, &second).await;
    assert_eq!(destination.received().len(), 4);
}

#[tokio::test]
async fn files_are_private_and_folders_too() {
    let mut destination = TestFile::new(Format::Raw, "");
    let mut sink = destination.open();
    deliver(&mut *sink, &testkit::envelopes(0..1)).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&destination.path()), 0o600);
    assert_eq!(mode(&destination.side_file()), 0o600);
    assert_eq!(mode(destination.path().parent().unwrap()), 0o700);
    assert_eq!(mode(&destination.folder.path().join("a")), 0o700);
}

#[tokio::test]
async fn a_rotated_or_deleted_file_is_made_anew() {
    let mut destination = TestFile::new(Format::Raw, "");
    let mut sink = destination.open();
    let events = testkit::envelopes(0..3);
    deliver(&mut *sink, &events[..1]).await;
    let rotated = destination.path().with_extension("1");
    fs::rename(destination.path(), &rotated).unwrap();
    deliver(&mut *sink, &events[1..2]).await;
    assert_eq!(fs::read(&rotated).unwrap(), [&events[0].data[..], b"\n"].concat());
    assert_eq!(destination.received(), [events[1].data.clone()]);
    fs::remove_file(destination.path()).unwrap();
    deliver(&mut *sink, &events[2..]).await;
    assert_eq!(destination.received(), [events[2].data.clone()]);
}

#[test]
fn a_second_writer_and_a_device_are_refused() {
    let destination = TestFile::new(Format::Raw, "");
    let build = |path: &Path| {
        let table = SinkTable::from_iter([("path", path.to_str().unwrap().into())]);
        FileFactory.build("archive", table).map(drop)
    };
    let _first = FileSink::open("archive", destination.config()).unwrap();
    let path = destination.path();
    assert_eq!(
        build(&path).unwrap_err().to_string(),
        format!("`path` cannot be opened: {}: another writer has it open", path.display())
    );
    assert_eq!(
        build(Path::new("/dev/null")).unwrap_err().to_string(),
        "`path` cannot be opened: /dev/null: not a regular file"
    );
    build(Path::new("-")).unwrap();
}

#[test]
fn the_table_needs_a_path() {
    let check = |table: &[(&str, &str)]| {
        let table = table.iter().map(|(key, value)| (*key, (*value).into())).collect();
        FileFactory.check("archive", table).unwrap_err().to_string()
    };
    let path = "the path of a file, or \"-\" for standard output";
    assert_eq!(check(&[]), format!("`path` is missing: give {path}"));
    assert_eq!(check(&[("path", "")]), format!("`path` must be {path}"));
    assert_eq!(
        check(&[("path", "x"), ("fromat", "raw")]),
        "`fromat` is not a known key; did you mean `format`?"
    );
}

#[test]
fn the_output_of_a_file_is_the_same_however_its_path_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("real")).unwrap();
    std::os::unix::fs::symlink("real", at("link")).unwrap();
    let output = |path: PathBuf| {
        let table = SinkTable::from_iter([("path", path.to_str().unwrap().into())]);
        FileFactory.output(table).map(|(key, path)| (key, path.display().to_string()))
    };
    let one = output(at("real/events"));
    assert!(one.is_some());
    for same in ["link/events", "real/../real/./events"] {
        assert_eq!(output(at(same)), one, "{same}");
    }
    fs::write(at("real/events"), "").unwrap();
    std::os::unix::fs::symlink("real/events", at("events")).unwrap();
    for same in ["real/events", "link/events", "events"] {
        assert_eq!(output(at(same)), output(at("real/events")), "{same}");
    }
    assert_ne!(output(at("real/other")), output(at("real/events")));
    assert_eq!(output("-".into()), None, "lines of several sinks are still lines");
}
