//! Unknown environment variables that look like a known one.

use super::accounts::{CREDENTIALS, credential_variable};
use super::environment::Environment;
use super::{cli, flags, layers};

/// The most typing errors (edit distance) for which a variable is a near miss.
const SLIPS: usize = 2;

/// One warning for each near miss. Other unknown variables belong to something else: Kubernetes
/// creates some from the names of services.
pub(super) fn warnings(environment: &Environment) -> Vec<String> {
    let credentials = CREDENTIALS.into_iter().map(credential_variable);
    let flags = cli::flags().into_iter().map(|flag| flags::variable(&flag));
    let known = flags.chain(credentials).chain(layers::variables());
    let known: Vec<String> = known.collect();
    let mut warnings = Vec::new();
    for prefix in ["CLOUDFLARE_", "ORIGIN_REGION_EXPORTER_"] {
        for (rest, _) in environment.with_prefix(prefix) {
            let name = format!("{prefix}{rest}");
            // An unknown variable with double underscores is already an error.
            if known.contains(&name) || name.starts_with(layers::PREFIX) {
                continue;
            }
            let words = |name: &str| name.replace("__", "_");
            let slips = |known: &&String| strsim::damerau_levenshtein(known, &name);
            let nearest = known.iter().min_by_key(slips);
            let nearest = nearest.filter(|known| slips(known) <= SLIPS);
            let same_words = known.iter().find(|known| words(known) == words(&name));
            if let Some(near) = same_words.or(nearest) {
                warnings.push(format!(
                    "environment variable {name} is not known: did you mean {near}?"
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(name: &str) -> Option<String> {
        warnings(&Environment::new([(name, "x")], None)).pop()
    }

    #[test]
    fn a_near_miss_names_what_was_probably_meant() {
        for (name, near) in [
            (
                "ORIGIN_REGION_EXPORTER_WEB_LISTEN_ADRESS",
                "ORIGIN_REGION_EXPORTER_WEB_LISTEN_ADDRESS",
            ),
            (
                "ORIGIN_REGION_EXPORTER_LOG_LEVELS",
                "ORIGIN_REGION_EXPORTER_LOG_LEVEL",
            ),
            (
                "ORIGIN_REGION_EXPORTER_POLL_INTERVAL",
                "ORIGIN_REGION_EXPORTER__POLL__INTERVAL",
            ),
            ("CLOUDFLARE_API_TOKN", "CLOUDFLARE_API_TOKEN"),
        ] {
            let expected =
                format!("environment variable {name} is not known: did you mean {near}?");
            assert_eq!(warned(name), Some(expected));
        }
    }

    #[test]
    fn variables_of_others_are_not_warned_of() {
        for name in [
            "ORIGIN_REGION_EXPORTER_PORT",
            "ORIGIN_REGION_EXPORTER_PORT_10955_TCP",
            "ORIGIN_REGION_EXPORTER_PORT_10955_TCP_ADDR",
            "ORIGIN_REGION_EXPORTER_SERVICE_HOST",
            "ORIGIN_REGION_EXPORTER_SERVICE_PORT",
            "ORIGIN_REGION_EXPORTER_SERVICE_PORT_METRICS",
            "ORIGIN_REGION_EXPORTER_SHARD",
            "CLOUDFLARE_ACCOUNT_ID",
            "CLOUDFLARE_ZONE_ID",
            "CLOUDFLARE_API_TOKEN",
        ] {
            assert_eq!(warned(name), None);
        }
    }
}
