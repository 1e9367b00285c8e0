//! The endpoint: one request at a time and word, and what came of it.
//!
//! Errors of the libraries below are told in fixed words: theirs hold the URL, which may be a secret.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use ring::hmac;
use rustls::ClientConfig;
use streamkeeper_sink::{Failure, SinkConfigError, SinkError};

use super::answer;
use super::config::WebhookConfig;
use super::guard::{Guard, Unresolved};
use super::message::{self, Message};
use crate::tls;

/// Where the requests go.
pub(super) struct Endpoint {
    url: Url,
    headers: HeaderMap,
    keys: Vec<hmac::Key>,
    timeout: Duration,
    allow_private: bool,
    tls: ClientConfig,
    client: Client,
    /// It answered 410 Gone once, and is left alone.
    is_gone: AtomicBool,
}

impl Endpoint {
    pub(super) fn new(config: WebhookConfig) -> Result<Self, SinkConfigError> {
        let WebhookConfig { url, headers, keys, timeout, allow_private, ca_file, .. } = config;
        let mut tls = tls::client_config(url.scheme() == "https", ca_file.as_deref())?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = client(&url, &tls, timeout, allow_private)
            .map_err(|_| SinkConfigError::new("url", "cannot be used by the HTTP client"))?;
        let is_gone = AtomicBool::new(false);
        Ok(Self { url, headers, keys, timeout, allow_private, tls, client, is_gone })
    }

    /// Sends a message; `Ok` when it was answered with 2xx.
    pub(super) async fn send(
        &self,
        content_type: &'static str,
        message: Message,
    ) -> Result<(), SinkError> {
        self.is_wanted()?;
        let now = SystemTime::now();
        let timestamp = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let mut request = self
            .request(&self.client, Method::POST)
            .header(CONTENT_TYPE, content_type)
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", &timestamp);
        if !self.keys.is_empty() {
            let signatures = message::signatures(&self.keys, &message, &timestamp);
            request = request.header("webhook-signature", signatures);
        }
        let answer = request.body(message.body).send().await.map_err(|error| unreached(&error))?;
        let status = answer.status();
        if status == StatusCode::GONE {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        let judged = answer::judge(status, answer.headers(), now);
        drain(answer).await;
        judged
    }

    /// Asks for the endpoint's options on a connection of its own.
    pub(super) async fn probe(&self) -> Result<String, SinkError> {
        self.is_wanted()?;
        let client = client(&self.url, &self.tls, self.timeout, self.allow_private)
            .map_err(|_| SinkError::broken("no_client"))?;
        let asked = self.request(&client, Method::OPTIONS).send().await;
        let answer = asked.map_err(|error| unreached(&error))?;
        let status = answer.status();
        match answer::judge(status, answer.headers(), SystemTime::now()) {
            // That it takes no OPTIONS says nothing of POST.
            Err(error) if error.failure == Failure::Poisoned || error.reason == "no_endpoint" => {}
            judged => judged?,
        }
        Ok(format!("{:?}, answered {} to OPTIONS", answer.version(), status.as_u16()))
    }

    /// Whether it has not said that it wants no more.
    fn is_wanted(&self) -> Result<(), SinkError> {
        if self.is_gone.load(Ordering::Relaxed) {
            return answer::judge(StatusCode::GONE, &HeaderMap::new(), UNIX_EPOCH);
        }
        Ok(())
    }

    fn request(&self, client: &Client, method: Method) -> RequestBuilder {
        client.request(method, self.url.clone()).headers(self.headers.clone())
    }
}

fn client(
    url: &Url,
    tls: &ClientConfig,
    timeout: Duration,
    allow_private: bool,
) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("streamkeeper/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls.clone())
        .redirect(redirect::Policy::none())
        .referer(false)
        // Retries are the caller's, for what is known not to have been read, too.
        .retry(reqwest::retry::never())
        .timeout(timeout);
    if !allow_private {
        builder = builder.dns_resolver(Arc::new(Guard::new(url)));
    }
    builder.build()
}

/// Reads a short rest of an answer, so that the connection can be used again.
async fn drain(mut answer: Response) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Ok(Some(chunk)) = answer.chunk().await
            && chunk.len() <= left
        {
            left -= chunk.len();
        }
    };
    // A connection that is not worth the wait is dropped with the answer.
    let _in_time = tokio::time::timeout(DRAIN_TIME, read).await;
}

const DRAIN_BYTES: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Why there was no answer.
fn unreached(error: &reqwest::Error) -> SinkError {
    if let Some(unresolved) = below::<Unresolved>(error) {
        return match unresolved {
            Unresolved::Unknown => SinkError::broken("unknown_name"),
            Unresolved::Private => SinkError::refused("private_address").with_detail(
                "the name in `url` leads to a private address: set allow_private = true if that is \
                 meant, or write the address itself",
            ),
        };
    }
    if let Some(rustls::Error::InvalidCertificate(_)) = below(error) {
        return SinkError::refused("certificate").with_detail(
            "the endpoint's certificate is not trusted, or is of another name or time: give its \
             authority as `ca_file`, or check `url`",
        );
    }
    match error {
        _ if error.is_timeout() => SinkError::broken("timed_out"),
        _ if error.is_connect() => SinkError::broken("no_connection"),
        _ => SinkError::broken("connection_lost"),
    }
}

/// The error of this type in a chain. One inside an `io::Error` is not told of by its `source`.
fn below<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = within(error).or_else(|| error.source());
    }
    None
}

fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    error.downcast_ref::<io::Error>()?.get_ref().map(|inner| inner as _)
}
