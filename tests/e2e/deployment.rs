//! What is in `config/` for systemd, for containers and for Kubernetes, held against the program: the
//! files are right by themselves, and what they name is what the binary reads.
//!
//! `systemd-analyze` and `buildah` are the real ones. Neither needs a running systemd or a registry;
//! of the image, therefore, only the last stage is built, with what the first would have made.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::support::{Ended, need, run_to_end, streamkeeper};

/// A file or folder of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const UNIT: &str = "config/systemd/streamkeeper.service";

/// The values of a key of the unit.
fn settings(unit: &str, key: &str) -> Vec<String> {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(ToOwned::to_owned);
    unit.lines().filter_map(value).collect()
}

/// Runs `systemd-analyze` on a copy of the unit whose binary is one that exists here.
fn analyze(command: &[&str], drop_in: Option<&str>) -> Ended {
    need("systemd");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("streamkeeper.service");
    let binary = env!("CARGO_BIN_EXE_streamkeeper");
    fs::write(&path, read(UNIT).replace("/usr/bin/streamkeeper", binary)).unwrap();
    if let Some(drop_in) = drop_in {
        let folder = folder.path().join("streamkeeper.service.d");
        fs::create_dir(&folder).unwrap();
        fs::copy(project(drop_in), folder.join("drop-in.conf")).unwrap();
    }
    run_to_end(Command::new("systemd-analyze").args(command).arg(path))
}

#[test]
fn systemd_takes_the_unit() {
    need("systemd");
    let version = run_to_end(Command::new("systemd-analyze").arg("--version")).stdout;
    let version: u32 = version.split_whitespace().nth(1).unwrap().parse().unwrap();
    for drop_in in [None, Some("config/systemd/before-253.conf")] {
        let verified = analyze(&["verify", "--man=no"], drop_in);
        assert_eq!(verified.code, Some(0), "{verified:?}");
        // An older one says that it does not know the type, which is what the drop-in is for.
        let unknown = |line: &&str| version >= 253 || !line.ends_with("ignoring: notify-reload");
        let said: Vec<_> = verified.stderr.lines().filter(unknown).collect();
        assert!(said.is_empty(), "{said:?}");
    }
}

#[test]
fn the_unit_is_hardened() {
    // Tenths: 0 is shut off from everything, 100 is an ordinary service. What is left is the network.
    let judged = analyze(&["security", "--offline=true", "--no-pager", "--threshold=15"], None);
    assert_eq!(judged.code, Some(0), "{}", judged.stdout);
    let unit = read(UNIT);
    for line in ["LimitCORE=0", "DynamicUser=yes", "ProtectSystem=strict", "Type=notify-reload"] {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
    assert_eq!(settings(&unit, "ProtectSystem").len(), 1, "nothing said twice");
    let seconds = |key| humantime_of(&settings(&unit, key)[0]);
    assert!(seconds("TimeoutStopSec") > 30, "longer than --stop-within");
    assert!(seconds("WatchdogSec") > 0);
}

fn humantime_of(span: &str) -> u64 {
    span.strip_suffix('s').unwrap().parse().unwrap()
}

#[test]
fn the_program_finds_what_the_unit_gives_it() {
    let unit = read(UNIT);
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    for credential in settings(&unit, "LoadCredential") {
        let (name, _) = credential.split_once(':').unwrap();
        fs::write(credentials.join(name), "a-token\n").unwrap();
    }
    let stream = "[[stream]]\nname = \"acme\"\nurl = \"https://streams.v2.validic.com\"\n\
                  token_file = \"inform-token\"\n\
                  [[sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"events.ndjson\"\n";
    let file = folder.path().join("streamkeeper.toml");
    fs::write(&file, stream).unwrap();
    let check = || {
        let mut command = streamkeeper();
        command.current_dir(folder.path()).arg("check").arg(&file);
        for pair in settings(&unit, "Environment") {
            let (name, value) = pair.split_once('=').unwrap();
            command.env(name, value);
        }
        command
    };
    let checked = run_to_end(check().env("CREDENTIALS_DIRECTORY", &credentials));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(run_to_end(&mut check()).code, Some(78), "without systemd there is no such file");

    let [start] = settings(&unit, "ExecStart").try_into().unwrap();
    let words: Vec<_> = start.split(' ').collect();
    assert_eq!(words[..2], ["/usr/bin/streamkeeper", "run"]);
    assert!(words[2].starts_with("/etc/streamkeeper/"), "{start}");
    let never_again = settings(&unit, "RestartPreventExitStatus");
    assert_eq!(never_again, ["2 78"], "wrong usage, wrong configuration (docs/commands.md)");
}

/// The manifests, by kind.
pub(crate) fn manifest(kind: &str) -> Value {
    let all = ["configuration", "streamkeeper"].iter().flat_map(|name| {
        let text = read(&format!("config/kubernetes/{name}.yaml"));
        serde_saphyr::from_multiple::<Value>(&text)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    all.into_iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

#[test]
fn the_manifests_fit_together() {
    let (set, service, map) = (manifest("StatefulSet"), manifest("Service"), manifest("ConfigMap"));
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(set["spec"]["replicas"], 1, "a stream has one reader");
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    for selector in [&set["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]] {
        assert_eq!(selector, &set["spec"]["template"]["metadata"]["labels"]);
    }

    // Nothing but the volume can be written to, by nobody but an ordinary user.
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 30);
    let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();
    assert!(read("config/Dockerfile").contains(&format!("USER {user}:{user}")));

    let names = |list: &Value| {
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect::<Vec<_>>()
    };
    let mut volumes = names(&pod["volumes"]);
    let claim = &set["spec"]["volumeClaimTemplates"][0]["metadata"]["name"];
    volumes.push(claim.as_str().unwrap().to_owned());
    for mount in names(&container["volumeMounts"]) {
        assert!(volumes.contains(&mount), "{mount} is mounted, and not there");
    }
    assert_eq!(pod["volumes"][0]["configMap"]["name"], map["metadata"]["name"]);

    // The port is one and the same, from the configuration to the annotation.
    let port = container["ports"][0]["containerPort"].as_u64().unwrap();
    let annotations = &set["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], port.to_string());
    assert_eq!(service["spec"]["ports"][0]["port"], port);
    let configuration = map["data"]["streamkeeper.toml"].as_str().unwrap();
    assert!(configuration.contains(&format!("listen = \"0.0.0.0:{port}\"")), "{configuration}");
}

#[test]
fn the_program_reads_what_the_manifests_configure() {
    let (set, map) = (manifest("StatefulSet"), manifest("ConfigMap"));
    let folder = tempfile::tempdir().unwrap();
    let mounts = set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].clone();
    let mount = |name: &str| {
        let found = mounts.as_array().unwrap().iter().find(|mount| mount["name"] == name);
        found.unwrap()["mountPath"].as_str().unwrap().to_owned()
    };
    for name in ["inform-token", "endpoint-token"] {
        fs::write(folder.path().join(name), "a-token\n").unwrap();
    }
    let text = map["data"]["streamkeeper.toml"].as_str().unwrap();
    assert!(text.contains(&format!("data_dir = \"{}\"", mount("data"))));
    let here = text.replace(&mount("secrets"), folder.path().to_str().unwrap());
    assert_ne!(here, text, "secrets come from where they are mounted");
    let file = folder.path().join("streamkeeper.toml");
    fs::write(&file, here).unwrap();
    let checked = run_to_end(streamkeeper().arg("check").arg(&file));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let args = &set["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[0], "run");
    let map = map["data"].as_object().unwrap();
    let (name, _) = map.iter().next().unwrap();
    assert_eq!(args[1], format!("{}/{name}", mount("configuration")));
}

/// Runs buildah with a storage of its own.
fn buildah(storage: &TempDir, arguments: &[&OsStr]) -> String {
    need("buildah");
    let path = |name: &str| storage.path().join(name);
    let ended = run_to_end(
        Command::new("buildah")
            .args(["--storage-driver", "vfs", "--root"])
            .arg(path("root"))
            .arg("--runroot")
            .arg(path("runroot"))
            .args(arguments),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn the_image_holds_the_binary_alone() {
    let dockerfile = read("config/Dockerfile");
    let (build, image) = dockerfile.split_once("\nFROM scratch\n").expect("two stages");
    assert!(build.contains("--locked"), "built from the lock file");
    assert!(!image.contains("RUN"), "there is nothing that could be run");

    // What the first stage would have made, which needs an image from a registry.
    let context = tempfile::tempdir().unwrap();
    fs::create_dir_all(context.path().join("image/data")).unwrap();
    for name in ["streamkeeper", "ca-certificates.crt"] {
        assert!(build.contains(&format!("/image/{name}")), "{name} is made by the first stage");
        fs::write(context.path().join("image").join(name), name).unwrap();
    }
    let stage = context.path().join("Dockerfile");
    fs::write(&stage, format!("FROM scratch\n{}", image.replace("--from=build ", ""))).unwrap();

    let storage = tempfile::tempdir().unwrap();
    let words = ["bud", "--isolation=chroot", "--quiet", "--tag=streamkeeper", "--file"];
    let mut arguments: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    arguments.extend([stage.as_os_str(), context.path().as_os_str()]);
    buildah(&storage, &arguments);
    let inspect = ["inspect", "--type", "image", "streamkeeper"].map(OsStr::new);
    let made: Value = serde_json::from_str(&buildah(&storage, &inspect)).unwrap();
    let config = &made["OCIv1"]["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/streamkeeper"]));
    assert_eq!(config["Cmd"], serde_json::json!(["run"]));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Volumes"], serde_json::json!({"/data": {}}));
    let environment = config["Env"].as_array().unwrap();
    for pair in environment.iter().map(|pair| pair.as_str().unwrap()) {
        let (name, value) = pair.split_once('=').unwrap();
        match name {
            "SSL_CERT_FILE" => assert!(image.contains(&format!("ca-certificates.crt {value}\n"))),
            "STREAMKEEPER__SERVICE__DATA_DIR" => assert_eq!(value, "/data"),
            "PATH" => {}
            other => panic!("{other}"),
        }
    }
}
