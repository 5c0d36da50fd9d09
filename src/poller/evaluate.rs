//! Evaluates the mappings of zones against the configuration and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;
use super::discovery::ZoneConfig;
use super::enrichment::refresh::Regions;
use super::recorder::Recorder;
use super::zone::PolledZone;
use super::{Context, Poller, log_events, state};
use crate::domain::{HostName, OriginIp, ZoneMappings};
use crate::findings::{
    self, Evaluation, Evidence, ExpectedOrigin, HostAnswer, RangesUse, ZoneFindings,
};
use crate::snapshot::ZoneState;

/// How long pending evaluations may block the poller's other work. A zone takes about 12 µs.
const TIME_SLICE: Duration = Duration::from_millis(5);

impl PolledZone {
    /// Evaluates mappings of the zone, whose account lists `regions`. `show` decides which missing
    /// origins are reported, given the address and whether it is reported now. The others are
    /// unconfirmed, except those of hosts that may turn out to be rotating.
    pub(super) fn evaluate(
        &mut self,
        mappings: &ZoneMappings,
        context: &Context,
        regions: &Regions,
        show: impl Fn(&OriginIp, bool) -> bool,
    ) -> ZoneFindings {
        let now = context.now;
        let ranges = &context.evaluation.ranges;
        let table = ranges.table();
        let verdict = |ip| table.verdict(ip);
        let ranges = match (ranges.is_enabled(), ranges.all_loaded()) {
            (false, _) => RangesUse::Off,
            (true, false) => RangesUse::NotLoaded(&verdict),
            (true, true) => RangesUse::Loaded(&verdict),
        };
        let expect = &context.evaluation.expect;
        let discovered = self.enrichment.discovered(context);
        let ZoneConfig {
            declared,
            declared_hosts,
            ..
        } = &self.config;
        let named = declared_hosts.iter().map(|declared| &declared.host);
        let named = named.chain(discovered.hosts());
        let id = &self.slot.id;
        let (hosts, paths) = context.hosts.answers(id, named, &self.enrichment.paths);
        if self.enrichment.paths != paths {
            self.enrichment.paths = paths;
            context.recorder.sources(id, &self.enrichment);
        }
        let evidence = Evidence {
            declared,
            declared_hosts,
            ignore: &expect.ignore,
            discovered: &discovered,
            hosts: &hosts,
            cloudflare: &context.cloudflare_ips.ranges,
            supported: regions.known.as_deref(),
            ranges,
        };
        let Evaluation {
            mut findings,
            named,
        } = findings::evaluate(mappings, &evidence);
        let is_resolved = hosts.values().all(|answer| answer.state().is_some());
        let was_read = self.enrichment.was_enriched;
        findings.unused = self.enrichment.usage.observe(
            &named,
            mappings,
            was_read,
            is_resolved,
            expect.unused_after,
            now,
        );
        let state = self.slot.load();
        // After a restart, keep the findings of the earlier process until the hosts are resolved.
        let is_restored = !self.enrichment.was_enriched;
        if let Some(data) = &state.data
            && is_restored
            && self.enrichment.usage.waits_for_hosts(now)
        {
            self.enrichment.lookups.unconfirmed.clear();
            return ZoneFindings::clone(&data.findings);
        }
        let missing = state.findings().map_or(&[][..], |known| &known.missing);
        let shown: BTreeSet<OriginIp> = missing.iter().map(|origin| origin.origin_ip).collect();
        let mut unconfirmed = BTreeSet::new();
        findings.missing.retain(|origin| {
            let ip = origin.origin_ip;
            let is_mapped = self.enrichment.lookups.mapped.contains(&ip);
            let is_shown = !is_mapped && show(&ip, shown.contains(&ip));
            if !is_shown && !was_determined(&state, origin) {
                findings.undetermined.insert(ip);
            }
            // A rotating host is one finding, not a missing origin for each address seen before.
            if !is_shown && !is_mapped && !is_settling(origin, &hosts) {
                unconfirmed.insert(ip);
            }
            is_shown
        });
        self.enrichment.lookups.unconfirmed = unconfirmed;
        findings
    }

    /// Evaluates the current mappings again, with `show` as in [`Self::evaluate`].
    pub(super) fn evaluate_again(
        &mut self,
        context: &Context,
        regions: &Regions,
        show: impl Fn(&OriginIp, bool) -> bool,
    ) {
        let old = self.slot.load();
        let tiered_cache = self.enrichment.tiered_cache(context);
        let data = old.data.as_ref();
        let findings = data.map(|data| self.evaluate(&data.mappings, context, regions, show));
        if let Some(new) = state::evaluated(&old, findings, tiered_cache) {
            self.publish(&old, new, &context.recorder);
        }
    }

    /// Publishes the zone's next state. All changes of mappings and findings pass through here.
    pub(super) fn publish(&self, old: &ZoneState, new: ZoneState, recorder: &Recorder) {
        log_events::log_left_out(old, &new);
        log_events::log_unsupported_declarations(old, &new);
        self.slot.publish(new);
        recorder.published(old, &self.slot);
    }
}

/// Whether the origin is named only by hosts that may turn out to be rotating.
fn is_settling(origin: &ExpectedOrigin, hosts: &BTreeMap<HostName, HostAnswer>) -> bool {
    let is_settling = |host| hosts.get(host).is_some_and(|answer| answer.is_settling);
    !origin.named_itself && origin.hosts.iter().all(is_settling)
}

/// Whether this state already determined that the origin is mapped or not expected.
fn was_determined(state: &ZoneState, origin: &ExpectedOrigin) -> bool {
    let Some(findings) = state.findings() else {
        return false;
    };
    let ip = origin.origin_ip;
    let by = |known: &ExpectedOrigin| known.origin_ip.cmp(&ip);
    let is_new = findings.origins.binary_search_by(by).is_err();
    // The host may have been unknown until now.
    let is_first_answer = is_new && findings.is_partial && origin.host().is_some();
    findings.expected.contains_key(&origin.source())
        && !findings.undetermined.contains(&ip)
        && !is_first_answer
}

impl Account {
    /// Reports the missing origins that a single round could not look up, in zones whose list of
    /// mappings was complete.
    pub(super) fn publish_unconfirmed(&mut self, context: &Context) {
        for zone in self.zones.values_mut() {
            let is_list_complete = zone.is_list_complete();
            zone.evaluate_again(context, &self.regions, |_, shown| shown || is_list_complete);
        }
    }
}

impl Poller {
    /// Evaluates zones with outdated findings until the time slice is used up.
    pub(super) fn evaluate_pending(&mut self) {
        let started = Instant::now();
        for account in self.accounts.values_mut() {
            while started.elapsed() < TIME_SLICE
                && let Some(id) = account.evaluations.pop_first()
            {
                if let Some(zone) = account.zones.get_mut(&id) {
                    zone.evaluate_again(&self.context, &account.regions, |_, shown| shown);
                    account.queue_enrichment(&id, &self.context);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{AccountName, Mapping, Region, Vendor, Zone, ZoneId};
    use crate::findings::{DeclaredOrigin, ExpectedPlace};
    use crate::history;
    use crate::poller::discovery::ZoneConfig;
    use crate::poller::schedule::Cadence;
    use crate::poller::tests::context;
    use crate::snapshot::{StaleAfter, ZoneData, ZoneSlot};

    fn ip(last: u8) -> OriginIp {
        OriginIp::parse(&format!("192.0.2.{last}")).unwrap()
    }

    fn evaluate_again(
        zone: &mut PolledZone,
        context: &Context,
        show: impl Fn(&OriginIp, bool) -> bool,
    ) {
        zone.evaluate_again(context, &Regions::default(), show);
    }

    /// A zone that declares the origins 1 to 4, maps 1 and reports 2 as missing.
    fn zone(context: &Context) -> PolledZone {
        let mapping = Mapping {
            origin_ip: ip(1),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            modified_on: None,
        };
        let mappings = ZoneMappings::from_rows(vec![mapping]).unwrap();
        let declared = [1, 2, 3, 4].map(|last| DeclaredOrigin {
            origin_ip: ip(last),
            place: ExpectedPlace::default(),
        });
        let id = ZoneId::parse("a").unwrap();
        let account = AccountName::parse("default").unwrap();
        let interval = Duration::from_mins(5);
        let found = Zone::unknown(id.clone());
        let mut state = ZoneState::new(found, account, interval, StaleAfter::Never);
        state.data = Some(ZoneData {
            mappings: Arc::new(mappings),
            findings: Arc::default(),
        });
        let zone_config = ZoneConfig {
            interval,
            stale_after: StaleAfter::Never,
            declared: declared.into(),
            declared_hosts: [].into(),
        };
        let cadence = Cadence::nth(Instant::now(), 0);
        let mut zone = PolledZone::new(ZoneSlot::new(id, state), cadence, zone_config);
        evaluate_again(&mut zone, context, |address, _| *address == ip(2));
        zone
    }

    fn missing(zone: &PolledZone) -> Vec<OriginIp> {
        let state = zone.slot.load();
        let missing = &state.data.as_ref().unwrap().findings.missing;
        missing.iter().map(|origin| origin.origin_ip).collect()
    }

    #[test]
    fn an_origin_that_seems_missing_for_the_first_time_is_held_back() {
        let context = context();
        let mut zone = zone(&context);
        assert_eq!(missing(&zone), [ip(2)]);
        evaluate_again(&mut zone, &context, |_, shown| shown);
        assert_eq!(missing(&zone), [ip(2)]);
        assert_eq!(zone.enrichment.lookups.unconfirmed, [ip(3), ip(4)].into());
        evaluate_again(&mut zone, &context, |address, shown| {
            shown || *address == ip(3)
        });
        assert_eq!(missing(&zone), [ip(2), ip(3)]);
        assert_eq!(zone.enrichment.lookups.unconfirmed, [ip(4)].into());
    }

    /// The origins whose missing mapping is a change between the two states.
    fn appeared(old: &ZoneState, new: &ZoneState) -> Vec<OriginIp> {
        let [old, new] = [old, new].map(|state| ZoneState {
            polls: 2,
            ..state.clone()
        });
        let changes = history::zone_changes(&old, &new).into_iter();
        changes.filter_map(|change| change.origin_ip).collect()
    }

    #[test]
    fn an_origin_that_was_missing_from_the_first_reading_on_is_no_change_when_it_is_confirmed() {
        let context = context();
        let mut zone = zone(&context);
        let first = zone.slot.load();
        // Its lookup takes longer than the next poll.
        evaluate_again(&mut zone, &context, |_, shown| shown);
        evaluate_again(&mut zone, &context, |_, _| true);
        let confirmed = zone.slot.load();
        assert_eq!(missing(&zone), [ip(2), ip(3), ip(4)]);
        assert_eq!(appeared(&first, &confirmed), []);
        // A removed mapping is a change, and so is an origin that is declared later.
        let mut unmapped = ZoneState::clone(&confirmed);
        unmapped.data = Some(ZoneData {
            mappings: Arc::default(),
            findings: Arc::clone(&confirmed.data.as_ref().unwrap().findings),
        });
        zone.slot.publish(unmapped);
        let later = DeclaredOrigin {
            origin_ip: ip(5),
            place: ExpectedPlace::default(),
        };
        zone.config.declared = zone
            .config
            .declared
            .iter()
            .cloned()
            .chain([later])
            .collect();
        evaluate_again(&mut zone, &context, |_, shown| shown);
        let held_back = zone.slot.load();
        assert_eq!(missing(&zone), [ip(2), ip(3), ip(4)]);
        evaluate_again(&mut zone, &context, |_, _| true);
        let shown = zone.slot.load();
        assert_eq!(appeared(&held_back, &shown), [ip(1), ip(5)]);
    }

    #[test]
    fn an_evaluation_that_finds_nothing_new_publishes_nothing() {
        let context = context();
        let mut zone = zone(&context);
        let before = zone.slot.load();
        evaluate_again(&mut zone, &context, |_, shown| shown);
        assert!(Arc::ptr_eq(&before, &zone.slot.load()));
    }
}
