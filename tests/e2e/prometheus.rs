//! A real Prometheus scrapes a running instance: the names are right, and the alerts fire.
//!
//! `config/prometheus` and `config/grafana` are held against what the program really exports. The
//! alert rules are the real ones, but for their waiting times, which are scaled down like those of
//! the program itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::deployment::{manifest, project, read};
use super::support::{Keeper, Scenario, Service, Settings, need, request, wait_for};

const ALERTS: &str = "config/prometheus/alerts.yml";
const DASHBOARD: &str = "config/grafana/streamkeeper.json";

/// Runs promtool in the folder of the rules, with this on its standard input; gives what it said.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    need("prometheus");
    let mut process = Command::new("promtool")
        .args(arguments)
        .current_dir(project("config/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the package has it");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn the_rules_are_rules_and_pass_their_tests() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let (passed, said) = promtool(&arguments, "");
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

/// A Prometheus of this test's own. It is killed when this is dropped.
struct Prometheus {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes `targets` every second, with the alerts' waiting times scaled down.
    fn start(targets: &[&str]) -> Self {
        need("prometheus");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("alerts.yml"), scaled(&read(ALERTS))).unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{
                "job_name": "streamkeeper",
                "static_configs": [{"targets": targets}],
            }],
        });
        // JSON is YAML.
        fs::write(path("prometheus.yml"), config.to_string()).unwrap();
        let flag = |name: &str, value: &std::path::Path| format!("--{name}={}", value.display());
        let mut process = Command::new("prometheus")
            .arg(flag("config.file", &path("prometheus.yml")))
            .arg(flag("storage.tsdb.path", &path("data")))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the package has it");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = |line: String| {
            let (_, address) = line.split_once("msg=\"Listening on\" address=")?;
            Some(format!("http://{address}"))
        };
        let url = log.find_map(listening).expect("it says where it listens");
        // Read on, so that it is never held up by its own log.
        std::thread::spawn(move || log.for_each(drop));
        Self { process, url, _folder: folder }
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = request(&self.url, "GET", path, "");
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        // Until it has read its storage it is not ready.
        if status == 503 {
            return Value::Null;
        }
        assert_eq!((status, &answer["status"]), (200, &json!("success")), "{path}: {answer}");
        answer["data"].clone()
    }

    /// The series that an expression gives.
    fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.get(&format!("/api/v1/query?query={encoded}"));
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// The names of the alerts that fire.
    fn firing(&self) -> BTreeSet<String> {
        let alerts = self.get("/api/v1/alerts")["alerts"].clone();
        let fires = |alert: &&Value| alert["state"] == "firing";
        let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
        alerts.as_array().into_iter().flatten().filter(fires).map(name).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The rules with waiting times of a second, and a silence of three.
fn scaled(rules: &str) -> String {
    let silence = "streamkeeper_last_frame_timestamp_seconds) > 900";
    assert!(rules.contains(silence), "the rule has another limit now");
    let rules = rules.replace(silence, &silence.replace("900", "3"));
    let scaled = rules.lines().map(|line| match line.split_once("for: ") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}for: 1s\n"),
        _ => format!("{line}\n"),
    });
    scaled.collect()
}

/// A keeper with an endpoint; gives its base URL, too.
fn observed(service: &Service) -> (Keeper, String) {
    let file = Settings::scaled(&service.url).file();
    let keeper = Keeper::start_with::<&str>(&file, &[]);
    let url = keeper.endpoint();
    (keeper, url)
}

#[test]
fn prometheus_sees_a_stall_and_its_end() {
    let service = Service::process(&[]);
    let (keeper, url) = observed(&service);
    let scenario = Scenario { keeper, service }.live();
    let prometheus = Prometheus::start(&[url.strip_prefix("http://").unwrap()]);

    wait_for("a scrape", || {
        let up = prometheus.query("up{job=\"streamkeeper\"}");
        (up.first()?["value"][1] == "1").then_some(())
    });
    wait_for("the state live, and no alert", || {
        let live = prometheus.query("streamkeeper_stream_state{state=\"live\"} == 1");
        (live.len() == 1 && prometheus.firing().is_empty()).then_some(())
    });
    every_panel_has_data(&prometheus);
    every_name_is_exported(&url);
    every_probe_is_answered(&url);

    // Every connection hangs, and no call is answered, so that it cannot be mended.
    scenario.service.fault(json!({"kind": "silence", "for_ms": 600_000}));
    scenario.service.fault(json!({"kind": "hang", "all": true}));
    wait_for("the alerts", || {
        let firing = prometheus.firing();
        let expected = ["StreamkeeperStreamSilent", "StreamkeeperStreamDegraded"];
        expected.iter().all(|alert| firing.contains(*alert)).then_some(())
    });
    let (ready, _) = request(&url, "GET", "/readyz", "");
    let (alive, _) = request(&url, "GET", "/livez", "");
    assert_eq!((ready, alive), (503, 200), "not ready, and no reason to be restarted");

    scenario.service.fault(json!({"kind": "clear"}));
    wait_for("the alerts to end", || prometheus.firing().is_empty().then_some(()));
    scenario.finish();
}

#[test]
fn prometheus_reads_both_forms_and_finds_the_same_in_them() {
    let service = Service::process(&[]);
    let (keeper, url) = observed(&service);
    let scenario = Scenario { keeper, service }.live();
    let open_metrics = url.strip_prefix("http://").unwrap();
    let text = text_only(open_metrics.to_owned());
    let prometheus = Prometheus::start(&[open_metrics, &text]);
    let names = |instance: &str| {
        let one = format!("group by (__name__) ({{instance={instance:?},job=\"streamkeeper\"}})");
        let series = prometheus.query(&one);
        let name = |one: &Value| one["metric"]["__name__"].as_str().unwrap().to_owned();
        series.iter().map(name).filter(|name| name.starts_with("streamkeeper_")).collect()
    };
    wait_for("both forms", || {
        let [of_open_metrics, of_text]: [BTreeSet<String>; 2] = [open_metrics, &text].map(&names);
        let counter = "streamkeeper_events_accepted_total";
        (of_text.contains(counter) && of_open_metrics == of_text).then_some(())
    });
    let up = prometheus.query("up{job=\"streamkeeper\"} == 1");
    assert_eq!(up.len(), 2, "{up:?}");
    scenario.finish();
}

/// An address at which `target` is asked for the text format, whatever is asked for there: this Prometheus
/// always likes OpenMetrics better.
fn text_only(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut asking = socket.unwrap();
            let head = BufReader::new(&asking).lines().map_while(Result::ok);
            assert!(
                head.take_while(|line| !line.is_empty())
                    .any(|line| line.starts_with("GET /metrics"))
            );
            let mut asked = TcpStream::connect(&target).unwrap();
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                           Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n\r\n";
            asked.write_all(request.as_bytes()).unwrap();
            // Who asks may have gone meanwhile.
            drop(std::io::copy(&mut asked, &mut asking));
        }
    });
    address
}

/// The names of the samples of an exposition in the text format.
fn exported(exposition: &str) -> BTreeSet<String> {
    let family = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        let ends: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        Some(ends.iter().map(move |end| format!("{name}{end}")).collect::<Vec<_>>())
    };
    exposition.lines().filter_map(family).flatten().collect()
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    words.filter(|word| word.starts_with("streamkeeper_")).map(ToOwned::to_owned).collect()
}

#[track_caller]
fn metrics(url: &str) -> String {
    let (status, body) = request(url, "GET", "/metrics", "");
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap()
}

#[track_caller]
fn every_name_is_exported(url: &str) {
    let exposition = metrics(url);
    let exported = exported(&exposition);
    for file in [ALERTS, "config/prometheus/alerts_test.yml", DASHBOARD] {
        let unknown: Vec<_> = named(&read(file)).difference(&exported).cloned().collect();
        assert!(unknown.is_empty(), "{file} names what is not exported: {unknown:?}");
    }
    let shown = named(&read(DASHBOARD));
    let family =
        |name: &String| name.trim_end_matches("_sum").trim_end_matches("_count").to_owned();
    let hidden: Vec<_> = exported
        .iter()
        .filter(|name| {
            !shown.contains(*name) && !shown.contains(&format!("{}_bucket", family(name)))
        })
        .collect();
    assert!(hidden.is_empty(), "the dashboard shows nothing of {hidden:?}");

    let (passed, said) = promtool(&["check", "metrics"], &exposition);
    assert!(passed, "{said}");
}

/// What has samples only while, or after, something is wrong.
const EMPTY_IF_WELL: [&str; 2] =
    ["streamkeeper_stream_degraded", "streamkeeper_sink_failures_total"];

#[track_caller]
fn every_panel_has_data(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression
                .replace("$instance", ".*")
                .replace("$stream", ".*")
                .replace("$__rate_interval", "10s");
            let may_be_empty = EMPTY_IF_WELL.iter().any(|name| expression.contains(name));
            wait_for(&format!("data for {title}: {expression}"), || {
                let found = !prometheus.query(&expression).is_empty();
                (found || may_be_empty).then_some(())
            });
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}

/// The paths that Kubernetes and Prometheus ask for are there.
#[track_caller]
fn every_probe_is_answered(url: &str) {
    let set = manifest("StatefulSet");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"];
    let probes = probes.map(|probe| &container[probe]["httpGet"]["path"]);
    let scraped = &set["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"];
    for path in probes.into_iter().chain([scraped]) {
        let (status, _) = request(url, "GET", path.as_str().unwrap(), "");
        assert_eq!(status, 200, "{path}");
    }
}
