//! A service in trouble: answers that fail, are lost, or never come; frames that are none.

use std::time::Duration;

use serde_json::json;
use streamkeeper_simulator::fault::Call;
use streamkeeper_simulator::record::Size;

use super::support::{RECOVERING, STREAM, Scenario, Service, calls, command, run_to_end};

#[test]
fn minutes_of_503() {
    let scenario = Scenario::start();
    let before = scenario.service.state();
    scenario.service.fault(json!({"kind": "status", "status": 503, "for_ms": 8_000}));
    scenario.service.fault(json!({"kind": "rst", "all": true}));
    scenario.keeper.wait_degraded("unreachable");
    scenario.service.wait_until(before.now_ms + 8_000);
    let during = scenario.service.state();
    let attempts = during.calls.iter().filter(|call| call.status == Some(503)).count();
    assert!(attempts <= 30, "{attempts} calls in eight seconds");
    let said = scenario.keeper.log().said("trying again, ever more slowly");
    assert_eq!(
        said.iter().filter(|line| line.text("reason").contains("503")).count(),
        1,
        "{said:?}"
    );
    scenario.service.wait_state("the reconnects", |state| state.open.len() >= 3);
    scenario.keeper.wait_said("the stream is live", 2);
    let finished = scenario.finish();
    assert_eq!(calls(&finished.state, Call::Create), 1, "an outage is no reason to recreate");
    assert_eq!(finished.log.said("the stream is degraded").len(), 1, "one outage, one line");
}

#[test]
fn retry_after_is_honoured() {
    let scenario = Scenario::start();
    let refused =
        json!({"kind": "status", "status": 503, "call": "connect", "count": 1, "retry_after_s": 4});
    scenario.service.fault(refused);
    let before = scenario.service.state();
    scenario.service.fault(json!({"kind": "end"}));
    let state = scenario.service.wait_state("the next attempt", |state| {
        let answered = state.calls.iter().rev().take_while(|call| call.at_ms >= before.now_ms);
        let connects: Vec<_> = answered.filter(|call| call.call == Call::Connect).collect();
        connects.first().is_some_and(|call| call.status == Some(200))
            && connects.iter().any(|call| call.status == Some(503))
    });
    let at = |status| {
        let mut connects = state.calls.iter().filter(|call| call.call == Call::Connect).rev();
        connects.find(|call| call.status == Some(status)).unwrap().at_ms
    };
    assert!(at(200) - at(503) >= 3_900, "{} ms", at(200) - at(503));
    scenario.finish();
}

#[test]
fn retry_after_is_honoured_with_a_refused_call() {
    let scenario = Scenario::start();
    let refused =
        json!({"kind": "status", "status": 403, "call": "create", "count": 1, "retry_after_s": 5});
    scenario.service.fault(refused);
    scenario.service.fault(json!({"kind": "hang"}));
    scenario.wait_recovered(1);
    let finished = scenario.finish();
    let creates: Vec<_> =
        finished.state.calls.iter().filter(|call| call.call == Call::Create).collect();
    let [_, refused, done] = creates.as_slice() else { panic!("{creates:?}") };
    assert_eq!(refused.status, Some(403));
    let waited = done.at_ms - refused.at_ms;
    assert!(waited >= 4_900, "{waited} ms");
}

#[test]
fn an_operator_ends_a_wait_that_has_no_end() {
    let acts: [&[&str]; 4] = [&["reconnect"], &["recover"], &["pause", "resume"], &["reload"]];
    for acts in acts {
        let scenario = Scenario::start();
        let refused = json!({"kind": "status", "status": 503, "call": "connect", "count": 1,
            "retry_after_s": 1_u64 << 63});
        scenario.service.fault(refused);
        scenario.service.fault(json!({"kind": "end", "all": true}));
        let said = scenario.keeper.wait_said("the service asks us to wait", 1);
        assert_eq!(said.number("asked_s"), 1 << 63, "what was asked for: {said:?}");
        assert_eq!(said.number("duration_ms"), 3_600_000, "what is waited for: {said:?}");
        for act in acts {
            let arguments: &[&str] = if *act == "reload" { &[act] } else { &[act, STREAM] };
            let ended = run_to_end(&mut command(&scenario.keeper, arguments));
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        scenario.service.wait_state("the reconnects", |state| state.open.len() >= 3);
        scenario.finish();
    }
}

#[test]
fn an_evicted_stream() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "evicted", "stream": STREAM}));
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "stream_gone");
    let finished = scenario.finish();
    assert_eq!(calls(&finished.state, Call::Create), 2);
    assert_eq!(finished.log.said(RECOVERING).len(), 1);
}

#[test]
fn a_foreign_client_on_our_stream() {
    foreign_client("--pokes=always");
}

#[test]
fn a_foreign_client_on_a_busy_stream_that_sends_no_pokes() {
    foreign_client("--pokes=when-idle");
}

fn foreign_client(pokes: &str) {
    let scenario = Scenario::with(Service::process(&[pokes]), |settings| {
        settings.with("recovery.verify_every", "20s")
    });
    scenario.service.fault(json!({"kind": "foreign", "stream": STREAM, "for_ms": 6_000}));
    let said = scenario.keeper.wait_said("somebody else is connected to this stream", 1);
    assert_eq!(said.number("count"), 1);
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "foreign_client");
    assert!(recovered.number("recovered") > 0, "it has swallowed a share: {recovered:?}");
    scenario.finish();
}

#[test]
fn lost_answers_to_delete_and_create() {
    for silent in [false, true] {
        let scenario = Scenario::start();
        let lost = |call| json!({"kind": "lost_answer", "call": call, "silent": silent});
        scenario.service.fault(lost("delete"));
        scenario.service.fault(lost("create"));
        scenario.service.fault(json!({"kind": "hang"}));
        assert!(scenario.wait_recovered(1).number("recovered") > 0);
        let finished = scenario.finish();
        // The DELETE that was done is 404 when it is made again; the CREATE that was done is found
        // by its name, deleted and made again.
        assert_eq!(calls(&finished.state, Call::Create), 3);
        assert_eq!(finished.state.streams.len(), 1, "no stream is left behind");
        assert_eq!(finished.state.streams[0].name, STREAM);
    }
}

#[test]
fn a_lost_answer_to_the_very_first_create() {
    let service = Service::process(&[]);
    service.fault(json!({"kind": "lost_answer", "call": "create", "silent": true}));
    let scenario = Scenario::with(service, |settings| settings);
    let finished = scenario.finish();
    assert_eq!(finished.state.streams.len(), 1);
}

#[test]
fn calls_that_are_accepted_and_never_answered() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "silence", "for_ms": 5_000}));
    scenario.service.fault(json!({"kind": "hang"}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.finish();
}

#[test]
fn connects_that_are_accepted_and_never_answered() {
    let scenario = Scenario::start();
    let before = scenario.service.state().connections.len();
    scenario.service.fault(json!({"kind": "silence", "call": "connect", "count": 3}));
    scenario.service.fault(json!({"kind": "end", "all": true}));
    scenario.service.wait_state("the reconnects", |state| state.connections.len() >= before + 3);
    let finished = scenario.finish();
    assert_eq!(calls(&finished.state, Call::Create), 1);
}

#[test]
fn a_body_in_gzip_though_nobody_asked_for_it() {
    let service = Service::process(&[]);
    service.fault(json!({"kind": "gzip", "for_ms": 600_000}));
    let scenario = Scenario::with(service, |settings| settings);
    scenario.service.fault(json!({"kind": "hang"}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    let finished = scenario.finish();
    assert_eq!(calls(&finished.state, Call::Connect), 6, "it is read, not refused");
}

#[test]
fn answers_without_any_length() {
    let service = Service::process(&[]);
    service.fault(json!({"kind": "no_length", "for_ms": 600_000}));
    let scenario = Scenario::with(service, |settings| settings);
    let before = scenario.service.state();
    scenario.service.wait_time(Duration::from_secs(3));
    let after = scenario.service.state();
    assert_eq!(
        calls(&before, Call::Connect),
        calls(&after, Call::Connect),
        "a body that lasts until the connection closes is no empty one"
    );
    scenario.service.fault(json!({"kind": "hang"}));
    assert!(scenario.wait_recovered(1).number("recovered") > 0);
    scenario.finish();
}

#[test]
fn garbage_and_a_line_that_is_too_long() {
    let scenario = Scenario::start();
    let garbled = scenario.service.fault(json!({"kind": "garbage", "count": 2}));
    let mut open = scenario.service.state().open;
    open.retain(|connection| !garbled.contains(connection));
    scenario.service.fault(json!({"kind": "huge", "which": open}));
    scenario.keeper.wait_said("a frame is not an event of this service, or too long", 3);
    scenario.keeper.wait_said("verified: ", 1);
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "a bad frame costs no recovery");
}

#[test]
fn a_slow_connection_is_none_that_hangs() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "slow", "bytes_per_s": 50_000, "for_ms": 5_000}));
    scenario.service.wait_time(Duration::from_secs(6));
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0);
}

#[test]
fn a_trickle_is_no_life() {
    let scenario = Scenario::start();
    // The smallest record takes six seconds.
    scenario.service.fault(json!({"kind": "slow", "bytes_per_s": 100}));
    let recovered = scenario.wait_recovered(1);
    assert_eq!(recovered.text("reason"), "slow_frame");
    scenario.finish();
}

/// A few records a second, the largest of which takes several times `stale_after`.
fn slow_records(gzip: bool, frame_timeout: &str) -> Scenario {
    let mut config = Service::scaled();
    config.style.size = Size::Realistic;
    config.model.events_per_hour = 2 * 3_600;
    let service = Service::inside(config);
    if gzip {
        service.fault(json!({"kind": "gzip", "for_ms": 600_000}));
    }
    let scenario = Scenario::with(service, |settings| {
        settings
            .with("watchdog.frame_timeout", frame_timeout)
            .with("hygiene.max_consecutive_pokes", 1_000)
    });
    let bytes_per_s = if gzip { 500 } else { 2_500 };
    let slow = json!({"kind": "slow", "all": true, "bytes_per_s": bytes_per_s, "for_ms": 25_000});
    scenario.service.fault(slow);
    scenario
}

#[test]
fn a_record_that_takes_longer_than_stale_after_is_none_that_hangs() {
    for gzip in [false, true] {
        let scenario = slow_records(gzip, "1m");
        scenario.keeper.wait_said("late: a frame takes longer than late_after", 1);
        scenario.service.wait_time(Duration::from_secs(25));
        let finished = scenario.finish();
        assert_eq!(finished.log.said(RECOVERING).len(), 0, "gzip: {gzip}");
    }
}

#[test]
fn a_record_that_takes_longer_than_frame_timeout_is_said_to() {
    let scenario = slow_records(false, "3s");
    assert_eq!(scenario.wait_recovered(1).text("reason"), "slow_frame");
    scenario.finish();
}

#[test]
fn a_service_that_pauses_for_less_than_stale_after() {
    let scenario = Scenario::start();
    scenario.service.fault(json!({"kind": "stall", "all": true, "for_ms": 1_700}));
    scenario.keeper.wait_said("late: no frame for longer than late_after", 3);
    scenario.service.wait_time(Duration::from_secs(2));
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0, "late is said, and not acted upon");
}

#[test]
fn late_pokes_are_late_and_not_stale() {
    let scenario = Scenario::with(Service::process(&["--rate=2", "--users=5"]), |settings| {
        settings.with("hygiene.max_consecutive_pokes", 1_000)
    });
    scenario.service.fault(json!({"kind": "late_pokes", "late_ms": 1_200, "for_ms": 8_000}));
    scenario.service.wait_time(Duration::from_secs(8));
    let finished = scenario.finish();
    assert_eq!(finished.log.said(RECOVERING).len(), 0);
}
