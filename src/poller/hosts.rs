//! The origin hosts of the polled zones: where each one leads, and what is known about it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::discovery::listing::Listing;
use crate::cloudflare::{DnsRecord, OriginTarget, Rows};
use crate::domain::{AccountName, HostName, HostState, RecordName, ZoneId};
use crate::findings::{HostAnswer, LeftOutReason};
use crate::origin_hosts::{
    AccountRecords, End, Followed, Host, NoOrigin, OriginHosts, RecordTarget, chain_place,
};
use crate::panics::lock;

/// Where hosts lead that are records in the accounts' own zones.
pub(super) type Paths = BTreeMap<HostName, Followed>;

/// Follows hosts through the records of the listed zones, and resolves those that lead outside.
pub(super) struct HostLookup {
    pub(super) resolver: OriginHosts,
    records: AccountRecords,
    /// Every listed zone, with the account that reads its records.
    listed: HashMap<ZoneId, AccountName>,
    /// Whether every account's list is complete, so that any other zone belongs to someone else.
    is_listed: bool,
    /// Zones whose records cannot be read, or not all of them.
    failing: HashMap<ZoneId, Failing>,
    dependencies: Mutex<Dependencies>,
}

/// Since when the records of a zone cannot be read completely.
struct Failing {
    since: Instant,
    /// Whether this is longer than what was known before is retained.
    is_lost: bool,
}

/// The zones whose records each zone's hosts lead through.
#[derive(Debug, Default)]
struct Dependencies {
    /// By the zone that uses the hosts.
    through: HashMap<ZoneId, BTreeSet<ZoneId>>,
    /// By the zone that has the records.
    dependents: HashMap<ZoneId, BTreeSet<ZoneId>>,
    /// Whether the set of zones whose records are needed has changed since it was last requested.
    changed: bool,
}

impl HostLookup {
    pub(super) fn new(resolver: OriginHosts) -> Self {
        Self {
            resolver,
            records: AccountRecords::default(),
            listed: HashMap::new(),
            is_listed: false,
            failing: HashMap::new(),
            dependencies: Mutex::default(),
        }
    }

    /// What is known about the hosts of a zone, and where they lead. Hosts that require DNS are
    /// resolved from now on, and the zone's earlier hosts no longer are. `known` is where the hosts
    /// led before. It applies until the records show it again.
    pub(super) fn answers<'a>(
        &self,
        zone: &ZoneId,
        hosts: impl IntoIterator<Item = &'a HostName>,
        known: &Paths,
    ) -> (BTreeMap<HostName, HostAnswer>, Paths) {
        let mut answers = BTreeMap::new();
        let mut paths = Paths::new();
        let mut outside = BTreeSet::new();
        let mut through = BTreeSet::new();
        for host in hosts {
            if answers.contains_key(host) {
                continue;
            }
            let mut followed = self.records.follow(host);
            let is_through_zones = !followed.zones.is_empty();
            through.extend(followed.zones.iter().cloned());
            let is_known = known
                .get(host)
                .is_some_and(|known| self.complete(&mut followed, known));
            followed.zones.clear();
            if is_known || (is_through_zones && followed.end != End::NotRead) {
                paths.insert(host.clone(), followed.clone());
            }
            if let End::Outside(name) = &followed.end
                && !name.has_no_origin_address()
            {
                outside.insert(name.clone());
            }
            let is_partial = followed.is_partial;
            let mut answer = self.answer(host, followed);
            answer.is_incomplete |= is_partial;
            answers.insert(host.clone(), answer);
        }
        self.resolver.want(zone, outside);
        lock(&self.dependencies).set(zone, through);
        (answers, paths)
    }

    /// Fills in where a host leads from where it led before, if that depends on records that may
    /// still be read. Returns whether it does.
    fn complete(&self, followed: &mut Followed, known: &Followed) -> bool {
        let is_lost = followed.zones.iter().any(|zone| self.is_lost(zone));
        match (&mut followed.end, &known.end) {
            (End::NotRead, _) if !is_lost => followed.end = known.end.clone(),
            (End::Outside(_), _) if !self.is_listed => followed.end = known.end.clone(),
            (End::Addresses(found), End::Addresses(before)) if followed.is_partial && !is_lost => {
                let all: BTreeSet<_> = found.iter().chain(before).copied().collect();
                *found = all.into_iter().collect();
                return true;
            }
            _ => return false,
        }
        followed.chain.clone_from(&known.chain);
        true
    }

    fn answer(&self, host: &HostName, followed: Followed) -> HostAnswer {
        let left_out = |reason| HostAnswer {
            is_known: true,
            left_out: Some(reason),
            ..HostAnswer::default()
        };
        let chain = || std::iter::once(host).chain(&followed.chain);
        match followed.end {
            End::Addresses(addresses) => HostAnswer {
                addresses,
                is_known: true,
                place: chain_place(chain()),
                ..HostAnswer::default()
            },
            End::Outside(name) if name.has_no_origin_address() => {
                left_out(LeftOutReason::NoOriginAddress)
            }
            End::Outside(name) => {
                let Some(known) = self.resolver.get(&name) else {
                    return HostAnswer::default();
                };
                resolved(chain(), &known)
            }
            End::NoOrigin(NoOrigin::Worker) => left_out(LeftOutReason::Worker),
            End::NoOrigin(NoOrigin::ReadOnly) => left_out(LeftOutReason::ReadOnly),
            End::NoOrigin(NoOrigin::LoadBalancer) => left_out(LeftOutReason::NoOriginAddress),
            End::NotRead => HostAnswer::default(),
            End::TooLong => HostAnswer {
                is_known: true,
                ..HostAnswer::default()
            },
        }
    }

    /// Forgets the hosts of a zone that is no longer polled.
    pub(super) fn forget(&self, zone: &ZoneId) {
        self.resolver.want(zone, BTreeSet::new());
        lock(&self.dependencies).set(zone, BTreeSet::new());
    }

    /// Sets the zones that the accounts list, filtered or not, and whether the lists are complete.
    /// If several accounts list a zone, the first one reads its records. Returns whether the listed
    /// zones have changed.
    pub(super) fn list(&mut self, accounts: &[(&AccountName, &Listing)]) -> bool {
        self.is_listed = accounts.iter().all(|(_, listing)| listing.complete);
        let mut listed = HashMap::new();
        for (account, listing) in accounts {
            for (id, zone) in &listing.zones {
                let Some(apex) = HostName::parse(zone.name.as_str()) else {
                    continue;
                };
                listed.entry(id.clone()).or_insert_with(|| {
                    self.records.list(id, &apex, zone.is_active());
                    AccountName::clone(account)
                });
            }
        }
        for gone in self.listed.keys().filter(|id| !listed.contains_key(*id)) {
            self.records.remove(gone);
            self.failing.remove(gone);
        }
        let changed = self.listed != listed;
        self.listed = listed;
        // The set of polled zones may have changed, too.
        lock(&self.dependencies).changed = true;
        changed
    }

    /// Takes the records of a zone and the host names of its load balancers; `None` if they could
    /// not be read, which counts once it has lasted for `retain`. If this changes what is known,
    /// returns the zones whose hosts lead through the zone.
    pub(super) fn learn(
        &mut self,
        zone: &ZoneId,
        read: Option<(&Rows<DnsRecord>, &BTreeSet<RecordName>)>,
        now: Instant,
        retain: Duration,
    ) -> Vec<ZoneId> {
        let was_lost = self.is_lost(zone);
        let is_complete = read.is_some_and(|(records, _)| records.is_complete());
        if is_complete {
            self.failing.remove(zone);
        } else if self.listed.contains_key(zone) {
            let failing = self.failing.entry(zone.clone()).or_insert(Failing {
                since: now,
                is_lost: false,
            });
            failing.is_lost = failing.since + retain <= now;
        }
        let is_lost = self.is_lost(zone);
        let records = read.map(|(records, balanced)| {
            let records = records.rows.iter().filter_map(target);
            let balanced = balanced.iter().map(|name| {
                let target = RecordTarget::NoOrigin(NoOrigin::LoadBalancer);
                (name.clone(), target)
            });
            records.chain(balanced)
        });
        let is_news = read.is_some() || is_lost;
        let changed = is_news && self.records.set(zone, records, is_complete);
        if changed || is_lost != was_lost {
            let dependents = lock(&self.dependencies).dependents.get(zone).cloned();
            dependents.unwrap_or_default().into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// The zones whose records are needed to follow hosts, with the accounts that read them. `None`
    /// if they have not changed since the last call.
    pub(super) fn needed(&self) -> Option<HashMap<ZoneId, AccountName>> {
        let mut dependencies = lock(&self.dependencies);
        std::mem::take(&mut dependencies.changed).then(|| {
            let needed = dependencies.dependents.keys();
            needed
                .filter_map(|id| Some((id.clone(), self.listed.get(id)?.clone())))
                .collect()
        })
    }

    fn is_lost(&self, zone: &ZoneId) -> bool {
        self.failing
            .get(zone)
            .is_some_and(|failing| failing.is_lost)
    }
}

impl Dependencies {
    fn set(&mut self, zone: &ZoneId, through: BTreeSet<ZoneId>) {
        let old = self.through.get(zone).unwrap_or(&BTreeSet::new()).clone();
        if old == through {
            return;
        }
        for left in old.difference(&through) {
            if let Some(dependents) = self.dependents.get_mut(left) {
                dependents.remove(zone);
                if dependents.is_empty() {
                    self.dependents.remove(left);
                    self.changed = true;
                }
            }
        }
        for new in through.difference(&old) {
            let dependents = self.dependents.entry(new.clone()).or_default();
            self.changed |= dependents.is_empty();
            dependents.insert(zone.clone());
        }
        if through.is_empty() {
            self.through.remove(zone);
        } else {
            self.through.insert(zone.clone(), through);
        }
    }
}

/// What is known about a resolved host. `chain` is the names that lead to it.
fn resolved<'a>(chain: impl Iterator<Item = &'a HostName>, host: &'a Host) -> HostAnswer {
    let serves_itself = host.chain().any(HostName::has_no_origin_address);
    HostAnswer {
        addresses: host.ips().collect(),
        is_known: host.is_known(),
        is_failing: host.failure().is_some(),
        is_incomplete: host.is_truncated(),
        is_rotating: host.state() == Some(HostState::Rotating),
        is_settling: host.is_settling(),
        place: chain_place(chain.chain(host.chain())),
        left_out: serves_itself.then_some(LeftOutReason::NoOriginAddress),
    }
}

/// The name and target of a record; `None` if the name is invalid.
fn target(record: &DnsRecord) -> Option<(RecordName, RecordTarget)> {
    let target = match &record.target {
        _ if record.is_workers => RecordTarget::NoOrigin(NoOrigin::Worker),
        _ if record.is_read_only => RecordTarget::NoOrigin(NoOrigin::ReadOnly),
        OriginTarget::Address(ip) => RecordTarget::Address(*ip),
        OriginTarget::Host(host) => RecordTarget::Alias(host.clone()),
    };
    Some((record.name.clone()?, target))
}

#[cfg(test)]
mod tests;
