//! The rows, in the order of the commented file.

use super::{Key, Kind};
use Kind::{
    AddressOrOff, Bytes, Date, Duration, DurationOrOff, Flag, Number, OneOf, Path, Secret, Text,
    Texts,
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

/// `[[stream]]` and its tables.
pub const STREAM: &[Key] = &[
    bare("name", Text, "required; unique here: a folder, a metric label, the source of its events"),
    bare("server_name", Text, "the stream's name on the server; default: `name`"),
    key("dialect", OneOf(&["inform"]), "inform", "what kind of server it is"),
    bare("url", Text, "required; the base URL, `http` or `https`, without user, query, fragment"),
    bare("token", Secret, "the organization token; it, `token_file` or `token_env` is required"),
    bare("token_file", Path, "a file with it; looked for in `$CREDENTIALS_DIRECTORY` first"),
    bare("token_env", Text, "an environment variable with it"),
    key("connections", Number(1, 20), "1", "slots; the server's own limit is read from its pokes"),
    key("resource_filter", Texts, "[]", "resource types to ask for; empty: all"),
    key("event_types", Texts, "[\"data\"]", "of `data`, `rule`, `connection`"),
    bare("start_date", Date, "first creation only; default: the last 30 days of the service"),
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
    key("watchdog.late_after", Duration, "10s", "silence that is reported; below `stale_after`"),
    key("watchdog.stale_after", Duration, "30s", "silence after which the stream is recovered"),
    key(
        "watchdog.frame_timeout",
        Duration,
        "10m",
        "how long one frame may take while its bytes come (1 KiB a second, or it is a trickle)",
    ),
    key("watchdog.connect_timeout", Duration, "10s", "from connecting to the head of the response"),
    key("hygiene.enabled", Flag, "true", "whether connections rest at all"),
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
    key("recovery.strategy", OneOf(&["recreate"]), "recreate", "what a recovery does"),
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
    key("backoff.initial", Duration, "1s", "the longest first pause between tries to connect"),
    key("backoff.max", Duration, "30s", "the longest pause"),
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

/// `[[sink]]`, without what belongs to its type.
pub const SINK: &[Key] = &[
    bare("name", Text, "required, unique: the key of its cursor"),
    bare("type", Text, "required; `file` or `stdout`"),
    key("streams", Texts, "[\"*\"]", "names of streams; `*` stands for any text"),
];
