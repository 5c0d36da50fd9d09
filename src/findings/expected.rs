//! Which origins should be mapped, and where.

use std::collections::{BTreeMap, BTreeSet};

use super::places::Places;
use super::supported::spell;
use super::{
    Candidates, Evaluation, Evidence, ExpectedOrigin, HostAnswer, LeftOut, LeftOutReason,
    MAX_UNRESOLVED_HOSTS, RangesUse, RotatingHost, Source, SourceState, Sources, UnresolvedHost,
    ZoneFindings,
};
use crate::domain::{HostName, HostState, OriginIp};

/// The addresses that the sources name, whether or not an origin is expected there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedAddresses {
    /// The addresses.
    pub addresses: BTreeSet<OriginIp>,
    /// Whether these are all: every source is on and was read successfully, and no host is failing
    /// or not resolved yet.
    pub is_complete: bool,
    /// Whether a source that is on or a host is not completely known, so that more addresses may be
    /// named.
    pub has_gap: bool,
}

/// Combines what is expected of a zone: the findings as far as they do not depend on the mappings,
/// and what the sources name. An origin that several sources name counts under the first
/// of these: configuration, load balancers, rules, DNS.
///
/// An address that no public origin can have is never expected, even if it is declared: Cloudflare
/// cannot reach it. A mapping of it is still compared with the declaration.
///
/// With ranges, a discovered origin is expected only if a cloud vendor publishes its address.
pub(super) fn expected(evidence: &Evidence<'_>, places: &Places<'_>) -> Evaluation {
    let mut declared = Candidates::default();
    let addresses = evidence.declared.iter().map(|origin| origin.origin_ip);
    declared.addresses.extend(addresses);
    for origin in evidence.declared_hosts {
        declared.add_host(origin.host.clone());
    }
    let mut builder = Builder::new(evidence);
    builder.take_all(&declared);
    builder.finish(places)
}

/// How the judged sources name one address.
#[derive(Default)]
struct Naming<'a> {
    sources: Sources,
    /// Whether a source names the address itself.
    itself: bool,
    hosts: BTreeSet<&'a HostName>,
    rotating_hosts: BTreeSet<&'a HostName>,
}

struct Builder<'a> {
    evidence: &'a Evidence<'a>,
    sources: BTreeMap<Source, usize>,
    addresses: BTreeMap<OriginIp, Naming<'a>>,
    /// Every host that a source names, whether or not the source is judged.
    hosts: BTreeMap<&'a HostName, Sources>,
    /// By address, or by host if there is no address.
    left_out: BTreeMap<(Option<OriginIp>, Option<&'a HostName>), LeftOut>,
    named: BTreeSet<OriginIp>,
}

impl<'a> Builder<'a> {
    fn new(evidence: &'a Evidence<'a>) -> Self {
        Self {
            evidence,
            sources: BTreeMap::new(),
            addresses: BTreeMap::new(),
            hosts: BTreeMap::new(),
            left_out: BTreeMap::new(),
            named: BTreeSet::new(),
        }
    }

    /// Takes what the sources name. Sources that are not judged contribute only to what is named.
    fn take_all(&mut self, declared: &'a Candidates) {
        let discovered = self.evidence.discovered;
        let has_ranges = !matches!(self.evidence.ranges, RangesUse::NotLoaded(_));
        // Without the load balancers it is not known which DNS records are in use.
        let has_load_balancers = discovered.load_balancers != SourceState::NotRead;
        let is_declared = *declared != Candidates::default();
        let declared = is_declared.then_some((Source::Config, declared));
        for (source, candidates) in declared.into_iter().chain(discovered.known()) {
            self.note_named(source, candidates);
            let is_judged = match source {
                Source::Config => true,
                Source::LoadBalancer | Source::Rule => has_ranges,
                Source::Dns => has_ranges && has_load_balancers,
            };
            if is_judged {
                self.take(source, candidates);
            }
        }
    }

    fn note_named(&mut self, source: Source, candidates: &'a Candidates) {
        self.named.extend(&candidates.addresses);
        let unusable = candidates.left_out.iter();
        self.named
            .extend(unusable.filter_map(|unusable| unusable.origin_ip));
        for host in &candidates.hosts {
            self.hosts.entry(host).or_default().insert(source);
            if let Some(answer) = self.evidence.hosts.get(host) {
                self.named.extend(&answer.addresses);
            }
        }
    }

    fn take(&mut self, source: Source, candidates: &'a Candidates) {
        self.sources.insert(source, 0);
        for ip in &candidates.addresses {
            let naming = self.addresses.entry(*ip).or_default();
            naming.sources.insert(source);
            naming.itself = true;
        }
        for host in &candidates.hosts {
            if let Some(answer) = self.evidence.hosts.get(host) {
                self.take_host(source, host, answer);
            }
        }
        for unusable in &candidates.left_out {
            let host = unusable.host.as_ref();
            self.leave_out(source, unusable.origin_ip, host, unusable.reason);
        }
    }

    fn take_host(&mut self, source: Source, host: &'a HostName, answer: &HostAnswer) {
        if let Some(reason) = answer.left_out {
            self.leave_out(source, None, Some(host), reason);
            return;
        }
        for ip in &answer.addresses {
            let naming = self.addresses.entry(*ip).or_default();
            naming.sources.insert(source);
            if answer.is_rotating {
                naming.rotating_hosts.insert(host);
            } else {
                naming.hosts.insert(host);
            }
        }
    }

    fn leave_out(
        &mut self,
        source: Source,
        ip: Option<OriginIp>,
        host: Option<&'a HostName>,
        reason: LeftOutReason,
    ) {
        let key = (ip, host.filter(|_| ip.is_none()));
        let left_out = self.left_out.entry(key).or_insert_with(|| LeftOut {
            origin_ip: ip,
            hosts: BTreeSet::new(),
            sources: Sources::default(),
            reason,
        });
        left_out.sources.insert(source);
        left_out.hosts.extend(host.cloned());
        left_out.reason = left_out.reason.min(reason);
    }

    fn finish(mut self, places: &Places<'_>) -> Evaluation {
        let mut origins = Vec::new();
        for (ip, naming) in std::mem::take(&mut self.addresses) {
            if let Some(reason) = self.reason_to_leave_out(ip, &naming) {
                for source in naming.sources.iter() {
                    self.leave_out(source, Some(ip), None, reason);
                }
                if let Some(left_out) = self.left_out.get_mut(&(Some(ip), None)) {
                    let hosts = naming.hosts.into_iter().chain(naming.rotating_hosts);
                    left_out.hosts.extend(hosts.cloned());
                }
                continue;
            }
            // One source may call it unusable while another one needs it.
            self.left_out.remove(&(Some(ip), None));
            let (place, check) = places.of(ip);
            let place = spell(place, self.evidence.supported);
            let origin = ExpectedOrigin {
                origin_ip: ip,
                sources: naming.sources,
                hosts: naming.hosts.into_iter().cloned().collect(),
                named_itself: naming.itself,
                place,
                check,
            };
            *self.sources.entry(origin.source()).or_default() += 1;
            origins.push(origin);
        }
        let discovered = self.evidence.discovered;
        let knows_all_hosts = self.knows_all_hosts();
        Evaluation {
            findings: ZoneFindings {
                origins,
                rotating: self.rotating(),
                hosts: self.host_states(),
                unresolved_hosts: self.unresolved_hosts(),
                is_partial: self.is_partial(),
                expected: self.sources,
                left_out: self.left_out.into_values().collect(),
                ..ZoneFindings::default()
            },
            named: NamedAddresses {
                is_complete: discovered.is_current() && knows_all_hosts,
                has_gap: discovered.has_gap() || !knows_all_hosts,
                addresses: self.named,
            },
        }
    }

    fn reason_to_leave_out(&self, ip: OriginIp, naming: &Naming<'_>) -> Option<LeftOutReason> {
        let is_in = |nets: &[ipnet::IpNet]| nets.iter().any(|net| net.contains(&ip.addr()));
        let is_declared = naming.sources.iter().any(|source| source == Source::Config);
        if ip.is_placeholder() && !is_declared {
            Some(LeftOutReason::Placeholder)
        } else if ip.is_special_purpose() {
            Some(LeftOutReason::SpecialPurpose)
        } else if is_in(self.evidence.cloudflare) {
            Some(LeftOutReason::Cloudflare)
        } else if is_in(self.evidence.ignore) {
            Some(LeftOutReason::Ignored)
        } else if !naming.itself && naming.hosts.is_empty() {
            Some(LeftOutReason::Rotating)
        } else if !is_declared && self.is_outside_ranges(ip) {
            Some(LeftOutReason::OutsideVendorRanges)
        } else {
            None
        }
    }

    fn is_outside_ranges(&self, ip: OriginIp) -> bool {
        let RangesUse::Loaded(verdict) = self.evidence.ranges else {
            return false;
        };
        verdict(ip).place().is_unknown()
    }

    /// The hosts that are resolved, without those that have no origin address.
    fn resolvable(&self) -> impl Iterator<Item = (&HostName, Sources, Option<HostState>)> {
        self.hosts.iter().filter_map(|(host, sources)| {
            let answer = self.evidence.hosts.get(*host);
            let is_left_out = answer.is_some_and(|answer| answer.left_out.is_some());
            let state = answer.and_then(HostAnswer::state);
            (!is_left_out).then_some((*host, *sources, state))
        })
    }

    fn rotating(&self) -> Vec<RotatingHost> {
        self.resolvable()
            .filter_map(|(host, sources, _)| {
                let answer = self.evidence.hosts.get(host)?;
                answer.is_rotating.then(|| RotatingHost {
                    host: host.clone(),
                    sources,
                    addresses: answer.addresses.len(),
                })
            })
            .collect()
    }

    fn host_states(&self) -> Option<BTreeMap<HostState, usize>> {
        if self.hosts.is_empty() && self.evidence.discovered.known().next().is_none() {
            return None;
        }
        let mut counts: BTreeMap<_, _> = HostState::ALL.map(|state| (state, 0)).into();
        for state in self.resolvable().filter_map(|(_, _, state)| state) {
            *counts.entry(state).or_default() += 1;
        }
        Some(counts)
    }

    fn unresolved_hosts(&self) -> Vec<UnresolvedHost> {
        let of_state = |wanted| {
            let hosts = self
                .resolvable()
                .filter(move |(_, _, state)| *state == Some(wanted));
            let unresolved = hosts.map(move |(host, sources, _)| UnresolvedHost {
                state: wanted,
                host: host.clone(),
                sources,
            });
            unresolved.take(MAX_UNRESOLVED_HOSTS)
        };
        let states = [HostState::Failing, HostState::NoAddress];
        states.into_iter().flat_map(of_state).collect()
    }

    fn is_partial(&self) -> bool {
        let is_waiting_for_ranges = matches!(self.evidence.ranges, RangesUse::NotLoaded(_));
        let discovered = self.evidence.discovered;
        (is_waiting_for_ranges && !discovered.is_off())
            || discovered.is_waiting()
            || self.resolvable().any(|(_, _, state)| state.is_none())
    }

    fn knows_all_hosts(&self) -> bool {
        self.resolvable().all(|(host, ..)| {
            let answer = self.evidence.hosts.get(host);
            answer.is_some_and(HostAnswer::is_complete)
        })
    }
}
