//! The calls on stream resources, over any [`Transport`].
//!
//! One call is one request (a list: one per page) and one verdict; there are no retries here, since
//! when to try again is policy. Any 2xx is success, whatever the documents promise. A list is
//! either the whole list or an error: recovery decides by it whether a stream exists.

mod error;

use bytes::Bytes;
use streamkeeper_call::Transport;

pub use self::error::{CallError, CallErrorKind, Unprocessable};

use crate::request::{ApiCall, ApiRequest, NewStream};
use crate::wire::{Malformed, PAGE_LIMIT, Page, Stream};

/// Requests one list may take, without a pause between them. An organization has at most 5 streams, a
/// fraction of one page.
const PAGES_MAX: usize = 10;

/// What became of a stream that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// This call deleted it.
    Deleted,
    /// It did not exist any more (404 or 410).
    AlreadyGone,
}

/// The stream resources of one organization.
///
/// ```
/// use bytes::Bytes;
/// use streamkeeper_call::{Request, Response, Transport, TransportError};
/// use streamkeeper_inform::Client;
///
/// struct Canned(&'static str);
///
/// impl Transport for Canned {
///     async fn send(&self, _: Request) -> Result<Response, TransportError> {
///         Ok(Response { status: 200, retry_after: None, body: Bytes::from_static(self.0.as_bytes()) })
///     }
/// }
///
/// # async fn example() -> Result<(), streamkeeper_inform::CallError> {
/// let client = Client::new(Canned(r#"{"streams":[{"id":"s1","name":"acme"}]}"#));
/// let streams = client.list().await?;
/// assert_eq!(streams[0].name.as_deref(), Some("acme"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client<T> {
    transport: T,
}

impl<T: Transport> Client<T> {
    /// Calls over this transport.
    pub const fn new(transport: T) -> Self {
        Self { transport }
    }

    /// The transport, for what is not a call of this client.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// All streams of the organization, in the server's order, over all pages.
    ///
    /// # Errors
    /// [`CallError`]; `Malformed` too if the list kept changing while it was read.
    pub async fn list(&self) -> Result<Vec<Stream>, CallError> {
        let mut streams: Vec<Stream> = Vec::new();
        let mut total = None;
        for _ in 0..PAGES_MAX {
            let body = self.call(ApiRequest::list(streams.len())).await?;
            let page = Page::from_answer(&body).map_err(|error| malformed(ApiCall::List, error))?;
            let seen = |stream: &Stream| streams.iter().any(|other| other.id == stream.id);
            // Nothing new: the end, or a server that answers every offset with the first page.
            let exhausted = page.streams.iter().all(seen);
            let moved =
                !streams.is_empty() && (page.total != total || page.streams.iter().any(seen));
            if moved && !exhausted {
                // The list changed between two pages, and may have hidden a stream from us.
                streams.clear();
                continue;
            }
            total = page.total;
            let short = page.streams.len() < page.limit.unwrap_or(PAGE_LIMIT);
            if !exhausted {
                streams.extend(page.streams);
            }
            // A total may be a wrong number: a page shorter than its limit, with nothing new behind
            // it, is the last, whatever was said.
            let complete = total.is_none_or(|total| streams.len() >= total);
            if (short || exhausted) && (complete || (short && exhausted)) {
                return Ok(streams);
            }
            if exhausted {
                break;
            }
        }
        Err(malformed(ApiCall::List, Malformed::missing("the list ended before its total")))
    }

    /// One stream.
    ///
    /// # Errors
    /// [`CallError`]; `NotFound` if there is none.
    pub async fn get(&self, stream_id: &str) -> Result<Stream, CallError> {
        self.stream(ApiRequest::get(stream_id)).await
    }

    /// Creates a stream.
    ///
    /// # Errors
    /// [`CallError`]; after one with [`CallError::may_have_acted`], the stream may exist.
    pub async fn create(&self, stream: &NewStream) -> Result<Stream, CallError> {
        self.stream(ApiRequest::create(stream)).await
    }

    /// Gives a stream another name.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn rename(&self, stream_id: &str, name: &str) -> Result<(), CallError> {
        self.call(ApiRequest::rename(stream_id, name)).await.map(drop)
    }

    /// Deletes a stream. This cannot be undone.
    ///
    /// # Errors
    /// [`CallError`]; `Conflict` while the server still counts a client as connected.
    pub async fn delete(&self, stream_id: &str) -> Result<Deletion, CallError> {
        match self.call(ApiRequest::delete(stream_id)).await {
            Ok(_) => Ok(Deletion::Deleted),
            Err(CallError { kind: CallErrorKind::NotFound { .. }, .. }) => {
                Ok(Deletion::AlreadyGone)
            }
            Err(error) => Err(error),
        }
    }

    async fn stream(&self, request: ApiRequest) -> Result<Stream, CallError> {
        let call = request.call;
        let body = self.call(request).await?;
        Stream::from_answer(&body).map_err(|error| malformed(call, error))
    }

    async fn call(&self, request: ApiRequest) -> Result<Bytes, CallError> {
        let call = request.call;
        match self.transport.send(request.into()).await {
            Ok(response) => match CallErrorKind::of_response(call, &response) {
                None => Ok(response.body),
                Some(kind) => Err(CallError { call, kind, retry_after: response.retry_after }),
            },
            Err(error) => Err(unanswered(call, CallErrorKind::Transport(error))),
        }
    }
}

const fn malformed(call: ApiCall, error: Malformed) -> CallError {
    unanswered(call, CallErrorKind::Malformed(error))
}

/// Without an answer that could say how long to wait.
const fn unanswered(call: ApiCall, kind: CallErrorKind) -> CallError {
    CallError { call, kind, retry_after: None }
}

#[cfg(test)]
mod tests;
