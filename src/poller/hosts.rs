//! The origin hosts of the polled zones: where each leads, and what is known of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cloudflare::{DnsRecord, OriginTarget};
use crate::domain::{AccountName, HostName, HostState, RecordName, Zone, ZoneId};
use crate::findings::{HostAnswer, LeftOutReason};
use crate::origin_hosts::{
    AccountRecords, End, Followed, NoOrigin, OriginHosts, RecordTarget, chain_place,
};

/// Follows hosts within the records of the listed zones, and has those that lead outside resolved.
pub(super) struct HostLookup {
    resolver: OriginHosts,
    records: AccountRecords,
    /// Every zone that an account lists, with the account that reads its records.
    listed: HashMap<ZoneId, AccountName>,
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
            dependencies: Mutex::default(),
        }
    }

    pub(super) fn resolver(&self) -> &OriginHosts {
        &self.resolver
    }

    /// What is known of the hosts of a zone. Those that the DNS has to answer for are resolved from
    /// now on; hosts that the zone named before and does not any more are not.
    pub(super) fn answers<'a>(
        &self,
        zone: &ZoneId,
        hosts: impl IntoIterator<Item = &'a HostName>,
    ) -> BTreeMap<HostName, HostAnswer> {
        let mut answers = BTreeMap::new();
        let mut outside = BTreeSet::new();
        let mut through = BTreeSet::new();
        for host in hosts {
            if answers.contains_key(host) {
                continue;
            }
            let mut followed = self.records.follow(host);
            through.extend(std::mem::take(&mut followed.zones));
            if let End::Outside(name) = &followed.end
                && !name.has_no_origin_address()
            {
                outside.insert(name.clone());
            }
            answers.insert(host.clone(), self.answer(host, followed));
        }
        self.resolver.want(zone, outside);
        self.dependencies().set(zone, through);
        answers
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
                let serves_itself = known.chain().any(HostName::has_no_origin_address);
                HostAnswer {
                    addresses: known.ips().collect(),
                    is_known: known.is_known(),
                    // Addresses that are not remembered are not known.
                    is_failing: known.failure().is_some() || known.is_truncated(),
                    is_rotating: known.state() == Some(HostState::Rotating),
                    is_settling: known.is_settling(),
                    place: chain_place(chain().chain(known.chain())),
                    left_out: serves_itself.then_some(LeftOutReason::NoOriginAddress),
                }
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

    /// Takes what the accounts list now, filtered or not. Of several accounts that list a zone the
    /// first one reads its records. Returns whether other zones are listed than before.
    pub(super) fn list<'a>(
        &mut self,
        accounts: impl IntoIterator<Item = (&'a AccountName, &'a BTreeMap<ZoneId, Zone>)>,
    ) -> bool {
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
        if self.records.set(zone, records) {
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
