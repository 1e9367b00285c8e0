//! Files stay small, say what they are for, and leave nothing for later.

use super::tidy;
use super::tree::files;

/// The most lines of a source file.
const LINES_MAX: usize = 500;

#[test]
fn source_files_stay_small() {
    let mut findings = Vec::new();
    for file in files("", &[".rs"]) {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{} has {lines} lines", file.path));
        }
    }
    tidy(
        &format!("A source file has at most {LINES_MAX} lines, its tests included: split it."),
        &findings,
    );
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut findings = Vec::new();
    for file in files("", &[".rs"]) {
        let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let said = first.strip_prefix("//!").is_some_and(|text| !text.trim().is_empty());
        if !said {
            findings.push(format!("{}:1 does not begin with a `//!` line", file.path));
        }
    }
    tidy(
        "A module begins with its purpose, what it promises, what it leaves to others.",
        &findings,
    );
}

/// Text files of any kind.
const TEXTS: [&str; 10] =
    [".rs", ".toml", ".md", ".sh", ".yml", ".html", "Makefile", "run", "run-local", "tool"];

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file is no finding.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let calls = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut findings = Vec::new();
    for file in files("", &TEXTS) {
        for (number, line) in file.lines() {
            let word = words
                .iter()
                .find(|word| line.split(|c: char| !c.is_alphanumeric()).any(|part| part == **word));
            if let Some(found) = word.or_else(|| calls.iter().find(|call| line.contains(**call))) {
                findings.push(format!("{}:{number}: {found}", file.path));
            }
        }
    }
    tidy(
        "What is not done is not begun: do it, or say in the README that it is missing.",
        &findings,
    );
}

#[test]
fn no_path_of_a_particular_machine() {
    let paths = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("C:", "\\"),
    ];
    let mut findings = Vec::new();
    for file in files("", &TEXTS) {
        for (number, line) in file.lines() {
            for path in paths.iter().filter(|path| line.contains(**path)) {
                findings.push(format!("{}:{number}: {path}", file.path));
            }
        }
    }
    tidy("The project is the same on every machine: name no folder of one.", &findings);
}
