//! The sink: looks where it is unsure, and writes what is missing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamkeeper_sink::{
    BoxFuture, Envelope, Failure, OwnPlace, Recall, Recalled, Resume, Shape, Sink, SinkError,
};

use super::NatsConfig;
use super::answer::{ApiError, BATCH_TOO_LARGE, WRONG_LAST};
use super::message::{self, Outgoing};
use super::places::{Places, Seen};
use super::stream::{JetStream, Written};

/// A sink that writes to a JetStream stream; see the module for what it promises.
#[derive(Debug)]
pub struct NatsSink {
    name: String,
    config: NatsConfig,
    /// The connection of deliveries, while it is believed to be good.
    open: Mutex<Option<Arc<JetStream>>>,
    places: Places,
    /// So many messages make a batch; fewer than 1,000 if the server wants that.
    batch_max: AtomicUsize,
    /// What was said of the JetStream stream last: it is not said again.
    said: Mutex<Vec<&'static str>>,
}

/// What a server takes as one batch, unless it is told otherwise.
const BATCH_MAX: usize = 1_000;

/// A batch has a file of its own at the server: a hundred a second are enough.
const LINGER: Duration = Duration::from_millis(10);

/// So often a delivery looks again and goes on when something else was written meanwhile.
const TRIES: usize = 5;

impl NatsSink {
    /// A sink of this name; it connects when it is opened.
    #[must_use]
    pub fn new(name: &str, config: NatsConfig) -> Self {
        Self {
            name: name.to_owned(),
            config,
            open: Mutex::default(),
            places: Places::default(),
            batch_max: AtomicUsize::new(BATCH_MAX),
            said: Mutex::default(),
        }
    }

    async fn opened(&self) -> Result<Arc<JetStream>, SinkError> {
        let open = lock(&self.open).clone();
        if let Some(stream) = open {
            return Ok(stream);
        }
        let missing = || SinkError::broken("no_stream");
        let stream = JetStream::open(&self.name, &self.config, true).await?.ok_or_else(missing)?;
        let stream = Arc::new(stream);
        let remarks = &stream.facts.remarks;
        let mut said = lock(&self.said);
        for remark in remarks.iter().filter(|remark| !said.contains(remark)) {
            tracing::warn!(
                sink = self.name,
                "the JetStream stream {}: {remark}",
                self.config.stream
            );
        }
        said.clone_from(remarks);
        drop(said);
        *lock(&self.open) = Some(Arc::clone(&stream));
        Ok(stream)
    }

    /// After a failure that may be the connection's, or of what was known when it was made, the next one is new.
    fn judge(&self, error: SinkError) -> SinkError {
        if matches!(error.failure, Failure::Broken | Failure::Refused) {
            *lock(&self.open) = None;
        }
        error
    }

    async fn look(
        &self,
        stream: &JetStream,
        source: &str,
        known: Option<u64>,
    ) -> Result<(), SinkError> {
        if !stream.facts.keeps {
            self.places.looked(source, known.unwrap_or_default(), &[]);
            return Ok(());
        }
        let subjects = self.config.subject.of_stream(source);
        let Seen { last, place } = seen(stream, &subjects).await?;
        let Some(known) = known.filter(|known| last > *known) else {
            self.places.looked(source, last, &[]);
            return Ok(());
        };
        match place {
            Some(place) if place.ledger == self.places.own(source).ledger => {
                self.places.looked(source, last, &[place]);
            }
            // Somebody else has written behind what may be ours.
            _ => {
                let (last, places) = stream.since(&subjects, known).await?;
                self.places.looked(source, last, &places);
            }
        }
        Ok(())
    }

    async fn give(&self, batch: &[Envelope]) -> Result<(), SinkError> {
        let stream = self.opened().await?;
        let mut tries = TRIES;
        loop {
            for (source, known) in self.places.unsure(batch) {
                self.look(&stream, &source, known).await?;
            }
            let missing = self.places.missing(batch);
            let events = missing.get(..self.at_once(&stream)).unwrap_or(&missing);
            if events.is_empty() || self.is_there_again(&stream, events).await? {
                return Ok(());
            }
            match self.write(&stream, events).await? {
                None if events.len() == missing.len() => return Ok(()),
                None => {}
                Some(error) if error.err_code == BATCH_TOO_LARGE && events.len() > 1 => {
                    self.places.refused(events);
                    self.batch_max.store(events.len() / 2, Ordering::Relaxed);
                }
                Some(error) if WRONG_LAST.contains(&error.err_code) => {
                    tries -= 1;
                    if tries == 0 {
                        return Err(SinkError::busy("written_meanwhile", None));
                    }
                }
                Some(error) => {
                    let error = error.into_sink_error();
                    return Err(match events {
                        [event] if error.failure == Failure::Poisoned => error.of_event(event),
                        _ => error,
                    });
                }
            }
        }
    }

    fn at_once(&self, stream: &JetStream) -> usize {
        if stream.facts.atomic { self.batch_max.load(Ordering::Relaxed).max(1) } else { 1 }
    }

    /// What a hand sends again moves no place; if it is the last of its subject, it has arrived already.
    async fn is_there_again(
        &self,
        stream: &JetStream,
        events: &[&Envelope],
    ) -> Result<bool, SinkError> {
        let [event] = events else { return Ok(false) };
        if !event.redelivered || !stream.facts.keeps {
            return Ok(false);
        }
        let subject = self.config.subject.subject(&event.source, &event.kind);
        let own = self.places.own(&event.source);
        let last = stream.last(&subject).await?;
        Ok(last.is_some_and(|last| message::is_again(&last.headers, event, &own)))
    }

    /// Writes these events, all or none: `None` if they are there, the server's reason if they are not.
    async fn write(
        &self,
        stream: &JetStream,
        events: &[&Envelope],
    ) -> Result<Option<ApiError>, SinkError> {
        let template = &self.config.subject;
        let prepare = |(event, (place, after)): (&&Envelope, (OwnPlace, Option<u64>))| {
            let subject = template.subject(&event.source, &event.kind);
            let mut message = Outgoing::new(subject, self.config.format, event, &place);
            message.check_size(stream.facts.bytes_max, event)?;
            if let Some(after) = after.filter(|_| stream.facts.keeps) {
                message.headers.insert("Nats-Expected-Stream", stream.name());
                message.headers.insert("Nats-Expected-Last-Subject-Sequence", after.to_string());
                let subjects = template.of_stream(&event.source);
                message.headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", subjects);
            }
            if !stream.facts.atomic {
                // In a batch, one that is known would have all of it refused.
                message.headers.insert("Nats-Msg-Id", message::value(&event.id));
            }
            Ok(message)
        };
        let sent = self.places.send(events);
        let messages: Result<Vec<_>, SinkError> = events.iter().zip(sent).map(prepare).collect();
        let messages = messages.inspect_err(|_| self.places.refused(events))?;
        match stream.write(messages).await? {
            Written::All(last) => self.places.sent(events, Some(last)),
            Written::Known => self.places.sent(events, None),
            Written::Not(error) => return Ok(Some(error)),
        }
        Ok(None)
    }
}

async fn seen(stream: &JetStream, subjects: &str) -> Result<Seen, SinkError> {
    let last = stream.last(subjects).await?;
    Ok(last.map_or_else(Seen::default, |last| Seen {
        last: last.number,
        place: message::place(&last.headers),
    }))
}

impl Sink for NatsSink {
    fn shape(&self) -> Shape {
        Shape { events_max: BATCH_MAX, several: true, linger: LINGER, ..Shape::default() }
    }

    fn open(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async { self.opened().await.map(drop) })
    }

    fn resume<'a>(&'a self, resume: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let look = async {
                let stream = self.opened().await?;
                if !stream.facts.keeps {
                    return Ok(Seen::default());
                }
                seen(&stream, &self.config.subject.of_stream(resume.source)).await
            };
            let seen = look.await.map_err(|error| self.judge(error))?;
            self.places.resume(resume, &seen);
            Ok(())
        })
    }

    fn deliver<'a>(&'a self, batch: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let given = self.give(batch).await;
            given.map_err(|error| self.places.with_done(self.judge(error), batch))
        })
    }

    fn probe(&self) -> BoxFuture<'_, Result<Option<String>, SinkError>> {
        Box::pin(async {
            let stream = JetStream::open(&self.name, &self.config, false).await?;
            let missing =
                || format!("no JetStream stream {} yet: it will be made", self.config.stream);
            Ok(Some(stream.map_or_else(missing, |stream| stream.words())))
        })
    }

    fn recall<'a>(
        &'a self,
        recall: Recall<'a>,
        take: &'a mut (dyn FnMut(Recalled) + Send),
    ) -> BoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(async move {
            let stream = self.opened().await?;
            if !stream.facts.keeps {
                return Ok(false);
            }
            let subjects = self.config.subject.of_stream(recall.source);
            let read = super::recall::read(&stream, &subjects, recall, take).await;
            read.map(|()| true).map_err(|error| self.judge(error))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async {
            *lock(&self.open) = None;
            Ok(())
        })
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
