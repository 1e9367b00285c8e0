//! Exact times of what is said of a connection.

use super::*;

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn run_until(watchdog: &mut Watchdog, end: Instant) -> Vec<(Instant, Signal)> {
    let mut signals = Vec::new();
    while let Some(deadline) = watchdog.deadline().filter(|&deadline| deadline <= end) {
        signals.extend(watchdog.tick(deadline).map(|signal| (deadline, signal)));
    }
    signals
}

#[test]
fn a_frame_every_five_seconds_is_never_late() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    for poke in 1..1_000 {
        assert_eq!(run_until(&mut watchdog, at(poke * 5)), []);
        assert!(!watchdog.frame(at(poke * 5)));
    }
}

#[test]
fn late_then_stale_at_exact_times_after_the_last_frame() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    watchdog.frame(at(7));
    let signals = run_until(&mut watchdog, at(1_000));
    assert_eq!(
        signals,
        [(at(17), Signal::Late(Lack::Silence)), (at(37), Signal::Stale(Lack::Silence))]
    );
    assert_eq!(watchdog.deadline(), None);
}

#[test]
fn a_late_frame_is_said_to_have_come() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    assert_eq!(run_until(&mut watchdog, at(12)), [(at(10), Signal::Late(Lack::Silence))]);
    assert!(watchdog.frame(at(12)));
    assert_eq!(run_until(&mut watchdog, at(41)), [(at(22), Signal::Late(Lack::Silence))]);
}

#[test]
fn a_suspended_process_is_not_a_silent_service() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    assert_eq!(watchdog.tick(at(600)), Some(Signal::Suspended(Duration::from_secs(595))));
    // The silence goes on counting from the wake-up.
    let signals = run_until(&mut watchdog, at(700));
    assert_eq!(signals.last().map(|&(_, signal)| signal), Some(Signal::Stale(Lack::Silence)));
    assert!(signals.last().is_some_and(|&(when, _)| when > at(620)));
}

#[test]
fn time_in_which_we_did_not_read_is_not_silence() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    run_until(&mut watchdog, at(9));
    watchdog.block(at(9));
    assert_eq!(watchdog.deadline(), None);
    assert_eq!(watchdog.tick(at(500)), None);
    watchdog.unblock(at(500));
    let signals = run_until(&mut watchdog, at(1_000));
    assert_eq!(
        signals,
        [(at(501), Signal::Late(Lack::Silence)), (at(521), Signal::Stale(Lack::Silence))]
    );
}

#[test]
fn time_running_backwards_changes_nothing() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), at(100));
    assert_eq!(watchdog.tick(at(50)), None);
    watchdog.frame(at(20));
    assert_eq!(watchdog.deadline(), Some(at(105)));
}

/// `bytes` of one frame every `every` milliseconds; what is said until `end`.
fn dribble(bytes: usize, every: u64, end: Instant) -> Vec<(Instant, Signal)> {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    let mut signals = Vec::new();
    let mut now = Instant::ZERO;
    while now < end {
        now = now + Duration::from_millis(every);
        signals.extend(run_until(&mut watchdog, now));
        watchdog.progress(now, bytes);
    }
    signals
}

#[test]
fn a_large_frame_over_a_slow_line_is_late_and_not_stale() {
    // 3 MB at 80 KB/s, and at the least that is life, in chunks of any size.
    for (bytes, every) in [(8_000, 100), (80_000, 1_000), (1_100, 1_000), (22_000, 20_000)] {
        let signals = dribble(bytes, every, at(590));
        let late: Vec<_> = signals.iter().map(|&(_, signal)| signal).collect();
        let lack = if every > 10_000 { Lack::Silence } else { Lack::SlowFrame };
        assert_eq!(late, [Signal::Late(lack)], "{bytes} bytes every {every} ms");
        assert_eq!(signals[0].0, at(10));
    }
}

#[test]
fn a_frame_has_a_bound_of_its_own() {
    let signals = dribble(8_000, 100, at(1_000));
    let first = Duration::from_millis(100);
    let expected = [
        (at(10), Signal::Late(Lack::SlowFrame)),
        (at(600) + first, Signal::Stale(Lack::SlowFrame)),
    ];
    assert_eq!(signals, expected);
}

#[test]
fn a_trickle_is_no_life() {
    for (bytes, every) in [(1, 100), (1, 5_000), (100, 1_000)] {
        let signals = dribble(bytes, every, at(100));
        let (late, stale) = (Signal::Late(Lack::SlowFrame), Signal::Stale(Lack::SlowFrame));
        assert_eq!(signals.iter().map(|&(_, signal)| signal).collect::<Vec<_>>(), [late, stale]);
        assert!(signals[1].0 < at(35), "{bytes} bytes every {every} ms: {signals:?}");
    }
    // It puts the end off by as much as its bytes are worth.
    assert_eq!(dribble(512, 1_000, at(58)).len(), 1);
    assert_eq!(dribble(512, 1_000, at(62)).len(), 2);
}

#[test]
fn half_a_frame_and_then_nothing_is_silence() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    watchdog.progress(at(3), 1 << 20);
    let signals = run_until(&mut watchdog, at(100));
    assert_eq!(signals[0].0, at(10));
    assert_eq!(signals[1], (at(33), Signal::Stale(Lack::Silence)));
}

#[test]
fn what_we_did_not_read_counts_neither_for_a_frame_nor_as_a_trickle() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    for second in 1..=9 {
        assert_eq!(run_until(&mut watchdog, at(second)), []);
        watchdog.progress(at(second), 2_000);
    }
    watchdog.block(at(9));
    assert_eq!(run_until(&mut watchdog, at(5_000)), []);
    watchdog.unblock(at(5_000));
    assert_eq!(run_until(&mut watchdog, at(5_001)), [(at(5_001), Signal::Late(Lack::SlowFrame))]);
    let signals = run_until(&mut watchdog, at(6_000));
    assert_eq!(signals, [(at(5_030), Signal::Stale(Lack::Silence))]);
}

#[test]
fn the_frame_after_a_slow_one_has_all_its_time() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    for second in 1..=500 {
        run_until(&mut watchdog, at(second));
        watchdog.progress(at(second), 80_000);
    }
    assert!(watchdog.frame(at(500)), "it was late");
    for second in 501..=1_000 {
        let signals = run_until(&mut watchdog, at(second));
        assert!(signals.iter().all(|(_, signal)| matches!(signal, Signal::Late(_))));
        watchdog.progress(at(second), 80_000);
    }
}

#[test]
fn a_bound_below_stale_after_counts_as_that() {
    let config = WatchdogConfig { frame_timeout: Duration::from_secs(1), ..Default::default() };
    let mut watchdog = Watchdog::new(config, Instant::ZERO);
    for second in 1..=30 {
        let signals = run_until(&mut watchdog, at(second));
        assert!(signals.iter().all(|(_, signal)| matches!(signal, Signal::Late(_))));
        watchdog.progress(at(second), 80_000);
    }
    assert_eq!(run_until(&mut watchdog, at(31)).len(), 1);
}

fn limits(late: u64, stale: u64) -> WatchdogConfig {
    WatchdogConfig {
        late_after: Duration::from_secs(late),
        stale_after: Duration::from_secs(stale),
        ..WatchdogConfig::default()
    }
}

#[test]
fn shorter_limits_count_the_silence_so_far() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    assert_eq!(run_until(&mut watchdog, at(4)), []);
    watchdog.set_limits(limits(3, 6), at(4));
    let signals = run_until(&mut watchdog, at(100));
    let lack = Lack::Silence;
    assert_eq!(signals, [(at(4), Signal::Late(lack)), (at(6), Signal::Stale(lack))]);
}

#[test]
fn longer_limits_put_off_what_has_not_been_said_and_take_back_what_was_only_late() {
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    assert_eq!(run_until(&mut watchdog, at(12)), [(at(10), Signal::Late(Lack::Silence))]);
    watchdog.set_limits(limits(40, 60), at(12));
    let signals = run_until(&mut watchdog, at(100));
    let lack = Lack::Silence;
    assert_eq!(signals, [(at(40), Signal::Late(lack)), (at(60), Signal::Stale(lack))]);
}

#[test]
fn seed_003_in_numbers() {
    // Announced: the next heartbeat is due within 20 s. After 19 s all is well, after 21 s nothing is.
    let mut watchdog = Watchdog::new(WatchdogConfig::default(), Instant::ZERO);
    watchdog.set_limits(limits(13, 20), Instant::ZERO);
    assert_eq!(run_until(&mut watchdog, at(19)), [(at(13), Signal::Late(Lack::Silence))]);
    assert!(watchdog.frame(at(19)));
    let stale = (at(39), Signal::Stale(Lack::Silence));
    assert_eq!(run_until(&mut watchdog, at(40)).last(), Some(&stale));
}

#[test]
fn a_change_of_limits_is_no_suspension() {
    let mut watchdog = Watchdog::new(limits(20, 60), Instant::ZERO);
    assert_eq!(run_until(&mut watchdog, at(10)), []);
    watchdog.set_limits(limits(8, 12), at(19));
    let signals = run_until(&mut watchdog, at(100));
    let lack = Lack::Silence;
    assert_eq!(signals, [(at(19), Signal::Stale(lack))]);
}
