//! How often a server says something, where it does not say so itself: as it has been seen to.

use std::time::Duration;

/// What has been seen of a server's silences, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    silences: u32,
    longest: Duration,
}

impl Rhythm {
    /// After a silence of that length: the interval, if it is known better than before.
    pub(crate) fn observe(&mut self, silence: Duration) -> Option<Duration> {
        self.silences = self.silences.saturating_add(1);
        let longer = silence > self.longest;
        self.longest = self.longest.max(silence);
        let known = self.silences >= SILENCES_MIN && !self.longest.is_zero();
        (known && (longer || self.silences == SILENCES_MIN)).then_some(self.longest)
    }

    /// The interval, as far as it is known.
    pub(crate) fn interval(&self) -> Option<Duration> {
        (self.silences >= SILENCES_MIN && !self.longest.is_zero()).then_some(self.longest)
    }
}

/// So many silences have to be seen before the longest of them says something: a server that is busy at the
/// start would be taken for one that is never silent.
const SILENCES_MIN: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_many_silences_is_the_interval() {
        let mut rhythm = Rhythm::default();
        for _ in 1..SILENCES_MIN {
            assert_eq!(rhythm.observe(Duration::from_secs(5)), None);
        }
        assert_eq!(rhythm.interval(), None);
        assert_eq!(rhythm.observe(Duration::from_secs(4)), Some(Duration::from_secs(5)));
        assert_eq!(rhythm.observe(Duration::from_secs(5)), None, "nothing new");
        assert_eq!(rhythm.observe(Duration::from_secs(6)), Some(Duration::from_secs(6)));
        assert_eq!(rhythm.interval(), Some(Duration::from_secs(6)));
    }
}
