//! The documents hold together: links lead somewhere, every page is in the book, what the code cites
//! exists, and the glossary speaks of things that are there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::tidy;
use super::tree::{File, files, read, root};

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for page in files("", &[".md"]) {
        for (number, target) in links(&page) {
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked = if path.is_empty() { page.path.clone() } else { beside(&page.path, path) };
            let place = format!("{}:{number}: {target}", page.path);
            if !root().join(&linked).exists() {
                findings.push(format!("{place}: there is no {linked}"));
            } else if !anchor.is_empty() && !anchors(&read(&linked)).contains(anchor) {
                findings.push(format!("{place}: {linked} has no such heading"));
            }
        }
    }
    tidy("A link within the project leads to a file, and to a heading of it.", &findings);
}

#[test]
fn every_page_is_in_the_book() {
    let summary = read("docs/SUMMARY.md");
    let listed: BTreeSet<String> =
        links(&summary).into_iter().map(|(_, target)| beside(&summary.path, &target)).collect();
    let findings: Vec<_> = files("docs", &[".md"])
        .into_iter()
        .filter(|page| page.path != summary.path && !listed.contains(&page.path))
        .map(|page| format!("{} is not listed", page.path))
        .collect();
    tidy("Every page of docs/ is listed in docs/SUMMARY.md.", &findings);
}

#[test]
fn what_the_code_cites_exists() {
    let mut findings = Vec::new();
    for file in files("", &[".rs", ".toml"]) {
        for (number, line) in file.lines() {
            for (page, section) in citations(line) {
                let candidates = [page.to_owned(), format!("docs/{page}")];
                let missing = match candidates.iter().find(|path| root().join(path).is_file()) {
                    None => format!("there is no {page}, and no docs/{page}"),
                    Some(_) if section.is_empty() => continue,
                    Some(path) if has_section(&read(path), section) => continue,
                    Some(path) => format!("{path} has no heading like {section}"),
                };
                findings.push(format!("{}:{number}: {missing}", file.path));
            }
        }
    }
    tidy("What the code cites is in docs/.", &findings);
}

#[test]
fn tests_that_a_page_names_are_there() {
    let page = read("docs/sse-conformance.md");
    let mut findings = Vec::new();
    let mut file = None;
    let mut named = 0;
    for (number, line) in page.lines() {
        if let Some(rest) = line.strip_prefix("Tests in `") {
            file = rest.split('`').next().map(read);
        } else if let Some(file) = file.as_ref().filter(|_| line.starts_with("| ")) {
            // What stands in the last cell; a rule may quote, too.
            let tests = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
            for test in tests.split('`').skip(1).step_by(2) {
                named += 1;
                let forms = [format!("fn {test}("), format!("    {test}: b\"")];
                if !forms.iter().any(|form| file.text.contains(form)) {
                    findings.push(format!("{}:{number}: {} has no {test}", page.path, file.path));
                }
            }
        }
    }
    assert!(named > 30, "the page names its tests");
    tidy("Each rule of the standard names the tests that show it.", &findings);
}

/// The pages that a line cites, and the section: `recovery.md, "Stop"`, or that of the API's page by
/// its own name.
fn citations(line: &str) -> Vec<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let pages = line.split(|c| !is_part(c)).filter(|word| word.len() > 3 && word.ends_with(".md"));
    let section = |page: &str| {
        let after = line.split_once(page).map_or("", |(_, after)| after);
        after.strip_prefix(", ").filter(|after| after.starts_with('"')).unwrap_or_default()
    };
    let api = concat!("Inform ", "API, ");
    let api = line.match_indices(api).map(|(at, _)| ("inform-api.md", &line[at + api.len()..]));
    // What stands in backticks is a field, not a heading.
    let api = api.filter(|(_, section)| !section.starts_with('`'));
    pages.map(|page| (page, section(page))).chain(api).collect()
}

/// Whether `cited` (which may be cut by the end of the line, or go on) is a heading of the page.
fn has_section(page: &File, cited: &str) -> bool {
    let cited = cited.to_lowercase();
    let quoted = cited.strip_prefix('"').map(|rest| rest.split_once('"').ok_or(rest));
    headings(page).iter().any(|heading| match quoted {
        Some(Ok((quoted, _))) => heading == quoted,
        Some(Err(cut)) => heading.starts_with(cut.trim_end()),
        None => cited.starts_with(heading) || heading.starts_with(cited.trim_end()),
    })
}

/// The words that code, log, metric, configuration and page share.
const TERMS: [&str; 24] = [
    "stream",
    "slot",
    "frame",
    "poke",
    "heartbeat",
    "data",
    "silence",
    "late",
    "stale",
    "rest",
    "position",
    "suspect",
    "settled",
    "witness",
    "low-water mark",
    "incident",
    "replay",
    "verification",
    "ledger",
    "outbox",
    "sink",
    "envelope",
    "epoch",
    "dialect",
];

#[test]
fn the_glossary_has_the_words_that_are_used() {
    let page = read("docs/glossary.md");
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| "));
    let terms: BTreeSet<&str> = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|terms| terms.split([',', '/']))
        .map(str::trim)
        .filter(|term| !term.starts_with("--") && *term != "term")
        .collect();
    let mut findings = Vec::new();
    for term in TERMS.iter().filter(|term| !terms.contains(**term)) {
        findings.push(format!("docs/glossary.md does not explain `{term}`"));
    }
    let code: String = files("crates", &[".rs"]).into_iter().map(|file| file.text).collect();
    let code = code.to_lowercase();
    for term in terms.iter().filter(|term| !code.contains(&term.replace('`', "").to_lowercase())) {
        findings.push(format!("docs/glossary.md explains `{term}`, which no code speaks of"));
    }
    tidy("One word for one thing, in code, log, configuration and page.", &findings);
}

/// Where the words are that operators read: causes, reasons, states.
const WORDS: [&str; 4] = [
    "crates/streamkeeper-core/src/marked/cause.rs",
    "crates/streamkeeper-core/src/marked.rs",
    "crates/streamkeeper-core/src/classify.rs",
    "crates/streamkeeper/src/stream/supervisor.rs",
];

#[test]
fn every_word_of_a_report_is_explained() {
    let page = read("docs/semantics.md").text;
    let mut findings = Vec::new();
    for file in WORDS.map(read) {
        let code = file.text.split("mod tests {").next().unwrap_or_default();
        let starts = ["=> \"", "Degraded(\""];
        let words = starts.iter().flat_map(|start| code.split(start).skip(1));
        for word in words.filter_map(|rest| rest.split('"').next()) {
            if !page.contains(&format!("`{word}`")) {
                findings.push(format!("{}: `{word}`", file.path));
            }
        }
    }
    tidy("What the log and the status say is explained in docs/semantics.md.", &findings);
}

/// The targets of links to files of the project, with the numbers of their lines.
fn links(page: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in page.lines() {
        in_code ^= line.trim_start().starts_with("```");
        // What stands in backticks is an example.
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for after in text.split("](").skip(1).filter(|_| !in_code) {
            let target = after.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// Where a relative link of the page at `path` leads, from the root of the project.
fn beside(path: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap_or_default();
    let mut way = PathBuf::new();
    for part in Path::new(path).parent().unwrap().join(link).components() {
        match part {
            Component::ParentDir => drop(way.pop()),
            other => way.push(other),
        }
    }
    way.to_str().unwrap().to_owned()
}

/// The headings of a page, in small letters.
fn headings(page: &File) -> BTreeSet<String> {
    let mut in_code = false;
    let mut found = BTreeSet::new();
    for (_, line) in page.lines() {
        in_code ^= line.starts_with("```");
        if !in_code && line.starts_with('#') {
            found.insert(line.trim_start_matches('#').trim().to_lowercase());
        }
    }
    found
}

/// The anchors of its headings.
fn anchors(page: &File) -> BTreeSet<String> {
    let anchor = |heading: String| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings(page).into_iter().map(anchor).collect()
}
