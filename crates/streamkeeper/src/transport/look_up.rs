//! From a host name to addresses: afresh for every connection, since a service moves.
//!
//! The system's own look-up blocks and cannot be cancelled: with a name server that does not
//! answer it takes half a minute. So each runs on a thread of its own, which nobody waits for
//! longer than for a connection. The runtime's pool of threads would not do: it waits for all of
//! them when it ends, so that a stop would take as long as the name server pleases.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use crate::base::threads;

/// Finds the addresses of a host, without the brackets of an IPv6 address, with a port.
///
/// May block: it is called on a thread of its own, for every attempt to connect. It is not called
/// for what is an address already, nor for a host that a proxy connects to.
pub type LookUp = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The look-up of the operating system (`/etc/hosts`, DNS), with its cache, if it has one.
#[must_use]
pub fn system_look_up() -> LookUp {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

/// The addresses of a host, the families in turn.
pub(super) async fn addresses(
    look_up: &LookUp,
    host: &str,
    port: u16,
) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (look_up, host) = (Arc::clone(look_up), host.to_owned());
    threads::apart("sk-look-up", move || look_up(&host, port)).await?.map(in_turn)
}

/// IPv6 and IPv4 in turn, the order within each kept (RFC 8305, section 4): if one family is dead,
/// however many addresses it has, the second attempt is one with the other.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    std::iter::from_fn(|| Some([one.next(), other.next()]))
        .take_while(|pair| pair.iter().any(Option::is_some))
        .flatten()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(addresses: &[&str]) -> Vec<String> {
        let parsed = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        in_turn(parsed).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_take_turns() {
        assert_eq!(
            turned(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
        );
        assert_eq!(turned(&["1.1.1.1:1", "[::1]:1"]), ["1.1.1.1:1", "[::1]:1"]);
        assert_eq!(turned(&["1.1.1.1:1", "2.2.2.2:1"]), ["1.1.1.1:1", "2.2.2.2:1"]);
        assert!(turned(&[]).is_empty());
    }

    #[test]
    fn the_system_knows_this_machine() {
        let found = system_look_up()("localhost", 80).expect("localhost is known everywhere");
        assert!(found.iter().all(|address| address.ip().is_loopback()) && !found.is_empty());
    }
}
