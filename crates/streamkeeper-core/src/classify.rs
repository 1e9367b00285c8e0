//! What the end of a connection means: did it lose events, and what does the service want?
//!
//! Total: every way in which a connection can end has a verdict here, and nowhere else.

use std::time::Duration;

/// How a connection, or the attempt to open one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The body ended properly: the HTTP terminator came.
    Terminated {
        /// An event was cut in the middle all the same.
        mid_event: bool,
    },
    /// The connection was closed in order, and its body has no other end: it came without a length
    /// and without chunks.
    Closed {
        /// An event was cut in the middle.
        mid_event: bool,
    },
    /// The connection was closed (FIN) in the middle of the body: the HTTP terminator is missing.
    Eof {
        /// An event was cut in the middle.
        mid_event: bool,
    },
    /// Reset, or another error of the socket.
    Reset,
    /// Bytes that are no HTTP body, or a corrupt content coding.
    Corrupt,
    /// We closed it, hard.
    Killed,
    /// The code that read it panicked.
    Panicked,
    /// There was an answer, and it was not a stream of events.
    Refused(Refusal),
    /// There was no answer.
    NotOpened {
        /// The request had left: the service may have counted us as a client, and sent us events.
        sent: bool,
    },
}

/// Why the service did not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401 or 403: the token is wrong, or not for this organization.
    Token {
        /// 401 or 403.
        status: u16,
        /// The service's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 204: the server has nothing more to say, and wants to be asked no more (the standard of server-sent
    /// events). No other status says so.
    NoContent,
    /// 404 or 410: there is no such stream.
    Gone,
    /// 422 on a connect: too many clients. Not fatal: a closed one keeps its place for a while.
    Crowded {
        /// The service's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// 429, 5xx, or anything else that may pass.
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// The service's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A 2xx that is not `text/event-stream`, or in a content coding we do not speak.
    NotEvents,
}

impl Refusal {
    /// The verdict on the status of a connect's answer that is no stream of events.
    #[must_use]
    pub const fn from_status(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            401 | 403 => Self::Token { status, retry_after },
            204 => Self::NoContent,
            404 | 410 => Self::Gone,
            422 => Self::Crowded { retry_after },
            200..=299 => Self::NotEvents,
            _ => Self::Unavailable { status, retry_after },
        }
    }
}

impl End {
    /// Whether events may have been lost: sent by the service and not read here.
    ///
    /// `wanted`: we had half-closed it and read to the end. Then an orderly close is safe where a body
    /// has no other end, because TCP brought everything that was written before it (recovery.md, "a
    /// connection ends"). Where a terminator is due and missing, whoever closed was not the service
    /// at the end of its answer: a balancer passes a half-close on as an end, while the service
    /// behind it still writes.
    #[must_use]
    pub const fn may_have_lost(self, wanted: bool) -> bool {
        match self {
            Self::Terminated { mid_event } => mid_event,
            Self::Closed { mid_event } => mid_event || !wanted,
            Self::Eof { .. } | Self::Reset | Self::Corrupt | Self::Killed | Self::Panicked => true,
            Self::Refused(_) => false,
            Self::NotOpened { sent } => sent,
        }
    }

    /// How long the service asks us to wait; it may say so with any refusal that passes (Inform API,
    /// Errors).
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Refused(
                Refusal::Token { retry_after, .. }
                | Refusal::Crowded { retry_after }
                | Refusal::Unavailable { retry_after, .. },
            ) => retry_after,
            _ => None,
        }
    }

    /// The word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Terminated { mid_event: false } => "end",
            Self::Closed { mid_event: false } => "closed",
            Self::Eof { mid_event: false } => "eof",
            Self::Terminated { mid_event: true }
            | Self::Closed { mid_event: true }
            | Self::Eof { mid_event: true } => "truncated",
            Self::Reset => "reset",
            Self::Corrupt => "corrupt",
            Self::Killed => "killed",
            Self::Panicked => "panic",
            Self::Refused(Refusal::Token { .. }) => "token_refused",
            Self::Refused(Refusal::NoContent) => "no_content",
            Self::Refused(Refusal::Gone) => "stream_gone",
            Self::Refused(Refusal::Crowded { .. }) => "too_many_clients",
            Self::Refused(Refusal::Unavailable { .. }) => "unavailable",
            Self::Refused(Refusal::NotEvents) => "not_events",
            Self::NotOpened { .. } => "unreachable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proper_end_or_a_wanted_one_loses_nothing() {
        let unwanted = |end: End| end.may_have_lost(false);
        assert!(!unwanted(End::Terminated { mid_event: false }));
        assert!(unwanted(End::Terminated { mid_event: true }));
        assert!(unwanted(End::Closed { mid_event: false }));
        assert!(!End::Closed { mid_event: false }.may_have_lost(true));
        assert!(End::Closed { mid_event: true }.may_have_lost(true));
        for end in [
            End::Eof { mid_event: false },
            End::Eof { mid_event: true },
            End::Reset,
            End::Corrupt,
            End::Killed,
            End::Panicked,
        ] {
            assert!(end.may_have_lost(true) && end.may_have_lost(false));
        }
    }

    #[test]
    fn an_attempt_is_suspect_only_if_the_request_had_left_unanswered() {
        assert!(End::NotOpened { sent: true }.may_have_lost(false));
        assert!(!End::NotOpened { sent: false }.may_have_lost(false));
        for status in 100..=599 {
            assert!(!End::Refused(Refusal::from_status(status, None)).may_have_lost(false));
        }
    }

    #[test]
    fn only_a_204_says_that_nothing_more_comes() {
        let ends = |status| Refusal::from_status(status, None) == Refusal::NoContent;
        assert_eq!((100..=599).filter(|status| ends(*status)).collect::<Vec<_>>(), [204]);
    }
}
