//! Each event of a stream is delivered in order, at least once, and acknowledged once; who is not blamed is not
//! delayed, who is blamed is asked rarely, and nobody starves.
//!
//! Who is to blame is told by the world, which knows what it made fail, and not by what the machine believes.

use std::time::Duration;

use streamkeeper_core::turns::{Retry, TurnsConfig};
use streamkeeper_simulator::model::Millis;

use super::Verdict;

/// Watches the deliveries to one sink.
#[derive(Debug)]
pub struct TurnsWatch {
    config: TurnsConfig,
    streams: Vec<Watched>,
    /// Of the sink as a whole.
    failed: Failures,
    /// When the last delivery began.
    delivered: Option<Millis>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// Everything before was appended.
    end: u64,
    /// Everything before was acknowledged.
    acknowledged: u64,
    /// Everything before has arrived.
    arrived: u64,
    failed: Failures,
    /// So often its next event was refused alone.
    refused: u32,
    /// Deliveries that it has seen pass while it had something and was not to blame for anything.
    passed_over: usize,
}

/// A row of failures.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    /// Not to be tried again before, and to be tried again until then.
    pause: Option<(Millis, Millis)>,
}

impl TurnsWatch {
    /// So many streams, with nothing in them.
    #[must_use]
    pub fn new(config: TurnsConfig, streams: usize) -> Self {
        let streams = vec![Watched::default(); streams];
        Self { config, streams, failed: Failures::default(), delivered: None }
    }

    /// The process has died: how often something failed is forgotten.
    pub fn restarted(&mut self) {
        self.failed = Failures::default();
        for stream in &mut self.streams {
            (stream.failed, stream.passed_over, stream.refused) = (Failures::default(), 0, 0);
        }
    }

    /// A stream comes or goes.
    pub fn forgets(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get_mut(stream) {
            (stream.failed, stream.passed_over, stream.refused) = (Failures::default(), 0, 0);
        }
    }

    /// The sink as a whole does not fail any more. What it has asked for holds: another delivery was under way.
    pub const fn sink_is_well(&mut self) {
        self.failed.count = 0;
    }

    /// The next event of a stream was refused, and nothing else was given.
    pub fn refused_alone(&mut self, now: Millis, stream: usize) {
        let growing = Retry::Growing { at_least: None };
        if let Some(watched) = self.streams.get_mut(stream) {
            watched.refused += 1;
            watched.failed.again(now, &self.config, growing);
        }
    }

    /// The failure of a stream that was counted last needs a hand, and so the longest pause.
    pub fn holds(&mut self, now: Millis, stream: usize) {
        let longest = now + millis(self.config.backoff.max);
        if let Some(watched) = self.streams.get_mut(stream) {
            watched.failed.pause = Some((longest, longest + 1));
        }
    }

    /// The next event of a stream is set aside.
    ///
    /// # Errors
    /// It was not refused, or not often enough.
    pub fn set_aside(&mut self, stream: usize, is_refused: bool) -> Verdict {
        let attempts = self.config.attempts;
        let Some(watched) = self.streams.get_mut(stream) else { return Ok(()) };
        if !is_refused || attempts.is_none_or(|attempts| watched.refused < attempts) {
            let Watched { acknowledged, refused, .. } = watched;
            return Err(format!(
                "stream {stream}: {acknowledged} is set aside after {refused} refusals"
            ));
        }
        watched.arrived = watched.arrived.max(watched.acknowledged + 1);
        let next = watched.acknowledged + 1;
        self.acknowledged(stream, next)
    }

    /// Something was appended to a stream.
    pub fn appended(&mut self, stream: usize, events: u64) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.end += events;
        }
    }

    /// The sink is asked at all; `delivers`: and is given something.
    ///
    /// # Errors
    /// It is to be left alone.
    pub fn asked(&mut self, now: Millis, delivers: bool) -> Verdict {
        self.delivered = if delivers { Some(now) } else { self.delivered };
        self.failed.may_be_tried(now).map_err(|what| format!("the sink is asked {what}"))
    }

    /// The sink is asked about a stream, or is given events of it from `first` to before `next`.
    ///
    /// # Errors
    /// Events are left out, or are not there, or the stream is to be left alone.
    pub fn gives(&mut self, now: Millis, stream: usize, first: u64, next: u64) -> Verdict {
        let Some(watched) = self.streams.get_mut(stream) else { return Ok(()) };
        if first != watched.acknowledged || next > watched.end {
            let Watched { acknowledged, end, .. } = watched;
            return Err(format!("stream {stream}: {first} to {next} of {acknowledged} to {end}"));
        }
        watched.passed_over = 0;
        let tried = watched.failed.may_be_tried(now);
        tried.map_err(|what| format!("stream {stream} is tried {what}"))
    }

    /// Some of what was given is there, whatever is said about it.
    pub fn arrived(&mut self, stream: usize, next: u64) {
        if let Some(watched) = self.streams.get_mut(stream) {
            watched.arrived = watched.arrived.max(next);
        }
    }

    /// What was given of a stream is acknowledged.
    pub fn acknowledged(&mut self, stream: usize, next: u64) -> Verdict {
        let Some(watched) = self.streams.get_mut(stream) else { return Ok(()) };
        let (from, arrived) = (watched.acknowledged, watched.arrived);
        watched.acknowledged = next;
        (watched.failed, watched.refused) = (Failures::default(), 0);
        if next > from && next <= arrived {
            return Ok(());
        }
        Err(format!("stream {stream}: {next} acknowledged after {from}, and {arrived} had arrived"))
    }

    /// The sink fails as a whole (`None`), or by these streams.
    pub fn failed(&mut self, now: Millis, of: Option<&[usize]>, retry: Retry) {
        let config = self.config;
        let Some(streams) = of else { return self.failed.again(now, &config, retry) };
        for stream in streams {
            if let Some(watched) = self.streams.get_mut(*stream) {
                watched.failed.again(now, &config, retry);
            }
        }
    }

    /// A delivery has ended that did not carry these streams, which could have been carried: `ready`.
    ///
    /// # Errors
    /// One of them has seen too many pass.
    pub fn passed(&mut self, ready: impl Iterator<Item = usize>) -> Verdict {
        // Each of the others may be before it, and after a failure alone.
        let most = 2 * self.streams.len() + 2;
        for stream in ready {
            let Some(watched) = self.streams.get_mut(stream) else { continue };
            let is_held_up = watched.failed.count > 0 || watched.acknowledged == watched.end;
            watched.passed_over = if is_held_up { 0 } else { watched.passed_over + 1 };
            if watched.passed_over > most {
                return Err(format!("stream {stream} starves: {most} deliveries without it"));
            }
        }
        Ok(())
    }

    /// Nothing is under way, and nothing will be before something happens.
    ///
    /// # Errors
    /// A stream that nothing holds up has something.
    pub fn idle(&self, now: Millis, ready: impl Iterator<Item = usize>) -> Verdict {
        let lingers = self.delivered.is_some_and(|then| now <= then + millis(self.config.linger));
        if self.failed.waits(now) || lingers {
            return Ok(());
        }
        for stream in ready {
            let Some(watched) = self.streams.get(stream) else { continue };
            if watched.acknowledged < watched.end && !watched.failed.waits(now) {
                return Err(format!("stream {stream} has something, and is left alone"));
            }
        }
        Ok(())
    }

    /// What of a stream is not acknowledged.
    #[must_use]
    pub fn cursor(&self, stream: usize) -> (u64, u64) {
        self.streams.get(stream).map_or((0, 0), |watched| (watched.acknowledged, watched.end))
    }
}

impl Failures {
    fn again(&mut self, now: Millis, config: &TurnsConfig, retry: Retry) {
        let full = config.backoff.initial * (1 << self.count.min(16));
        let full = full.min(config.backoff.max);
        self.count += 1;
        let (least, most) = match retry {
            Retry::Held => (config.backoff.max, config.backoff.max),
            Retry::Growing { at_least } => {
                let asked = at_least.unwrap_or_default();
                ((full / 2).max(asked), full.max(asked))
            }
        };
        self.pause = Some((now + millis(least), now + millis(most) + 1));
    }

    fn may_be_tried(self, now: Millis) -> Verdict {
        match self.pause {
            Some((least, _)) if now < least => Err(format!("{} ms too early", least - now)),
            _ => Ok(()),
        }
    }

    fn waits(self, now: Millis) -> bool {
        self.pause.is_some_and(|(_, most)| now <= most)
    }
}

fn millis(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX)
}
