//! Groups connections by client.

use std::net::{IpAddr, Ipv6Addr};

/// The mask of the smallest IPv6 network that a site gets, a /64 (RFC 6177).
const IPV6_SITE: u128 = u128::MAX << 64;

/// A client's IPv4 address, or the /64 of its IPv6 address: it can use any address of its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::web) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & IPV6_SITE).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_network_are_one_peer() {
        let peer = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::2:3:4:5"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }
}
