//! Keeps a name from leading into our own network.
//!
//! Whoever owns the name of an endpoint decides where it leads, at any time: to a database beside us, to the
//! metadata of a cloud. So what it resolves to is judged there, at each connection, and not before. An
//! address that the configuration spells out is what its author meant: no resolver is asked for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A resolver that leaves out what is not of the public network.
pub(super) struct Guard {
    /// The name of the proxy that the environment tells to use; that is not the endpoint's to choose.
    proxy: Option<String>,
}

impl Guard {
    /// For an endpoint.
    pub(super) fn new(url: &reqwest::Url) -> Self {
        let uri = url.as_str().parse::<http::Uri>().ok();
        let proxy = uri.and_then(|uri| Matcher::from_env().intercept(&uri));
        Self { proxy: proxy.and_then(|proxy| proxy.uri().host().map(str::to_owned)) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxy.as_deref() == Some(name.as_str());
        Box::pin(async move {
            // The port is put in later.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let mut found: Vec<_> = found.map_err(|_| Unresolved::Unknown)?.collect();
            found.retain(|address| is_proxy || is_public(address.ip()));
            if found.is_empty() {
                return Err(Unresolved::Private.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Why a name leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("no address was found for the name")]
    Unknown,
    #[error("the name leads to private addresses only")]
    Private,
}

/// Whether an address can be anybody's: by IANA's registries of special purposes.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // shared by a provider's customers
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (18..20).contains(&b))) // benchmarks
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // An IPv4 address inside: written so, translated (NAT64), tunnelled (6to4).
        (0, 0) if [c, d, e] == [0; 3] && (f == 0xffff || f == 0) => is_public_v4(v4(g, h)),
        (0x64, 0xff9b) => [c, d, e, f] == [0; 4] && is_public_v4(v4(g, h)),
        (0x2002, high) => is_public_v4(v4(high, c)),
        // Teredo hides one; then documentation.
        (0x2001, 0 | 0xdb8) => false,
        // Of all the others, only these are given out.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b:1::1.1.1.1",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_unless_it_is_the_proxy() {
        let resolve = |proxy: Option<&str>| {
            Guard { proxy: proxy.map(str::to_owned) }.resolve("localhost".parse().unwrap())
        };
        let error = resolve(None).await.err().unwrap();
        assert_eq!(error.downcast_ref(), Some(&Unresolved::Private));
        assert!(resolve(Some("localhost")).await.is_ok());
    }
}
