//! `[[sink]]`: which sink gets which streams; the rest of the table is the sink's own.

use streamkeeper_sink::SinkTable;

/// One sink, not yet made: its factory reads [`table`](Self::table).
///
/// ```
/// use streamkeeper::config::SinkConfig;
///
/// let mut sink = SinkConfig::new("archive", "file");
/// assert!(sink.wants("acme"));
/// sink.streams = vec!["acme-*".into()];
/// assert!(sink.wants("acme-eu") && !sink.wants("other"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// Unique among the sinks: the key of its cursor. The rules of
    /// [`StreamConfig::name`](super::StreamConfig::name) hold.
    pub name: String,
    /// The value of `type`: the type name of its factory.
    pub kind: String,
    /// Names of streams, in which `*` stands for any text; each has to match at least
    /// one stream. Default: `*`.
    pub streams: Vec<String>,
    /// Types of events ([`Envelope::kind`](streamkeeper_sink::Envelope::kind)), in which `*` stands for any
    /// text; others never reach the sink. Default: `*`.
    pub types: Vec<String>,
    /// An event that the sink refuses alone so many times goes to its dead letters; `None`: never, it is
    /// tried for ever and its stream waits. Default: 20.
    pub attempts: Option<u32>,
    /// The keys that belong to the sink itself.
    pub table: SinkTable,
}

impl SinkConfig {
    /// The default of [`attempts`](Self::attempts).
    pub const ATTEMPTS: u32 = 20;

    /// A sink of the given type for all streams, with an empty table.
    pub fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            streams: vec!["*".into()],
            types: vec!["*".into()],
            attempts: Some(Self::ATTEMPTS),
            table: SinkTable::default(),
        }
    }

    /// Whether events of this type go to the sink.
    pub fn wants_type(&self, kind: &str) -> bool {
        self.types.iter().any(|pattern| matches(pattern, kind))
    }

    /// Whether the events of this stream go to the sink.
    pub fn wants(&self, stream: &str) -> bool {
        self.streams.iter().any(|pattern| matches(pattern, stream))
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any text.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut parts = tail.split('*').collect::<Vec<_>>();
    let last = parts.pop().unwrap_or_default();
    // The leftmost match of each part leaves the most for the parts after it.
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
