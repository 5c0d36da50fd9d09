//! Environment variables override the file: the result equals a file with their values.

use cloudflare_origin_region_exporter::config::Format;
use proptest::prelude::*;

use crate::support::{TOKEN, load_with};

/// Scalar settings with a few possible values each. Some combinations are contradictory.
const SCALARS: [(&str, [&str; 3]); 16] = [
    ("poll.interval", ["1m", "90s", "100ms"]),
    ("poll.discovery_interval", ["10m", "30s", "1h"]),
    ("poll.concurrency", ["1", "8", "30"]),
    ("poll.timeout", ["10s", "1m", "250ms"]),
    ("poll.retries", ["0", "1", "5"]),
    ("poll.retain", ["0s", "1h", "2days"]),
    (
        "cloudflare.base_url",
        ["https://a.test/v4", "http://127.0.0.1:80/", "https://[::1]"],
    ),
    ("cloudflare.rate_limit.requests", ["1", "1200", "100000"]),
    ("cloudflare.rate_limit.window", ["1s", "5m", "1h"]),
    ("cloudflare.rate_limit.share", ["0.001", "0.5", "1"]),
    ("mappings.detail", ["true", "false", "true"]),
    ("mappings.stale_after", ["never", "1day", "180days"]),
    ("expect.from_dns", ["true", "false", "true"]),
    ("verify.tiered_cache", ["false", "true", "false"]),
    ("verify.vendor_ranges.enabled", ["false", "true", "true"]),
    ("verify.vendor_ranges.refresh", ["12h", "24h", "1s"]),
];

/// The index of the chosen value of each setting, if it is set.
type Choice = [Option<usize>; SCALARS.len()];

fn choice() -> impl Strategy<Value = Choice> {
    prop::array::uniform16(prop::option::of(0_usize..3))
}

fn chosen(choice: &Choice) -> impl Iterator<Item = (&'static str, &'static str)> {
    let values = SCALARS.iter().zip(choice);
    values.filter_map(|((path, values), at)| Some((*path, *values.get((*at)?)?)))
}

fn file(choice: &Choice) -> String {
    let line = |(path, value): (&str, &str)| {
        let plain = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
        let quote = if plain { "" } else { "\"" };
        format!("{path} = {quote}{value}{quote}\n")
    };
    chosen(choice).map(line).collect()
}

/// The settings or the errors, as text.
fn loaded(file: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    load_with(Format::Toml, file, &[variables, &[TOKEN]].concat())
        .map(|settings| format!("{settings:?}"))
        .map_err(|errors| errors.to_string())
}

proptest! {
    #[test]
    fn variables_over_a_file_are_as_a_file_with_their_values(
        in_file in choice(), in_environment in choice(),
    ) {
        let name = |path: &str| {
            format!("ORIGIN_REGION_EXPORTER__{}", path.to_ascii_uppercase().replace('.', "__"))
        };
        let variables: Vec<_> = chosen(&in_environment).map(|(path, value)| (name(path), value)).collect();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, *value)).collect();
        let over: Choice = std::array::from_fn(|n| in_environment[n].or(in_file[n]));
        prop_assert_eq!(loaded(&file(&in_file), &variables), loaded(&file(&over), &[]));
    }
}
