//! The rows, in the order of the commented file.

use super::{Form, Key, Kind};
use Kind::{
    AddressOrOff, Bytes, Date, Duration, DurationOrOff, Factor, Flag, Number, NumberOr, OneOf,
    Path, Secret, Shape, Text, TextTable, Texts,
};

const fn key(path: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key { path, kind, default: Some(default), help }
}

/// A key without a value of its own as default.
const fn bare(path: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { path, kind, default: None, help }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `[service]`.
pub const SERVICE: &[Key] = &[
    key("data_dir", Path, "./data", "one folder per stream lies below it; created 0700"),
    key("listen", AddressOrOff, "127.0.0.1:9464", "where metrics, health, status and the page are"),
    key("log_format", OneOf(&["text", "json"]), "text", "how the log is written"),
    key(
        "queue_bytes",
        Bytes(KIB, 64 * GIB),
        "64MiB",
        "the default of `queue_bytes` of each stream",
    ),
    bare("token", Secret, "the bearer token of `listen`; needed if that is not a loopback address"),
    bare("token_file", Path, "a file with it; needed to steer streams over HTTP"),
    bare("token_env", Text, "an environment variable with it"),
];

/// `[[stream]]` and its tables, of any dialect.
pub const COMMON: &[Key] = &[
    bare("name", Text, "required; unique here: a folder, a metric label, the source of its events"),
    key(
        "dialect",
        Shape(&Form {
            words: &[
                "inform",
                "sse",
                "spring",
                "axum",
                "pilcrow",
                "couchdb",
                "wikimedia",
                "mercure",
                "mastodon",
                "hue",
                "horizon",
                "launchdarkly",
                "mcp",
                "nchan",
                "journald",
            ],
            text: Some("the NAME of a `[dialects.NAME]`"),
            tables: &[],
            list: false,
        }),
        "inform",
        "what kind of server it is; see [dialects.md](dialects.md)",
    ),
    bare(
        "url",
        Text,
        "required; `http` or `https`, without a user; of the Inform API the base URL, without a query",
    ),
    key(
        "connections",
        Number(1, 20),
        "1",
        "slots; the server's own limit is read from its pokes. Of the sse family 1",
    ),
    bare("ca_file", Path, "trust the certificates in this PEM file in place of the system's"),
    bare("client_cert_file", Path, "our own certificate, PEM, for a service that asks for one"),
    bare("client_key_file", Path, "its private key, PEM, not encrypted; both or neither"),
    bare(
        "proxy",
        Secret,
        "`http://[user:password@]host:port` of a forward proxy, or `off`; default: that of the environment",
    ),
    bare("proxy_file", Path, "a file with it"),
    bare("proxy_env", Text, "an environment variable with it"),
    key("max_event_bytes", Bytes(KIB, 32 * MIB), "4MiB", "the largest event that is accepted"),
    bare(
        "queue_bytes",
        Bytes(KIB, 64 * GIB),
        "what is held in memory between socket and disk; default: that of `[service]`",
    ),
    key("call_timeout", Duration, "30s", "of one REST call"),
    key(
        "watchdog.frame_timeout",
        Duration,
        "10m",
        "how long one frame may take while its bytes come (1 KiB a second, or it is a trickle)",
    ),
    key("watchdog.connect_timeout", Duration, "10s", "from connecting to the head of the response"),
    key(
        "hygiene.max_consecutive_pokes",
        Number(1, 1_000_000),
        "5",
        "without data between them: then rest",
    ),
    key(
        "hygiene.rest_initial",
        Duration,
        "5s",
        "the first rest; each further one is twice as long",
    ),
    key("hygiene.rest_max", Duration, "5m", "the longest rest"),
    key("backoff.initial", Duration, "1s", "the longest first pause between tries to connect"),
    key(
        "backoff.retry_after_max",
        Duration,
        "1h",
        "the longest `Retry-After` of the service that is obeyed",
    ),
    key(
        "ledger.commit_delay",
        Duration,
        "5ms",
        "a group commit gathers events for so long at most",
    ),
    key("ledger.commit_bytes", Bytes(1, 64 * GIB), "1MiB", "or until so much waits"),
    key(
        "ledger.retention_days",
        Number(32, 3_650),
        "35",
        "how long a record's newest version is known",
    ),
    key("ledger.memory_bytes", Bytes(MIB, u64::MAX), "256MiB", "for the record ids of recent days"),
    key(
        "ledger.outbox_bytes",
        Bytes(MIB, u64::MAX),
        "16GiB",
        "reading waits once what sinks have not taken fills so much",
    ),
    key(
        "ledger.outbox_age",
        DurationOrOff,
        "off",
        "reading waits once an event has waited for a sink for so long",
    ),
];

/// What only a stream of the Inform API has, or has with a default of its own.
pub const INFORM: &[Key] = &[
    bare("server_name", Text, "the stream's name on the server; default: `name`"),
    bare("token", Secret, "the organization token; it, `token_file` or `token_env` is required"),
    bare("token_file", Path, "a file with it; looked for in `$CREDENTIALS_DIRECTORY` first"),
    bare("token_env", Text, "an environment variable with it"),
    key("resource_filter", Texts, "[]", "resource types to ask for; empty: all"),
    key("event_types", Texts, "[\"data\"]", "of `data`, `rule`, `connection`"),
    bare("start_date", Date, "first creation only; default: the last 30 days of the service"),
    key("max_age", DurationOrOff, "off", "a connection is replaced after so long, one at a time"),
    key("watchdog.late_after", Duration, "10s", "silence that is reported; below `stale_after`"),
    key("watchdog.stale_after", Duration, "30s", "silence after which the stream is recovered"),
    key("hygiene.enabled", Flag, "true", "whether connections rest at all"),
    key(
        "recovery.strategy",
        OneOf(&["recreate", "replay"]),
        "recreate",
        "make the stream anew, or read on and the replay endpoint beside it",
    ),
    key(
        "recovery.margin",
        Duration,
        "5m",
        "the service's queueing delay and clock skew; raised by itself to what is seen",
    ),
    key("recovery.settle", Duration, "75s", "how long nothing may change before the mark moves"),
    key(
        "recovery.walk",
        Duration,
        "10m",
        "the longest silence before a new stream's history starts",
    ),
    key(
        "recovery.verify_every",
        DurationOrOff,
        "12h",
        "suspects are checked over the replay endpoint at most this often",
    ),
    key("recovery.hold_patience", Duration, "60s", "DELETE refused for longer: create alongside"),
    key("recovery.lookback_days", Number(0, 30), "0", "whole days by which a replay is widened"),
    key(
        "recovery.max_recoveries",
        Number(1, 1_000_000),
        "5",
        "more of them within `within`: a growing pause, and an alarm",
    ),
    key("recovery.within", Duration, "1h", "the window of `max_recoveries`"),
    key("backoff.max", Duration, "30s", "the longest pause"),
];

/// What only a stream of the sse family has, or has with a default of its own.
pub const SSE: &[Key] = &[
    bare("url_file", Path, "a file with `url`, if a key stands in it: the URL is a secret then"),
    bare("url_env", Text, "an environment variable with it"),
    bare("headers", TextTable, "headers of every request to the URL's origin"),
    bare("auth.bearer", Secret, "`Authorization: Bearer …`; at most one form of `auth`"),
    bare("auth.bearer_file", Path, "a file with it; looked for in `$CREDENTIALS_DIRECTORY` first"),
    bare("auth.bearer_env", Text, "an environment variable with it"),
    bare("auth.basic.user", Text, "`Authorization: Basic …`"),
    bare("auth.basic.password", Secret, "its password"),
    bare("auth.basic.password_file", Path, "a file with it"),
    bare("auth.basic.password_env", Text, "an environment variable with it"),
    bare("auth.header.name", Text, "a header of any name, such as `X-Api-Key`"),
    bare("auth.header.value", Secret, "its value"),
    bare("auth.header.value_file", Path, "a file with it"),
    bare("auth.header.value_env", Text, "an environment variable with it"),
    bare("auth.query.name", Text, "a parameter of the query"),
    bare("auth.query.value", Secret, "its value"),
    bare("auth.query.value_file", Path, "a file with it"),
    bare("auth.query.value_env", Text, "an environment variable with it"),
    bare("auth.cookie.name", Text, "a cookie"),
    bare("auth.cookie.value", Secret, "its value"),
    bare("auth.cookie.value_file", Path, "a file with it"),
    bare("auth.cookie.value_env", Text, "an environment variable with it"),
    bare(
        "watchdog.late_after",
        Duration,
        "silence that is reported; below `stale_after`; default: two thirds of it, nine tenths with a `stale_factor` below 1.5",
    ),
    bare(
        "watchdog.stale_after",
        Duration,
        "silence after which the connection is replaced; default: `stale_factor` × the interval",
    ),
    key("hygiene.enabled", Flag, "false", "whether the connection rests after heartbeats alone"),
    key(
        "recovery.strategy",
        OneOf(&["resume", "reconnect"]),
        "resume",
        "ask with the cursor, or never",
    ),
    key("backoff.max", Duration, "1m", "the longest pause"),
    key(
        "sse.alive_on",
        Shape(&Form { words: &["bytes", "comments", "events"], list: true, ..FORM }),
        "bytes",
        "what proves life: whatever comes, comment lines, events, or events of these names. A delivered event \
         and a heartbeat always do",
    ),
    key(
        "sse.interval",
        Shape(&Form {
            words: &["learn"],
            text: Some("a duration"),
            tables: &[&["url", "pointer"], &["header"], &["event", "pointer"]],
            ..FORM
        }),
        "learn",
        "how often the server says something; where it announces that: a document, a header of the answer, an \
         event; numbers there are seconds. Of a WebSocket how often it is asked, and \"20s\"",
    ),
    key("sse.stale_factor", Factor, "2.5", "`stale_after` is so many intervals …"),
    key("sse.stale_floor", Duration, "5s", "… and at least this"),
    key(
        "sse.cursor",
        Shape(&Form { words: &["id", "none"], text: Some("a JSON pointer"), ..FORM }),
        "id",
        "where the cursor stands: the field `id`, or in the data. Of a WebSocket none, or in the text",
    ),
    key(
        "sse.cursor_via",
        Shape(&Form {
            words: &["last-event-id"],
            tables: &[&["query"], &["header", "template"], &["url"]],
            ..FORM
        }),
        "last-event-id",
        "how the server is asked with it; `{cursor}` stands for it in a template and a URL",
    ),
    key(
        "sse.identity",
        Shape(&Form { words: &["cursor", "none"], text: Some("a JSON pointer"), ..FORM }),
        "cursor",
        "what tells an event from others, so that what comes again is dropped; none: every event is new, as of a \
         WebSocket",
    ),
    key("sse.heartbeats", Texts, "[]", "names of events that prove life and carry nothing"),
    key("sse.ignore", Texts, "[]", "names of events that are neither data nor life"),
    key(
        "sse.name",
        Shape(&Form { words: &["event"], text: Some("a JSON pointer"), ..FORM }),
        "event",
        "where an event's name stands: the field `event`, or in the data",
    ),
    key(
        "sse.first_cursor",
        Shape(&Form {
            words: &["none"],
            text: Some("the cursor itself"),
            tables: &[&["url", "pointer"]],
            ..FORM
        }),
        "none",
        "what to ask with before there is a cursor",
    ),
    key(
        "sse.session",
        Shape(&Form {
            words: &["none"],
            tables: &[
                &["body", "header"],
                &["url", "body", "header"],
                &["body", "header", "then"],
                &["url", "body", "header", "then"],
            ],
            ..FORM
        }),
        "none",
        "what the stream is read within: `body` is posted to `url` (the stream's own unless it is given), the \
         answer's `header` goes with each request for the stream, and `then` is posted within it",
    ),
    key("sse.end", Texts, "[]", "names of a last event: the end that follows is a planned one"),
    key(
        "sse.gap_check",
        Shape(&Form { words: &["none", "sequence"], tables: &[&["header"], &["event"]], ..FORM }),
        "none",
        "what shows that the resume point was lost: ids that do not count up by one, a header that names \
         another id than was asked with, an event",
    ),
    key(
        "sse.resync",
        Shape(&Form { words: &["none"], tables: &[&["url"]], ..FORM }),
        "none",
        "a document that is fetched once for each gap, and delivered as `sse.snapshot`",
    ),
    key(
        "sse.group",
        OneOf(&["solo", "all"]),
        "solo",
        "all: when one stream is stale, all of the same origin are started anew",
    ),
    key("sse.max_age", DurationOrOff, "off", "a connection is replaced after so long, staggered"),
    key(
        "sse.redirects",
        Flag,
        "false",
        "go where the server sends us; secrets stay within the origin",
    ),
    key(
        "sse.full_state",
        Flag,
        "false",
        "the server sends its full state on each connection: a break without a cursor is no gap",
    ),
];

/// A value of several forms, of which none is said yet.
const FORM: Form = Form { words: &[], text: None, tables: &[], list: false };

/// `[[sink]]`, without what belongs to its type.
pub const SINK: &[Key] = &[
    bare("name", Text, "required, unique: the key of its cursor"),
    bare("type", Text, "required; `file`, `nats`, `postgres`, `stdout` or `webhook`"),
    key("streams", Texts, "[\"*\"]", "names of streams; `*` stands for any text"),
    key("types", Texts, "[\"*\"]", "types of events; others never reach the sink"),
    key(
        "retry.attempts",
        NumberOr(1, u32::MAX as u64, "forever"),
        "20",
        "so often an event that the sink refuses is tried alone, then it goes to the dead letters",
    ),
];
