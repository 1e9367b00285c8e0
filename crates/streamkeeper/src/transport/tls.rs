//! TLS as every connection here uses it.
//!
//! The ring provider is named, so that the embedding program's choice of a default provider is
//! neither needed nor made. `http/1.1` alone is offered: over HTTP/2 all streams would share one
//! connection, hang together and outlive their termination.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error as PemError, PemObject};

use super::settings::SettingsError;

/// The TLS configuration, with the system's authorities and those in `ca_file`.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SettingsError> {
    let mut roots = RootCertStore::empty();
    // Single unreadable certificates among the system's hundreds are not our business; that
    // there are none at all is.
    let (_added, _ignored) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(SettingsError::NoAuthorities);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| SettingsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), SettingsError> {
    let unreadable = |error| match error {
        PemError::Io(error) => SettingsError::CaFile(error.kind()),
        _ => SettingsError::CaPem,
    };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(|_| SettingsError::CaPem)?;
        found = true;
    }
    if found { Ok(()) } else { Err(SettingsError::CaPem) }
}
