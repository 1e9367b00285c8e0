//! The HTTP endpoint: metrics, health, status and steering, for people, Prometheus and orchestrators.
//!
//! One listener (`[service] listen`), or the same routes inside an application's own server
//! ([`crate::http::configure`]). It reads the registry and disturbs nobody; its one worker is a thread of its own,
//! so `/livez` can tell that the supervising thread hangs. No header and no body of a request is ever
//! logged.
//!
//! - `access`: who may ask: host, token, throttle; `accept`: in which form;
//! - `page`: the page at `/` and its feed; `routes`: what else is answered; `readiness`: what `/readyz` checks; `steering`: the acts.

mod accept;
mod access;
mod page;
mod readiness;
mod routes;
mod steering;
mod throttle;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpServer, web};

use crate::config::ServiceConfig;
use crate::requests::Requests;
use crate::requests::StartError;
use access::Access;
use page::Page;
use streamkeeper_sink::Secret;

pub use crate::surface::metrics::reference as metrics_reference;
pub use routes::status_schema;

/// What the routes share.
pub(crate) struct Shared {
    pub(crate) requests: Requests,
    pub(crate) access: Access,
    page: Page,
}

impl Shared {
    fn new(requests: &Requests, access: Access) -> Arc<Self> {
        let page = Page::new(requests.registry().clone());
        Arc::new(Self { requests: requests.clone(), access, page })
    }
}

/// Who may use the routes of [`crate::http::configure`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bearer token for everything but `/livez` and `/readyz`; without one, whoever reaches the
    /// routes may read them.
    pub token: Option<Secret>,
    /// Whether whoever has the token may steer streams; nobody may without a token.
    pub steering: bool,
}

/// The routes, for the server of an embedding application.
pub(crate) fn routes(
    requests: &Requests,
    options: &Options,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static + use<> {
    let access = Access::new(options.token.as_ref(), options.steering, false);
    let shared = Shared::new(requests, access);
    move |config| mount(&shared, config)
}

/// Adds all routes, behind what guards them.
fn mount(shared: &Arc<Shared>, config: &mut web::ServiceConfig) {
    let guarding = Arc::clone(shared);
    let headers = HEADERS.into_iter().fold(DefaultHeaders::new(), DefaultHeaders::add);
    let scope = web::scope("")
        .app_data(web::Data::from(Arc::clone(shared)))
        .configure(routes::configure)
        .configure(steering::configure)
        .configure(|routes| shared.page.configure(routes))
        .wrap(from_fn(move |request, next| access::guard(Arc::clone(&guarding), request, next)))
        .wrap(headers);
    config.service(scope);
}

/// On every answer. A route that needs more of the browser sets its own.
const HEADERS: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// An address that was taken, and is not served yet.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

impl Bound {
    /// Takes the configured address, if there is one.
    pub(crate) fn take(config: &ServiceConfig) -> Result<Option<Self>, StartError> {
        let Some(address) = config.listen else { return Ok(None) };
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        limit_patience(&listener).map_err(failed)?;
        // Port 0 has become another.
        let address = listener.local_addr().map_err(failed)?;
        let is_local = address.ip().to_canonical().is_loopback();
        let access = Access::new(config.token.as_ref(), config.steering, is_local);
        Ok(Some(Self { listener, address, access }))
    }

    /// Serves it, from inside of an `actix_rt::System`.
    pub(crate) fn serve(self, requests: &Requests) -> Result<Endpoint, StartError> {
        let Self { listener, address, access } = self;
        let failed = |source: io::Error| StartError::Listen { address, source };
        let shared = Shared::new(requests, access);
        let served = Arc::clone(&shared);
        let server = HttpServer::new(move || App::new().configure(|config| mount(&served, config)))
            .workers(1)
            .max_connections(CONNECTIONS_MAX)
            .client_request_timeout(HEAD_TIME)
            .disable_signals()
            .listen(listener)
            .map_err(failed)?
            .run();
        let handle = server.handle();
        actix_rt::spawn(server);
        if requests.registry().process().listen.set(address).is_err() {
            tracing::debug!("there are two endpoints");
        }
        tracing::info!(%address, "listening: metrics, health and status at http://{address}/");
        Ok(Endpoint { handle, shared })
    }
}

/// Connections take this over from their listener. Nothing else would end one whose client asks and
/// does not read: some hundred of those, which need no token, would keep `/livez` from being answered,
/// and the process would be restarted for it.
fn limit_patience(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(listener).set_tcp_user_timeout(Some(UNREAD_TIME))?;
    Ok(())
}

/// The served endpoint.
pub(crate) struct Endpoint {
    handle: ServerHandle,
    shared: Arc<Shared>,
}

impl Endpoint {
    /// Takes another token over.
    pub(crate) fn renew_token(&self, config: &ServiceConfig) {
        self.shared.access.renew(config.token.as_ref(), config.steering);
    }

    /// Closes every connection and the address.
    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// So many clients are connected at once.
const CONNECTIONS_MAX: usize = 512;

/// How long a client may take for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long what is sent to a client may stay unread, or on its way.
const UNREAD_TIME: Duration = Duration::from_secs(15);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_read_is_not_waited_for() {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let config = ServiceConfig { listen, ..ServiceConfig::default() };
        let Bound { listener, address, .. } = Bound::take(&config).unwrap().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let patience = socket2::SockRef::from(&accepted).tcp_user_timeout().unwrap();
        assert_eq!(patience, Some(UNREAD_TIME));
    }
}
