//! Certificates and keys that are replaced under the same name while a stream runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::transport::Proxy;
use streamkeeper::{ReloadReport, Secret, Streamkeeper};

use super::authority::Authority;
use super::secured::secured;
use super::server::{PATIENCE, request};

/// A keeper whose files can be replaced.
struct Running {
    keeper: Streamkeeper,
    config: Config,
    folder: tempfile::TempDir,
}

impl Running {
    fn start(port: u16, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| Some(folder.path().join(name));
        let url = format!("https://localhost:{port}");
        let mut stream = StreamConfig::inform("acme", url, Secret::new("t"));
        (stream.ca_file, stream.proxy) = (file("ca.pem"), Proxy::Off);
        (stream.client_cert_file, stream.client_key_file) = (file("cert.pem"), file("key.pem"));
        (stream.backoff.initial, stream.backoff.max) =
            (Duration::from_millis(50), Duration::from_millis(100));
        let mut config = Config::default();
        config.service.data_dir = folder.path().join("data");
        config.streams.push(stream);
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", std::fs::read_to_string(authority.ca_file()).unwrap());
        let (certificate, key) = authority.issue("client");
        write("cert.pem", certificate.pem());
        write("key.pem", key.serialize_pem());
        let keeper = Streamkeeper::start(config.clone()).unwrap();
        Self { keeper, config, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a reload of the same configuration reports.
    async fn renewed(&self) -> Vec<String> {
        let report = self.keeper.reload(self.config.clone()).await.unwrap();
        let ReloadReport { added, removed, changed, renewed } = report;
        assert_eq!([added, removed, changed].concat(), [""; 0]);
        renewed
    }
}

async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let ends = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < ends, "waited for {what}, in vain");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_rt::test]
async fn new_handshakes_use_what_a_reload_has_found_under_the_same_names() {
    let (authority, stranger) = (Authority::new(), Authority::named("stranger"));
    let let_in = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&let_in);
    let server = secured(
        authority.acceptor("localhost", Some(&authority)),
        "127.0.0.1:0",
        move |mut tls| {
            let count = Arc::clone(&count);
            async move {
                if request(&mut tls).await.contains("token=") {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        },
    );
    let attempted = || server.accepted.load(Ordering::SeqCst);
    // Of another authority: it believes nobody here, and nobody believes it.
    let running = Running::start(server.addr.port(), &stranger);
    wait("attempts", || attempted() > 2).await;
    assert_eq!(running.renewed().await, [""; 0]);

    std::fs::copy(authority.ca_file(), running.at("ca.pem")).unwrap();
    assert_eq!(running.renewed().await, ["acme"]);
    let before = attempted();
    wait("attempts with another authority", || attempted() > before + 2).await;
    assert_eq!(let_in.load(Ordering::SeqCst), 0, "its own certificate is still the stranger's");

    // Half of a pair is refused, and everything goes on as it was.
    let (certificate, key) = authority.issue("client");
    std::fs::write(running.at("cert.pem"), certificate.pem()).unwrap();
    let refused = running.keeper.reload(running.config.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("client_key_file"), "{refused}");
    std::fs::write(running.at("key.pem"), key.serialize_pem()).unwrap();
    assert_eq!(running.renewed().await, ["acme"]);
    wait("a request", || let_in.load(Ordering::SeqCst) > 0).await;
    assert_eq!(running.renewed().await, [""; 0], "they are in use");
    running.keeper.stop(Duration::from_secs(5)).await;
}
