//! A part that dies, through the library's public face: the handle says so, and the process goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use streamkeeper::config::{Config, StreamConfig};
use streamkeeper::transport::Proxy;
use streamkeeper::{Secret, Streamkeeper};
use streamkeeper_sink::{BoxFuture, Envelope, Resume, Sink, SinkError};

/// Panics as soon as it is asked for anything.
struct Doomed;

impl Sink for Doomed {
    fn resume<'a>(&'a self, _: Resume<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        panic!("on purpose")
    }

    fn deliver<'a>(&'a self, _: &'a [Envelope]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn a_sink_that_dies_is_told_of_by_the_handle() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = StreamConfig::inform("acme", "http://127.0.0.1:9", Secret::new("simulated"));
    stream.proxy = Proxy::Off;
    let mut config = Config { streams: vec![stream], ..Config::default() };
    config.service.data_dir = folder.path().join("data");
    let keeper = Streamkeeper::builder(config).sink("doomed", Box::new(Doomed)).start().unwrap();
    actix_rt::System::new().block_on(async {
        let told = actix_rt::time::timeout(Duration::from_secs(60), keeper.died()).await;
        assert!(told.is_ok() && keeper.has_died());
    });
    keeper.stop_blocking(Duration::from_secs(10));
}
