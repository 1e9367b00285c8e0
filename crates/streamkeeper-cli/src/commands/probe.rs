//! `probe`: what a service is like: the Inform API over its replay endpoint, any other server over a connection of
//! its own without a cursor.
//!
//! A connection to a stream would take events from whoever reads it; a replay gets the whole history
//! beside it, and changes nothing. It holds one of the five replays of an organization for as long as
//! it looks. Nothing of an event is kept but its time.

mod measure;
mod signs;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use indicatif::ProgressBar;
use streamkeeper::config::{Config, ConfigErrors, Problem, StreamConfig};
use streamkeeper::transport::{Control, HttpTransport, OpenError, OpenErrorKind};
use streamkeeper_inform::{
    ApiCall, ApiRequest, CallErrorKind, ReplayQuery, Unprocessable, classify,
};
use streamkeeper_sse::{Decoder, Frame, Limits};

use self::measure::{Findings, Measure, text};
use self::signs::Signs;
use super::config_file::NamedConfig;
use super::organization::{advice, block_on, choose, code, transport};
use super::output::Output;
use crate::exit::{
    CONFIGURATION, Failure, GENERAL, INTERNAL, Outcome, TRY_AGAIN, UNAVAILABLE, USAGE,
};

/// Measure a service: heartbeat, clock, delay, and which settings suit it.
///
/// Of the Inform API it reads `/replay` from today on, which takes no events from whoever reads the streams. Of
/// another server it says which preset its signs are of, and how `stale_after` comes about.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// A configured stream, or the base URL of a service
    #[arg(value_name = "NAME|URL")]
    target: String,

    /// With a URL: what kind of service it is
    #[arg(long, value_name = "DIALECT", default_value = "inform")]
    dialect: String,

    /// How long to look
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    span: Duration,

    /// With a URL: the file that holds the token
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    token_file: Option<PathBuf>,

    /// With a URL: the environment variable that holds the token
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,

    #[command(flatten)]
    file: NamedConfig,

    #[command(flatten)]
    output: Output,
}

impl Probe {
    pub(crate) fn run(self) -> Outcome {
        let stream = self.stream()?;
        let transport = transport(&stream)?;
        if let Some(table) = stream.as_sse() {
            if stream.url.expose().starts_with("ws") {
                let message = "a WebSocket is not probed; its interval is how often we ping, and any frame is life";
                return Err(Failure::new(USAGE, message));
            }
            let signs = block_on(look_at(&transport, self.span))??;
            let shown = signs.shown(&table.dialect, &table.row, self.span);
            self.output.write(&shown, signs::text)?;
        } else {
            let findings = block_on(look(&transport, self.span))??;
            self.output.write(&findings, text)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn stream(&self) -> Result<StreamConfig, Failure> {
        if !self.target.contains("://") {
            let config = self.file.load()?;
            let named = config.streams.iter().find(|stream| stream.name == self.target);
            return match named.filter(|stream| stream.as_sse().is_some()) {
                Some(stream) => Ok(stream.clone()),
                None => choose(&config, Some(&self.target)).cloned(),
            };
        }
        // Read and checked as a file is. A string of JSON is one of TOML.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let token = match (&self.token_file, &self.token_env) {
            (Some(file), _) => Some(("file", quoted(&file.display().to_string()))),
            (None, Some(variable)) => Some(("env", quoted(variable))),
            (None, None) => None,
        };
        let token = match (self.dialect.as_str(), token) {
            ("inform", Some((whence, value))) => format!("token_{whence} = {value}\n"),
            ("inform", None) => {
                let message = "a URL of the Inform API needs --token-file or --token-env; for any other server say \
                               --dialect sse";
                return Err(Failure::new(USAGE, message));
            }
            (_, Some((whence, value))) => format!("[stream.auth]\nbearer_{whence} = {value}\n"),
            (_, None) => String::new(),
        };
        let (url, dialect) = (quoted(&self.target), quoted(&self.dialect));
        let text =
            format!("[[stream]]\nname = \"probe\"\nurl = {url}\ndialect = {dialect}\n{token}");
        let config = Config::from_toml_str(&text, &[])
            .map_err(|errors| Failure::new(CONFIGURATION, by_argument(&errors)))?;
        config.streams.first().cloned().ok_or_else(|| Failure::new(INTERNAL, "no stream to probe"))
    }
}

/// What is wrong with the arguments, which the file was made of.
fn by_argument(ConfigErrors(problems): &ConfigErrors) -> String {
    let lines: Vec<_> = problems
        .iter()
        .map(|Problem { key, message, .. }| {
            let argument = match key.as_str() {
                "stream.url" => "the URL",
                "stream.token_file" => "--token-file",
                "stream.token_env" | "stream.auth.bearer_env" => "--token-env",
                "stream.auth.bearer_file" => "--token-file",
                "stream.dialect" => "--dialect",
                other => other,
            };
            format!("{argument}: {message}")
        })
        .collect();
    lines.join("\n")
}

/// Reads a replay for a while.
async fn look(transport: &HttpTransport, span: Duration) -> Result<Findings, Failure> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let request = ApiRequest::replay(&ReplayQuery { date: today, ..ReplayQuery::default() });
    let control = Control::new();
    let began = Instant::now();
    let mut stream = transport
        .open_sse(&request.path_and_query, &[], &control)
        .await
        .map_err(|error| unopened(&error))?;
    let mut measure = Measure::new(began.elapsed());
    let mut decoder = Decoder::new(Limits::default());
    let bar = progress();
    let ends = tokio::time::Instant::now() + span;
    // Until the time is over, or the service ends it.
    while let Ok(chunk) = tokio::time::timeout_at(ends, stream.next_chunk()).await {
        let Some(Ok(chunk)) = chunk else {
            measure.ended();
            break;
        };
        decoder.push(chunk);
        let (at, wall) = (began.elapsed(), micros(SystemTime::now()));
        while let Some(frame) = decoder.next_frame() {
            let Ok(Frame::Event(event)) = frame else { continue };
            let name = event.name.as_ref().map(|name| name.as_str());
            if let Ok(event) = classify(name, event.data.as_str()) {
                measure.event(&event, at, wall);
            }
            bar.set_message(measure.so_far());
        }
    }
    bar.finish_and_clear();
    measure.findings().ok_or_else(|| {
        let message = "nothing came: look for longer (--for), or ask who runs the service";
        Failure::new(UNAVAILABLE, message)
    })
}

/// Reads a stream for a while, from now on: without a cursor nothing is asked for that is past.
async fn look_at(transport: &HttpTransport, span: Duration) -> Result<Signs, Failure> {
    let control = Control::new();
    let began = Instant::now();
    let mut stream =
        transport.open_sse("", &[], &control).await.map_err(|error| unopened(&error))?;
    let mut signs = Signs::new(began.elapsed(), |name| stream.header(name).map(str::to_owned));
    let mut decoder = Decoder::new(Limits::default());
    let bar = progress();
    let ends = tokio::time::Instant::now() + span;
    while let Ok(chunk) = tokio::time::timeout_at(ends, stream.next_chunk()).await {
        let Some(Ok(chunk)) = chunk else {
            signs.ended();
            break;
        };
        decoder.push(chunk);
        let at = began.elapsed();
        while let Some(frame) = decoder.next_frame() {
            if let Ok(frame) = frame {
                signs.frame(&frame, at);
            }
            bar.set_message(signs.so_far());
        }
    }
    bar.finish_and_clear();
    Ok(signs)
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(TICK);
    bar
}

fn unopened(error: &OpenError) -> Failure {
    let OpenErrorKind::Answer(answer) = &error.kind else {
        let advice = match error.kind {
            OpenErrorKind::Tls(fault) => format!(": {}", fault.advice()),
            _ => String::new(),
        };
        return Failure::new(UNAVAILABLE, format!("{error}{advice}"));
    };
    let status = answer.status;
    let refusal = CallErrorKind::of_response(ApiCall::Connect, answer)
        .unwrap_or(CallErrorKind::Unexpected { status });
    let code = match refusal {
        CallErrorKind::Unprocessable(Unprocessable::TooManyClients) => TRY_AGAIN,
        refusal => match code(refusal) {
            GENERAL => UNAVAILABLE,
            code => code,
        },
    };
    Failure::new(code, format!("{}: {refusal}{}", error.phase, advice(refusal)))
}

/// Microseconds since the Unix epoch.
fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How often the progress is drawn.
const TICK: Duration = Duration::from_millis(200);
