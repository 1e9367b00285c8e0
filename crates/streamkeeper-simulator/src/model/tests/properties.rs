//! What holds under any schedule of connects, ends and reads.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Connect,
    HalfClose(usize),
    End(usize),
    Wait(Millis),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Connect),
        1 => (0..8usize).prop_map(Step::HalfClose),
        1 => (0..8usize).prop_map(Step::End),
        4 => (1..60_000u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

fn busy(delay: Millis) -> Config {
    Config {
        users: 20,
        events_per_hour: 7_200,
        history_for: 10 * MINUTE,
        queueing_delay_max: delay,
        members_max: 3,
        walk: Span::between(0, MINUTE),
        history_rate: 20,
        rebalance_takes: Span::between(0, 4_000),
        notice_after: Span::between(0, 4_000),
        release_after: Span::between(0, 8_000),
        redeliver: Span::between(0, 3),
        poke_late: Span::between(0, 500),
        ..Config::default()
    }
}

/// Runs a schedule with clients that read at every due time. Gives all frames by client.
fn run(seed: u64, config: Config, steps: &[Step]) -> (Model, BTreeMap<ClientId, Vec<Frame>>) {
    let mut model = Model::new(config, seed, START);
    let stream = model.create(NewStream::named("acme"), START).unwrap();
    let mut frames: BTreeMap<ClientId, Vec<Frame>> = BTreeMap::new();
    let mut now = START;
    let all = steps.iter().chain(&[Step::Connect, Step::Wait(HOUR)]);
    for step in all {
        match step {
            Step::Connect => {
                if let Ok(client) = model.connect(stream, now) {
                    frames.insert(client, Vec::new());
                }
            }
            Step::HalfClose(place) | Step::End(place) => {
                let Some(client) = frames.keys().nth(*place).copied() else { continue };
                match step {
                    Step::End(_) => model.end(client, now),
                    _ => model.half_close(client, now),
                }
            }
            Step::Wait(span) => {
                let until = now + span;
                while let Some(due) = model.next_due().filter(|due| *due <= until) {
                    now = now.max(due);
                    for (client, read) in &mut frames {
                        model.poll(*client, now, usize::MAX, read);
                    }
                }
                now = until;
            }
        }
    }
    (model, frames)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Proper ends lose nothing, whatever else happens; and frames come in order of time, each
    /// user's events per client in order.
    #[test]
    fn faithful_clients_get_everything(seed: u64, steps in steps(), delay in 0..30_000u64) {
        let (mut model, frames) = run(seed, busy(delay), &steps);
        let mut delivered = BTreeSet::new();
        for read in frames.values() {
            prop_assert!(read.is_sorted_by_key(|frame| frame.at()));
            let ends = read.iter().filter(|f| matches!(f, Frame::End { .. })).count();
            let ended = matches!(read.last(), Some(Frame::End { .. }));
            prop_assert_eq!(ends, usize::from(ended));
            let got = events_of(read);
            for frame in read {
                if let Frame::Event { at, event } = frame {
                    prop_assert!(*at >= model.event(*event).unwrap().available_at);
                }
            }
            delivered.extend(got);
        }
        let connected = model.next_due().is_some();
        let since = model.now() - 10 * MINUTE; // the tail may still be queued, or rate-limited
        for (place, event) in model.events().iter().enumerate() {
            if connected && event.kind == Kind::Data && event.available_at < since {
                prop_assert!(delivered.contains(&place), "event {} was never delivered", place);
            }
        }
    }

    /// Without redelivery every event comes exactly once: no user ever has two members.
    #[test]
    fn a_user_never_has_two_members(seed: u64, steps in steps()) {
        let config = Config { redeliver: Span::exactly(0), ..busy(10_000) };
        let (model, frames) = run(seed, config, &steps);
        let mut all: Vec<_> = frames.values().flatten().copied().collect();
        all.sort_by_key(|frame| frame.at());
        let mut last = [None; 20];
        for (at, event) in all.iter().filter_map(|f| match f {
            Frame::Event { at, event } => Some((at, event)),
            _ => None,
        }) {
            let user = model.event(*event).unwrap().user as usize;
            prop_assert!(last[user] < Some(*event), "user {} at {}", user, at);
            last[user] = Some(*event);
        }
    }

    /// The same calls give the same frames.
    #[test]
    fn a_run_can_be_repeated(seed: u64, steps in steps()) {
        let (first, first_frames) = run(seed, busy(10_000), &steps);
        let (second, second_frames) = run(seed, busy(10_000), &steps);
        prop_assert_eq!(first.events(), second.events());
        prop_assert_eq!(first_frames, second_frames);
    }
}
