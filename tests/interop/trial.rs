//! One real server and one keeper, from the first event to the verdict.
//!
//! Whatever is done to either, each number that the server has taken has to be in the output, once and in
//! order. What the server forgot on purpose is the exception, and has to be reported where its row can see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::support::{Keeper, STREAM, wait_for};
use super::kind::{Ends, Forgotten, Kind};
use super::load::Load;
use super::page::{Row, Verdict};
use super::process::Server;

/// So many are published between one fault and the next, at least.
const BETWEEN: usize = 100;

/// So many are published while nobody listens.
const AWAY: usize = 25;

pub(super) struct Trial {
    kind: Arc<dyn Kind>,
    version: String,
    load: Load,
    keeper: Keeper,
    server: Server,
    done: Vec<&'static str>,
    forgotten: BTreeSet<u64>,
    /// How many gaps have to be told.
    gaps_owed: usize,
    /// What came of what it was made to forget.
    promise: Forgotten,
}

impl Trial {
    /// The keeper reads, under load.
    pub(super) fn begin(kind: Arc<dyn Kind>) -> Self {
        let version = kind.install();
        let server = Server::start(&*kind);
        let keeper = Keeper::start_with::<&str>(&configuration(&*kind, &server), &[]);
        let load = Load::start(&kind, &server.place);
        let (done, forgotten) = (Vec::new(), BTreeSet::new());
        let promise = Forgotten::Never;
        let gaps_owed = 0;
        let trial =
            Self { kind, version, load, keeper, server, done, forgotten, gaps_owed, promise };
        trial.go_on();
        trial
    }

    /// More is published, and arrives.
    #[track_caller]
    fn go_on(&self) {
        let until = self.load.hold().taken.len() + BETWEEN;
        let taken = wait_for("more to be taken", || {
            let published = self.load.hold();
            (published.taken.len() >= until).then(|| published.taken.clone())
        });
        self.wait_arrived(&taken);
    }

    /// All of that arrives, but for what was forgotten.
    #[track_caller]
    fn wait_arrived(&self, taken: &[u64]) {
        let mut length = None;
        let mut missing = Missing::default();
        wait_for("what was taken to arrive", || {
            let now = std::fs::metadata(self.keeper.output()).map_or(0, |file| file.len());
            // Cheap first: a look reads everything.
            if length.replace(now) != Some(now) {
                missing.0 = &self.missing(taken) - &self.forgotten;
                return missing.0.is_empty().then_some(());
            }
            None
        });
    }

    /// The numbers in the output, in order.
    fn delivered(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.keeper.output()).unwrap_or_default();
        // A line may be half written.
        let envelopes = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        envelopes.filter_map(|envelope| self.kind.number(&envelope)).collect()
    }

    fn missing(&self, taken: &[u64]) -> BTreeSet<u64> {
        let delivered: BTreeSet<u64> = self.delivered().into_iter().collect();
        taken.iter().copied().filter(|number| !delivered.contains(number)).collect()
    }

    /// After an end that the server does not go on behind: what comes next is of another session, and what was taken
    /// before and has not arrived is lost with the last one.
    #[track_caller]
    fn lose(&mut self) {
        if self.kind.remembers() {
            return;
        }
        let last = self.load.hold().taken.last().copied();
        let newest = wait_for("something of another session", || {
            self.delivered().last().copied().filter(|newest| Some(*newest) > last)
        });
        let taken = self.load.hold().taken.clone();
        let lost = self.missing(&taken).into_iter().filter(|number| *number < newest);
        self.forgotten.extend(lost);
        self.gaps_owed += 1;
    }

    fn did(&mut self, what: &'static str) {
        self.done.push(what);
        self.go_on();
    }

    pub(super) fn kill_server(&mut self) {
        self.server.kill();
        self.server.start_again(&*self.kind);
        self.lose();
        self.did("killed");
    }

    pub(super) fn restart_server(&mut self) {
        self.server.stop();
        self.server.start_again(&*self.kind);
        self.lose();
        self.did("restarted");
    }

    /// Suspends it until it counts as dead, and the next connection has had no answer.
    pub(super) fn suspend_server(&mut self) {
        let before = self.keeper.log();
        self.server.signal("STOP");
        // One that is replaced sooner is not seen to be silent.
        if self.kind.ends() != Ends::Replaced {
            self.keeper.wait_said(STALE, before.said(STALE).len() + 1);
        }
        self.keeper.wait_said(UNANSWERED, before.said(UNANSWERED).len() + 1);
        self.server.signal("CONT");
        self.did("suspended");
    }

    pub(super) fn kill_keeper(&mut self) {
        self.keeper.restart();
        self.lose();
        self.did("Streamkeeper killed");
    }

    /// Waits until the server has ended connections by itself, if it does.
    pub(super) fn await_ends(&mut self) {
        let (said, done) = match self.kind.ends() {
            Ends::Never => return,
            Ends::UnderLoad | Ends::Idle => (ENDED, "ended connections by itself"),
            Ends::Replaced => (REPLACED, "connections replaced for their age"),
        };
        let idle = (self.kind.ends() == Ends::Idle).then(|| self.load.hold());
        self.keeper.wait_said(said, self.keeper.log().said(said).len() + 2);
        drop(idle);
        self.did(done);
    }

    /// While nobody listens, more is published, and the server forgets it, if it can be made to.
    pub(super) fn forget(&mut self) {
        self.keeper.stop();
        let mut published = self.load.hold();
        for _ in 0..AWAY {
            published.next();
        }
        self.server.kill();
        self.promise = self.kind.forget(&self.server.place);
        if self.promise != Forgotten::Never {
            self.forgotten.extend(self.missing(&published.taken));
        }
        self.gaps_owed += usize::from(self.promise == Forgotten::Reported);
        drop(published);
        self.server.start_again(&*self.kind);
        self.keeper.restart();
        self.did(match self.promise {
            Forgotten::Never => "Streamkeeper away",
            Forgotten::Reported | Forgotten::Unnoticed => "made to forget",
        });
    }

    /// Waits until everything has arrived that will; then what is to be said about it.
    pub(super) fn finish(mut self) -> Row {
        let published = self.load.hold();
        self.wait_arrived(&published.taken);
        let log = self.keeper.stop();
        let delivered = self.delivered();
        let once: BTreeSet<u64> = delivered.iter().copied().collect();
        let gaps = log.said(GAP).len();
        let lost = self.missing(&published.taken);
        let is_known = lost.is_subset(&self.forgotten);
        let is_lost = self.promise != Forgotten::Never;
        let is_as_promised = is_known && is_lost != lost.is_empty() && gaps == self.gaps_owed;
        let lost = lost.len();
        let is_ordered = delivered.is_sorted();
        Row {
            server: self.kind.name(),
            version: self.version,
            preset: self.kind.preset(),
            done: self.done,
            published: published.taken.len(),
            delivered: once.len(),
            lost,
            duplicates: delivered.len() - once.len(),
            gaps,
            verdict: match self.promise {
                _ if !(is_as_promised && is_ordered && delivered.len() == once.len()) => {
                    Verdict::Broken
                }
                Forgotten::Never => Verdict::Whole,
                Forgotten::Reported => Verdict::Reported,
                Forgotten::Unnoticed => Verdict::Unnoticed,
            },
        }
    }
}

/// What has not arrived yet. If it never does, it is shown.
#[derive(Default)]
struct Missing(BTreeSet<u64>);

impl Drop for Missing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── missing: {} numbers, the first are", self.0.len());
            eprintln!("{:?}", self.0.iter().take(20).collect::<Vec<_>>());
        }
    }
}

/// The keeper's: the preset, but for its times.
fn configuration(kind: &dyn Kind, server: &Server) -> String {
    let (preset, path, scaled) = (kind.preset(), kind.path(), kind.scaled());
    let url = server.place.url_of(kind.scheme());
    format!(
        "[service]\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n\n\
         [[stream]]\nname = \"{STREAM}\"\ndialect = \"{preset}\"\nurl = \"{url}{path}\"\n\n\
         [stream.watchdog]\nconnect_timeout = \"2s\"\n\n\
         [stream.sse]\nstale_floor = \"2s\"\n{scaled}\n\
         [[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n"
    )
}

/// What the log says when a connection is silent for too long.
const STALE: &str = "an incident begins: the connection was silent for stale_after";
/// What the log says when a connection cannot be had.
const UNANSWERED: &str = "cannot connect to the stream";
/// What the log says when a connection has ended that we did not kill.
const ENDED: &str = "a connection ended";
/// What the log says when we end one for its age.
const REPLACED: &str = "replacing a connection for its age";
/// What the log says when the resume point is lost.
const GAP: &str = "gap: ";
