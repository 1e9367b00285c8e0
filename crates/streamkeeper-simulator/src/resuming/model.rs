//! The events and the buffer, without a clock or a socket: how many there are by now, and who gets what.
//!
//! An event is a function of its number, so nothing of it is kept; what is forgotten is a matter of numbers, too.

use serde::{Deserialize, Serialize};

use super::Config;
use crate::{
    model::Millis,
    truth::{Sha, TruthRow},
};

/// What becomes of whoever asks to go on from an event that is not kept any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// It is answered 404.
    NotFound,
    /// It is answered 410.
    #[default]
    Gone,
    /// It is answered 204.
    NoContent,
    /// It is told so by an event `reset`, and gets all there is.
    Reset,
    /// It gets all there is, without a word.
    Oldest,
}

/// What a request for the stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The stream, from that number on.
    From { number: u64, reset: bool },
    /// A status.
    Status(u16),
}

/// The events of one server.
#[derive(Clone, Debug)]
pub(super) struct Model {
    seed: u64,
    kept: u64,
    forgotten: Forgotten,
    /// The rate, and how many events there were when it began.
    rate: u64,
    since: Millis,
    before: u64,
    /// What is older is forgotten, whatever is kept.
    oldest: u64,
}

impl Model {
    pub(super) const fn new(config: &Config) -> Self {
        let Config { seed, kept, forgotten, events_per_hour: rate, .. } = *config;
        Self { seed, kept, forgotten, rate, since: 0, before: 0, oldest: 1 }
    }

    /// The number of the newest event; 0 if there is none.
    pub(super) fn newest(&self, now: Millis) -> u64 {
        let made = u128::from(now.saturating_sub(self.since)) * u128::from(self.rate);
        self.before + u64::try_from(made / HOUR_MS).unwrap_or(u64::MAX)
    }

    /// When the next event comes.
    pub(super) fn next_at(&self, now: Millis) -> Option<Millis> {
        let number = u128::from(self.newest(now) + 1 - self.before);
        let after =
            (number * HOUR_MS).div_ceil(u128::from(Some(self.rate).filter(|&rate| rate > 0)?));
        Some(self.since + u64::try_from(after).ok()?)
    }

    pub(super) fn set_rate(&mut self, rate: u64, now: Millis) {
        (self.before, self.since, self.rate) = (self.newest(now), now, rate);
    }

    /// What is there now is kept no longer; who asks for it meets this.
    pub(super) fn forget(&mut self, how: Option<Forgotten>, now: Millis) {
        self.oldest = self.newest(now) + 1;
        self.forgotten = how.unwrap_or(self.forgotten);
    }

    /// Where whoever has that cursor goes on; without one, with the next event.
    pub(super) fn resume(&self, cursor: Option<&str>, now: Millis) -> Answer {
        let newest = self.newest(now);
        let Some(cursor) = cursor else {
            return Answer::From { number: newest + 1, reset: false };
        };
        let oldest = self.oldest.max(newest.saturating_sub(self.kept) + 1);
        let known =
            cursor.parse::<u64>().ok().filter(|known| (oldest..=newest + 1).contains(&(known + 1)));
        match (known, self.forgotten) {
            (Some(known), _) => Answer::From { number: known + 1, reset: false },
            (None, Forgotten::NotFound) => Answer::Status(404),
            (None, Forgotten::Gone) => Answer::Status(410),
            (None, Forgotten::NoContent) => Answer::Status(204),
            (None, Forgotten::Reset) => Answer::From { number: oldest, reset: true },
            (None, Forgotten::Oldest) => Answer::From { number: oldest, reset: false },
        }
    }

    /// The data of an event.
    pub(super) fn data(&self, number: u64, form: Form) -> String {
        let mut rng =
            fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let letters = rng.usize(20..200);
        let text: String = std::iter::repeat_with(|| rng.lowercase()).take(letters).collect();
        match form {
            Form::Standard => format!(r#"{{"id":"{number}","text":"{text}"}}"#),
            Form::Pilcrow => {
                format!(r#"{{"type":"message","event":"sent","id":"{number}","body":"{text}"}}"#)
            }
        }
    }

    /// What the checker is told of an event.
    pub(super) fn row(&self, number: u64) -> TruthRow {
        TruthRow {
            seq: number - 1,
            kind: "data".to_owned(),
            id: Some(number.to_string()),
            checksum: None,
            resource: None,
            record: u32::try_from(number).unwrap_or(u32::MAX),
            version: 0,
            created_ms: 0,
            available_ms: 0,
            withdrawn: false,
            sha256: Sha::of(self.data(number, Form::Standard).as_bytes()),
        }
    }
}

/// In whose way events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Standard,
    Pilcrow,
}

const HOUR_MS: u128 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn model(forgotten: Forgotten) -> Model {
        Model::new(&Config { events_per_hour: 3_600, kept: 10, forgotten, ..Config::default() })
    }

    #[test]
    fn events_come_at_the_rate_and_whoever_was_away_gets_the_rest() {
        let mut model = model(Forgotten::Gone);
        assert_eq!((model.newest(0), model.next_at(0)), (0, Some(1_000)));
        assert_eq!((model.newest(3_500), model.next_at(3_500)), (3, Some(4_000)));
        assert_eq!(model.resume(Some("2"), 3_500), Answer::From { number: 3, reset: false });
        assert_eq!(model.resume(Some("3"), 3_500), Answer::From { number: 4, reset: false });
        assert_eq!(model.resume(None, 3_500), Answer::From { number: 4, reset: false });
        model.set_rate(0, 3_500);
        assert_eq!((model.newest(99_000), model.next_at(99_000)), (3, None));
        model.set_rate(7_200, 99_000);
        assert_eq!((model.newest(100_000), model.next_at(100_000)), (5, Some(100_500)));
    }

    #[test]
    fn what_is_not_kept_shows_as_it_is_said() {
        let now = 50_000;
        let gone = model(Forgotten::Gone);
        assert_eq!(gone.resume(Some("40"), now), Answer::From { number: 41, reset: false });
        for lost in ["39", "1", "51", "?", ""] {
            assert_eq!(gone.resume(Some(lost), now), Answer::Status(410), "{lost}");
        }
        let mut reset = model(Forgotten::Reset);
        assert_eq!(reset.resume(Some("1"), now), Answer::From { number: 41, reset: true });
        reset.forget(Some(Forgotten::Oldest), now);
        assert_eq!(reset.resume(Some("45"), now), Answer::From { number: 51, reset: false });
        assert_eq!(reset.resume(Some("50"), now), Answer::From { number: 51, reset: false });
    }
}
