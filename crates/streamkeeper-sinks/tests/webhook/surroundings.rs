//! Names, certificates, proxies, the table: what is around a request.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use axum::http::Version;
use serde_json::{Value, json};
use streamkeeper_sink::testkit::envelopes;
use streamkeeper_sink::{Failure, Sink, SinkFactory as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use super::receiver::Receiver;
use super::{SECRET, WebhookFactory, table};

fn at(url: &str, more: Value) -> Box<dyn Sink> {
    WebhookFactory.build("hook", table(url, more)).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_to_private_addresses_is_refused() {
    let (receiver, address) = Receiver::on_a_free_port().await;
    let url = format!("http://localhost:{}/hook", address.port());
    let refused = at(&url, json!({}));
    for error in
        [refused.deliver(&envelopes(1..3)).await.unwrap_err(), refused.probe().await.unwrap_err()]
    {
        assert_eq!((error.failure, error.reason), (Failure::Refused, "private_address"));
        assert!(error.to_string().contains("allow_private"), "{error}");
    }
    assert!(receiver.got().is_empty());
    at(&url, json!({ "allow_private": true })).deliver(&envelopes(1..3)).await.unwrap();
    // An address in the configuration is meant.
    at(&format!("http://{address}/hook"), json!({})).deliver(&envelopes(1..3)).await.unwrap();
    assert_eq!(receiver.got().len(), 2);
}

#[tokio::test]
async fn nothing_secret_is_in_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://marker:marker@{closed}/marker?marker=marker");
    let sink = at(&url, json!({ "secret": SECRET, "headers": { "x-key": "marker" } }));
    let error = sink.deliver(&envelopes(1..3)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Broken, "no_connection"));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("marker") && !shown.contains("record-1"), "{shown}");

    let nowhere = at("http://marker.invalid/", json!({}));
    let error = nowhere.deliver(&envelopes(1..3)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Broken, "unknown_name"));
    assert!(!format!("{error} {error:?}").contains("marker"));
}

/// A listener that speaks TLS.
struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // Who does not believe us goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[tokio::test]
async fn a_certificate_is_believed_by_ca_file_alone() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    let receiver = Receiver::start(Secured { listener, acceptor: Arc::new(server).into() });

    let error = at(&url, json!({})).deliver(&envelopes(1..3)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Refused, "certificate"));
    assert!(receiver.got().is_empty());
    let believing = at(&url, json!({ "ca_file": ca_file.to_str().unwrap() }));
    believing.deliver(&envelopes(1..3)).await.unwrap();
    assert_eq!(receiver.records().len(), 2);
    assert_eq!(receiver.got()[0].version, Version::HTTP_2);
}

/// Set in the process that a test starts of itself: where the proxy is.
const CHILD: &str = "STREAMKEEPER_TEST_HOOK_PROXY";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_used() {
    let name = "surroundings::a_proxy_of_the_environment_is_used";
    if std::env::var_os(CHILD).is_some() {
        // In the child: the name is the proxy's to resolve, and that of the proxy is no endpoint's.
        let sink = at("http://endpoint.invalid/hook", json!({}));
        return sink.deliver(&envelopes(1..3)).await.unwrap();
    }
    let (receiver, address) = Receiver::on_a_free_port().await;
    let ended = tokio::task::spawn_blocking(move || {
        let proxy = format!("http://localhost:{}", address.port());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .env("HTTP_PROXY", &proxy)
            .env("http_proxy", &proxy)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
    });
    let ended = ended.await.unwrap().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{ended:?}");
    assert_eq!(got[0].uri, "http://endpoint.invalid/hook");
}

#[test]
fn the_table_says_what_is_wrong_without_a_value() {
    let check = |url: &str, more: Value| {
        let error = WebhookFactory.check("hook", table(url, more)).unwrap_err().to_string();
        assert!(!error.contains("marker"), "{error}");
        error
    };
    let good = "https://example.org/hook";
    for (url, more, expected) in [
        ("", json!({}), "`url` must be a text"),
        ("marker", json!({}), "`url` must be a whole URL such as https://example.org/hook"),
        ("ftp://marker/", json!({}), "`url` must begin with https:// (or http://) and a host"),
        (good, json!({ "url_file": "x" }), "`url_file` stands beside `url`"),
        (good, json!({ "secret": "marker!" }), "`secret` must be `whsec_` and base64"),
        (good, json!({ "secret": [SECRET, SECRET, SECRET] }), "`secret` must be at most two"),
        (good, json!({ "mode": "marker" }), "`mode` must be \"batched\" or \"structured\""),
        (good, json!({ "timeout": "0s" }), "`timeout` must be a duration from"),
        (good, json!({ "batch_events": 0 }), "`batch_events` must be a number from 1 to 1000"),
        (good, json!({ "headers": { "a b": "marker" } }), "`headers` holds a name that no"),
        (good, json!({ "headers": { "x": "marker\n" } }), "`headers` has a value that x cannot"),
        (good, json!({ "headers": { "Webhook-Id": "marker" } }), "`headers` must not hold"),
        (
            good,
            json!({ "bearer": "marker", "headers": { "Authorization": "marker" } }),
            "`bearer` stands beside `authorization`",
        ),
        (
            "https://marker:marker@example.org",
            json!({ "bearer": "marker" }),
            "`url` holds a user or a password beside `bearer`",
        ),
        (good, json!({ "secrt": "marker" }), "`secrt` is not a known key; did you mean `secret`?"),
    ] {
        let error = check(url, more);
        assert!(error.starts_with(expected), "{error}");
    }
    let missing = WebhookFactory.check("hook", Default::default()).unwrap_err().to_string();
    assert_eq!(missing, "`url` is missing: give one of `url`, `url_file` and `url_env`");
}

#[test]
fn two_sinks_with_one_state_are_the_same_output() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let output = |state: &str| {
        WebhookFactory.output(table("https://example.org", json!({ "state": state })))
    };
    assert_eq!(output(state), output(&format!("{state}/.")));
    assert_eq!(WebhookFactory.output(table("https://example.org", json!({}))), None);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let more = json!({ "state": file.join("x").to_str().unwrap() });
    let error = WebhookFactory.build("hook", table("https://example.org", more)).err().unwrap();
    assert_eq!(error.key, "state");
}

#[test]
fn an_authority_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let build = || {
        let more = json!({ "ca_file": file.to_str().unwrap() });
        let error = WebhookFactory.build("hook", table("https://example.org", more)).err();
        error.unwrap().to_string()
    };
    assert!(build().starts_with("`ca_file` cannot be read: "), "{}", build());
    std::fs::write(&file, "nothing").unwrap();
    assert!(build().starts_with("`ca_file` holds no certificate in PEM: "), "{}", build());
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, broken).unwrap();
    assert!(build().starts_with("`ca_file` holds a broken certificate: "), "{}", build());
}
