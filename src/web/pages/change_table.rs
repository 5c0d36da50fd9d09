//! Renders changes as a table.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout;
use crate::domain::{Region, Vendor};
use crate::history::{Change, ChangeKind};

/// The changes, each with its zone.
pub(super) fn table<'a>(changes: impl Iterator<Item = &'a Change>, now: Timestamp) -> Markup {
    layout::table(changes.map(|change| {
        let (before, after) = places(change);
        let zone = html! { a href={ "/zones/" (change.zone_id) } { (change.zone) } };
        [
            ("When", layout::when(Some(change.time), now)),
            ("Zone", zone),
            ("Change", what(change)),
            ("Origin", origin(change)),
            ("Before", before),
            ("After", after),
            ("By", by(change, now)),
        ]
    }))
}

fn what(change: &Change) -> Markup {
    let details = &change.details;
    let finding = details
        .finding
        .map_or("finding", |finding| finding.as_str());
    html! {
        @match details.kind {
            ChangeKind::MappingAdded => "mapping added",
            ChangeKind::MappingRemoved => "mapping removed",
            ChangeKind::MappingChanged => "mapping changed",
            ChangeKind::FindingAppeared => span.bad { (finding) },
            ChangeKind::FindingCleared => { span.good { "cleared" } ": " (finding) },
        }
        @if let Some(check) = details.check { " (" (check.as_str().replace('_', " ")) ")" }
    }
}

fn origin(change: &Change) -> Markup {
    let details = &change.details;
    html! {
        @if let Some(origin_ip) = details.origin_ip { (origin_ip) }
        @if let Some(host) = &details.host { " " span.quiet { (host) } }
        @if details.origin_ip.is_none() && details.host.is_none() {
            span.quiet { "all mappings" }
        }
    }
}

/// Vendor and region before and after the change. Those of a finding that cleared are the ones that
/// it was about.
fn places(change: &Change) -> (Markup, Markup) {
    let details = &change.details;
    let current = place(details.vendor.as_ref(), details.region.as_ref());
    if details.kind == ChangeKind::FindingCleared {
        return (current, place(None, None));
    }
    let previous = place(
        details.previous_vendor.as_ref(),
        details.previous_region.as_ref(),
    );
    (previous, current)
}

fn place(vendor: Option<&Vendor>, region: Option<&Region>) -> Markup {
    layout::place(vendor.map(Vendor::as_str), region.map(Region::as_str), "–")
}

fn by(change: &Change, now: Timestamp) -> Markup {
    html! {
        @match &change.actor {
            Some(actor) => {
                (actor.name) " " span.quiet { (actor.context) ", " (layout::when(Some(actor.time), now)) }
            }
            None => span.quiet { "–" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ZoneId, ZoneName};
    use crate::findings::FindingKind;
    use crate::history::Details;

    #[test]
    fn the_place_of_a_finding_that_cleared_was_before() {
        let place = |kind| {
            let details = Details {
                finding: Some(FindingKind::Wrong),
                vendor: Some(Vendor::Aws),
                ..Details::new(kind)
            };
            let change = Change {
                id: 1,
                time: Timestamp::UNIX_EPOCH,
                zone: ZoneName::parse("example.com").unwrap(),
                zone_id: ZoneId::parse("abc").unwrap(),
                details,
                actor: None,
            };
            let (before, after) = places(&change);
            [before, after].map(|place| place.into_string().contains("aws"))
        };
        assert_eq!(place(ChangeKind::FindingAppeared), [false, true]);
        assert_eq!(place(ChangeKind::FindingCleared), [true, false]);
    }
}
