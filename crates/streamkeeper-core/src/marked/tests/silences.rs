//! A connection that was silent for a while, or read one large record, and goes on: what was sent meanwhile
//! comes behind its next frame. Found by the seeded simulation.

use std::time::Duration;

use super::bench::{Bench, NOON, restless};
use crate::id::{ConnectionId, UserKey};
use crate::policy::{Datum, Input};
use crate::time::Timestamp;

fn ts(seconds: f64) -> Timestamp {
    Timestamp::from_micros(((NOON as f64 + seconds) * 1e6) as i64)
}

/// A record that was created then is read, and durable.
fn data(bench: &mut Bench, connection: ConnectionId, user: u64, created: f64) {
    let datum = Datum { user: UserKey(user), created_at: ts(created), start_day: None, new: true };
    bench.input(Input::Data(connection));
    bench.commit(connection, None, vec![datum]);
}

#[test]
fn a_slot_that_was_silent_has_shown_nothing_of_a_history_that_the_others_have_read() {
    let mut bench = Bench::running(restless(2));
    let (reads, silent) = (bench.slot(0), bench.slot(1));
    bench.poke_until(580.0);
    // The history comes, and of its users only the other slot's are seen.
    while bench.seconds() < 605.0 {
        bench.pass_to(bench.seconds() + 5.0);
        let now = bench.seconds();
        data(&mut bench, reads, 1, now - 1.0);
    }
    bench.poke(silent);
    assert_eq!(bench.policy.mark(), None, "a poke that had waited proves nothing");
    let old = -86_400.0;
    data(&mut bench, silent, 2, old);
    bench.poke_until(680.0);
    assert!(bench.policy.mark().is_some_and(|mark| mark <= ts(old)), "75 s later that bounds it");
    bench.poke_until(700.0);
    assert!(bench.policy.mark().is_some_and(|mark| mark > ts(300.0)), "it has been read");
}

#[test]
fn after_a_record_that_took_nine_minutes_the_mark_waits_for_what_stands_behind_it() {
    let mut bench = Bench::running(restless(1));
    bench.poke_until(900.0);
    let slot = bench.slot(0);
    let before = bench.policy.mark();
    bench.pass_to(1_440.0);
    bench.poke(slot);
    assert_eq!(bench.policy.mark(), before);
    data(&mut bench, slot, 1, 901.0);
    bench.poke_until(1_510.0);
    assert_eq!(bench.policy.mark(), before);
    bench.poke_until(1_520.0);
    let lag = ts(bench.seconds()).since(bench.policy.mark().unwrap());
    assert!(lag <= Duration::from_secs(400), "{lag:?}");
}

#[test]
fn a_connection_whose_first_frame_is_late_has_not_been_read_since_it_opened() {
    let mut bench = Bench::running(restless(2));
    bench.poke_until(900.0);
    let (stays, replaced) = (bench.slot(0), bench.slot(1));
    bench.end(replaced, crate::classify::End::Terminated { mid_event: false });
    let opened = bench.take_connects()[0];
    bench.input(Input::Opened(opened));
    while bench.seconds() < 1_440.0 {
        bench.pass_to(bench.seconds() + 5.0);
        bench.poke(stays);
    }
    let before = bench.policy.mark();
    bench.poke(opened);
    assert_eq!(bench.policy.mark(), before);
}
