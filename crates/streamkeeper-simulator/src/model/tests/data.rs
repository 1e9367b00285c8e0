//! What data comes: start dates, checkpoints, partitions, redelivery, versions, filters, delays.

use super::*;

#[test]
fn a_stream_starts_at_midnight_of_its_day() {
    let mut model = model(quiet());
    publish(&mut model, 0, START);
    publish(&mut model, 0, START + DAY - 1);
    publish(&mut model, 0, START + DAY);
    let now = START + DAY + HOUR;
    let stream = model.create(NewStream::from_day("acme", 20_001), now).unwrap();
    let client = model.connect(stream, now).unwrap();
    assert_eq!(read_events(&mut model, client, now), [2]);
}

#[test]
fn no_start_date_is_the_last_thirty_days() {
    let mut model = model(quiet());
    publish(&mut model, 0, START);
    publish(&mut model, 0, START + DAY);
    let now = START + 31 * DAY;
    let stream = model.create(NewStream::named("acme"), now).unwrap();
    let client = model.connect(stream, now).unwrap();
    assert_eq!(read_events(&mut model, client, now), [1]);
}

#[test]
fn the_older_reading_starts_by_start_time() {
    let config = Config { start_date_by_start_time: true, start_lag_max: HOUR, ..quiet() };
    let mut model = model(config);
    for minute in 0..120 {
        publish(&mut model, 0, START + minute * MINUTE);
    }
    let now = START + DAY;
    let stream = model.create(NewStream::from_day("acme", 20_000), now).unwrap();
    let client = model.connect(stream, now).unwrap();
    let got = read_events(&mut model, client, now);
    let wanted: Vec<_> = (0..120).filter(|i| model.events()[*i].start_at() >= START).collect();
    assert_eq!(got, wanted);
    assert!(got.len() < 120, "some started the day before");
}

#[test]
fn the_next_client_starts_from_the_last_disconnect() {
    let (mut model, stream, client) = connected(quiet());
    publish(&mut model, 0, START + 1);
    assert_eq!(read_events(&mut model, client, START + 1), [0]);
    model.end(client, START + 2);
    publish(&mut model, 0, START + 3);
    let next = model.connect(stream, START + 4).unwrap();
    assert_eq!(read_events(&mut model, next, START + 4), [1]);
}

#[test]
fn a_checkpoint_lives_seven_days() {
    for (away, expected) in [(7 * DAY, vec![]), (7 * DAY + 1, vec![0])] {
        let (mut model, stream, client) = connected(quiet());
        publish(&mut model, 0, START);
        assert_eq!(read_events(&mut model, client, START), [0]);
        model.abort(client, START);
        model.advance(START); // noticed
        let now = START + away;
        let next = model.connect(stream, now).unwrap();
        assert_eq!(read_events(&mut model, next, now), expected);
    }
}

#[test]
fn some_of_the_last_events_come_again_after_a_reconnect() {
    let (mut model, stream, client) = connected(Config { redeliver: Span::exactly(2), ..quiet() });
    for at in 0..5 {
        publish(&mut model, 0, START + at);
    }
    assert_eq!(read_events(&mut model, client, START + 5), [0, 1, 2, 3, 4]);
    model.end(client, START + 6);
    let next = model.connect(stream, START + 6).unwrap();
    assert_eq!(read_events(&mut model, next, START + 7), [3, 4]);
}

#[test]
fn users_are_spread_over_the_members_and_stay_with_them() {
    let (mut model, stream, first) = connected(Config { users: 100, ..quiet() });
    let second = model.connect(stream, START).unwrap();
    for user in 0..200 {
        publish(&mut model, user % 100, START + 1);
    }
    let [a, b] = [first, second].map(|client| read_events(&mut model, client, START + 1));
    assert_eq!(a.len() + b.len(), 200);
    assert!(a.len() > 50 && b.len() > 50);
    for event in a {
        assert!(!b.contains(&((event + 100) % 200)), "one user, two members");
    }
}

#[test]
fn history_is_rate_limited_and_fair_over_the_users() {
    let mut model = model(Config { history_rate: 10, ..quiet() });
    for user in [0, 0, 0, 1, 1, 1] {
        publish(&mut model, user, START);
    }
    let stream = model.create(NewStream::named("acme"), START + 1_000).unwrap();
    let client = model.connect(stream, START + 1_000).unwrap();
    let frames = read(&mut model, client, START + 2_000);
    let times: Vec<_> = frames.iter().map(|f| f.at() - START - 1_000).collect();
    assert_eq!(times, [0, 100, 200, 300, 400, 500]);
    let users = events_of(&frames).into_iter().map(|event| model.events()[event].user);
    let users: Vec<_> = users.collect();
    assert!(users.windows(2).all(|pair| pair[0] != pair[1]), "{users:?}");
}

#[test]
fn a_client_that_reads_late_finds_what_was_there_before_the_pokes_and_what_came_after() {
    let (mut model, _, client) = connected(quiet());
    let old = [0, 1, 1, 1].map(|user| publish(&mut model, user, START + 1_000));
    let later = publish(&mut model, 0, START + HOUR);
    let frames = read(&mut model, client, START + 2 * HOUR);
    assert!(frames.iter().is_sorted_by_key(|frame| frame.at()));
    let by = |until| events_of(&frames[..frames.partition_point(|frame| frame.at() <= until)]);
    let mut first = by(START + 1_000);
    first.sort_unstable();
    assert_eq!(first, old);
    assert_eq!(by(START + HOUR).last(), Some(&later));
}

#[test]
fn a_delayed_event_comes_later_in_order_for_its_user() {
    let config = Config { queueing_delay_max: MINUTE, ..quiet() };
    let (mut model, _, client) = connected(config);
    for at in 0..100 {
        publish(&mut model, u32::try_from(at % 4).unwrap(), START + at);
    }
    let frames = read(&mut model, client, START + 2 * MINUTE);
    let got = events_of(&frames);
    assert_eq!(got.len(), 100);
    assert!(got.windows(2).any(|pair| pair[0] > pair[1]), "arrival order is created order");
    for user in 0..4 {
        let own: Vec<_> = got.iter().filter(|e| **e % 4 == user).collect();
        assert!(own.is_sorted());
    }
    for (frame, event) in frames.iter().filter(|f| matches!(f, Frame::Event { .. })).zip(&got) {
        assert!(frame.at() >= model.events()[*event].available_at);
    }
}

#[test]
fn a_record_corrected_and_restored_has_its_old_checksum_and_a_later_date() {
    let mut model = model(quiet());
    let a = publish(&mut model, 0, START);
    let record = model.events()[a].record;
    let b = model.publish(0, What::Corrected(record), START).unwrap();
    let c = model.publish(0, What::Restored(record), START).unwrap();
    let d = model.publish(0, What::Withdrawn(record), START).unwrap();
    let all: Vec<_> = [EventId(0), b, c, d].map(|id| *model.event(id).unwrap()).into();
    assert_eq!(all[0].checksum(), all[2].checksum());
    assert_eq!(all[2].checksum(), all[3].checksum());
    assert_ne!(all[0].checksum(), all[1].checksum());
    assert!(all.windows(2).all(|pair| pair[0].created_at < pair[1].created_at));
    assert_eq!(all.iter().map(|e| e.version).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(all[3].withdrawn && !all[2].withdrawn);
    assert_eq!(model.latest(record), Some(d));
    assert_eq!(model.publish(0, What::Corrected(99), START), None);
}

#[test]
fn filters_select_kinds_and_resources() {
    let mut model = model(quiet());
    let filter = |kinds: &[Kind], resources: &[Resource]| Filter {
        kinds: kinds.to_vec(),
        resources: resources.to_vec(),
    };
    let cases = [
        (filter(&[], &[]), vec![0, 1]),
        (filter(&[], &[Resource::Sleep]), vec![1]),
        (filter(&[Kind::Rule, Kind::Data], &[Resource::Sleep]), vec![1, 2]),
        (filter(&[Kind::Connection], &[]), vec![3]),
    ];
    let connect = |model: &mut Model, filter: &Filter, name: usize| {
        let new = NewStream { filter: filter.clone(), ..NewStream::named(name.to_string()) };
        let stream = model.create(new, START).unwrap();
        model.connect(stream, START).unwrap()
    };
    let clients: Vec<_> =
        cases.iter().enumerate().map(|(i, (f, _))| connect(&mut model, f, i)).collect();
    publish(&mut model, 0, START + 1);
    model.publish(0, What::New(Resource::Sleep), START + 1);
    model.publish(0, What::Rule, START + 1);
    model.publish(0, What::Connection, START + 1);
    for (client, (_, expected)) in clients.into_iter().zip(cases) {
        assert_eq!(read_events(&mut model, client, START + 1), expected);
    }
}

#[test]
fn connection_events_are_not_kept_for_an_absent_client_but_replays_have_them() {
    let mut model = model(quiet());
    let filter = Filter { kinds: vec![Kind::Data, Kind::Connection], ..Filter::default() };
    let new = NewStream { filter: filter.clone(), ..NewStream::named("acme") };
    let stream = model.create(new, START).unwrap();
    let client = model.connect(stream, START).unwrap();
    model.publish(0, What::Connection, START + 1);
    assert_eq!(read_events(&mut model, client, START + 1), [0]);
    model.end(client, START + 2);
    model.publish(0, What::Connection, START + 3);
    publish(&mut model, 0, START + 3);
    let next = model.connect(stream, START + 4).unwrap();
    assert_eq!(read_events(&mut model, next, START + 5), [2]);
    let replay = model.replay(NewReplay { day: 20_000, filter }, START + 6).unwrap();
    assert_eq!(read_events(&mut model, replay, START + 7), [0, 1, 2]);
}

#[test]
fn each_replay_gets_the_whole_stream_from_its_day_and_then_live() {
    let mut model = model(Config { users: 10, ..quiet() });
    for at in [START, START + DAY] {
        (0..10).for_each(|user| _ = publish(&mut model, user, at));
    }
    let now = START + DAY + 1;
    let new = NewReplay { day: 20_001, ..NewReplay::default() };
    let clients = [(); 2].map(|()| model.replay(new.clone(), now).unwrap());
    publish(&mut model, 3, now + 1);
    for client in clients {
        let mut got = read_events(&mut model, client, now + 1);
        got.sort_unstable();
        assert_eq!(got, Vec::from_iter(10..=20));
    }
}

#[test]
fn what_is_generated_does_not_depend_on_the_clients() {
    let config = Config { events_per_hour: 5_000, history_for: HOUR, ..quiet() };
    let alone = {
        let mut model = model(config.clone());
        model.advance(START + HOUR);
        model.events().to_vec()
    };
    let (mut model, _, client) = connected(config);
    for minute in 0..60 {
        read(&mut model, client, START + minute * MINUTE);
    }
    model.advance(START + HOUR);
    assert_eq!(model.events(), alone);
    assert!((9_000..11_000).contains(&alone.len()), "{}", alone.len());
    assert!(alone.iter().any(|e| e.withdrawn) && alone.iter().any(|e| e.version > 2));
}

#[test]
fn the_generator_can_be_stopped_and_started() {
    let mut model = model(quiet());
    model.set_rate(18_000_000, START); // 5,000 a second
    model.set_rate(0, START + 1_000);
    let first = model.events().len();
    assert!((4_800..5_200).contains(&first), "{first}");
    model.advance(START + 2_000);
    assert_eq!(model.events().len(), first);
}
