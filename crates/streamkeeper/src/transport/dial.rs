//! From a host name to a connection: addresses, TCP, the proxy's tunnel, TLS.
//!
//! awc's own connector tries one address after the other under one timer, sets no socket options
//! and does TLS above the connection, so this one replaces it. Time is not limited here but
//! around the whole attempt.

use std::cell::OnceCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::RootCertStore;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::control::Control;
use super::error::{OpenErrorKind, OpenPhase};
use super::look_up::{self, LookUp};
use super::proxy::Route;
use super::settings::TransportSettings;
use super::settings_error::SettingsError;
use super::tap::{Tap, Trace};
use super::target::Target;
use super::tcp::TcpLimits;
use super::tls::{Credentials, Session};
use super::wire::{Socket, Wire};

/// How long one address may take before the next is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Opens connections to one target.
pub(super) struct Dialer {
    pub(super) target: Target,
    tcp: TcpLimits,
    look_up: LookUp,
    route: Option<Route>,
    sessions: RwLock<Sessions>,
}

/// What secures connections, as the files of certificates and keys were when they were read.
pub(super) struct Sessions {
    credentials: Credentials,
    /// With the service.
    service: Option<Session>,
    /// With the proxy, if it is one that is reached over TLS.
    proxy: Option<Session>,
}

impl Sessions {
    fn new(
        credentials: Credentials,
        target: &Target,
        route: Option<&Route>,
        identifies: bool,
    ) -> Result<Self, SettingsError> {
        let (mut service, mut proxy) = (None, None);
        if let Some(route) = route.filter(|route| route.https) {
            // The client's certificate is for the service, not for whoever stands between.
            let config = credentials.client_config(false)?;
            let session = Session::new(&config, &route.host);
            proxy = Some(session.ok_or(SettingsError::Proxy("proxy"))?);
        }
        if target.https {
            let config = credentials.client_config(identifies)?;
            service = Some(Session::new(&config, &target.host).ok_or(SettingsError::Url)?);
        }
        Ok(Self { credentials, service, proxy })
    }
}

impl Dialer {
    pub(super) fn new(settings: &TransportSettings) -> Result<Self, SettingsError> {
        Self::to(Target::parse(&settings.url)?, settings, true)
    }

    /// To another origin than that of the settings: it is not shown who we are.
    pub(super) fn elsewhere(
        target: Target,
        settings: &TransportSettings,
    ) -> Result<Self, SettingsError> {
        Self::to(target, settings, false)
    }

    fn to(
        target: Target,
        settings: &TransportSettings,
        identifies: bool,
    ) -> Result<Self, SettingsError> {
        let route = Route::choose(&settings.proxy, &target, |name| std::env::var_os(name))?;
        let credentials = Self::credentials(settings, &target, route.as_ref(), &OnceCell::new())?;
        let sessions = Sessions::new(credentials, &target, route.as_ref(), identifies)?;
        let look_up = Arc::clone(&settings.look_up);
        let tcp = settings.tcp;
        Ok(Self { target, tcp, look_up, route, sessions: RwLock::new(sessions) })
    }

    /// Reads the files of certificates and keys.
    fn credentials(
        settings: &TransportSettings,
        target: &Target,
        route: Option<&Route>,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Credentials, SettingsError> {
        let is_secured = target.https || route.is_some_and(|route| route.https);
        Credentials::read(settings, is_secured, system)
    }

    /// What secures connections according to the files as they are now, if that is something else.
    pub(super) fn renewal(
        &self,
        settings: &TransportSettings,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Option<Sessions>, SettingsError> {
        let Self { target, route, .. } = self;
        let credentials = Self::credentials(settings, target, route.as_ref(), system)?;
        if credentials == self.sessions().credentials {
            return Ok(None);
        }
        Sessions::new(credentials, target, route.as_ref(), true).map(Some)
    }

    /// New connections are secured so.
    pub(super) fn renew(&self, sessions: Sessions) {
        *self.sessions.write().unwrap_or_else(PoisonError::into_inner) = sessions;
    }

    fn sessions(&self) -> RwLockReadGuard<'_, Sessions> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection. The phase it is in shows in `trace`.
    pub(super) async fn dial(
        &self,
        control: &Control,
        trace: &Rc<Trace>,
    ) -> Result<Tap, OpenErrorKind> {
        let (service, proxy) = {
            let sessions = self.sessions();
            (sessions.service.clone(), sessions.proxy.clone())
        };
        let mut wire = match &self.route {
            None => {
                trace.phase.set(OpenPhase::Dns);
                let connecting = || trace.phase.set(OpenPhase::Connect);
                self.connect(&self.target.host, self.target.port, connecting, control).await?
            }
            Some(route) => {
                trace.phase.set(OpenPhase::Proxy);
                let mut wire = self.connect(&route.host, route.port, || {}, control).await?;
                if let Some(session) = proxy {
                    wire = session.begin(wire).await?;
                }
                route.open_tunnel(&mut wire, &self.target).await?;
                wire
            }
        };
        if let Some(session) = service {
            trace.phase.set(OpenPhase::Tls);
            trace.shows.set(session.shows);
            wire = session.begin(wire).await?;
        }
        trace.phase.set(OpenPhase::Head);
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
        set_options(&tcp, self.tcp).map_err(network)?;
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

fn set_options(tcp: &TcpStream, limits: TcpLimits) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let TcpLimits { keepalive_idle, keepalive_interval, user_timeout } = limits;
    let keepalive = TcpKeepalive::new().with_time(keepalive_idle).with_interval(keepalive_interval);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    Ok(())
}
