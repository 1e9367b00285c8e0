//! An operator's replay, read beside the stream: the shell of a [`Replay`].
//!
//! It has one connection, which the policies know nothing of; they hear of what it brought, unless it is a
//! dry run.

use streamkeeper_core::id::ConnectionId;
use streamkeeper_core::marked::{self, Replay, ReplayOutput, Target};
use streamkeeper_core::policy::Input;
use streamkeeper_core::time::Timestamp;
use streamkeeper_simulator::model::DAY;

use crate::checkers::replays::Asked;
use crate::plan::micros;

use super::World;

/// A replay that runs.
#[derive(Debug)]
pub(super) struct Running {
    machine: Replay,
    asked: Asked,
}

impl Running {
    pub(super) const fn is_dry(&self) -> bool {
        self.asked.dry_run
    }
}

/// Whether that is the connection of an operator's replay.
pub(super) fn is_replay(connection: ConnectionId) -> bool {
    connection == Replay::CONNECTION
}

/// Whether it is heard of an operator's replay, and of nothing else.
pub(super) fn is_of_replay(input: &Input) -> bool {
    match input {
        Input::Opened(connection)
        | Input::Data(connection)
        | Input::Late(connection, _)
        | Input::Stale(connection)
        | Input::TooSlow(connection)
        | Input::Garbled(connection)
        | Input::Blocked(connection)
        | Input::Unblocked(connection)
        | Input::Suspended { connection, .. }
        | Input::Ended { connection, .. }
        | Input::Marked(marked::Input::Poke { connection, .. }) => is_replay(*connection),
        _ => false,
    }
}

impl World {
    /// The operator wants to read again what was created in the last days. One at a time.
    pub(super) fn ask_for_replay(&mut self, days: u64, dry_run: bool) {
        let (now, wall) = (self.now, self.plan.wall(self.now));
        let from = (now / DAY).saturating_sub(days) * DAY;
        // That of a process before may not be gone yet.
        let open = self.find(Replay::CONNECTION).is_some();
        let Some(process) = &mut self.process else { return };
        if open || process.replay.is_some() || process.stopping.is_some() {
            return;
        }
        let machine = Replay::new(&self.plan.policy, process.instant(now), wall);
        process.replay = Some(Running { machine, asked: Asked { from, at: now, dry_run } });
        let day = Timestamp::from_micros(micros(from)).utc_day();
        self.connect(Replay::CONNECTION, Target::Replay(day));
    }

    /// A stop does not wait for it.
    pub(super) fn abort_replay(&mut self) {
        if let Some(place) = self.find(Replay::CONNECTION) {
            self.kill(place);
        }
    }

    /// The replay takes an input; what it wants is carried out.
    pub(super) fn replay_hears(&mut self, input: &Input) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        let instant = process.instant(now);
        let Some(running) = &mut process.replay else { return };
        running.machine.handle(instant, input);
        let outputs: Vec<_> = std::iter::from_fn(|| running.machine.poll()).collect();
        for output in outputs {
            self.act_for_replay(output);
        }
    }

    fn act_for_replay(&mut self, output: ReplayOutput) {
        match output {
            ReplayOutput::Kill(connection) => {
                if let Some(place) = self.find(connection) {
                    self.kill(place);
                }
            }
            ReplayOutput::Flush => self.flush_replay(),
            ReplayOutput::Reached(_) => {}
            ReplayOutput::Ended { interrupted } => {
                self.say(format_args!("  the replay is over: {interrupted:?}"));
                let running = self.process.as_mut().and_then(|process| process.replay.take());
                if let Some(Running { asked, .. }) = running
                    && interrupted.is_none()
                {
                    self.outcome.replays += 1;
                    let verdict = asked.done(&self.events, self.model.events());
                    self.check(verdict);
                }
            }
        }
    }
}
