//! The origins that the rows of a source name.

use std::collections::BTreeSet;

use crate::cloudflare::{
    CloudConnectorRule, DnsRecord, LoadBalancer, OriginTarget, Pool, Rows, StorageProvider,
};
use crate::domain::{PoolId, RecordName};
use crate::findings::{Candidates, LeftOutReason};

pub(super) fn of_rules(rules: &Rows<OriginTarget>) -> Candidates {
    collect(rules, rules.rows.iter().map(|target| (target, None)))
}

/// The hosts of storage services. Cloudflare's R2 has no origin address.
pub(super) fn of_cloud_connector(rules: &Rows<CloudConnectorRule>) -> Candidates {
    let targets = rules.rows.iter().map(|rule| {
        let is_r2 = rule.provider == StorageProvider::R2;
        (&rule.host, is_r2.then_some(LeftOutReason::NoOriginAddress))
    });
    collect(rules, targets)
}

/// The addresses and hosts of proxied records. A record is unused if a load balancer serves its
/// name, and its content is not an origin if another product manages it.
pub(super) fn of_records(records: &Rows<DnsRecord>, balanced: &BTreeSet<RecordName>) -> Candidates {
    let is_hidden = |name: &RecordName| balanced.contains(name);
    let used = records.rows.iter().filter(|record| record.proxied);
    let used = used.filter(|record| !record.name.as_ref().is_some_and(is_hidden));
    let targets = used.map(|record| {
        let unusable = if record.is_workers {
            Some(LeftOutReason::Worker)
        } else {
            record.is_read_only.then_some(LeftOutReason::ReadOnly)
        };
        (&record.target, unusable)
    });
    collect(records, targets)
}

/// The names that enabled load balancers serve.
pub(super) fn balanced_names(balancers: &[LoadBalancer]) -> BTreeSet<RecordName> {
    let enabled = balancers.iter().filter(|row| row.enabled);
    enabled.filter_map(|row| row.name.clone()).collect()
}

/// The pools of enabled, proxied load balancers.
pub(super) fn pools_in_use(balancers: &[LoadBalancer]) -> BTreeSet<PoolId> {
    let in_use = balancers.iter().filter(|row| row.enabled && row.proxied);
    in_use.flat_map(|row| row.pools.iter().cloned()).collect()
}

/// The enabled origins of those pools in `ids` that are enabled.
pub(super) fn of_pools(pools: &Rows<Pool>, ids: &BTreeSet<PoolId>) -> Candidates {
    let in_use = |pool: &&Pool| pool.enabled && ids.contains(&pool.id);
    let origins = pools
        .rows
        .iter()
        .filter(in_use)
        .flat_map(|pool| &pool.origins);
    let targets = origins.filter(|origin| origin.enabled).map(|origin| {
        let unusable = origin.in_virtual_network;
        let unusable = unusable.then_some(LeftOutReason::VirtualNetwork);
        (&origin.target, unusable)
    });
    collect(pools, targets)
}

/// The targets of a source with these rows. Each comes with the reason if the source itself shows
/// that it is unusable.
fn collect<'a, T>(
    rows: &Rows<T>,
    targets: impl Iterator<Item = (&'a OriginTarget, Option<LeftOutReason>)>,
) -> Candidates {
    let mut candidates = Candidates {
        has_unreadable: !rows.is_complete(),
        ..Candidates::default()
    };
    for target in targets {
        match target {
            (OriginTarget::Address(ip), None) => drop(candidates.addresses.insert(*ip)),
            (OriginTarget::Host(host), None) => candidates.add_host(host.clone()),
            (OriginTarget::Address(ip), Some(why)) => candidates.leave_out(Some(*ip), None, why),
            (OriginTarget::Host(host), Some(why)) => {
                candidates.leave_out(None, Some(host.clone()), why);
            }
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::{PoolOrigin, RejectedRows};
    use crate::domain::RecordName;

    fn target(text: &str) -> OriginTarget {
        OriginTarget::parse(text).unwrap()
    }

    fn pool_id(text: &str) -> PoolId {
        PoolId::parse(text).unwrap()
    }

    fn rows<T>(rows: Vec<T>) -> Rows<T> {
        Rows {
            rows,
            ..Rows::default()
        }
    }

    fn shown(candidates: &Candidates) -> (Vec<String>, Vec<String>, Vec<&'static str>) {
        let addresses = candidates.addresses.iter();
        let left_out = candidates.left_out.iter();
        (
            addresses.map(ToString::to_string).collect(),
            candidates.hosts.iter().map(ToString::to_string).collect(),
            left_out.map(|unusable| unusable.reason.as_str()).collect(),
        )
    }

    #[test]
    fn records_name_addresses_and_hosts_once() {
        let record = |text| DnsRecord {
            name: RecordName::parse("www.example.com"),
            target: target(text),
            proxied: true,
            is_workers: false,
            is_read_only: false,
        };
        let records = rows(vec![
            record("192.0.2.2"),
            record("elsewhere.example"),
            record("192.0.2.1"),
            record("::ffff:192.0.2.2"),
        ]);
        let expected = ["192.0.2.1", "192.0.2.2"].map(str::to_owned).to_vec();
        assert_eq!(
            shown(&of_records(&records, &BTreeSet::new())),
            (expected, vec!["elsewhere.example".to_owned()], vec![])
        );
    }

    #[test]
    fn only_enabled_origins_of_enabled_pools_that_are_used_count() {
        let origin = |target, enabled, in_virtual_network| PoolOrigin {
            enabled,
            target,
            in_virtual_network,
        };
        let pool = |id: &str, enabled, origins| Pool {
            id: pool_id(id),
            enabled,
            origins,
        };
        let pools = rows(vec![
            pool(
                "used",
                true,
                vec![
                    origin(target("192.0.2.1"), true, false),
                    origin(target("192.0.2.2"), false, false),
                    origin(target("10.0.0.1"), true, true),
                    origin(target("origin.example"), true, false),
                    origin(target("off.example"), false, false),
                ],
            ),
            pool("off", false, vec![origin(target("192.0.2.3"), true, false)]),
            pool(
                "of others",
                true,
                vec![origin(target("192.0.2.4"), true, false)],
            ),
        ]);
        let ids = ["used", "off", "unknown"].map(pool_id).into();
        let (ips, hosts, left_out) = shown(&of_pools(&pools, &ids));
        assert_eq!(ips, ["192.0.2.1"]);
        assert_eq!(hosts, ["origin.example"]);
        assert_eq!(left_out, ["virtual_network"]);
    }

    #[test]
    fn a_row_that_cannot_be_read_may_name_more() {
        fn unreadable<T>() -> Rows<T> {
            Rows {
                rejected: RejectedRows {
                    count: 1,
                    examples: Vec::new(),
                },
                ..Rows::default()
            }
        }
        let none = BTreeSet::new();
        assert!(!of_records(&rows(vec![]), &none).has_unreadable);
        assert!(of_records(&unreadable(), &none).has_unreadable);
        assert!(of_rules(&unreadable()).has_unreadable);
        assert!(of_cloud_connector(&unreadable()).has_unreadable);
        assert!(of_pools(&unreadable(), &BTreeSet::new()).has_unreadable);
    }
}
