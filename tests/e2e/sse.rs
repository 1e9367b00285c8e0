//! Servers that go on from where a client was: each event once, whatever happens, or a gap that is said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde_json::Value;

use super::support::{Keeper, SseServer, delivered, status, stream_of, wait_delivered, wait_for};

/// A stream of a server, with these further lines in its table; times are short.
fn keeper(server: &SseServer, more: &str) -> Keeper {
    Keeper::start_with::<&str>(&stream_of(&server.url, more), &[])
}

const QUICK: &str = "[stream.sse]\ninterval = \"400ms\"\nstale_floor = \"500ms\"\n\
                     heartbeats = [\"heartbeat\"]\n";

/// Emits the numbers of the range, each an event of its own.
fn emit(server: &SseServer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        server.emit("reading", &format!("{{\"n\":{number}}}"));
    }
}

fn connected(server: &SseServer) {
    wait_for("a client", || (server.connected() > 0).then_some(()));
}

#[test]
fn every_break_goes_on_from_the_last_event() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, QUICK);
    connected(&server);
    assert_eq!(server.asked()[0].header("last-event-id"), None, "nothing to go on from");
    emit(&server, 0..3);
    wait_delivered(&keeper, 3);
    // An end in order, a cut, silence: while nobody listens, more comes.
    for (round, break_it) in
        [SseServer::end, SseServer::cut, SseServer::hang].into_iter().enumerate()
    {
        break_it(&server);
        let from = 3 + round as u64 * 2;
        emit(&server, from..from + 2);
        wait_delivered(&keeper, from + 2);
        let asked = server.asked();
        let last = asked.last().unwrap().header("last-event-id").map(str::to_owned);
        assert_eq!(last, Some(from.to_string()), "the id of the last event before");
        connected(&server);
    }
    keeper.stop();
}

#[test]
fn a_kill_and_a_restart_go_on_from_what_is_durable() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, QUICK);
    connected(&server);
    emit(&server, 0..5);
    wait_delivered(&keeper, 5);
    keeper.kill();
    emit(&server, 5..8);
    keeper.restart();
    wait_delivered(&keeper, 8);
    keeper.stop();
    emit(&server, 8..9);
    keeper.restart();
    wait_delivered(&keeper, 9);
    let last = server.asked().last().unwrap().header("last-event-id").map(str::to_owned);
    assert_eq!(last.as_deref(), Some("8"));
    keeper.stop();
}

#[test]
fn heartbeats_are_life_and_move_no_cursor() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, QUICK);
    connected(&server);
    emit(&server, 0..2);
    wait_delivered(&keeper, 2);
    let beat = "event: heartbeat\ndata: {}\n\n";
    for beat in [beat, ": hb\n\n", "\n", "event: ping\n\n", beat] {
        // The pace of a server; nothing is waited for.
        std::thread::sleep(Duration::from_millis(400));
        server.say(beat);
    }
    assert_eq!(server.asked().len(), 1, "it lives");
    server.end();
    wait_for("the next", || (server.asked().len() == 2).then_some(()));
    assert_eq!(server.asked()[1].header("last-event-id"), Some("2"));
    assert_eq!(delivered(&keeper), [0, 1]);
    keeper.stop();
}

#[test]
fn a_point_that_is_forgotten_is_a_gap_that_is_said() {
    for status_code in [404, 410] {
        let server = SseServer::start();
        let mut keeper = keeper(&server, QUICK);
        connected(&server);
        emit(&server, 0..2);
        wait_delivered(&keeper, 2);
        // What comes while nobody notices that it hangs is forgotten before we ask for it.
        server.hang();
        emit(&server, 2..3);
        server.forget(status_code);
        keeper.wait_said("gap", 1);
        connected(&server);
        assert_eq!(server.asked().last().unwrap().header("last-event-id"), None);
        emit(&server, 3..4);
        wait_for("what comes after it", || (delivered(&keeper) == [0, 1, 3]).then_some(()));
        let cause = &status(&keeper)["streams"][0]["last_incident"]["cause"];
        assert_eq!(cause, "gap", "{}", status(&keeper));
        keeper.stop();
    }
}

#[test]
fn a_204_ends_the_stream_until_somebody_acts() {
    let server = SseServer::start();
    server.answer(&[204]);
    let mut keeper = keeper(&server, QUICK);
    wait_for("its end", || (status(&keeper)["streams"][0]["state"] == "ended").then_some(()));
    assert_eq!(server.asked().len(), 1);
    let steered =
        super::support::run_to_end(&mut super::support::command(&keeper, &["reconnect", "acme"]));
    assert_eq!(steered.code, Some(0), "{steered:?}");
    connected(&server);
    emit(&server, 0..1);
    wait_delivered(&keeper, 1);
    keeper.stop();
}

#[test]
fn an_interval_and_a_first_point_are_read_from_a_boot_document() {
    let server = SseServer::start();
    emit(&server, 0..4);
    server.boot("{\"resume_point\": 2, \"heartbeat\": 0.4}");
    let more = "[stream.sse]\ninterval = { url = \"/boot\", pointer = \"/heartbeat\" }\n\
                stale_factor = 1.0\nstale_floor = \"400ms\"\n\
                first_cursor = { url = \"/boot\", pointer = \"/resume_point\" }\n";
    let mut keeper = keeper(&server, more);
    wait_for("what is behind it", || (delivered(&keeper) == [2, 3]).then_some(()));
    assert_eq!(server.asked()[0].header("last-event-id"), Some("2"));
    // Nothing comes for longer than it is due: a network problem.
    wait_for("another", || (server.asked().len() >= 2).then_some(()));
    assert_eq!(server.asked()[1].header("last-event-id"), Some("4"));
    keeper.stop();
}

#[test]
fn secrets_go_as_the_server_wants_them_and_show_nowhere() {
    let auths = [
        ("bearer = \"s3cr3t\"", "authorization", "Bearer s3cr3t"),
        ("basic = { user = \"u\", password = \"s3cr3t\" }", "authorization", "Basic dTpzM2NyM3Q="),
        ("header = { name = \"X-Api-Key\", value = \"s3cr3t\" }", "x-api-key", "s3cr3t"),
        ("cookie = { name = \"identity\", value = \"s3cr3t\" }", "cookie", "identity=s3cr3t"),
    ];
    for (auth, header, value) in auths {
        let server = SseServer::start();
        let mut keeper = keeper(&server, &format!("[stream.auth]\n{auth}\n{QUICK}"));
        connected(&server);
        assert_eq!(server.asked()[0].header(header), Some(value), "{auth}");
        server.cut();
        wait_for("another", || (server.asked().len() >= 2).then_some(()));
        keeper.stop();
        let log = keeper.raw_log().concat();
        assert!(!log.contains("s3cr3t"), "{log}");
    }
    let server = SseServer::start();
    let auth = "[stream.auth]\nquery = { name = \"key\", value = \"s3/cr3t\" }\n";
    let mut keeper = keeper(&server, &format!("{auth}{QUICK}"));
    connected(&server);
    assert_eq!(server.asked()[0].path, "/events?key=s3%2Fcr3t");
    keeper.stop();
}

#[test]
fn what_comes_again_is_dropped_and_ids_are_envelopes_ids() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, QUICK);
    connected(&server);
    emit(&server, 0..3);
    wait_delivered(&keeper, 3);
    // As a server does that resumes at the point and not behind it.
    server.say("id: 3\nevent: reading\ndata: {\"n\":2}\n\n");
    emit(&server, 3..4);
    wait_delivered(&keeper, 4);
    keeper.stop();
    let text = std::fs::read_to_string(keeper.output()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert!(events.iter().all(|event| event["type"] == "sse.reading"), "{events:?}");
}

#[test]
fn a_server_that_says_it_lost_us_is_a_gap_with_a_snapshot_before_what_comes_next() {
    let server = SseServer::start();
    server.boot("{\"all\": true}");
    let more =
        format!("{QUICK}gap_check = {{ event = \"reset\" }}\nresync = {{ url = \"/boot\" }}\n");
    let mut keeper = keeper(&server, &more);
    connected(&server);
    emit(&server, 0..2);
    wait_delivered(&keeper, 2);
    server.say("event: reset\ndata: {}\n\n");
    emit(&server, 2..3);
    wait_for("what comes after it", || (delivered(&keeper) == [0, 1, 2]).then_some(()));
    let text = std::fs::read_to_string(keeper.output()).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["sse.reading", "sse.reading", "sse.snapshot", "sse.reading"]);
    assert_eq!(events[2]["data"]["all"], true);
    assert_eq!(server.asked().len(), 1, "the connection is not ended by it");
    wait_for("the incident to be over", || {
        let streams = status(&keeper)["streams"].clone();
        (streams[0]["last_incident"]["cause"] == "gap").then_some(())
    });
    keeper.stop();
}

#[test]
fn the_event_that_shows_a_gap_is_taken_though_nothing_comes_behind_it() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, &format!("{QUICK}gap_check = \"sequence\"\n"));
    connected(&server);
    emit(&server, 0..2);
    wait_delivered(&keeper, 2);
    server.say("id: 9\nevent: reading\ndata: {\"n\":2}\n\n");
    wait_delivered(&keeper, 3);
    server.cut();
    wait_for("the next", || (server.asked().len() == 2).then_some(()));
    assert_eq!(server.asked()[1].header("last-event-id"), Some("9"));
    keeper.stop();
}

#[test]
fn a_named_last_event_and_a_cut_in_time_are_no_incident() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, &format!("{QUICK}end = [\"close\"]\n"));
    connected(&server);
    emit(&server, 0..1);
    wait_delivered(&keeper, 1);
    server.say("event: close\ndata: bye\n\n");
    server.end();
    wait_for("the next", || (server.asked().len() == 2).then_some(()));
    emit(&server, 1..2);
    wait_delivered(&keeper, 2);
    let streams = status(&keeper)["streams"].clone();
    assert_eq!(
        (&streams[0]["incident"], &streams[0]["last_incident"]),
        (&Value::Null, &Value::Null)
    );
    keeper.stop();
}

#[test]
fn killed_at_random_moments_nothing_is_lost_or_doubled_though_events_have_no_identity() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = SseServer::start();
    let mut keeper = keeper(&server, &format!("{QUICK}identity = \"none\"\n"));
    connected(&server);
    // Whoever has nothing durable has nothing to go on from: the first event makes the beginning.
    emit(&server, 0..1);
    wait_delivered(&keeper, 1);
    keeper.kill();
    keeper.restart();
    let mut sent = 1;
    for _ in 0..12 {
        let more = random.u64(1..40);
        emit(&server, sent..sent + more);
        sent += more;
        // The moment of the kill, from before the first commit of these to behind all of them.
        std::thread::sleep(Duration::from_millis(random.u64(0..12)));
        keeper.kill();
        keeper.restart();
    }
    wait_delivered(&keeper, sent);
    keeper.stop();
    assert_eq!(keeper.log().said("gap").len(), 0, "there always was a cursor to go on from");
}

#[test]
fn one_that_is_stale_has_the_others_of_its_server_connect_afresh_once() {
    let server = Arc::new(SseServer::start());
    let elsewhere = Arc::new(SseServer::start());
    let quick = format!("{QUICK}group = \"all\"\n");
    let others = [("other", &server), ("third", &elsewhere)].map(|(name, server)| {
        format!(
            "[[stream]]\nname = \"{name}\"\ndialect = \"sse\"\nurl = \"{}?{name}\"\n\
             sse.interval = \"60s\"\nsse.heartbeats = [\"heartbeat\"]\n",
            server.url
        )
    });
    let file = format!("{}\n{}", stream_of(&server.url, &quick), others.concat());
    let mut keeper = Keeper::start_with::<&str>(&file, &[]);
    let beats = Arc::clone(&server);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let beating = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            beats.say("event: heartbeat\ndata: {}\n\n");
        }
    });
    wait_for("both", || (server.connected() + elsewhere.connected() == 3).then_some(()));
    emit(&server, 0..1);
    emit(&elsewhere, 0..1);
    let count = || delivered(&keeper).len();
    wait_for("the first events", || (count() == 3).then_some(()));
    server.hang_at("/events");
    let of_other = || server.asked().into_iter().filter(|asked| asked.path == "/events?other");
    wait_for("the other to connect afresh", || (of_other().count() == 2).then_some(()));
    wait_for("both again", || (server.connected() == 2).then_some(()));
    let last = of_other().next_back().unwrap();
    assert_eq!(last.header("last-event-id"), Some("1"), "from its cursor");
    emit(&server, 1..2);
    wait_for("what comes then", || (count() == 5).then_some(()));
    assert_eq!((of_other().count(), elsewhere.asked().len()), (2, 1), "once, and nobody else");
    let status = status(&keeper);
    for stream in status["streams"].as_array().unwrap() {
        let cause = &stream["last_incident"]["cause"];
        let expected = if stream["name"] == "acme" { Value::from("stale") } else { Value::Null };
        assert_eq!(cause, &expected, "{}", stream["name"]);
    }
    drop(stop);
    beating.join().unwrap();
    keeper.stop();
}

#[test]
fn a_session_is_begun_before_the_stream_is_asked_for_and_another_one_is_a_gap() {
    let server = SseServer::start();
    server.forget_sessions(404);
    let file = stream_of(&server.url, "sse.interval = \"60s\"\n").replace("\"sse\"", "\"mcp\"");
    let mut keeper = Keeper::start_with::<&str>(&file, &[]);
    connected(&server);
    let posted = server.posted();
    assert!(posted[0].body.contains("\"initialize\"") && posted[1].body.contains("initialized"));
    assert_eq!(posted[0].header("accept"), Some("application/json, text/event-stream"));
    let session = |asked: &super::support::Asked| asked.header("mcp-session-id").map(str::to_owned);
    assert_eq!(posted.iter().map(session).collect::<Vec<_>>(), [None, Some("session-1".into())]);
    emit(&server, 0..2);
    wait_delivered(&keeper, 2);
    server.end();
    wait_for("the next", || (server.asked().len() == 2).then_some(()));
    let asked = server.asked();
    assert!(asked.iter().all(|asked| session(asked).as_deref() == Some("session-1")));
    assert_eq!(asked[1].header("last-event-id"), Some("2"), "the same session goes on");
    connected(&server);
    assert_eq!(keeper.log().said("gap").len(), 0);
    // It is lost: another one begins, in which nobody knows where we were. The reference server of MCP says 400.
    for (status, number) in [(404, 2), (400, 3)] {
        server.forget_sessions(status);
        server.cut();
        keeper.wait_said("gap", number - 1);
        connected(&server);
        let last = server.asked().last().cloned().unwrap();
        assert_eq!(session(&last), Some(format!("session-{number}")));
        assert_eq!(last.header("last-event-id"), None);
        let number = number as u64;
        emit(&server, number..number + 1);
        wait_delivered(&keeper, number + 1);
        assert_eq!(keeper.log().said("gap").len() as u64, number - 1, "it is said once");
    }
    keeper.stop();
    assert!(!keeper.raw_log().concat().contains("session-"), "its name is a secret");
}
