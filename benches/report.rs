//! What every benchmark does alike: one core, a clock of CPU time, rounds, medians, one JSON file.
//!
//! Contenders are measured in turn, round after round, so that whatever else the machine does meets
//! all of them; a figure is the median of its rounds, a ratio the median of the rounds' ratios. A
//! contender that leaves something behind (memory, threads, files) runs in a process of its own: the
//! benchmark starts itself again ([`child`]).
//!
//! [`Report::write`] prints what was seen and leaves it in `docs/benchmarks/`, with the goals and
//! whether they were met. A goal is never asserted: figures depend on the machine. The environment
//! sets the sizes, each benchmark names its own; `ROUNDS`; and `BENCH_RESULTS`, the folder written to.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may panic, answers on stdout, and uses what it needs of this"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// The figures of a row: of one round, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Rows of figures, of one round.
pub(crate) type Rows = BTreeMap<String, Figures>;

/// A number from the environment.
pub(crate) fn size(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

/// How often everything is measured.
pub(crate) fn rounds() -> usize {
    size("ROUNDS", 3)
}

/// CPU seconds of this process, all its threads, user and system.
pub(crate) fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Wall and CPU seconds of `work`.
pub(crate) fn timed(work: impl FnOnce()) -> (f64, f64) {
    let (start, before) = (Instant::now(), cpu());
    work();
    (start.elapsed().as_secs_f64(), cpu() - before)
}

/// Anonymous resident memory of this process in MiB.
pub(crate) fn anonymous_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Which of the cores that this process may use.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// For those who are measured.
    Last,
    /// For those who feed them.
    First,
}

/// Keeps this process, and what it will start, to one core.
pub(crate) fn pin(core: Core) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let core = match core {
        Core::First => cores.next(),
        Core::Last => cores.next_back(),
    };
    let mut set = CpuSet::new();
    set.set(core.unwrap());
    // Where this is forbidden, the figures are those of more cores: `cores_used` says so.
    sched_setaffinity(None, &set).ok();
}

/// This benchmark again, in a process of its own, with arguments that [`task`] finds there.
pub(crate) fn myself(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("--task").args(arguments).stdin(Stdio::null());
    command
}

/// What a child is to do; nothing in the process that was started first.
pub(crate) fn task() -> Vec<String> {
    std::env::args().skip_while(|argument| argument != "--task").skip(1).collect()
}

/// Runs a child to its end; the rows that it has answered.
pub(crate) fn child(arguments: &[&str]) -> Rows {
    let output = myself(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{arguments:?} failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A child's answer.
pub(crate) fn answer(rows: &Rows) {
    println!("{}", json!(rows));
}

/// One row.
pub(crate) fn row<const N: usize>(name: &str, figures: [(&str, f64); N]) -> Rows {
    let figures = figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect();
    Rows::from([(name.to_owned(), figures)])
}

/// What a figure is wanted to be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// All that one benchmark has seen.
pub(crate) struct Report {
    bench: &'static str,
    settings: Value,
    load_before: String,
    rounds: Vec<Rows>,
    ratios: Map<String, Value>,
    goals: Vec<Value>,
}

impl Report {
    pub(crate) fn new(bench: &'static str, settings: Value) -> Self {
        pin(Core::Last);
        let load_before = load();
        let (rounds, ratios, goals) = (Vec::new(), Map::new(), Vec::new());
        Self { bench, settings, load_before, rounds, ratios, goals }
    }

    /// Adds what a whole round has seen.
    pub(crate) fn round(&mut self, rows: impl IntoIterator<Item = Rows>) {
        self.rounds.push(rows.into_iter().flatten().collect());
    }

    fn each(&self, row: &str, figure: &str) -> Vec<f64> {
        let one = |round: &Rows| round.get(row)?.get(figure).copied();
        let all: Vec<f64> = self.rounds.iter().filter_map(one).collect();
        assert!(!all.is_empty(), "there is no {figure} of {row}");
        all
    }

    /// The median of a figure.
    pub(crate) fn figure(&self, row: &str, figure: &str) -> f64 {
        median(self.each(row, figure))
    }

    /// The median of the rounds' ratios of a figure: `row` to `beside`.
    pub(crate) fn ratio(&mut self, figure: &str, row: &str, beside: &str) -> f64 {
        let pairs = self.each(row, figure).into_iter().zip(self.each(beside, figure));
        let ratio = median(pairs.map(|(one, other)| one / other).collect());
        self.ratios.insert(format!("{figure}: {row} / {beside}"), rounded(ratio));
        ratio
    }

    /// Records what was wanted, what was seen, and whether that is enough.
    pub(crate) fn goal(&mut self, what: &str, seen: f64, goal: Goal) {
        let (wanted, met) = match goal {
            Goal::AtLeast(wanted) => (format!("at least {wanted}"), seen >= wanted),
            Goal::AtMost(wanted) => (format!("at most {wanted}"), seen <= wanted),
        };
        let seen = rounded(seen);
        self.goals.push(json!({ "goal": what, "wanted": wanted, "seen": seen, "met": met }));
    }

    /// Prints the report, and leaves it as JSON.
    pub(crate) fn write(self) {
        let mut rows = Map::new();
        for (name, figures) in self.rounds.iter().flatten() {
            let row = rows.entry(name.clone()).or_insert_with(|| json!({}));
            for figure in figures.keys() {
                row[figure] = rounded(self.figure(name, figure));
            }
        }
        let report = json!({
            "bench": self.bench,
            "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            "commit": said("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            "machine": {
                "cpu": cpu_name(),
                "cores": std::fs::read_to_string("/proc/cpuinfo")
                    .map(|text| text.matches("processor\t").count()).unwrap_or(0),
                "cores_used": std::thread::available_parallelism().map_or(0, usize::from),
                "system": said("uname", &["-srm"]),
                "load_before": self.load_before,
                "load_after": load(),
            },
            "settings": self.settings,
            "rounds": self.rounds.len(),
            "rows": rows,
            "ratios": self.ratios,
            "goals": self.goals,
        });
        let text = format!("{report:#}\n");
        print!("{text}");
        let results = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/benchmarks");
        let folder = std::env::var_os("BENCH_RESULTS").map_or(results.into(), PathBuf::from);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(self.bench).with_extension("json"), text).unwrap();
        for goal in &self.goals {
            let met = if goal["met"] == true { "met" } else { "not met" };
            println!("{}: {met}: {}, wanted {}", self.bench, line(goal), goal["wanted"]);
        }
    }
}

fn line(goal: &Value) -> String {
    format!("{}: {}", goal["goal"].as_str().unwrap_or_default(), goal["seen"])
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap()
}

/// Four digits are more than a figure can say.
fn rounded(figure: f64) -> Value {
    if figure.abs() >= 1e4 {
        return json!(figure.round() as i64);
    }
    json!(format!("{figure:.3e}").parse::<f64>().unwrap())
}

/// What a program says, without the end of the line.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn cpu_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split_once(": ").map_or("unknown", |(_, name)| name).to_owned()
}

/// How busy the machine is: the mean number of processes that wanted a core in the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
