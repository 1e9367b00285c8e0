//! What is in effect, shown as one file.

use serde_json::json;

use super::Setting;
use crate::config::load;

#[test]
fn it_has_layers_and_defaults_and_no_secret() {
    let mut setting = Setting::new(
        "[service]\nqueue_bytes = \"8MiB\"\n[defaults]\nurl = \"http://127.0.0.1:1\"\ntoken = \"MARKER\"\n\
         [[stream]]\nname = \"acme\"\nconnections = 3\nledger.commit_delay = \"7ms\"\n\
         [[sink]]\nname = \"out\"\ntype = \"file\"\npath = \"x\"\n",
    )
    .file("main.toml.d/b.toml", "[[stream]]\nname = \"beta\"\ntoken_env = \"T\"\nqueue_bytes = 4194304\n");
    for (name, value) in [
        ("T", "MARKER2"),
        ("STREAMKEEPER__SERVICE__TOKEN", "MARKER3"),
        ("STREAMKEEPER__DEFAULTS__CONNECTIONS", "2"),
        ("STREAMKEEPER__DEFAULTS__EVENT_TYPES", "data, rule"),
    ] {
        setting.surroundings.variables.insert(name.into(), value.into());
    }
    let path = setting.path("main.toml");
    let effective =
        load::effective(&path, None, &super::factories(), &setting.surroundings).unwrap();
    let value = effective.as_value();
    for (pointer, expected) in [
        ("/service/listen", json!("127.0.0.1:9464")),
        ("/service/token", json!("***")),
        ("/stream/0/token", json!("***")),
        ("/stream/0/server_name", json!("acme")),
        ("/stream/0/connections", json!(3)),
        ("/stream/0/queue_bytes", json!("8MiB")),
        ("/stream/0/ledger/commit_delay", json!("7ms")),
        ("/stream/0/ledger/outbox_age", json!("off")),
        ("/stream/1/connections", json!(2)),
        ("/stream/1/event_types", json!(["data", "rule"])),
        ("/stream/1/token_env", json!("T")),
        ("/stream/1/queue_bytes", json!(4194304)),
        ("/sink/0/streams", json!(["*"])),
        ("/sink/0/path", json!("x")),
    ] {
        assert_eq!(value.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(value.pointer("/stream/1/token"), None, "one form of a secret");
    let toml = effective.to_toml();
    assert!(!toml.contains("MARKER"), "{toml}");

    // It is a configuration: with the secrets in it, it means the same.
    let again = toml.replace("***", "t");
    let again = Setting::new(&again);
    let mut around = setting.surroundings.clone();
    around.variables.retain(|name, _| name == "T");
    let (path, again_path) = (setting.path("main.toml"), again.path("main.toml"));
    let here = load::file(&path, None, &super::factories(), &setting.surroundings).unwrap();
    let there = load::file(&again_path, None, &super::factories(), &around).unwrap();
    assert_eq!(here.streams.len(), there.streams.len());
    for (here, mut there) in here.streams.into_iter().zip(there.streams) {
        there.as_inform_mut().unwrap().token = here.as_inform().unwrap().token.clone();
        assert_eq!(here, there);
    }
}
