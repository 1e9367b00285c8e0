//! What cannot work is said once, clearly, and not tried in a tight loop; each exit code is its own.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamkeeper_simulator::server::Token;

use super::support::{Keeper, Service, Settings, run_to_end, streamkeeper, wait_for};

/// The lines that tell a person what is wrong, apart from the change of state.
fn complaints(keeper: &Keeper) -> Vec<String> {
    let said = keeper.log().said("trying again");
    said.iter().map(|line| format!("{}: {}", line.text("reason"), line.message)).collect()
}

#[test]
fn a_refused_token_or_a_dead_host_is_no_hot_loop_for_a_whole_minute() {
    let mut config = Service::scaled();
    config.foreign_token = Some(Token::new("of-another-organization"));
    let service = [Service::inside(config.clone()), Service::inside(config)];
    let wrong = ["no-such-token", "of-another-organization"];
    // Every time at its default: nothing is scaled here.
    let start = |url: &str, token: &str| {
        Keeper::start(&Settings::unscaled(url).with("token", token).with("connections", 20))
    };
    let started = Instant::now();
    let refused: Vec<_> =
        service.iter().zip(wrong).map(|(s, token)| start(&s.url, token)).collect();
    let (hangs_up, attempts) = hangs_up();
    let dropped = start(&hangs_up, "simulated");
    let nobody = start(&nobody_listens(), "simulated");

    for (keeper, status) in refused.iter().zip(["401", "403"]) {
        keeper.wait_degraded("token_refused");
        let complaints = complaints(keeper);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].contains(status), "{complaints:?}");
        assert!(complaints[0].contains("check token"), "it says what to do: {complaints:?}");
    }
    for keeper in [&dropped, &nobody] {
        keeper.wait_degraded("service_unavailable");
        assert_eq!(complaints(keeper).len(), 1, "{:?}", complaints(keeper));
    }

    wait_for_minute(started);
    for (keeper, service) in refused.iter().zip(&service) {
        let calls: u64 = service.state().call_counts.values().sum();
        assert!((1..10).contains(&calls), "{calls} calls in the first minute");
        assert_eq!(complaints(keeper).len(), 1, "said once: {:?}", complaints(keeper));
    }
    let attempts = attempts.load(Ordering::Relaxed);
    assert!((2..10).contains(&attempts), "{attempts} attempts in the first minute");
    for keeper in [&dropped, &nobody] {
        assert_eq!(complaints(keeper).len(), 1, "said once: {:?}", complaints(keeper));
    }
    // None of that is a reason to end; a signal is, and it is a graceful stop.
    for mut keeper in refused.into_iter().chain([dropped, nobody]) {
        keeper.stop();
    }
}

fn wait_for_minute(started: Instant) {
    // Longer than any one condition may take, so not `wait_for`.
    while started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The URL of a port on which every connection is accepted and closed at once, and their count.
fn hangs_up() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            drop(socket);
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, attempts)
}

/// The URL of a port on which nobody listens.
fn nobody_listens() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_token_that_is_refused_later_is_degraded_until_it_is_taken_again() {
    let service = Service::process(&[]);
    let mut keeper = Keeper::start(&Settings::scaled(&service.url));
    keeper.wait_said("caught up with the stream's history", 1);
    let refuse = serde_json::json!({"kind": "status", "status": 401, "for_ms": 3_000});
    service.fault(refuse);
    service.fault(serde_json::json!({"kind": "end", "all": true}));
    keeper.wait_degraded("token_refused");
    service.wait_state("the reconnects", |state| state.open.len() == 3);
    wait_for("the stream to be live again", || {
        let states = keeper.log().said("the stream is ");
        states.last().filter(|line| line.text("state") == "live").map(drop)
    });
    keeper.stop();
}

#[test]
fn a_bad_configuration_is_shown_by_place_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[[stream]]\nname = \"acme\"\nurl = \"http://127.0.0.1:1\"\ntoken = \"s3cret\"\n\
                conections = 3\n[stream.watchdog]\nstale_afer = \"30s\"\nlate_after = \"ten seconds\"\n\
                [[sink]]\nname = \"x\"\ntype = \"fil\"\npath = \"-\"\n";
    std::fs::write(folder.path().join("streamkeeper.toml"), file).unwrap();
    for command in ["run", "check"] {
        let ended = run_to_end(
            streamkeeper().args([command, "streamkeeper.toml"]).current_dir(folder.path()),
        );
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let said = |parts: &[&str]| {
            ended.stderr.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        };
        assert!(said(&["streamkeeper.toml:5:", "conections", "`connections`"]), "{}", ended.stderr);
        assert!(said(&["streamkeeper.toml:7:", "stale_afer", "`stale_after`"]), "{}", ended.stderr);
        assert!(said(&["streamkeeper.toml:8:", "late_after", "duration"]), "{}", ended.stderr);
        assert!(said(&["streamkeeper.toml:11:", "type", "\"file\""]), "{}", ended.stderr);
        assert!(!ended.stderr.contains("s3cret"), "a value is never quoted");
    }
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let code = |arguments: &[&str]| {
        let ended = run_to_end(streamkeeper().args(arguments).current_dir(folder.path()));
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        ended.code
    };
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["no-such-command"]), Some(2));
    assert_eq!(code(&["run", "--no-such-flag"]), Some(2));
    assert_eq!(code(&["run"]), Some(78), "no configuration at all");
    assert_eq!(code(&["run", "missing.toml"]), Some(78));

    let good = Settings::unscaled("http://127.0.0.1:1").file();
    std::fs::write(folder.path().join("good.toml"), &good).unwrap();
    assert_eq!(code(&["check", "good.toml"]), Some(0));
    let other = |arguments: &[&str]| {
        let mut command = streamkeeper();
        command.args(arguments).current_dir(folder.path()).env("STREAMKEEPER_CONFIG", "good.toml");
        run_to_end(&mut command).code
    };
    assert_eq!(other(&["check"]), Some(0));
    assert_eq!(
        other(&["check", "missing.toml"]),
        Some(78),
        "an argument is before the environment"
    );
    assert_eq!(other(&["check", "--config", "missing.toml"]), Some(78));
    std::fs::write(folder.path().join("bad.toml"), "[[stream]\n").unwrap();
    assert_eq!(code(&["check", "bad.toml"]), Some(78));

    // The sink's file cannot be made: its folder is a file.
    let taken = good.replace("events.ndjson", "good.toml/events.ndjson");
    std::fs::write(folder.path().join("taken.toml"), taken).unwrap();
    assert_eq!(code(&["run", "taken.toml"]), Some(73));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", listener.local_addr().unwrap());
    assert_eq!(code(&["simulate", &listen, "--control=127.0.0.1:0"]), Some(73));
}

#[test]
fn a_second_keeper_on_the_same_file_is_refused() {
    let service = Service::process(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.ndjson");
    let settings = Settings::scaled(&service.url);
    let file = settings.file().replace("events.ndjson", path.to_str().unwrap());
    let mut first = Keeper::start_with::<&str>(&file, &[]);
    first.wait_said("the stream is live", 1);
    let mut second = Keeper::start_with::<&str>(&file, &[]);
    assert_eq!(second.wait_end(), 73, "the file has a writer");
    first.stop();
}
