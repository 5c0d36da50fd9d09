//! Which origins ought to be mapped.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::{DeclaredOrigin, ExpectedOrigin, ExpectedPlace, LeftOut, Source};
use crate::domain::{OriginIp, RangeVerdict};

/// What DNS and load balancers name, before it is judged. `None` means not asked for, or not
/// readable this time.
#[derive(Debug, Clone, Default)]
pub struct Discovered {
    /// From the zone's proxied A and AAAA records.
    pub dns: Option<Candidates>,
    /// From the enabled origins of the enabled pools of the zone's load balancers.
    pub load_balancers: Option<Candidates>,
}

/// What one source names.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// The addresses; one may be named several times.
    pub ips: Vec<OriginIp>,
    /// What is no address that Cloudflare reaches over the Internet, counted by reason.
    pub left_out: BTreeMap<LeftOut, usize>,
}

/// How far the vendors' address ranges can be used. The function judges one address.
#[derive(Clone, Copy)]
pub enum RangesUse<'a> {
    /// They are not used.
    Off,
    /// The ranges of one or more enabled vendors were never loaded. Mappings are judged where the
    /// loaded ones suffice; origins of DNS and load balancers are not judged at all, for one that
    /// no loaded file has may still be in a cloud.
    NotLoaded(&'a dyn Fn(OriginIp) -> RangeVerdict),
    /// All are there.
    Loaded(&'a dyn Fn(OriginIp) -> RangeVerdict),
}

/// The origins of a zone that ought to be mapped.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// By address.
    pub(super) origins: BTreeMap<OriginIp, ExpectedOrigin>,
    /// How many each source expects, each origin under its first source; a source that was not
    /// asked, or could not be judged, has no entry.
    pub(super) sources: BTreeMap<Source, usize>,
    /// What was named and is not expected.
    pub(super) left_out: BTreeMap<LeftOut, usize>,
    /// What the configuration declares, for comparison with the mappings.
    pub(super) declared: BTreeMap<OriginIp, ExpectedPlace>,
}

/// Puts together what is expected of a zone. An origin that several sources name counts under the
/// first: configuration, load balancers, DNS.
///
/// An address that no public origin can have is never expected, not even a declared one: Cloudflare
/// could not map it, so it would be missing for ever. A mapping of it is still compared with the
/// declaration.
///
/// With ranges, an origin of DNS or a load balancer is expected only if a cloud vendor publishes
/// its address, and is expected there. Where a declaration names neither vendor nor region, the
/// ranges fill them in too.
pub fn expected(
    declared: &[DeclaredOrigin],
    discovered: &Discovered,
    ranges: RangesUse<'_>,
) -> Expectations {
    let mut builder = Builder {
        ranges,
        expectations: Expectations::default(),
        left_out: BTreeSet::new(),
    };
    builder.declare(declared);
    if !matches!(ranges, RangesUse::NotLoaded(_)) {
        builder.discover(Source::LoadBalancer, discovered.load_balancers.as_ref());
        builder.discover(Source::Dns, discovered.dns.as_ref());
    }
    builder.finish()
}

struct Builder<'a> {
    ranges: RangesUse<'a>,
    expectations: Expectations,
    /// Each address counts once, however many sources name it.
    left_out: BTreeSet<(OriginIp, LeftOut)>,
}

impl Builder<'_> {
    fn declare(&mut self, declared: &[DeclaredOrigin]) {
        if !declared.is_empty() {
            self.expectations.sources.insert(Source::Config, 0);
        }
        for DeclaredOrigin { origin_ip, place } in declared {
            self.expectations
                .declared
                .entry(*origin_ip)
                .or_insert_with(|| place.clone());
            let place = if *place == ExpectedPlace::default() {
                self.place_by_ranges(*origin_ip).unwrap_or_default()
            } else {
                place.clone()
            };
            self.expect(Source::Config, *origin_ip, Some(place));
        }
    }

    fn discover(&mut self, source: Source, candidates: Option<&Candidates>) {
        let Some(candidates) = candidates else { return };
        self.expectations.sources.insert(source, 0);
        for (why, count) in &candidates.left_out {
            *self.expectations.left_out.entry(*why).or_default() += count;
        }
        for ip in &candidates.ips {
            self.expect(source, *ip, self.place_by_ranges(*ip));
        }
    }

    /// Where the ranges see an address; `None` where no vendor publishes it. Nowhere in particular
    /// without ranges.
    fn place_by_ranges(&self, ip: OriginIp) -> Option<ExpectedPlace> {
        let (RangesUse::Loaded(verdict) | RangesUse::NotLoaded(verdict)) = self.ranges else {
            return Some(ExpectedPlace::default());
        };
        match verdict(ip) {
            RangeVerdict::InRegion(vendor, region) => Some(ExpectedPlace {
                vendor: Some(vendor),
                region: Some(region),
            }),
            RangeVerdict::InVendor(vendor) => Some(ExpectedPlace {
                vendor: Some(vendor),
                region: None,
            }),
            RangeVerdict::NotInRanges | RangeVerdict::Unknown => None,
        }
    }

    fn expect(&mut self, source: Source, ip: OriginIp, place: Option<ExpectedPlace>) {
        let Entry::Vacant(entry) = self.expectations.origins.entry(ip) else {
            return;
        };
        if let Some(why) = ip.non_public() {
            self.left_out.insert((ip, LeftOut::NonPublic(why)));
        } else if let Some(place) = place {
            *self.expectations.sources.entry(source).or_default() += 1;
            entry.insert(ExpectedOrigin {
                origin_ip: ip,
                source,
                place,
            });
        } else {
            self.left_out.insert((ip, LeftOut::NotInRanges));
        }
    }

    fn finish(self) -> Expectations {
        let mut expectations = self.expectations;
        for (_, why) in self.left_out {
            *expectations.left_out.entry(why).or_default() += 1;
        }
        expectations
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{NonPublic, Region, Vendor};

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    fn candidates(ips: &[&str]) -> Candidates {
        Candidates {
            ips: ips.iter().map(|text| ip(text)).collect(),
            left_out: BTreeMap::new(),
        }
    }

    fn declared(ips: &[&str]) -> Vec<DeclaredOrigin> {
        let origin = |text: &&str| DeclaredOrigin {
            origin_ip: ip(text),
            place: ExpectedPlace::default(),
        };
        ips.iter().map(origin).collect()
    }

    /// 192.0.2.0/24 is in a region, 198.51.100.0/24 somewhere at a vendor, the rest nowhere.
    fn verdict(ip: OriginIp) -> RangeVerdict {
        let text = ip.to_string();
        if text.starts_with("192.0.2.") {
            RangeVerdict::InRegion(Vendor::Aws, Region::parse("us-east-1").unwrap())
        } else if text.starts_with("198.51.100.") {
            RangeVerdict::InVendor(Vendor::Gcp)
        } else {
            RangeVerdict::NotInRanges
        }
    }

    fn shown(expectations: &Expectations) -> Vec<(String, &str, String, String)> {
        expectations
            .origins
            .values()
            .map(|origin| {
                let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
                (
                    origin.origin_ip.to_string(),
                    origin.source.as_str(),
                    text(origin.place.vendor.as_ref().map(Vendor::as_str)),
                    text(origin.place.region.as_ref().map(Region::as_str)),
                )
            })
            .collect()
    }

    #[test]
    fn an_origin_of_several_sources_counts_under_the_first() {
        let discovered = Discovered {
            dns: Some(candidates(&[
                "192.0.2.1",
                "192.0.2.2",
                "192.0.2.3",
                "2001:DB8::0:1",
            ])),
            load_balancers: Some(candidates(&[
                "192.0.2.2",
                "::ffff:192.0.2.1",
                "2001:db8::1",
            ])),
        };
        let got = expected(&declared(&["192.0.2.1"]), &discovered, RangesUse::Off);
        let sources: Vec<_> = shown(&got).into_iter().map(|row| (row.0, row.1)).collect();
        assert_eq!(
            sources,
            [
                ("192.0.2.1".to_owned(), "config"),
                ("192.0.2.2".to_owned(), "load_balancer"),
                ("192.0.2.3".to_owned(), "dns"),
                ("2001:db8::1".to_owned(), "load_balancer"),
            ]
        );
        assert_eq!(
            got.sources,
            BTreeMap::from([
                (Source::Config, 1),
                (Source::LoadBalancer, 2),
                (Source::Dns, 1)
            ])
        );
    }

    #[test]
    fn a_source_that_was_not_asked_has_no_count_and_one_that_names_nothing_has_zero() {
        let discovered = Discovered {
            dns: Some(candidates(&[])),
            load_balancers: None,
        };
        let got = expected(&[], &discovered, RangesUse::Off);
        assert_eq!(got.sources, BTreeMap::from([(Source::Dns, 0)]));
    }

    #[test]
    fn with_ranges_only_cloud_addresses_are_expected_and_their_place_is_known() {
        let discovered = Discovered {
            dns: Some(candidates(&["192.0.2.1", "198.51.100.1", "203.0.113.1"])),
            load_balancers: Some(candidates(&["203.0.113.1"])),
        };
        let declared = declared(&["203.0.113.9", "192.0.2.9"]);
        let got = expected(&declared, &discovered, RangesUse::Loaded(&verdict));
        let row = |ip: &str, source, vendor: &str, region: &str| {
            (ip.to_owned(), source, vendor.to_owned(), region.to_owned())
        };
        assert_eq!(
            shown(&got),
            [
                row("192.0.2.1", "dns", "aws", "us-east-1"),
                row("192.0.2.9", "config", "aws", "us-east-1"),
                row("198.51.100.1", "dns", "gcp", ""),
                row("203.0.113.9", "config", "", ""),
            ]
        );
        assert_eq!(got.left_out, BTreeMap::from([(LeftOut::NotInRanges, 1)]));
        assert_eq!(got.sources.get(&Source::LoadBalancer), Some(&0));
    }

    #[test]
    fn while_ranges_are_not_loaded_only_the_configuration_is_judged() {
        let discovered = Discovered {
            dns: Some(candidates(&["192.0.2.1", "10.0.0.1"])),
            load_balancers: Some(candidates(&["192.0.2.2"])),
        };
        let ranges = RangesUse::NotLoaded(&verdict);
        let got = expected(&declared(&["192.0.2.3"]), &discovered, ranges);
        assert_eq!(got.sources, BTreeMap::from([(Source::Config, 1)]));
        assert_eq!(got.left_out, BTreeMap::new());
    }

    #[test]
    fn what_cannot_be_a_public_origin_is_left_out_and_counted_once() {
        let mut discovered = Discovered {
            dns: Some(candidates(&[
                "10.0.0.1",
                "fd00::1",
                "127.0.0.1",
                "::ffff:10.0.0.1",
            ])),
            load_balancers: Some(candidates(&["10.0.0.1"])),
        };
        if let Some(found) = &mut discovered.load_balancers {
            found.left_out = BTreeMap::from([(LeftOut::HostName, 2), (LeftOut::VirtualNetwork, 1)]);
        }
        let got = expected(&declared(&["100.64.0.1"]), &discovered, RangesUse::Off);
        assert_eq!(
            got.left_out,
            BTreeMap::from([
                (LeftOut::NonPublic(NonPublic::Private), 2),
                (LeftOut::NonPublic(NonPublic::Shared), 1),
                (LeftOut::NonPublic(NonPublic::Loopback), 1),
                (LeftOut::HostName, 2),
                (LeftOut::VirtualNetwork, 1),
            ])
        );
        assert!(got.origins.is_empty());
        assert_eq!(got.sources.get(&Source::Config), Some(&0));
    }

    proptest! {
        #[test]
        fn every_named_origin_is_expected_or_left_out_and_the_counts_agree(
            config in prop::collection::vec(0_u8..8, 0..8),
            dns in prop::collection::vec(0_u8..8, 0..8),
            balancers in prop::collection::vec(0_u8..8, 0..8),
            loaded: bool,
        ) {
            const POOL: [&str; 8] = [
                "192.0.2.1", "192.0.2.2", "198.51.100.1", "203.0.113.1", "10.0.0.1", "::1",
                "2001:db8::1", "fd00::1",
            ];
            let pick = |chosen: &[u8]| chosen.iter().map(|i| POOL[usize::from(*i)]).collect::<Vec<_>>();
            let discovered = Discovered {
                dns: Some(candidates(&pick(&dns))),
                load_balancers: Some(candidates(&pick(&balancers))),
            };
            let ranges = if loaded { RangesUse::Loaded(&verdict) } else { RangesUse::Off };
            let got = expected(&declared(&pick(&config)), &discovered, ranges);
            let named: BTreeSet<u8> = [config, dns, balancers].concat().into_iter().collect();
            let left_out: usize = got.left_out.values().sum();
            prop_assert_eq!(got.origins.len() + left_out, named.len());
            prop_assert_eq!(got.sources.values().sum::<usize>(), got.origins.len());
            for origin in got.origins.values() {
                prop_assert_eq!(origin.origin_ip.non_public(), None);
            }
        }
    }
}
