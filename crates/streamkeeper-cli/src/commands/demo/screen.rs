//! The live view: redrawn in place on a terminal, plain lines elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use streamkeeper::{SlotCondition, StreamCondition, StreamStatus};
use tracing_subscriber::fmt::{MakeWriter, format};

use crate::commands::say;

/// The view of one stream.
pub(super) struct Screen {
    lines: Lines,
    slots: ProgressBar,
    numbers: ProgressBar,
    words: ProgressBar,
    plain: bool,
    started: Instant,
    before: Cell<(Instant, u64, f64)>,
    said: Cell<Instant>,
}

/// Elsewhere than on a terminal the state is said this often.
const PLAIN_EVERY: Duration = Duration::from_secs(2);

impl Screen {
    /// Draws on stdout from here on; the log becomes the lines above the view.
    pub(super) fn install() -> Self {
        let plain = !io::stdout().is_terminal();
        let target =
            if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stdout() };
        let all = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = || all.add(ProgressBar::new_spinner().with_style(style.clone()));
        let (slots, numbers, words) = (bar(), bar(), bar());
        let lines = Lines { all: all.clone(), plain };
        let log = tracing_subscriber::fmt()
            .with_env_filter("off,streamkeeper=info")
            // Sentences only; their fields are for logs.
            .fmt_fields(format::debug_fn(|writer, field, value| {
                if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
            }))
            .with_writer(lines.clone())
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .try_init();
        // A log that is installed already shows the same lines.
        drop(log);
        let now = Instant::now();
        Self {
            lines,
            slots,
            numbers,
            words,
            plain,
            started: now,
            before: Cell::new((now, 0, 0.0)),
            said: Cell::new(now),
        }
    }

    /// Says what happens next.
    pub(super) fn say(&self, text: &str) {
        self.lines.line(&format!("\n▶ {text}"));
    }

    /// Shows the state.
    pub(super) fn show(&self, stream: &StreamStatus) {
        let slots = stream.slots.iter().enumerate().map(|(slot, state)| {
            let sign = match state {
                SlotCondition::Live => '●',
                SlotCondition::Late => '◐',
                SlotCondition::Resting => '☾',
                SlotCondition::Connecting | SlotCondition::Draining => '◌',
                _ => '○',
            };
            format!("slot {slot} {sign} {:<12}", state.word())
        });
        let slots = slots.collect::<String>();
        let rate = self.rate(stream.accepted + stream.duplicate);
        let mark =
            stream.mark.as_deref().map_or("none yet", |mark| mark.get(11..19).unwrap_or(mark));
        let numbers = format!(
            "{rate:>6.0} events/s   accepted {:>7}   known {:>6}   mark {mark}",
            stream.accepted, stream.duplicate,
        );
        let words = in_words(stream);
        if self.plain {
            if self.said.get().elapsed() >= PLAIN_EVERY {
                self.said.set(Instant::now());
                let at = self.started.elapsed().as_secs_f32();
                self.lines.line(&format!("{at:5.1} s  {slots} {numbers}  {words}"));
            }
            return;
        }
        self.slots.set_message(slots);
        self.numbers.set_message(numbers);
        self.words.set_message(words);
    }

    /// Leaves the last state standing.
    pub(super) fn close(&self) {
        for bar in [&self.slots, &self.numbers, &self.words] {
            bar.abandon();
        }
    }

    /// Events per second, over half a second at least.
    fn rate(&self, events: u64) -> f64 {
        let (then, count, rate) = self.before.get();
        let span = then.elapsed();
        if span < Duration::from_millis(500) {
            return rate;
        }
        let rate = events.saturating_sub(count) as f64 / span.as_secs_f64();
        self.before.set((Instant::now(), events, rate));
        rate
    }
}

/// What is happening now.
fn in_words(stream: &StreamStatus) -> String {
    let late = stream.slots.iter().filter(|state| **state == SlotCondition::Late).count();
    match (stream.state, &stream.incident) {
        (_, Some(incident)) => match &incident.start_date {
            None => "recovering: everything is closed, making a new stream".to_owned(),
            Some(day) => format!(
                "recovering: reading again from {day}, {} recovered, {} known already",
                incident.recovered, incident.duplicate,
            ),
        },
        (StreamCondition::Live, None) if late > 0 => {
            format!("{late} connection(s) silent: waiting to be sure")
        }
        (StreamCondition::Live, None) => "all is well".to_owned(),
        (state, None) => stream.detail.as_deref().unwrap_or(state.word()).to_owned(),
    }
}

/// Lines above the view.
#[derive(Clone)]
struct Lines {
    all: MultiProgress,
    plain: bool,
}

impl Lines {
    fn line(&self, text: &str) {
        let said = if self.plain {
            say(&format!("{text}\n")).is_ok()
        } else {
            self.all.println(text).is_ok()
        };
        if !said {
            // A terminal that is gone sees nothing anyway.
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { lines: self.clone(), buffer: Vec::new() }
    }
}

/// Collects one line of the log.
struct LineWriter {
    lines: Lines,
    buffer: Vec<u8>,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.buffer);
        if !text.trim().is_empty() {
            self.lines.line(&format!("  {}", text.trim()));
        }
    }
}
