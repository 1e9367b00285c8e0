//! Wrong tokens: who has sent how many, and who has to wait.
//!
//! By address, so that a right token from elsewhere never waits. The table is bounded: when it is
//! full, what has been quiet for longest makes room, so an attacker with many addresses can make us
//! forget some of them, and nothing else. An IPv6 address counts by its network (/64), because one
//! machine has that many of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Offences>>);

#[derive(Clone, Copy, Debug)]
struct Offences {
    count: u32,
    last: Instant,
}

impl Offences {
    /// How long it still has to wait.
    fn wait(self, now: Instant) -> Option<Duration> {
        let excess = self.count.checked_sub(FREE)?;
        let pause = PAUSE_FIRST.saturating_mul(1 << excess.min(16)).min(PAUSE_MAX);
        (self.last + pause).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    fn is_forgotten(self, now: Instant) -> bool {
        now.duration_since(self.last) > FORGOTTEN_AFTER
    }
}

impl Throttle {
    /// How long this address has to wait before it may try again.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let offences = table.get(&network(address)).copied();
        offences.filter(|offences| !offences.is_forgotten(now))?.wait(now)
    }

    /// A wrong token came from there. Returns how many there are by now.
    pub(super) fn wrong(&self, address: IpAddr, now: Instant) -> u32 {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(address);
        if !table.contains_key(&network) && table.len() >= ADDRESSES_MAX {
            table.retain(|_, offences| !offences.is_forgotten(now));
            let quietest = table.iter().min_by_key(|(_, offences)| offences.last);
            let quietest = quietest.map(|(address, _)| *address);
            if let Some(quietest) = quietest.filter(|_| table.len() >= ADDRESSES_MAX) {
                table.remove(&quietest);
            }
        }
        let offences = table.entry(network).or_insert(Offences { count: 0, last: now });
        if offences.is_forgotten(now) {
            offences.count = 0;
        }
        offences.count = offences.count.saturating_add(1);
        offences.last = now;
        offences.count
    }

    /// The right token came from there.
    pub(super) fn right(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host = u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
        }
        address => address,
    }
}

/// So many wrong tokens may be slips of the hand.
pub(super) const FREE: u32 = 5;

/// The pause after the next one; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Who has sent no wrong token for so long starts afresh.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// So many addresses are remembered: some 100 kB.
const ADDRESSES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn wrong_tokens_cost_ever_more_time_and_only_there() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 1..FREE {
            throttle.wrong(address(1), now);
        }
        assert_eq!(throttle.wait(address(1), now), None);
        throttle.wrong(address(1), now);
        assert_eq!(throttle.wait(address(1), now), Some(PAUSE_FIRST));
        assert_eq!(throttle.wait(address(1), now + PAUSE_FIRST), None);
        throttle.wrong(address(1), now);
        assert_eq!(throttle.wait(address(1), now), Some(PAUSE_FIRST * 2));
        for _ in 0..100 {
            throttle.wrong(address(1), now);
        }
        assert_eq!(throttle.wait(address(1), now), Some(PAUSE_MAX));
        assert_eq!(throttle.wait(address(2), now), None);
        assert_eq!(throttle.wait(address(1), now + FORGOTTEN_AFTER * 2), None);
        throttle.right(address(1));
        assert_eq!(throttle.wrong(address(1), now), 1);
    }

    #[test]
    fn many_addresses_take_bounded_room_and_one_machine_is_one() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 * 2 {
            throttle.wrong(address(number), start + Duration::from_millis(number.into()));
        }
        assert_eq!(throttle.0.lock().unwrap().len(), ADDRESSES_MAX);
        let throttle = Throttle::default();
        assert_eq!(throttle.wrong("2001:db8::1".parse().unwrap(), start), 1);
        assert_eq!(throttle.wrong("2001:db8::2".parse().unwrap(), start), 2);
        assert_eq!(throttle.wrong("2001:db8:0:1::2".parse().unwrap(), start), 1);
    }
}
