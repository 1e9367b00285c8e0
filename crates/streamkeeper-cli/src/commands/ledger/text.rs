//! What `ledger` and `status` say about a ledger on disk, for people.

use indicatif::{HumanBytes, HumanCount};
use streamkeeper::ledgers::{LedgerStats, SinkStats, Verified};

use crate::commands::data_dir::in_words;

/// One line for each finding, and one for the whole.
pub(super) fn verified(stream: &str, verified: &Verified) -> String {
    let mut lines = String::new();
    for damage in &verified.damage {
        lines += &format!("{stream}: {}\n", in_words(damage));
    }
    if let Some((path, bytes)) = &verified.torn {
        lines += &format!(
            "{stream}: {}: a torn tail of {bytes} bytes, as a crash leaves it: the next start \
             cuts it off, unless a sink has some of it already, which would be damage\n",
            path.display(),
        );
    }
    let read = format!(
        "read {} in {}, {}",
        count(verified.events, "event"),
        count(verified.segments, "segment"),
        count(verified.keys_sealed, "sealed key"),
    );
    let verdict = match verified.damage.len() {
        0 => "sound".to_owned(),
        findings => format!("not sound, {}", count(findings as u64, "finding")),
    };
    lines + &format!("{stream}: {verdict}; {read}\n")
}

/// A table for each ledger.
pub(in crate::commands) fn stats(ledgers: &[LedgerStats]) -> String {
    ledgers.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn table(ledger: &LedgerStats) -> String {
    let mut text = format!("stream {} in {}\n", ledger.stream, ledger.folder.display());
    let mut row = |name: &str, value: &str| text += &format!("  {name:<9} {value}\n");
    row("phase", ledger.phase.unwrap_or("not read yet"));
    row(
        "clean",
        if ledger.clean {
            "yes: the next start goes on from here"
        } else {
            "no: a process uses it, or the next start recovers"
        },
    );
    row("mark", ledger.mark.as_deref().unwrap_or("none yet"));
    if ledger.suspects > 0 {
        row("suspects", &format!("{} hold the mark down", ledger.suspects));
    }
    if let Some(incident) = &ledger.incident {
        let since = incident.since.as_deref().unwrap_or("a time that is no date");
        let words = format!(
            "{} under way: {}, since {since}, recoveries {}, recovered {}, known {}",
            incident.id,
            incident.cause,
            incident.recoveries,
            HumanCount(incident.recovered),
            HumanCount(incident.duplicate),
        );
        row("incident", &words);
    }
    let (accepted, kept) = (ledger.events_accepted, ledger.events_on_disk);
    row("events", &format!("{} accepted, {} on disk", HumanCount(accepted), HumanCount(kept)));
    row(
        "outbox",
        &format!(
            "{} in {}{}",
            HumanBytes(ledger.segment_bytes),
            count(ledger.segments, "segment"),
            rate(ledger.segment_bytes_per_million_events, "events"),
        ),
    );
    row(
        "keys",
        &format!(
            "{} in {}: {}{}; {} more in the segments",
            HumanBytes(ledger.key_file_bytes),
            count(ledger.key_files, "file"),
            count(ledger.keys_sealed, "key"),
            rate(ledger.key_file_bytes_per_million_keys, "keys"),
            HumanCount(ledger.keys_in_segments),
        ),
    );
    row("state", &HumanBytes(ledger.state_bytes).to_string());
    if let Some(identity) = &ledger.identity {
        row("identity", identity);
    }
    for known in &ledger.sinks {
        row("sink", &sink(known));
    }
    if !ledger.clean {
        row("note", "phase, mark and sinks as they were written last; a running process is ahead");
    }
    text
}

fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

fn rate(bytes: Option<u64>, of: &str) -> String {
    bytes.map_or(String::new(), |bytes| format!(", {} per million {of}", HumanBytes(bytes)))
}

fn sink(sink: &SinkStats) -> String {
    let (name, backlog) = (&sink.name, HumanCount(sink.backlog));
    let aside = if sink.configured { "" } else { "; not configured any more, holds nothing back" };
    format!("{name}: backlog {backlog}, next is event {}{aside}", sink.next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamkeeper::LedgerError;
    use streamkeeper::ledgers::UnfinishedIncident;

    fn ledger() -> LedgerStats {
        LedgerStats {
            stream: "acme".into(),
            folder: "data/streams/acme".into(),
            identity: Some("5f0e1d2c3b4a59687786950f00c33d17".into()),
            phase: Some("recovering"),
            mark: Some("2026-11-21T08:58:03Z".into()),
            clean: false,
            suspects: 2,
            incidents: 3,
            incident: Some(UnfinishedIncident {
                id: 3,
                cause: "stale",
                since: Some("2026-11-21T09:00:00Z".into()),
                recoveries: 2,
                new: 10,
                recovered: 5,
                duplicate: 1_234_567,
            }),
            events_accepted: 12_345_678,
            events_on_disk: 1_000_000,
            segments: 3,
            segment_bytes: 150 << 20,
            segment_bytes_per_million_events: Some(150 << 20),
            key_files: 2,
            key_file_bytes: 20 << 20,
            keys_sealed: 0,
            key_file_bytes_per_million_keys: None,
            keys_in_segments: 7,
            state_bytes: 321,
            sinks: vec![
                SinkStats { name: "archive".into(), next: 9, backlog: 1_200, configured: true },
                SinkStats { name: "old".into(), next: 1, backlog: 5, configured: false },
            ],
        }
    }

    #[test]
    fn a_ledger_is_a_table() {
        assert_eq!(
            stats(&[ledger()]),
            "\
stream acme in data/streams/acme
  phase     recovering
  clean     no: a process uses it, or the next start recovers
  mark      2026-11-21T08:58:03Z
  suspects  2 hold the mark down
  incident  3 under way: stale, since 2026-11-21T09:00:00Z, recoveries 2, recovered 5, known 1,234,567
  events    12,345,678 accepted, 1,000,000 on disk
  outbox    150.00 MiB in 3 segments, 150.00 MiB per million events
  keys      20.00 MiB in 2 files: 0 keys; 7 more in the segments
  state     321 B
  identity  5f0e1d2c3b4a59687786950f00c33d17
  sink      archive: backlog 1,200, next is event 9
  sink      old: backlog 5, next is event 1; not configured any more, holds nothing back
  note      phase, mark and sinks as they were written last; a running process is ahead
"
        );
    }

    #[test]
    fn a_ledger_without_a_past_says_so() {
        let new = LedgerStats {
            identity: None,
            phase: None,
            mark: None,
            suspects: 0,
            incident: None,
            sinks: Vec::new(),
            ..ledger()
        };
        let text = stats(&[new.clone(), new]);
        assert!(text.contains("phase     not read yet\n  clean     no: "), "{text}");
        assert!(text.contains("mark      none yet\n  events"), "{text}");
        assert!(!text.contains("identity"), "{text}");
        assert_eq!(text.matches("stream acme").count(), 2);
        let stopped = stats(&[LedgerStats { clean: true, segments: 1, ..ledger() }]);
        assert!(stopped.contains("clean     yes: the next start goes on from here"), "{stopped}");
        assert!(stopped.contains("150.00 MiB in 1 segment, "), "{stopped}");
        assert!(!stopped.contains("note"), "{stopped}");
    }

    #[test]
    fn every_finding_is_one_line_with_file_offset_and_what_to_do() {
        let damage = |offset| LedgerError::Damaged {
            path: "data/streams/acme/outbox-1.log".into(),
            offset,
            what: "a frame is cut",
        };
        let report = Verified {
            segments: 2,
            events: 1_500,
            keys_sealed: 7,
            torn: Some(("data/streams/acme/outbox-2.log".into(), 17)),
            damage: vec![damage(32), damage(64)],
        };
        let text = verified("acme", &report);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("outbox-1.log is damaged at byte 32: a frame is cut. Restore"));
        assert!(lines[1].contains("at byte 64"));
        assert!(lines[2].contains("outbox-2.log: a torn tail of 17 bytes"));
        let read = "read 1,500 events in 2 segments, 7 sealed keys";
        assert_eq!(lines[3], format!("acme: not sound, 2 findings; {read}"));

        let sound = Verified { damage: Vec::new(), torn: None, ..report };
        assert_eq!(verified("acme", &sound), format!("acme: sound; {read}\n"));
    }
}
