//! The rooms of the library, and the ways between files: a stranger knows what he may touch from where.
//!
//! A module and its parts are one thing: a file and the files in its folder may name each other. What
//! may not is one of two neighbours that lead to each other, however long the way.

use std::collections::{BTreeMap, BTreeSet};

use super::rust::{Module, Source, names_crate, paths, sources, uses};
use super::tidy;

/// The rooms of the library; each uses only those before it (docs/architecture.md).
const ROOMS: [&str; 12] = [
    "base",
    "api",
    "transport",
    "config",
    "dialect",
    "observe",
    "store",
    "stream",
    "delivery",
    "requests",
    "surface",
    "keeper",
];

/// Where the vendor's own words are known; everywhere else there are events, targets and refusals.
const VENDORS: [&str; 2] = ["dialect/inform", "stream/lifecycle"];

/// Neighbours that lead to each other, by crate, and why that is right.
const CIRCLES: [(&str, &[&str], &str); 1] = [(
    "streamkeeper-core",
    &["cursored", "marked", "policy", "state"],
    "a closed family names its members, and they are made of what is shared",
)];

#[test]
fn a_room_uses_only_those_before_it() {
    let findings = against_the_order(&ROOMS, &sources("streamkeeper/"));
    tidy("The rooms of the library have an order: a room uses only those before it.", &findings);
}

#[test]
fn no_two_neighbours_lead_to_each_other() {
    let all = sources("");
    let packages: BTreeSet<_> = all.iter().map(|source| source.package.clone()).collect();
    let mut findings = Vec::new();
    let mut needed = BTreeSet::new();
    for package in packages {
        for circle in circles(&sources(&format!("{package}/"))) {
            let excused = CIRCLES.iter().position(|(of, files, _)| {
                *of == package && circle.iter().map(String::as_str).eq(files.iter().copied())
            });
            match excused {
                Some(entry) => drop(needed.insert(entry)),
                None => findings.push(format!("{package}: {}", circle.join(", "))),
            }
        }
    }
    let unneeded = (0..CIRCLES.len()).filter(|entry| !needed.contains(entry));
    findings.extend(unneeded.map(|entry| format!("CIRCLES {entry}: there is no such circle")));
    tidy(
        "No circle of files: move what both need to where neither has to know the other.",
        &findings,
    );
}

#[test]
fn the_vendor_is_known_to_its_dialect_alone() {
    let findings = who_knows("streamkeeper_inform", &VENDORS, &sources("streamkeeper/"));
    tidy(
        "Only the dialect of a service, and the calls that make its streams, name its crate.",
        &findings,
    );
}

/// Who names a crate and must not, and who may and does not.
fn who_knows(name: &str, may: &[&str], sources: &[Source]) -> Vec<String> {
    let knows = sources.iter().filter(|source| names_crate(source, name));
    let knows: BTreeSet<_> = knows.map(|source| source.module.join("/")).collect();
    let must_not = knows.iter().filter(|module| !may.contains(&module.as_str()));
    let does_not = may.iter().filter(|module| !knows.contains(**module));
    must_not
        .map(|module| format!("{module} names {name}"))
        .chain(does_not.map(|module| format!("{module} may name {name}, and does not")))
        .collect()
}

/// What goes against the order of the rooms.
fn against_the_order(rooms: &[&str], sources: &[Source]) -> Vec<String> {
    let place = |module: &Module| {
        let room = module.first()?;
        rooms.iter().position(|known| known == room)
    };
    let mut findings = Vec::new();
    let mut lived_in = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let Some(own) = place(&source.module) else {
            findings.push(format!("{} is in no room", source.path));
            continue;
        };
        lived_in.insert(own);
        for used in paths(source) {
            match place(&used) {
                Some(room) if room > own => {
                    findings.push(format!("{} uses {}", source.path, used.join("::")));
                }
                None if !used.is_empty() => findings.push(format!(
                    "{} uses {} past the rooms: name it where it is",
                    source.path,
                    used.join("::")
                )),
                _ => {}
            }
        }
    }
    let empty = (0..rooms.len()).filter(|room| !lived_in.contains(room));
    findings.extend(empty.map(|room| format!("nobody lives in {}", rooms[room])));
    findings
}

/// The neighbours, at every level, that lead to each other.
fn circles(sources: &[Source]) -> Vec<Vec<String>> {
    // Between neighbours: from what differs first.
    let mut ways: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (user, used) in uses(sources) {
        for used in used {
            let common = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
            if common < user.len() && common < used.len() {
                let to = used[..=common].to_vec();
                ways.entry(user[..=common].to_vec()).or_default().insert(to);
            }
        }
    }
    let reached = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            let new = ways.get(next).into_iter().flatten().filter(|to| seen.insert((*to).clone()));
            open.extend(new);
        }
        seen
    };
    let reached: BTreeMap<_, _> = ways.keys().map(|from| (from.clone(), reached(from))).collect();
    let leads = |from: &Module, to: &Module| reached.get(from).is_some_and(|all| all.contains(to));
    let mut circles = BTreeSet::new();
    for from in reached.keys().filter(|from| leads(from, from)) {
        let circle = reached.keys().filter(|to| leads(from, to) && leads(to, from));
        circles.insert(circle.map(|module| module.join("/")).collect::<Vec<_>>());
    }
    circles.into_iter().collect()
}

#[cfg(test)]
mod planted {
    use super::super::tree::File;
    use super::*;

    fn planted(files: &[(&str, &str)]) -> Vec<Source> {
        let file = |(path, text): &(&str, &str)| {
            Source::new(&File { path: format!("crates/one/src/{path}"), text: (*text).to_owned() })
        };
        files.iter().map(file).collect()
    }

    #[test]
    fn a_way_against_the_order_is_found() {
        let rooms = ["first", "second"];
        let well = planted(&[("first/a.rs", ""), ("second.rs", "use crate::first::a::A;")]);
        assert_eq!(against_the_order(&rooms, &well), [""; 0]);
        for code in [
            "use crate::second::B;",
            "use super::super::second::B;",
            "fn f() -> crate::second::B { f() }",
            "use crate::{second, first};",
        ] {
            let ill = planted(&[("first/a.rs", code), ("second.rs", "")]);
            assert_eq!(against_the_order(&rooms, &ill).len(), 1, "{code}");
        }
    }

    #[test]
    fn who_names_a_vendor_is_found() {
        let all = planted(&[
            ("dialect/one.rs", "use vendor::Record;"),
            ("store/desk.rs", "fn f(record: &vendor::Record) {}"),
            ("stream/calls.rs", "// vendor::Client"),
        ]);
        let found = who_knows("vendor", &["dialect/one", "stream/calls"], &all);
        assert_eq!(
            found,
            ["store/desk names vendor", "stream/calls may name vendor, and does not"]
        );
    }

    #[test]
    fn a_stranger_a_detour_and_an_empty_room_are_found() {
        let ill = planted(&[("lib.rs", "mod first;"), ("first.rs", "use crate::A;"), ("x.rs", "")]);
        let expected = ["uses A past the rooms", "x.rs is in no room", "nobody lives in second"];
        let found = against_the_order(&["first", "second"], &ill);
        for part in expected {
            assert!(found.iter().any(|finding| finding.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn a_circle_is_found_however_long_and_behind_whatever_name() {
        let well = [
            ("room/mod.rs", "mod a; mod b; pub use self::a::A;"),
            ("room/a.rs", "use super::b::B;"),
            ("room/b.rs", "#[cfg(test)] mod tests { use super::super::a::A; }"),
        ];
        assert!(
            circles(&planted(&well)).is_empty(),
            "tests do not count, nor does the folder's own file"
        );
        let ill = [
            ("room/mod.rs", "mod a; mod b; mod c; pub use self::a::A;"),
            ("room/a.rs", "use super::b::B;"),
            ("room/b.rs", "use crate::room::c::C;"),
            ("room/c/mod.rs", "mod d;"),
            ("room/c/d.rs", "use crate::room::A;"),
        ];
        assert_eq!(circles(&planted(&ill)), [["room/a", "room/b", "room/c"]]);
    }
}
