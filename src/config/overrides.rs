//! Environment variables with double underscores, which replace values of the file.

use super::environment::Environment;
use crate::config_tree::{Collector, ConfigError, Format, Node, Place, ScalarKind, unknown_key};

const PREFIX: &str = "ORIGIN_REGION_EXPORTER__";

/// How a variable's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As one value.
    Scalar,
    /// As JSON: a list, or a map keyed by names, is replaced whole.
    Json,
}

/// Every path of the file that a variable can replace.
const PATHS: [(&str, Kind); 37] = [
    ("poll.interval", Kind::Scalar),
    ("poll.discovery_interval", Kind::Scalar),
    ("poll.concurrency", Kind::Scalar),
    ("poll.timeout", Kind::Scalar),
    ("poll.retries", Kind::Scalar),
    ("poll.retain", Kind::Scalar),
    ("cloudflare.base_url", Kind::Scalar),
    ("cloudflare.ca_file", Kind::Scalar),
    ("cloudflare.rate_limit.requests", Kind::Scalar),
    ("cloudflare.rate_limit.window", Kind::Scalar),
    ("cloudflare.rate_limit.share", Kind::Scalar),
    ("accounts", Kind::Json),
    ("mappings.detail", Kind::Scalar),
    ("mappings.stale_after", Kind::Scalar),
    ("expect.zones", Kind::Json),
    ("expect.from_dns", Kind::Scalar),
    ("expect.from_load_balancers", Kind::Scalar),
    ("expect.from_rules", Kind::Scalar),
    ("expect.ignore", Kind::Json),
    ("expect.unused_after", Kind::Scalar),
    ("hosts.nameservers", Kind::Json),
    ("hosts.window", Kind::Scalar),
    ("hosts.rotating_above", Kind::Scalar),
    ("audit_log.enabled", Kind::Scalar),
    ("audit_log.interval", Kind::Scalar),
    ("audit_log.actors", Kind::Scalar),
    ("history.retain", Kind::Scalar),
    ("verify.supported_regions", Kind::Scalar),
    ("verify.tiered_cache", Kind::Scalar),
    ("verify.vendor_ranges.enabled", Kind::Scalar),
    ("verify.vendor_ranges.refresh", Kind::Scalar),
    ("verify.vendor_ranges.sources", Kind::Json),
    ("verify.vendor_ranges.sources.aws", Kind::Scalar),
    ("verify.vendor_ranges.sources.azure", Kind::Scalar),
    ("verify.vendor_ranges.sources.gcp", Kind::Scalar),
    ("verify.vendor_ranges.sources.oci", Kind::Scalar),
    ("zone_overrides", Kind::Json),
];

/// Puts the values of the variables into the tree. In their alphabetic order a map comes before
/// what is in it.
pub(super) fn apply(tree: &mut Node, environment: &Environment, errors: &Collector) {
    for (name, value) in environment.with_prefix(PREFIX) {
        let place = Place::variable(&format!("{PREFIX}{name}"));
        let path = name.to_ascii_lowercase().replace("__", ".");
        let Some((path, kind)) = PATHS.iter().find(|(known, _)| *known == path) else {
            let known: Vec<_> = PATHS.iter().map(|(known, _)| *known).collect();
            errors.push(ConfigError {
                place,
                problem: unknown_key(&path, &known),
                path,
                found: None,
            });
            continue;
        };
        let node = match kind {
            Kind::Scalar => Ok(Node::scalar(value, ScalarKind::Plain, place)),
            Kind::Json => Format::Json.parse(value, &place),
        };
        match node {
            Ok(node) => tree.set(&path.split('.').collect::<Vec<_>>(), node),
            Err(error) => errors.push(ConfigError {
                path: (*path).to_owned(),
                ..error
            }),
        }
    }
}
