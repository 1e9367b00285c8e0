//! Stream resources: limits, names, deletion, and places of members.

use super::*;

#[test]
fn a_sixth_stream_and_a_taken_name_are_refused() {
    let mut model = model(quiet());
    for name in ["a", "b", "c", "d"] {
        model.create(NewStream::named(name), START).unwrap();
    }
    assert_eq!(model.create(NewStream::named("a"), START), Err(Refusal::DuplicateName));
    model.create(NewStream::named("e"), START).unwrap();
    assert_eq!(model.create(NewStream::named("f"), START), Err(Refusal::TooManyStreams));
    assert_eq!(Refusal::TooManyStreams.status(), 422);
}

#[test]
fn a_stream_is_shown_renamed_and_deleted() {
    let mut model = model(quiet());
    let id = model.create(NewStream::from_day("acme", 19_999), START).unwrap();
    let other = model.create(NewStream::named("other"), START).unwrap();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().len(), 24);
    assert_eq!(model.rename(id, "other", START + 1), Err(Refusal::DuplicateName));
    model.rename(id, "acme~2", START + 1).unwrap();
    let shown = model.stream(id).unwrap();
    assert_eq!((shown.name.as_str(), shown.start_day), ("acme~2", Some(19_999)));
    assert_eq!((shown.created_at, shown.updated_at), (START, START + 1));
    assert_eq!(model.delete(id, START + 2).unwrap().name, "acme~2");
    assert_eq!(model.delete(id, START + 2), Err(Refusal::NotFound));
    assert_eq!(model.connect(id, START + 2), Err(Refusal::NotFound));
    assert_eq!(model.streams().map(|s| s.id).collect::<Vec<_>>(), [other]);
}

#[test]
fn ids_come_from_the_seed() {
    let id = |seed| Model::new(quiet(), seed, START).create(NewStream::named("a"), START);
    assert_eq!(id(1), id(1));
    assert_ne!(id(1), id(2));
}

#[test]
fn a_closed_client_keeps_its_place_until_it_is_released() {
    let config = Config {
        members_max: 1,
        notice_after: Span::exactly(1_000),
        release_after: Span::exactly(5_000),
        ..quiet()
    };
    let (mut model, stream, client) = connected(config);
    assert_eq!(model.connect(stream, START), Err(Refusal::TooManyClients));
    model.abort(client, START + 100);
    assert_eq!(model.delete(stream, START + 6_099), Err(Refusal::StillConnected));
    assert_eq!(model.connect(stream, START + 6_099), Err(Refusal::TooManyClients));
    assert_eq!(model.members(stream), 1);
    model.connect(stream, START + 6_100).unwrap();
}

#[test]
fn a_place_is_kept_at_least_until_the_rebalance_is_done() {
    let (mut model, stream, client) =
        connected(Config { rebalance_takes: Span::exactly(3_000), ..quiet() });
    model.abort(client, START + 4_000);
    assert_eq!(model.delete(stream, START + 6_999), Err(Refusal::StillConnected));
    model.delete(stream, START + 7_000).unwrap();
}

#[test]
fn a_black_holed_member_is_held() {
    let (mut model, stream, client) = connected(quiet());
    model.hang(client, Hang::Deaf, START + 1_000);
    model.abort(client, START + 2_000); // the service hears nothing of it
    let released = START + 1_000 + 15 * MINUTE;
    assert_eq!(model.delete(stream, released - 1), Err(Refusal::StillConnected));
    model.delete(stream, released).unwrap();
}

#[test]
fn a_hang_puts_off_an_announced_end() {
    let (mut model, stream, client) =
        connected(Config { notice_after: Span::exactly(1_000), ..quiet() });
    model.half_close(client, START);
    model.hang(client, Hang::Deaf, START + 500);
    model.advance(START + MINUTE);
    assert_eq!(model.members(stream), 1);
    model.advance(START + 500 + 15 * MINUTE);
    assert_eq!(model.members(stream), 0);
}

#[test]
fn a_sixth_replay_is_refused_until_one_is_released() {
    let mut model = model(Config { release_after: Span::exactly(1_000), ..quiet() });
    let open = |model: &mut Model, now| {
        model.replay(NewReplay { day: 20_000, ..NewReplay::default() }, now)
    };
    let clients: Vec<_> = (0..5).map(|_| open(&mut model, START).unwrap()).collect();
    assert_eq!(open(&mut model, START), Err(Refusal::TooManyReplays));
    model.abort(clients[0], START + 10);
    assert_eq!(open(&mut model, START + 1_009), Err(Refusal::TooManyReplays));
    open(&mut model, START + 1_010).unwrap();
    assert_eq!(model.streams().count(), 0);
}

#[test]
fn an_evicted_stream_ends_its_connections_and_is_gone() {
    let (mut model, stream, client) = connected(quiet());
    model.evict(stream, START + 10).unwrap();
    assert_eq!(read(&mut model, client, START + 20), [Frame::End { at: START + 10 }]);
    assert_eq!(model.stream(stream), None);
    assert_eq!(model.evict(stream, START + 20), Err(Refusal::NotFound));
    assert_eq!(model.next_due(), None);
}

#[test]
fn unknown_clients_are_ignored() {
    let mut model = model(quiet());
    let stranger = ClientId(9);
    model.abort(stranger, START);
    model.half_close(stranger, START);
    model.hang(stranger, Hang::Deaf, START);
    model.end(stranger, START);
    assert_eq!(read(&mut model, stranger, START), []);
    assert_eq!(model.due(stranger), None);
}
