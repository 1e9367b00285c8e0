//! Many organizations in one process: every stream live, every event there once, and what it costs.
//!
//! `make many` is the long form: `MANY_ORGANIZATIONS` says how many there are, with five streams of two
//! slots each; before them it takes a fiftieth and a fifth of them, at the same total rate. It prints memory,
//! threads, how long an answer of the endpoint takes, and the CPU time of an event and of a poke; none of
//! that is asserted, since it says as much about the machine and the profile as about the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use streamkeeper_simulator::checker::{self, Expected};

use super::cost::{Cpu, Proc, syncs};
use super::support::{Keeper, Service, Settings, request, wait_for_within};

/// What the service allows an organization.
const STREAMS: usize = 5;
const SLOTS: usize = 2;

/// Opening a thousand connections takes a while on two cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// Accepted events a second, of all streams together. Each stream of an organization has all its events.
const RATE: usize = 500;

#[test]
fn many_organizations_in_one_process() {
    let given = std::env::var("MANY_ORGANIZATIONS").ok().map(|text| text.parse().unwrap());
    let Some(organizations): Option<usize> = given else {
        keep(10, None);
        return;
    };
    let sizes = [organizations / 50, organizations / 5, organizations];
    let shares = sizes.map(|size| keep(size.max(1), Some(Duration::from_secs(20))));
    let (least, most) = shares
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), share| (least.min(*share), most.max(*share)));
    eprintln!("the sinks' share of an event at these sizes differs by {:.2} ×", most / least);
}

/// Keeps so many organizations in one process, looks at each of its costs for so long, if at all, and checks that
/// nothing is lost. Answers what an event costs in the sinks, in microseconds of CPU time.
fn keep(organizations: usize, measured: Option<Duration>) -> f64 {
    let streams = organizations * STREAMS;
    let slots = streams * SLOTS;
    allow_files(8 * slots + 1_000);
    let rate = format!("--rate={}", RATE / STREAMS);
    let service = Service::process(&[&format!("--organizations={organizations}"), &rate]);
    let mut keeper = Keeper::start_with::<&str>(&configuration(&service.url, organizations), &[]);
    let url = keeper.endpoint();

    let began = Instant::now();
    wait_for_within(PATIENCE, "every stream and slot to be live", || {
        let status = status(&url);
        let streams_live = status.iter().filter(|stream| stream["state"] == "live").count();
        let slots = status.iter().flat_map(|stream| stream["slots"].as_array().unwrap());
        let slots_live = slots.filter(|slot| *slot == "live").count();
        ((streams_live, slots_live) == (streams, streams * SLOTS)).then_some(())
    });
    eprintln!("{organizations} organizations × {STREAMS} streams × {SLOTS} slots");
    eprintln!("all live after {:.1} s", began.elapsed().as_secs_f64());
    say_sizes(&keeper, &url, slots);
    let share = measured.map_or(0.0, |measured| {
        let share = say_cost_of_events(&keeper, &service, measured);
        stop_events(&service, organizations);
        say_cost_of_pokes(&keeper, &service, measured);
        say_sizes(&keeper, &url, slots);
        share
    });
    stop_events(&service, organizations);
    nothing_is_lost(&keeper, &service, organizations);
    keeper.stop();
    share
}

fn say_sizes(keeper: &Keeper, url: &str, slots: usize) {
    let process = Proc::read(keeper.process());
    let each = process.resident_kib / slots;
    eprintln!("memory: {} MiB, {each} KiB for each slot", process.resident_kib / 1024);
    eprintln!("threads: {}, open files: {}", process.threads, process.files);
    for path in ["/metrics", "/status"] {
        let (bytes, took) = median_of_five(url, path);
        eprintln!("{path}: {:.1} ms, {} KiB", took.as_secs_f64() * 1e3, bytes / 1024);
    }
}

/// Looks for so long at a steady rate; what an event costs in the sinks.
fn say_cost_of_events(keeper: &Keeper, service: &Service, measured: Duration) -> f64 {
    let (process, url) = (keeper.process(), &keeper.endpoint());
    service.wait_time(SETTLED);
    let (events, before) = (count(url, "accepted"), Cpu::read(process));
    service.wait_time(measured);
    let (events, after) = (count(url, "accepted") - events, Cpu::read(process));
    let of = |name: &str| each(after.of(name).saturating_sub(before.of(name)), events);
    let sinks = of("sk-sinks");
    eprintln!(
        "{events} events, µs of CPU each: {:.0}, of which sinks {sinks:.0}, writers {:.0}",
        each(after.all().saturating_sub(before.all()), events),
        of("sk-writer"),
    );
    let before = count(url, "accepted");
    let synced = syncs(process, service, measured / 4);
    let events = (count(url, "accepted") - before).max(1);
    eprintln!("syncs of a file for each event: {:.2}", synced as f64 / events as f64);
    sinks
}

fn say_cost_of_pokes(keeper: &Keeper, service: &Service, measured: Duration) {
    let (process, url) = (keeper.process(), &keeper.endpoint());
    service.wait_time(SETTLED);
    let (pokes, before) = (count(url, "pokes"), Cpu::read(process));
    service.wait_time(measured);
    let (pokes, after) = (count(url, "pokes") - pokes, Cpu::read(process));
    let spent = after.all().saturating_sub(before.all());
    eprintln!("{pokes} pokes, µs of CPU each: {:.0}", each(spent, pokes));
}

/// What was there before has come in by then.
const SETTLED: Duration = Duration::from_secs(5);

fn each(spent: Duration, count: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / count.max(1) as f64
}

fn stop_events(service: &Service, organizations: usize) {
    for organization in 1..=organizations {
        service.generate_for(organization, 0.0);
    }
}

/// A count, over all streams.
fn count(url: &str, name: &str) -> u64 {
    status(url).iter().map(|stream| stream[name].as_u64().unwrap()).sum()
}

fn nothing_is_lost(keeper: &Keeper, service: &Service, organizations: usize) {
    let streams = organizations * STREAMS;
    let truths: Vec<_> = (1..=organizations).map(|number| service.truth_of(number)).collect();
    let mut seen = None;
    wait_for_within(PATIENCE, "every event of every stream", || {
        let now = fs::metadata(keeper.output()).map_or(0, |file| file.len());
        if seen.replace(now) != Some(now) {
            return None;
        }
        let lines = by_stream(keeper);
        let complete = (0..streams).all(|stream| {
            let lines = lines.get(&name(stream)).map_or(&[][..], Vec::as_slice);
            let truth = &truths[stream / STREAMS];
            let report = checker::check(lines, truth, &Expected::default()).unwrap();
            assert!(
                (report.duplicate.count, report.altered.count, report.unknown.count) == (0, 0, 0),
                "{}: {report}",
                name(stream),
            );
            !truth.is_empty() && report.lost.count == 0
        });
        complete.then_some(())
    });
}

/// The name of a stream, numbered from 0 over all organizations.
fn name(stream: usize) -> String {
    format!("o{:03}-s{}", stream / STREAMS + 1, stream % STREAMS + 1)
}

/// The configuration of them all, as `run` takes it.
fn configuration(url: &str, organizations: usize) -> String {
    let mut file = String::from("[service]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n");
    let slots = u32::try_from(SLOTS).unwrap();
    for stream in 0..organizations * STREAMS {
        let token = format!("simulated-{:04}", stream / STREAMS + 1);
        let settings = Settings::scaled(url)
            .with("name", name(stream).as_str())
            .with("token", token.as_str())
            .with("connections", slots)
            // So many of them at once take longer than one.
            .with("call_timeout", "30s")
            .with("watchdog.late_after", "15s")
            .with("watchdog.stale_after", "30s")
            .with("watchdog.connect_timeout", "30s")
            .with("hygiene.max_consecutive_pokes", 1_000);
        writeln!(file, "{}", settings.stream()).unwrap();
    }
    file + "[[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n"
}

fn status(url: &str) -> Vec<Value> {
    let (status, body) = request(url, "GET", "/status", "");
    assert_eq!(status, 200);
    let status: Value = serde_json::from_slice(&body).unwrap();
    status["streams"].as_array().unwrap().clone()
}

/// What the sink wrote, for each stream.
fn by_stream(keeper: &Keeper) -> BTreeMap<String, Vec<u8>> {
    let mut streams: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for line in fs::read(keeper.output()).unwrap().split_inclusive(|byte| *byte == b'\n') {
        let envelope: Value = serde_json::from_slice(line).unwrap();
        let stream = envelope["source"].as_str().unwrap();
        streams.entry(stream.to_owned()).or_default().extend_from_slice(line);
    }
    streams
}

/// The size of an answer, and how long it took.
fn median_of_five(url: &str, path: &str) -> (usize, Duration) {
    let mut answers = [(); 5].map(|()| {
        let asked = Instant::now();
        let (status, body) = request(url, "GET", path, "");
        assert_eq!(status, 200, "{path}");
        (asked.elapsed(), body.len())
    });
    answers.sort_unstable();
    let (took, bytes) = answers[2];
    (bytes, took)
}

/// Lets this process, and those that it starts, open so many files.
fn allow_files(count: usize) {
    let own = std::process::id().to_string();
    let limit = |value: String| {
        let raised = Command::new("prlimit").args(["--pid", &own, &value]).status().unwrap();
        assert!(raised.success(), "this needs {count} open files");
    };
    let current = fs::read_to_string("/proc/self/limits").unwrap();
    let current = current.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = current.split_whitespace().nth(3).unwrap();
    if soft.parse::<usize>().is_ok_and(|soft| soft < count) {
        limit(format!("--nofile={count}:"));
    }
}
