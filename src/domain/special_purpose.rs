//! Addresses that a public origin cannot have: IANA's special-purpose registries, multicast and the
//! deprecated site-local addresses.
//!
//! Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry/> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry/>.

use std::sync::LazyLock;

use ipnet::IpNet;

use self::Purpose::{Discard, Documentation, Reachable, Unreachable};
use super::OriginIp;

/// What the addresses of a registry entry are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The registry lists them as globally reachable, so an origin can have them.
    Reachable,
    Unreachable,
    /// Examples in documentation.
    Documentation,
    /// Unreachable, and recommended by the Workers documentation for placeholder records (`100::`).
    Discard,
}

impl OriginIp {
    /// Whether the address is not globally reachable, documentation addresses aside.
    pub fn is_special_purpose(self) -> bool {
        matches!(self.purpose(), Some(Unreachable | Discard))
    }

    /// Whether a proxied record with this address is a placeholder: a Worker or redirect answers,
    /// and no origin is contacted.
    pub fn is_placeholder(self) -> bool {
        matches!(self.purpose(), Some(Documentation | Discard))
    }

    /// `None` for an ordinary address.
    fn purpose(self) -> Option<Purpose> {
        self.entry().map(|(_, purpose)| *purpose)
    }

    /// The longest prefix applies.
    fn entry(self) -> Option<&'static (IpNet, Purpose)> {
        let entries = ENTRIES.iter().filter(|(net, _)| net.contains(&self.addr()));
        entries.max_by_key(|(net, _)| net.prefix_len())
    }
}

static ENTRIES: LazyLock<Vec<(IpNet, Purpose)>> = LazyLock::new(|| {
    let parse = |net: &str| net.parse().expect("a constant prefix");
    REGISTRY.map(|(net, purpose)| (parse(net), purpose)).into()
});

/// Both registries. Entries with a reachability of "N/A" (6to4, Teredo and the first ORCHID prefix)
/// are left out, so that the entry that contains them applies.
const REGISTRY: [(&str, Purpose); 49] = [
    ("0.0.0.0/8", Unreachable),          // This network, RFC 791
    ("0.0.0.0/32", Unreachable),         // This host on this network, RFC 1122
    ("10.0.0.0/8", Unreachable),         // Private-Use, RFC 1918
    ("100.64.0.0/10", Unreachable),      // Shared Address Space, RFC 6598
    ("127.0.0.0/8", Unreachable),        // Loopback, RFC 1122
    ("169.254.0.0/16", Unreachable),     // Link Local, RFC 3927
    ("172.16.0.0/12", Unreachable),      // Private-Use, RFC 1918
    ("192.0.0.0/24", Unreachable),       // IETF Protocol Assignments, RFC 6890
    ("192.0.0.0/29", Unreachable),       // IPv4 Service Continuity Prefix, RFC 7335
    ("192.0.0.8/32", Unreachable),       // IPv4 dummy address, RFC 7600
    ("192.0.0.9/32", Reachable),         // Port Control Protocol Anycast, RFC 7723
    ("192.0.0.10/32", Reachable),        // Traversal Using Relays around NAT Anycast, RFC 8155
    ("192.0.0.170/31", Unreachable),     // NAT64/DNS64 Discovery, RFC 8880
    ("192.0.2.0/24", Documentation),     // Documentation (TEST-NET-1), RFC 5737
    ("192.31.196.0/24", Reachable),      // AS112-v4, RFC 7535
    ("192.52.193.0/24", Reachable),      // AMT, RFC 7450
    ("192.88.99.2/32", Unreachable),     // 6a44-relay anycast address, RFC 6751
    ("192.168.0.0/16", Unreachable),     // Private-Use, RFC 1918
    ("192.175.48.0/24", Reachable),      // Direct Delegation AS112 Service, RFC 7534
    ("198.18.0.0/15", Unreachable),      // Benchmarking, RFC 2544
    ("198.51.100.0/24", Documentation),  // Documentation (TEST-NET-2), RFC 5737
    ("203.0.113.0/24", Documentation),   // Documentation (TEST-NET-3), RFC 5737
    ("224.0.0.0/4", Unreachable),        // Multicast, RFC 5771
    ("240.0.0.0/4", Unreachable),        // Reserved, RFC 1112
    ("255.255.255.255/32", Unreachable), // Limited Broadcast, RFC 8190
    ("::1/128", Unreachable),            // Loopback Address, RFC 4291
    ("::/128", Unreachable),             // Unspecified Address, RFC 4291
    ("::ffff:0:0/96", Unreachable),      // IPv4-mapped Address, RFC 4291
    ("64:ff9b::/96", Reachable),         // IPv4-IPv6 Translat., RFC 6052
    ("64:ff9b:1::/48", Unreachable),     // IPv4-IPv6 Translat., RFC 8215
    ("100::/64", Discard),               // Discard-Only Address Block, RFC 6666
    ("100:0:0:1::/64", Unreachable),     // Dummy IPv6 Prefix, RFC 9780
    ("2001::/23", Unreachable),          // IETF Protocol Assignments, RFC 2928
    ("2001:1::1/128", Reachable),        // Port Control Protocol Anycast, RFC 7723
    ("2001:1::2/128", Reachable),        // Traversal Using Relays around NAT Anycast, RFC 8155
    ("2001:1::3/128", Reachable),        // DNS-SD Service Registration Protocol Anycast, RFC 9665
    ("2001:2::/48", Unreachable),        // Benchmarking, RFC 5180
    ("2001:3::/32", Reachable),          // AMT, RFC 7450
    ("2001:4:112::/48", Reachable),      // AS112-v6, RFC 7535
    ("2001:20::/28", Reachable),         // ORCHIDv2, RFC 7343
    ("2001:30::/28", Reachable), // Drone Remote ID Protocol Entity Tags (DETs) Prefix, RFC 9374
    ("2001:db8::/32", Documentation), // Documentation, RFC 3849
    ("2620:4f:8000::/48", Reachable), // Direct Delegation AS112 Service, RFC 7534
    ("3fff::/20", Documentation), // Documentation, RFC 9637
    ("5f00::/16", Unreachable),  // Segment Routing (SRv6) SIDs, RFC 9602
    ("fc00::/7", Unreachable),   // Unique-Local, RFC 4193
    ("fe80::/10", Unreachable),  // Link-Local Unicast, RFC 4291
    ("fec0::/10", Unreachable),  // Deprecated (site-local), RFC 3879
    ("ff00::/8", Unreachable),   // Multicast, RFC 4291
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The entry that keeps an origin from having this address.
    fn entry(text: &str) -> Option<IpNet> {
        let (net, purpose) = OriginIp::parse(text).unwrap().entry()?;
        (*purpose != Reachable).then_some(*net)
    }

    #[test]
    fn every_entry_is_a_network_of_its_own() {
        let mut nets = HashSet::new();
        for (net, _) in &*ENTRIES {
            assert_eq!(*net, net.trunc());
            assert!(nets.insert(*net), "{net} is listed twice");
        }
    }

    #[test]
    fn the_first_and_last_address_of_each_entry_are_in_it_and_their_neighbours_are_not() {
        for (inside, outside, expected) in [
            ("0.255.255.255", "1.0.0.0", "0.0.0.0/8"),
            ("0.0.0.0", "1.0.0.0", "0.0.0.0/32"),
            ("10.0.0.0", "9.255.255.255", "10.0.0.0/8"),
            ("10.255.255.255", "11.0.0.0", "10.0.0.0/8"),
            ("100.64.0.0", "100.63.255.255", "100.64.0.0/10"),
            ("100.127.255.255", "100.128.0.0", "100.64.0.0/10"),
            ("127.255.255.255", "128.0.0.0", "127.0.0.0/8"),
            ("169.254.0.0", "169.253.255.255", "169.254.0.0/16"),
            ("172.16.0.0", "172.15.255.255", "172.16.0.0/12"),
            ("172.31.255.255", "172.32.0.0", "172.16.0.0/12"),
            ("192.0.0.255", "192.0.1.0", "192.0.0.0/24"),
            ("192.0.0.7", "192.0.0.9", "192.0.0.0/29"),
            ("192.0.0.8", "192.0.0.10", "192.0.0.8/32"),
            ("192.0.0.171", "192.0.1.0", "192.0.0.170/31"),
            ("192.0.2.255", "192.0.3.0", "192.0.2.0/24"),
            ("192.88.99.2", "192.88.99.1", "192.88.99.2/32"),
            ("192.168.255.255", "192.169.0.0", "192.168.0.0/16"),
            ("198.18.0.0", "198.17.255.255", "198.18.0.0/15"),
            ("198.19.255.255", "198.20.0.0", "198.18.0.0/15"),
            ("198.51.100.0", "198.51.99.255", "198.51.100.0/24"),
            ("203.0.113.255", "203.0.114.0", "203.0.113.0/24"),
            ("224.0.0.0", "223.255.255.255", "224.0.0.0/4"),
            ("240.0.0.0", "223.255.255.255", "240.0.0.0/4"),
            ("255.255.255.255", "192.31.196.1", "255.255.255.255/32"),
            ("::", "::2", "::/128"),
            ("::1", "::2", "::1/128"),
            ("64:ff9b:1::", "64:ff9b::1", "64:ff9b:1::/48"),
            ("100::1", "100:0:0:2::", "100::/64"),
            ("100:0:0:1::1", "100:0:0:2::", "100:0:0:1::/64"),
            ("2001:1ff::1", "2001:200::", "2001::/23"),
            ("2001::1", "2001:1::1", "2001::/23"),
            ("2001:2::1", "2001:1::2", "2001:2::/48"),
            ("2001:db8:ffff::1", "2001:db9::", "2001:db8::/32"),
            ("3fff:fff::1", "3fff:1000::", "3fff::/20"),
            ("5f00::1", "5f01::", "5f00::/16"),
            ("fdff::1", "fbff::1", "fc00::/7"),
            ("febf::1", "fe7f::1", "fe80::/10"),
            ("feff::1", "fe00::1", "fec0::/10"),
            ("ff02::1", "fe00::1", "ff00::/8"),
            ("::ffff:10.0.0.1", "::ffff:11.0.0.1", "10.0.0.0/8"),
        ] {
            assert_eq!(entry(inside), Some(expected.parse().unwrap()), "{inside}");
            assert_eq!(entry(outside), None, "{outside}");
        }
    }

    #[test]
    fn a_reachable_address_inside_an_unreachable_block_is_usable() {
        for usable in [
            "192.0.0.9",
            "192.0.0.10",
            "192.31.196.1",
            "192.52.193.1",
            "192.175.48.1",
            "2001:1::1",
            "2001:1::2",
            "2001:1::3",
            "2001:3::1",
            "2001:4:112::1",
            "2001:20::1",
            "2001:30::1",
            "2620:4f:8000::1",
            "64:ff9b::1",
            // The registry lists these as neither reachable nor unreachable.
            "2002::1",
            "192.88.99.1",
        ] {
            assert_eq!(entry(usable), None, "{usable}");
        }
    }

    #[test]
    fn documentation_addresses_and_the_discard_prefix_are_placeholders() {
        for (text, documentation, placeholder) in [
            ("192.0.2.1", true, true),
            ("198.51.100.1", true, true),
            ("203.0.113.1", true, true),
            ("2001:db8::1", true, true),
            ("3fff::1", true, true),
            ("100::", false, true),
            ("100:0:0:1::", false, false),
            ("10.0.0.1", false, false),
            ("3.5.140.1", false, false),
        ] {
            let ip = OriginIp::parse(text).unwrap();
            assert_eq!(ip.purpose() == Some(Documentation), documentation, "{text}");
            assert_eq!(ip.is_placeholder(), placeholder, "{text}");
        }
    }
}
