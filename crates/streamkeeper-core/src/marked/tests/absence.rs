//! Streams that nobody has read for so long that the service has forgotten where we were.

use crate::classify::End;
use crate::marked::establish::{Answer, Call};
use crate::marked::{Cause, Report, StreamState};
use crate::policy::Input;
use crate::time::Timestamp;

use super::bench::{Bench, NOON, restless, s};

const DAY: f64 = 86_400.0;

fn is_recovered(bench: &Bench) -> bool {
    let expired = |report: &Report| {
        matches!(report, Report::RecoveryStarted { cause: Cause::CheckpointExpired, .. })
    };
    bench.reports.iter().any(expired)
}

/// The operator pauses for so many days, after so many seconds of pokes.
fn paused(seconds: f64, days: f64) -> Bench {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(seconds);
    let connection = bench.slot(0);
    bench.input(Input::Pause);
    bench.end(connection, End::Terminated { mid_event: false });
    bench.pass_to(seconds + days * DAY);
    bench.input(Input::Resume);
    bench.open_all();
    bench
}

#[test]
fn a_pause_beyond_the_checkpoint_is_a_recovery_whatever_the_reading_had_come_to() {
    for seconds in [5.0, 60.0, 300.0, 700.0] {
        assert!(!is_recovered(&paused(seconds, 5.9)), "{seconds}");
        assert!(is_recovered(&paused(seconds, 7.4)), "{seconds}");
    }
}

#[test]
fn a_process_that_was_suspended_reads_first_what_waited_in_its_sockets() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(700.0);
    let mark = bench.policy.mark();
    let connection = bench.slot(0);
    bench.pass_to(700.0 + 8.0 * DAY);
    let ts = Timestamp::from_micros((NOON + 705) * 1_000_000);
    bench.commit(connection, Some(ts), Vec::new());
    assert!(is_recovered(&bench));
    assert_eq!(bench.policy.mark(), mark);
}

#[test]
fn a_machine_whose_clocks_stood_still_is_told_by_the_service() {
    // What bears it out is a connection that was made since: an old one would not have outlived it.
    for reconnects in [true, false] {
        let mut bench = Bench::running(restless(1));
        bench.poke_until(700.0);
        let mark = bench.policy.mark();
        if reconnects {
            bench.end(bench.slot(0), End::Terminated { mid_event: false });
            bench.pass_to(701.0);
            let connection = bench.take_connects()[0];
            bench.input(Input::Opened(connection));
        }
        for _ in 0..3 {
            assert!(!is_recovered(&bench), "one poke alone proves nothing");
            assert_eq!(bench.policy.mark(), mark);
            bench.pass_to(bench.seconds() + 5.0);
            let ts = NOON + bench.seconds() as i64 + 7 * 86_400;
            let ts = Timestamp::from_micros(ts * 1_000_000);
            bench.commit(bench.slot(0), Some(ts), Vec::new());
        }
        assert_eq!(is_recovered(&bench), reconnects);
    }
}

/// A start after a clean stop whose mark is so many days old, while our wall clock says so many; read on
/// after an outage of so many days.
fn restarted(days: i64, wall_days: i64, outage: f64) -> Bench {
    let mut bench = Bench::new(restless(1));
    let mark = Some(Timestamp::from_micros((NOON - days * 86_400) * 1_000_000));
    let wall = Timestamp::from_micros((NOON - days * 86_400 + wall_days * 86_400) * 1_000_000);
    let state = StreamState { stream_id: Some(s("s1")), clean: true, ..StreamState::at(mark) };
    bench.input(Input::Start { state: Some(state.into()), wall });
    for connection in bench.take_connects() {
        bench.pass_to(outage * DAY);
        bench.input(Input::Opened(connection));
        bench.poke(connection);
    }
    bench
}

#[test]
fn what_a_stop_and_an_outage_come_to_together_counts() {
    assert!(!is_recovered(&restarted(3, 3, 0.0)));
    assert!(!is_recovered(&restarted(3, 3, 2.0)));
    assert!(is_recovered(&restarted(3, 3, 4.0)));
    assert!(is_recovered(&restarted(7, 7, 0.0)));
}

#[test]
fn a_wall_clock_that_is_wrong_does_not_hide_how_long_nobody_read() {
    for wall_days in [-10_000, -2, 0, 3] {
        let mut bench = restarted(8, wall_days, 0.0);
        let mark = bench.policy.mark();
        assert!(!is_recovered(&bench));
        bench.poke_until(20.0);
        assert!(is_recovered(&bench), "{wall_days}");
        assert_eq!(bench.policy.mark(), mark);
    }
    let mut bench = restarted(2, -10_000, 0.0);
    bench.poke_until(300.0);
    assert!(!is_recovered(&bench), "a clock at 1970 alone is no reason");
    assert!(bench.policy.lag().unwrap().as_secs() < 86_400);
}

#[test]
fn a_stream_that_nobody_has_read_yet_begins_at_its_beginning_anyway() {
    let mut bench = Bench::new(restless(1));
    bench.start(None);
    bench.answer(&Call::List, Answer::Listed(Vec::new()));
    bench.answer_create("s1");
    bench.pass_to(9.0 * DAY);
    bench.open_all();
    assert!(!is_recovered(&bench));
}
