//! Logs changes.

use std::sync::Arc;

use tracing::info;

use super::{Change, ChangeKind};
use crate::domain::{Region, Vendor};

/// If a poll has more changes than this, they are logged as one summary.
const LINES_PER_POLL: usize = 20;

/// Logs the changes of one poll of one zone.
pub(super) fn log(changes: &[Arc<Change>]) {
    if changes.len() > LINES_PER_POLL {
        log_summary(changes);
    } else {
        for change in changes {
            log_change(change);
        }
    }
}

fn log_change(change: &Change) {
    let details = &change.details;
    let message = match details.kind {
        ChangeKind::MappingAdded => "mapping added",
        ChangeKind::MappingRemoved => "mapping removed",
        ChangeKind::MappingChanged => "mapping changed",
        ChangeKind::FindingAppeared => "finding appeared",
        ChangeKind::FindingCleared => "finding cleared",
    };
    // For a removed mapping, its last vendor and region are logged.
    let removed = details.kind == ChangeKind::MappingRemoved;
    let previous_vendor = details.previous_vendor.as_ref().map(Vendor::as_str);
    let previous_region = details.previous_region.as_ref().map(Region::as_str);
    let vendor = details.vendor.as_ref().map(Vendor::as_str);
    let region = details.region.as_ref().map(Region::as_str);
    info!(
        zone = %change.zone,
        zone_id = %change.zone_id,
        finding = details.finding.map(crate::findings::FindingKind::as_str),
        origin_ip = details.origin_ip.map(tracing::field::display),
        vendor = if removed { previous_vendor } else { vendor },
        region = if removed { previous_region } else { region },
        previous_vendor = previous_vendor.filter(|_| !removed),
        previous_region = previous_region.filter(|_| !removed),
        check = details.check.map(crate::findings::Check::as_str),
        host = details.host.as_ref().map(tracing::field::display),
        by = change.actor.as_ref().map(|actor| actor.name.as_str()),
        "{message}"
    );
}

fn log_summary(changes: &[Arc<Change>]) {
    let Some(first) = changes.first() else {
        return;
    };
    let of = |kind| {
        changes
            .iter()
            .filter(|change| change.details.kind == kind)
            .count()
    };
    let actor = |change: &Arc<Change>| change.actor.as_ref().map(|actor| actor.name.clone());
    let by = actor(first).filter(|name| {
        changes
            .iter()
            .all(|change| actor(change).as_ref() == Some(name))
    });
    info!(
        zone = %first.zone,
        zone_id = %first.zone_id,
        mappings_added = of(ChangeKind::MappingAdded),
        mappings_removed = of(ChangeKind::MappingRemoved),
        mappings_changed = of(ChangeKind::MappingChanged),
        findings_appeared = of(ChangeKind::FindingAppeared),
        findings_cleared = of(ChangeKind::FindingCleared),
        by,
        "mappings or findings changed"
    );
}
