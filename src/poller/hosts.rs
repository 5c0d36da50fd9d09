//! The origin hosts of the polled zones: where each leads, and what is known of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cloudflare::{DnsRecord, OriginTarget};
use crate::domain::{AccountName, HostName, HostState, RecordName, Zone, ZoneId};
use crate::findings::{HostAnswer, LeftOutReason};
use crate::origin_hosts::{
    AccountRecords, End, Followed, Host, NoOrigin, OriginHosts, RecordTarget, chain_place,
};

/// Where the hosts of a zone lead that are records of the accounts' own zones.
pub(super) type Paths = BTreeMap<HostName, Followed>;

/// Follows hosts within the records of the listed zones, and has those that lead outside resolved.
pub(super) struct HostLookup {
    resolver: OriginHosts,
    records: AccountRecords,
    /// Every zone that an account lists, with the account that reads its records.
    listed: HashMap<ZoneId, AccountName>,
    /// Every account was listed completely, so no other zone is one of theirs.
    is_listed: bool,
    /// Zones whose records could not be read for longer than they are kept.
    lost: HashSet<ZoneId>,
    dependencies: Mutex<Dependencies>,
}

/// Which zones' hosts lead through which zones' records.
#[derive(Debug, Default)]
struct Dependencies {
    /// By the zone whose hosts they are.
    through: HashMap<ZoneId, BTreeSet<ZoneId>>,
    /// By the zone whose records they lead through.
    dependents: HashMap<ZoneId, BTreeSet<ZoneId>>,
    /// The zones whose records are needed are others than when they were last asked for.
    changed: bool,
}

impl HostLookup {
    pub(super) fn new(resolver: OriginHosts) -> Self {
        Self {
            resolver,
            records: AccountRecords::default(),
            listed: HashMap::new(),
            is_listed: false,
            lost: HashSet::new(),
            dependencies: Mutex::default(),
        }
    }

    pub(super) fn resolver(&self) -> &OriginHosts {
        &self.resolver
    }

    /// What is known of the hosts of a zone, and where they lead. Those that the DNS has to answer
    /// for are resolved from now on; hosts that the zone named before and does not any more are not.
    /// `known` is where they led before: that counts until it can be seen in the records again.
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
            let zones = std::mem::take(&mut followed.zones);
            if self.is_open(&followed.end, &zones)
                && let Some(known) = known.get(host)
            {
                followed.clone_from(known);
                paths.insert(host.clone(), followed.clone());
            } else if !zones.is_empty() && followed.end != End::NotRead {
                paths.insert(host.clone(), followed.clone());
            }
            through.extend(zones);
            if let End::Outside(name) = &followed.end
                && !name.has_no_origin_address()
            {
                outside.insert(name.clone());
            }
            answers.insert(host.clone(), self.answer(host, followed));
        }
        self.resolver.want(zone, outside);
        self.dependencies().set(zone, through);
        (answers, paths)
    }

    /// Whether records that may still be read decide where a host leads.
    fn is_open(&self, end: &End, zones: &[ZoneId]) -> bool {
        match end {
            End::NotRead => !zones.iter().any(|zone| self.lost.contains(zone)),
            End::Outside(_) => !self.is_listed,
            End::Addresses(_) | End::NoOrigin(_) | End::TooLong => false,
        }
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

    /// Forgets the hosts of a zone that is polled no more.
    pub(super) fn forget(&self, zone: &ZoneId) {
        self.resolver.want(zone, BTreeSet::new());
        self.dependencies().set(zone, BTreeSet::new());
    }

    /// Takes what the accounts list now, filtered or not, and whether that is all. Of several accounts that list a zone the
    /// first one reads its records. Returns whether other zones are listed than before.
    pub(super) fn list<'a>(
        &mut self,
        accounts: impl IntoIterator<Item = (&'a AccountName, &'a BTreeMap<ZoneId, Zone>)>,
        is_complete: bool,
    ) -> bool {
        self.is_listed = is_complete;
        let mut listed = HashMap::new();
        for (account, zones) in accounts {
            for (id, zone) in zones {
                let Some(apex) = HostName::parse(zone.name.as_str()) else {
                    continue;
                };
                listed.entry(id.clone()).or_insert_with(|| {
                    self.records.list(id, &apex, zone.is_active());
                    account.clone()
                });
            }
        }
        for gone in self.listed.keys().filter(|id| !listed.contains_key(*id)) {
            self.records.remove(gone);
            self.lost.remove(gone);
        }
        let changed = self.listed != listed;
        self.listed = listed;
        // Other zones may be polled, too.
        self.dependencies().changed = true;
        changed
    }

    /// Takes the records of a zone; `None` where they are not known any more. `balanced` are the
    /// names that load balancers answer for. Returns the zones whose hosts lead through them, if
    /// they are others than before.
    pub(super) fn learn(
        &mut self,
        zone: &ZoneId,
        records: Option<(&[DnsRecord], &BTreeSet<RecordName>)>,
    ) -> Vec<ZoneId> {
        let records = records.map(|(records, balanced)| {
            let records = records.iter().filter_map(target);
            let balanced = balanced.iter().map(|name| {
                let target = RecordTarget::NoOrigin(NoOrigin::LoadBalancer);
                (name.clone(), target)
            });
            records.chain(balanced)
        });
        let is_newly_lost = if records.is_none() {
            self.lost.insert(zone.clone())
        } else {
            self.lost.remove(zone);
            false
        };
        if self.records.set(zone, records) || is_newly_lost {
            let dependents = self.dependencies().dependents.get(zone).cloned();
            dependents.unwrap_or_default().into_iter().collect()
        } else {
            Vec::new()
        }
    }

    /// The zones whose records hosts lead through, with the accounts that read them; `None` where
    /// they are the same as at the last call.
    pub(super) fn needed(&self) -> Option<HashMap<ZoneId, AccountName>> {
        let mut dependencies = self.dependencies();
        std::mem::take(&mut dependencies.changed).then(|| {
            let needed = dependencies.dependents.keys();
            needed
                .filter_map(|id| Some((id.clone(), self.listed.get(id)?.clone())))
                .collect()
        })
    }

    fn dependencies(&self) -> MutexGuard<'_, Dependencies> {
        self.dependencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

/// What is known of a host that is resolved; `chain` are the names that lead to it.
fn resolved<'a>(chain: impl Iterator<Item = &'a HostName>, host: &'a Host) -> HostAnswer {
    let serves_itself = host.chain().any(HostName::has_no_origin_address);
    HostAnswer {
        addresses: host.ips().collect(),
        is_known: host.is_known(),
        // Addresses that are not remembered are not known.
        is_failing: host.failure().is_some() || host.is_truncated(),
        is_rotating: host.state() == Some(HostState::Rotating),
        is_settling: host.is_settling(),
        place: chain_place(chain.chain(host.chain())),
        left_out: serves_itself.then_some(LeftOutReason::NoOriginAddress),
    }
}

/// What a record gives for its name; `None` where the name is none.
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
