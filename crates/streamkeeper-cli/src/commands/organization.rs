//! The service as one organization sees it: for commands that call it themselves.
//!
//! Which url and token to use is the configuration's to say: those of a stream that is named, or
//! those of all if they are the same.

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::transport::HttpTransport;
use streamkeeper_call::{TransportError, TransportErrorKind};
use streamkeeper_inform::{CallError, CallErrorKind, Unprocessable};

use crate::exit::{CONFIGURATION, Failure, GENERAL, INTERNAL, PERMISSION, UNAVAILABLE, USAGE};

/// The stream whose url and token are used.
pub(super) fn choose<'a>(
    config: &'a Config,
    named: Option<&str>,
) -> Result<&'a StreamConfig, Failure> {
    let names = || {
        let names: Vec<_> = config.streams.iter().map(|stream| &*stream.name).collect();
        names.join(", ")
    };
    if let Some(name) = named {
        let stream = config.streams.iter().find(|stream| stream.name == name).ok_or_else(|| {
            let message = format!("no stream `{name}` is configured; there is: {}", names());
            Failure::new(USAGE, message)
        })?;
        return stream.as_inform().map(|_| stream).ok_or_else(|| {
            let message =
                format!("stream `{name}` has another dialect, and this is about the Inform API");
            Failure::new(USAGE, message)
        });
    }
    let streams: Vec<_> =
        config.streams.iter().filter(|stream| stream.as_inform().is_some()).collect();
    match streams.as_slice() {
        [] => Err(Failure::new(CONFIGURATION, "no stream of the Inform API is configured")),
        [first, others @ ..] if others.iter().all(|other| is_same(first, other)) => Ok(first),
        _ => {
            let message = format!(
                "the streams have several urls or tokens: say with --stream whose to use; there \
                 is: {}",
                names(),
            );
            Err(Failure::new(USAGE, message))
        }
    }
}

/// Whether both are of one organization.
pub(super) fn is_same(one: &StreamConfig, other: &StreamConfig) -> bool {
    let token = |stream: &StreamConfig| stream.as_inform().map(|table| table.token.clone());
    one.url == other.url && token(one).is_some() && token(one) == token(other)
}

/// How it is reached.
pub(super) fn transport(stream: &StreamConfig) -> Result<HttpTransport, Failure> {
    stream.transport().map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        Failure::new(CONFIGURATION, format!("{error}{}", cause.unwrap_or_default()))
    })
}

/// Runs what calls the service, on this thread.
pub(super) fn block_on<T>(calls: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = actix_rt::Runtime::new()
        .map_err(|error| Failure::new(INTERNAL, format!("no runtime: {error}")))?;
    Ok(runtime.block_on(calls))
}

/// A call that failed, as the command's failure.
pub(super) fn failed(error: &CallError) -> Failure {
    let advice = match error.kind {
        CallErrorKind::Transport(TransportError {
            kind: TransportErrorKind::Tls(fault) | TransportErrorKind::ProxyTls(fault),
            ..
        }) => format!(": {}", fault.advice()),
        kind => advice(kind).to_owned(),
    };
    Failure::new(code(error.kind), format!("{error}{advice}"))
}

/// How a refused call ends a command.
pub(super) const fn code(kind: CallErrorKind) -> u8 {
    match kind {
        CallErrorKind::Unauthorized | CallErrorKind::Forbidden => PERMISSION,
        CallErrorKind::NotFound { .. }
        | CallErrorKind::Conflict
        | CallErrorKind::FirstDay { .. }
        | CallErrorKind::Unprocessable(_) => GENERAL,
        _ => UNAVAILABLE,
    }
}

/// What to do about it.
pub(super) const fn advice(kind: CallErrorKind) -> &'static str {
    match kind {
        CallErrorKind::Unauthorized | CallErrorKind::Forbidden => {
            ": check token, token_file or token_env, and whether it is this organization's"
        }
        CallErrorKind::Conflict => {
            ": whoever reads it must end first; the service takes a while to notice"
        }
        CallErrorKind::Unprocessable(Unprocessable::StreamLimit) => {
            ": an organization has five at most, delete one that is not needed"
        }
        CallErrorKind::Unprocessable(Unprocessable::TooManyClients) => {
            ": a place becomes free when another one ends"
        }
        CallErrorKind::FirstDay { .. } => {
            ": the service keeps 30 days, leave --start-date away for all of them"
        }
        CallErrorKind::Transport(_) => ": the service may be down, or the url wrong",
        _ => "",
    }
}
