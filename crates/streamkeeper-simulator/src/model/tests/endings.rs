//! How connections end, and what each ending loses.

use super::*;

fn config() -> Config {
    Config { notice_after: Span::exactly(2_000), ..quiet() }
}

#[test]
fn a_half_close_is_read_to_its_proper_end_and_loses_nothing() {
    let (mut model, stream, client) = connected(config());
    model.half_close(client, START + 1_000);
    publish(&mut model, 0, START + 2_500); // after the FIN, before the service notices
    publish(&mut model, 0, START + 3_500); // after
    let frames = read(&mut model, client, START + 4_000); // it reads late
    assert_eq!(events_of(&frames), [0]);
    assert_eq!(frames.last(), Some(&Frame::End { at: START + 3_000 }));
    assert_eq!(read(&mut model, client, START + 5_000), []);
    assert_eq!(model.due(client), None);
    let next = model.connect(stream, START + 5_000).unwrap();
    assert_eq!(read_events(&mut model, next, START + 5_000), [1]);
}

#[test]
fn an_abrupt_close_loses_what_is_written_until_it_is_noticed() {
    let (mut model, stream, client) = connected(config());
    publish(&mut model, 0, START + 500); // due and never read
    model.abort(client, START + 1_000);
    publish(&mut model, 0, START + 2_500); // written to nobody
    publish(&mut model, 0, START + 3_500);
    assert_eq!(read(&mut model, client, START + 4_000), []);
    let next = model.connect(stream, START + 4_000).unwrap();
    assert_eq!(read_events(&mut model, next, START + 4_000), [2]);
}

#[test]
fn a_hang_loses_everything_until_it_is_heard_of() {
    let (mut model, stream, client) = connected(config());
    publish(&mut model, 0, START + 1);
    assert_eq!(read_events(&mut model, client, START + 1), [0]);
    model.hang(client, Hang::Hearing, START + 2);
    publish(&mut model, 0, START + MINUTE);
    assert_eq!(read(&mut model, client, START + MINUTE), []);
    model.half_close(client, START + MINUTE);
    publish(&mut model, 0, START + MINUTE + 1_999);
    publish(&mut model, 0, START + MINUTE + 2_001);
    assert_eq!(read(&mut model, client, START + 2 * MINUTE), [], "no end arrives either");
    let next = model.connect(stream, START + 2 * MINUTE).unwrap();
    assert_eq!(read_events(&mut model, next, START + 2 * MINUTE), [3]);
}

#[test]
fn a_black_hole_swallows_its_share_while_others_go_on() {
    let (mut model, stream, hung) = connected(Config { users: 50, ..config() });
    let alive = model.connect(stream, START).unwrap();
    model.hang(hung, Hang::Deaf, START + 1);
    for user in 0..50 {
        publish(&mut model, user, START + MINUTE);
    }
    let got = read_events(&mut model, alive, START + MINUTE).len();
    assert!((10..40).contains(&got), "{got}");
    let held_until = START + 1 + 15 * MINUTE;
    model.advance(held_until);
    assert_eq!(read_events(&mut model, alive, held_until), Vec::<usize>::new());
    for user in 0..50 {
        publish(&mut model, user, held_until + 1);
    }
    assert_eq!(read_events(&mut model, alive, held_until + 1).len(), 50);
}

#[test]
fn a_new_stream_brings_back_what_a_hang_lost() {
    let (mut model, stream, client) = connected(config());
    model.hang(client, Hang::Hearing, START);
    publish(&mut model, 0, START + 1);
    model.abort(client, START + 2);
    model.delete(stream, START + 3_000).unwrap();
    let again = model.create(NewStream::from_day("acme", 20_000), START + 3_000).unwrap();
    let client = model.connect(again, START + 3_000).unwrap();
    assert_eq!(read_events(&mut model, client, START + 3_000), [0]);
}

#[test]
fn the_service_may_end_a_connection_and_loses_nothing_by_it() {
    let (mut model, stream, client) = connected(config());
    publish(&mut model, 0, START + 1);
    model.end(client, START + 2);
    publish(&mut model, 0, START + 3);
    let frames = read(&mut model, client, START + 3);
    assert_eq!(events_of(&frames), [0]);
    assert_eq!(frames.last(), Some(&Frame::End { at: START + 2 }));
    let next = model.connect(stream, START + 4).unwrap();
    assert_eq!(read_events(&mut model, next, START + 4), [1]);
}

#[test]
fn an_end_that_is_not_read_to_the_end_loses() {
    let (mut model, stream, client) = connected(config());
    publish(&mut model, 0, START + 1);
    model.end(client, START + 2);
    model.abort(client, START + 2);
    assert_eq!(read(&mut model, client, START + 3), []);
    let next = model.connect(stream, START + 4).unwrap();
    assert_eq!(read_events(&mut model, next, START + 4), Vec::<usize>::new());
}

#[test]
fn the_next_end_is_announced() {
    let (mut model, _, client) = connected(config());
    model.half_close(client, START + 1_000);
    assert_eq!(model.due(client), Some(START + 3_000));
    assert_eq!(model.next_due(), Some(START + 3_000));
    assert_eq!(read(&mut model, client, START + 3_000), [Frame::End { at: START + 3_000 }]);
    assert_eq!(model.next_due(), None);
}
