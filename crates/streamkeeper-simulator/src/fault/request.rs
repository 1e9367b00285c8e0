//! A fault as the flat JSON object of `POST /fault`, and its conversion.
//!
//! One object for all kinds, so that it can be typed by hand; what a kind needs and lacks is named.

use serde::{Deserialize, Serialize};

use super::{Break, Call, CallFault, ConnectionFault, Fault, OnFin, Scope, Target};
use crate::model::Millis;

/// The kinds of `POST /fault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each is the fault of that name; `Truncated` is `Fin` in mid-event"
)]
pub enum FaultKind {
    Hang,
    Fin,
    End,
    Rst,
    Truncated,
    Slow,
    Stall,
    Garbage,
    Huge,
    HalfCloseIgnored,
    HalfCloseBare,
    LatePokes,
    Refused,
    Held,
    Evicted,
    Foreign,
    Status,
    Silence,
    Dropped,
    LostAnswer,
    Gzip,
    NoLength,
    Clear,
}

/// A fault as the body of `POST /fault`. What a kind does not use is ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// Which fault.
    pub kind: FaultKind,
    /// How many connections (1 unless given), calls (1 unless `for_ms` is given) or clients (1).
    #[serde(default)]
    pub count: Option<u32>,
    /// These connections, by number.
    #[serde(default)]
    pub which: Option<Vec<u64>>,
    /// All connections.
    #[serde(default)]
    pub all: bool,
    /// For how long, in milliseconds.
    #[serde(default)]
    pub for_ms: Option<Millis>,
    /// `hang`, `fin`, `rst`: after half a frame.
    #[serde(default)]
    pub mid_event: bool,
    /// `hang`: the service hears nothing of the client either.
    #[serde(default)]
    pub deaf: bool,
    /// `slow`.
    #[serde(default)]
    pub bytes_per_s: Option<u64>,
    /// `huge`: 5 MiB unless given.
    #[serde(default)]
    pub bytes: Option<usize>,
    /// `late_pokes`.
    #[serde(default)]
    pub late_ms: Option<Millis>,
    /// `held`.
    #[serde(default)]
    pub hold_ms: Option<Millis>,
    /// `evicted`, `foreign`: a stream's id or name.
    #[serde(default)]
    pub stream: Option<String>,
    /// Faults of calls: of this kind alone.
    #[serde(default)]
    pub call: Option<Call>,
    /// `status`.
    #[serde(default)]
    pub status: Option<u16>,
    /// `status`: the `Retry-After` header.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
    /// `lost_answer`: never answered, rather than closed.
    #[serde(default)]
    pub silent: bool,
}

/// A fault that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this fault needs `{0}`")]
pub struct Missing(pub &'static str);

impl TryFrom<FaultRequest> for Fault {
    type Error = Missing;

    fn try_from(request: FaultRequest) -> Result<Self, Missing> {
        let FaultRequest { for_ms, mid_event, .. } = request;
        let connection = |fault| Self::Connection(request.target(), fault);
        let breaks = |how, mid_event| connection(ConnectionFault::Break { how, mid_event });
        let call = |fault| Self::Call(fault, request.scope());
        let on_fin = |on_fin| {
            if request.names_connections() {
                connection(ConnectionFault::Fin(on_fin))
            } else {
                call(CallFault::Fin(on_fin))
            }
        };
        let stream = || request.stream.clone().ok_or(Missing("stream"));
        Ok(match request.kind {
            FaultKind::Hang => breaks(Break::Hang { deaf: request.deaf, for_ms }, mid_event),
            FaultKind::Fin => breaks(Break::Fin, mid_event),
            FaultKind::Rst => breaks(Break::Reset, mid_event),
            FaultKind::Truncated => breaks(Break::Fin, true),
            FaultKind::End => connection(ConnectionFault::End),
            FaultKind::Slow => {
                let bytes_per_s = request.bytes_per_s.ok_or(Missing("bytes_per_s"))?;
                connection(ConnectionFault::Slow { bytes_per_s, for_ms })
            }
            FaultKind::Stall => {
                let for_ms = for_ms.ok_or(Missing("for_ms"))?;
                connection(ConnectionFault::Stall { for_ms })
            }
            FaultKind::Garbage => connection(ConnectionFault::Garbage),
            FaultKind::Huge => {
                let bytes = request.bytes.unwrap_or(HUGE_BYTES);
                connection(ConnectionFault::Huge { bytes })
            }
            FaultKind::HalfCloseIgnored => on_fin(OnFin::Ignored),
            FaultKind::HalfCloseBare => on_fin(OnFin::Bare),
            FaultKind::LatePokes => {
                Self::LatePokes { late_ms: request.late_ms.ok_or(Missing("late_ms"))?, for_ms }
            }
            FaultKind::Refused => Self::Refused { for_ms: for_ms.ok_or(Missing("for_ms"))? },
            FaultKind::Held => {
                Self::Held { hold_ms: request.hold_ms.ok_or(Missing("hold_ms"))?, for_ms }
            }
            FaultKind::Evicted => Self::Evicted { stream: stream()? },
            FaultKind::Foreign => {
                let count = request.count.unwrap_or(1) as usize;
                Self::Foreign { stream: stream()?, count, for_ms }
            }
            FaultKind::Status => {
                let status = request.status.ok_or(Missing("status"))?;
                call(CallFault::Status { status, retry_after_s: request.retry_after_s })
            }
            FaultKind::Silence => call(CallFault::Silence),
            FaultKind::Dropped => call(CallFault::Dropped),
            FaultKind::LostAnswer => call(CallFault::LostAnswer { silent: request.silent }),
            FaultKind::Gzip => call(CallFault::Gzip),
            FaultKind::NoLength => call(CallFault::NoLength),
            FaultKind::Clear => Self::Clear,
        })
    }
}

impl FaultRequest {
    /// A fault of this kind to one connection or call.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            count: None,
            which: None,
            all: false,
            for_ms: None,
            mid_event: false,
            deaf: false,
            bytes_per_s: None,
            bytes: None,
            late_ms: None,
            hold_ms: None,
            stream: None,
            call: None,
            status: None,
            retry_after_s: None,
            silent: false,
        }
    }

    fn target(&self) -> Target {
        match &self.which {
            Some(which) => Target::Which(which.clone()),
            None if self.all => Target::All,
            None => Target::Count(self.count.unwrap_or(1) as usize),
        }
    }

    fn scope(&self) -> Scope {
        let once = self.for_ms.is_none().then_some(1);
        Scope { call: self.call, count: self.count.or(once), for_ms: self.for_ms }
    }

    fn names_connections(&self) -> bool {
        self.all || self.which.is_some()
    }
}

/// Above any limit a client would set for one event.
const HUGE_BYTES: usize = 5 << 20;
