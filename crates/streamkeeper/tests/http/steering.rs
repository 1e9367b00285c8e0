//! Steering: who may, and what it does.

use super::client::{Answer, Running, TOKEN};

fn with_token(running: &Running, path: &str, more: &[(&str, &str)]) -> Answer {
    let value = format!("Bearer {TOKEN}");
    let mut headers = vec![("authorization", value.as_str())];
    headers.extend(more);
    running.send("POST", path, &headers)
}

fn wait_state(running: &Running, state: &str) {
    let value = format!("Bearer {TOKEN}");
    let ends = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let status = running.send("GET", "/status", &[("authorization", &value)]).json();
        if status["streams"][0]["state"] == state {
            return;
        }
        assert!(std::time::Instant::now() < ends, "{state}: {status}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn without_a_token_from_a_file_it_is_off_and_says_which_key_turns_it_on() {
    let running = Running::start(|_| {});
    let refused = running.send("POST", "/api/streams/acme/pause", &[]);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("token_file"), "{refused:?}");
    let running = Running::start(|config| {
        config.service.token = Some(streamkeeper::Secret::new(TOKEN));
    });
    assert_eq!(with_token(&running, "/api/streams/acme/pause", &[]).status, 403);
}

#[test]
fn whoever_has_the_token_pauses_resumes_reconnects_and_recovers() {
    let running = Running::with_token();
    wait_state(&running, "live");
    assert_eq!(running.send("POST", "/api/streams/acme/pause", &[]).status, 401);
    let accepted = with_token(&running, "/api/streams/acme/pause", &[]);
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.json()["act"], "pause");
    wait_state(&running, "paused");
    let ready = running.get("/readyz");
    assert_eq!((ready.status, &*ready.body), (503, "not ready\n"));
    assert_eq!(with_token(&running, "/api/streams/acme/resume", &[]).status, 202);
    wait_state(&running, "live");
    for act in ["reconnect", "recover"] {
        let path = format!("/api/streams/acme/{act}");
        assert_eq!(with_token(&running, &path, &[]).status, 202);
    }
}

#[test]
fn what_is_not_there_is_not_found_and_a_foreign_page_is_refused() {
    let running = Running::with_token();
    assert_eq!(with_token(&running, "/api/streams/other/pause", &[]).status, 404);
    assert_eq!(with_token(&running, "/api/streams/acme/explode", &[]).status, 404);
    let value = format!("Bearer {TOKEN}");
    let get = running.send("GET", "/api/streams/acme/pause", &[("authorization", &value)]);
    assert_eq!(get.status, 405);
    let foreign = [("origin", "https://evil.example")];
    let refused = with_token(&running, "/api/streams/acme/pause", &foreign);
    assert_eq!(refused.status, 403, "{refused:?}");
    let status = running.send("GET", "/status", &[("authorization", &value)]).json();
    assert_ne!(status["streams"][0]["state"], "paused");
}
