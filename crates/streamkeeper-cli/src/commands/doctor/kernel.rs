//! How long TCP itself takes to notice a dead peer, by this machine's settings: the reason for a
//! watchdog of our own.

use std::fs;
use std::time::Duration;

use humantime::format_duration;
use streamkeeper::config::Config;

use super::Finding;

pub(super) fn detection(config: &Config) -> Vec<Finding> {
    let stale = config.streams.iter().map(|stream| stream.bounds(None).1).max();
    let ours = config.streams.iter().map(|stream| stream.tcp_limits().user_timeout).max();
    let [stale, ours] = [stale, ours].map(|time| format_duration(time.unwrap_or_default()));
    let mut findings = vec![Finding::good(
        "detection",
        format!(
            "a silent stream is recovered after {stale}. TCP alone notices a dead peer after {ours}, \
             by the keepalive and user timeout of our sockets, and a server that hangs while its \
             system still answers never"
        ),
    )];
    let seconds = |after: Duration| format!("{} s", after.as_secs());
    if let Some(retries) = setting("tcp_retries2") {
        let after = seconds(gives_up_after(retries));
        let found = format!(
            "{retries}: without the user timeout, what is sent to a dead peer would fail after about \
             {after}"
        );
        findings.push(Finding::good("tcp_retries2", found));
    }
    let all = ["tcp_keepalive_time", "tcp_keepalive_intvl", "tcp_keepalive_probes"].map(setting);
    if let [Some(time), Some(interval), Some(probes)] = all {
        let after = Duration::from_secs(time.saturating_add(interval.saturating_mul(probes)));
        let found = format!(
            "{time}, {interval}, {probes}: with these, which our sockets do not use, a reader that \
             sends nothing would notice a dead peer after {}",
            seconds(after),
        );
        findings.push(Finding::good("tcp_keepalive_time, _intvl, _probes", found));
    }
    findings
}

fn setting(name: &str) -> Option<u64> {
    fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?.trim().parse().ok()
}

/// The time of so many retransmissions: 200 ms doubled each time, up to two minutes (Linux,
/// `ip-sysctl`, `tcp_retries2`; a longer round trip makes it longer).
fn gives_up_after(retries: u64) -> Duration {
    let pause = |retry: u64| {
        let doubled = RTO_MIN.saturating_mul(1 << retry.min(20));
        doubled.min(RTO_MAX)
    };
    // The last retransmission is waited for, too. Nobody sets more than some dozens.
    (0..=retries.min(1_000)).map(pause).sum()
}

const RTO_MIN: Duration = Duration::from_millis(200);
const RTO_MAX: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_of_the_kernels_documentation() {
        // "The default value of 15 yields a hypothetical timeout of 924.6 seconds".
        assert_eq!(gives_up_after(15), Duration::from_millis(924_600));
        assert_eq!(gives_up_after(3), Duration::from_millis(3_000));
        assert_eq!(gives_up_after(8), Duration::from_millis(102_200));
    }
}
