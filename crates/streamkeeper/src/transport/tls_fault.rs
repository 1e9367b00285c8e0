//! What the TLS library's errors mean.
//!
//! An alert is the server's word for what it dislikes. In TLS 1.3 one about our certificate comes
//! behind the handshake, in place of an answer.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Dislike, Error, PeerIncompatible};
use streamkeeper_call::TlsFault;

/// The fault within an I/O error; `shown`: we have shown a certificate of ours.
pub(super) fn fault(error: &io::Error, shown: bool) -> Option<TlsFault> {
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::AlertReceived(alert) => of_alert(*alert, shown),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => TlsFault::Version,
        Error::InvalidMessage(_) => TlsFault::NotTls,
        _ => TlsFault::Handshake,
    })
}

/// The fault that an alert tells, if the error is one: the server has refused us, and acted on nothing.
pub(super) fn alert(error: &io::Error, shown: bool) -> Option<TlsFault> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::AlertReceived(alert) => Some(of_alert(*alert, shown)),
        _ => None,
    }
}

/// Whether a byte begins a record of TLS, an alert or part of a handshake: no head of HTTP does.
pub(super) const fn is_record(byte: &u8) -> bool {
    matches!(byte, 0x15 | 0x16)
}

fn of_certificate(error: &Dislike) -> TlsFault {
    match error {
        Dislike::UnknownIssuer => TlsFault::UnknownAuthority,
        Dislike::NotValidForName | Dislike::NotValidForNameContext { .. } => TlsFault::WrongName,
        Dislike::Expired | Dislike::ExpiredContext { .. } => TlsFault::Expired,
        Dislike::NotValidYet | Dislike::NotValidYetContext { .. } => TlsFault::NotYetValid,
        // The library has no variant of its own for it.
        Dislike::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsFault::Authority
        }
        _ => TlsFault::Certificate,
    }
}

fn of_alert(alert: Alert, shown: bool) -> TlsFault {
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => TlsFault::OursWanted,
        // Said to somebody without a certificate, too.
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => {
            if shown {
                TlsFault::OursRefused
            } else {
                TlsFault::OursWanted
            }
        }
        Alert::ProtocolVersion => TlsFault::Version,
        Alert::UnrecognisedName => TlsFault::UnknownHost,
        _ => TlsFault::Handshake,
    }
}
