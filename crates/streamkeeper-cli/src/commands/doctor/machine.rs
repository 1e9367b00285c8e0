//! Files, limits and disk of this machine.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use indicatif::HumanBytes;
use serde_json::Value;
use streamkeeper::config::{Config, Effective};
use streamkeeper::control;

use super::Finding;

/// Who can read the files that hold tokens. That they can be read by us is known: they were.
pub(super) fn secrets(main: &Path, effective: &Effective) -> Vec<Finding> {
    let tables = ["/service", "/stream"].map(|table| effective.as_value().pointer(table));
    let tables = tables.into_iter().flatten().flat_map(|table| match table {
        Value::Array(tables) => tables.iter().collect(),
        table => vec![table],
    });
    let mut files: Vec<PathBuf> = tables
        .filter_map(|table| match (table.get("token_file"), table.get("token")) {
            (Some(file), _) => file.as_str().map(|file| located(Path::new(file))),
            (None, Some(_)) => Some(main.to_owned()),
            (None, None) => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files.iter().filter_map(|file| permissions(file)).collect()
}

/// As the configuration looks for it.
fn located(file: &Path) -> PathBuf {
    let credential = env::var_os("CREDENTIALS_DIRECTORY")
        .filter(|_| file.is_relative())
        .map(|folder| Path::new(&folder).join(file))
        .filter(|credential| credential.exists());
    credential.unwrap_or_else(|| file.to_owned())
}

fn permissions(file: &Path) -> Option<Finding> {
    let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let about = format!("token in {}", file.display());
    Some(if mode & 0o077 == 0 {
        Finding::good(about, "its owner alone can use it")
    } else {
        let advice = "chmod 600 it: the token is as good as a password for every user";
        Finding::warning(about, format!("others than its owner have rights ({mode:03o})"), advice)
    })
}

/// A clock that has not been set, which needs no service to be seen.
pub(super) fn clock() -> Option<Finding> {
    let advice = "set it, or run an NTP client that does so before this starts";
    streamkeeper::clock_doubt().map(|doubt| Finding::warning("clock", doubt, advice))
}

/// Open files: those of the running process, or of what is started from here.
pub(super) fn descriptors(config: &Config) -> Option<Finding> {
    let running = control::status(&config.service.data_dir).ok().map(|process| process.pid);
    let (limits, whose) = match running {
        Some(pid) => (format!("/proc/{pid}/limits"), format!("process {pid}")),
        None => ("/proc/self/limits".to_owned(), "what is started from here".to_owned()),
    };
    let limits = fs::read_to_string(limits).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // "unlimited" is enough.
    let limit = line.split_whitespace().next()?.parse().unwrap_or(u64::MAX);
    let slots: u64 = config.streams.iter().map(|stream| u64::from(stream.connections)).sum();
    let needed = slots + config.streams.len() as u64 * FILES_OF_A_STREAM + FILES_OF_A_PROCESS;
    let found = format!("{whose} may have {limit}; about {needed} are needed, {slots} for slots");
    let advice = "raise it: LimitNOFILE= in a systemd unit, or `ulimit -n`";
    Some(if limit < needed {
        Finding::serious("open files", found, advice)
    } else if limit < needed.saturating_mul(2) {
        Finding::warning("open files", found, advice)
    } else {
        Finding::good("open files", found)
    })
}

/// Where the data are, and how much room there is.
pub(super) fn disk(config: &Config) -> Vec<Finding> {
    let data_dir = &config.service.data_dir;
    // It is made at the first start.
    let Some(place) = existing(data_dir) else { return Vec::new() };
    let about = format!("data_dir {}", data_dir.display());
    let mut findings = Vec::new();
    if let Ok(disk) = rustix::fs::statvfs(&place) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let wanted = config.streams.iter().map(|stream| stream.ledger.outbox_bytes);
        let wanted = wanted.fold(0, u64::saturating_add);
        let found = format!(
            "{} are free; what sinks have not taken may fill {}",
            HumanBytes(free),
            HumanBytes(wanted),
        );
        findings.push(if free < FREE_LEAST {
            Finding::serious(&about, found, "make room: without it nothing new is accepted")
        } else if free < wanted {
            Finding::warning(&about, found, "lower ledger.outbox_bytes, or use a larger disk")
        } else {
            Finding::good(&about, found)
        });
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    findings.extend(file_system(&mounts, &place).map(|kind| match advice_on(kind) {
        Some(advice) => Finding::warning(about, format!("its file system is {kind}"), advice),
        None => Finding::good(about, format!("its file system is {kind}")),
    }));
    findings
}

/// The nearest folder above that exists.
fn existing(dir: &Path) -> Option<PathBuf> {
    let dir = std::path::absolute(dir).ok()?;
    dir.ancestors().find_map(|above| above.canonicalize().ok())
}

/// The type of the file system that `place` is on: of all mounts above it the last of the deepest.
fn file_system<'a>(mounts: &'a str, place: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?.replace("\\040", " ");
        let point = Path::new(&point);
        place.starts_with(point).then_some((point.components().count(), fields.next()?))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// What is wrong with a file system for what has to outlive a crash.
fn advice_on(kind: &str) -> Option<&'static str> {
    match kind {
        "tmpfs" | "ramfs" => {
            Some("it is memory: everything is read again after a restart; use a disk")
        }
        "overlay" => Some("it is a container's own layer, gone with it: mount a volume there"),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" => {
            Some("locks and syncs over a network may lie, or hang: use a local disk")
        }
        _ => None,
    }
}

/// Segments, key files, outbox and locks of a ledger, a replay, a call.
const FILES_OF_A_STREAM: u64 = 32;
/// Runtime, listener, sinks, control socket.
const FILES_OF_A_PROCESS: u64 = 64;
/// Less is as good as full.
const FREE_LEAST: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts_and_the_last_of_two() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /data tmpfs rw 0 0\n/dev/sda /data ext4 rw 0 0\n\
                      nas:/x /mnt/my\\040disk nfs4 rw 0 0\n";
        for (place, kind) in [
            ("/", "overlay"),
            ("/database", "overlay"),
            ("/data/streams", "ext4"),
            ("/mnt/my disk/data", "nfs4"),
        ] {
            assert_eq!(file_system(mounts, Path::new(place)), Some(kind), "{place}");
        }
        assert!(advice_on("nfs4").is_some() && advice_on("ext4").is_none());
    }
}
