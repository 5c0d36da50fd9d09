//! The origin hosts of a zone, and the addresses that are left out.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::layout;
use super::query::Search;
use crate::domain::{HostName, HostState, OriginIp};
use crate::findings::{LeftOut, Source, ZoneFindings};
use crate::snapshot::ZoneState;

/// The most hosts on the page.
const HOSTS_SHOWN: usize = 100;
/// The most addresses per host on the page.
const ADDRESSES_SHOWN: usize = 8;
/// The most rows of left out addresses; the API has the rest.
const LEFT_OUT_SHOWN: usize = 100;

/// What is known about a host.
#[derive(Debug, Default)]
struct Host {
    /// Its addresses, with the reason for those that are left out.
    addresses: BTreeMap<OriginIp, Option<&'static str>>,
    /// The number of its addresses, if it is rotating.
    rotating: Option<usize>,
    /// Its state if it does not resolve.
    unresolved: Option<HostState>,
}

impl Host {
    /// Whether it needs no attention. Other hosts come first.
    fn is_good(&self) -> bool {
        self.rotating.is_none() && self.unresolved.is_none()
    }
}

/// The hosts that resolve to origins, with their addresses.
pub(super) fn hosts(state: &ZoneState, search: &Search) -> Markup {
    let Some(data) = &state.data else {
        return html! {};
    };
    let mut hosts: Vec<_> = collect(&data.findings).into_iter().collect();
    hosts.retain(|(name, host)| {
        let words = [Some(name.as_str())];
        let mut addresses = host.addresses.keys().map(ToString::to_string);
        addresses.any(|ip| search.takes(Some(&ip), &words))
            || (host.addresses.is_empty() && search.takes(Some(""), &words))
    });
    let is_mapped = |ip: OriginIp| data.mappings.get(ip).is_some();
    hosts.sort_by_key(|(_, host)| host.is_good());
    let cells = |(name, host): &(&HostName, Host)| {
        let state = html! {
            @match (host.rotating, host.unresolved) {
                (Some(number), _) => { span.bad { "rotating" } ", " (number) " addresses" }
                (None, Some(HostState::NoAddress)) => span.bad { "no address" },
                (None, Some(_)) => span.bad { "failing" },
                (None, None) => "has addresses",
            }
        };
        [
            ("Host", html! { (name) }),
            ("State", state),
            ("Addresses", addresses(host, is_mapped)),
        ]
    };
    let unnamed = unnamed(&data.findings);
    html! {
        @if !hosts.is_empty() || !unnamed.is_empty() {
            h2 { "Origin hosts" }
            @if !unnamed.is_empty() { p { "More hosts that do not resolve: " (unnamed) "." } }
            @if hosts.len() > HOSTS_SHOWN {
                p { "The first " (HOSTS_SHOWN) " of " (hosts.len()) "." }
            }
            @if !hosts.is_empty() {
                (layout::table(hosts.iter().take(HOSTS_SHOWN).map(cells)))
            }
        }
    }
}

fn collect(findings: &ZoneFindings) -> BTreeMap<&HostName, Host> {
    let mut hosts: BTreeMap<&HostName, Host> = BTreeMap::new();
    for origin in &findings.origins {
        for name in &origin.hosts {
            let host = hosts.entry(name).or_default();
            host.addresses.insert(origin.origin_ip, None);
        }
    }
    for left_out in &findings.left_out {
        for (name, ip) in left_out.hosts.iter().zip(left_out.origin_ip.iter().cycle()) {
            let host = hosts.entry(name).or_default();
            host.addresses.insert(*ip, Some(left_out.reason.as_str()));
        }
    }
    for rotating in &findings.rotating {
        hosts.entry(&rotating.host).or_default().rotating = Some(rotating.addresses);
    }
    for unresolved in &findings.unresolved_hosts {
        hosts.entry(&unresolved.host).or_default().unresolved = Some(unresolved.state);
    }
    hosts
}

/// `2 failing, 1 no address`: the unresolved hosts that the findings do not name.
fn unnamed(findings: &ZoneFindings) -> String {
    let words = [HostState::Failing, HostState::NoAddress].map(|state| {
        let counts = findings.hosts.as_ref();
        let count = counts.and_then(|counts| counts.get(&state)).copied();
        let unresolved = findings.unresolved_hosts.iter();
        let named = unresolved.filter(|host| host.state == state).count();
        let more = count.unwrap_or_default().saturating_sub(named);
        (more > 0).then(|| format!("{more} {}", state.as_str().replace('_', " ")))
    });
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn addresses(host: &Host, is_mapped: impl Fn(OriginIp) -> bool) -> Markup {
    let rest = host.addresses.len().saturating_sub(ADDRESSES_SHOWN);
    html! {
        @for (number, (ip, left_out)) in host.addresses.iter().take(ADDRESSES_SHOWN).enumerate() {
            @if number > 0 { br; }
            (ip) " "
            @match left_out {
                _ if is_mapped(*ip) => span.quiet { "mapped" },
                Some(reason) => span.quiet { "left out: " (reason.replace('_', " ")) },
                None => span.bad { "no mapping" },
            }
        }
        @if rest > 0 { br; span.quiet { (rest) " more" } }
    }
}

/// What the sources name but is not an expected origin, with the reason.
pub(super) fn left_out(state: &ZoneState) -> Markup {
    let left_out = state.findings().map_or(&[][..], |found| &found.left_out);
    let shown = left_out.get(..LEFT_OUT_SHOWN).unwrap_or(left_out);
    let cells = |row: &LeftOut| {
        let origin_ip = row.origin_ip.map(|ip| ip.to_string());
        let hosts: Vec<_> = row.hosts.iter().map(HostName::as_str).collect();
        let sources: Vec<_> = row.sources.iter().map(Source::as_str).collect();
        [
            ("Origin", html! { (origin_ip.as_deref().unwrap_or("–")) }),
            ("Hosts", html! { (hosts.join(", ")) }),
            ("Sources", html! { (sources.join(", ").replace('_', " ")) }),
            ("Reason", html! { (row.reason.as_str().replace('_', " ")) }),
        ]
    };
    html! {
        @if !left_out.is_empty() {
            h2 { "Left out" }
            p {
                "What the zone’s records, load balancers and rules name, and what needs no mapping."
                @if left_out.len() > shown.len() { " The first " (shown.len()) " of " (left_out.len()) "." }
            }
            (layout::table(shown.iter().map(cells)))
        }
    }
}
