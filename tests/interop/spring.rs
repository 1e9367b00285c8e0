//! Spring's SseEmitter on Jetty: `servers/Emitter.java`.

use std::process::Command;

use super::super::support::run_to_end;
use super::kind::{Ends, Forgotten, Kind, forget_history, need_debian, programs};
use super::process::Place;

/// Spring's and Jetty's, as Debian names them.
const JARS: [&str; 16] = [
    "spring3-aop",
    "spring3-beans",
    "spring3-context",
    "spring3-core",
    "spring3-expression",
    "spring3-web",
    "spring3-web.servlet",
    "commons-logging",
    "servlet-api",
    "jetty9-http",
    "jetty9-io",
    "jetty9-security",
    "jetty9-server",
    "jetty9-servlet",
    "jetty9-util",
    "jetty9-util-ajax",
];

pub(super) struct Spring;

impl Kind for Spring {
    fn name(&self) -> &'static str {
        "Spring SseEmitter on Jetty"
    }

    fn preset(&self) -> &'static str {
        "spring"
    }

    fn install(&self) -> String {
        let there = Command::new("javac").arg("-version").output();
        if there.is_err() {
            need_debian("default-jdk-headless");
        }
        need_debian("libspring-context-java");
        need_debian("libspring-web-java");
        let spring = need_debian("libspring-web-servlet-java");
        format!("{spring}, {}", need_debian("libjetty9-java"))
    }

    fn prepare(&self, place: &Place) {
        let mut javac = Command::new("javac");
        // Spring 4 reads no newer classes.
        javac.args(["--release", "8", "-Xlint:-options", "-cp", &class_path(), "-d"]);
        let compiled = run_to_end(javac.arg(place.folder()).arg(programs().join("Emitter.java")));
        assert_eq!(compiled.code, Some(0), "{compiled:?}");
    }

    fn command(&self, place: &Place) -> Command {
        let mut java = place.program("java");
        java.args(["-cp", &class_path(), "Emitter"]);
        java
    }

    fn scaled(&self) -> &'static str {
        "interval = \"1s\"\ngap_check = \"sequence\""
    }

    fn ends(&self) -> Ends {
        Ends::UnderLoad
    }

    fn forget(&self, place: &Place) -> Forgotten {
        forget_history(place)
    }
}

fn class_path() -> String {
    let jars: String = JARS.iter().map(|jar| format!("/usr/share/java/{jar}.jar:")).collect();
    format!("{jars}.")
}
