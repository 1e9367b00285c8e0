//! Which crate may use which: arrows point down only (docs/architecture.md).
//!
//! What a crate of ours uses is read from its manifest; what a library brings along, from
//! `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toml_edit::{DocumentMut, Item};

use super::tidy;
use super::tree::{File, files, read};

/// What a crate may use.
struct Rule {
    name: &'static str,
    /// Crates of ours, in any way.
    uses: &'static [&'static str],
    /// All the libraries it may use; `None`: any, within `free_of`.
    only: Option<&'static [&'static str]>,
    /// Libraries that neither it nor what it uses may bring along; `*` stands for any end of a name.
    free_of: &'static [&'static str],
}

/// What the crates without a network have to do with.
const NO_NETWORK: &[&str] = &["actix*", "awc", "tokio*", "hyper*", "reqwest", "socket2", "mio"];

/// One rule for each crate, as in docs/architecture.md, from the binary down.
const RULES: [Rule; 11] = [
    Rule {
        name: "streamkeeper-cli",
        uses: &[
            "streamkeeper",
            "streamkeeper-call",
            "streamkeeper-inform",
            "streamkeeper-simulator",
            "streamkeeper-sink",
            "streamkeeper-sinks",
            "streamkeeper-sse",
        ],
        only: None,
        free_of: &[],
    },
    Rule {
        name: "streamkeeper-sinks",
        uses: &["streamkeeper-call", "streamkeeper-sink"],
        only: None,
        free_of: &["actix*", "awc"],
    },
    // It shares no policy and no wire types with the product: a shared misreading would be invisible.
    Rule { name: "streamkeeper-simulator", uses: &[], only: None, free_of: &["awc"] },
    // A library that others embed: no command line, no log of its own, no listener that nobody asked for.
    Rule {
        name: "streamkeeper",
        uses: &[
            "streamkeeper-call",
            "streamkeeper-core",
            "streamkeeper-inform",
            "streamkeeper-ledger",
            "streamkeeper-sink",
            "streamkeeper-sse",
        ],
        only: None,
        free_of: &["anyhow", "clap", "tracing-subscriber"],
    },
    Rule { name: "streamkeeper-sink", uses: &[], only: None, free_of: &["actix*", "awc"] },
    Rule {
        name: "streamkeeper-ledger",
        uses: &["streamkeeper-core"],
        only: None,
        free_of: NO_NETWORK,
    },
    Rule {
        name: "streamkeeper-inform",
        uses: &["streamkeeper-call"],
        only: None,
        free_of: NO_NETWORK,
    },
    Rule {
        name: "streamkeeper-call",
        uses: &[],
        only: Some(&["bytes", "httpdate", "percent-encoding", "thiserror"]),
        free_of: NO_NETWORK,
    },
    Rule {
        name: "streamkeeper-core",
        uses: &[],
        only: Some(&["fastrand", "thiserror"]),
        free_of: NO_NETWORK,
    },
    Rule {
        name: "streamkeeper-sse",
        uses: &[],
        only: Some(&["bytes", "bytestring", "memchr", "smol_str", "thiserror"]),
        free_of: NO_NETWORK,
    },
    // The tests see everything; nothing sees them.
    Rule {
        name: "streamkeeper-tests",
        uses: &["streamkeeper-core", "streamkeeper-ledger", "streamkeeper-simulator"],
        only: None,
        free_of: &[],
    },
];

/// What the tests of a crate may use besides. The library's meet the simulator over HTTP only.
/// The ledger's use the ledger itself, with the file system that fails.
const TESTS_USE: [(&str, &str); 2] =
    [("streamkeeper", "streamkeeper-simulator"), ("streamkeeper-ledger", "streamkeeper-ledger")];

#[test]
fn every_crate_has_a_rule_and_a_place_on_the_page() {
    let page = read("docs/architecture.md").text;
    let manifests = manifests();
    let mut findings = Vec::new();
    for (name, manifest) in &manifests {
        let path = &manifest.path;
        if !RULES.iter().any(|rule| rule.name == name) {
            findings.push(format!("{path}: `{name}` has no rule: say in RULES what it may use"));
        }
        if !page.contains(&format!("`{name}`")) && name != "streamkeeper-tests" {
            findings.push(format!("{path}: `{name}` is missing in docs/architecture.md"));
        }
    }
    for rule in RULES.iter().filter(|rule| !manifests.contains_key(rule.name)) {
        findings.push(format!("RULES has `{}`, and there is no such crate", rule.name));
    }
    tidy("A crate exists when it forbids a dependency.", &findings);
}

#[test]
fn dependencies_between_our_crates_point_down_only() {
    let manifests = manifests();
    let mut findings = Vec::new();
    for rule in &RULES {
        let manifest = &manifests[rule.name];
        let is_built_with = manifest.dependencies();
        for used in manifest.all_dependencies() {
            let for_tests =
                !is_built_with.contains(&used) && TESTS_USE.contains(&(rule.name, used.as_str()));
            if manifests.contains_key(&used) && !rule.uses.contains(&used.as_str()) && !for_tests {
                let path = &manifest.path;
                findings.push(format!("{path}: `{}` must not use `{used}`", rule.name));
            }
        }
    }
    tidy("Dependencies between our crates point down only (docs/architecture.md).", &findings);
}

#[test]
fn what_a_crate_may_use_it_uses() {
    let manifests = manifests();
    let may = |rule: &Rule| [rule.uses, rule.only.unwrap_or_default()].concat();
    let unneeded = |rule: &Rule| {
        let used = manifests[rule.name].all_dependencies();
        let unused = may(rule).into_iter().filter(|may| !used.contains(*may));
        unused.map(|may| format!("RULES: `{}` does not use `{may}`", rule.name)).collect::<Vec<_>>()
    };
    let mut findings: Vec<_> = RULES.iter().flat_map(unneeded).collect();
    for (name, used) in TESTS_USE {
        if !manifests[name].of(&["dev-dependencies"]).contains(used) {
            findings.push(format!("TESTS_USE: the tests of `{name}` do not use `{used}`"));
        }
    }
    tidy("A permission that nobody uses is none: take it out of the list.", &findings);
}

#[test]
fn the_pure_crates_use_the_libraries_they_need_and_no_others() {
    let manifests = manifests();
    let mut findings = Vec::new();
    for rule in &RULES {
        let Some(only) = rule.only else { continue };
        let manifest = &manifests[rule.name];
        for used in manifest.dependencies() {
            if !only.contains(&used.as_str()) {
                let path = &manifest.path;
                findings.push(format!("{path}: `{}` must not use `{used}`", rule.name));
            }
        }
    }
    tidy("The core and the decoder do no I/O: each library they use is a decision.", &findings);
}

#[test]
fn nothing_forbidden_comes_along() {
    let manifests = manifests();
    let locked = locked();
    let mut findings = Vec::new();
    for rule in &RULES {
        for way in ways(rule.name, &manifests, &locked) {
            let last = way.last().unwrap();
            if rule.free_of.iter().any(|pattern| matches(pattern, last)) {
                findings.push(way.join(" → "));
            }
        }
    }
    tidy("A crate must not bring along what it exists to be free of.", &findings);
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// For everything that `name` is built with: the shortest way to it.
fn ways(
    name: &str,
    manifests: &BTreeMap<String, Manifest>,
    locked: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<Vec<String>> {
    let mut ways = vec![vec![name.to_owned()]];
    let mut seen = BTreeSet::from([name.to_owned()]);
    let mut open = VecDeque::from([0]);
    while let Some(index) = open.pop_front() {
        let way = ways[index].clone();
        let last = way.last().unwrap();
        // The lock file does not tell our crates' dependencies from those of their tests.
        let next = match manifests.get(last) {
            Some(manifest) => manifest.dependencies(),
            None => locked.get(last).cloned().unwrap_or_default(),
        };
        for name in next {
            if seen.insert(name.clone()) {
                open.push_back(ways.len());
                ways.push([way.clone(), vec![name]].concat());
            }
        }
    }
    ways
}

/// The manifest of one of our crates.
struct Manifest {
    path: String,
    toml: DocumentMut,
}

impl Manifest {
    /// What it is built with.
    fn dependencies(&self) -> BTreeSet<String> {
        self.of(&["dependencies", "build-dependencies"])
    }

    /// The same and what its tests are built with.
    fn all_dependencies(&self) -> BTreeSet<String> {
        self.of(&["dependencies", "build-dependencies", "dev-dependencies"])
    }

    fn of(&self, kinds: &[&str]) -> BTreeSet<String> {
        let mut tables: Vec<&Item> = kinds.iter().filter_map(|kind| self.toml.get(kind)).collect();
        let targets = self.toml.get("target").and_then(Item::as_table_like);
        for (_, target) in targets.iter().flat_map(|targets| targets.iter()) {
            tables.extend(kinds.iter().filter_map(|kind| target.get(kind)));
        }
        let names = |table: &Item| {
            let table = table.as_table_like().expect("dependencies are a table");
            table.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        tables.into_iter().flat_map(names).collect()
    }
}

fn manifests() -> BTreeMap<String, Manifest> {
    let of = |file: File| {
        let toml: DocumentMut = file.text.parse().expect("a manifest is TOML");
        let name = toml["package"]["name"].as_str().expect("a package has a name").to_owned();
        (name, Manifest { path: file.path, toml })
    };
    let crates = files("crates", &["Cargo.toml"]).into_iter();
    crates.chain([read("tests/Cargo.toml")]).map(of).collect()
}

/// What each locked package depends on; versions of one name are taken together.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock: DocumentMut = read("Cargo.lock").text.parse().expect("the lock file is TOML");
    let mut locked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array_of_tables().expect("packages are tables") {
        let name = package["name"].as_str().expect("a package has a name");
        let dependencies = package.get("dependencies").and_then(Item::as_array);
        // "name", or "name version" where there are several.
        let names = dependencies.iter().flat_map(|array| array.iter()).filter_map(|entry| {
            entry.as_str().and_then(|entry| entry.split(' ').next()).map(str::to_owned)
        });
        locked.entry(name.to_owned()).or_default().extend(names);
    }
    locked
}
