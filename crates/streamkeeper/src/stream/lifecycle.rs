//! The stream-lifecycle actor: the REST calls that list, delete and create streams.
//!
//! One call at a time, as the supervisor's policy asks for it; the answer goes back as it is, in the
//! core's words. What to do about a failure is the policy's business.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use streamkeeper_call::{TransportError, TransportErrorKind};
use streamkeeper_core::id::StreamId;
use streamkeeper_core::marked;
use streamkeeper_core::marked::establish::{Answer, Call, CallFailure, Listed};
use streamkeeper_core::time::UtcDay;
use streamkeeper_inform::{CallError, CallErrorKind, Client, NewStream, Unprocessable};

use crate::base::reports::Reports;
use crate::dialect::inform::{Inform, date};
use crate::observe::registry::StreamEntry;
use crate::transport::HttpTransport;

/// The actor.
pub(crate) struct StreamLifecycle {
    transport: HttpTransport,
    filters: Inform,
    reports: Reports,
    entry: Arc<StreamEntry>,
}

impl StreamLifecycle {
    pub(crate) const fn new(
        transport: HttpTransport,
        filters: Inform,
        reports: Reports,
        entry: Arc<StreamEntry>,
    ) -> Self {
        Self { transport, filters, reports, entry }
    }
}

impl Actor for StreamLifecycle {
    type Context = Context<Self>;
}

/// Make this call; it is answered by `Answered`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Make(pub(crate) Call);

impl Handler<Make> for StreamLifecycle {
    type Result = ();

    fn handle(&mut self, Make(call): Make, ctx: &mut Self::Context) {
        let client = Client::new(self.transport.clone());
        let filters = self.filters.clone();
        let answering = Answering {
            reports: self.reports.clone(),
            entry: Arc::clone(&self.entry),
            answer: None,
        };
        ctx.spawn(actix::fut::wrap_future(answer(answering, client, call, filters)));
    }
}

/// Ask how many clients the service counts on this stream; it is answered by `Counted`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Count(pub(crate) StreamId);

impl Handler<Count> for StreamLifecycle {
    type Result = ();

    fn handle(&mut self, Count(stream): Count, ctx: &mut Self::Context) {
        let client = Client::new(self.transport.clone());
        let reports = self.reports.clone();
        ctx.spawn(actix::fut::wrap_future(async move {
            // If the service does not say, it is asked again.
            let members = client.get(&stream.0).await.ok().and_then(|stream| stream.members);
            reports.send(marked::Input::Counted { stream, members });
        }));
    }
}

/// Answers when dropped, so that a call that panicked is answered too.
struct Answering {
    reports: Reports,
    entry: Arc<StreamEntry>,
    answer: Option<Answer>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let failure = CallFailure::Unavailable { status: None, acted: true };
        let unanswered = Answer::Failed { failure, retry_after: None };
        let answer = self.answer.take().unwrap_or(unanswered);
        self.reports.send(marked::Input::Answered(answer));
    }
}

async fn answer(
    mut answering: Answering,
    client: Client<HttpTransport>,
    call: Call,
    filters: Inform,
) {
    let answer = make(&client, call, filters).await;
    answering.entry.note_encoding(client.transport());
    answering.answer = Some(answer.unwrap_or_else(|error| {
        let failure = failure(&error);
        let text = error.to_string();
        if answering.entry.is_news(&text) {
            tracing::warn!(
                stream = %answering.entry.name,
                reason = text,
                "a call failed; trying again, ever more slowly: {}",
                advice(&error, failure),
            );
        }
        Answer::Failed { failure, retry_after: error.retry_after }
    }));
}

async fn make(
    client: &Client<HttpTransport>,
    call: Call,
    filters: Inform,
) -> Result<Answer, CallError> {
    match call {
        Call::List => client.list().await.map(|streams| Answer::Listed(listed(streams))),
        Call::Delete { id } => client.delete(&id.0).await.map(|_| Answer::Deleted),
        Call::Create { name, start_date } => client
            .create(&NewStream {
                name,
                start_date: start_date.map(date),
                resource_filter: filters.resources,
                event_type_filter: filters.event_types,
            })
            .await
            .map(|stream| Answer::Created(StreamId(stream.id))),
    }
}

fn listed(streams: Vec<streamkeeper_inform::wire::Stream>) -> Vec<Listed> {
    streams
        .into_iter()
        .map(|stream| Listed {
            start_date: stream.start_date.and_then(utc_day),
            id: StreamId(stream.id),
            name: stream.name.unwrap_or_default(),
        })
        .collect()
}

/// A failed call in the core's words.
fn failure(error: &CallError) -> CallFailure {
    let unavailable = |status| CallFailure::Unavailable { status, acted: error.may_have_acted() };
    match error.kind {
        CallErrorKind::Unauthorized => CallFailure::Token { status: 401 },
        CallErrorKind::Forbidden => CallFailure::Token { status: 403 },
        CallErrorKind::NotFound { status } => CallFailure::Rejected { status },
        CallErrorKind::Conflict => CallFailure::Held,
        CallErrorKind::FirstDay { status } => CallFailure::FirstDay { status },
        CallErrorKind::Unprocessable(Unprocessable::DuplicateName) => CallFailure::NameTaken,
        CallErrorKind::Unprocessable(Unprocessable::StreamLimit) => CallFailure::StreamLimit,
        CallErrorKind::Unprocessable(_) => CallFailure::Rejected { status: 422 },
        CallErrorKind::RateLimited => unavailable(Some(429)),
        CallErrorKind::Server { status } => unavailable(Some(status)),
        CallErrorKind::Redirect { status } | CallErrorKind::Unexpected { status } => {
            CallFailure::Rejected { status }
        }
        CallErrorKind::Malformed(_) | CallErrorKind::Transport(_) => unavailable(None),
    }
}

/// What a person can do about a failure.
const fn advice(error: &CallError, failure: CallFailure) -> &'static str {
    use TransportErrorKind::{Proxy, ProxyRefused, ProxyTls, Tls};
    if let CallErrorKind::Transport(TransportError { kind, .. }) = error.kind {
        match kind {
            Proxy | ProxyRefused(_) => {
                return "check proxy, proxy_file or proxy_env, or HTTPS_PROXY in the environment";
            }
            Tls(fault) | ProxyTls(fault) => return fault.advice(),
            _ => {}
        }
    }
    match failure {
        CallFailure::Token { .. } => {
            "check token, token_file or token_env, and whether it belongs to this organization"
        }
        CallFailure::StreamLimit => {
            "the organization has its five streams already, delete one that is not needed"
        }
        CallFailure::Rejected { .. } => {
            "check url, server_name, start_date, resource_filter and event_types"
        }
        CallFailure::FirstDay { .. } => {
            "the service does not keep that day: check start_date if this is a first start; all that it \
             keeps is asked for instead"
        }
        CallFailure::Held => "the service still counts a client of the old stream",
        CallFailure::NameTaken => "a stream of that name exists, looking again",
        CallFailure::Unavailable { .. } => "the service may be down, or the url wrong",
    }
}

/// A calendar day, in the core's terms.
pub(crate) fn utc_day(date: jiff::civil::Date) -> Option<UtcDay> {
    date.to_string().parse().ok()
}
