//! TLS as every connection here uses it.
//!
//! The ring provider is named, so that the embedding program's choice of a default provider is
//! neither needed nor made. `http/1.1` alone is offered: over HTTP/2 all streams would share one
//! connection, hang together and outlive their termination.
//!
//! A file may hold a private key: nothing of it is in any error.

use std::cell::OnceCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use streamkeeper_call::TlsFault;
use tokio_rustls::TlsConnector;

use super::error::OpenErrorKind;
use super::pem;
use super::settings::TransportSettings;
use super::settings_error::{FileFault, SettingsError};
use super::tls_fault;
use super::wire::Wire;

/// Secures connections to one host. Cheap to clone.
#[derive(Clone)]
pub(super) struct Session {
    config: Arc<ClientConfig>,
    /// Whether we have a certificate to show.
    pub(super) shows: bool,
    host: ServerName<'static>,
}

impl Session {
    /// `None` if the host is neither a name nor an address.
    pub(super) fn new(config: &Arc<ClientConfig>, host: &str) -> Option<Self> {
        let host = host.to_owned().try_into().ok()?;
        Some(Self {
            config: Arc::clone(config),
            shows: config.client_auth_cert_resolver.has_certs(),
            host,
        })
    }

    /// The handshake.
    pub(super) async fn begin(&self, wire: Wire) -> Result<Wire, OpenErrorKind> {
        let mut config = ClientConfig::clone(&self.config);
        let asked = Arc::new(AtomicBool::new(false));
        let (inner, noted) = (config.client_auth_cert_resolver, Arc::clone(&asked));
        config.client_auth_cert_resolver = Arc::new(Asked { inner, asked: noted });
        let connector = TlsConnector::from(Arc::new(config));
        match connector.connect(self.host.clone(), wire).await {
            Ok(session) => Ok(Wire::Tls(Box::new(session))),
            Err(error) => Err(match tls_fault::fault(&error, self.shows) {
                // Up to TLS 1.2 nothing else is said to somebody who shows no certificate.
                Some(TlsFault::Handshake) if asked.load(Ordering::Relaxed) && !self.shows => {
                    OpenErrorKind::Tls(TlsFault::OursWanted)
                }
                Some(fault) => OpenErrorKind::Tls(fault),
                None => OpenErrorKind::Network(error.kind()),
            }),
        }
    }
}

/// Notes that the server asks who we are.
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for Asked {
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

/// Who we are, to a server that asks.
#[derive(PartialEq)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What the files of certificates and keys hold.
pub(super) struct Credentials {
    /// Nobody is believed where there is no TLS.
    authorities: Arc<RootCertStore>,
    identity: Option<Identity>,
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.authorities.roots == other.authorities.roots && self.identity == other.identity
    }
}

impl Credentials {
    /// Reads them. The system's authorities are read once for all that are given the same `system`.
    pub(super) fn read(
        settings: &TransportSettings,
        is_secured: bool,
        system: &OnceCell<Arc<RootCertStore>>,
    ) -> Result<Self, SettingsError> {
        let TransportSettings { ca_file, client_cert_file, client_key_file, .. } = settings;
        // Checked without TLS, too: a mistake shall not wait for the change to it.
        let identity = read_identity(client_cert_file.as_deref(), client_key_file.as_deref())?;
        let authorities = match (is_secured, ca_file, system.get()) {
            (false, ..) => Arc::new(RootCertStore::empty()),
            (true, None, Some(system)) => Arc::clone(system),
            (true, None, None) => {
                let read = Arc::new(read_authorities(None)?);
                Arc::clone(system.get_or_init(|| read))
            }
            (true, Some(file), _) => Arc::new(read_authorities(Some(file))?),
        };
        Ok(Self { authorities, identity })
    }

    /// A TLS configuration that believes the authorities, and says who we are if it is to.
    pub(super) fn client_config(
        &self,
        identifies: bool,
    ) -> Result<Arc<ClientConfig>, SettingsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| SettingsError::Tls)?
            .with_root_certificates(Arc::clone(&self.authorities));
        let mut config = match self.identity.as_ref().filter(|_| identifies) {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|_| SettingsError::Tls)?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The authorities to believe: those in `ca_file`, or else the system's.
pub(crate) fn read_authorities(ca_file: Option<&Path>) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file {
        let fault = |fault| SettingsError::File { key: "ca_file", file: file.to_owned(), fault };
        let pem = read(file).map_err(fault)?;
        for (line, certificate) in pem::certificates(&pem).map_err(fault)? {
            roots.add(certificate).map_err(|_| fault(FileFault::Broken { line }))?;
        }
        return Ok(roots);
    }
    // Single unreadable certificates among the system's hundreds are not our business; that
    // there are none at all is.
    let (_added, _ignored) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(SettingsError::NoAuthorities) } else { Ok(roots) }
}

/// The client's certificate and its key, if there are any; checked, as far as that can be done
/// without a server.
pub(crate) fn read_identity(
    cert_file: Option<&Path>,
    key_file: Option<&Path>,
) -> Result<Option<Identity>, SettingsError> {
    const CERT: &str = "client_cert_file";
    const KEY: &str = "client_key_file";
    let (cert_file, key_file) = match (cert_file, key_file) {
        (None, None) => return Ok(None),
        (Some(cert_file), Some(key_file)) => (cert_file, key_file),
        (Some(_), None) => return Err(SettingsError::Half { missing: KEY, given: CERT }),
        (None, Some(_)) => return Err(SettingsError::Half { missing: CERT, given: KEY }),
    };
    let error = |key, file: &Path, fault| SettingsError::File { key, file: file.into(), fault };
    let of_cert = |fault| error(CERT, cert_file, fault);
    let chain = pem::certificates(&read(cert_file).map_err(of_cert)?).map_err(of_cert)?;
    for (line, certificate) in &chain {
        ParsedCertificate::try_from(certificate)
            .map_err(|_| of_cert(FileFault::Broken { line: *line }))?;
    }
    let chain: Vec<_> = chain.into_iter().map(|(_, certificate)| certificate).collect();
    let of_key = |fault| error(KEY, key_file, fault);
    let key = pem::key(&read(key_file).map_err(of_key)?).map_err(of_key)?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| of_key(FileFault::NoKey))?;
    match CertifiedKey::new(chain.clone(), signing).keys_match() {
        // Unknown: the TLS library cannot tell for this kind of key.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(of_key(FileFault::OtherKey)),
        Err(_) => return Err(of_cert(FileFault::NoCertificate)),
    }
    Ok(Some(Identity { chain, key }))
}

fn read(file: &Path) -> Result<Vec<u8>, FileFault> {
    std::fs::read(file).map_err(|error: io::Error| FileFault::Unreadable(error.kind()))
}
