//! Torn lines and closed pipes.

use std::io::{self, ErrorKind, Write};

use streamkeeper_sink::{SinkFactory, SinkTable};

use super::StdoutFactory;
use super::sink::Lines;

/// An output that takes `room` bytes and then fails once.
#[derive(Default)]
struct Output {
    taken: Vec<u8>,
    room: Option<usize>,
}

impl Write for &mut Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == Some(0) {
            self.room = None;
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = self.room.unwrap_or(usize::MAX).min(bytes.len());
        self.room = self.room.map(|room| room - count);
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_torn_line_is_finished_before_the_batch_is_repeated() {
    let batch = b"one\ntwo\nthree\n";
    for room in 0..batch.len() {
        let mut output = Output { room: Some(room), ..Output::default() };
        let mut lines = Lines::new(&mut output);
        assert_eq!(lines.write(batch).unwrap_err().kind(), ErrorKind::WouldBlock);
        lines.write(batch).unwrap();

        let text = String::from_utf8(output.taken).unwrap();
        let whole = ["one", "two", "three"];
        assert!(text.lines().all(|line| whole.contains(&line)), "room {room}: {text:?}");
        assert!(text.ends_with("one\ntwo\nthree\n"), "room {room}: {text:?}");
    }
}

#[test]
fn a_torn_line_that_fails_again_is_still_finished() {
    let mut output = Output { room: Some(1), ..Output::default() };
    let mut lines = Lines::new(&mut output);
    lines.write(b"first\n").unwrap_err();
    lines.output_mut().room = Some(2);
    lines.write(b"first\n").unwrap_err();
    lines.write(b"first\n").unwrap();
    assert_eq!(output.taken, b"first\nfirst\n");
}

#[test]
fn the_table_knows_format_only() {
    let check = |key: &str, value: &str| {
        StdoutFactory.check("out", SinkTable::from_iter([(key, value.into())]))
    };
    check("format", "raw").unwrap();
    check("format", "cloudevents").unwrap();
    assert_eq!(
        check("format", "xml").unwrap_err().to_string(),
        "`format` must be \"cloudevents\" or \"raw\""
    );
    assert_eq!(
        check("path", "x").unwrap_err().to_string(),
        "`path` is not a known key; known are format"
    );
}
