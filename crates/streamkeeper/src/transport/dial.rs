//! From a host name to a connection: addresses, TCP, TLS.
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
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::control::Control;
use super::error::{OpenErrorKind, Phase, TlsFault};
use super::settings::{SettingsError, Target, TransportSettings};
use super::tap::{Socket, Tap, Trace, Wire};
use super::tls;

/// How long one address may take before the next is tried beside it (RFC 8305, section 8).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// When to ask an idle peer whether it is there: it keeps the path open, and finds a peer that is
/// gone for good even while nobody reads.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long the peer may leave anything of ours unacknowledged. Far beyond any limit on silence:
/// that a connection is stale is for the watchdog to say, and TCP mends an outage of a minute
/// without losing an event.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Opens connections to one target.
pub(super) struct Dialer {
    pub(super) target: Target,
    connect_to: Vec<SocketAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Dialer {
    pub(super) fn new(settings: &TransportSettings) -> Result<Self, SettingsError> {
        let target = Target::parse(&settings.url)?;
        let tls = if target.https {
            let name = target.host.clone().try_into().map_err(|_| SettingsError::Url)?;
            Some((tls::client_config(settings.ca_file.as_deref())?, name))
        } else {
            None
        };
        Ok(Self { target, connect_to: settings.connect_to.clone(), tls })
    }

    /// Opens a connection. The phase it is in shows in `trace`.
    pub(super) async fn dial(
        &self,
        control: &Control,
        trace: &Rc<Trace>,
    ) -> Result<Tap, OpenErrorKind> {
        let network = |error: io::Error| OpenErrorKind::Network(error.kind());
        trace.phase.set(Phase::Dns);
        let addresses = self.addresses().await.map_err(network)?;
        trace.phase.set(Phase::Connect);
        let tcp = connect_any(addresses).await.map_err(network)?;
        set_options(&tcp).map_err(network)?;
        let socket = Socket::new(tcp, control).ok_or(OpenErrorKind::Request)?;
        // A kill before this line found no socket; one after it finds this one.
        if control.is_killed() {
            return Err(OpenErrorKind::Killed);
        }
        let wire = match &self.tls {
            None => Wire::Plain(socket),
            Some((config, name)) => {
                trace.phase.set(Phase::Tls);
                let connector = TlsConnector::from(Arc::clone(config));
                let session = connector.connect(name.clone(), socket).await;
                Wire::Tls(Box::new(session.map_err(|error| {
                    TlsFault::of(&error).map_or_else(|| network(error), OpenErrorKind::Tls)
                })?))
            }
        };
        trace.phase.set(Phase::Head);
        Ok(Tap::new(wire, control.clone(), Rc::clone(trace)))
    }

    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if !self.connect_to.is_empty() {
            return Ok(self.connect_to.clone());
        }
        let host = (self.target.host.as_str(), self.target.port);
        Ok(tokio::net::lookup_host(host).await?.collect())
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
