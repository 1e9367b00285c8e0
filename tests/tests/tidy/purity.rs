//! The core and the decoder ask no clock, open nothing and start nothing.
//!
//! Their libraries are held by `dependencies`; this is about what the standard library offers, which
//! no manifest shows.

use super::tidy;
use super::tree::files;

const PURE: [&str; 2] = ["crates/streamkeeper-core/src", "crates/streamkeeper-sse/src"];

const FORBIDDEN: [(&str, &str); 9] = [
    ("std::net", "the shell owns the sockets"),
    ("std::fs", "the shell owns the files"),
    ("std::io", "the shell reads and writes"),
    ("std::os", "the shell talks to the operating system"),
    ("std::env", "what a machine depends on is given to it"),
    ("std::process", "the shell owns the process"),
    ("std::thread", "the shell owns the threads"),
    ("std::time::Instant", "the shell owns the clock: take `streamkeeper_core::time::Instant`"),
    (
        "std::time::SystemTime",
        "the shell owns the clock: take `streamkeeper_core::time::Timestamp`",
    ),
];

/// Libraries whose very name has no place there.
const STRANGERS: [&str; 4] = ["tokio", "actix", "actix_rt", "awc"];

#[test]
fn the_pure_crates_do_no_io_and_ask_no_clock() {
    let mut findings = Vec::new();
    for file in PURE.iter().flat_map(|folder| files(folder, &[".rs"])) {
        let code = without_comments(&file.text);
        for path in paths(&code, "std") {
            if ["std::time", "std::time::", "std::"].contains(&path.as_str()) {
                findings.push(format!("{}: {path}: name what is used of it", file.path));
            }
            for (forbidden, why) in FORBIDDEN {
                let inside = path.strip_prefix(forbidden);
                if inside.is_some_and(|rest| rest.is_empty() || rest.starts_with("::")) {
                    findings.push(format!("{}: {path}: {why}", file.path));
                }
            }
        }
        for stranger in STRANGERS {
            for path in paths(&code, stranger) {
                findings.push(format!("{}: {path}: the shell owns the runtime", file.path));
            }
        }
    }
    tidy("The pure crates are state machines: time and effects are values there.", &findings);
}

#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use std::{fs::File, time::{Duration, Instant}};\nlet x = std::env::var(\"A\");";
    assert_eq!(
        paths(code, "std"),
        ["std::fs::File", "std::time::Duration", "std::time::Instant", "std::env::var"]
    );
    assert_eq!(
        paths("use std::time::*; use std::{time, io::*};", "std"),
        ["std::time::", "std::time", "std::io::"]
    );
    assert_eq!(paths("nostd::x, other_std::y", "std"), [""; 0]);
    assert_eq!(without_comments("a // std::fs\nb"), "a \nb\n");
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    text.lines().map(code).collect()
}

/// Every path in `code` that begins with the crate `name`, groups taken apart.
fn paths(code: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let start = format!("{name}::");
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(is_word) {
            expand(name, &code[at + name.len()..], &mut found);
        }
    }
    found
}

/// Takes `::a::{b, c}` apart; returns what follows it.
fn expand<'a>(prefix: &str, code: &'a str, found: &mut Vec<String>) -> &'a str {
    let Some(rest) = code.strip_prefix("::") else {
        found.push(prefix.to_owned());
        return code;
    };
    let Some(mut rest) = rest.strip_prefix('{') else {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return expand(&format!("{prefix}::{}", &rest[..end]), &rest[end..], found);
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 && !rest.starts_with(',') {
            return rest; // `*`, `self as x`: nothing that is forbidden
        }
        if end > 0 {
            rest = expand(&format!("{prefix}::{}", &rest[..end]), &rest[end..], found);
        }
        rest = rest.trim_start().trim_start_matches(',');
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
