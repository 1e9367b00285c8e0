//! Client certificates: shown to a service that asks, and checked before they are needed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use streamkeeper::transport::{
    Control, FileFault, HttpTransport, OpenError, OpenErrorKind, OpenPhase, SettingsError,
    TlsFault, TransportSettings,
};
use streamkeeper_call::{TransportError, TransportErrorKind};
use streamkeeper_inform::{CallErrorKind, Client};

use super::authority::Authority;
use super::secured::secured;
use super::server::{SSE_HEAD, Server, direct, found, request, say_and_wait, within};

const CERT: &str = "client_cert_file";
const KEY: &str = "client_key_file";

/// Writes a client's certificate and key beside the authority's own.
fn client(authority: &Authority, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = authority.issue(name);
    let at = |end: &str| authority.dir.path().join(format!("{name}-{end}.pem"));
    std::fs::write(at("cert"), certificate.pem()).unwrap();
    std::fs::write(at("key"), key.serialize_pem()).unwrap();
    (at("cert"), at("key"))
}

/// A server for `localhost` that lets nobody in without a certificate of its own authority.
fn strict(authority: &Authority) -> Server {
    let acceptor = authority.acceptor("localhost", Some(authority));
    secured(acceptor, "127.0.0.1:0", |mut tls| async move {
        assert!(tls.get_ref().1.peer_certificates().is_some());
        request(&mut tls).await;
        say_and_wait(&mut tls, SSE_HEAD).await;
    })
}

#[actix_rt::test]
async fn a_service_that_asks_is_shown_the_certificate() {
    let authority = Authority::new();
    let server = strict(&authority);
    let mut settings = authority.settings(&server, "localhost");
    let (cert, key) = client(&authority, "client");
    (settings.client_cert_file, settings.client_key_file) = (Some(cert), Some(key));
    let transport = HttpTransport::new(settings.clone()).unwrap();
    within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();

    // A certificate of somebody else, and none.
    let stranger = Authority::named("stranger");
    let (cert, key) = client(&stranger, "client");
    (settings.client_cert_file, settings.client_key_file) = (Some(cert), Some(key));
    refused(settings.clone(), TlsFault::OursRefused).await;
    (settings.client_cert_file, settings.client_key_file) = (None, None);
    refused(settings, TlsFault::OursWanted).await;
}

/// In TLS 1.3 the refusal comes after the handshake, in place of the answer: it is none that might have
/// lost something.
async fn refused(settings: TransportSettings, fault: TlsFault) {
    let transport = HttpTransport::new(settings).unwrap();
    let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    let kind = OpenErrorKind::Tls(fault);
    assert_eq!(error, OpenError { phase: OpenPhase::Tls, sent: false, kind });
    let CallErrorKind::Transport(error) =
        within(Client::new(transport).list()).await.unwrap_err().kind
    else {
        panic!("an answer")
    };
    assert_eq!(error, TransportError { sent: false, kind: TransportErrorKind::Tls(fault) });
}

/// Up to TLS 1.2 the refusal is an alert that can mean anything.
#[actix_rt::test]
async fn a_certificate_that_is_wanted_in_tls_1_2_is_told_as_such() {
    need_openssl();
    let authority = Authority::new();
    let (cert, key) = client(&authority, "localhost");
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-tls1_2", "-Verify", "1", "-cert"])
        .arg(&cert)
        .arg("-key")
        .arg(&key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Held to the end: who writes to nobody dies.
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let place =
        lines.find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.trim().parse::<u16>().ok());
    let port = place.expect("it says where it listens");
    let mut settings = direct(format!("https://localhost:{port}"));
    settings.look_up = found(vec![([127, 0, 0, 1], port).into()]);
    settings.ca_file = Some(authority.ca_file());
    refused(settings, TlsFault::OursWanted).await;
    server.kill().unwrap();
    server.wait().unwrap();
}

fn need_openssl() {
    let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need");
    assert!(Command::new(need).arg("openssl").status().unwrap().success(), "openssl is not there");
}

fn error_of(cert: Option<&Path>, key: Option<&Path>) -> SettingsError {
    // Also without TLS: a mistake shall not wait for it.
    let mut settings = direct("http://localhost");
    settings.client_cert_file = cert.map(Path::to_owned);
    settings.client_key_file = key.map(Path::to_owned);
    HttpTransport::new(settings).unwrap_err()
}

#[test]
fn what_cannot_be_used_is_refused_by_key_and_file() {
    let authority = Authority::new();
    let (cert, key) = client(&authority, "one");
    let (_, other_key) = client(&authority, "other");
    let empty = authority.dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = authority.dir.path().join("missing.pem");
    let gone = FileFault::Unreadable(std::io::ErrorKind::NotFound);
    for (cert, key, at, file, fault) in [
        (&missing, &key, CERT, &missing, gone),
        (&cert, &missing, KEY, &missing, gone),
        (&empty, &key, CERT, &empty, FileFault::NoCertificate),
        (&key, &key, CERT, &key, FileFault::NoCertificate),
        (&cert, &empty, KEY, &empty, FileFault::NoKey),
        (&cert, &cert, KEY, &cert, FileFault::NoKey),
        (&cert, &other_key, KEY, &other_key, FileFault::OtherKey),
    ] {
        let expected = SettingsError::File { key: at, file: file.clone(), fault };
        assert_eq!(error_of(Some(cert), Some(key)), expected);
    }
    let half = SettingsError::Half { missing: KEY, given: CERT };
    assert_eq!(error_of(Some(&cert), None), half);
    assert_eq!(half.to_string(), "client_key_file: is missing: client_cert_file needs it");
    assert_eq!(error_of(None, Some(&key)), SettingsError::Half { missing: CERT, given: KEY });
}

/// Both forms in which OpenSSL encrypts a key.
#[test]
fn an_encrypted_key_is_refused_and_says_what_to_do() {
    need_openssl();
    let authority = Authority::new();
    let (cert, key) = client(&authority, "client");
    for (name, command) in [("pkcs8", "pkcs8 -topk8 -v2 aes-256-cbc"), ("legacy", "ec -aes256")] {
        let file = authority.dir.path().join(format!("{name}.pem"));
        let made = Command::new("openssl")
            .args(command.split(' '))
            .args(["-passout", "pass:s3cret", "-in"])
            .arg(&key)
            .arg("-out")
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let error = error_of(Some(&cert), Some(&file));
        let fault = FileFault::EncryptedKey;
        assert_eq!(error, SettingsError::File { key: KEY, file: file.clone(), fault });
        let expected = format!("client_key_file: {}: is encrypted: decrypt it", file.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
