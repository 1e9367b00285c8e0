//! Whether the servers of streams that go on from a cursor answer: each is asked for its stream once, for the head
//! of the answer alone and without a cursor.

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::transport::{Control, HttpTransport, OpenError, OpenErrorKind};

use super::Finding;
use crate::commands::organization::{block_on, transport};
use crate::exit::Failure;

pub(super) fn servers(config: &Config) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for stream in config.streams.iter().filter(|stream| stream.as_sse().is_some()) {
        findings.push(block_on(server(stream, &transport(stream)?))?);
    }
    Ok(findings)
}

async fn server(stream: &StreamConfig, transport: &HttpTransport) -> Finding {
    let about = format!("server of {}", stream.name);
    if stream.as_sse().is_some_and(|table| table.row.session.is_some()) {
        return Finding::good(
            about,
            "not asked: it wants a session, which would be one for nothing",
        );
    }
    let control = Control::new();
    let opened = if stream.url.expose().starts_with("ws") {
        transport.open_web_socket("", &[], &control).await
    } else {
        transport.open_sse("", &[], &control).await
    };
    judged(about, opened.map(drop).err().as_ref())
}

fn judged(about: String, error: Option<&OpenError>) -> Finding {
    let Some(error) = error else {
        return Finding::good(about, "it answers with a stream");
    };
    let found = error.to_string();
    let advice = match &error.kind {
        OpenErrorKind::Answer(answer) => match answer.status {
            204 => {
                return Finding::warning(
                    about,
                    found,
                    "it says that there is nothing to read: `run` ends the stream",
                );
            }
            401 | 403 => "check [stream.auth] and `headers`",
            300..=399 => "it sends us elsewhere: correct `url`, or set `redirects = true`",
            404 | 410 => "check `url`",
            _ => "the server may be down, or the url wrong",
        },
        OpenErrorKind::Tls(fault) => fault.advice(),
        OpenErrorKind::NotEventStream => {
            "check `url`: what is there is no stream of server-sent events"
        }
        OpenErrorKind::NotWebSocket => "check `url`: what is there is no WebSocket; is it http?",
        _ => "check `url`, firewall and proxy",
    };
    Finding::serious(about, found, advice)
}
