//! HTTP over awc, for event streams that live for days and for the few calls around them.
//!
//! awc does the HTTP; the connection underneath is ours, because what a stream needs is decided
//! there: one fresh TCP connection per stream, never pooled and never HTTP/2, so that each can be
//! watched and closed alone; the truth about how a body ended; a half-close; a kill that works
//! from any thread. Each module holds one part:
//!
//! - `settings`: where to connect, as whom and with which authorities; `auth`: who we are; `target`: where
//!   a URL leads; `settings_error`: what is wrong with them.
//! - `exchange`: one request and its answer; `upgrade`: one that asks for another protocol; `redirect`: an
//!   answer that sends us elsewhere; `open`: what lives for days.
//! - `look_up`: names into addresses. `dial`: TCP to one of them; `tcp`: its own limits. `proxy`: which proxy, and the
//!   tunnel through it. `tls`: authorities, certificates, sessions. `wire`: the socket with what
//!   lies on it.
//! - `tap`: the connection as awc sees it. `head`: the response heads that awc would misread.
//! - `control`: the handle by which others close a connection. `body`: what is read, and its end;
//!   `outgoing`: what a WebSocket is told.
//! - `error`: why a connection could not be opened, and in which phase.
//!
//! What is secret is added to a request at the last moment, if it goes to the origin that it is for. No error, log or `Debug` output of this
//! module holds a URL, a token or a body. When to connect, and what an end means, is policy and
//! lives elsewhere.

mod auth;
mod body;
mod control;
mod dial;
mod encoding;
mod error;
mod exchange;
mod gzip;
mod head;
mod look_up;
mod open;
mod outgoing;
mod pem;
mod proxy;
mod redirect;
mod settings;
mod settings_error;
mod tap;
mod target;
mod tcp;
mod tls;
mod tls_fault;
mod upgrade;
mod wire;

pub use self::auth::Auth;
pub use self::body::{BodyError, EndKind, SseResponse};
pub use self::control::Control;
pub use self::error::{OpenError, OpenErrorKind, OpenPhase};
pub use self::exchange::HttpTransport;
pub use self::look_up::{LookUp, system_look_up};
pub use self::proxy::Proxy;
pub use self::settings::TransportSettings;
pub use self::settings_error::{FileFault, SettingsError};
pub use self::tcp::TcpLimits;

pub use streamkeeper_call::TlsFault;

pub(crate) use self::auth::header_value;
pub(crate) use self::exchange::Renewal;
pub(crate) use self::proxy::Route;
pub(crate) use self::settings_error::PROXY_URL;
pub(crate) use self::target::{Origin, is_web_socket, resolve};
pub(crate) use self::tls::{read_authorities, read_identity};
