//! Renders findings as a table: what is wrong, why, and how to fix it.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout;
use crate::findings::{Check, FindingKind, Source};
use crate::snapshot::rows::FindingRow;

/// The findings of one zone.
pub(super) fn of_zone<'a>(rows: impl Iterator<Item = &'a FindingRow>, now: Timestamp) -> Markup {
    layout::table(rows.map(|row| cells(row, now)))
}

/// The findings of several zones.
pub(super) fn of_zones<'a>(rows: impl Iterator<Item = &'a FindingRow>, now: Timestamp) -> Markup {
    layout::table(rows.map(|row| {
        let zone = html! { a href={ "/zones/" (row.zone_id) } { (row.zone) } };
        let [origin, kind, why, mapped, expected, fix] = cells(row, now);
        [("Zone", zone), kind, origin, why, mapped, expected, fix]
    }))
}

/// Origin, kind, reason, actual place, expected place and fix.
fn cells(row: &FindingRow, now: Timestamp) -> [(&'static str, Markup); 6] {
    let (vendor, region) = (&row.expected_vendor, &row.expected_region);
    let expected = layout::place(vendor.as_deref(), region.as_deref(), "–");
    [
        ("Origin", origin(row)),
        ("Finding", html! { span.bad { (row.finding.as_str()) } }),
        ("Why", why(row, now)),
        ("Mapped to", mapped(row)),
        ("Expected", expected),
        ("Fix", fix(row)),
    ]
}

fn origin(row: &FindingRow) -> Markup {
    html! {
        @match (&row.origin_ip, &row.host) {
            (Some(origin_ip), None) => { (origin_ip) },
            (Some(origin_ip), Some(host)) => { (origin_ip) br; span.quiet { (host) } },
            (None, Some(host)) => { (host) },
            (None, None) => span.quiet { "all mappings" },
        }
    }
}

fn why(row: &FindingRow, now: Timestamp) -> Markup {
    html! {
        @match (row.finding, row.source, row.check) {
            (FindingKind::Rotating, ..) => {
                "the host has " (row.addresses.unwrap_or_default()) " addresses, and they change"
            }
            (FindingKind::Unused, ..) => "no source of origins names the address any more",
            (_, Some(Source::Config), _) => "the configuration expects it",
            (_, Some(Source::Dns), _) => "a proxied DNS record points to it",
            (_, Some(Source::Rule), _) => "a rule sends requests to it",
            (_, Some(Source::LoadBalancer), _) => "a load balancer sends requests to it",
            (_, _, Some(Check::Declared)) => "the configuration declares another region",
            (_, _, Some(Check::HostName)) => "the origin’s host name spells another region",
            (_, _, Some(Check::VendorRanges)) => "the vendor’s published ranges say otherwise",
            (_, _, Some(Check::SupportedRegions)) => "Cloudflare supports no such region",
            (FindingKind::Stale, ..) => { "last modified " (layout::when(row.modified_on, now)) }
            (FindingKind::Idle, ..) => "Tiered Cache or its Smart topology is off, so mappings have no effect",
            _ => "",
        }
    }
}

fn mapped(row: &FindingRow) -> Markup {
    let none = if row.finding == FindingKind::Missing {
        "no mapping"
    } else {
        "–"
    };
    layout::place(row.vendor.as_deref(), row.region.as_deref(), none)
}

fn fix(row: &FindingRow) -> Markup {
    let place = match (&row.expected_vendor, &row.expected_region) {
        (Some(vendor), Some(region)) => Some(format!("{vendor} {region}")),
        _ => None,
    };
    html! {
        @match (row.finding, place) {
            (FindingKind::Missing, Some(place)) => { "Add a mapping to " (place) "." }
            (FindingKind::Missing, None) => "Find the origin’s region, then add a mapping.",
            (FindingKind::Wrong, Some(place)) => { "Change the mapping to " (place) "." }
            (FindingKind::Wrong, None) => "Find the origin’s region, then change the mapping.",
            (FindingKind::Stale, _) => "Check that the origin is still there, then write the mapping again.",
            (FindingKind::Unused, _) => "Delete the mapping.",
            (FindingKind::Rotating, _) => {
                "Give the origin a fixed address: an Elastic IP, a network load balancer or another "
                "static entry point."
            }
            (FindingKind::Idle, _) => "Turn on Tiered Cache with the Smart topology, or delete the mappings.",
        }
    }
}
