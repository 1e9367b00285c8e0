//! What a server of server-sent events shows of itself: which preset it may be, and when it is stale.
//!
//! Signs are facts of the servers that presets are of (docs/dialects.md). Nothing of an event is kept: names of
//! events and the shape of what came, no data and no id.

use std::collections::BTreeSet;
use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;
use streamkeeper::config::{Interval, Row};
use streamkeeper_sse::{Event, Frame};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Signs {
    head: Duration,
    /// What the head of the answer says of itself.
    announced: Option<String>,
    names_cursor: bool,
    last: Option<Duration>,
    longest: Duration,
    events: u64,
    comments: u64,
    without_data: u64,
    with_id: u64,
    retry: Option<Duration>,
    names: BTreeSet<String>,
    /// Signs of a preset, in the order they came.
    like: Vec<(&'static str, &'static str)>,
    ended: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    dialect: String,
    /// From connecting to the head of the response.
    connect_ms: u64,
    events: u64,
    comments: u64,
    /// Blocks without data, which the standard does not dispatch.
    without_data: u64,
    /// Events with an id: whether there is something to go on from.
    with_id: u64,
    /// The names of the events.
    names: Vec<String>,
    /// The longest time in which nothing came.
    longest_silence_ms: u64,
    /// The interval of heartbeats that a header announces, in seconds.
    announced: Option<String>,
    retry_ms: Option<u64>,
    /// The server ended the connection before the time was over.
    ended_early: bool,
    /// The preset that the signs are of.
    preset: Option<&'static str>,
    why: Vec<&'static str>,
    /// How `stale_after` comes about.
    stale_after: String,
}

impl Signs {
    /// Of a connection whose head took so long, and said this.
    pub(super) fn new(head: Duration, header: impl Fn(&str) -> Option<String>) -> Self {
        let announced = header("x-heartbeat-interval");
        let mut signs = Self { head, announced, ..Self::default() };
        signs.names_cursor = header("last-event-id").is_some();
        if signs.names_cursor {
            signs.sign("mercure", "the answer names the id that it goes on from");
        }
        if header("x-ld-envid").is_some() {
            signs.sign("launchdarkly", "a header is LaunchDarkly's");
        }
        if header("server").is_some_and(|server| server.starts_with("nginx")) {
            signs.sign("nchan", "the server is nginx");
        }
        if header("mcp-session-id").is_some() {
            signs.sign("mcp", "the answer names an MCP session");
        }
        signs
    }

    /// A frame came, `at` by the monotonic clock.
    pub(super) fn frame(&mut self, frame: &Frame, at: Duration) {
        let since = at.saturating_sub(self.last.replace(at).unwrap_or(at));
        self.longest = self.longest.max(since);
        match frame {
            Frame::Comment(text) => {
                let text = text.as_str();
                self.comments += 1;
                match text {
                    "thump" => self.sign("mastodon", "`:thump` is its comment"),
                    "ok" => self.sign("wikimedia", "`:ok` is its first comment"),
                    "hi" => self.sign("hue", "`: hi` is its first comment"),
                    "" => self.sign("axum", "an empty comment is its keep-alive"),
                    _ if text.starts_with("ping - ") => {
                        self.sign("sse", "`: ping - <time>` is sse-starlette's");
                    }
                    _ => {}
                }
            }
            Frame::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: &Event) {
        let data = event.data.as_str();
        let name = event.name.as_ref().map_or("", |name| name.as_str());
        let id = event.id.as_ref().map_or("", |id| id.as_str());
        if event.has_data() {
            self.events += 1;
        } else {
            self.without_data += 1;
        }
        self.with_id += u64::from(!id.is_empty());
        self.retry = event.retry.or(self.retry);
        if !name.is_empty() && self.names.len() < NAMES_MAX {
            self.names.insert(name.to_owned());
        }
        if name == "poke" {
            self.sign("inform", "`poke` is the Inform API's heartbeat");
        }
        if name == "heartbeat" && data.is_empty() {
            self.sign("couchdb", "`event: heartbeat` without data is its heartbeat");
        }
        if name == "open" && data.contains("hello") || name == "close" && data.contains("byebye") {
            self.sign("horizon", "`hello` and `byebye` are its first and last event");
        }
        if matches!(name, "put" | "patch") && data.contains("\"path\"") {
            self.sign("launchdarkly", "`put` and `patch` of a `path` are its events");
        }
        if !id.is_empty() && !event.has_data() {
            self.sign("mcp", "an id without data sets its cursor");
        }
        if id.starts_with("urn:uuid:") {
            self.sign("mercure", "its ids begin with `urn:uuid:`");
        }
        if id.starts_with("[{") && id.contains("\"offset\"") {
            self.sign("wikimedia", "its ids are lists of offsets");
        }
        let json = serde_json::from_str::<serde_json::Value>(data).unwrap_or_default();
        let has = |key: &str| json.get(key).is_some();
        if has("__CURSOR") {
            self.sign("journald", "the cursor stands in `/__CURSOR`");
        }
        if has("event")
            && (has("type") || json.get("event").is_some_and(|what| what == "heartbeat"))
        {
            self.sign("pilcrow", "what an event is stands in `/event` of its data");
        }
        if has("jsonrpc") {
            self.sign("mcp", "its data is JSON-RPC");
        }
        if has("seq") && has("changes") {
            self.sign("couchdb", "its data has `seq` and `changes`");
        }
        if has("paging_token") {
            self.sign("horizon", "its data has a `paging_token`");
        }
    }

    fn sign(&mut self, preset: &'static str, why: &'static str) {
        if !self.like.contains(&(preset, why)) {
            self.like.push((preset, why));
        }
    }

    /// The server ended the connection.
    pub(super) const fn ended(&mut self) {
        self.ended = true;
    }

    pub(super) fn so_far(&self) -> String {
        format!("{} events, {} comments", self.events, self.comments)
    }

    /// What was found of a stream that is read by that row, after so long.
    pub(super) fn shown(mut self, dialect: &str, row: &Row, span: Duration) -> Shown {
        let end = if self.ended { self.last.unwrap_or_default() } else { span };
        self.longest = self.longest.max(end.saturating_sub(self.last.unwrap_or_default()));
        // The one with the most signs; the first of those.
        let count = |preset: &str| self.like.iter().filter(|(like, _)| *like == preset).count();
        let preset = self.like.iter().map(|(preset, _)| *preset);
        let preset = preset.rev().max_by_key(|preset| count(preset));
        let why = self.like.iter().filter(|(like, _)| Some(*like) == preset);
        Shown {
            dialect: dialect.to_owned(),
            connect_ms: ms(self.head),
            events: self.events,
            comments: self.comments,
            without_data: self.without_data,
            with_id: self.with_id,
            why: why.map(|(_, why)| *why).collect(),
            preset,
            stale_after: self.arithmetic(row),
            names: self.names.into_iter().collect(),
            longest_silence_ms: ms(self.longest),
            announced: self.announced,
            retry_ms: self.retry.map(ms),
            ended_early: self.ended,
        }
    }

    /// How `stale_after` comes about, in words.
    fn arithmetic(&self, row: &Row) -> String {
        let said = self.announced.as_deref().and_then(|text| text.parse::<f64>().ok());
        let said = said.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let (interval, whence) = match (&row.interval, said) {
            (Interval::Fixed(interval), _) => (Some(*interval), "configured"),
            (Interval::Header(_), Some(said)) => (Some(said), "announced"),
            (Interval::Learn, _) if self.longest > Duration::ZERO => {
                (Some(self.longest), "the longest silence that was seen")
            }
            _ => (None, ""),
        };
        let floor = format_duration(row.stale_floor);
        let Some(interval) = interval else {
            return format!(
                "not known yet: {} × an interval that is announced, at least {floor}",
                row.stale_factor.as_f64()
            );
        };
        let whole = |time: Duration| Duration::from_millis(ms(time));
        format!(
            "{} = {} × {} ({whence}), at least {floor}",
            format_duration(whole(row.stale_after(interval))),
            row.stale_factor.as_f64(),
            format_duration(whole(interval)),
        )
    }
}

/// For people.
pub(super) fn text(shown: &Shown) -> String {
    let span = |ms: u64| format_duration(Duration::from_millis(ms)).to_string();
    let mut rows = vec![
        ("dialect", shown.dialect.clone()),
        ("connect", format!("{} to the head of the response", span(shown.connect_ms))),
        (
            "seen",
            format!(
                "{} events, {} of all blocks with an id, {} comments, {} blocks without data",
                shown.events, shown.with_id, shown.comments, shown.without_data
            ),
        ),
        ("silence", format!("{} at most", span(shown.longest_silence_ms))),
        ("stale", shown.stale_after.clone()),
    ];
    if !shown.names.is_empty() {
        rows.push(("names", shown.names.join(", ")));
    }
    if let Some(announced) = &shown.announced {
        rows.push(("announced", format!("X-Heartbeat-Interval: {announced}")));
    }
    if let Some(retry) = shown.retry_ms {
        rows.push(("retry", span(retry)));
    }
    let mut text: String =
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    if shown.ended_early {
        text += "the server ended the connection before the time was over\n";
    }
    text += "\n# suggested\n";
    for why in &shown.why {
        text += &format!("# {why}\n");
    }
    text + &match shown.preset {
        Some(preset) => format!("dialect = \"{preset}\"\n"),
        None => "# no sign of a preset\ndialect = \"sse\"\n".to_owned(),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// So many names are shown.
const NAMES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(headers: &[(&str, &str)], frames: &[Frame]) -> Option<&'static str> {
        let header = |name: &str| {
            headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut signs = Signs::new(Duration::ZERO, header);
        for frame in frames {
            signs.frame(frame, Duration::ZERO);
        }
        signs.shown("sse", &Row::default(), Duration::ZERO).preset
    }

    #[test]
    fn each_server_is_known_by_its_signs() {
        let comment = |text: &str| Frame::Comment(text.into());
        let data = |data: &str| Frame::Event(Event::new(data));
        assert_eq!(preset(&[], &[comment("")]), Some("axum"));
        assert_eq!(preset(&[], &[comment("thump")]), Some("mastodon"));
        assert_eq!(preset(&[], &[comment("hi")]), Some("hue"));
        assert_eq!(preset(&[("server", "nginx/1.22")], &[comment("hi")]), Some("nchan"));
        assert_eq!(preset(&[], &[data(r#"{"__CURSOR":"s=1"}"#)]), Some("journald"));
        assert_eq!(preset(&[], &[data(r#"{"event":"heartbeat"}"#)]), Some("pilcrow"));
        assert_eq!(preset(&[], &[data(r#"{"seq":"1","changes":[]}"#)]), Some("couchdb"));
        assert_eq!(preset(&[], &[Frame::Event(Event::default().with_id("7"))]), Some("mcp"));
        assert_eq!(preset(&[("last-event-id", "x")], &[data("{}")]), Some("mercure"));
        assert_eq!(preset(&[], &[data("{}")]), None);
    }

    #[test]
    fn what_is_stale_is_shown_with_its_arithmetic() {
        let header = |name: &str| (name == "x-heartbeat-interval").then(|| "20".to_owned());
        let row =
            Row { interval: Interval::Header("X-Heartbeat-Interval".into()), ..Row::default() };
        let shown = Signs::new(Duration::ZERO, header).shown("sse", &row, Duration::ZERO);
        assert_eq!(shown.stale_after, "50s = 2.5 × 20s (announced), at least 5s");
        let mut signs = Signs::new(Duration::ZERO, |_| None);
        signs.frame(&Frame::Comment("".into()), Duration::from_secs(1));
        let shown = signs.shown("sse", &Row::default(), Duration::from_secs(9));
        assert_eq!(shown.longest_silence_ms, 8_000);
        assert!(shown.stale_after.starts_with("20s = 2.5 × 8s"), "{}", shown.stale_after);
    }
}
