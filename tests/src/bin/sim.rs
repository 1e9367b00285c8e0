//! Runs seeds of the simulation on every core.
//!
//! `sim --seed 7 --runs 10000` runs 7 to 10006; the first line of a failure is the seed, what is
//! broken, and the command that shows it. `--trace` says what happens, for one seed.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use streamkeeper_core::marked::Strategy;
use streamkeeper_tests::{Plan, cursored, delivery, run};

/// The seeded simulation of streamkeeper-core, in virtual time.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Which policies.
    #[arg(long, value_enum, default_value_t = Family::Marked)]
    family: Family,
    /// What a recovery of a marked stream does.
    #[arg(long, value_enum, default_value_t = Way::Recreate)]
    strategy: Way,
    /// Says what happens.
    #[arg(long)]
    trace: bool,
    /// Says what came of each seed: two builds that play the same say the same.
    #[arg(long)]
    each: bool,
}

/// What a server lets a client do that has lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Family {
    /// To read again from a mark.
    Marked,
    /// To go on from a cursor.
    Cursored,
}

/// What a recovery does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// To make the stream anew.
    Recreate,
    /// To read on, and a replay beside it.
    Replay,
}

impl Way {
    /// The plan of a seed, with that strategy.
    fn plan(self, seed: u64) -> Plan {
        let strategy = match self {
            Self::Recreate => Strategy::Recreate,
            Self::Replay => Strategy::Replay,
        };
        Plan::draw(seed).with_strategy(strategy)
    }

    /// How `make sim` is told.
    const fn argument(self) -> &'static str {
        match self {
            Self::Recreate => "",
            Self::Replay => "STRATEGY=replay ",
        }
    }
}

#[derive(Default)]
struct Totals {
    failed: Vec<(u64, String)>,
    accepted: usize,
    recoveries: usize,
    deletes: usize,
    verifications: usize,
    replays: usize,
    rests: usize,
    gaps: usize,
    connects: usize,
    processes: u64,
    clean_stops: usize,
    hours: u64,
}

impl Totals {
    /// What came of them.
    fn of(&self, family: Family) -> String {
        match family {
            Family::Marked => format!(
                "{} versions accepted, {} recoveries, {} streams deleted, {} verifications, {} replays, {} rests, {} \
                 clean stops",
                self.accepted,
                self.recoveries,
                self.deletes,
                self.verifications,
                self.replays,
                self.rests,
                self.clean_stops,
            ),
            Family::Cursored => format!(
                "{} events accepted, {} gaps reported, {} connections, {} processes",
                self.accepted, self.gaps, self.connects, self.processes,
            ),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let next = AtomicU64::new(arguments.seed);
    let end = arguments.seed.saturating_add(arguments.runs);
    let totals = Mutex::new(Totals::default());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..if arguments.trace { 1 } else { cores } {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match arguments.family {
                        Family::Marked => one(seed, &arguments, &totals),
                        Family::Cursored => one_cursored(seed, &arguments, &totals),
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} seeds, {} failed; {:.1} seeds/s; {} simulated hours, {}",
        arguments.runs,
        totals.failed.len(),
        arguments.runs as f64 / seconds,
        totals.hours,
        totals.of(arguments.family),
    );
    if totals.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn one(seed: u64, arguments: &Arguments, totals: &Mutex<Totals>) {
    let outcome = run(arguments.strategy.plan(seed), arguments.trace);
    let turns = delivery::run(delivery::DeliveryPlan::draw(seed));
    if arguments.each {
        println!("{seed} {outcome:?} {turns:?}");
    }
    let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    totals.accepted += outcome.accepted;
    totals.recoveries += outcome.recoveries;
    totals.deletes += outcome.deletes;
    totals.verifications += outcome.verifications;
    totals.replays += outcome.replays;
    totals.rests += outcome.rests;
    totals.clean_stops += outcome.clean_stops;
    totals.hours += outcome.lasted / 3_600_000;
    if let Some(violation) = outcome.violation {
        let after = violation.after as f64 / 1_000.0;
        println!(
            "seed {seed} after {after:.3} s: {}\n    make sim {}SEED={seed} RUNS=1",
            violation.what,
            arguments.strategy.argument(),
        );
        totals.failed.push((seed, violation.what));
    }
    if let Some((after, what)) = turns.violation {
        let after = after as f64 / 1_000.0;
        println!(
            "seed {seed} after {after:.3} s, at a sink: {what}\n    make sim SEED={seed} RUNS=1"
        );
        totals.failed.push((seed, what));
    }
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn one_cursored(seed: u64, arguments: &Arguments, totals: &Mutex<Totals>) {
    let outcome = cursored::run(cursored::Plan::draw(seed), arguments.trace);
    if arguments.each {
        println!("{seed} {outcome:?}");
    }
    let mut totals = totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    totals.accepted += outcome.accepted;
    totals.gaps += outcome.gaps;
    totals.connects += outcome.connects;
    totals.processes += outcome.processes;
    totals.hours += outcome.lasted / 3_600_000;
    if let Some((after, what)) = outcome.violation {
        let after = after as f64 / 1_000.0;
        println!(
            "seed {seed} after {after:.3} s: {what}\n    make sim FAMILY=cursored SEED={seed} RUNS=1"
        );
        totals.failed.push((seed, what));
    }
}
