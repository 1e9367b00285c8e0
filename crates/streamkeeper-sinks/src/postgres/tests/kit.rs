//! The checks of every sink, in both modes.

use bytes::Bytes;
use streamkeeper_sink::testkit::{self, Destination};
use streamkeeper_sink::{Envelope, Sink};

use super::super::{Mode, PostgresConfig, PostgresSink};
use super::proxy::Proxy;
use super::server::{self, Server};

struct Table<'a> {
    server: &'a Server,
    proxy: &'a Proxy,
    config: PostgresConfig,
}

impl Destination for Table<'_> {
    fn open(&mut self) -> Box<dyn Sink> {
        Box::new(PostgresSink::new(&self.config).unwrap())
    }

    fn received(&mut self) -> Vec<Bytes> {
        let sql = format!(
            "SELECT encode(convert_to(data::text, 'UTF8'), 'hex') FROM {} ORDER BY ctid",
            self.config.table
        );
        let digit = |digit: u8| char::from(digit).to_digit(16).unwrap() as u8;
        let record = |line: &str| {
            line.as_bytes().chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
        };
        self.server.ask(&sql).lines().map(record).collect()
    }

    fn fail_next(&mut self) -> bool {
        self.proxy.cut_questions_after(700);
        true
    }

    fn may_repeat(&self) -> bool {
        false
    }

    fn poisoned(&mut self, event: Envelope) -> Option<Envelope> {
        // Deeper than the server's stack.
        let data = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        Some(Envelope { data: data.into(), ..event })
    }

    fn remembers(&self) -> bool {
        true
    }

    fn knows_by_id(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kit_is_passed_in_both_modes() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let mut tables = 0;
    for mode in [Mode::History, Mode::Newest] {
        let fresh = || {
            tables += 1;
            let table = format!("kit.events_{tables}");
            let config = super::config(server::url(proxy.port), mode);
            Table { server: &server, proxy: &proxy, config: PostgresConfig { table, ..config } }
        };
        testkit::check(fresh).await;
    }
}
