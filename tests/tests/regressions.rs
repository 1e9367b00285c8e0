//! The seeds that found a bug, each with what it found.
//!
//! A seed draws a different run when the plan changes, so what it found is also held by a test of
//! the machine concerned or by a named scenario; these stay because they cost nothing.

use streamkeeper_simulator::model::{HOUR, SECOND, Span};
use streamkeeper_tests::fault::{Fault, Which};
use streamkeeper_tests::{Plan, run};

const SEEDS: &[(u64, &str)] = &[
    (9, "a stream left behind twice was deleted in a hot loop"),
    (19, "after a recovery a slot beyond the service's limit connected"),
    (22, "a foreign client hid behind our own ends, and the mark passed what it got"),
    (24, "a poke under way was taken for a foreign client, for ever again"),
    (26, "a refused slot forgot its back-off at every frame of another"),
    (37, "all slots connected before the limit was noted, and were killed"),
    (50, "slots that rest by turns kept the service rebalancing"),
    (97, "more slots connected than there were places, again and again"),
    (188, "rests were postponed once and then never again"),
    (196, "a recovery after a pause waited for room that nobody would report"),
    (260, "a Retry-After was forgotten when another connection opened"),
    (315, "a resting slot did not count when fewer were allowed"),
    (523, "a draining slot did not count when fewer were allowed"),
    (722, "the walk was counted while nobody could connect"),
    (967, "a verification began at the day of the first suspect, not of the lowest"),
    (1165, "the walk was counted while attempts were met with silence"),
    (1305, "a drain was cut short because our own queue was full"),
    (1734, "eighteen slots were refused for each that was let in"),
    (2289, "what was read after a suspension counted as minutes of reading"),
    (3400, "two pokes in the wrong order were taken for a foreign client"),
    (4342, "two streams that were left behind were asked for too often"),
    (7591, "a checkpoint older than a week was trusted"),
    (8457, "a count that had waited in a paused socket was believed"),
    (9234, "a checkpoint older than a week was trusted"),
    (606_006, "a history that came twice held the mark beyond its bound"),
    (607_904, "a first frame of an older connection let all slots try at once"),
    (845_524_806, "a pause of a week before there was a mark let the mark pass a week-old event"),
    (845_525_213, "slots that rested by turns had the history sent again and again"),
    (1_099_977_803, "a foreign client had the only place, and got what was ours unseen"),
    (1_234_533_014, "a foreign client hid behind slots that rested one after the other"),
    (1_259_595_030, "a verification whose queue was full for moments never ended"),
    (3_679_339_964, "connections that were being opened were kept for days for a sleeping process"),
    (3_679_347_960, "four streams that could not be deleted were blamed for a loop"),
    (824_740_549_265, "what had waited for a slow slot was read, and the mark passed its history"),
    (824_740_563_702, "a connection that lasted forgot the failures beside it"),
    (824_740_564_407, "what had waited for a slow slot was read, and the mark passed its history"),
    (824_740_586_720, "the mark passed what stood behind a record that took nine minutes"),
    (824_740_602_212, "the only slot was silent for minutes, and still counted as settled"),
    (2_551_111_592, "a suspended process was blamed for connections that it could not close"),
];

#[test]
fn what_was_found_stays_mended() {
    for (seed, found) in SEEDS {
        let outcome = run(Plan::draw(*seed), false);
        assert_eq!(outcome.violation, None, "seed {seed}: {found}");
    }
}

/// One of three lines stalls for less than `stale_after` while the service comes to the end of its walk. What it
/// brings then begins with a poke from before; the only old event stands behind that.
#[test]
fn what_waits_behind_a_stall_is_read_before_the_mark_passes_it() {
    for seed in 1..=60 {
        let mut plan = Plan::calm(seed, 10);
        plan.service.history_for = HOUR;
        plan.service.events_per_hour = 1;
        plan.service.walk = Span::exactly(59 * SECOND);
        plan.policy.hygiene.enabled = false;
        plan.commit_frames = 1;
        plan.faults.push((57_600, Fault::Stall { which: Which::One, lasts: 2_800 }));
        plan.faults_end = 90 * SECOND;
        let outcome = run(plan, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
    }
}
