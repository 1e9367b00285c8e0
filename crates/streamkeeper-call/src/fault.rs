//! Why there is no way to the server: its proxy, or TLS. What is wrong, and what to do about it.

/// A forward proxy's own answer, in place of a connection to the server. It says nothing about the
/// server, which has not seen the request.
///
/// ```
/// use streamkeeper_call::ProxyRefusal;
///
/// let text = ProxyRefusal { status: 407 }.to_string();
/// assert!(text.starts_with("the proxy answered 407: "));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proxy answered {status}: {}", self.advice())]
pub struct ProxyRefusal {
    /// The HTTP status.
    pub status: u16,
}

impl ProxyRefusal {
    const fn advice(self) -> &'static str {
        match self.status {
            407 => "check the user and password of the key proxy, or of HTTPS_PROXY",
            400..=499 => "it does not allow connections to this host and port",
            502..=504 => "it cannot reach the service",
            _ => "it does not connect us to the service",
        }
    }
}

/// Why there is no secure connection. `Display` says what is wrong, [`TlsFault::advice`] what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// Nobody whom we believe vouches for the server.
    #[error("the server's certificate is signed by an unknown authority")]
    UnknownAuthority,
    /// The certificate is for another host.
    #[error("the server's certificate is for another name")]
    WrongName,
    /// The certificate's time is over.
    #[error("the server's certificate has expired")]
    Expired,
    /// The certificate's time has not begun.
    #[error("the server's certificate is not valid yet")]
    NotYetValid,
    /// It vouches for others, and is not one for a server.
    #[error("the server shows the certificate of an authority as its own")]
    Authority,
    /// Anything else about the server's certificate.
    #[error("the server's certificate is not acceptable")]
    Certificate,
    /// We have shown none.
    #[error("the server wants a certificate of ours")]
    OursWanted,
    /// We have shown one.
    #[error("the server refuses our certificate")]
    OursRefused,
    /// No version of TLS in common.
    #[error("the server does not speak TLS 1.2 or 1.3")]
    Version,
    /// What came was no TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// We spoke without TLS, and the answer was in TLS.
    #[error("the server speaks TLS on this port, and the url says http")]
    Wanted,
    /// The server knows no host of that name.
    #[error("the server does not know the name of the host")]
    UnknownHost,
    /// No agreement otherwise.
    #[error("the TLS handshake failed")]
    Handshake,
}

impl TlsFault {
    /// What a person can do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "name its authority in ca_file or SSL_CERT_FILE, if it is the right server"
            }
            Self::WrongName | Self::UnknownHost => "check the host in url",
            Self::Expired => {
                "whoever runs the server has to renew it, unless this machine's clock is wrong"
            }
            Self::NotYetValid => "check this machine's clock",
            Self::Authority | Self::Certificate => {
                "whoever runs the server has to install one that is made for this host"
            }
            Self::OursWanted => "set client_cert_file and client_key_file",
            Self::OursRefused => {
                "check client_cert_file: whether it has expired, and whether the server knows who signed it"
            }
            Self::Version => "whoever runs the server, or stands between, has to offer a newer one",
            Self::NotTls => "check the port in url, and whether https is right",
            Self::Wanted => "write https in url",
            Self::Handshake => {
                "it may want a certificate of ours (client_cert_file), or have no cipher in common with us"
            }
        }
    }
}
