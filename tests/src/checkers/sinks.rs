//! What a sink is given was durable before; sinks are given everything, in order, unaltered.
//!
//! The log is what the ledger has shown to be durable, by sequence number. It only grows, over
//! crashes too: whatever was once durable, or was once given to a sink, is still there and the same.

use super::Verdict;

/// Watches the outbox and the sinks.
#[derive(Debug, Default)]
pub struct Sinks {
    /// The event (its place in the model's list) of each sequence number, from 1.
    log: Vec<usize>,
    sinks: Vec<Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    /// What it is to be given next.
    next: u64,
    /// Everything before was given to it, at least once.
    given: u64,
    /// It has acknowledged everything before.
    acknowledged: u64,
}

impl Sinks {
    /// So many sinks, and nothing in the ledger.
    #[must_use]
    pub fn new(sinks: usize) -> Self {
        let watched = Watched { next: 1, given: 1, acknowledged: 1 };
        Self { log: Vec::new(), sinks: vec![watched; sinks] }
    }

    /// The sequence number after what is known to be durable.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.log.len() as u64 + 1
    }

    /// The ledger shows an event; answers whether it is the first time.
    ///
    /// # Errors
    /// It was another event at that place before, or there is a gap.
    pub fn durable(&mut self, sequence: u64, place: usize) -> Result<bool, String> {
        if sequence == self.end() {
            self.log.push(place);
            return Ok(true);
        }
        self.is_known(sequence, place).map(|()| false)
    }

    /// The ledger was opened and ends there.
    ///
    /// # Errors
    /// Something durable is gone.
    pub fn opened(&self, end: u64) -> Verdict {
        if end >= self.end() {
            return Ok(());
        }
        Err(format!("the ledger ends at {end}, and {} was durable", self.end() - 1))
    }

    /// A sink begins at its cursor.
    ///
    /// # Errors
    /// It has not acknowledged what is before.
    pub fn resumes(&mut self, sink: usize, cursor: u64) -> Verdict {
        let Some(watched) = self.sinks.get_mut(sink) else { return Ok(()) };
        watched.next = cursor;
        if cursor <= watched.acknowledged {
            return Ok(());
        }
        Err(format!("sink {sink} begins at {cursor}: more than it has acknowledged"))
    }

    /// A sink was given an event.
    ///
    /// # Errors
    /// It was not durable, or is not the next one.
    pub fn gives(&mut self, sink: usize, sequence: u64, place: usize) -> Verdict {
        self.is_known(sequence, place)?;
        let Some(watched) = self.sinks.get_mut(sink) else { return Ok(()) };
        if sequence != watched.next {
            return Err(format!("sink {sink} was given {sequence} instead of {}", watched.next));
        }
        watched.next = sequence + 1;
        watched.given = watched.given.max(watched.next);
        Ok(())
    }

    /// A sink acknowledges everything before `next`.
    pub fn acknowledges(&mut self, sink: usize, next: u64) {
        if let Some(watched) = self.sinks.get_mut(sink) {
            watched.acknowledged = watched.acknowledged.max(next);
        }
    }

    /// Whether every sink was given everything, and has acknowledged it.
    #[must_use]
    pub fn have_everything(&self) -> bool {
        let end = self.end();
        self.sinks.iter().all(|sink| sink.given == end && sink.acknowledged == end)
    }

    fn is_known(&self, sequence: u64, place: usize) -> Verdict {
        let at = usize::try_from(sequence).ok().and_then(|sequence| sequence.checked_sub(1));
        match at.and_then(|at| self.log.get(at)) {
            Some(&known) if known == place => Ok(()),
            Some(known) => Err(format!("{sequence} is event {place}, and was {known}")),
            None => Err(format!("{sequence} is not durable: the log ends at {}", self.end())),
        }
    }
}
