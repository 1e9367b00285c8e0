//! The `webhook` sink: CloudEvents in POST requests, signed as Standard Webhooks ask for.
//!
//! Promise of `Ok`: the receiver answered 2xx. It gets each stream's events in order, one request of a
//! stream at a time, and at least once: an answer may be lost. So a request that was sent is sent again as
//! it was, the same bytes under the same `webhook-id`, until it is answered with 2xx or its events are
//! found wanting and given in parts; a receiver drops an id that it has seen, or an event's `id`.
//!
//! That holds over a crash of ours if there is a `state` folder: where a request begins and ends is written
//! down there before it is sent. Without one a crash may cut the same events differently, and then the
//! `webhook-id` is another one: the same id never means other bytes, since it is made of them, too.
//!
//! What is not followed: redirects, and names that lead to private addresses (`allow_private`).

mod answer;
mod config;
mod endpoint;
mod guard;
mod message;
mod sent;
mod sink;

pub use config::WebhookFactory;

use sink::WebhookSink;
