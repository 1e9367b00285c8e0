//! The alert rules are rules, and each alert fires when it should, and not before.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::deployment::{project, read};
use super::support::need;

const ALERTS: &str = "config/prometheus/alerts.yml";

/// Runs promtool in the folder of the rules; gives what it said.
fn promtool(arguments: &[&str]) -> (bool, String) {
    need("prometheus");
    let process = Command::new("promtool")
        .args(arguments)
        .current_dir(project("config/prometheus"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the package has it");
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_rules_are_rules_and_pass_their_tests() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let (passed, said) = promtool(&arguments);
        assert!(passed, "{said}");
    }
    let tests = read("config/prometheus/alerts_test.yml");
    for alert in alerts() {
        let fires = format!("alertname: {alert}\n        exp_alerts:");
        assert!(tests.contains(&fires), "no test shows that {alert} fires");
    }
}

/// The names of the alerts.
fn alerts() -> Vec<String> {
    let rules: Value = serde_saphyr::from_str(&read(ALERTS)).unwrap();
    let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
    rules.iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}
