//! The same routes in an application's own server.

use actix_web::{App, HttpServer, web};
use streamkeeper::{Secret, http};

use super::client::{Running, TOKEN, send};

#[test]
fn an_application_mounts_the_routes_below_a_path_of_its_own() {
    let running = Running::start(|config| config.service.listen = None);
    assert_eq!(running.keeper.listen(), None);
    let options = http::Options { token: Some(Secret::new(TOKEN)), steering: true };
    let endpoint = http::configure(&running.keeper, &options);
    let server = move || {
        App::new()
            .service(web::scope("/ops/streams").configure(endpoint.clone()))
            .route("/", web::get().to(|| async { "mine" }))
    };
    let (started, when_started) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(server).workers(1).disable_signals();
            let server = server.bind("127.0.0.1:0").unwrap();
            let address = server.addrs()[0];
            let running = server.run();
            started.send((address, running.handle())).unwrap();
            running.await.unwrap();
        });
    });
    let (address, handle) = when_started.recv().unwrap();
    assert_eq!(send(address, "GET", "/", &[]).body, "mine");
    assert_eq!(send(address, "GET", "/ops/streams/livez", &[]).status, 200);
    let named = [("host", "ops.example.com")];
    assert_eq!(send(address, "GET", "/ops/streams/livez", &named).status, 200, "its own names");
    assert_eq!(send(address, "GET", "/ops/streams/metrics", &[]).status, 401);
    let value = format!("Bearer {TOKEN}");
    let token = [("authorization", value.as_str())];
    let metrics = send(address, "GET", "/ops/streams/metrics", &token);
    assert!(metrics.body.contains("streamkeeper_stream_state"), "{metrics:?}");
    let paused = send(address, "POST", "/ops/streams/api/streams/acme/pause", &token);
    assert_eq!(paused.status, 202, "{paused:?}");
    actix_rt::System::new().block_on(handle.stop(false));
    thread.join().unwrap();
}
