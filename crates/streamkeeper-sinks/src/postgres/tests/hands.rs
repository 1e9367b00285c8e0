//! What a hand has to mend: said in a way that the statement can be run as it is.

use std::fs;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use streamkeeper_sink::{Failure, Sink, testkit};

use super::super::{Mode, PostgresConfig, PostgresSink};
use super::server::{Server, own};

fn statement(error: &streamkeeper_sink::SinkError) -> String {
    let detail = error.detail.as_deref().unwrap();
    let (_, run) = detail.rsplit_once("run: ").or(detail.rsplit_once("owner: ")).expect(detail);
    run.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_says_what_to_run() {
    let server = Server::start();
    server.ask("CREATE ROLE weak LOGIN PASSWORD 'weak'; REVOKE ALL ON DATABASE postgres FROM PUBLIC; GRANT CONNECT ON DATABASE postgres TO weak; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let url = server.url().replace("keeper:s3cret", "weak:weak");
    let sink = super::sink(url, Mode::Newest);
    let damages = [
        // No TEMPORARY, then no CREATE, then neither INSERT nor UPDATE.
        ("not_permitted", "SELECT 1"),
        ("not_permitted", "SELECT 1"),
        ("not_permitted", "SELECT 1"),
        ("wrong_schema", "ALTER TABLE events ALTER COLUMN data TYPE jsonb USING data::text::jsonb"),
        ("wrong_schema", "ALTER TABLE events DROP COLUMN subject, DROP COLUMN stored_at"),
        ("wrong_schema", "ALTER TABLE events ADD COLUMN \"An own\" text NOT NULL"),
        ("wrong_schema", "ALTER TABLE events SET UNLOGGED"),
        ("wrong_schema", "ALTER TABLE events DROP CONSTRAINT events_pkey"),
    ];
    for (reason, damage) in damages {
        server.ask(damage);
        let error = sink.open().await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Refused, reason), "{error}");
        server.ask(&statement(&error));
    }
    sink.open().await.unwrap();
    sink.deliver(&testkit::envelopes(1..10)).await.unwrap();
    // A table of the other mode is not taken for one's own.
    let other = super::sink(server.url(), Mode::History);
    assert_eq!(other.open().await.unwrap_err().reason, "wrong_schema");
    // While it runs.
    server.ask("DROP TABLE events");
    let error = sink.deliver(&testkit::envelopes(10..11)).await.unwrap_err();
    assert_eq!((error.failure, error.reason), (Failure::Refused, "no_such_table"), "{error}");
    let error = sink.deliver(&testkit::envelopes(10..11)).await.unwrap_err();
    server.ask(&statement(&error));
    let error = sink.deliver(&testkit::envelopes(10..11)).await.unwrap_err();
    server.ask(&statement(&error));
    sink.deliver(&testkit::envelopes(10..11)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_says_so() {
    let server = Server::start();
    for (from, to, reason) in [
        ("s3cret", "marker", "not_let_in"),
        (":s3cret", "", "not_let_in"),
        ("/postgres", "/nowhere", "no_such_database"),
        ("/postgres", "/postgres?sslmode=verify-full", "no_tls"),
    ] {
        let cut = server.url().rfind(from).unwrap();
        let url = format!("{}{to}{}", &server.url()[..cut], &server.url()[cut + from.len()..]);
        let error = super::sink(url, Mode::History).open().await.unwrap_err();
        assert_eq!((error.failure, error.reason), (Failure::Refused, reason), "{error}");
        assert!(!format!("{error} {error:?}").contains("marker"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_server_of_that_name_is_believed() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ours = CertifiedIssuer::self_signed(params.clone(), KeyPair::generate().unwrap()).unwrap();
    let other = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let named = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = named.signed_by(&key, &ours).unwrap();
    let server = Server::start_with(|folder| {
        let path = |name: &str| folder.join(name);
        fs::write(path("server.crt"), certificate.pem()).unwrap();
        fs::write(path("server.key"), key.serialize_pem()).unwrap();
        own(folder);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path("server.key"), mode).unwrap();
        let file = |key: &str, name: &str| format!("{key}={}", path(name).display());
        vec![
            "ssl=on".into(),
            file("ssl_cert_file", "server.crt"),
            file("ssl_key_file", "server.key"),
        ]
    });
    let folder = tempfile::tempdir().unwrap();
    let with = |ca: &str, host: &str| {
        let ca_file = folder.path().join("ca.pem");
        fs::write(&ca_file, ca).unwrap();
        let url = format!("{}?sslmode=verify-full", server.url().replace("127.0.0.1", host));
        let config = super::config(url, Mode::History);
        PostgresSink::new(&PostgresConfig { ca_file: Some(ca_file), ..config }).unwrap()
    };
    let sink = with(&ours.pem(), "127.0.0.1");
    sink.open().await.unwrap();
    sink.deliver(&testkit::envelopes(1..3)).await.unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'streamkeeper'";
    assert_eq!(server.ask(encrypted), "1");
    for (ca, host) in [(other.pem(), "127.0.0.1"), (ours.pem(), "localhost")] {
        let error = with(&ca, host).open().await.unwrap_err();
        assert_eq!(
            (error.failure, error.reason),
            (Failure::Refused, "certificate_refused"),
            "{error}"
        );
    }
}
