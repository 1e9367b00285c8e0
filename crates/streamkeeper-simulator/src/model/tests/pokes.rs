//! Pokes: when they come, what they say, and that they go on when data does not.

use super::*;

fn poke_times(frames: &[Frame]) -> Vec<Millis> {
    let at = |frame: &Frame| match frame {
        Frame::Poke { at, .. } => Some(at - START),
        _ => None,
    };
    frames.iter().filter_map(at).collect()
}

#[test]
fn an_idle_connection_is_poked_every_interval() {
    let (mut model, _, client) = connected(quiet());
    assert_eq!(model.due(client), Some(START + 5_000));
    let frames = read(&mut model, client, START + 15_999);
    assert_eq!(poke_times(&frames), [5_000, 10_000, 15_000]);
    assert_eq!(frames[0], Frame::Poke { at: START + 5_000, count: 1, max: 20 });
}

#[test]
fn data_puts_off_the_next_poke_unless_pokes_always_come() {
    for (pokes, expected) in
        [(Pokes::WhenIdle, vec![8_000, 13_000]), (Pokes::Always, vec![5_000, 10_000])]
    {
        let (mut model, _, client) = connected(Config { pokes, ..quiet() });
        publish(&mut model, 0, START + 3_000);
        let frames = read(&mut model, client, START + 13_000);
        assert_eq!(poke_times(&frames), expected);
        assert_eq!(frames[0].at(), START + 3_000);
    }
}

#[test]
fn a_late_poke_is_late_by_no_more_than_set() {
    let (mut model, _, client) =
        connected(Config { poke_late: Span::between(1, 2_000), ..quiet() });
    let times = poke_times(&read(&mut model, client, START + HOUR));
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (5_001..=7_000).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().max() > gaps.iter().min());
}

#[test]
fn a_client_that_reads_late_finds_old_pokes_with_their_old_times() {
    let (mut model, _, client) = connected(quiet());
    publish(&mut model, 0, START + 7_000);
    let mut frames = Vec::new();
    model.poll(client, START + 20_000, 2, &mut frames);
    assert_eq!(frames.iter().map(|f| f.at() - START).collect::<Vec<_>>(), [5_000, 7_000]);
    assert_eq!(model.due(client), Some(START + 12_000));
    assert_eq!(poke_times(&read(&mut model, client, START + 20_000)), [12_000, 17_000]);
}

#[test]
fn members_are_counted_with_those_not_yet_released() {
    let (mut model, stream, first) =
        connected(Config { release_after: Span::exactly(6_000), members_max: 3, ..quiet() });
    let second = model.connect(stream, START).unwrap();
    model.abort(second, START);
    let count = |frames: &[Frame]| match frames {
        [Frame::Poke { count, max: 3, .. }] => *count,
        other => panic!("not one poke: {other:?}"),
    };
    assert_eq!(count(&read(&mut model, first, START + 5_000)), 2);
    assert_eq!(count(&read(&mut model, first, START + 10_000)), 1);
}

#[test]
fn a_walk_gives_only_pokes_and_a_rebalance_too() {
    let config =
        Config { walk: Span::exactly(12_000), rebalance_takes: Span::exactly(6_000), ..quiet() };
    let (mut model, stream, first) = connected(config);
    publish(&mut model, 0, START + 1);
    assert_eq!(poke_times(&read(&mut model, first, START + 11_999)), [5_000, 10_000]);
    assert_eq!(model.next_due(), Some(START + 12_000));
    assert_eq!(read_events(&mut model, first, START + 12_000), [0]);

    let second = model.connect(stream, START + 20_000).unwrap();
    publish(&mut model, 1, START + 20_001);
    let mut seen = [first, second].map(|client| read(&mut model, client, START + 25_999));
    assert!(seen.iter().all(|frames| events_of(frames).is_empty() && !frames.is_empty()));
    seen = [first, second].map(|client| read(&mut model, client, START + 26_000));
    assert_eq!(events_of(&seen.concat()), [1]);
}

#[test]
fn a_replay_pokes_long_before_its_first_data() {
    let mut model = model(Config { replay_walk: Span::exactly(MINUTE), ..quiet() });
    publish(&mut model, 0, START + 1);
    let replay =
        model.replay(NewReplay { day: 20_000, ..NewReplay::default() }, START + 2).unwrap();
    let before = read(&mut model, replay, START + MINUTE + 1);
    assert_eq!(poke_times(&before).len(), 11);
    assert_eq!(read_events(&mut model, replay, START + MINUTE + 2), [0]);
}
