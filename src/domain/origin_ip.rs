//! Origin addresses, compared by value.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The address of an origin. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is stored as IPv4.
/// Displayed in the form of RFC 5952.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "IpAddr")]
pub struct OriginIp(IpAddr);

/// A string that is not an IP address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an IPv4 or IPv6 address")]
pub struct InvalidOriginIp;

impl OriginIp {
    /// Parses any spelling of an address, without scope or port.
    pub fn parse(text: &str) -> Result<Self, InvalidOriginIp> {
        text.trim()
            .parse::<IpAddr>()
            .map(Self::from)
            .map_err(|_| InvalidOriginIp)
    }

    /// The address; never an IPv4-mapped one.
    pub fn addr(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for OriginIp {
    fn from(ip: IpAddr) -> Self {
        Self(ip.to_canonical())
    }
}

impl fmt::Display for OriginIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_address_are_equal() {
        for (spelling, shown) in [
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8::0001", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            (" 192.0.2.1 ", "192.0.2.1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ] {
            assert_eq!(ip(spelling).to_string(), shown);
            assert_eq!(ip(spelling), ip(shown));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "example.com",
            "192.0.2",
            "192.0.2.1:80",
            "fe80::1%eth0",
            "192.0.2.01",
        ] {
            assert_eq!(OriginIp::parse(bad), Err(InvalidOriginIp), "{bad}");
        }
    }

    /// Formats the groups of an address: with extra leading zeros and upper case per group,
    /// optionally with the first run of zeros shortened, and optionally with a dotted end.
    fn spelled(
        groups: [u16; 8],
        zeros: [usize; 8],
        upper: u8,
        short: bool,
        dotted: bool,
    ) -> String {
        let mut words: Vec<_> = (0..8)
            .map(|n| {
                let digits = format!("{:x}", groups[n]);
                let width = (digits.len() + zeros[n]).min(4);
                let word = format!("{digits:0>width$}");
                if upper >> n & 1 == 1 {
                    word.to_uppercase()
                } else {
                    word
                }
            })
            .collect();
        if dotted {
            let [.., high, low] = groups;
            words.truncate(6);
            words.push(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).to_string());
        }
        let hidden = groups
            .iter()
            .take(6)
            .take_while(|group| **group == 0)
            .count();
        if short && hidden > 0 {
            format!("::{}", words[hidden..].join(":"))
        } else {
            words.join(":")
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_an_address_is_that_address(
            groups in prop::array::uniform8(prop_oneof![4 => Just(0_u16), 1 => Just(0xffff), 1 => any::<u16>()]),
            zeros in prop::array::uniform8(0_usize..4),
            upper: u8,
            short: bool,
            dotted: bool,
        ) {
            let spelled = spelled(groups, zeros, upper, short, dotted);
            let address = match groups {
                [0, 0, 0, 0, 0, 0xffff, high, low] => {
                    IpAddr::from(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
                }
                groups => IpAddr::from(Ipv6Addr::from(groups)),
            };
            prop_assert_eq!(OriginIp::parse(&spelled), Ok(OriginIp(address)), "{}", spelled);
        }

        #[test]
        fn what_is_shown_reads_back_as_the_same_address(bits: u128) {
            let origin = OriginIp::from(IpAddr::from(Ipv6Addr::from(bits)));
            prop_assert_eq!(OriginIp::parse(&origin.to_string()), Ok(origin));
        }

        #[test]
        fn an_ipv4_address_equals_its_mapped_form(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(
                OriginIp::from(IpAddr::from(v4.to_ipv6_mapped())),
                OriginIp::from(IpAddr::from(v4))
            );
        }
    }
}
