//! The operations guide is complete: who is called at night finds every word there.

use super::tidy;
use super::tree::{File, files, read};

const GUIDE: &str = "docs/operations.md";

#[test]
fn every_alert_has_an_entry() {
    let guide = read(GUIDE).text;
    let rules = read("config/prometheus/alerts.yml").text;
    let alerts: Vec<_> = after(&rules, "- alert: ").collect();
    assert!(!alerts.is_empty(), "no alerts");
    let mut findings = Vec::new();
    for alert in alerts {
        if !guide.lines().any(|line| line == format!("### {alert}")) {
            findings.push(format!("{alert}: no heading"));
        }
        let anchor = format!("runbook: {GUIDE}#{}", alert.to_lowercase());
        if !rules.contains(&anchor) {
            findings.push(format!("{alert}: its runbook is not {anchor}"));
        }
    }
    for heading in after(&guide, "### Streamkeeper") {
        if !rules.contains(&format!("- alert: Streamkeeper{heading}\n")) {
            findings.push(format!("Streamkeeper{heading}: there is no such alert"));
        }
    }
    tidy("What each alert means, and what to do, is in docs/operations.md.", &findings);
}

#[test]
fn every_state_has_an_entry() {
    let guide = read(GUIDE);
    let words = read("docs/semantics.md");
    let mut findings = Vec::new();
    // What the words are, and that they are complete, is held against the code elsewhere.
    for table in ["| state | means |", "| `detail` | means |", "| `cause` | means |"] {
        let rows = rows(&words, table);
        assert!(!rows.is_empty(), "{table}");
        let known: Vec<_> = guide.text.lines().filter_map(first_cell).collect();
        for word in rows.iter().flat_map(|row| row.split(", ")) {
            let entry = |cell: &&str| cell.split(", ").any(|other| other == word);
            if !known.iter().any(entry) {
                findings.push(format!("{word} ({table})"));
            }
        }
    }
    tidy("What to do about each state, reason and cause is in docs/operations.md.", &findings);
}

#[test]
fn every_metric_has_an_entry() {
    let guide = read(GUIDE).text;
    let mut findings = Vec::new();
    let mut known = 0;
    for file in files("crates/streamkeeper/src/surface/metrics", &[".rs"]) {
        for name in after(&file.text, "        name: \"") {
            let name = format!("streamkeeper_{}", name.trim_end_matches("\","));
            known += 1;
            if !guide.contains(&format!("`{name}`")) {
                findings.push(name);
            }
        }
    }
    assert!(known > 20, "the table of the metrics looks different now");
    tidy("What question each metric answers is in docs/operations.md.", &findings);
}

/// What follows `start` on the lines that begin with it, indented or not.
fn after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        line.strip_prefix(start).or_else(|| line.trim_start().strip_prefix(start))
    })
}

/// The first cells of the tables with this head.
fn rows<'a>(page: &'a File, head: &str) -> Vec<&'a str> {
    let tables = page.text.split(head).skip(1);
    let lines = tables.flat_map(|rest| {
        rest.lines().skip(2).map_while(|line| line.starts_with('|').then_some(line))
    });
    lines.filter_map(first_cell).collect()
}

fn first_cell(line: &str) -> Option<&str> {
    line.strip_prefix("| `").and(line.split(" | ").next()?.strip_prefix("| "))
}
