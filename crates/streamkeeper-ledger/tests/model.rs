//! The ledger against the simplest possible one, over a disk that fails, crashes and forgets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{DAY, Event, Model, NOON, kept, open, read_all, small};
use proptest::prelude::*;
use streamkeeper_core::id::Cursor;
use streamkeeper_core::marked::{Cause, Lost, OpenIncident, StreamState};
use streamkeeper_core::time::Timestamp;
use streamkeeper_ledger::fs::{Fault, FaultyFs};
use streamkeeper_ledger::{KeptState, Ledger, LedgerConfig, LedgerError, LedgerIdentity};

#[derive(Clone, Debug)]
enum Step {
    Accept(Event),
    /// The service goes on from there.
    GoesOn(u8),
    Forget,
    Commit,
    Persist,
    Acknowledge {
        sink: &'static str,
        share: u8,
    },
    Sweep,
    /// The process is killed (or the power cut) before the next step.
    Crash {
        power: bool,
    },
    /// The disk fails at a step to come, and heals later.
    Fail {
        after: u64,
        fault: Fault,
    },
    /// The process dies in the middle of a change to come.
    Die {
        after: u64,
        power: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let key = prop_oneof![
        6 => (0..40_u32).prop_map(|n| format!("{n:024x}")),
        3 => (0..20_u32).prop_map(|n| format!("{n:032x}")),
        2 => (0..10_u32).prop_map(|n| format!("Key {n}")),
        2 => (0..10_u32).prop_map(|n| format!("a key that is longer than sixteen bytes {n}")),
    ];
    let time = (0..4_i64, 0..4_i64).prop_map(|(day, second)| NOON + day * DAY + second);
    let version = (prop::option::weighted(0.9, time), 0..3_u128, prop::bool::weighted(0.1));
    (prop::bool::weighted(0.9), key, version).prop_map(|(data, key, (time, sum, withdrawn))| {
        let mut event = Event::new(&key, time, sum << 90);
        (event.kind, event.version.withdrawn) = (u8::from(!data), withdrawn);
        event
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![Just(Fault::DiskFull), Just(Fault::Io), Just(Fault::Sync)];
    let step = prop_oneof![
        60 => event().prop_map(Step::Accept),
        20 => any::<u8>().prop_map(Step::GoesOn),
        1 => Just(Step::Forget),
        14 => Just(Step::Commit),
        4 => Just(Step::Persist),
        6 => (prop_oneof![Just("a"), Just("b")], any::<u8>())
            .prop_map(|(sink, share)| Step::Acknowledge { sink, share }),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(|power| Step::Crash { power }),
        2 => (0..30_u64, fault).prop_map(|(after, fault)| Step::Fail { after, fault }),
        2 => (0..30_u64, any::<bool>()).prop_map(|(after, power)| Step::Die { after, power }),
    ];
    prop::collection::vec(step, 1..400)
}

/// A ledger, and what is known of it.
struct Run {
    fs: FaultyFs,
    config: LedgerConfig,
    ledger: Option<Ledger>,
    /// With everything that was taken, committed or not.
    model: Model,
    committed: usize,
    /// The cursors that were given since the last one that is surely durable, each with how many events had been
    /// accepted, and whether one of them was not committed.
    cursors: Vec<(usize, bool, Option<Cursor>)>,
    persisted: Vec<Option<KeptState>>,
    states: i64,
    power: bool,
    identity: LedgerIdentity,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (fs, config) = (FaultyFs::new(seed), small());
        let (ledger, _) = open(&fs, &config).unwrap();
        let identity = ledger.identity();
        let model = Model::default();
        let persisted = vec![None];
        Self {
            fs,
            config,
            ledger: Some(ledger),
            model,
            committed: 0,
            cursors: vec![(0, true, None)],
            persisted,
            states: 0,
            power: true,
            identity,
        }
    }

    fn step(&mut self, step: &Step) {
        let ledger = self.ledger.as_mut().unwrap();
        let outcome = match step {
            Step::Accept(event) => {
                let verdict = ledger.accept(&event.incoming());
                verdict.map(|verdict| assert_eq!(verdict, self.model.accept(event), "{event:?}"))
            }
            Step::GoesOn(number) => {
                let cursor = Cursor::new(&number.to_string()).unwrap();
                ledger.goes_on_from(&cursor);
                assert_eq!(ledger.cursor(), Some(&cursor));
                let accepted = self.model.accepted.len();
                self.cursors.push((accepted, accepted > self.committed, Some(cursor)));
                Ok(())
            }
            Step::Forget => {
                ledger.forget_cursor();
                // Only a state can say so: until then the one before may come back.
                self.cursors.push((self.model.accepted.len(), false, None));
                Ok(())
            }
            Step::Commit => ledger.commit().map(|done| {
                assert_eq!(done.sequences.start, self.committed as u64 + 1);
                self.committed = self.model.accepted.len();
                assert_eq!(done.sequences.end, self.committed as u64 + 1);
            }),
            Step::Persist => {
                self.states += 1;
                let state = kept(&state(self.states));
                self.persisted.push(Some(state.clone()));
                ledger.persist(&state).map(|()| {
                    self.persisted = vec![Some(state)];
                    self.committed = self.model.accepted.len();
                    let (_, _, cursor) = self.cursors.pop().unwrap();
                    self.cursors = vec![(0, true, cursor)];
                })
            }
            Step::Acknowledge { sink, share } => {
                let outbox = ledger.outbox();
                let backlog = outbox.backlog(sink) * u64::from(*share) / 255;
                outbox.acknowledge(sink, outbox.cursor(sink).unwrap() + backlog);
                Ok(())
            }
            Step::Sweep => {
                let swept = ledger.sweep(
                    Timestamp::from_micros(NOON + 3 * DAY),
                    Some(Timestamp::from_micros(NOON + 3 * DAY)),
                );
                swept.map(|_| self.committed = self.model.accepted.len())
            }
            Step::Crash { power } => {
                self.power = *power;
                return self.restart();
            }
            Step::Fail { after, fault } => return self.fs.plan(*after, *fault),
            Step::Die { after, power } => {
                self.power = *power;
                return self.fs.plan(*after, Fault::Crash);
            }
        };
        if let Err(error) = outcome {
            self.failed(&error);
        }
    }

    /// Something failed: the process is dead, or the disk heals and the ledger with it.
    fn failed(&mut self, error: &LedgerError) {
        let ledger = self.ledger.as_mut().unwrap();
        assert!(ledger.poisoned().is_some(), "{error}");
        assert!(matches!(ledger.commit(), Err(LedgerError::Poisoned { .. })));
        self.fs.heal();
        match ledger.recover_in_place() {
            Ok(report) => {
                assert!(report.is_some());
                self.resume();
            }
            Err(_) => self.restart(),
        }
    }

    fn restart(&mut self) {
        self.ledger = None;
        if self.power {
            self.fs.power_cut()
        } else {
            self.fs.kill()
        }
        let (ledger, _) = open(&self.fs, &self.config).unwrap();
        self.ledger = Some(ledger);
        self.resume();
    }

    /// Finds out how much of what was not committed is there, and checks everything.
    fn resume(&mut self) {
        let ledger = self.ledger.as_ref().unwrap();
        let there = usize::try_from(ledger.stats().next_sequence - 1).unwrap();
        assert!(there >= self.committed, "lost: {there} of {}", self.committed);
        assert!(there <= self.model.accepted.len(), "more than was ever given");
        self.model = self.model.cut(there);
        self.committed = there;
        assert_eq!(ledger.identity(), self.identity);
        let state = ledger.state().cloned();
        assert!(self.persisted.contains(&state), "{state:?}");
        self.persisted = vec![state];
        self.check_cursor(there);
        self.check();
    }

    /// The cursor is one that was given behind what is there, and none that is older than what must be durable.
    fn check_cursor(&mut self, there: usize) {
        let cursor = self.ledger.as_ref().unwrap().cursor().cloned();
        let durable = |(accepted, in_commit, cursor): &(usize, bool, Option<Cursor>)| {
            there > *accepted && cursor.is_some() || *in_commit && there >= *accepted
        };
        let oldest = self.cursors.iter().rposition(durable).unwrap();
        let may = self.cursors[oldest..].iter().filter(|(accepted, ..)| *accepted <= there);
        let may: Vec<_> = may.map(|(_, _, cursor)| cursor).collect();
        assert!(may.contains(&&cursor), "{cursor:?} of {may:?}");
        self.cursors = vec![(0, true, cursor)];
    }

    fn check(&self) {
        let ledger = self.ledger.as_ref().unwrap();
        let outbox = ledger.outbox();
        let from = outbox.cursor("a").unwrap().min(outbox.cursor("b").unwrap());
        let entries = read_all(ledger, from);
        let expected = &self.model.accepted[usize::try_from(from - 1).unwrap()..self.committed];
        assert_eq!(entries.len(), expected.len());
        for ((entry, event), sequence) in entries.iter().zip(expected).zip(from..) {
            assert_eq!(entry.sequence, sequence);
            assert!(event.is(entry), "{sequence}");
        }
    }

    /// Every verdict about everything that was ever seen is what the model says.
    fn check_verdicts(&mut self) {
        let ledger = self.ledger.as_mut().unwrap();
        for event in self.model.accepted.clone() {
            let verdict = ledger.accept(&event.incoming()).unwrap();
            assert_eq!(verdict, self.model.accept(&event), "{event:?}");
            assert!(!verdict.is_new());
        }
    }

    fn finish(mut self) {
        self.fs.heal();
        self.step(&Step::Commit);
        self.check();
        self.check_verdicts();
        self.power = true;
        self.restart();
        self.check_verdicts();
        drop(self.ledger.take());
        let verified = streamkeeper_ledger::verify(&self.fs, common::dir()).unwrap();
        assert!(verified.damage.is_empty() && verified.torn.is_none(), "{:?}", verified.damage);
    }
}

fn state(number: i64) -> StreamState {
    let mark = Timestamp::from_micros(number);
    let incident = OpenIncident {
        cause: Cause::UncleanStart,
        since: mark,
        recoveries: 1,
        new: 2,
        recovered: 3,
        duplicate: 4,
        // Every other one has lost something for good.
        lost: (number % 2 == 0).then_some(Lost { from: mark, until: mark }),
    };
    StreamState {
        clean: number % 2 == 0,
        incident: (number % 3 == 0).then_some(incident),
        ..StreamState::at(Some(mark))
    }
}

/// How many runs are tried: `PROPTEST_CASES`, or what takes a few seconds.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_was_committed_is_there(seed: u64, steps in steps()) {
        let mut run = Run::new(seed);
        for step in &steps {
            run.step(step);
        }
        run.finish();
    }
}

/// A run of everything the ledger does; returns how many changes of the disk it takes.
fn script(run: &mut Run) {
    for number in 0..60_u32 {
        let day = i64::from(number % 3);
        let event = Event::new(&format!("{number:032x}"), Some(NOON + day * DAY), 1);
        run.step(&Step::Accept(event));
        run.step(&Step::GoesOn(number as u8));
        let again = Event::new(&format!("{:032x}", number / 2), Some(NOON + DAY), 2);
        run.step(&Step::Accept(again));
        match number % 10 {
            4 | 8 => run.step(&Step::Commit),
            9 => run.step(&Step::Persist),
            _ => {}
        }
        if number % 20 == 19 {
            run.step(&Step::Acknowledge { sink: "a", share: 255 });
            run.step(&Step::Acknowledge { sink: "b", share: 200 });
        }
        if number % 30 == 29 {
            run.step(&Step::Sweep);
        }
    }
}

#[test]
fn a_crash_at_any_step_loses_nothing() {
    let mut run = Run::new(0);
    let before = run.fs.steps();
    script(&mut run);
    let steps = run.fs.steps() - before;
    assert!(run.ledger.as_ref().unwrap().stats().key_files > 0, "keys are sealed on the way");
    run.finish();
    assert!(steps > 100, "{steps}");
    for at in 0..steps {
        for (seed, power) in [(1, true), (2, at % 4 != 0)] {
            let mut run = Run::new(seed * 1_000 + at);
            run.step(&Step::Die { after: at, power });
            script(&mut run);
            run.finish();
        }
    }
}

#[test]
fn a_failure_at_any_step_is_recovered_from_in_place() {
    let mut run = Run::new(0);
    let before = run.fs.steps();
    script(&mut run);
    let steps = run.fs.steps() - before;
    for at in 0..steps {
        for fault in [Fault::DiskFull, Fault::Io, Fault::Sync] {
            let mut run = Run::new(at);
            run.step(&Step::Fail { after: at, fault });
            script(&mut run);
            run.finish();
        }
    }
}
