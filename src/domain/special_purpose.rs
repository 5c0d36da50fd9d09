//! Addresses that a public origin cannot have: IANA's special-purpose registries, multicast and the
//! deprecated site-local addresses.
//!
//! Sources: <https://www.iana.org/assignments/iana-ipv4-special-registry/> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry/>.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::OriginIp;

/// An entry of the special-purpose address registries.
#[derive(Debug, PartialEq, Eq)]
pub struct SpecialPurpose {
    /// The addresses. The longest of nested prefixes applies.
    pub net: IpNet,
    /// The name in the registry.
    pub name: &'static str,
    /// The RFC that reserves the addresses.
    pub rfc: &'static str,
    /// Whether the registry lists the addresses as globally reachable.
    pub globally_reachable: bool,
    /// Whether they are reserved for documentation.
    pub documentation: bool,
}

impl OriginIp {
    /// The registry entry that rules the address out for a public origin, or `None` if an origin
    /// can have it. Documentation addresses are in the registry too.
    pub fn special_purpose(self) -> Option<&'static SpecialPurpose> {
        let entry = ENTRIES
            .iter()
            .filter(|entry| entry.net.contains(&self.addr()))
            .max_by_key(|entry| entry.net.prefix_len())?;
        (!entry.globally_reachable).then_some(entry)
    }

    /// Whether the address is reserved for documentation, so that it is an origin only in examples.
    pub fn is_documentation(self) -> bool {
        self.special_purpose()
            .is_some_and(|entry| entry.documentation)
    }

    /// Whether a proxied record with this address is a placeholder: a Worker or redirect answers,
    /// and no origin is contacted.
    pub fn is_placeholder(self) -> bool {
        self.is_documentation() || DISCARD_ONLY.contains(&self.addr())
    }
}

/// The prefix whose address `100::` the Workers documentation recommends for placeholder records.
const DISCARD_ONLY: IpNet = v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64);

const fn v4(octets: [u8; 4], prefix_len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(
        Ipv4Addr::from_octets(octets),
        prefix_len,
    ))
}

const fn v6(groups: [u16; 8], prefix_len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::from_segments(groups),
        prefix_len,
    ))
}

const fn unreachable(net: IpNet, name: &'static str, rfc: &'static str) -> SpecialPurpose {
    SpecialPurpose {
        net,
        name,
        rfc,
        globally_reachable: false,
        documentation: false,
    }
}

const fn reachable(net: IpNet, name: &'static str, rfc: &'static str) -> SpecialPurpose {
    SpecialPurpose {
        globally_reachable: true,
        ..unreachable(net, name, rfc)
    }
}

const fn documentation(net: IpNet, name: &'static str, rfc: &'static str) -> SpecialPurpose {
    SpecialPurpose {
        documentation: true,
        ..unreachable(net, name, rfc)
    }
}

/// Both registries. Entries with a reachability of "N/A" (6to4, Teredo and the first ORCHID prefix)
/// are left out, so that the entry that contains them applies.
const ENTRIES: [SpecialPurpose; 49] = [
    unreachable(v4([0, 0, 0, 0], 8), "This network", "RFC 791"),
    unreachable(
        v4([0, 0, 0, 0], 32),
        "This host on this network",
        "RFC 1122",
    ),
    unreachable(v4([10, 0, 0, 0], 8), "Private-Use", "RFC 1918"),
    unreachable(v4([100, 64, 0, 0], 10), "Shared Address Space", "RFC 6598"),
    unreachable(v4([127, 0, 0, 0], 8), "Loopback", "RFC 1122"),
    unreachable(v4([169, 254, 0, 0], 16), "Link Local", "RFC 3927"),
    unreachable(v4([172, 16, 0, 0], 12), "Private-Use", "RFC 1918"),
    unreachable(
        v4([192, 0, 0, 0], 24),
        "IETF Protocol Assignments",
        "RFC 6890",
    ),
    unreachable(
        v4([192, 0, 0, 0], 29),
        "IPv4 Service Continuity Prefix",
        "RFC 7335",
    ),
    unreachable(v4([192, 0, 0, 8], 32), "IPv4 dummy address", "RFC 7600"),
    reachable(
        v4([192, 0, 0, 9], 32),
        "Port Control Protocol Anycast",
        "RFC 7723",
    ),
    reachable(
        v4([192, 0, 0, 10], 32),
        "Traversal Using Relays around NAT Anycast",
        "RFC 8155",
    ),
    unreachable(
        v4([192, 0, 0, 170], 31),
        "NAT64/DNS64 Discovery",
        "RFC 8880",
    ),
    documentation(
        v4([192, 0, 2, 0], 24),
        "Documentation (TEST-NET-1)",
        "RFC 5737",
    ),
    reachable(v4([192, 31, 196, 0], 24), "AS112-v4", "RFC 7535"),
    reachable(v4([192, 52, 193, 0], 24), "AMT", "RFC 7450"),
    unreachable(
        v4([192, 88, 99, 2], 32),
        "6a44-relay anycast address",
        "RFC 6751",
    ),
    unreachable(v4([192, 168, 0, 0], 16), "Private-Use", "RFC 1918"),
    reachable(
        v4([192, 175, 48, 0], 24),
        "Direct Delegation AS112 Service",
        "RFC 7534",
    ),
    unreachable(v4([198, 18, 0, 0], 15), "Benchmarking", "RFC 2544"),
    documentation(
        v4([198, 51, 100, 0], 24),
        "Documentation (TEST-NET-2)",
        "RFC 5737",
    ),
    documentation(
        v4([203, 0, 113, 0], 24),
        "Documentation (TEST-NET-3)",
        "RFC 5737",
    ),
    unreachable(v4([224, 0, 0, 0], 4), "Multicast", "RFC 5771"),
    unreachable(v4([240, 0, 0, 0], 4), "Reserved", "RFC 1112"),
    unreachable(
        v4([255, 255, 255, 255], 32),
        "Limited Broadcast",
        "RFC 8190",
    ),
    unreachable(
        v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
        "Loopback Address",
        "RFC 4291",
    ),
    unreachable(
        v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
        "Unspecified Address",
        "RFC 4291",
    ),
    unreachable(
        v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
        "IPv4-mapped Address",
        "RFC 4291",
    ),
    reachable(
        v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
        "IPv4-IPv6 Translat.",
        "RFC 6052",
    ),
    unreachable(
        v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
        "IPv4-IPv6 Translat.",
        "RFC 8215",
    ),
    unreachable(DISCARD_ONLY, "Discard-Only Address Block", "RFC 6666"),
    unreachable(
        v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64),
        "Dummy IPv6 Prefix",
        "RFC 9780",
    ),
    unreachable(
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        "IETF Protocol Assignments",
        "RFC 2928",
    ),
    reachable(
        v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128),
        "Port Control Protocol Anycast",
        "RFC 7723",
    ),
    reachable(
        v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128),
        "Traversal Using Relays around NAT Anycast",
        "RFC 8155",
    ),
    reachable(
        v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128),
        "DNS-SD Service Registration Protocol Anycast",
        "RFC 9665",
    ),
    unreachable(
        v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48),
        "Benchmarking",
        "RFC 5180",
    ),
    reachable(v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), "AMT", "RFC 7450"),
    reachable(
        v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48),
        "AS112-v6",
        "RFC 7535",
    ),
    reachable(
        v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28),
        "ORCHIDv2",
        "RFC 7343",
    ),
    reachable(
        v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28),
        "Drone Remote ID Protocol Entity Tags (DETs) Prefix",
        "RFC 9374",
    ),
    documentation(
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
        "Documentation",
        "RFC 3849",
    ),
    reachable(
        v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48),
        "Direct Delegation AS112 Service",
        "RFC 7534",
    ),
    documentation(
        v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
        "Documentation",
        "RFC 9637",
    ),
    unreachable(
        v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),
        "Segment Routing (SRv6) SIDs",
        "RFC 9602",
    ),
    unreachable(
        v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
        "Unique-Local",
        "RFC 4193",
    ),
    unreachable(
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        "Link-Local Unicast",
        "RFC 4291",
    ),
    unreachable(
        v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
        "Deprecated (site-local)",
        "RFC 3879",
    ),
    unreachable(
        v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
        "Multicast",
        "RFC 4291",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(text: &str) -> Option<&'static str> {
        let ip = OriginIp::parse(text).unwrap();
        ip.special_purpose().map(|entry| entry.name)
    }

    #[test]
    fn every_entry_is_a_network_of_its_own() {
        let mut nets = HashSet::new();
        for entry in &ENTRIES {
            assert_eq!(entry.net, entry.net.trunc(), "{}", entry.name);
            assert!(nets.insert(entry.net), "{} is listed twice", entry.net);
            assert!(!(entry.documentation && entry.globally_reachable));
        }
    }

    #[test]
    fn the_first_and_last_address_of_each_entry_are_in_it_and_their_neighbours_are_not() {
        for (inside, outside, expected) in [
            ("0.255.255.255", "1.0.0.0", "This network"),
            ("0.0.0.0", "1.0.0.0", "This host on this network"),
            ("10.0.0.0", "9.255.255.255", "Private-Use"),
            ("10.255.255.255", "11.0.0.0", "Private-Use"),
            ("100.64.0.0", "100.63.255.255", "Shared Address Space"),
            ("100.127.255.255", "100.128.0.0", "Shared Address Space"),
            ("127.255.255.255", "128.0.0.0", "Loopback"),
            ("169.254.0.0", "169.253.255.255", "Link Local"),
            ("172.16.0.0", "172.15.255.255", "Private-Use"),
            ("172.31.255.255", "172.32.0.0", "Private-Use"),
            ("192.0.0.255", "192.0.1.0", "IETF Protocol Assignments"),
            ("192.0.0.7", "192.0.0.9", "IPv4 Service Continuity Prefix"),
            ("192.0.0.8", "192.0.0.10", "IPv4 dummy address"),
            ("192.0.0.171", "192.0.1.0", "NAT64/DNS64 Discovery"),
            ("192.0.2.255", "192.0.3.0", "Documentation (TEST-NET-1)"),
            ("192.88.99.2", "192.88.99.1", "6a44-relay anycast address"),
            ("192.168.255.255", "192.169.0.0", "Private-Use"),
            ("198.18.0.0", "198.17.255.255", "Benchmarking"),
            ("198.19.255.255", "198.20.0.0", "Benchmarking"),
            (
                "198.51.100.0",
                "198.51.99.255",
                "Documentation (TEST-NET-2)",
            ),
            ("203.0.113.255", "203.0.114.0", "Documentation (TEST-NET-3)"),
            ("224.0.0.0", "223.255.255.255", "Multicast"),
            ("240.0.0.0", "223.255.255.255", "Reserved"),
            ("255.255.255.255", "192.31.196.1", "Limited Broadcast"),
            ("::", "::2", "Unspecified Address"),
            ("::1", "::2", "Loopback Address"),
            ("64:ff9b:1::", "64:ff9b::1", "IPv4-IPv6 Translat."),
            ("100::1", "100:0:0:2::", "Discard-Only Address Block"),
            ("100:0:0:1::1", "100:0:0:2::", "Dummy IPv6 Prefix"),
            ("2001:1ff::1", "2001:200::", "IETF Protocol Assignments"),
            ("2001::1", "2001:1::1", "IETF Protocol Assignments"),
            ("2001:2::1", "2001:1::2", "Benchmarking"),
            ("2001:db8:ffff::1", "2001:db9::", "Documentation"),
            ("3fff:fff::1", "3fff:1000::", "Documentation"),
            ("5f00::1", "5f01::", "Segment Routing (SRv6) SIDs"),
            ("fdff::1", "fbff::1", "Unique-Local"),
            ("febf::1", "fe7f::1", "Link-Local Unicast"),
            ("feff::1", "fe00::1", "Deprecated (site-local)"),
            ("ff02::1", "fe00::1", "Multicast"),
            ("::ffff:10.0.0.1", "::ffff:11.0.0.1", "Private-Use"),
        ] {
            assert_eq!(name(inside), Some(expected), "{inside}");
            assert_eq!(name(outside), None, "{outside}");
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
            assert_eq!(name(usable), None, "{usable}");
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
            assert_eq!(ip.is_documentation(), documentation, "{text}");
            assert_eq!(ip.is_placeholder(), placeholder, "{text}");
        }
    }
}
