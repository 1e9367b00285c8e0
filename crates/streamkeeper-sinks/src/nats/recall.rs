//! What the JetStream stream has of a stream: the headers of its messages, read one after the other.

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use streamkeeper_sink::{Recall, Recalled, SinkError};

use super::answer::ApiError;
use super::message;
use super::stream::JetStream;

/// An event is stored after the service processed it; so much may the clocks of the two differ.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// So many messages are asked for at once.
const AT_ONCE: u64 = 500;

/// A consumer that nobody asks any more is forgotten by the server.
const FORGOTTEN_AFTER_NS: u64 = 60_000_000_000;

#[derive(Deserialize)]
struct Consumer {
    name: String,
    num_pending: u64,
}

/// Tells `take` of the events below `subjects`. One without a time is told if it was stored since.
pub(super) async fn read(
    stream: &JetStream,
    subjects: &str,
    recall: Recall<'_>,
    take: &mut (dyn FnMut(Recalled) + Send),
) -> Result<(), SinkError> {
    let connection = &stream.connection;
    let since = Timestamp::from_microsecond(recall.since_us).ok();
    let since = since
        .and_then(|since| since.checked_sub(CLOCKS).ok())
        .filter(|since| *since > Timestamp::UNIX_EPOCH);
    let mut config = json!({
        "deliver_policy": "all",
        "ack_policy": "none",
        "filter_subject": subjects,
        "headers_only": true,
        "mem_storage": true,
        "num_replicas": 1,
        "inactive_threshold": FORGOTTEN_AFTER_NS,
    });
    if let (Some(since), Some(config)) = (since, config.as_object_mut()) {
        config.insert("deliver_policy".to_owned(), "by_start_time".into());
        config.insert("opt_start_time".to_owned(), since.to_string().into());
    }
    let question = json!({ "stream_name": stream.name(), "config": config });
    let create = format!("CONSUMER.CREATE.{}", stream.name());
    let made = connection.api::<Consumer>(&create, question).await?;
    let Consumer { name, num_pending } = made.map_err(ApiError::into_sink_error)?;

    let client = &connection.client;
    let inbox = client.new_inbox();
    let lost = || SinkError::broken("connection_lost");
    let mut messages = client.subscribe(inbox.clone()).await.map_err(|_| lost())?;
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{name}", stream.name());
    let (mut pending, mut number) = (num_pending, 0);
    while pending > 0 {
        let batch = pending.min(AT_ONCE);
        let ask = client.publish_with_reply(
            next.clone(),
            inbox.clone(),
            json!({ "batch": batch }).to_string().into(),
        );
        ask.await.map_err(|_| lost())?;
        for _ in 0..batch {
            let message = connection.within_limit(one(&mut messages)).await?;
            number += 1;
            pending = rest(&message, number)?;
            let recalled = message
                .headers
                .as_ref()
                .and_then(|headers| message::recalled(headers, recall.source));
            if let Some(recalled) = recalled
                && recalled.time_us.is_none_or(|time| time >= recall.since_us)
            {
                take(recalled);
            }
            if pending == 0 {
                break;
            }
        }
    }
    // It would be forgotten by itself.
    let _deleted = connection
        .api::<serde_json::Value>(&format!("CONSUMER.DELETE.{}.{name}", stream.name()), json!({}))
        .await;
    Ok(())
}

async fn one(messages: &mut Subscriber) -> Result<Message, SinkError> {
    let message = messages.next().await.ok_or_else(|| SinkError::broken("connection_lost"))?;
    match message.status {
        None => Ok(message),
        Some(_) => Err(SinkError::broken("reading_ended")),
    }
}

/// How many are behind a message, by the subject that it would be acknowledged under:
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<number in the stream>.<number>.<time>.<pending>`, with two more
/// parts before the stream where the server says its domain. A number that is left out is a message that was lost.
fn rest(message: &Message, number: u64) -> Result<u64, SinkError> {
    let parts: Vec<&str> = message.reply.iter().flat_map(|reply| reply.split('.')).collect();
    let at = if parts.len() >= 11 { 8 } else { 6 };
    let read = |at: usize| parts.get(at).and_then(|part| part.parse::<u64>().ok());
    match (read(at), read(at + 2)) {
        (Some(is), Some(pending)) if is == number => Ok(pending),
        _ => Err(SinkError::broken("message_lost")),
    }
}
