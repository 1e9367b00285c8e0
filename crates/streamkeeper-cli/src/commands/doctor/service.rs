//! Whether the service answers, step by step, and whether its clock agrees with ours.

use std::path::Path;
use std::time::{Duration, SystemTime};

use humantime::format_duration;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::ledgers;
use streamkeeper::transport::{Control, HttpTransport};
use streamkeeper_call::{TlsFault, TransportError, TransportErrorKind};
use streamkeeper_inform::wire::Stream;
use streamkeeper_inform::{ApiRequest, CallError, CallErrorKind, Client, ReplayQuery};

use super::Finding;
use crate::commands::organization::{block_on, is_same, transport};
use crate::exit::Failure;

/// Each organization once, named by its first stream.
pub(super) fn organizations(config: &Config) -> Result<Vec<Finding>, Failure> {
    let mut asked: Vec<&StreamConfig> = Vec::new();
    for stream in &config.streams {
        // The others are looked at as servers.
        if stream.as_inform().is_some() && !asked.iter().any(|other| is_same(other, stream)) {
            asked.push(stream);
        }
    }
    let mut findings = Vec::new();
    for stream in asked {
        findings.extend(block_on(organization(config, stream, &transport(stream)?))?);
    }
    Ok(findings)
}

async fn organization(
    config: &Config,
    stream: &StreamConfig,
    transport: &HttpTransport,
) -> Vec<Finding> {
    let about = |what: &str| format!("service of {}, {what}", stream.name);
    let listed = Client::new(transport.clone()).list().await;
    let mut findings =
        steps(listed.as_ref().err(), stream.url.expose().starts_with("https"), &about);
    if let Ok(streams) = listed {
        findings.push(Finding::good(
            about("token"),
            format!("accepted; the organization has {} streams", streams.len()),
        ));
        let ours = config.streams.iter().filter(|one| is_same(one, stream));
        findings.extend(ours.filter_map(|one| names(one, &config.service.data_dir, &streams)));
        findings.push(clock(about("clock"), transport).await);
    }
    findings
}

/// Names in the list that can be taken for that of `stream`, and are not known to be ours.
fn names(stream: &StreamConfig, data_dir: &Path, listed: &[Stream]) -> Option<Finding> {
    let server_name = &stream.as_inform()?.server_name;
    // What cannot be read tells nothing.
    let made = ledgers::made(data_dir, &stream.name).unwrap_or_default();
    let others = listed.iter().filter(|one| !made.contains(&one.id));
    let names = others.filter_map(|one| one.name.as_deref());
    let resembling: Vec<_> = names.filter(|name| stream.is_resembled_by(name)).collect();
    (!resembling.is_empty()).then(|| {
        Finding::warning(
            format!("service of {}, names", stream.name),
            format!("like `{server_name}`, and not known to be ours: {resembling:?}"),
            "they are left alone. A service that ignores upper and lower case takes such a name for ours: set \
             another server_name. One that nobody needs takes a place: `streamkeeper streams delete`",
        )
    })
}

/// How far a call came.
fn steps(error: Option<&CallError>, is_tls: bool, about: &dyn Fn(&str) -> String) -> Vec<Finding> {
    use TransportErrorKind as Kind;
    let steps = [
        ("DNS", "check the host in `url`, and /etc/resolv.conf"),
        ("connection", "check firewall, proxy and `url`"),
        ("TLS", "check ca_file or SSL_CERT_FILE"),
        ("answer", "the service may be down, or the url wrong"),
    ];
    let broken = error.map(|error| match error.kind {
        CallErrorKind::Transport(error) => match error.kind {
            Kind::Dns => "DNS",
            Kind::Connect | Kind::Proxy | Kind::ProxyRefused(_) | Kind::ProxyTls(_) => "connection",
            Kind::Tls(_) => "TLS",
            _ => "answer",
        },
        CallErrorKind::Unauthorized | CallErrorKind::Forbidden => "token",
        _ => "answer",
    });
    let mut findings = Vec::new();
    for (step, advice) in steps {
        match error {
            Some(error) if broken == Some(step) => {
                let advice = tls_fault(error).map_or(advice, TlsFault::advice);
                findings.push(Finding::serious(about(step), error.to_string(), advice));
                return findings;
            }
            _ if step == "TLS" && !is_tls => {
                let advice = "use https: the token and the events can be read on the way";
                findings.push(Finding::warning(about(step), "there is none", advice));
            }
            _ => findings.push(Finding::good(about(step), "works")),
        }
    }
    if let Some(error) = error {
        let advice = "check token, token_file or token_env, and whose it is";
        findings.push(Finding::serious(about("token"), error.to_string(), advice));
    }
    findings
}

/// The fault of TLS, with the service or the proxy.
const fn tls_fault(error: &CallError) -> Option<TlsFault> {
    use TransportErrorKind::{ProxyTls, Tls};
    match error.kind {
        CallErrorKind::Transport(TransportError { kind: Tls(fault) | ProxyTls(fault), .. }) => {
            Some(fault)
        }
        _ => None,
    }
}

/// The `Date` of an answer against ours. A replay is opened for its head alone: no event is taken.
async fn clock(about: String, transport: &HttpTransport) -> Finding {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let request = ApiRequest::replay(&ReplayQuery { date: today, ..ReplayQuery::default() });
    let control = Control::new();
    let date = match transport.open_sse(&request.path_and_query, &[], &control).await {
        Ok(stream) => stream.header("date").and_then(|date| httpdate::parse_http_date(date).ok()),
        Err(error) => {
            let advice = "a replay is needed to check suspects: look at this with `probe`";
            return Finding::warning(about, format!("not compared: {error}"), advice);
        }
    };
    let Some(date) = date else {
        return Finding::good(about, "not compared: the service does not say its time");
    };
    judged(about, date, SystemTime::now())
}

/// A `Date` has whole seconds.
fn judged(about: String, theirs: SystemTime, ours: SystemTime) -> Finding {
    let apart = theirs.duration_since(ours).or_else(|_| ours.duration_since(theirs));
    let seconds = Duration::from_secs(apart.unwrap_or_default().as_secs());
    let found = format!("{} from the service's", format_duration(seconds));
    let advice = "run an NTP client: days and delays are judged by this clock";
    if seconds >= APART_SERIOUS {
        Finding::serious(about, found, advice)
    } else if seconds >= APART_MUCH {
        Finding::warning(about, found, advice)
    } else {
        Finding::good(about, found)
    }
}

/// More than an answer takes.
const APART_MUCH: Duration = Duration::from_secs(10);
/// The default of `margin`: beyond it a day may begin elsewhere.
const APART_SERIOUS: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use streamkeeper_inform::ApiCall;

    use super::*;
    use crate::commands::doctor::Level;

    #[test]
    fn a_failure_is_found_at_its_step() {
        let about = |what: &str| what.to_owned();
        let lost = |kind| CallErrorKind::Transport(TransportError { sent: false, kind });
        for (kind, expected) in [
            (lost(TransportErrorKind::Dns), "DNS"),
            (lost(TransportErrorKind::Connect), "connection"),
            (lost(TransportErrorKind::Tls(TlsFault::Expired)), "TLS"),
            (lost(TransportErrorKind::ProxyTls(TlsFault::WrongName)), "connection"),
            (lost(TransportErrorKind::Timeout), "answer"),
            (CallErrorKind::Server { status: 503 }, "answer"),
            (CallErrorKind::Unauthorized, "token"),
        ] {
            let error = CallError { call: ApiCall::List, kind, retry_after: None };
            let findings = steps(Some(&error), true, &about);
            let serious: Vec<_> =
                findings.iter().filter(|finding| finding.level == Level::Serious).collect();
            assert_eq!(serious.len(), 1);
            assert_eq!(findings.last().map(|last| last.about.as_str()), Some(expected));
            assert!(!serious[0].advice.is_empty());
        }
        assert!(steps(None, true, &about).iter().all(|finding| finding.level == Level::Good));
    }

    #[test]
    fn clocks_apart() {
        let now = SystemTime::now();
        for (seconds, level) in [(0, Level::Good), (60, Level::Warning), (3_600, Level::Serious)] {
            for theirs in [now + Duration::from_secs(seconds), now - Duration::from_secs(seconds)] {
                assert_eq!(judged(String::new(), theirs, now).level, level);
            }
        }
    }
}
