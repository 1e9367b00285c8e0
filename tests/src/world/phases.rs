//! When a run is over: faults, then healing, then quiet.
//!
//! When the last fault is over, the stream has to become live and caught up within a bound, with
//! the service publishing on. Then nothing more is published, and every event has to be accepted,
//! the suspects verified and the mark at the present, again within a bound.

use std::time::Duration;

use streamkeeper_core::policy::{Health, Input};
use streamkeeper_simulator::model::{HOUR, MINUTE, Millis};

use crate::plan::millis;

use super::World;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Faults,
    Heal { until: Millis },
    Quiet { until: Millis },
    Over,
}

impl World {
    /// When the phase changes if nothing else does it.
    pub(super) fn phase_due(&self) -> Millis {
        match self.phase {
            Phase::Faults => {
                let end = self.plan.start + self.plan.faults_end;
                let over = end.max(self.conditions.over_at());
                if over > self.now { over } else { Millis::MAX }
            }
            Phase::Heal { until } | Phase::Quiet { until } => until,
            Phase::Over => self.now,
        }
    }

    pub(super) fn go_on_with_phase(&mut self) {
        let now = self.now;
        match self.phase {
            Phase::Faults => {
                let over = (self.plan.start + self.plan.faults_end).max(self.conditions.over_at());
                // Nor is it about to die over its next step.
                let runs = self.process.as_ref().is_some_and(|p| p.stopping.is_none())
                    && self.conditions.dies.is_none();
                if now >= over && runs {
                    self.conditions.lose_answers = None;
                    self.conditions.refused = None;
                    self.conditions.refused_call = None;
                    self.say(format_args!("= the faults are over"));
                    self.phase = Phase::Heal { until: now + self.heals_within() };
                }
            }
            Phase::Heal { .. } if self.is_healed() => {
                self.say(format_args!("= healed"));
                self.model.set_rate(0, now);
                if self.plan.policy.verify_every.is_none() {
                    // Nothing is verified by itself: that is for the operator to do.
                    self.report(Input::Recover);
                }
                self.phase = Phase::Quiet { until: now + self.quiet_within() };
            }
            Phase::Heal { until } if now >= until => {
                let what = format!("not live and caught up in time: {}", self.state());
                self.broken(what);
            }
            Phase::Quiet { .. } if self.is_complete() => {
                self.look_at_final_versions();
                self.say(format_args!("= complete"));
                self.phase = Phase::Over;
            }
            Phase::Quiet { until } if now >= until => {
                let what = format!("not complete in time: {}", self.state());
                self.broken(what);
            }
            Phase::Heal { .. } | Phase::Quiet { .. } | Phase::Over => {}
        }
    }

    fn is_healed(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let rest = millis(self.plan.policy.hygiene.rest_max);
        let recent = self.plan.service.queueing_delay_max + rest + self.settle() * 2;
        let behind = self.events.oldest_missing();
        process.policy.health() == Health::Live
            && process.policy.incident().is_none()
            // What a suspect may have lost comes with its verification.
            && (process.policy.suspects() > 0
                || behind.is_none_or(|(created_at, _)| created_at + recent >= self.now))
    }

    fn is_complete(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let policy = &process.policy;
        let verified = self.plan.policy.verify_every.is_none() || policy.suspects() == 0;
        let marked = policy.suspects() > 0
            || policy.mark().is_some_and(|mark| {
                crate::plan::micros(self.now - process.lag.bound()) <= mark.as_micros()
            });
        let arrived = self.events.missing() == 0 && self.sinks.have_everything();
        let over = process.replay.is_none();
        arrived && verified && marked && over && policy.health() == Health::Live
    }

    fn state(&self) -> String {
        let missing = self.events.missing();
        let Some(process) = &self.process else { return "no process".into() };
        let policy = &process.policy;
        let lag = policy.mark().map(|m| self.now as i64 - m.as_micros() / 1_000);
        let suspects = policy.suspects();
        format!(
            "{:?}, {missing} events missing, {suspects} suspects, mark {lag:?} ms ago, {}{}",
            policy.health(),
            if process.replay.is_some() { "a replay runs, " } else { "" },
            if self.sinks.have_everything() { "sinks have it all" } else { "sinks lag" }
        )
    }

    /// The last version accepted of every record is its newest.
    fn look_at_final_versions(&mut self) {
        let wrong = self.events.records().find(|&record| {
            let latest = self.model.latest(record).filter(|&id| self.model.event(id).is_some());
            // Only a replay asks for what is from before the first day, and that may be interrupted.
            let event = latest.and_then(|id| self.model.event(id));
            event.is_none_or(|event| self.plan.delivers(event))
                && self.events.last_accepted(record) != latest.map(|id| id.index())
        });
        if let Some(record) = wrong {
            self.broken(format!("record {record} ends with a version that is not its newest"));
        }
    }

    /// How far the mark may lag while nothing is wrong.
    pub(super) fn lag_bound(&self) -> Millis {
        let policy = &self.plan.policy;
        let settle = self.settle();
        let stale = millis(policy.watchdog.stale_after);
        // The margin raises itself to twice the largest delay seen.
        let delay = self.plan.service.queueing_delay_max + stale * 4;
        let margin = millis(policy.position.margin).max(delay * 2);
        let gate = millis(policy.position.walk) * 5;
        // Slots that rest by turns settle once an hour.
        let rests = if policy.hygiene.enabled {
            HOUR + millis(policy.hygiene.rest_max) * 3 + stale * 4
        } else {
            0
        };
        margin + settle * 6 + gate + rests
    }

    fn heals_within(&self) -> Millis {
        let policy = &self.plan.policy;
        let held = self.plan.service.hold_for.max;
        let pauses = millis(policy.restart.within) * 2;
        let gates = millis(policy.position.walk) * 10;
        let backoff = millis(policy.backoff.max) * 20;
        held * 2 + pauses + gates + backoff + self.lag_bound()
    }

    fn quiet_within(&self) -> Millis {
        let every = millis(self.plan.policy.verify_every.unwrap_or(Duration::ZERO));
        every * 2 + self.heals_within() + self.lag_bound() + 10 * MINUTE
    }

    pub(super) fn look_at_lag(&mut self) {
        let awake = self.is_awake();
        let calm = self.conditions.over_at() <= self.now && self.foreign.is_empty() && awake;
        let Some(process) = &mut self.process else { return };
        let policy = &process.policy;
        let calm = calm
            && policy.incident().is_none()
            && policy.suspects() == 0
            && policy.health() == Health::Live;
        let mark = policy.mark();
        let verdict = process.lag.look(self.now, calm, mark);
        self.check(verdict);
    }
}
