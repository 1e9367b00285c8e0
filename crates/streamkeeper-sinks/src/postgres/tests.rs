//! Tests of the sink against a real server.

mod hands;
mod kit;
mod proxy;
mod server;
mod versions;

use streamkeeper_sink::{Envelope, Secret, Sink, SinkError, testkit};

use self::proxy::Proxy;
use self::server::Server;
use super::{Mode, PostgresConfig, PostgresSink};

fn config(url: String, mode: Mode) -> PostgresConfig {
    PostgresConfig { url: Secret::new(url), table: "events".into(), mode, ca_file: None }
}

fn sink(url: String, mode: Mode) -> PostgresSink {
    PostgresSink::new(&config(url, mode)).unwrap()
}

/// What is in the table, in the order in which it came.
const IDS: &str = "SELECT id FROM events ORDER BY ctid";

fn ids(events: &[Envelope]) -> String {
    events.iter().map(|event| event.id.as_str()).collect::<Vec<_>>().join("\n")
}

async fn deliver_until_taken(sink: &dyn Sink, batch: &[Envelope]) -> Vec<SinkError> {
    let mut errors = Vec::new();
    while let Err(error) = sink.deliver(batch).await {
        errors.push(error);
        assert!(errors.len() < 100, "not taken: {errors:?}");
    }
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_anywhere_costs_nothing_and_doubles_nothing() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let sink = sink(server::url(proxy.port), Mode::History);
    sink.open().await.unwrap();
    let (mut cuts, mut next) = (0, 1);
    let mut expected = Vec::new();
    // A batch of five is some 2,200 bytes there, and some 150 back.
    let questions = (0..2_600).step_by(130).map(|bytes| (bytes, true));
    let answers = (0..200).step_by(8).map(|bytes| (bytes, false));
    for (bytes, of_questions) in questions.chain(answers) {
        let batch = testkit::envelopes(next..next + 5);
        if of_questions {
            proxy.cut_questions_after(bytes);
        } else {
            proxy.cut_answers_after(bytes);
        }
        for error in deliver_until_taken(&sink, &batch).await {
            assert_eq!(error.failure, streamkeeper_sink::Failure::Broken, "{error}");
            assert!(error.done.is_empty());
            cuts += 1;
        }
        proxy.heal();
        expected.extend(batch);
        next += 5;
    }
    assert!(cuts > 20, "only {cuts} were cut");
    assert_eq!(server.ask(IDS), ids(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_dropped_anywhere_leaves_a_sink_that_goes_on() {
    let server = Server::start();
    let sink = sink(server.url(), Mode::History);
    sink.open().await.unwrap();
    let mut expected = Vec::new();
    for polls in 0..25 {
        let batch = testkit::envelopes(polls * 5 + 1..polls * 5 + 6);
        {
            let (mut left, mut delivery) = (polls, sink.deliver(&batch));
            std::future::poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(());
                }
                left -= 1;
                delivery.as_mut().poll(context).map(|delivered| delivered.unwrap())
            })
            .await;
        }
        deliver_until_taken(&sink, &batch).await;
        expected.extend(batch);
    }
    assert_eq!(server.ask(IDS), ids(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_found_again() {
    let mut server = Server::start();
    let sink = sink(server.url(), Mode::History);
    sink.open().await.unwrap();
    let events = testkit::envelopes(1..2_001);
    sink.deliver(&events[..500]).await.unwrap();
    // In the middle of a delivery, or before, or behind it.
    let (delivered, ()) = tokio::join!(sink.deliver(&events[500..]), async { server.kill() });
    let error = match delivered {
        Err(error) => error,
        Ok(()) => sink.deliver(&events[500..]).await.unwrap_err(),
    };
    assert_eq!(error.failure, streamkeeper_sink::Failure::Broken, "{error}");
    let error = sink.probe().await.unwrap_err();
    assert_eq!(error.reason, "no_connection");
    server.start_again();
    deliver_until_taken(&sink, &events[400..]).await;
    assert_eq!(server.ask(IDS), ids(&events));
}
