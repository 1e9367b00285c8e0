//! Places in a stream that are lost in ways that no status shows: a gap that is said, and what came is taken.

use super::support::{
    Keeper, SseServer, command, delivered, run_to_end, stream_of, wait_delivered, wait_for,
};

const QUICK: &str = "[stream.sse]\ninterval = \"400ms\"\nstale_floor = \"1s\"\n";

fn keeper(server: &SseServer, more: &str) -> Keeper {
    Keeper::start_with::<&str>(&stream_of(&server.url, &format!("{QUICK}{more}")), &[])
}

/// The stream is asked for so many times, and the last one is answered.
fn connected(server: &SseServer, times: usize) {
    wait_for("a client", || {
        (server.asked().len() >= times && server.connected() > 0).then_some(())
    });
}

fn last_asked_with(server: &SseServer) -> Option<String> {
    server.asked().last()?.header("last-event-id").map(str::to_owned)
}

/// The first two events, as they are in the output.
fn emit_two(server: &SseServer, keeper: &Keeper) {
    connected(server, 1);
    server.emit("reading", "{\"n\":0}");
    server.emit("reading", "{\"n\":1}");
    wait_delivered(keeper, 2);
}

#[test]
fn a_server_that_counts_anew_has_forgotten_what_was_between() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, "gap_check = \"sequence\"\n");
    emit_two(&server, &keeper);
    server.cut();
    connected(&server, 2);
    assert_eq!(last_asked_with(&server).as_deref(), Some("2"));
    server.say("id: 1\nevent: reading\ndata: {\"n\":2}\n\n");
    keeper.wait_said("gap: ", 1);
    // Its first id is known, with another content.
    wait_delivered(&keeper, 3);
    keeper.stop();
}

#[test]
fn a_cursor_of_another_place_is_not_asked_with() {
    let server = SseServer::start();
    let mut keeper = keeper(&server, "");
    emit_two(&server, &keeper);
    let more = format!("{QUICK}cursor = \"/n\"\nidentity = \"none\"\n");
    let file = keeper.folder().join("streamkeeper.toml");
    std::fs::write(file, stream_of(&server.url, &more)).unwrap();
    let reloaded = run_to_end(&mut command(&keeper, &["reload"]));
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    connected(&server, 2);
    assert_eq!(last_asked_with(&server), None, "the id of the last event is no /n");
    keeper.wait_said("gap: ", 1);
    server.emit("reading", "{\"n\":2}");
    wait_delivered(&keeper, 3);
    server.cut();
    connected(&server, 3);
    assert_eq!(last_asked_with(&server).as_deref(), Some("2"));
    assert_eq!(keeper.log().said("gap: ").len(), 1);
    keeper.stop();
}

#[test]
fn a_snapshot_that_is_too_large_says_so_until_it_is_not() {
    let server = SseServer::start();
    server.boot(&"x".repeat((8 << 20) + 1));
    let more = "gap_check = { event = \"reset\" }\nresync = { url = \"/boot\" }\n";
    let mut keeper = keeper(&server, more);
    emit_two(&server, &keeper);
    server.say("event: reset\ndata: {}\n\n");
    keeper.wait_degraded("resync_failed");
    keeper.wait_text("the answer was too large");
    server.boot("{\"n\":2}");
    wait_for("the snapshot", || (delivered(&keeper) == [0, 1, 2]).then_some(()));
    keeper.stop();
}

#[test]
fn an_event_behind_the_last_one_takes_back_that_the_end_is_planned() {
    let server = SseServer::start();
    let mut keeper = keeper(
        &server,
        "end = [\"close\"]\nignore = [\"close\"]\ncursor = \"none\"\nidentity = \"none\"\n",
    );
    emit_two(&server, &keeper);
    server.say("event: close\ndata: bye\n\n");
    server.emit("reading", "{\"n\":2}");
    wait_delivered(&keeper, 3);
    server.cut();
    keeper.wait_said("gap: ", 1);
    keeper.stop();
}
