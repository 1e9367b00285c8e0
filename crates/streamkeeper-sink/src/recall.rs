//! What a sink is asked about what it has.

/// Which events a sink is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall<'a> {
    /// Of this stream ([`Envelope::source`](crate::Envelope::source)).
    pub source: &'a str,
    /// Processed by the service at this time or later ([`Envelope::time_us`](crate::Envelope::time_us), in
    /// microseconds since 1970). What has no time is told in any case.
    pub since_us: i64,
}

/// An event that a sink has.
#[derive(Clone, PartialEq, Eq)]
pub struct Recalled {
    /// Names the record and its version ([`Envelope::id`](crate::Envelope::id)).
    pub id: String,
    /// When the service processed it, in microseconds since 1970; `None` if that is not known there.
    pub time_us: Option<i64>,
    /// The user. Health data: never log it.
    pub subject: Option<String>,
}

impl std::fmt::Debug for Recalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recalled").field("time_us", &self.time_us).finish_non_exhaustive()
    }
}
