//! TLS: which authorities are believed, one connection per stream, and honest ends.

use std::process::Command;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use streamkeeper::transport::{
    Control, EndKind, FileFault, HttpTransport, OpenError, OpenErrorKind, OpenPhase, SettingsError,
    TlsFault, TransportSettings,
};
use streamkeeper_call::{TransportError, TransportErrorKind};
use streamkeeper_inform::{CallErrorKind, Client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::authority::Authority;
use super::secured::secured;
use super::server::{
    SSE_HEAD, Server, chunk, direct, found, read_all, request, say_and_wait, until_closed, within,
};

#[actix_rt::test]
async fn a_server_of_http_2_gets_one_http_1_connection_per_stream() {
    let authority = Authority::new();
    let spoken = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&spoken);
    let server = authority.serve(move |mut tls| {
        let heard = Arc::clone(&heard);
        async move {
            heard.lock().unwrap().push(tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
            request(&mut tls).await;
            say_and_wait(&mut tls, SSE_HEAD).await;
        }
    });
    let transport = authority.transport(&server);
    let controls: Vec<_> = (0..20).map(|_| Control::new()).collect();
    let opening = controls.iter().map(|control| transport.open_sse("/s", &[], control));
    let responses = within(join_all(opening)).await;
    assert!(responses.iter().all(Result::is_ok));
    assert_eq!(server.accepted(), 20);
    assert_eq!(*spoken.lock().unwrap(), vec![Some(b"http/1.1".to_vec()); 20]);
    drop(responses);
    for control in controls {
        within(control.closed()).await;
    }
    // Neither needed nor chosen for the program around us.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[actix_rt::test]
async fn an_unknown_authority_and_a_wrong_name_are_told() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
    });
    for (host, ca_file, fault) in [
        ("localhost", stranger.ca_file(), TlsFault::UnknownAuthority),
        ("other.example", authority.ca_file(), TlsFault::WrongName),
    ] {
        let mut settings = authority.settings(&server, host);
        settings.ca_file = Some(ca_file);
        let transport = HttpTransport::new(settings).unwrap();
        let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
        let kind = OpenErrorKind::Tls(fault);
        assert_eq!(error, OpenError { phase: OpenPhase::Tls, sent: false, kind });
    }
    let kind = OpenErrorKind::Tls(TlsFault::UnknownAuthority);
    assert_eq!(
        OpenError { phase: OpenPhase::Tls, sent: false, kind }.to_string(),
        "securing the connection: the server's certificate is signed by an unknown authority"
    );
}

#[actix_rt::test]
async fn a_server_without_tls_fails_the_handshake() {
    let authority = Authority::new();
    let server = Server::start(|mut tcp| async move {
        tcp.write_all(b"HTTP/1.1 400 No\r\n\r\n").await.unwrap();
        until_closed(&mut tcp).await;
    });
    let transport = authority.transport(&server);
    let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    let kind = OpenErrorKind::Tls(TlsFault::NotTls);
    assert_eq!(error, OpenError { phase: OpenPhase::Tls, sent: false, kind });
}

/// What a stream and a call say of a server.
async fn faults(settings: TransportSettings) -> (OpenError, TransportError) {
    let transport = HttpTransport::new(settings).unwrap();
    let opened = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    let called = within(Client::new(transport).list()).await.unwrap_err();
    let CallErrorKind::Transport(called) = called.kind else { panic!("{called}") };
    (opened, called)
}

#[track_caller]
fn tells((opened, called): (OpenError, TransportError), fault: TlsFault) {
    let kind = OpenErrorKind::Tls(fault);
    assert_eq!(opened, OpenError { phase: OpenPhase::Tls, sent: false, kind });
    assert_eq!(called, TransportError { sent: false, kind: TransportErrorKind::Tls(fault) });
}

#[actix_rt::test]
async fn each_fault_of_a_server_s_certificate_is_told_as_such() {
    let authority = Authority::new();
    let with = |change: fn(&mut CertificateParams)| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        (authority.sign(params, &key), key)
    };
    for (certificate, fault) in [
        (with(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)), TlsFault::Expired),
        (
            with(|params| params.not_before = rcgen::date_time_ymd(2900, 1, 1)),
            TlsFault::NotYetValid,
        ),
        (
            with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            TlsFault::Authority,
        ),
    ] {
        let acceptor = authority.acceptor_with(certificate, None);
        let server = secured(acceptor, "127.0.0.1:0", |mut tls| async move {
            request(&mut tls).await;
        });
        tells(faults(authority.settings(&server, "localhost")).await, fault);
    }
}

#[actix_rt::test]
async fn a_port_of_tls_that_is_spoken_to_without_is_told() {
    let authority = Authority::new();
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
    });
    let mut settings = direct(format!("http://localhost:{}", server.addr.port()));
    settings.look_up = found(vec![server.addr]);
    tells(faults(settings).await, TlsFault::Wanted);
}

#[actix_rt::test]
async fn an_alert_in_place_of_an_answer_says_what_it_says() {
    // A server's hello is awaited: an alert comes instead.
    for (alert, fault) in [
        (70, TlsFault::Version),
        (112, TlsFault::UnknownHost),
        (40, TlsFault::Handshake),
        (116, TlsFault::OursWanted),
    ] {
        let server = Server::start(move |mut tcp| async move {
            assert!(tcp.read(&mut [0; 1024]).await.unwrap() > 0);
            tcp.write_all(&[0x15, 3, 3, 0, 2, 2, alert]).await.unwrap();
            until_closed(&mut tcp).await;
        });
        let mut settings = direct(format!("https://localhost:{}", server.addr.port()));
        settings.look_up = found(vec![server.addr]);
        let authority = Authority::new();
        settings.ca_file = Some(authority.ca_file());
        tells(faults(settings).await, fault);
    }
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = direct("https://localhost");
    let refused = |file: &std::path::Path, fault| SettingsError::File {
        key: "ca_file",
        file: file.to_owned(),
        fault,
    };
    let path = dir.path().join("missing.pem");
    settings.ca_file = Some(path.clone());
    let missing = FileFault::Unreadable(std::io::ErrorKind::NotFound);
    assert_eq!(HttpTransport::new(settings.clone()).unwrap_err(), refused(&path, missing));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let good = std::fs::read_to_string(Authority::new().ca_file()).unwrap();
    let line = good.lines().count() + 1;
    let behind = format!("{good}{broken}");
    for (content, fault) in [
        ("", FileFault::NoCertificate),
        ("nonsense", FileFault::NoCertificate),
        (broken, FileFault::Broken { line: 1 }),
        (&behind, FileFault::Broken { line }),
    ] {
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, content).unwrap();
        settings.ca_file = Some(path.clone());
        let error = HttpTransport::new(settings.clone()).unwrap_err();
        assert_eq!(error, refused(&path, fault));
    }
}

#[actix_rt::test]
async fn every_authority_of_a_file_is_believed_however_it_was_put_together() {
    let (authority, other) = (Authority::new(), Authority::named("other"));
    let pem = |authority: &Authority| std::fs::read_to_string(authority.ca_file()).unwrap();
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
        say_and_wait(&mut tls, SSE_HEAD).await;
    });
    let trusted = authority.dir.path().join("trusted.pem");
    let made = Command::new("openssl")
        .args(["x509", "-addtrust", "serverAuth", "-trustout", "-in"])
        .arg(authority.ca_file())
        .arg("-out")
        .arg(&trusted)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let trusted = std::fs::read_to_string(trusted).unwrap();
    assert!(trusted.contains("BEGIN TRUSTED CERTIFICATE"), "{trusted}");
    for content in [
        format!("{}{}", pem(&other).trim_end(), pem(&authority)),
        format!("\u{feff}{}{}", pem(&authority), pem(&other)).replace('\n', "\r\n"),
        format!("{}\u{feff}{}", pem(&other), pem(&authority)),
        trusted,
    ] {
        let mut settings = authority.settings(&server, "localhost");
        let path = authority.dir.path().join("several.pem");
        std::fs::write(&path, &content).unwrap();
        settings.ca_file = Some(path);
        let transport = HttpTransport::new(settings).unwrap();
        within(transport.open_sse("/s", &[], &Control::new())).await.expect(&content);
    }
}

/// Runs one ignored test of this binary again, in a process with another environment.
fn run_inner(test: &str, environment: &[(&str, &str)]) {
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
}

/// Reads the system's authorities from the environment, which a test may only set for a process
/// of its own: this one runs itself again.
#[actix_rt::test]
async fn ssl_cert_file_is_honoured() {
    let authority = Authority::new();
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
        say_and_wait(&mut tls, SSE_HEAD).await;
    });
    let addr = server.addr.to_string();
    let environment = [
        ("SSL_CERT_FILE", authority.ca_file().to_str().unwrap().to_owned()),
        ("STREAMKEEPER_TEST_ADDR", addr),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, at)| (*name, at.as_str())).collect();
    run_inner("tls::inner_with_ssl_cert_file", &environment);
    assert_eq!(server.accepted(), 2);
}

#[actix_rt::test]
#[ignore = "run by ssl_cert_file_is_honoured"]
async fn inner_with_ssl_cert_file() {
    let addr: std::net::SocketAddr =
        std::env::var("STREAMKEEPER_TEST_ADDR").unwrap().parse().unwrap();
    let mut settings = direct(format!("https://localhost:{}", addr.port()));
    settings.look_up = found(vec![addr]);
    let transport = HttpTransport::new(settings.clone()).unwrap();
    within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    // `ca_file` takes the place of the system's authorities, and so of these.
    let stranger = Authority::named("stranger");
    settings.ca_file = Some(stranger.ca_file());
    let transport = HttpTransport::new(settings).unwrap();
    let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::Tls(TlsFault::UnknownAuthority));
}

#[actix_rt::test]
async fn a_half_close_says_goodbye_and_the_rest_is_read() {
    let authority = Authority::new();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let server = authority.serve(move |mut tls| {
        let ended = ended.clone();
        async move {
            request(&mut tls).await;
            let begin = format!("{SSE_HEAD}{}", chunk("data: 1\n\n"));
            tls.write_all(begin.as_bytes()).await.unwrap();
            tls.flush().await.unwrap();
            // Zero bytes: a close_notify. Without one it would be an error.
            let goodbye = tls.read(&mut [0; 16]).await.map_err(|error| error.kind());
            // And the FIN behind it.
            let fin = tls.get_mut().0.read(&mut [0; 16]).await.map_err(|error| error.kind());
            ended.send((goodbye, fin)).unwrap();
            let rest = format!("{}0\r\n\r\n", chunk("data: 2\n\n"));
            tls.write_all(rest.as_bytes()).await.unwrap();
            tls.shutdown().await.unwrap();
        }
    });
    let transport = authority.transport(&server);
    let mut response = transport.open_sse("/s", &[], &Control::new()).await.unwrap();
    assert_eq!(within(response.next_chunk()).await.unwrap().unwrap(), "data: 1\n\n");
    response.control().half_close();
    let (text, error) = read_all(&mut response).await;
    assert_eq!(within(ends.recv()).await, Some((Ok(0), Ok(0))));
    assert_eq!((text.as_str(), error), ("data: 2\n\n", None));
    assert_eq!(response.end(), Some(EndKind::Terminated));
}

#[actix_rt::test]
async fn only_a_goodbye_makes_a_close_proper() {
    for (goodbye, end) in [(true, EndKind::Closed), (false, EndKind::Eof)] {
        let authority = Authority::new();
        let server = authority.serve(move |mut tls| async move {
            request(&mut tls).await;
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n").await.unwrap();
            tls.flush().await.unwrap();
            if goodbye {
                tls.shutdown().await.unwrap();
            }
        });
        let transport = authority.transport(&server);
        let mut response = transport.open_sse("/s", &[], &Control::new()).await.unwrap();
        let (text, error) = read_all(&mut response).await;
        assert_eq!((text.as_str(), error, response.end()), ("data: 1\n\n", None, Some(end)));
    }
}

#[actix_rt::test]
async fn a_truncated_chunked_body_is_no_proper_end_even_with_a_goodbye() {
    let authority = Authority::new();
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
        let cut = format!("{SSE_HEAD}{}", chunk("data: 1\n\n"));
        tls.write_all(cut.as_bytes()).await.unwrap();
        tls.shutdown().await.unwrap();
    });
    let transport = authority.transport(&server);
    let mut response = transport.open_sse("/s", &[], &Control::new()).await.unwrap();
    let (_, error) = read_all(&mut response).await;
    assert_eq!((error, response.end()), (None, Some(EndKind::Eof)));
}

#[actix_rt::test]
async fn a_kill_works_through_tls() {
    let authority = Authority::new();
    let server = authority.serve(|mut tls| async move {
        request(&mut tls).await;
        say_and_wait(&mut tls, SSE_HEAD).await;
    });
    let transport = authority.transport(&server);
    let mut response = transport.open_sse("/s", &[], &Control::new()).await.unwrap();
    response.control().kill();
    let (_, error) = read_all(&mut response).await;
    assert_eq!((error, response.end()), (None, Some(EndKind::Killed)));
}
