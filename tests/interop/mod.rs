//! Real servers of event streams, not those that we wrote from their description.
//!
//! Each is installed (Debian, PyPI, npm, crates.io), started on loopback, and published to under load, while
//! it and the keeper are killed, suspended and started again. [`trial`] says what is done and judged, [`kind`]
//! what a server is; the others are the servers, a file each, with their programs in `servers/`. A trial takes
//! the real times of the server, and ours scaled down.
//!
//! In `make test` four of them are killed once; `make interop` does everything to all of them, and writes the
//! table in docs/interop.md.

mod axum;
mod better_sse;
mod everything;
mod journald;
mod kind;
mod load;
mod nchan;
mod page;
mod process;
mod spring;
mod starlette;
mod trial;
mod ws;

use std::sync::Arc;

use self::kind::Kind;
use self::page::{HEAD, Row, Verdict};
use self::trial::Trial;

/// How often all is done that can be done again.
const ROUNDS: usize = 3;

/// All of them, in the order of the table.
fn kinds() -> Vec<Arc<dyn Kind>> {
    vec![
        Arc::new(nchan::Nchan::EventSource),
        Arc::new(axum::Axum),
        Arc::new(starlette::Starlette),
        Arc::new(spring::Spring),
        Arc::new(better_sse::BetterSse),
        Arc::new(journald::Journald::default()),
        Arc::new(nchan::Nchan::WebSocket),
        Arc::new(ws::Ws),
        Arc::new(everything::Everything),
    ]
}

/// Killed once: what `make test` does.
fn short(kind: impl Kind + 'static) {
    let mut trial = Trial::begin(Arc::new(kind));
    trial.kill_server();
    judge(&[trial.finish()]);
}

#[test]
fn nchan_is_killed() {
    short(nchan::Nchan::EventSource);
}

#[test]
fn axum_is_killed() {
    short(axum::Axum);
}

#[test]
fn starlette_is_killed() {
    short(starlette::Starlette);
}

#[test]
fn ws_is_killed() {
    short(ws::Ws);
}

#[test]
#[ignore = "run by make interop: it takes minutes, and writes into docs/interop.md"]
fn every_server() {
    let wanted = std::env::var("INTEROP_ONLY").unwrap_or_default();
    let kinds = kinds().into_iter().filter(|kind| kind.name().contains(&wanted));
    let mut rows = Vec::new();
    eprintln!("{HEAD}");
    for kind in kinds {
        let mut trial = Trial::begin(kind);
        for _ in 0..ROUNDS {
            trial.kill_server();
            trial.kill_keeper();
            trial.suspend_server();
            trial.await_ends();
            trial.restart_server();
        }
        trial.forget();
        let row = trial.finish();
        eprintln!("{row}");
        rows.push(row);
    }
    if wanted.is_empty() {
        page::write(&rows);
    }
    judge(&rows);
}

#[track_caller]
fn judge(rows: &[Row]) {
    let broken: Vec<_> = rows.iter().filter(|row| row.verdict == Verdict::Broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Which presets have met their server, and which are taken from a description.
#[test]
fn the_pages_say_which_servers_were_met() {
    let (dialects, interop) = (page::read("dialects.md"), page::read("interop.md"));
    let met: Vec<_> = kinds().iter().map(|kind| kind.preset()).collect();
    let rows = dialects.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once("` | ")).collect();
    assert!(rows.len() > met.len(), "the table of presets is there");
    for (preset, row) in rows {
        let says = if met.contains(&preset) { "real server | " } else { "description | " };
        assert!(row.starts_with(says), "docs/dialects.md: {preset} should say `{says}`");
    }
    for kind in kinds() {
        let row = format!("| {} | ", kind.name());
        assert!(interop.contains(&row), "docs/interop.md has no {}: make interop", kind.name());
    }
}
