//! Assigns the listed zones to accounts and shards. Pure: no I/O and no clock.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::listing::Listing;
use crate::domain::{AccountName, Zone, ZoneId, ZoneName};
use crate::poller::{Settings, Shard, ZoneSelection};
use crate::snapshot::{UnmatchedZones, ZoneCounts};

/// The most duplicates to log.
const NAMED_DUPLICATES: usize = 10;

/// The zones to poll, and the reasons for leaving out others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    /// The zones without duplicates, with the account that polls each.
    pub(super) zones: HashMap<ZoneId, (AccountName, Zone)>,
    /// The zones that each account lists.
    pub(super) accounts: HashMap<AccountName, ListedZones>,
    /// The selected zones, including those of other shards, by normalised name. If several zones
    /// share a name, it means the active one.
    pub(super) names: HashMap<String, ZoneId>,
    /// Names, ids and globs of the configuration that match no zone, as configured.
    pub(super) unmatched: UnmatchedZones,
}

/// The zones of one account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListedZones {
    pub(super) counts: ZoneCounts,
    /// The first few that an earlier account lists too.
    pub(super) duplicates: Vec<ZoneId>,
}

/// Assigns each selected zone to the first account that lists it. `expected` are the names under
/// `expect.zones`.
pub(super) fn assign<'a>(
    accounts: &[(&AccountName, &Listing)],
    settings: &Settings,
    expected: impl Iterator<Item = &'a str>,
) -> Assignment {
    let mut result = Assignment::default();
    let mut wanted = HashSet::new();
    for (name, listing) in accounts {
        let mut listed = ListedZones::default();
        let counts = &mut listed.counts;
        for (id, zone) in &listing.zones {
            if !listing.selection.wants(zone) {
                counts.filtered += 1;
            } else if !wanted.insert(id.clone()) {
                counts.duplicate += 1;
                if listed.duplicates.len() < NAMED_DUPLICATES {
                    listed.duplicates.push(id.clone());
                }
            } else if !settings.shard.owns(id) {
                counts.other_shard += 1;
            } else {
                counts.polled += 1;
                let owned = (AccountName::clone(name), zone.clone());
                result.zones.insert(id.clone(), owned);
            }
        }
        result.accounts.insert(AccountName::clone(name), listed);
        if let ZoneSelection::Filter { include, .. } = &listing.selection
            && listing.complete
        {
            let zones = || listing.zones.values();
            let unmatched = include
                .iter()
                .filter(|glob| !zones().any(|zone| glob.matches(&zone.name)));
            result
                .unmatched
                .include
                .extend(unmatched.map(ToString::to_string));
        }
    }
    result.names = names(accounts, &wanted);
    // Until every account has listed its zones, an unmatched name may still appear.
    if accounts.iter().all(|(_, listing)| listing.complete) {
        let ids: HashSet<&str> = wanted.iter().map(ZoneId::as_str).collect();
        let is_unmatched = |name: &&str| {
            !ids.contains(name) && !result.names.contains_key(&ZoneName::normal_of(name))
        };
        result.unmatched.expect = expected.filter(is_unmatched).map(str::to_owned).collect();
        let overrides = settings.overrides.iter().map(|own| own.zone.as_str());
        result.unmatched.zone_overrides =
            overrides.filter(is_unmatched).map(str::to_owned).collect();
    }
    result
}

fn names(
    accounts: &[(&AccountName, &Listing)],
    wanted: &HashSet<ZoneId>,
) -> HashMap<String, ZoneId> {
    let mut names = HashMap::new();
    let zones = accounts.iter().flat_map(|(_, listing)| &listing.zones);
    for (id, zone) in zones.filter(|(id, _)| wanted.contains(*id)) {
        let name = zone.name.normal();
        if zone.is_active() {
            names.insert(name, id.clone());
        } else {
            names.entry(name).or_insert_with(|| id.clone());
        }
    }
    names
}

impl ZoneSelection {
    /// Whether the configuration selects this zone of the account.
    pub(in crate::poller) fn wants(&self, zone: &Zone) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&zone.id),
            Self::Filter { include, exclude } => {
                (include.is_empty() || include.iter().any(|glob| glob.matches(&zone.name)))
                    && !exclude.iter().any(|glob| glob.matches(&zone.name))
            }
        }
    }
}

impl Shard {
    /// Whether this process polls the zone. Uses rendezvous hashing: each shard bids for the zone
    /// and the highest bid wins, so a new shard takes only the zones that it wins. The hash is
    /// `SipHash` 1-3 with a fixed key, the same on every machine and in every version.
    pub fn owns(self, zone: &ZoneId) -> bool {
        let bid = |ordinal: u32| {
            let mut hasher = SipHasher13::new();
            hasher.write(zone.as_str().as_bytes());
            hasher.write_u32(ordinal.to_le());
            hasher.finish()
        };
        self.total <= 1 || (0..self.total).max_by_key(|&n| (bid(n), n)) == Some(self.ordinal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::domain::ZoneGlob;
    use crate::poller::ZoneOverride;
    use crate::poller::tests::settings;

    fn zone(id: &str, name: &str) -> (ZoneId, Zone) {
        let id = ZoneId::parse(id).unwrap();
        let name = ZoneName::parse(name).unwrap();
        (
            id.clone(),
            Zone {
                name,
                ..Zone::unknown(id)
            },
        )
    }

    fn globs(patterns: &[&str]) -> Vec<ZoneGlob> {
        let glob = |pattern: &&str| ZoneGlob::parse(pattern).unwrap();
        patterns.iter().map(glob).collect()
    }

    fn filter(include: &[&str], exclude: &[&str]) -> ZoneSelection {
        ZoneSelection::Filter {
            include: globs(include),
            exclude: globs(exclude),
        }
    }

    fn listing(selection: ZoneSelection, zones: Vec<(ZoneId, Zone)>, complete: bool) -> Listing {
        let mut listing = Listing::new(selection, Instant::now());
        listing.zones = zones.into_iter().collect();
        listing.complete = complete;
        listing
    }

    #[test]
    fn filters_are_globs_over_names() {
        let selection = filter(&["*.example.com", "example.org"], &["old.*"]);
        for (name, wanted) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("A.EXAMPLE.com", true),
            ("example.com", false),
            ("example.org", true),
            ("www.example.org", false),
            ("old.example.com", false),
        ] {
            assert_eq!(selection.wants(&zone("z", name).1), wanted, "{name}");
        }
        assert!(filter(&[], &[]).wants(&zone("z", "anything").1));
    }

    #[test]
    fn a_zone_that_two_accounts_list_belongs_to_the_first() {
        let [first, second] = ["first", "second"].map(|n| AccountName::parse(n).unwrap());
        let everything = || filter(&[], &[]);
        let of_first = listing(everything(), vec![zone("a", "a.test")], true);
        let zones = vec![zone("a", "a.test"), zone("b", "b.test")];
        let of_second = listing(everything(), zones, true);
        let listings = [(&first, &of_first), (&second, &of_second)];
        let result = assign(&listings, &settings(), std::iter::empty());
        let owner = |id: &str| &result.zones[&ZoneId::parse(id).unwrap()].0;
        assert_eq!((owner("a"), owner("b")), (&first, &second));
        assert_eq!(
            result.accounts[&second].counts,
            ZoneCounts {
                polled: 1,
                duplicate: 1,
                ..Default::default()
            }
        );
        assert_eq!(
            result.accounts[&second].duplicates,
            [ZoneId::parse("a").unwrap()]
        );
    }

    #[test]
    fn names_without_a_zone_are_reported_once_every_account_has_listed() {
        let account = AccountName::parse("default").unwrap();
        let selection = || filter(&["*.test", "*.nowhere"], &["excluded.*"]);
        let mut settings = settings();
        settings.overrides = ["A.test", "a", "gone.test", "excluded.test"]
            .map(|zone| ZoneOverride {
                zone: zone.to_owned(),
                interval: None,
                stale_after: None,
            })
            .to_vec();
        let expected = || ["a.test", "missing.test"].into_iter();
        let result = |complete| {
            let zones = vec![zone("a", "a.test"), zone("x", "excluded.test")];
            let listing = listing(selection(), zones, complete);
            assign(&[(&account, &listing)], &settings, expected())
        };
        assert_eq!(result(false).unmatched, UnmatchedZones::default());
        let result = result(true);
        assert_eq!(result.unmatched.include, ["*.nowhere"]);
        assert_eq!(result.unmatched.expect, ["missing.test"]);
        assert_eq!(
            result.unmatched.zone_overrides,
            ["gone.test", "excluded.test"]
        );
        assert_eq!(result.unmatched.zone_overrides.len(), 2);
    }

    #[test]
    fn the_hash_does_not_change_between_versions() {
        let id = ZoneId::parse("023e105f4ecef8ad9ca31a8372d0c353").unwrap();
        let owner = |total| (0..total).find(|&ordinal| Shard { ordinal, total }.owns(&id));
        assert_eq!(
            [1, 2, 3, 10].map(owner),
            [Some(0), Some(0), Some(0), Some(4)]
        );
    }

    proptest! {
        #[test]
        fn shards_cover_each_zone_once(id in "[0-9a-f]{32}", total in 1_u32..20) {
            let id = ZoneId::parse(&id).unwrap();
            let owners = (0..total).filter(|&ordinal| Shard { ordinal, total }.owns(&id)).count();
            prop_assert_eq!(owners, 1);
        }

        #[test]
        fn one_shard_more_moves_zones_to_itself_only(id in "[0-9a-f]{32}", total in 1_u32..20) {
            let id = ZoneId::parse(&id).unwrap();
            for ordinal in 0..total {
                let before = Shard { ordinal, total }.owns(&id);
                let after = Shard { ordinal, total: total + 1 }.owns(&id);
                prop_assert!(before || !after, "an old shard took the zone from another");
            }
        }
    }
}
