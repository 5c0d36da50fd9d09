//! Live lookups of single mappings, following the multi-target exporter pattern.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout};
use tracing::info;
use url::form_urlencoded;

use super::reply::Reply;
use super::server::Peer;
use super::sources::Sources;
use crate::domain::{AccountName, Mapping, OriginIp, ZoneId};
use crate::panics::lock;
use crate::snapshot::Snapshot;
use crate::truncate::truncated;

/// The header with the scrape time-out of Prometheus.
pub(super) const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";
/// The default of Prometheus.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer time-outs are limited to this.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Shorter time-outs are rejected: no lookup would ever succeed, and each one costs a request.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
/// How long before the client's time-out the response is sent, if the time-out allows it.
const HEAD_START: Duration = Duration::from_millis(500);
/// The most probes at once; further requests get 503. Probes wait for the rate limit, and their
/// connections must not lock out scrapes.
const MAX_PROBES: usize = 16;
/// The most probes at once from one peer, so that others can probe too.
const MAX_PROBES_OF_PEER: usize = 12;
/// The least time between two log lines of failures, which clients can cause.
const LOG_INTERVAL: Duration = Duration::from_secs(10);
/// The most characters of a value that an error quotes.
const MAX_SHOWN_CHARS: usize = 255;

/// The mapping that a probe requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The account that polls the zone.
    pub account: AccountName,
    /// The zone.
    pub zone: ZoneId,
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The time limit for the lookup; after it the client gets an error response.
    pub limit: Duration,
}

/// A lookup in progress; `None` if the API returns no mapping. An error is described for the client.
pub type LookingUp = Pin<Box<dyn Future<Output = Result<Option<Mapping>, String>> + Send>>;

/// Looks up one mapping at Cloudflare.
pub type LookUp = Arc<dyn Fn(Wanted) -> LookingUp + Send + Sync>;

/// Answers probes.
#[derive(Default)]
pub(super) struct Probes {
    under_way: UnderWay,
    last_logged: Mutex<Option<Instant>>,
}

/// The peer of each probe in progress.
#[derive(Default)]
struct UnderWay(Mutex<Vec<Weak<Peer>>>);

impl UnderWay {
    /// Counts a probe as in progress while the value lives. `None` if there are too many.
    fn enter(&self, peer: Peer) -> Option<Arc<Peer>> {
        let mut peers = lock(&self.0);
        peers.retain(|other| other.strong_count() > 0);
        let others = peers.iter().filter_map(Weak::upgrade);
        let of_peer = others.filter(|other| **other == peer).count();
        if of_peer >= MAX_PROBES_OF_PEER || peers.len() >= MAX_PROBES {
            return None;
        }
        let entry = Arc::new(peer);
        peers.push(Arc::downgrade(&entry));
        Some(entry)
    }
}

impl Probes {
    pub(super) async fn answer(
        &self,
        query: &str,
        headers: &HeaderMap,
        peer: Peer,
        sources: &Sources,
    ) -> Reply {
        let limit = time_limit(headers);
        let wanted = limit.and_then(|limit| wanted(query, limit, &sources.snapshot));
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(problem) => return Reply::text(StatusCode::BAD_REQUEST, &problem),
        };
        let Some(_under_way) = self.under_way.enter(peer) else {
            return Reply::unavailable("Too many probes are under way. Try again.");
        };
        let started = Instant::now();
        let outcome = timeout(wanted.limit, (sources.look_up)(wanted.clone())).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let limit = wanted.limit;
            Err(format!(
                "no answer within {limit:?}, waiting for the rate limit included"
            ))
        });
        if let Err(error) = &outcome
            && self.may_log()
        {
            info!(zone_id = %wanted.zone, origin_ip = %wanted.origin_ip, %error, "probe failed");
        }
        Reply::probe(exposition(&outcome, started.elapsed()))
    }

    fn may_log(&self) -> bool {
        let mut last = lock(&self.last_logged);
        let may_log = last.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if may_log {
            *last = Some(Instant::now());
        }
        may_log
    }
}

/// The requested mapping, or what is wrong with the request.
pub(super) fn wanted(query: &str, limit: Duration, snapshot: &Snapshot) -> Result<Wanted, String> {
    let (mut zone, mut target) = (None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let (name, slot) = match &*key {
            "zone" => ("zone", &mut zone),
            "target" => ("target", &mut target),
            // Scrape configurations may send more, such as a module for other exporters.
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(format!("{name} is given twice."));
        }
    }
    let missing =
        |name| format!("{name} is missing: expected /probe?zone=NAME-OR-ID&target=IP-ADDRESS.");
    let zone = zone.ok_or_else(|| missing("zone"))?;
    let target = target.ok_or_else(|| missing("target"))?;
    let shown_zone = truncated(&zone, MAX_SHOWN_CHARS);
    let shown_target = truncated(&target, MAX_SHOWN_CHARS);
    let origin_ip = OriginIp::parse(&target)
        .map_err(|_| format!("target is {shown_target:?}; expected an IPv4 or IPv6 address."))?;
    let directory = snapshot.directory();
    let slot = match *directory.find(&zone) {
        [slot] => slot,
        [] => return Err(format!("No zone {shown_zone:?} is polled by this process.")),
        _ => {
            return Err(format!(
                "Several zones have the name {shown_zone:?}; name one by its identifier."
            ));
        }
    };
    Ok(Wanted {
        account: slot.load().account.clone(),
        zone: slot.id.clone(),
        origin_ip,
        limit,
    })
}

/// A little less than the client's time-out, so that it gets a response if the lookup fails. An
/// invalid header counts as absent.
pub(super) fn time_limit(headers: &HeaderMap) -> Result<Duration, String> {
    let timeout = headers
        .get(TIMEOUT_HEADER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEFAULT_TIMEOUT)
        .min(LONGEST_TIMEOUT);
    if timeout < SHORTEST_TIMEOUT {
        return Err(format!(
            "{TIMEOUT_HEADER} is {timeout:?}; a probe needs at least {SHORTEST_TIMEOUT:?}."
        ));
    }
    Ok(timeout.saturating_sub(HEAD_START.min(timeout / 4)))
}

/// The metrics of a probe.
fn exposition(outcome: &Result<Option<Mapping>, String>, took: Duration) -> String {
    let mut text = match outcome {
        Ok(_) => String::new(),
        // A comment for people who open the URL; scrapers ignore it.
        Err(error) => {
            let line = error.replace(char::is_control, " ");
            format!("# The look-up failed: {line}\n")
        }
    };
    let mut add = |name: &str, help: &str, labels: &str, value: f64| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}"
        );
    };
    add(
        "probe_success",
        "1 if Cloudflare answered whether the origin has a mapping, 0 if the look-up failed.",
        "",
        u8::from(outcome.is_ok()).into(),
    );
    add(
        "probe_duration_seconds",
        "Duration of the look-up, including the wait for the rate limit.",
        "",
        took.as_secs_f64(),
    );
    if let Ok(mapping) = outcome {
        add(
            "probe_mapping_present",
            "1 if the origin has a mapping, 0 if it has none.",
            "",
            u8::from(mapping.is_some()).into(),
        );
    }
    if let Ok(Some(mapping)) = outcome {
        let ip = mapping.origin_ip;
        let (vendor, region) = (
            escaped(mapping.vendor.as_str()),
            escaped(mapping.region.as_str()),
        );
        add(
            "probe_mapping_info",
            "Vendor and region of the mapping; always 1.",
            &format!("{{origin_ip=\"{ip}\",region=\"{region}\",vendor=\"{vendor}\"}}"),
            1.0,
        );
        if let Some(at) = mapping.modified_on {
            add(
                "probe_mapping_last_modified_timestamp_seconds",
                "Unix time of the mapping's last modification.",
                "",
                at.as_duration().as_secs_f64(),
            );
        }
    }
    text
}

/// The value of a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    text.replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_before_the_client_gives_up() {
        let limit = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT_HEADER, value.parse().unwrap());
            time_limit(&headers).map(|limit| limit.as_secs_f64())
        };
        for (header, seconds) in [
            ("10", 9.5),
            ("2.5", 2.0),
            ("1", 0.75),
            ("0.1", 0.075),
            ("1e9", 119.5),
            ("-1", 9.5),
            ("NaN", 9.5),
            ("inf", 9.5),
            ("soon", 9.5),
        ] {
            assert!((limit(header).unwrap() - seconds).abs() < 1e-9, "{header}");
        }
        assert_eq!(
            time_limit(&HeaderMap::new()),
            Ok(Duration::from_millis(9500))
        );
        for short in ["0", "0.0999", "1e-9"] {
            let error = limit(short).unwrap_err();
            assert!(error.ends_with("a probe needs at least 100ms."), "{error}");
        }
    }

    #[test]
    fn one_peer_leaves_room_for_probes_of_others() {
        let peer = |last| Peer::from(std::net::IpAddr::from([192, 0, 2, last]));
        let under_way = UnderWay::default();
        let all = |last| std::iter::from_fn(|| under_way.enter(peer(last))).collect::<Vec<_>>();
        let first = all(1);
        assert_eq!(first.len(), MAX_PROBES_OF_PEER);
        let second = all(2);
        assert_eq!(first.len() + second.len(), MAX_PROBES);
        drop(first);
        assert!(under_way.enter(peer(3)).is_some());
        drop(second);
        assert_eq!(all(4).len(), MAX_PROBES_OF_PEER);
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_in_each_interval_is_logged() {
        let probes = Probes::default();
        assert!(probes.may_log() && !probes.may_log());
        tokio::time::advance(LOG_INTERVAL).await;
        assert!(probes.may_log() && !probes.may_log());
    }

    #[test]
    fn an_error_stays_in_its_comment() {
        let text = exposition(&Err("a\nb 1\r".to_owned()), Duration::ZERO);
        let first = text.lines().next();
        assert_eq!(first, Some("# The look-up failed: a b 1 "));
    }
}
