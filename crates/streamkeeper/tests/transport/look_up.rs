//! Names into addresses: afresh for every connection, bounded, and over both families.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use streamkeeper::transport::{Control, HttpTransport, OpenErrorKind, OpenPhase};

use super::authority::Authority;
use super::secured::secured;
use super::server::{
    BlackHole, PATIENCE, SSE_HEAD, Server, direct, found, refusing, request, say_and_wait, within,
};

fn server_at(addr: &str) -> Server {
    Server::start_at(addr, |mut tcp| async move {
        request(&mut tcp).await;
        say_and_wait(&mut tcp, SSE_HEAD).await;
    })
}

#[actix_rt::test]
async fn a_service_that_moves_is_followed() {
    let servers = [server_at("127.0.0.1:0"), server_at("127.0.0.1:0")];
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.addr).collect();
    let looked_up = Arc::new(AtomicUsize::new(0));
    let mut settings = direct("http://moving.example:81");
    let count = Arc::clone(&looked_up);
    settings.look_up = Arc::new(move |host, port| {
        assert_eq!((host, port), ("moving.example", 81));
        Ok(vec![addresses[count.fetch_add(1, Ordering::SeqCst) % 2]])
    });
    let transport = HttpTransport::new(settings).unwrap();
    assert_eq!(looked_up.load(Ordering::SeqCst), 0, "not before it is needed");
    for round in 1..=3 {
        let _stream = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
        assert_eq!(looked_up.load(Ordering::SeqCst), round);
    }
    assert_eq!((servers[0].accepted(), servers[1].accepted()), (2, 1));
}

/// A look-up that does not return before the sender is dropped.
fn hanging() -> (mpsc::Sender<()>, streamkeeper::transport::LookUp) {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let look_up = move |_: &str, _: u16| {
        released.lock().unwrap().recv().ok();
        Err(io::ErrorKind::NotFound.into())
    };
    (release, Arc::new(look_up))
}

/// With a thread of its own, so that the runtime's end is part of the test.
#[test]
fn a_look_up_that_hangs_delays_nobody_else() {
    let (release, look_up) = hanging();
    let server = server_at("127.0.0.1:0");
    let (done, ending) = mpsc::channel();
    let neighbour = server.transport();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let mut settings = direct("http://slow.example");
            settings.look_up = look_up;
            settings.connect_timeout = Duration::from_millis(500);
            let stuck = HttpTransport::new(settings).unwrap();
            let control = Control::new();
            let begun = Instant::now();
            let (stuck, neighbour) = tokio::join!(stuck.open_sse("/s", &[], &control), async {
                let opened = neighbour.open_sse("/s", &[], &Control::new()).await;
                opened.map(|_stream| begun.elapsed())
            });
            let error = stuck.unwrap_err();
            assert_eq!((error.phase, error.sent), (OpenPhase::Dns, false));
            assert_eq!(error.kind, OpenErrorKind::Timeout);
            assert!(neighbour.unwrap() < begun.elapsed(), "opened while the other waited");
        });
        done.send(()).unwrap();
    });
    // The look-up still hangs: neither a stop nor the process's end waits for it.
    ending.recv_timeout(PATIENCE).expect("the runtime ends");
    drop(release);
}

#[actix_rt::test]
async fn a_look_up_that_fails_or_panics_is_an_error() {
    let mut settings = direct("http://none.example");
    settings.look_up = Arc::new(|_, _| Err(io::ErrorKind::NotFound.into()));
    for panics in [false, true] {
        if panics {
            settings.look_up = Arc::new(|_, _| panic!("on purpose"));
        }
        let transport = HttpTransport::new(settings.clone()).unwrap();
        let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
        assert_eq!((error.phase, error.sent), (OpenPhase::Dns, false));
    }
    settings.look_up = found(Vec::new());
    let transport = HttpTransport::new(settings).unwrap();
    let error = within(transport.open_sse("/s", &[], &Control::new())).await.unwrap_err();
    assert_eq!(error.kind, OpenErrorKind::Network(io::ErrorKind::NotFound));
}

#[actix_rt::test]
async fn an_address_is_not_looked_up() {
    let server = server_at("[::1]:0");
    for url in [format!("http://[::1]:{}", server.addr.port()), format!("http://{}", server.addr)] {
        let mut settings = direct(url);
        settings.look_up = Arc::new(|_, _| panic!("it is an address already"));
        let transport = HttpTransport::new(settings).unwrap();
        within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
    }
    assert_eq!(server.accepted(), 2);
}

#[actix_rt::test]
async fn an_ipv6_address_is_what_the_certificate_has_to_be_for() {
    let authority = Authority::new();
    for (name, good) in [("::1", true), ("localhost", false)] {
        let server = secured(authority.acceptor(name, None), "[::1]:0", |mut tls| async move {
            let request = request(&mut tls).await;
            assert!(request.to_lowercase().contains("\r\nhost: [::1]:"), "{request}");
            say_and_wait(&mut tls, SSE_HEAD).await;
        });
        let transport = HttpTransport::new(authority.settings(&server, "[::1]")).unwrap();
        let opened = within(transport.open_sse("/s", &[], &Control::new())).await;
        assert_eq!(opened.is_ok(), good, "{name}");
    }
}

#[actix_rt::test]
async fn dead_ipv6_addresses_cost_little() {
    let server = server_at("127.0.0.1:0");
    let hole = BlackHole::at("[::1]:0");
    let refusing = SocketAddr::new("::1".parse().unwrap(), refusing().port());
    for dead in [vec![hole.addr], vec![hole.addr; 8], vec![refusing; 8]] {
        let mut settings = direct("http://both.example");
        let count = dead.len();
        settings.look_up = found(dead.into_iter().chain([server.addr]).collect());
        let transport = HttpTransport::new(settings).unwrap();
        let begun = Instant::now();
        within(transport.open_sse("/s", &[], &Control::new())).await.unwrap();
        // Eight after the other would take two seconds.
        assert!(begun.elapsed() < Duration::from_millis(1_500), "{count} dead addresses");
    }
}
