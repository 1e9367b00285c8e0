//! The side file on a real disk: every state that a crash can leave, and what people do to it.

use super::*;
use streamkeeper_sink::Resume;

impl TestFile {
    /// A start: where the ledger is, and what it gives.
    async fn live(&mut self, next: u64, end: u64, batch: &[Envelope]) {
        self.live_of("one", next, end, batch).await;
    }

    /// A start with the ledger of this identity.
    async fn live_of(&mut self, ledger: &str, next: u64, end: u64, batch: &[Envelope]) {
        let mut sink = self.open();
        sink.resume(Resume { source: "testkit", ledger, next, end }).await.unwrap();
        deliver(&mut *sink, batch).await;
    }

    fn put(&self, text: &[u8]) {
        fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        fs::write(self.path(), text).unwrap();
    }

    /// As [`TestFile::put`], but the file stays the same one.
    fn overwrite(&self, text: &[u8]) {
        let mut file = File::options().write(true).truncate(true).open(self.path()).unwrap();
        io::Write::write_all(&mut file, text).unwrap();
    }

    fn has(&mut self, events: &[Envelope]) {
        let data: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
        assert_eq!(self.received(), data);
    }
}

#[tokio::test]
async fn whatever_a_crash_left_of_a_batch_is_cut_and_given_again() {
    for format in [Format::CloudEvents, Format::Raw] {
        let events = testkit::envelopes(1..5);
        let mut destination = TestFile::new(format, "");
        destination.live(1, 3, &events[..2]).await;
        let (whole, side) = (destination.text(), fs::read(destination.side_file()).unwrap());
        destination.live(3, 5, &events[2..]).await;
        let all = destination.text();
        for cut in whole.len()..=all.len() {
            destination.overwrite(&all.as_bytes()[..cut]);
            fs::write(destination.side_file(), &side).unwrap();
            destination.live(3, 5, &events[2..]).await;
            assert_eq!(destination.text(), all, "cut at {cut}");
            // The ledger's cursor moved less far than the side file.
            destination.live(1, 5, &events).await;
            assert_eq!(destination.text(), all, "given again");
        }
    }
}

#[tokio::test]
async fn a_side_file_that_was_not_finished_is_ignored() {
    let events = testkit::envelopes(1..4);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live(1, 2, &events[..1]).await;
    let new = destination.side_file().with_added_extension("tmp");
    fs::write(&new, "{\"vers").unwrap();
    destination.live(1, 4, &events).await;
    destination.has(&events);
    assert!(!new.exists());
}

#[tokio::test]
async fn an_output_without_a_side_file_is_never_cut() {
    let events = testkit::envelopes(1..2);
    for (before, after) in [
        ("{\"a\":1}\n{\"b\":", "{\"a\":1}\n{\"b\":\n"),
        ("{\"torn", "{\"torn\n"),
        ("{\"a\":1}\n", "{\"a\":1}\n"),
        (&"y".repeat(200_000), &format!("{}\n", "y".repeat(200_000))),
        ("", ""),
    ] {
        let mut destination = TestFile::new(Format::Raw, "");
        destination.put(before.as_bytes());
        destination.live(1, 2, &events).await;
        let line = str::from_utf8(&events[0].data).unwrap();
        assert_eq!(destination.text(), format!("{after}{line}\n"));
    }
}

#[tokio::test]
async fn another_output_or_a_shorter_one_is_never_cut_and_nothing_comes_twice() {
    let events = testkit::envelopes(1..4);
    for (same_file, text) in [
        (true, ""),
        (true, "shorter\nand torn"),
        (true, &*"longer\n".repeat(100)),
        (false, &*"longer\n".repeat(100)),
    ] {
        let mut destination = TestFile::new(Format::Raw, "");
        destination.live(1, 3, &events[..2]).await;
        if same_file {
            destination.overwrite(text.as_bytes());
        } else {
            fs::rename(destination.path(), destination.path().with_extension("1")).unwrap();
            destination.put(text.as_bytes());
        }
        destination.live(1, 4, &events).await;
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let line = str::from_utf8(&events[2].data).unwrap();
        assert_eq!(destination.text(), format!("{text}{end}{line}\n"));
    }
}

#[tokio::test]
async fn an_output_that_was_changed_in_place_is_gone_on_with() {
    let events = testkit::envelopes(1..4);
    let mut destination = TestFile::new(Format::Raw, "");
    let mut sink = destination.open();
    for (text, event) in [("", &events[..1]), ("torn", &events[1..2]), ("x\n", &events[2..])] {
        destination.overwrite(text.as_bytes());
        deliver(&mut *sink, event).await;
        let end = if text == "torn" { "\n" } else { "" };
        let line = str::from_utf8(&event[0].data).unwrap();
        assert_eq!(destination.text(), format!("{text}{end}{line}\n"));
    }
    drop(sink);
    destination.live(1, 4, &events).await;
    assert!(destination.text().starts_with("x\n"));
    assert_eq!(destination.text().lines().count(), 2);
}

#[tokio::test]
async fn a_side_file_that_the_ledger_is_ahead_of_cuts_nothing() {
    let events = testkit::envelopes(1..4);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live(1, 2, &events[..1]).await;
    let side = fs::read(destination.side_file()).unwrap();
    destination.live(2, 3, &events[1..2]).await;
    fs::write(destination.side_file(), side).unwrap();
    destination.live(3, 4, &events[2..]).await;
    destination.has(&events);
}

#[tokio::test]
async fn streams_have_places_of_their_own() {
    let (first, second) =
        (testkit::envelopes_of("testkit", 1..4), testkit::envelopes_of("other", 1..6));
    let mut destination = TestFile::new(Format::CloudEvents, "");
    destination.live(1, 4, &first[..2]).await;
    let mut sink = destination.open();
    sink.resume(Resume { source: "other", ledger: "one", next: 1, end: 6 }).await.unwrap();
    deliver(&mut *sink, &second).await;
    drop(sink);
    // The first stream's place has been kept, though nobody spoke of it.
    destination.live(1, 4, &first).await;
    destination.has(&[&first[..2], &second, &first[2..]].concat());
}

#[tokio::test]
async fn a_place_of_a_replaced_ledger_stays_forgotten_when_the_new_one_has_grown() {
    let events = testkit::envelopes(1..9);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live(1, 9, &events).await;
    // A new ledger, and a process that ends before anything was delivered.
    let sink = destination.open();
    sink.resume(Resume { source: "testkit", ledger: "one", next: 1, end: 1 }).await.unwrap();
    drop(sink);
    destination.live(1, 51, &events).await;
    destination.has(&[&events[..], &events[..]].concat());
}

#[tokio::test]
async fn a_place_of_another_ledger_is_never_taken_for_one_of_this() {
    let events = testkit::envelopes(1..9);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live_of("one", 1, 9, &events[..4]).await;
    // Another ledger, which had grown past the place before this sink was asked.
    destination.live_of("two", 1, 9, &events).await;
    destination.has(&[&events[..4], &events[..]].concat());
}

#[tokio::test]
async fn a_torn_batch_of_another_ledger_is_cut_before_the_first_event_of_this() {
    let events = testkit::envelopes(1..4);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live_of("one", 1, 3, &events[..2]).await;
    let whole = destination.text();
    for (next, tail) in [(1, ""), (2, "torn\n")] {
        destination.overwrite(format!("{whole}torn").as_bytes());
        let side = fs::read(destination.side_file()).unwrap();
        destination.live_of("two", next, 4, &events[2..]).await;
        let line = str::from_utf8(&events[2].data).unwrap();
        // Where this ledger has seen lines acknowledged, they may be the ones behind the mark.
        assert_eq!(destination.text(), format!("{whole}{tail}{line}\n"), "from {next}");
        fs::write(destination.side_file(), side).unwrap();
    }
}

#[tokio::test]
async fn a_side_file_of_version_1_is_judged_by_its_number_and_taken_over() {
    let events = testkit::envelopes(1..9);
    let mut destination = TestFile::new(Format::Raw, "");
    destination.live(1, 5, &events[..4]).await;
    let line = fs::read_to_string(destination.side_file()).unwrap();
    let (line, _) = line.split_once('\n').unwrap();
    let old = line.replace("\"version\":2", "\"version\":1");
    let old =
        old.replace(r#""places":{"testkit":{"ledger":"one","next":5}}"#, r#""next":{"testkit":5}"#);
    let crc = crc32fast::hash(old.as_bytes());
    fs::write(destination.side_file(), format!("{old}\ncrc32 {crc:08x}\n")).unwrap();
    // It fits, whichever ledger it is.
    destination.live_of("new", 3, 7, &events[2..6]).await;
    destination.has(&events[..6]);
    // From here on it is a place of that ledger.
    destination.live_of("other", 1, 9, &events).await;
    destination.has(&[&events[..6], &events[..]].concat());
}

#[tokio::test]
async fn a_file_made_after_a_rotation_is_known_before_its_first_line() {
    let events = testkit::envelopes(1..4);
    let mut destination = TestFile::new(Format::Raw, "write");
    let mut sink = destination.open();
    sink.resume(Resume { source: "testkit", ledger: "one", next: 1, end: 4 }).await.unwrap();
    deliver(&mut *sink, &events[..1]).await;
    fs::rename(destination.path(), destination.path().with_extension("1")).unwrap();
    let fault = destination.path().with_extension("fault");
    fs::write(&fault, "write cut").unwrap();
    sink.deliver(&events[1..]).await.unwrap_err();
    assert!(!destination.text().is_empty(), "a torn line is there");
    drop(sink);
    destination.live(1, 4, &events).await;
    destination.has(&events[1..]);
}

#[test]
fn a_side_file_that_cannot_be_used_is_refused_by_name_and_cuts_nothing() {
    let destination = TestFile::new(Format::Raw, "");
    destination.put(b"{\"a\":1}\n{\"b\":");
    let side = destination.side_file();
    let path = destination.path();
    let doubled =
        "to go on at the end of the output: what was delivered last may then be there twice";
    for (text, message) in [
        ("", format!("is damaged; delete it {doubled}")),
        ("{}\n", format!("is damaged; delete it {doubled}")),
        (
            "{\"version\":9}\n",
            format!(
                "has the unknown version 9; start the Streamkeeper that wrote it, or delete it {doubled}"
            ),
        ),
    ] {
        fs::write(&side, text).unwrap();
        let table = SinkTable::from_iter([("path", path.to_str().unwrap().into())]);
        assert_eq!(
            FileFactory.build("archive", table).map(drop).unwrap_err().to_string(),
            format!("`path` cannot be opened: {}: {} {message}", path.display(), side.display())
        );
        assert_eq!(destination.text(), "{\"a\":1}\n{\"b\":");
    }
    fs::remove_file(&side).unwrap();
    drop(FileSink::open("archive", destination.config()).unwrap());
    assert_eq!(destination.text(), "{\"a\":1}\n{\"b\":\n");
}
