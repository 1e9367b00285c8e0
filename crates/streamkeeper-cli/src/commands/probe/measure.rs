//! What frames say about a service, and which settings suit it.

use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;
use streamkeeper_inform::InformEvent;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Measure {
    head: Duration,
    pokes: u64,
    events: u64,
    last_poke: Option<Duration>,
    /// Between two pokes without anything in between.
    intervals: Vec<Duration>,
    members_max: Option<u32>,
    /// The service's clock minus ours, as pokes arrive, in microseconds. A late poke looks like a
    /// slow clock, so the greatest is the nearest.
    ahead: Option<i64>,
    /// The age of the youngest event as it arrived, in microseconds.
    age: Option<i64>,
    ended: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    dialect: &'static str,
    /// From connecting to the head of the response.
    connect_ms: u64,
    pokes: u64,
    events: u64,
    /// The service ended the connection before the time was over.
    ended_early: bool,
    heartbeat: Option<Heartbeat>,
    members_max: Option<u32>,
    /// The service's clock minus ours; what a poke took to arrive is in it.
    clock_ahead_ms: Option<i64>,
    /// The age of the youngest event as it arrived, by our clock.
    queueing_delay_ms: Option<i64>,
    suggested: Suggested,
}

/// The spans between pokes that had nothing between them.
#[derive(Debug, Serialize)]
pub(super) struct Heartbeat {
    seen: usize,
    median_ms: u64,
    /// The longest minus the shortest.
    jitter_ms: u64,
    longest_ms: u64,
}

/// Settings that suit.
#[derive(Debug, Serialize)]
pub(super) struct Suggested {
    stale_after: String,
    margin: String,
    why: Vec<&'static str>,
}

impl Measure {
    /// Of a connection whose head took so long.
    pub(super) fn new(head: Duration) -> Self {
        Self { head, ..Self::default() }
    }

    /// An event arrived, `at` by the monotonic clock, `wall` in microseconds by ours.
    pub(super) fn event(&mut self, event: &InformEvent<'_>, at: Duration, wall: i64) {
        match event {
            InformEvent::Poke(poke) => {
                self.pokes += 1;
                let last = self.last_poke.replace(at);
                self.intervals.extend(last.and_then(|last| at.checked_sub(last)));
                self.members_max = poke.members_max.or(self.members_max);
                let ahead = poke.ts.map(|ts| ts.saturating_sub(wall));
                self.ahead = ahead.max(self.ahead);
            }
            InformEvent::Record(record) => {
                self.data();
                let age = record.created_at.map(|created| wall.saturating_sub(created));
                self.age = match (age, self.age) {
                    (Some(age), Some(least)) => Some(age.min(least)),
                    (age, least) => age.or(least),
                };
            }
            InformEvent::Rule(_) | InformEvent::Connection(_) => self.data(),
        }
    }

    fn data(&mut self) {
        self.events += 1;
        // The next poke is the first one after a span with data.
        self.last_poke = None;
    }

    /// The service ended the connection.
    pub(super) const fn ended(&mut self) {
        self.ended = true;
    }

    pub(super) fn so_far(&self) -> String {
        format!("{} pokes, {} events", self.pokes, self.events)
    }

    /// What was found; `None` if nothing came.
    pub(super) fn findings(mut self) -> Option<Findings> {
        if self.pokes + self.events == 0 {
            return None;
        }
        self.intervals.sort_unstable();
        let heartbeat = heartbeat(&self.intervals);
        let suggested = suggest(heartbeat.as_ref(), self.ahead, self.age);
        Some(Findings {
            dialect: "inform",
            connect_ms: ms(self.head),
            pokes: self.pokes,
            events: self.events,
            ended_early: self.ended,
            heartbeat,
            members_max: self.members_max,
            clock_ahead_ms: self.ahead.map(|ahead| ahead / 1_000),
            queueing_delay_ms: self.age.map(|age| age / 1_000),
            suggested,
        })
    }
}

fn heartbeat(sorted: &[Duration]) -> Option<Heartbeat> {
    let (first, last) = (sorted.first()?, sorted.last()?);
    Some(Heartbeat {
        seen: sorted.len(),
        median_ms: ms(*sorted.get(sorted.len() / 2)?),
        jitter_ms: ms(last.saturating_sub(*first)),
        longest_ms: ms(*last),
    })
}

/// The vendor advises 30 s to 60 s, and twice the interval tells a late poke from a dead connection.
fn suggest(heartbeat: Option<&Heartbeat>, ahead: Option<i64>, age: Option<i64>) -> Suggested {
    let mut why = Vec::new();
    let twice = heartbeat.map_or(0, |seen| seen.longest_ms.saturating_mul(2).div_ceil(1_000));
    if heartbeat.is_none() {
        why.push("no two pokes in a row came, so stale_after is the vendor's least");
    }
    if twice > STALE_MOST {
        why.push("pokes are so rare that stale_after is above what the vendor advises");
    }
    let off = ahead.unwrap_or(0).unsigned_abs().saturating_add(age.unwrap_or(0).unsigned_abs());
    // Whole minutes; what was seen in half a minute may double.
    let minutes = off.saturating_mul(2).div_ceil(60_000_000);
    if age.is_none() {
        why.push("no event came, so margin is the default unless the clocks differ");
    } else if minutes > MARGIN_LEAST {
        why.push("only old events may have come: look for longer to see the delay of new ones");
    }
    let seconds = |seconds| format_duration(Duration::from_secs(seconds)).to_string();
    Suggested {
        stale_after: seconds(twice.max(STALE_LEAST)),
        margin: seconds(minutes.max(MARGIN_LEAST) * 60),
        why,
    }
}

/// For people.
pub(super) fn text(findings: &Findings) -> String {
    let span = |ms: u64| format_duration(Duration::from_millis(ms)).to_string();
    let signed = |ms: i64| {
        let sign = if ms < 0 { "-" } else { "" };
        format!("{sign}{}", span(ms.unsigned_abs()))
    };
    let unseen = || "not seen".to_owned();
    let heartbeat = findings.heartbeat.as_ref().map_or_else(unseen, |seen| {
        let (median, jitter) = (span(seen.median_ms), span(seen.jitter_ms));
        format!("every {median}, jitter {jitter}, longest {}", span(seen.longest_ms))
    });
    let rows = [
        ("dialect", findings.dialect.to_owned()),
        ("connect", format!("{} to the head of the response", span(findings.connect_ms))),
        ("seen", format!("{} pokes, {} events", findings.pokes, findings.events)),
        ("heartbeat", heartbeat),
        (
            "clients",
            findings
                .members_max
                .map_or_else(|| "not said".to_owned(), |max| format!("{max} at most")),
        ),
        (
            "clock",
            findings
                .clock_ahead_ms
                .map_or_else(unseen, |ms| format!("the service's minus ours: {}", signed(ms))),
        ),
        (
            "delay",
            findings
                .queueing_delay_ms
                .map_or_else(unseen, |ms| format!("the youngest event was {} old", signed(ms))),
        ),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        text += &format!("{name:<10} {value}\n");
    }
    if findings.ended_early {
        text += "the service ended the connection before the time was over\n";
    }
    let Suggested { stale_after, margin, why } = &findings.suggested;
    text += "\n# suggested\n";
    for line in why {
        text += &format!("# {line}\n");
    }
    text + &format!("watchdog.stale_after = \"{stale_after}\"\nrecovery.margin = \"{margin}\"\n")
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The vendor's advice for `stale_after`, in seconds.
const STALE_LEAST: u64 = 30;
const STALE_MOST: u64 = 60;

/// The default of `margin`, in minutes.
const MARGIN_LEAST: u64 = 5;

#[cfg(test)]
mod tests {
    use streamkeeper_inform::classify;

    use super::*;

    fn poke(measure: &mut Measure, at_ms: u64, ahead_ms: i64) {
        let wall = 1_700_000_000_000_000;
        let poke = streamkeeper_inform::event::Poke {
            ts: Some(wall + ahead_ms * 1_000),
            members_max: Some(3),
            ..Default::default()
        };
        measure.event(&InformEvent::Poke(poke), Duration::from_millis(at_ms), wall);
    }

    #[test]
    fn intervals_have_nothing_between_them_and_the_clock_is_the_nearest() {
        let mut measure = Measure::new(Duration::from_millis(80));
        for (at, ahead) in [(0, -900), (5_000, -300), (10_200, -400)] {
            poke(&mut measure, at, ahead);
        }
        let data = r#"{"id":"r","created_at":"2023-11-14T22:13:18Z"}"#;
        let record = classify(Some("data"), data).unwrap();
        measure.event(&record, Duration::from_millis(12_000), 1_700_000_000_000_000);
        poke(&mut measure, 17_000, -500);
        let findings = measure.findings().unwrap();
        let heartbeat = findings.heartbeat.as_ref().unwrap();
        assert_eq!(
            (heartbeat.seen, heartbeat.jitter_ms, heartbeat.longest_ms),
            (2, 200, 5_200),
            "not the span with data in it"
        );
        assert_eq!(findings.clock_ahead_ms, Some(-300));
        assert_eq!(findings.queueing_delay_ms, Some(2_000));
        assert_eq!(findings.members_max, Some(3));
        assert_eq!(findings.suggested.stale_after, "30s");
        assert_eq!(findings.suggested.margin, "5m");
    }

    #[test]
    fn rare_pokes_and_a_wrong_clock_ask_for_more() {
        let mut measure = Measure::default();
        assert!(Measure::default().findings().is_none(), "nothing came");
        poke(&mut measure, 0, 400_000);
        poke(&mut measure, 20_100, 400_000);
        let suggested = measure.findings().unwrap().suggested;
        assert_eq!((suggested.stale_after.as_str(), suggested.margin.as_str()), ("41s", "14m"));
    }
}
