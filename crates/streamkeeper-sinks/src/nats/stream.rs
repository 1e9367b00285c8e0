//! The JetStream stream: checked or made, looked at, written to.

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use streamkeeper_sink::{OwnPlace, SinkError};

use super::NatsConfig;
use super::answer::{self, Answer, ApiError, NO_MESSAGE, STREAM_NOT_FOUND, Stored};
use super::connection::Connection;
use super::message::{self, Outgoing};
use super::subject::covers;

/// The JetStream stream, over one connection.
#[derive(Debug)]
pub(super) struct JetStream {
    pub(super) connection: Connection,
    name: String,
    pub(super) facts: Facts,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The server's version.
    version: String,
    /// Whether a batch may be written at once.
    pub(super) atomic: bool,
    /// Whether its messages stay until they are old, so that the last one of a stream is its place.
    pub(super) keeps: bool,
    /// What a message may have, headers and body together.
    pub(super) bytes_max: usize,
    /// What a person should know.
    pub(super) remarks: Vec<&'static str>,
}

/// What the server says of its configuration, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Settings {
    #[serde(default)]
    subjects: Vec<String>,
    retention: String,
    storage: String,
    num_replicas: usize,
    #[serde(default)]
    max_msg_size: i64,
    #[serde(default)]
    no_ack: bool,
    #[serde(default)]
    sealed: bool,
    #[serde(default)]
    allow_atomic: bool,
    #[serde(default)]
    mirror: Option<Value>,
    #[serde(default)]
    subject_transform: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Info {
    config: Settings,
}

/// A message that is there.
pub(super) struct Found {
    /// The server's number of it.
    pub(super) number: u64,
    pub(super) headers: HeaderMap,
}

/// How writing went.
pub(super) enum Written {
    /// All of it is there, the last message under this number.
    All(u64),
    /// It was there before.
    Known,
    /// Refused, with all that stood beside it.
    Not(ApiError),
}

/// The first with atomic batches.
const VERSION: (u32, u32) = (2, 12);

impl JetStream {
    /// Connects, and checks the JetStream stream; one that is missing is made if `make`.
    pub(super) async fn open(
        name: &str,
        config: &NatsConfig,
        make: bool,
    ) -> Result<Option<Self>, SinkError> {
        let connection = Connection::new(name, config).await?;
        let (version, known) = connection.version();
        if known.is_none_or(|known| known < VERSION) {
            let words = format!(
                "the server is NATS {version}, and 2.12 or newer is needed: its atomic batches are"
            );
            return Err(SinkError::refused("server_too_old").with_detail(words));
        }
        let asked =
            connection.api::<Info>(&format!("STREAM.INFO.{}", config.stream), json!({})).await?;
        let settings = match asked {
            Ok(info) => info.config,
            Err(ApiError { err_code: STREAM_NOT_FOUND, .. }) if !make => return Ok(None),
            Err(ApiError { err_code: STREAM_NOT_FOUND, .. }) => {
                let create = format!("STREAM.CREATE.{}", config.stream);
                let made = connection.api::<Info>(&create, wanted(config)).await?;
                tracing::info!(
                    stream = config.stream,
                    "made the JetStream stream of the sink `{name}`"
                );
                made.map_err(ApiError::into_sink_error)?.config
            }
            Err(error) => return Err(error.into_sink_error()),
        };
        check(&settings, config)?;
        let facts = facts(&settings, version, connection.client.server_info().max_payload);
        Ok(Some(Self { connection, name: config.stream.clone(), facts }))
    }

    /// What was found, in words.
    pub(super) fn words(&self) -> String {
        let remarks: String =
            self.facts.remarks.iter().map(|remark| format!("; {remark}")).collect();
        format!("NATS {}, JetStream stream {}{remarks}", self.facts.version, self.name)
    }

    /// The last message of these subjects, if there is one.
    pub(super) async fn last(&self, subjects: &str) -> Result<Option<Found>, SinkError> {
        self.find(json!({ "last_by_subj": subjects })).await
    }

    /// The places that messages of these subjects say whose numbers are above `after`, and the last of them.
    pub(super) async fn since(
        &self,
        subjects: &str,
        after: u64,
    ) -> Result<(u64, Vec<OwnPlace>), SinkError> {
        let (mut last, mut places) = (after, Vec::new());
        while let Some(found) =
            self.find(json!({ "next_by_subj": subjects, "seq": last + 1 })).await?
        {
            last = found.number;
            places.extend(message::place(&found.headers));
        }
        Ok((last, places))
    }

    /// Asks whoever leads the JetStream stream: others may be behind.
    async fn find(&self, which: Value) -> Result<Option<Found>, SinkError> {
        #[derive(Deserialize)]
        struct Answered {
            message: Raw,
        }
        #[derive(Deserialize)]
        struct Raw {
            seq: u64,
            #[serde(default)]
            hdrs: String,
        }
        match self.connection.api(&format!("STREAM.MSG.GET.{}", self.name), which).await? {
            Ok(Answered { message: Raw { seq, hdrs } }) => {
                Ok(Some(Found { number: seq, headers: headers(&hdrs).unwrap_or_default() }))
            }
            Err(ApiError { err_code: NO_MESSAGE, .. }) => Ok(None),
            Err(error) => Err(error.into_sink_error()),
        }
    }

    /// Writes messages, all of them or none: a batch, if they are several.
    pub(super) async fn write(&self, mut messages: Vec<Outgoing>) -> Result<Written, SinkError> {
        let client = &self.connection.client;
        let count = messages.len();
        let batch = (count > 1).then(|| client.new_inbox());
        let Some(mut last) = messages.pop() else { return Ok(Written::Known) };
        if let Some(batch) = &batch {
            let send = async {
                for (message, number) in messages.into_iter().zip(1..) {
                    let Outgoing { subject, mut headers, body } = message;
                    of_batch(&mut headers, batch, number);
                    let sent = client.publish_with_headers(subject, headers, body).await;
                    sent.map_err(|_| SinkError::broken("connection_lost"))?;
                }
                Ok(())
            };
            self.connection.within_limit(send).await?;
            of_batch(&mut last.headers, batch, count);
            last.headers.insert("Nats-Batch-Commit", "1");
        }
        let answer = self.connection.ask(last.subject, Some(last.headers), last.body).await?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Answer::Error { error }) => Ok(Written::Not(error)),
            Ok(Answer::Is(Stored { duplicate: true, .. })) => Ok(Written::Known),
            Ok(Answer::Is(Stored { seq, .. })) => Ok(Written::All(seq)),
            Err(_) => Err(SinkError::broken("unreadable_answer")),
        }
    }

    /// The name of the JetStream stream.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// The one of a batch that has no name of its own is named by what is unique already.
fn of_batch(headers: &mut HeaderMap, batch: &str, number: usize) {
    headers.insert("Nats-Batch-Id", batch);
    headers.insert("Nats-Batch-Sequence", number.to_string());
}

/// What a JetStream stream is made with.
fn wanted(config: &NatsConfig) -> Value {
    json!({
        "name": config.stream,
        "description": "events of Streamkeeper",
        "subjects": [config.subject.of_all()],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": config.replicas,
        "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_msg_size": -1, "max_msgs_per_subject": -1,
        "max_age": 0,
        "duplicate_window": 120_000_000_000_u64,
        "allow_direct": true,
        "allow_atomic": true,
        "deny_delete": true,
        "deny_purge": true,
    })
}

/// What a hand has to mend.
fn check(settings: &Settings, config: &NatsConfig) -> Result<(), SinkError> {
    let (stream, all) = (&config.stream, config.subject.of_all());
    let (reason, words) = if settings.mirror.is_some() {
        (
            "mirror",
            format!(
                "the JetStream stream {stream} is a mirror and takes nothing itself: name another one"
            ),
        )
    } else if settings.sealed {
        return Err(ApiError { code: 400, err_code: answer::SEALED }.into_sink_error());
    } else if settings.no_ack {
        (
            "no_acknowledgements",
            format!(
                "the JetStream stream {stream} acknowledges nothing: run `nats stream edit {stream} --ack`"
            ),
        )
    } else if !settings.subjects.iter().any(|subject| covers(subject, &all)) {
        (
            "subjects_missing",
            format!(
                "the JetStream stream {stream} does not take {all}: add it with `nats stream edit {stream} --subjects`"
            ),
        )
    } else {
        return Ok(());
    };
    Err(SinkError::refused(reason).with_detail(words))
}

fn facts(settings: &Settings, version: String, max_payload: usize) -> Facts {
    let keeps = settings.retention == "limits" && settings.subject_transform.is_none();
    let mut remarks = Vec::new();
    if !settings.allow_atomic {
        remarks.push("it does not allow atomic batches: each event goes alone (`nats stream edit --allow-batch`)");
    }
    if !keeps {
        remarks.push("it does not keep what was consumed, or renames it: each event goes alone, and what is given again \
             after a crash is known by Nats-Msg-Id only, within the stream's duplicate window");
    }
    if settings.storage != "file" {
        remarks.push("it is in memory: what is acknowledged is gone when the server stops");
    } else if settings.num_replicas < 3 {
        remarks.push("it has fewer than three replicas: what is acknowledged may be lost with the machine's power, unless the \
             server has `sync_interval: always` (which a client cannot see; its default is two minutes)");
    }
    let limit = usize::try_from(settings.max_msg_size).ok().filter(|limit| *limit > 0);
    let bytes_max = limit.map_or(max_payload, |limit| limit.min(max_payload));
    Facts { version, atomic: settings.allow_atomic && keeps, keeps, bytes_max, remarks }
}

/// The headers of a message as the API has them: `NATS/1.0`, a line for each, in base64.
fn headers(encoded: &str) -> Option<HeaderMap> {
    let text = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let mut headers = HeaderMap::new();
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        // A name that is none would be a panic.
        if let Ok(name) = name.parse::<async_nats::HeaderName>() {
            headers.append(name, value.trim());
        }
    }
    Some(headers)
}
