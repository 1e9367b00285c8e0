//! TLS towards servers: rustls with ring, and whom it believes.
//!
//! Libraries are handed a finished configuration. One that makes its own asks the process for a provider, and
//! a library that others embed installs none.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use streamkeeper_sink::SinkConfigError;

/// A configuration that believes the authorities in `ca_file`, or else the system's; nobody where nothing
/// is secured.
pub(crate) fn client_config(
    is_secured: bool,
    ca_file: Option<&Path>,
) -> Result<ClientConfig, SinkConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let fault = |message: String| SinkConfigError::new("ca_file", message);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| fault("finds no version of TLS in this build".into()))?;
    let roots = match ca_file {
        None if !is_secured => RootCertStore::empty(),
        // Read without TLS, too: a mistake shall not wait for the change to it.
        ca_file => authorities(ca_file).map_err(fault)?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca_file else {
        // Single unreadable certificates among the system's hundreds are not our business; that there are
        // none at all is.
        let native = rustls_native_certs::load_native_certs().certs;
        let (_added, _ignored) = roots.add_parsable_certificates(native);
        return if roots.is_empty() {
            Err("is missing, and the system has no authorities: install ca-certificates".into())
        } else {
            Ok(roots)
        };
    };
    let name = file.display();
    let pem = std::fs::read(file).map_err(|error| format!("cannot be read: {name}: {error}"))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| format!("holds a broken certificate: {name}"))?;
    }
    if roots.is_empty() {
        return Err(format!("holds no certificate in PEM: {name}"));
    }
    Ok(roots)
}
