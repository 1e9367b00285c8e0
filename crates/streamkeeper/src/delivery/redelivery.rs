//! What a hand does with the dead letters of a sink: sends them again, or throws them away.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamkeeper_sink::Sink;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::dead_letters::{self, DeadLetter, DeadLetters};
use super::turns::{Change, within};

/// What is done with dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterAct {
    /// Give them to the sink again.
    Retry,
    /// Throw them away.
    Purge,
}

impl LetterAct {
    const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Purge => "purge",
        }
    }
}

/// Which dead letters, and what is done with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterSpec {
    /// The sink, by its name.
    pub sink: String,
    /// What is done.
    pub act: LetterAct,
    /// Those of these numbers; none: all.
    pub numbers: Vec<u64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterReport {
    /// With the sink now, or thrown away.
    pub done: usize,
    /// Still there: refused again, or not tried.
    pub left: usize,
    /// Why the last of those was refused.
    pub reason: Option<String>,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// No sink has that name.
    #[error("no sink has that name")]
    UnknownSink,
    /// They cannot be read or written.
    #[error("the dead letters cannot be read or written: {0}")]
    Unusable(String),
    /// It has stopped.
    #[error("it has stopped")]
    Stopped,
}

/// A sink, and its letters.
pub(super) struct Redelivery {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) letters: Arc<DeadLetters>,
    pub(super) data_dir: PathBuf,
    /// So many deliveries as the sink takes at once.
    pub(super) places: Arc<Semaphore>,
    /// Told when there are fewer.
    pub(super) changes: mpsc::UnboundedSender<Change>,
}

impl Redelivery {
    /// Does it, letter by letter, in their order. Each is gone from the letters when the sink has it; one
    /// that a crash interrupts may arrive twice.
    pub(super) async fn run(self, spec: LetterSpec) -> Result<LetterReport, LetterError> {
        let unusable = |error: io::Error| LetterError::Unusable(error.to_string());
        let LetterSpec { sink, act, numbers } = spec;
        let letters =
            tokio::task::block_in_place(|| self.letters.get(&numbers)).map_err(unusable)?;
        let audit = || dead_letters::audit(&self.data_dir, &sink, act.word(), letters.len());
        tokio::task::block_in_place(audit).map_err(unusable)?;
        tracing::info!(
            sink,
            act = act.word(),
            letters = letters.len(),
            "dead letters: an operator acts"
        );
        let report = match act {
            LetterAct::Retry => self.retry(letters).await,
            LetterAct::Purge => self.purge(&letters),
        };
        if self.changes.send(Change::Letters).is_err() {
            tracing::debug!("the sink has ended");
        }
        report.map_err(unusable)
    }

    async fn retry(&self, letters: Vec<DeadLetter>) -> io::Result<LetterReport> {
        let ends = Instant::now() + REPORT_WITHIN;
        let limit = self.sink.shape().time_limit.unwrap_or(LETTER_TIME).min(LETTER_TIME);
        let mut report = LetterReport { left: letters.len(), ..LetterReport::default() };
        for letter in letters {
            if Instant::now() >= ends {
                break;
            }
            let event = [letter.envelope()];
            let delivery = async {
                // It is closed never.
                let _place = self.places.acquire().await;
                self.sink.deliver(&event).await
            };
            match within(Some(limit), delivery).await {
                Ok(()) => {
                    tokio::task::block_in_place(|| self.letters.remove(&[letter.number]))?;
                    (report.done, report.left) = (report.done + 1, report.left - 1);
                }
                Err(error) => report.reason = Some(error.to_string()),
            }
        }
        Ok(report)
    }

    fn purge(&self, letters: &[DeadLetter]) -> io::Result<LetterReport> {
        let numbers: Vec<u64> = letters.iter().map(|letter| letter.number).collect();
        tokio::task::block_in_place(|| self.letters.remove(&numbers))?;
        Ok(LetterReport { done: numbers.len(), ..LetterReport::default() })
    }
}

/// After so long it is said how far it came: whoever asked asks for the rest.
const REPORT_WITHIN: Duration = Duration::from_secs(10);

/// One letter takes at most so long.
const LETTER_TIME: Duration = Duration::from_secs(10);
