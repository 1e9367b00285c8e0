//! What an error of the server means: by its SQLSTATE, never by its words, which quote rows.

use std::error::Error as _;

use rustls::CertificateError;
use streamkeeper_sink::SinkError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// The error of a sink for that of the library, without the latter's words.
pub(super) fn of(error: &Error) -> SinkError {
    match error.code() {
        Some(state) => of_state(state),
        None => without_a_state(error),
    }
}

/// The same while something is made on the server: there is no event yet that could be blamed. Two
/// that make the same table at once get in each other's way.
pub(super) fn of_setup(error: &Error) -> SinkError {
    let busy = |state: &SqlState| matches!(class(state), "23" | "42") && is_there(state);
    match error.code() {
        Some(state) if busy(state) => SinkError::busy("made_by_another", None),
        Some(state) if matches!(class(state), "22" | "54") => {
            SinkError::refused("statement_refused").with_detail(said(state, "see the server's log"))
        }
        _ => of(error),
    }
}

fn is_there(state: &SqlState) -> bool {
    let states =
        [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_SCHEMA];
    states.contains(state)
}

fn class(state: &SqlState) -> &str {
    state.code().get(..2).unwrap_or_default()
}

fn said(state: &SqlState, words: &str) -> String {
    format!("{words} (SQLSTATE {})", state.code())
}

fn of_state(state: &SqlState) -> SinkError {
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    let (error, words) = match class(state) {
        _ if *state == SqlState::TOO_MANY_CONNECTIONS => {
            (SinkError::busy("too_many_connections", None), "the server has no connection left")
        }
        _ if *state == SqlState::DISK_FULL => {
            (SinkError::broken("disk_full"), "the server's disk is full")
        }
        _ if *state == SqlState::READ_ONLY_SQL_TRANSACTION => (
            SinkError::broken("read_only"),
            "the server takes no writes: a standby, which `target_session_attrs=read-write` in `url` passes over",
        ),
        _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => {
            (SinkError::refused("not_permitted"), "the user lacks a privilege")
        }
        _ if missing.contains(state) => {
            (SinkError::refused("no_such_table"), "the table is missing; a new start makes it")
        }
        "28" => (SinkError::refused("not_let_in"), "the server refuses the user or the password"),
        "3D" => (SinkError::refused("no_such_database"), "run: CREATE DATABASE, as `url` names it"),
        // Deadlocks, and rows that others hold.
        "40" | "55" => (SinkError::busy("in_conflict", None), "another transaction is in the way"),
        "53" => (SinkError::busy("out_of_resources", None), "the server has not enough resources"),
        "57" => {
            (SinkError::broken("interrupted"), "the server stops, starts or was told to cancel")
        }
        "21" | "22" | "23" | "54" | "P0" => {
            (SinkError::poisoned("row_refused"), "the server refuses a row")
        }
        "0A" | "26" | "2F" | "42" | "44" => {
            (SinkError::refused("statement_refused"), "see the server's log")
        }
        _ => (SinkError::broken("server_error"), "see the server's log"),
    };
    error.with_detail(said(state, words))
}

/// The server has not said anything, or nothing that is an answer.
fn without_a_state(error: &Error) -> SinkError {
    if let Some(certificate) = certificate_error(error) {
        let words = match certificate {
            CertificateError::UnknownIssuer => "its authority is not known: give it as `ca_file`",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another name than that in `url`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            _ => "it is not one to believe",
        };
        let detail = format!("the server's certificate: {words}");
        return SinkError::refused("certificate_refused").with_detail(detail);
    }
    // The words of the library itself, which are fixed.
    let cause = error.source().map(ToString::to_string);
    match (error.to_string().as_str(), cause.as_deref()) {
        ("error performing TLS handshake", Some("server does not support TLS")) => {
            let words = "the server has no TLS: turn it on there (`ssl = on`), or write sslmode=disable where nobody listens";
            SinkError::refused("no_tls").with_detail(words)
        }
        ("authentication error" | "invalid configuration", _) => SinkError::refused("not_let_in")
            .with_detail("the server asks for another authentication than `url` has: a password?"),
        ("error connecting to server", _) => SinkError::broken("no_connection"),
        _ => SinkError::broken("connection_lost"),
    }
}

fn certificate_error(error: &Error) -> Option<&CertificateError> {
    let mut below = error.source();
    while let Some(error) = below {
        // An I/O error does not name what it wraps among its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = wrapped.and_then(|wrapped| wrapped.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(certificate)) = tls {
            return Some(certificate);
        }
        below = error.source();
    }
    None
}
