//! The position rules at exact times.

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn ts(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn datum(user: u64, created_at: i64) -> Datum {
    Datum { user: UserKey(user), created_at: ts(created_at), start_day: None, new: true }
}

/// A clock on which the service's time is ours plus 1,000,000 seconds.
fn clock() -> ServiceClock {
    let mut clock = ServiceClock::new(Duration::ZERO, at(0), ts(0));
    clock.poke(at(0), ts(1_000_000), None);
    clock.poke(at(0), ts(1_000_000), None);
    clock
}

#[test]
fn a_reading_has_come_to_the_oldest_event_of_the_last_settle() {
    let mut position = Position::new(PositionConfig::default(), at(0), false);
    position.data(at(10), &datum(1, 900_000));
    position.data(at(20), &datum(2, 1_000_015));
    let reached = |position: &mut Position, heard| {
        position.reached(&clock(), heard, Duration::from_secs(300))
    };
    assert_eq!(reached(&mut position, at(20)), Some(ts(899_700)), "the backlogged user bounds it");
    position.data(at(90), &datum(2, 1_000_088));
    assert_eq!(reached(&mut position, at(90)), Some(ts(1_000_015 - 300)), "75 s later it does not");
    position.frame(at(170));
    assert_eq!(reached(&mut position, at(170)), Some(ts(1_000_170 - 75 - 300)), "quiet");
    assert_eq!(reached(&mut position, at(60)), Some(ts(1_000_060 - 300)), "not past who is silent");
}

#[test]
fn without_a_poke_and_without_data_nothing_is_known() {
    let mut position = Position::new(PositionConfig::default(), at(0), false);
    position.frame(at(500));
    let clock = ServiceClock::new(Duration::ZERO, at(0), ts(7));
    assert_eq!(position.reached(&clock, at(500), Duration::ZERO), None);
}

#[test]
fn the_gate_waits_for_walk_and_witnesses_and_is_forced_after_four_walks() {
    let config = PositionConfig::default();
    let mut water = LowWater::new(config, None);
    water.accepted(&datum(1, 86_400 * 3 + 10));
    water.accepted(&datum(2, 86_400 * 3 + 5_000));
    water.accepted(&datum(3, 86_400 * 2));
    water.advance(ts(86_400 * 3 + 2_000));
    let day = ts(86_400 * 3).utc_day();
    let mut position = water.restart(Some(day), ts(86_400 * 3 + 2_300), true, at(0));
    (0..=700).step_by(10).for_each(|second| position.frame(at(second)));
    assert_eq!(position.gate(), Gate::Closed, "users 1 and 2 have not been seen");
    position.data(at(701), &datum(1, 86_400 * 3 + 10));
    position.data(at(702), &datum(2, 86_400 * 3 + 1_999));
    assert_eq!(position.gate(), Gate::Closed, "user 2 is not at the mark yet");
    position.data(at(703), &datum(2, 86_400 * 3 + 2_000));
    assert_eq!(position.gate(), Gate::Open);

    let mut position = water.restart(Some(day), ts(86_400 * 3 + 2_300), true, at(0));
    (0..2_399).step_by(10).for_each(|second| position.frame(at(second)));
    position.frame(at(2_399));
    assert_eq!(position.gate(), Gate::Closed);
    position.frame(at(2_400));
    assert_eq!(position.gate(), Gate::Forced { missing: 2 });
}

#[test]
fn the_walk_counts_from_the_first_connection_and_only_while_we_read() {
    let mut position = Position::new(PositionConfig::default(), at(0), true);
    position.opened(at(1_000));
    (1_000..1_300).step_by(5).for_each(|second| position.frame(at(second)));
    position.frame(at(1_900));
    assert_eq!(position.gate(), Gate::Closed, "ten minutes of which we were away for ten");
    (1_900..2_200).step_by(5).for_each(|second| position.frame(at(second)));
    assert_eq!(position.gate(), Gate::Open);
}

#[test]
fn a_reading_is_settled_by_frames_not_by_the_clock() {
    let mut position = Position::new(PositionConfig::default(), at(0), false);
    position.changed(at(100));
    position.frame(at(101));
    position.frame(at(600));
    assert!(!position.is_settled(), "suspended for most of it");
    (600..670).step_by(5).for_each(|second| position.frame(at(second)));
    assert!(position.is_settled());
    position.changed(at(671));
    assert!(!position.is_settled());
}

#[test]
fn a_suspect_holds_the_mark_until_it_is_verified() {
    let mut water = LowWater::new(PositionConfig::default(), Some(ts(1_000)));
    assert!(water.advance(ts(2_000)));
    water.suspect(ts(2_500));
    assert!(!water.advance(ts(3_000)));
    assert_eq!((water.mark(), water.live()), (Some(ts(2_000)), Some(ts(3_000))));
    water.suspect(ts(3_500));
    water.verified(ts(2_500));
    assert!(water.settle_mark());
    assert_eq!(water.mark(), Some(ts(3_000)), "the younger suspect holds it there");
    water.verified(ts(3_500));
    assert!(water.advance(ts(4_000)));
    assert_eq!(water.mark(), Some(ts(4_000)));
}

#[test]
fn a_suspect_before_the_first_mark_holds_everything() {
    let mut water = LowWater::new(PositionConfig::default(), None);
    water.suspect(ts(10));
    assert!(!water.advance(ts(1_000)));
    assert_eq!(water.mark(), None);
    water.verified(ts(10));
    assert!(water.settle_mark());
}

#[test]
fn suspects_are_merged_rather_than_grown_without_bound() {
    let mut water = LowWater::new(PositionConfig::default(), Some(ts(0)));
    for n in 1..1_000 {
        water.advance(ts(n));
        water.suspect(ts(n));
    }
    assert_eq!(water.suspects().len(), SUSPECTS_MAX);
    assert_eq!(water.suspects().last().map(|suspect| suspect.at), Some(ts(999)));
    assert_eq!(water.suspects().first().and_then(|suspect| suspect.low), Some(ts(1)));
}

#[test]
fn the_margin_is_raised_to_twice_a_delay_but_not_by_a_backlog() {
    let mut water = LowWater::new(PositionConfig::default(), None);
    water.delayed(Duration::from_secs(100));
    assert_eq!(water.margin(), Duration::from_secs(300));
    water.delayed(Duration::from_secs(400));
    assert_eq!(water.margin(), Duration::from_secs(800));
    water.delayed(Duration::from_secs(86_400));
    assert_eq!(water.margin(), Duration::from_secs(800));
}

#[test]
fn a_restart_begins_again_at_the_mark_with_one_suspect() {
    let mut water = LowWater::new(PositionConfig::default(), Some(ts(1_000)));
    water.suspect(ts(900));
    let terminated = ts(100_000);
    let position = water.restart(Some(ts(0).utc_day()), terminated, true, at(0));
    assert_eq!(position.gate(), Gate::Closed);
    assert_eq!(water.live(), Some(ts(1_000)));
    let low = Some(ts(100_000 - 300 - 150));
    assert_eq!(water.suspects(), [Suspect { low, at: terminated }]);
}
