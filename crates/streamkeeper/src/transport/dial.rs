//! From a host name to a connection: addresses, TCP, the proxy's tunnel, TLS.
//!
//! awc's own connector tries one address after the other under one timer, sets no socket options
//! and does TLS above the connection, so this one replaces it. Time is not limited here but
//! around the whole attempt.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::control::Control;
use super::error::{OpenErrorKind, Phase};
use super::look_up::{self, LookUp};
use super::proxy::Route;
use super::settings::{SettingsError, Target, TransportSettings};
use super::tap::{Tap, Trace};
use super::tls::{self, Session};
use super::wire::{Socket, Wire};

/// How long one address may take before the next is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// When to ask an idle peer whether it is there: it keeps the path open, and finds a peer that is
/// gone for good even while nobody reads.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long the peer may leave anything of ours unacknowledged. Far beyond any limit on silence:
/// that a connection is stale is for the watchdog to say, and TCP mends an outage of a minute
/// without losing an event.
pub const USER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Opens connections to one target.
pub(super) struct Dialer {
    pub(super) target: Target,
    look_up: LookUp,
    tls: Option<Session>,
    /// The proxy, and the session with it, if it is one that is reached over TLS.
    proxy: Option<(Route, Option<Session>)>,
}

impl Dialer {
    pub(super) fn new(settings: &TransportSettings) -> Result<Self, SettingsError> {
        let target = Target::parse(&settings.url)?;
        let route = Route::choose(&settings.proxy, &target, |name| std::env::var_os(name))?;
        // Checked without TLS, too: a mistake shall not wait for the change to it.
        let identity = tls::read_identity(
            settings.client_cert_file.as_deref(),
            settings.client_key_file.as_deref(),
        )?;
        let mut tls = None;
        let mut proxy = route.map(|route| (route, None));
        let is_secure = |(route, _): &(Route, Option<Session>)| route.https;
        if target.https || proxy.as_ref().is_some_and(is_secure) {
            let authorities = Arc::new(tls::read_authorities(settings.ca_file.as_deref())?);
            if let Some((route, session)) = proxy.as_mut().filter(|proxy| is_secure(proxy)) {
                // The client's certificate is for the service, not for whoever stands between.
                let config = tls::client_config(Arc::clone(&authorities), None)?;
                let new = Session::new(&config, &route.host);
                *session = Some(new.ok_or(SettingsError::Proxy("proxy"))?);
            }
            if target.https {
                let config = tls::client_config(authorities, identity)?;
                tls = Some(Session::new(&config, &target.host).ok_or(SettingsError::Url)?);
            }
        }
        Ok(Self { target, look_up: Arc::clone(&settings.look_up), tls, proxy })
    }

    /// Opens a connection. The phase it is in shows in `trace`.
    pub(super) async fn dial(
        &self,
        control: &Control,
        trace: &Rc<Trace>,
    ) -> Result<Tap, OpenErrorKind> {
        let mut wire = match &self.proxy {
            None => {
                trace.phase.set(Phase::Dns);
                let connecting = || trace.phase.set(Phase::Connect);
                self.connect(&self.target.host, self.target.port, connecting, control).await?
            }
            Some((route, session)) => {
                trace.phase.set(Phase::Proxy);
                let mut wire = self.connect(&route.host, route.port, || {}, control).await?;
                if let Some(session) = session {
                    wire = session.begin(wire).await?;
                }
                route.open_tunnel(&mut wire, &self.target).await?;
                wire
            }
        };
        if let Some(session) = &self.tls {
            trace.phase.set(Phase::Tls);
            wire = session.begin(wire).await?;
        }
        trace.phase.set(Phase::Head);
        Ok(Tap::new(wire, control.clone(), Rc::clone(trace)))
    }

    /// TCP to whichever address of the host answers.
    async fn connect(
        &self,
        host: &str,
        port: u16,
        found: impl FnOnce(),
        control: &Control,
    ) -> Result<Wire, OpenErrorKind> {
        let network = |error: io::Error| OpenErrorKind::Network(error.kind());
        let addresses = look_up::addresses(&self.look_up, host, port).await.map_err(network)?;
        found();
        let tcp = connect_any(addresses).await.map_err(network)?;
        set_options(&tcp).map_err(network)?;
        let socket = Socket::new(tcp, control).ok_or(OpenErrorKind::Request)?;
        // A kill before this line found no socket; one after it finds this one.
        if control.is_killed() {
            return Err(OpenErrorKind::Killed);
        }
        Ok(Wire::Plain(socket))
    }
}

/// Connects to the first address that answers: each is given a moment before the next is tried
/// beside it, and one that fails makes room at once.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::from(io::ErrorKind::NotFound);
    loop {
        attempts.extend(addresses.next().map(TcpStream::connect));
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(tcp) => return Ok(tcp),
                Err(error) => last_error = error,
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if addresses.len() > 0 => {}
            else => return Err(last_error),
        }
    }
}

fn set_options(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
