//! A connection to a server, and questions over it, each with a time limit of our own.
//!
//! A connection that breaks, or does not answer in time, is given up; the next delivery makes a new one.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, Request,
    RequestErrorKind, ServerError,
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use serde::de::DeserializeOwned;
use serde_json::Value;
use streamkeeper_sink::SinkError;
use tokio::sync::watch;

use super::answer::{Answer, ApiError};
use super::{Login, NatsConfig};
use crate::tls;

/// A connection that was made.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    /// What came beside the answers, and instead of them.
    trouble: watch::Receiver<Option<Trouble>>,
}

/// What ends a connection's use.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// We may not do something.
    Denied,
    /// It broke. What was asked over it is not answered over the next.
    Lost,
}

/// For making a connection: to all servers one after the other.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// For one server.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// For an answer. The server's own limit for a batch is ten seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A connection that is idle is asked so often, and given up after two that were not answered.
const PING_INTERVAL: Duration = Duration::from_secs(15);

impl Connection {
    pub(super) async fn new(name: &str, config: &NatsConfig) -> Result<Self, SinkError> {
        let (tell, trouble) = watch::channel(None);
        let options = ConnectOptions::new()
            .name(format!("streamkeeper {name}"))
            .connection_timeout(HANDSHAKE_LIMIT)
            .ping_interval(PING_INTERVAL)
            .request_timeout(None)
            // No more attempts than there are servers; after a break as well.
            .max_reconnects(config.servers.len())
            .reconnect_delay_callback(|_| Duration::ZERO)
            .tls_client_config(tls(config.ca_file.as_deref())?)
            .event_callback(move |event| {
                if let Some(trouble) = heard(&event) {
                    tell.send_if_modified(|told| told.replace(trouble).is_none());
                }
                std::future::ready(())
            });
        let options = log_in(options, &config.login).await?;
        let connected = tokio::time::timeout(CONNECT_LIMIT, options.connect(&config.servers)).await;
        match connected {
            Ok(Ok(client)) => Ok(Self { client, trouble }),
            Ok(Err(error)) => Err(connect_failed(&error)),
            Err(_) => Err(SinkError::broken("no_answer")),
        }
    }

    /// The server's version, major and minor.
    pub(super) fn version(&self) -> (String, Option<(u32, u32)>) {
        let version = self.client.server_info().version;
        let mut numbers = version.split('.').map(|part| part.parse().ok());
        let known = numbers.next().flatten().zip(numbers.next().flatten());
        (version, known)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        body: Bytes,
    ) -> Result<Message, SinkError> {
        let request = Request { headers, payload: Some(body), ..Request::new() };
        self.within_limit(async {
            self.client.send_request(subject, request).await.map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => SinkError::broken("no_responders"),
                RequestErrorKind::MaxPayloadExceeded => SinkError::poisoned("too_large"),
                _ => SinkError::broken("connection_lost"),
            })
        })
        .await
    }

    /// What `asked` comes to, or a failure when its time is over.
    pub(super) async fn within_limit<T>(
        &self,
        asked: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let mut trouble = self.trouble.clone();
        let trouble = async { trouble.wait_for(Option::is_some).await.map_or(None, |told| *told) };
        let (asked, trouble) = (pin!(asked), pin!(trouble));
        match tokio::time::timeout(ANSWER_LIMIT, select(asked, trouble)).await {
            Ok(Either::Left((answer, _))) => answer,
            Ok(Either::Right((Some(Trouble::Denied), _))) => {
                let words = "the user may not publish: allow the sink's subjects, `$JS.API.>` and to subscribe to `_INBOX.>`";
                Err(SinkError::refused("not_permitted").with_detail(words))
            }
            Ok(Either::Right(_)) => Err(SinkError::broken("connection_lost")),
            Err(_) => Err(SinkError::broken("no_answer")),
        }
    }

    /// Asks the JetStream API. The outer error is one of the way there.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        what: &str,
        question: Value,
    ) -> Result<Result<T, ApiError>, SinkError> {
        let body = question.to_string().into();
        let answer = match self.ask(format!("$JS.API.{what}"), None, body).await {
            Err(error) if error.reason == "no_responders" => {
                let words = "nothing answers for JetStream: set `jetstream` in the server's configuration, if it is not starting";
                return Err(SinkError::refused("no_jetstream").with_detail(words));
            }
            answer => answer?,
        };
        match serde_json::from_slice(&answer.payload) {
            Ok(Answer::Is(answer)) => Ok(Ok(answer)),
            Ok(Answer::Error { error }) => Ok(Err(error)),
            Err(_) => Err(SinkError::broken("unreadable_answer")),
        }
    }
}

fn heard(event: &Event) -> Option<Trouble> {
    match event {
        Event::Disconnected | Event::Closed => Some(Trouble::Lost),
        Event::ServerError(ServerError::Other(words)) => {
            let denied = words.to_ascii_lowercase().contains("permissions violation");
            denied.then_some(Trouble::Denied)
        }
        _ => None,
    }
}

async fn log_in(options: ConnectOptions, login: &Login) -> Result<ConnectOptions, SinkError> {
    Ok(match login {
        Login::None => options,
        Login::Token(token) => options.token(token.expose().to_owned()),
        Login::Password { user, password } => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        Login::Credentials(file) => {
            let shown = file.display().to_string();
            let file = file.clone();
            let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
            let unreadable = || {
                let words = format!("`credentials_file` cannot be read, or is none: {shown}");
                SinkError::refused("credentials").with_detail(words)
            };
            let text = read.ok().and_then(Result::ok).ok_or_else(unreadable)?;
            options.credentials(&text).map_err(|_| unreadable())?
        }
    })
}

fn connect_failed(error: &ConnectError) -> SinkError {
    if is_untrusted(error) {
        let words = "the server's certificate is not believed: give its authority as `ca_file`, and its name in `url`";
        return SinkError::refused("certificate").with_detail(words);
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            let words = "the server refuses the login: mend user, password, token or credentials";
            SinkError::refused("login_refused").with_detail(words)
        }
        ConnectErrorKind::Dns => SinkError::broken("no_such_host"),
        ConnectErrorKind::TimedOut => SinkError::broken("no_answer"),
        _ => SinkError::broken("no_connection"),
    }
}

/// Whether it is the certificate: the library says no more than that a connection failed.
fn is_untrusted(error: &ConnectError) -> bool {
    let mut below = error.source();
    while let Some(error) = below {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        below = error.source();
    }
    false
}

fn tls(ca_file: Option<&Path>) -> Result<rustls::ClientConfig, SinkError> {
    let found = match (tls::client_config(true, ca_file), ca_file) {
        // A system without authorities is no failure here: many servers are reached without TLS.
        (Err(_), None) => tls::client_config(false, None),
        (found, _) => found,
    };
    found.map_err(|error| SinkError::refused("ca_file").with_detail(error.to_string()))
}
