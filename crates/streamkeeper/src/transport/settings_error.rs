//! What is wrong with the settings of a connection, by the name of the key.

use std::path::PathBuf;

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a URL, or one of another scheme than `http` or `https`.
    #[error("url: expected http:// or https:// and a host")]
    Url,
    /// A user name or password in the URL, which would not be sent.
    #[error("url: user and password are not supported")]
    UserInfo,
    /// A file of certificates or a key that cannot be used.
    #[error("{key}: {}: {fault}", file.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: FileFault,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{missing}: is missing: {given} needs it")]
    Half {
        /// The key that is not there.
        missing: &'static str,
        /// The one that is.
        given: &'static str,
    },
    /// The proxy's URL is none, or that of another kind of proxy. The name is that of the key or of
    /// the environment variable.
    #[error("{0}: expected {PROXY_URL}")]
    Proxy(&'static str),
    /// An environment variable about proxies that is not text: nobody goes past a proxy because its name
    /// cannot be read, nor through one that an unreadable list exempts from.
    #[error("{0}: is not UTF-8 text")]
    NotText(&'static str),
    /// Neither the system nor `ca_file` offers an authority to believe.
    #[error("no certificate authorities were found: set ca_file or SSL_CERT_FILE")]
    NoAuthorities,
    /// The TLS library refuses its own defaults.
    #[error("TLS could not be set up")]
    Tls,
}

/// What a proxy's URL looks like.
pub(crate) const PROXY_URL: &str = "http://host:port or https://host:port, with user:password@ \
                                    before the host if the proxy asks for them, percent-encoded";

/// What is wrong with a file of certificates or a key. Nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// No certificate is in it.
    #[error("holds no certificate in PEM form")]
    NoCertificate,
    /// What begins there is cut off, damaged, or no certificate or key at all.
    #[error("has a PEM block that cannot be read: it begins at line {line}")]
    Broken {
        /// Counted from 1.
        line: usize,
    },
    /// What begins there has the name of something else, or a name with a mistake in it.
    #[error("has a PEM block that is neither a certificate nor a key: it begins at line {line}")]
    Foreign {
        /// Counted from 1.
        line: usize,
    },
    /// No private key is in it, or one of a kind that is not supported.
    #[error("holds no private key in PEM form that can be used: RSA, ECDSA or Ed25519")]
    NoKey,
    /// The key can be used only with a password, which nobody could type in at a restart.
    #[error("is encrypted: decrypt it with openssl pkey, and protect the file instead")]
    EncryptedKey,
    /// The key is that of another certificate.
    #[error("is not the key of the certificate in client_cert_file")]
    OtherKey,
}
