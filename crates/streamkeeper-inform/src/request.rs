//! Every call as a value: method, path and query, body. Host and token belong to the transport.
//!
//! Sources: Inform API, "Stream resources", "Connecting", "Replay". Identifiers are
//! percent-encoded, so that an odd one cannot change which resource a call is about. Empty
//! options are left out: an empty filter must not be sent as "nothing at all".

use std::fmt;

use bytes::Bytes;
use jiff::civil::Date;
use serde::Serialize;
use streamkeeper_call::{Method, encode};

/// Which call a request is; the name in errors, logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiCall {
    /// `GET /streams`
    List,
    /// `GET /streams/{id}`
    Get,
    /// `POST /streams`
    Create,
    /// `PUT /streams/{id}`
    Rename,
    /// `DELETE /streams/{id}`
    Delete,
    /// `GET /streams/{id}/connect`
    Connect,
    /// `GET /replay`
    Replay,
}

impl ApiCall {
    /// Whether it names a stream, which may not exist.
    pub(crate) const fn is_on_one_stream(self) -> bool {
        match self {
            Self::Get | Self::Rename | Self::Delete | Self::Connect => true,
            Self::List | Self::Create | Self::Replay => false,
        }
    }
}

impl fmt::Display for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list streams",
            Self::Get => "get stream",
            Self::Create => "create stream",
            Self::Rename => "rename stream",
            Self::Delete => "delete stream",
            Self::Connect => "connect",
            Self::Replay => "replay",
        })
    }
}

/// A call, ready for a [`Transport`](streamkeeper_call::Transport), which adds host and token.
///
/// ```
/// use streamkeeper_call::Method;
/// use streamkeeper_inform::ApiRequest;
/// let request = ApiRequest::connect("a/b");
/// assert_eq!(request.method, Method::Get);
/// assert_eq!(request.path_and_query, "/streams/a%2Fb/connect");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// Which call this is.
    pub call: ApiCall,
    /// Its method.
    pub method: Method,
    /// Path and query, percent-encoded, starting with `/`, without the token.
    pub path_and_query: String,
    /// A JSON body.
    pub body: Option<Bytes>,
}

/// Neither the path nor the body: both may come from a configuration that nobody expects in logs.
impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest").field("call", &self.call).finish_non_exhaustive()
    }
}

impl From<ApiRequest> for streamkeeper_call::Request {
    fn from(ApiRequest { method, path_and_query, body, .. }: ApiRequest) -> Self {
        Self { method, path_and_query, body }
    }
}

/// What to create (Inform API, "Stream resources"). Filters are fixed at creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct NewStream {
    /// Unique within the organization.
    pub name: String,
    /// The UTC day to begin with; `None`: the last 30 days.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "date")]
    pub start_date: Option<Date>,
    /// Resource types; empty: all. Unknown ones pass through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_filter: Vec<String>,
    /// Event types; empty: the service's default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_type_filter: Vec<String>,
}

/// What to replay (Inform API, "Replay").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayQuery {
    /// Everything processed on or after this UTC day.
    pub date: Date,
    /// Resource types; empty: all.
    pub resources: Vec<String>,
    /// Event types; empty: the service's default.
    pub event_types: Vec<String>,
}

impl ApiRequest {
    /// The page of the list that starts at `offset`.
    #[must_use]
    pub fn list(offset: usize) -> Self {
        let path = match offset {
            0 => "/streams".to_owned(),
            _ => format!("/streams?offset={offset}"),
        };
        Self::new(ApiCall::List, Method::Get, path)
    }

    /// One stream.
    #[must_use]
    pub fn get(stream_id: &str) -> Self {
        Self::new(ApiCall::Get, Method::Get, stream_path(stream_id))
    }

    /// A new stream.
    #[must_use]
    pub fn create(stream: &NewStream) -> Self {
        Self::new(ApiCall::Create, Method::Post, "/streams".to_owned()).with_json(stream)
    }

    /// Another name for a stream.
    #[must_use]
    pub fn rename(stream_id: &str, name: &str) -> Self {
        #[derive(Serialize)]
        struct Rename<'a> {
            name: &'a str,
        }
        Self::new(ApiCall::Rename, Method::Put, stream_path(stream_id)).with_json(&Rename { name })
    }

    /// Deletes a stream; refused with 409 while any client is connected.
    #[must_use]
    pub fn delete(stream_id: &str) -> Self {
        Self::new(ApiCall::Delete, Method::Delete, stream_path(stream_id))
    }

    /// The event stream of a stream.
    #[must_use]
    pub fn connect(stream_id: &str) -> Self {
        Self::new(ApiCall::Connect, Method::Get, stream_path(stream_id) + "/connect")
    }

    /// An event stream of everything since a day.
    #[must_use]
    pub fn replay(query: &ReplayQuery) -> Self {
        let mut path = format!("/replay?date={}", query.date);
        for (key, values) in [("resources", &query.resources), ("event_types", &query.event_types)]
        {
            if !values.is_empty() {
                let values: Vec<String> = values.iter().map(|value| encode(value)).collect();
                path += &format!("&{key}={}", values.join(","));
            }
        }
        Self::new(ApiCall::Replay, Method::Get, path)
    }

    const fn new(call: ApiCall, method: Method, path_and_query: String) -> Self {
        Self { call, method, path_and_query, body: None }
    }

    fn with_json(mut self, body: &impl Serialize) -> Self {
        // Strings and lists of strings cannot fail to serialize into memory.
        self.body = serde_json::to_vec(body).ok().map(Bytes::from);
        self
    }
}

fn stream_path(stream_id: &str) -> String {
    format!("/streams/{}", encode(stream_id))
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn date<S: serde::Serializer>(date: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(request: &ApiRequest) -> &str {
        request.body.as_deref().map_or("", |body| std::str::from_utf8(body).expect("UTF-8"))
    }

    #[test]
    fn paths_and_methods() {
        for (request, method, path) in [
            (ApiRequest::list(0), Method::Get, "/streams"),
            (ApiRequest::list(25), Method::Get, "/streams?offset=25"),
            (ApiRequest::get("s1"), Method::Get, "/streams/s1"),
            (ApiRequest::rename("s1", "n"), Method::Put, "/streams/s1"),
            (ApiRequest::delete("s1"), Method::Delete, "/streams/s1"),
            (ApiRequest::connect("s1"), Method::Get, "/streams/s1/connect"),
            (
                ApiRequest::connect("../a?b=c#d é"),
                Method::Get,
                "/streams/..%2Fa%3Fb%3Dc%23d%20%C3%A9/connect",
            ),
        ] {
            assert_eq!((request.method, request.path_and_query.as_str()), (method, path));
        }
    }

    #[test]
    fn create_omits_what_is_empty() {
        let mut stream = NewStream { name: "a\"b".into(), ..NewStream::default() };
        assert_eq!(body(&ApiRequest::create(&stream)), r#"{"name":"a\"b"}"#);
        stream.start_date = "2026-11-01".parse().ok();
        stream.resource_filter = vec!["summary".into(), "unheard-of".into()];
        stream.event_type_filter = vec!["data".into()];
        assert_eq!(
            body(&ApiRequest::create(&stream)),
            r#"{"name":"a\"b","start_date":"2026-11-01","resource_filter":["summary","unheard-of"],"event_type_filter":["data"]}"#
        );
        assert_eq!(body(&ApiRequest::rename("s", "new")), r#"{"name":"new"}"#);
    }

    #[test]
    fn replay_queries() {
        let mut query =
            ReplayQuery { date: "2026-04-19".parse().expect("a date"), ..Default::default() };
        assert_eq!(ApiRequest::replay(&query).path_and_query, "/replay?date=2026-04-19");
        query.resources = vec!["summary".into(), "a&b".into()];
        query.event_types = vec!["data".into()];
        assert_eq!(
            ApiRequest::replay(&query).path_and_query,
            "/replay?date=2026-04-19&resources=summary,a%26b&event_types=data"
        );
    }

    #[test]
    fn debug_shows_the_call_only() {
        assert_eq!(
            format!("{:?}", ApiRequest::connect("MARKER")),
            "ApiRequest { call: Connect, .. }"
        );
    }
}
