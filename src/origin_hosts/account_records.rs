//! Follows hosts within the DNS records of the accounts' own zones.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::domain::{HostName, OriginIp, RecordName, ZoneId};

/// The most CNAMEs that are followed.
pub const MAX_ALIASES: usize = 8;

/// The records of every zone that a configured account lists. The cost of replacing one zone's
/// records does not depend on the number of other zones.
#[derive(Debug, Default)]
pub struct AccountRecords {
    zones: HashMap<ZoneId, Zone>,
    /// The zones with each name. Several accounts may have a zone with the same name; active ones
    /// come first.
    by_apex: HashMap<HostName, Vec<ZoneId>>,
}

#[derive(Debug)]
struct Zone {
    apex: HostName,
    is_active: bool,
    /// Sorted by name; `None` until they were read.
    records: Option<Box<[(Key, RecordTarget)]>>,
    /// Whether all records could be read, so that a name without any does not exist.
    is_complete: bool,
}

/// A name with its labels in reverse order (`com.example.www`), so that all names below another one
/// are adjacent. A wildcard ends in `*`.
type Key = Box<str>;

/// The target of a record, in the order of precedence: the first target of a name decides how the
/// name is treated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordTarget {
    /// The name is in use, but has no origin address here.
    NoOrigin(NoOrigin),
    /// Another name: CNAME.
    Alias(HostName),
    /// An address: A or AAAA.
    Address(OriginIp),
}

/// Why a record leads to no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoOrigin {
    /// It is the custom domain of a Worker.
    Worker,
    /// Another product of Cloudflare manages it.
    ReadOnly,
    /// A load balancer answers for the name.
    LoadBalancer,
}

/// The result of following a host within the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The CNAME targets, in order. The last one may be outside the listed zones.
    pub chain: Vec<HostName>,
    /// The zones whose records were consulted.
    #[serde(skip)]
    pub zones: Vec<ZoneId>,
    /// Whether one of these has unreadable records, so that the chain may have other ends.
    #[serde(skip)]
    pub is_partial: bool,
    /// Where the chain ends.
    pub end: End,
}

/// Where a host's chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At these addresses, ascending.
    Addresses(Vec<OriginIp>),
    /// At a name that is not in the records of a listed zone: the last of the chain, or the host
    /// itself. It must be resolved by the public DNS.
    Outside(HostName),
    /// At a record without an origin.
    NoOrigin(NoOrigin),
    /// In a zone whose records are not known, or at a name that only its unreadable records may
    /// have.
    NotRead,
    /// Nowhere: the chain is a loop, or has more CNAMEs than are followed.
    TooLong,
}

impl AccountRecords {
    /// Adds a listed zone, or updates it. Its records stay.
    pub fn list(&mut self, id: &ZoneId, apex: &HostName, is_active: bool) {
        let known = self.zones.get(id);
        if known.is_some_and(|zone| zone.apex == *apex && zone.is_active == is_active) {
            return;
        }
        let known = self.take(id).map(|zone| (zone.records, zone.is_complete));
        let (records, is_complete) = known.unwrap_or_default();
        let zone = Zone {
            apex: apex.clone(),
            is_active,
            is_complete,
            records,
        };
        self.zones.insert(id.clone(), zone);
        let zones = &self.zones;
        let rank = |id: &ZoneId| {
            let is_active = zones.get(id).is_some_and(|zone| zone.is_active);
            (!is_active, id.clone())
        };
        let ids = self.by_apex.entry(apex.clone()).or_default();
        ids.push(id.clone());
        ids.sort_by_key(rank);
    }

    /// Forgets a zone that is no longer listed.
    pub fn remove(&mut self, id: &ZoneId) {
        self.take(id);
    }

    /// Replaces the records of a listed zone; `None` if they are no longer known. `is_complete`
    /// means that there are no others. Returns whether this changed anything.
    pub fn set(
        &mut self,
        id: &ZoneId,
        records: Option<impl IntoIterator<Item = (RecordName, RecordTarget)>>,
        is_complete: bool,
    ) -> bool {
        let Some(zone) = self.zones.get_mut(id) else {
            return false;
        };
        let records = records.map(|records| {
            let keyed = records
                .into_iter()
                .map(|(name, target)| (key_of(&name), target));
            let mut records: Vec<_> = keyed.collect();
            records.sort_unstable();
            records.dedup();
            records.into_boxed_slice()
        });
        let is_other = zone.records != records || zone.is_complete != is_complete;
        zone.records = records;
        zone.is_complete = is_complete;
        is_other
    }

    /// Follows a host, CNAME by CNAME.
    pub fn follow(&self, host: &HostName) -> Followed {
        let mut followed = Followed {
            chain: Vec::new(),
            zones: Vec::new(),
            is_partial: false,
            end: End::TooLong,
        };
        followed.end = self.end_of(host, &mut followed);
        followed
    }

    /// Where a host's chain ends. Notes its names and zones.
    fn end_of(&self, host: &HostName, followed: &mut Followed) -> End {
        let mut current = host.clone();
        for _ in 0..=MAX_ALIASES {
            let Some((id, zone)) = self.zone_of(&current) else {
                return End::Outside(current);
            };
            if !followed.zones.contains(id) {
                followed.zones.push(id.clone());
            }
            let Some(records) = &zone.records else {
                return End::NotRead;
            };
            followed.is_partial |= !zone.is_complete;
            match find(records, &zone.apex, &current) {
                [] if zone.is_complete => return End::Outside(current),
                [] => return End::NotRead,
                [(_, RecordTarget::NoOrigin(why)), ..] => return End::NoOrigin(*why),
                [(_, RecordTarget::Alias(target)), ..] => {
                    followed.chain.push(target.clone());
                    current = target.clone();
                }
                records @ [(_, RecordTarget::Address(_)), ..] => {
                    let ips = records.iter().filter_map(|(_, target)| match target {
                        RecordTarget::Address(ip) => Some(*ip),
                        _ => None,
                    });
                    return End::Addresses(ips.collect());
                }
            }
        }
        End::TooLong
    }

    /// The zone with the longest name that contains the host.
    fn zone_of(&self, host: &HostName) -> Option<(&ZoneId, &Zone)> {
        let mut name = host.as_str();
        loop {
            if let Some(ids) = self.by_apex.get(name) {
                let id = ids.first()?;
                return Some((id, self.zones.get(id)?));
            }
            (_, name) = name.split_once('.')?;
        }
    }

    fn take(&mut self, id: &ZoneId) -> Option<Zone> {
        let zone = self.zones.remove(id)?;
        if let Some(ids) = self.by_apex.get_mut(&zone.apex) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_apex.remove(&zone.apex);
            }
        }
        Some(zone)
    }
}

/// The records that answer for a name: its own, or those of the wildcard directly below its closest
/// existing ancestor (RFC 4592). A wildcard does not answer for existing names or for names below
/// these.
fn find<'a>(
    records: &'a [(Key, RecordTarget)],
    apex: &HostName,
    host: &HostName,
) -> &'a [(Key, RecordTarget)] {
    let apex = reversed(apex.as_str());
    let key = reversed(host.as_str());
    let own = at(records, &key);
    if !own.is_empty() || has_below(records, &key) {
        return own;
    }
    let mut ancestor = key.as_str();
    while ancestor.len() > apex.len() {
        let Some((shorter, _)) = ancestor.rsplit_once('.') else {
            break;
        };
        ancestor = shorter;
        let exists = ancestor.len() == apex.len()
            || !at(records, ancestor).is_empty()
            || has_below(records, ancestor);
        if exists {
            return at(records, &format!("{ancestor}.*"));
        }
    }
    &[]
}

/// The records with exactly this key.
fn at<'a>(records: &'a [(Key, RecordTarget)], key: &str) -> &'a [(Key, RecordTarget)] {
    let start = records.partition_point(|(other, _)| **other < *key);
    let rest = records.get(start..).unwrap_or_default();
    let end = rest.partition_point(|(other, _)| **other == *key);
    rest.get(..end).unwrap_or_default()
}

/// Whether there are names below a key, so that it exists even without records of its own.
fn has_below(records: &[(Key, RecordTarget)], key: &str) -> bool {
    let below = format!("{key}.");
    let start = records.partition_point(|(other, _)| **other < *below);
    records
        .get(start)
        .is_some_and(|(other, _)| other.starts_with(&below))
}

fn key_of(name: &RecordName) -> Key {
    let mut key = reversed(name.host().as_str());
    if name.is_wildcard() {
        key.push_str(".*");
    }
    key.into()
}

fn reversed(name: &str) -> String {
    let labels: Vec<_> = name.rsplit('.').collect();
    labels.join(".")
}

#[cfg(test)]
#[path = "account_records_tests.rs"]
mod tests;
