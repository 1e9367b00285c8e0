//! A real browser: headless Chromium, driven over WebDriver, which is HTTP and JSON.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::service::request;
use super::wait_for;

/// A browser with one page. It ends when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    base: String,
    session: String,
    /// Its profile: new and empty.
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium; it is installed if it is not there.
    pub(crate) fn start() -> Self {
        let need = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/need");
        let installed = Command::new(need).args(["chromium", "chromium-driver"]).status();
        assert!(installed.expect("the script is there").success(), "Chromium could be installed");
        // It may lose the port that it has found to somebody else, and gives up then.
        let (driver, base) = wait_for("chromedriver", start_driver);
        let profile = tempfile::tempdir().expect("a temporary folder");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1100,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = ask(&base, "POST", "/session", &wanted);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        Self { driver, base, session, _profile: profile }
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        ask(&self.base, "POST", &format!("/session/{}/{path}", self.session), body)
    }

    /// Goes to a page, and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    /// Runs the body of a function in the page; gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({"script": script, "args": []}))
    }

    /// The text of the first element that the selector finds, as it is shown; empty if there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        let found =
            self.run(&format!("return document.querySelector({selector:?})?.innerText ?? ''"));
        found.as_str().unwrap().to_owned()
    }

    /// How many elements the selector finds.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let found = self.run(&format!("return document.querySelectorAll({selector:?}).length"));
        found.as_u64().unwrap()
    }

    /// Waits until this text contains that, and gives it.
    #[track_caller]
    pub(crate) fn wait_text(&self, selector: &str, fragment: &str) -> String {
        wait_for(&format!("{selector} to say “{fragment}”"), || {
            Some(self.text(selector)).filter(|text| text.contains(fragment))
        })
    }

    /// Presses and releases a key: one character, or one of WebDriver's code points.
    pub(crate) fn press(&self, key: char) {
        let keys =
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": keys});
        self.ask("actions", &json!({ "actions": [keyboard] }));
    }

    /// A command of Chromium's own protocol.
    fn command(&self, name: &str, parameters: &Value) -> Value {
        self.ask("goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// Makes the page so wide, and waits until it is.
    pub(crate) fn widen(&self, width: u64, height: u64) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
        wait_for("the page's width", || {
            (self.run("return window.innerWidth").as_u64() == Some(width)).then_some(())
        });
    }

    /// Prefers `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = [json!({"name": "prefers-color-scheme", "value": scheme})];
        self.command("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// The whole page as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let taken = self.command("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("in base64")
    }

    /// What the console says since the last time: errors, warnings, what the policy forbids.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.ask("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}

/// Starts the driver; gives its address.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts");
    let said = BufReader::new(driver.stdout.take().expect("it is piped"));
    for line in said.lines().map_while(Result::ok) {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return Some((driver, format!("http://127.0.0.1:{}", port.trim_end_matches('.'))));
        }
    }
    drop(driver.wait());
    None
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session. It may have ended by itself.
        if !std::thread::panicking() {
            ask(&self.base, "DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

#[track_caller]
fn ask(base: &str, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = request(base, method, path, &body);
    let mut answer: Value = serde_json::from_slice(&answer).expect("WebDriver speaks JSON");
    assert_eq!(status, 200, "{path}: {}", answer["value"]["message"]);
    answer["value"].take()
}
