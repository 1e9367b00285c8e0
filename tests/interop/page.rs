//! The table of what real servers have shown, printed and written into docs/interop.md.

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Whole,
    /// What the server forgot is missing, and reported as a gap.
    Reported,
    /// What the server forgot is missing, and nothing shows it.
    Unnoticed,
    Broken,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole => "each once",
            Self::Reported => "each once; what it forgot is a gap, and said",
            Self::Unnoticed => "each once; what it forgot cannot be noticed",
            Self::Broken => "BROKEN",
        })
    }
}

/// What was done to a server, and what came of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: &'static str,
    pub(super) version: String,
    pub(super) preset: &'static str,
    pub(super) done: Vec<&'static str>,
    /// What the server took, by its own word.
    pub(super) published: usize,
    pub(super) delivered: usize,
    pub(super) lost: usize,
    pub(super) duplicates: usize,
    pub(super) gaps: usize,
    pub(super) verdict: Verdict,
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { server, version, preset, published, delivered, lost, .. } = self;
        let Self { duplicates, gaps, verdict, .. } = self;
        let mut kinds: Vec<&str> = Vec::new();
        self.done.iter().for_each(|what| {
            if !kinds.contains(what) {
                kinds.push(what)
            }
        });
        let times = |what: &&str| self.done.iter().filter(|done| *done == what).count();
        let done: Vec<_> = kinds
            .iter()
            .map(|what| match times(what) {
                1 => (*what).to_owned(),
                times => format!("{what} {times}×"),
            })
            .collect();
        let done = done.join(", ");
        write!(
            f,
            "| {server} | {version} | `{preset}` | {done} | {published} | {delivered} | {lost} | \
             {duplicates} | {gaps} | {verdict} |"
        )
    }
}

pub(super) const HEAD: &str = "\
| server | version | preset | what was done | published | delivered | lost | duplicates | gaps | verdict |\n\
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";

const STARTS: &str = "<!-- written by `make interop` -->\n";
const ENDS: &str = "<!-- end -->";

/// Writes the rows into the page.
pub(super) fn write(rows: &[Row]) {
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let page = read("interop.md");
    let (before, rest) = page.split_once(STARTS).expect("the page has a table");
    let (_, after) = rest.split_once(ENDS).expect("the table ends");
    std::fs::write(path("interop.md"), format!("{before}{STARTS}{HEAD}\n{rows}{ENDS}{after}"))
        .unwrap();
}

/// A page of the documentation.
pub(super) fn read(page: &str) -> String {
    std::fs::read_to_string(path(page)).unwrap()
}

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)
}
