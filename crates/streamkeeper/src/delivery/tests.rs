//! Sinks that hang, refuse and fail, over real ledgers with several streams.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamkeeper_core::time::Timestamp;
use streamkeeper_core::version::Version;
use streamkeeper_ledger::fs::RealFs;
use streamkeeper_ledger::{Given, Incoming, Ledger};
use streamkeeper_sink::{
    BoxFuture, Envelope, OwnPlace, Resume, Shape, Sink, SinkConfigError, SinkError, SinkFactory,
    SinkTable,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::consumers::{Consumers, GivenSink, LAST_CALL};
use super::dead_letters::letters;
use super::redelivery::{LetterAct, LetterReport, LetterSpec};
use super::turns::SinkStop;
use crate::base::budget::Budget;
use crate::config::{Config, SinkConfig};
use crate::observe::registry::{Registry, StreamEntry};
use crate::store::source::Source;

/// A sink made of functions.
struct Scripted<R, D> {
    shape: Shape,
    resume: Mutex<R>,
    deliver: Mutex<D>,
}

/// The sink's own place, in the first stream.
fn own() -> OwnPlace {
    OwnPlace { ledger: Some("5f0e".into()), next: 7 }
}

type Answer = BoxFuture<'static, Result<(), SinkError>>;

impl<R: FnMut(&str) -> Answer + Send, D: FnMut(&[Envelope]) -> Answer + Send> Sink
    for Scripted<R, D>
{
    fn shape(&self) -> Shape {
        self.shape
    }

    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        (self.resume.lock().unwrap())(&format!("{} {}", resume.source, resume.ledger))
    }

    fn places(&self) -> Vec<(String, OwnPlace)> {
        vec![("0".into(), own())]
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        (self.deliver.lock().unwrap())(batch)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { Err(SinkError::broken("not_in_order")) })
    }
}

fn answer(answer: Result<(), SinkError>) -> Answer {
    Box::pin(std::future::ready(answer))
}

fn scripted(
    shape: Shape,
    resume: impl FnMut(&str) -> Answer + Send + 'static,
    deliver: impl FnMut(&[Envelope]) -> Answer + Send + 'static,
) -> Box<dyn Sink> {
    Box::new(Scripted { shape, resume: Mutex::new(resume), deliver: Mutex::new(deliver) })
}

/// Builds this sink, once.
struct Once(Mutex<Option<Box<dyn Sink>>>);

impl SinkFactory for Once {
    fn type_name(&self) -> &'static str {
        "scripted"
    }

    fn check(&self, _: &str, _: SinkTable) -> Result<(), SinkConfigError> {
        Ok(())
    }

    fn build(&self, _: &str, _: SinkTable) -> Result<Box<dyn Sink>, SinkConfigError> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
}

/// Streams, numbered from 0, and a sink of them all.
struct Stand {
    folder: tempfile::TempDir,
    consumers: Consumers,
    ledgers: Vec<Ledger>,
    sources: Vec<Source>,
}

impl Stand {
    fn new(
        shape: Shape,
        resume: impl FnMut(&str) -> Answer + Send + 'static,
        deliver: impl FnMut(&[Envelope]) -> Answer + Send + 'static,
    ) -> Self {
        let given = GivenSink { name: "scripted".into(), sink: scripted(shape, resume, deliver) };
        Self::start(Config::default(), vec![given], None)
    }

    /// A sink with a table of its own.
    fn of_table(
        table: SinkConfig,
        deliver: impl FnMut(&[Envelope]) -> Answer + Send + 'static,
    ) -> Self {
        let config = Config { sinks: vec![table], ..Config::default() };
        let sink = scripted(SEVERAL, |_| answer(Ok(())), deliver);
        Self::start(config, Vec::new(), Some(sink))
    }

    fn start(mut config: Config, given: Vec<GivenSink>, built: Option<Box<dyn Sink>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        config.service.data_dir = folder.path().to_owned();
        let (stop, _) = watch::channel(SinkStop::No);
        let factories: Vec<Box<dyn SinkFactory>> = vec![Box::new(Once(Mutex::new(built)))];
        let started = Consumers::start(&config, &factories, given, stop, &Registry::default());
        let (consumers, _) = started.unwrap();
        Self { folder, consumers, ledgers: Vec::new(), sources: Vec::new() }
    }

    /// So many streams, each with an event.
    fn with_streams(mut self, count: usize) -> Self {
        for number in 0..count {
            let name = number.to_string();
            let subscribers = self.consumers.of(&name);
            let consumers: Vec<_> =
                subscribers.iter().map(|one| Arc::clone(&one.consumer)).collect();
            let config = streamkeeper_ledger::LedgerConfig {
                sinks: consumers.iter().map(|consumer| consumer.name.clone()).collect(),
                ..streamkeeper_ledger::LedgerConfig::default()
            };
            let place = self.folder.path().join(&name);
            let (ledger, _) = Ledger::open(Arc::new(RealFs), &place, config).unwrap();
            let budget = Budget::new(1);
            let outbox = ledger.outbox();
            let name = name.as_str().into();
            let entry = Arc::new(StreamEntry::new(name, outbox.clone(), budget, consumers));
            self.sources.extend(subscribers.into_iter().map(|subscriber| Source {
                entry: Arc::clone(&entry),
                outbox: outbox.clone(),
                subscriber,
            }));
            self.ledgers.push(ledger);
            self.commit(number);
        }
        self.consumers.add(self.sources.iter());
        self
    }

    /// Another event in a stream.
    fn commit(&mut self, stream: usize) {
        self.commit_of(stream, 'k');
    }

    /// One of this type.
    fn commit_of(&mut self, stream: usize, kind: char) {
        let key = self.sources[stream].outbox.end().to_string();
        let version = Version { created_at: None, checksum: 1, withdrawn: false };
        let arrived = Timestamp::from_micros(1);
        // Of this type, of no user, not replayed.
        let head = [1, 1, kind as u8, 0, 0];
        let event = Incoming { kind: 0, key: &key, version, arrived, head: &head, payload: b"{}" };
        self.ledgers[stream].accept(&event).unwrap();
        self.ledgers[stream].commit().unwrap();
        self.sources[stream].bell().ring();
    }

    fn failing(&self, stream: usize) -> Option<&'static str> {
        self.sources[stream].subscriber.consumer.failing()
    }
}

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("within its time");
    });
}

fn sources(batch: &[Envelope]) -> Vec<String> {
    batch.iter().map(|envelope| envelope.source.to_string()).collect()
}

const SEVERAL: Shape = Shape {
    in_flight: 1,
    events_max: 1_000,
    bytes_max: 1 << 20,
    several: true,
    linger: Duration::ZERO,
    time_limit: None,
};

#[test]
fn a_sink_that_hangs_is_waited_for_once_and_not_for_each_stream() {
    let (asked, mut when_asked) = mpsc::unbounded_channel();
    let resume = move |_: &str| {
        asked.send(()).unwrap();
        Box::pin(std::future::pending()) as Answer
    };
    run(async {
        let mut stand = Stand::new(SEVERAL, resume, |_| answer(Ok(()))).with_streams(10);
        when_asked.recv().await.unwrap();
        let began = Instant::now();
        let entries: Vec<_> =
            stand.sources.iter().map(|source| Arc::clone(&source.entry)).collect();
        stand.consumers.remove(&entries, began).await;
        assert!(began.elapsed() < LAST_CALL * 5, "{:?}", began.elapsed());
    });
}

#[test]
fn a_sink_is_told_which_ledger_it_is_and_a_ledger_which_one_the_sink_has_a_place_of() {
    let (told, mut when_told) = mpsc::unbounded_channel();
    let resume = move |of: &str| {
        told.send(of.to_owned()).unwrap();
        answer(Ok(()))
    };
    run(async {
        let stand = Stand::new(SEVERAL, resume, |_| answer(Ok(()))).with_streams(2);
        let OwnPlace { ledger, next } = own();
        let given = |stream| stand.consumers.given(stream);
        assert_eq!((given("0"), given("1")), (vec![Given { ledger, next }], vec![]));
        for Source { entry, outbox, .. } in &stand.sources {
            let of_it = format!("{} {}", entry.name, outbox.identity());
            assert_eq!(when_told.recv().await, Some(of_it));
        }
    });
}

#[test]
fn a_stream_that_a_sink_refuses_for_good_or_for_now_delays_no_other() {
    for error in [SinkError::poisoned, SinkError::refused, SinkError::broken] {
        for several in [false, true] {
            let (given, mut seen) = mpsc::unbounded_channel();
            let deliver = move |batch: &[Envelope]| {
                let sources = sources(batch);
                if sources.iter().any(|source| source == "0") {
                    return answer(Err(error("refused").of_stream("0")));
                }
                given.send(sources).unwrap();
                answer(Ok(()))
            };
            let shape = Shape { several, ..SEVERAL };
            run(async {
                let stand = Stand::new(shape, |_| answer(Ok(())), deliver);
                let mut stand = stand.with_streams(2);
                for _ in 0..100 {
                    assert_eq!(seen.recv().await.unwrap(), ["1"]);
                    stand.commit(0);
                    stand.commit(1);
                }
                assert_eq!((stand.failing(0), stand.failing(1)), (Some("refused"), None));
            });
        }
    }
}

#[test]
fn one_delivery_carries_the_streams_that_have_news_and_moves_the_cursor_of_each() {
    let (given, mut seen) = mpsc::unbounded_channel();
    let deliver = move |batch: &[Envelope]| {
        given.send(sources(batch)).unwrap();
        answer(Ok(()))
    };
    run(async {
        let mut stand = Stand::new(SEVERAL, |_| answer(Ok(())), deliver).with_streams(5);
        assert_eq!(seen.recv().await.unwrap(), ["0", "1", "2", "3", "4"]);
        stand.commit(3);
        assert_eq!(seen.recv().await.unwrap(), ["3"]);
        let later = Instant::now() + Duration::from_secs(5);
        stand.commit(1);
        stand.consumers.stop(later, later).await;
        assert_eq!(seen.recv().await.unwrap(), ["1"]);
        assert!(stand.sources.iter().all(|source| source.entry.is_delivered()));
    });
}

#[test]
fn a_delivery_that_never_returns_is_given_up_and_given_again() {
    let (given, mut seen) = mpsc::unbounded_channel();
    let deliver = move |batch: &[Envelope]| {
        given.send(sources(batch)).unwrap();
        Box::pin(std::future::pending()) as Answer
    };
    let shape = Shape { time_limit: Some(Duration::from_millis(20)), ..SEVERAL };
    run(async {
        let stand = Stand::new(shape, |_| answer(Ok(())), deliver).with_streams(1);
        for _ in 0..3 {
            assert_eq!(seen.recv().await.unwrap(), ["0"]);
        }
        assert_eq!(stand.failing(0), Some("timed_out"));
        assert_eq!(stand.sources[0].outbox.backlog("scripted"), 1);
    });
}

#[test]
fn an_event_that_is_refused_is_found_and_set_aside_and_sent_again_by_a_hand() {
    let (given, mut seen) = mpsc::unbounded_channel();
    let deliver = move |batch: &[Envelope]| {
        let is_refused = |event: &&Envelope| event.sequence == 3 && !event.redelivered;
        if batch.iter().any(|event| is_refused(&event)) {
            return answer(Err(SinkError::poisoned("odd")));
        }
        batch.iter().for_each(|event| given.send(event.sequence).unwrap());
        answer(Ok(()))
    };
    run(async {
        let table = SinkConfig { attempts: Some(2), ..SinkConfig::new("scripted", "scripted") };
        let mut stand = Stand::of_table(table, deliver).with_streams(1);
        (0..5).for_each(|_| stand.commit(0));
        for expected in [1, 2, 4, 5, 6] {
            assert_eq!(seen.recv().await, Some(expected));
        }
        let consumer = Arc::clone(&stand.sources[0].subscriber.consumer);
        let there = letters(stand.folder.path(), "scripted", false).unwrap();
        assert_eq!((there.len(), there[0].sequence, &*there[0].reason), (1, 3, "odd"));
        assert_eq!(consumer.dead_letters.load(std::sync::atomic::Ordering::Relaxed), 1);
        while !stand.sources[0].entry.is_delivered() {
            tokio::task::yield_now().await;
        }

        let act = |sink: &str, act| {
            let (done, when_done) = oneshot::channel();
            let spec = LetterSpec { sink: sink.into(), act, numbers: Vec::new() };
            stand.consumers.letters(spec, done);
            async { when_done.await.unwrap() }
        };
        assert!(act("unheard-of", LetterAct::Retry).await.is_err());
        let report = LetterReport { done: 1, left: 0, reason: None };
        assert_eq!(act("scripted", LetterAct::Retry).await, Ok(report));
        assert_eq!(seen.recv().await, Some(3));
        assert_eq!(letters(stand.folder.path(), "scripted", false).unwrap(), []);
    });
}

#[test]
fn what_a_sink_does_not_want_is_passed_over_and_not_waited_for() {
    let (given, mut seen) = mpsc::unbounded_channel();
    let deliver = move |batch: &[Envelope]| {
        batch.iter().for_each(|event| given.send(event.sequence).unwrap());
        answer(Ok(()))
    };
    run(async {
        let table =
            SinkConfig { types: vec!["w*".into()], ..SinkConfig::new("scripted", "scripted") };
        let mut stand = Stand::of_table(table, deliver).with_streams(2);
        for kind in ['w', 'x', 'x', 'w', 'x'] {
            stand.commit_of(0, kind);
        }
        // The first was of type `k`, as all are in the other stream.
        assert_eq!((seen.recv().await, seen.recv().await), (Some(2), Some(5)));
        while !stand.sources.iter().all(|source| source.entry.is_delivered()) {
            tokio::task::yield_now().await;
        }
        assert!(seen.try_recv().is_err());
    });
}
