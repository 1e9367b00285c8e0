//! Which statements of the service's time are believed, and when.

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn ts(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

const DAY: i64 = 86_400;

/// The service's time is ours plus 1,000,000 seconds; the production patience of ten seconds.
struct Told {
    clock: ServiceClock,
    by: Option<SlotId>,
}

impl Told {
    /// Nothing said yet; our own wall clock is a quarter of an hour ahead.
    fn unproven() -> Self {
        let clock = ServiceClock::new(Duration::from_secs(10), at(0), ts(1_000_900));
        Self { clock, by: None }
    }

    /// Right pokes every five seconds until 60 s after the start.
    fn proven() -> Self {
        let mut told = Self::unproven();
        (0..=12).for_each(|poke| {
            assert_eq!(told.poke(poke * 5, 0), Statement::Plausible);
        });
        assert!(told.clock.is_proven());
        told
    }

    /// A poke that is read then, and is so many seconds off.
    fn poke(&mut self, seconds: u64, off: i64) -> Statement {
        let said = ts(1_000_000 + seconds.cast_signed() + off);
        self.clock.poke(at(seconds), said, self.by)
    }

    fn by(&mut self, slot: u8) -> &mut Self {
        self.by = Some(SlotId(slot));
        self
    }

    /// How many seconds the time is off then.
    fn off(&self, seconds: u64) -> i64 {
        self.clock.at(at(seconds)).as_micros() / 1_000_000 - 1_000_000 - seconds.cast_signed()
    }
}

impl Statement {
    fn has_jumped(self, seconds: u64) -> bool {
        matches!(self, Self::Confirmed(jump) if jump.by == Duration::from_secs(seconds))
    }
}

#[test]
fn the_clock_runs_both_ways_from_the_last_poke() {
    let told = Told::proven();
    assert_eq!((told.off(90), told.off(30), told.off(60)), (0, 0, 0));
}

#[test]
fn one_poke_ahead_is_not_believed_however_far() {
    for off in [6, 360, 3 * DAY, 100_000 * DAY] {
        let mut told = Told::proven();
        assert!(matches!(told.poke(65, off), Statement::Doubted(_)), "{off}");
        assert_eq!(told.off(65), 0);
        for poke in 14..30 {
            assert_eq!(told.poke(poke * 5, 0), Statement::Plausible, "the right ones go on");
            assert_eq!(told.off(poke * 5), 0);
        }
    }
}

#[test]
fn one_poke_behind_holds_the_time_back_for_a_moment_only() {
    for off in [-6, -360, -7_200] {
        let mut told = Told::proven();
        assert_eq!(told.poke(65, off), Statement::Plausible, "it may have waited");
        assert_eq!(told.off(65), off, "to be behind is safe");
        assert_eq!(told.clock.latest(at(65)), ts(1_000_065), "but what was lost may be younger");
        told.poke(70, 0);
        assert_eq!(told.off(70), off, "for `patience`");
        assert_eq!(told.off(75), 0, "also if nothing else comes");
    }
    for off in [-3 * DAY, -10 * 365 * DAY] {
        let mut told = Told::proven();
        assert!(matches!(told.poke(65, off), Statement::Doubted(_)), "nothing waits for a day");
        assert_eq!(told.off(65), 0);
    }
}

#[test]
fn the_first_statement_has_to_be_borne_out_too() {
    // One that is too early goes unrepeated for `patience` before another takes its place.
    for (off, proven) in [(3 * DAY, 10), (-10 * 365 * DAY, 15)] {
        let mut told = Told::unproven();
        told.poke(0, off);
        for seconds in (5..=proven).step_by(5) {
            assert_eq!((told.clock.is_proven(), told.off(seconds)), (false, 900), "{off}");
            told.poke(seconds, 0);
        }
        assert!(told.clock.is_proven(), "{off}");
        assert_eq!(told.off(20), 0);
    }
}

#[test]
fn a_jump_is_believed_when_a_later_poke_bears_it_out() {
    let mut told = Told::proven();
    assert!(matches!(told.poke(65, 3_600), Statement::Doubted(_)));
    assert!(matches!(told.poke(70, 3_600), Statement::Doubted(_)), "so soon it proves nothing");
    assert!(told.poke(75, 3_600).has_jumped(3_600));
    assert_eq!(told.off(75), 3_600);
}

#[test]
fn two_that_are_wrong_in_different_ways_do_not_bear_each_other_out() {
    let mut told = Told::proven();
    for (seconds, off) in [(65, 3 * DAY), (80, 360), (95, 2 * DAY), (110, 7_200)] {
        assert!(matches!(told.poke(seconds, off), Statement::Doubted(_)));
        assert_eq!(told.off(seconds), 0);
    }
}

#[test]
fn a_right_poke_in_between_contradicts() {
    let mut told = Told::proven();
    for round in 0..20 {
        assert!(matches!(told.poke(65 + round * 10, 3 * DAY), Statement::Doubted(_)));
        assert_eq!(told.poke(70 + round * 10, 0), Statement::Plausible);
        assert_eq!(told.off(70 + round * 10), 0);
    }
}

#[test]
fn where_others_read_one_connection_alone_has_to_wait_for_long() {
    let mut told = Told::proven();
    for poke in 13..29 {
        assert!(matches!(told.by(1).poke(poke * 5, 3_600), Statement::Doubted(_)), "{poke}");
    }
    assert!(told.by(1).poke(145, 3_600).has_jumped(3_600));

    let mut told = Told::proven();
    told.by(1).poke(65, 3_600);
    told.by(1).poke(70, 3_600);
    assert!(matches!(told.by(2).poke(75, 3_600), Statement::Confirmed(_)), "another says it too");
}

#[test]
fn of_two_connections_that_disagree_the_earlier_time_counts() {
    let mut told = Told::unproven();
    for poke in 0..40 {
        told.by(1).poke(poke * 5, 3 * DAY);
        told.by(2).poke(poke * 5 + 1, 0);
        if told.clock.is_proven() {
            assert_eq!((told.off(poke * 5), told.off(poke * 5 + 1)), (0, 0));
        }
    }
    assert!(told.clock.is_proven());
    // One that joins later with an earlier time, too.
    for poke in 40..80 {
        told.by(1).poke(poke * 5, 0);
        told.by(3).poke(poke * 5 + 1, -7_200);
        assert_eq!((told.off(poke * 5 + 1), told.off(poke * 5 + 4)), (-7_200, -7_200));
    }
}

#[test]
fn a_time_that_went_back_for_good_is_the_time() {
    let mut told = Told::proven();
    told.poke(65, -3_600);
    told.poke(70, -3_600);
    told.poke(75, -3_600);
    assert_eq!(told.off(75), -3_600);
    assert!(matches!(told.poke(80, 0), Statement::Doubted(_)), "and is not left for one poke");
    assert_eq!(told.off(80), -3_600);
}

#[test]
fn one_record_far_ahead_does_not_move_a_clock_that_is_unproven() {
    let mut told = Told::unproven();
    told.clock.at_least(at(1), ts(1_000_000 + 3 * DAY));
    assert_eq!(told.off(1), 900);
    told.clock.at_least(at(12), ts(1_001_012));
    assert_eq!(told.off(12), 1_000, "two say that it is so late at least");
}

#[test]
fn a_time_that_is_told_in_whole_seconds_is_believed_with_any_patience() {
    let mut clock = ServiceClock::new(Duration::from_millis(300), at(0), ts(0));
    for tenth in 0..50_u64 {
        let now = Instant::ZERO + Duration::from_millis(tenth * 100);
        let said = ts(1_000_000 + (tenth / 10).cast_signed());
        assert_eq!(clock.poke(now, said, None), Statement::Plausible);
        assert_eq!(clock.is_proven(), tenth >= 1, "{tenth}");
    }
}
