//! The commands of an operator: steer a stream, look at the service, show the configuration.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::support::{
    Ended, Keeper, Scenario, Service, Settings, command, run_to_end, streamkeeper,
};

fn told(keeper: &Keeper, arguments: &[&str]) -> Ended {
    run_to_end(&mut command(keeper, arguments))
}

/// What a command says that does not need a keeper, run in this folder.
fn alone(folder: &tempfile::TempDir, arguments: &[&str]) -> Ended {
    run_to_end(streamkeeper().args(arguments).current_dir(folder.path()))
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// A folder with a configuration of one stream.
fn configured(service: &Service) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("streamkeeper.toml"), Settings::scaled(&service.url).file())
        .unwrap();
    folder
}

#[test]
fn whoever_reads_no_answer_gets_the_code_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = Settings::scaled("http://127.0.0.1:9").file();
    fs::write(folder.path().join("streamkeeper.toml"), config).unwrap();
    // Nobody reads what is said, on either.
    let deaf = |arguments: &[&str]| {
        let [out, err] = [std::io::pipe().unwrap().1, std::io::pipe().unwrap().1];
        let mut command = streamkeeper();
        command.args(arguments).current_dir(folder.path()).stdout(out).stderr(err);
        command.status().unwrap().code()
    };
    for arguments in
        [&["check"][..], &["config", "print"], &["config", "default"], &["completion", "bash"]]
    {
        assert_eq!(deaf(arguments), Some(0), "{arguments:?}");
    }
    assert_eq!(deaf(&["check", "nowhere.toml"]), Some(78));
}

#[test]
fn a_stream_is_paused_resumed_reconnected_and_recovered_by_command() {
    let scenario = Scenario::start();
    let Scenario { keeper, service } = &scenario;
    let ended = told(keeper, &["pause", "acme"]);
    assert!(ended.stdout.contains("is paused"), "{ended:?}");
    service.wait_state("no connection", |state| state.open.is_empty());
    let asked = json_of(&told(keeper, &["resume", "acme", "--json"]));
    assert_eq!(asked, json!({"stream": "acme", "act": "resume"}));
    service.wait_state("three connections", |state| state.open.len() == 3);
    assert_eq!(told(keeper, &["reconnect", "acme"]).code, Some(0));

    // Filters change what comes: nobody can be asked here, so nothing is done without `--yes`.
    let ended = told(keeper, &["recover", "acme", "--apply-filters"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(keeper.log().said(super::support::RECOVERING).is_empty());
    assert_eq!(told(keeper, &["recover", "acme", "--apply-filters", "--yes"]).code, Some(0));
    scenario.wait_recovered(1);

    let ended = told(keeper, &["pause", "nobody"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("no stream has that name"), "{ended:?}");
    scenario.finish();
}

#[test]
fn streams_are_listed_made_and_deleted_but_not_under_a_running_process() {
    let scenario = Scenario::start();
    let keeper = &scenario.keeper;
    let list = || json_of(&told(keeper, &["streams", "list", "--json"]));
    assert_eq!(list()[0]["ours"], "acme");
    assert_eq!(list()[0]["members"], 3);

    let arguments = [
        "streams",
        "create",
        "--name",
        "extra",
        "--start-date",
        "2026-11-01",
        "--resource=summary",
    ];
    let made = told(keeper, &arguments);
    assert!(made.stdout.contains("extra") && made.stdout.contains("2026-11-01"), "{made:?}");
    let again = told(keeper, &arguments);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("a stream of this name exists"), "{again:?}");

    let ended = told(keeper, &["streams", "delete", "extra"]);
    assert_eq!(ended.code, Some(2), "nobody can be asked: {ended:?}");
    assert_eq!(list().as_array().unwrap().len(), 2);
    assert_eq!(told(keeper, &["streams", "delete", "extra", "--yes"]).code, Some(0));
    assert_eq!(list().as_array().unwrap().len(), 1);

    let ended = told(keeper, &["streams", "delete", "acme", "--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("give --force"), "{ended:?}");
    // It is really the service's answer that counts: three clients are connected.
    let ended = told(keeper, &["streams", "delete", "acme", "--yes", "--force"]);
    assert!(ended.stderr.contains("(409)"), "{ended:?}");
    scenario.finish();
}

#[test]
fn a_service_that_is_not_there_or_refuses_has_an_exit_code() {
    let service = Service::process(&[]);
    let folder = configured(&service);
    let url = service.url.clone();
    let probe = |url: &str, token: &str| {
        let mut command = streamkeeper();
        command.args(["probe", url, "--token-env", "TOKEN", "--for", "2s", "--json"]);
        run_to_end(command.env("TOKEN", token).current_dir(folder.path()))
    };
    assert_eq!(probe(&url, "wrong").code, Some(77));
    assert_eq!(alone(&folder, &["probe", &url]).code, Some(2), "whose token?");
    let wrong = probe("ftp://service", "simulated");
    assert_eq!(wrong.code, Some(78), "{wrong:?}");
    assert!(wrong.stderr.starts_with("streamkeeper: the URL: must be an http"), "{wrong:?}");
    let wrong = probe(&url, "");
    assert!(wrong.stderr.starts_with("streamkeeper: --token-env: names a variable"), "{wrong:?}");
    drop(service);
    assert_eq!(probe(&url, "simulated").code, Some(69));
    assert_eq!(alone(&folder, &["streams", "list"]).code, Some(69));
    let ended = alone(&folder, &["pause", "acme"]);
    assert_eq!(ended.code, Some(1), "nothing runs");
    let advice =
        "/control.sock: start `streamkeeper run`, or say with --config or --data-dir where";
    assert!(ended.stderr.contains(advice), "{ended:?}");
}

#[test]
fn a_probe_measures_and_takes_nothing_from_the_reader() {
    let scenario = Scenario::start();
    let before = scenario.service.state().open.len();
    let found = json_of(&told(&scenario.keeper, &["probe", "acme", "--for", "3s", "--json"]));
    assert_eq!(found["dialect"], "inform");
    assert!(found["events"].as_u64().unwrap() > 0, "{found}");
    assert!(found["queueing_delay_ms"].as_i64().unwrap() < 3_000, "{found}");
    assert!(found["clock_ahead_ms"].as_i64().unwrap().abs() < 3_000, "{found}");
    assert_eq!(found["suggested"]["stale_after"], "30s");
    assert_eq!(before, 3);
    assert!(scenario.keeper.log().said("events may have been lost").is_empty());
    scenario.finish();
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let service = Service::process(&["--rate=0", "--history=0s"]);
    let folder = configured(&service);
    let mut print = streamkeeper();
    print.args(["config", "print", "--json"]).current_dir(folder.path());
    print.env("STREAMKEEPER__DEFAULTS__HYGIENE__MAX_CONSECUTIVE_POKES", "7");
    let printed = run_to_end(&mut print);
    assert!(!printed.stdout.contains("simulated"), "{printed:?}");
    let printed = json_of(&printed);
    assert_eq!(printed["stream"][0]["token"], "***");
    assert_eq!(printed["stream"][0]["hygiene"]["max_consecutive_pokes"], 7);
    assert_eq!(printed["service"]["log_format"], "json");

    let default = alone(&folder, &["config", "default"]);
    fs::write(folder.path().join("default.toml"), default.stdout.replace("token_file", "token"))
        .unwrap();
    let checked = alone(&folder, &["check", "default.toml"]);
    assert_eq!(checked.code, Some(0), "the default file is a configuration: {checked:?}");
    let schema = json_of(&alone(&folder, &["config", "schema"]));
    assert_eq!(schema["properties"]["stream"]["type"], "array");
}

#[test]
fn a_shell_can_complete_and_a_version_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bash = alone(&folder, &["completion", "bash"]);
    assert!(bash.stdout.contains("reconnect"), "every command is in it");
    assert_eq!(alone(&folder, &["completion", "nonsense"]).code, Some(2));
    let version = json_of(&alone(&folder, &["version", "--json"]));
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

/// The level of what `doctor` found, by what it looked at.
#[track_caller]
fn levels(ended: &Ended) -> BTreeMap<String, String> {
    let found: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let findings = found["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for bad in findings.clone().filter(|finding| finding["level"] != "good") {
        assert!(!text(&bad["advice"]).is_empty(), "what to do: {bad}");
    }
    findings.map(|finding| (text(&finding["about"]), text(&finding["level"]))).collect()
}

#[test]
fn a_doctor_says_at_which_step_it_fails_and_what_to_do() {
    let service = Service::process(&["--rate=0", "--history=0s"]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let settings = |url: &str| {
        let file = Settings::scaled(url).with("token_file", token.to_str().unwrap()).file();
        file.replace("token = \"simulated\"\n", "")
    };
    let write = |file: String| fs::write(folder.path().join("streamkeeper.toml"), file).unwrap();
    let examine = |more: &[&str]| {
        let ended = alone(&folder, &[&["doctor", "--json"], more].concat());
        assert!(!ended.stdout.contains("simulated") && !ended.stderr.contains("simulated"));
        ended
    };

    write(settings(&service.url));
    fs::write(&token, "simulated\n").unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o644)).unwrap();
    let found = levels(&examine(&[]));
    let expect = |found: &BTreeMap<String, String>, about: &str, level: &str| {
        assert_eq!(found.get(about).map(String::as_str), Some(level), "{about}: {found:?}");
    };
    for step in ["DNS", "connection", "answer", "token", "clock"] {
        expect(&found, &format!("service of acme, {step}"), "good");
    }
    expect(&found, "service of acme, TLS", "warning");
    expect(&found, &format!("token in {}", token.display()), "warning");
    assert_eq!(found.get("service of acme, names"), None, "there is no stream yet");
    for about in ["configuration", "detection", "tcp_retries2"] {
        expect(&found, about, "good");
    }
    assert!(found.contains_key("open files") && found.contains_key("data_dir ./data"), "{found:?}");

    for name in ["ACME", "acme~2024", "acmeX"] {
        let made = alone(&folder, &["streams", "create", "--name", name]);
        assert_eq!(made.code, Some(0), "{made:?}");
    }
    let ended = examine(&[]);
    expect(&levels(&ended), "service of acme, names", "warning");
    let named = ["ACME", "acme~2024", "acmeX"].map(|name| ended.stdout.contains(name));
    assert_eq!(named, [true, true, false], "{ended:?}");

    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    fs::write(&token, "wrong").unwrap();
    let refused = examine(&[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    expect(&levels(&refused), "service of acme, token", "serious");
    expect(&levels(&refused), &format!("token in {}", token.display()), "good");

    // Nobody is called: nothing is said about the service.
    let offline = levels(&examine(&["--offline"]));
    assert!(!offline.keys().any(|about| about.starts_with("service")), "{offline:?}");

    write(settings("http://no-such-host.invalid"));
    let lost = examine(&[]);
    assert_eq!(lost.code, Some(1), "{lost:?}");
    expect(&levels(&lost), "service of acme, DNS", "serious");
    write(settings(&service.url));
    drop(service);
    expect(&levels(&examine(&[])), "service of acme, connection", "serious");

    write("[[stream]]\nname = \"acme\"\ntokne = \"x\"\n".into());
    let wrong = alone(&folder, &["doctor"]);
    assert_eq!(wrong.code, Some(78), "{wrong:?}");
    assert!(wrong.stderr.contains("tokne"), "{wrong:?}");
}
