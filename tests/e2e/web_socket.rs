//! WebSockets, which go on from a cursor in their messages: each event once, whatever happens.

use tungstenite::Message;

use super::support::{
    Authority, Keeper, WebSocketServer, delivered, status, stream_of, wait_delivered, wait_for,
};

const QUICK: &str = "[stream.sse]\ninterval = \"400ms\"\nstale_floor = \"1s\"\ncursor = \"/seq\"\n\
                     cursor_via = { query = \"since\" }\nidentity = \"/seq\"\n";

fn keeper(server: &WebSocketServer, more: &str) -> Keeper {
    Keeper::start_with::<&str>(&stream_of(&server.url, more), &[])
}

fn connected(server: &WebSocketServer) {
    wait_for("a client", || (server.connected() > 0).then_some(()));
}

#[test]
fn every_break_goes_on_from_the_last_message() {
    breaks(&WebSocketServer::start(), "");
}

#[test]
fn over_tls_as_well() {
    let authority = Authority::new();
    let ca_file = format!("ca_file = {:?}\n", authority.ca_file());
    breaks(&WebSocketServer::start_secured(&authority), &ca_file);
}

#[test]
fn a_server_that_no_authority_of_ours_vouches_for_is_not_read() {
    let authority = Authority::new();
    let server = WebSocketServer::start_secured(&authority);
    let stranger = Authority::named("stranger");
    let ca_file = format!("ca_file = {:?}\n", stranger.ca_file());
    let mut keeper = keeper(&server, &format!("{ca_file}{QUICK}"));
    keeper.wait_said("cannot connect to the stream", 1);
    keeper.wait_text("signed by an unknown authority");
    keeper.wait_degraded("unreachable");
    assert!(server.asked().is_empty(), "nothing secret is told to it");
    keeper.stop();
}

/// Breaks the connection in every way, again and again.
fn breaks(server: &WebSocketServer, more: &str) {
    let auth = "[stream.auth]\nbearer = \"s3cr3t\"\n";
    let mut keeper = keeper(server, &format!("{more}{auth}{QUICK}"));
    connected(server);
    let bearer = Some("Bearer s3cr3t".to_owned());
    assert_eq!(server.asked(), [("/events".to_owned(), bearer.clone())], "nothing to go on from");
    server.emit();
    wait_delivered(&keeper, 1);
    let breaks: [fn(&WebSocketServer); 4] = [
        |server| server.close(1000),
        |server| server.close(1011),
        WebSocketServer::cut,
        WebSocketServer::hang,
    ];
    for (round, break_it) in breaks.into_iter().enumerate() {
        break_it(server);
        let from = 1 + round as u64 * 2;
        // While nobody listens.
        server.emit();
        server.emit();
        wait_delivered(&keeper, from + 2);
        let last = server.asked().last().cloned();
        assert_eq!(last, Some((format!("/events?since={from}"), bearer.clone())));
        connected(server);
    }
    let causes = &status(&keeper)["streams"][0]["last_incident"]["cause"];
    assert_eq!(causes, "stale", "of all of these only the silence is an incident");
    keeper.stop();
    assert_eq!(server.closed(), [1000, 1011, 1000], "a close is answered, and we say farewell");
    let log = keeper.raw_log().concat();
    assert!(!log.contains("s3cr3t") && !log.contains("since="), "{log}");
}

#[test]
fn answers_to_our_questions_are_life_and_only_text_is_an_event() {
    let server = WebSocketServer::start();
    let mut keeper = keeper(&server, &format!("max_event_bytes = \"1KiB\"\n{QUICK}"));
    connected(&server);
    // The pace of a server that has nothing to say for longer than would be taken for silence.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(server.asked().len(), 1, "it lives");
    server.emit_in_parts(5);
    server.say(Message::binary(vec![0, 1, 2]));
    server.say(Message::text(format!("{{\"n\":7,\"pad\":\"{}\"}}", "x".repeat(2_000))));
    server.emit();
    wait_delivered(&keeper, 2);
    assert_eq!(server.asked().len(), 1, "none of it ends the connection");
    keeper.wait_said("no text", 1);
    keeper.wait_said("longer than max_event_bytes", 1);
    keeper.stop();
    assert_eq!(delivered(&keeper), [0, 1]);
}

#[test]
fn a_refusal_means_what_it_means_over_http() {
    let server = WebSocketServer::start();
    server.answer(&[503, 401]);
    let mut keeper = keeper(&server, QUICK);
    keeper.wait_degraded("token_refused");
    assert_eq!(server.asked().len(), 2);
    keeper.stop();
}

#[test]
fn without_a_cursor_a_break_is_a_gap_that_is_said() {
    let server = WebSocketServer::start();
    let mut keeper = keeper(&server, "[stream.sse]\ninterval = \"400ms\"\nstale_floor = \"1s\"\n");
    connected(&server);
    server.emit();
    wait_delivered(&keeper, 1);
    server.close(1001);
    wait_for("the next", || (server.asked().len() == 2).then_some(()));
    connected(&server);
    server.emit();
    wait_delivered(&keeper, 2);
    assert_eq!(keeper.log().said("gap").len(), 0, "that was planned");
    server.cut();
    keeper.wait_said("gap", 1);
    keeper.stop();
}
