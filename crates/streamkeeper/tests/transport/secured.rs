//! Servers whose TLS an authority of the tests vouches for.

use rcgen::{Certificate, KeyPair};
use streamkeeper::transport::{HttpTransport, TransportSettings};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authority::Authority;
use super::server::{Server, direct, found};

impl Authority {
    /// What does the TLS of a server for `host`, which asks its clients for a certificate of the
    /// authority `clients`, if one is given.
    pub(crate) fn acceptor(&self, host: &str, clients: Option<&Self>) -> TlsAcceptor {
        self.acceptor_with(self.issue(host), clients)
    }

    /// The same with a given certificate.
    pub(crate) fn acceptor_with(
        &self,
        identity: (Certificate, KeyPair),
        clients: Option<&Self>,
    ) -> TlsAcceptor {
        TlsAcceptor::from(Self::server(identity, clients))
    }

    /// A server for `localhost`.
    pub(crate) fn serve<F, Fut>(&self, serve: F) -> Server
    where
        F: Fn(TlsStream<TcpStream>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        secured(self.acceptor("localhost", None), "127.0.0.1:0", serve)
    }

    pub(crate) fn settings(&self, server: &Server, host: &str) -> TransportSettings {
        let mut settings = direct(format!("https://{host}:{}", server.addr.port()));
        settings.look_up = found(vec![server.addr]);
        settings.ca_file = Some(self.ca_file());
        settings
    }

    pub(crate) fn transport(&self, server: &Server) -> HttpTransport {
        HttpTransport::new(self.settings(server, "localhost")).unwrap()
    }
}

/// A server that gives every session to `serve`.
pub(crate) fn secured<F, Fut>(acceptor: TlsAcceptor, addr: &str, serve: F) -> Server
where
    F: Fn(TlsStream<TcpStream>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    Server::start_at(addr, move |tcp| {
        let (acceptor, serve) = (acceptor.clone(), serve.clone());
        async move {
            if let Ok(tls) = acceptor.accept(tcp).await {
                serve(tls).await;
            }
        }
    })
}
