//! Properties of any configuration.

use cloudflare_origin_region_exporter::config::{Environment, Format};
use proptest::prelude::*;

use crate::support::{TOKEN, load, load_with, messages};

/// Documents that contain a secret. Some are valid, some are not.
const WITH_SECRETS: [&str; 16] = [
    "accounts: [{name: a, api_token: \"SECRET\"}]",
    "accounts: [{name: a, api_token: SECRET}]",
    "accounts: [{name: a, api_token: \"SECRET with space\"}]",
    "accounts: [{name: a, api_token: [SECRET]}]",
    "accounts: [{name: a, api_token: SECRET, api_key: SECRET, email: a@b}]",
    "accounts: [{name: a, email: a@b.c, api_key: \"SECRET\"}]",
    "accounts: [{name: a, email: a@b.c, apikey: \"SECRET\"}]",
    "accounts: [{name: a, api-token: \"SECRET\"}]",
    "accounts: [SECRET]",
    "accounts: SECRET",
    "api_token: SECRET",
    "password: SECRET\npoll: {interval: x}",
    "cloudflare: {base_url: \"https://user:SECRET@example.com\"}",
    "cloudflare: {base_url: \"ftp://user:SECRET@example.com\"}",
    "verify: {vendor_ranges: {sources: {aws: \"https://u:SECRET@example.com/x?sig=SECRET\"}}}",
    "accounts: [{name: a, api_token: \"SECRET\", zones: ]",
];

proptest! {
    #[test]
    fn no_secret_is_ever_shown(secret in "[A-Za-z0-9_-]{12,40}", extra in "[ -9;-~]{0,3}") {
        for document in WITH_SECRETS {
            let text = document.replace("SECRET", &format!("{secret}{extra}"));
            let shown = match load_with(Format::Yaml, &text, &[("CLOUDFLARE_API_TOKEN", &secret)]) {
                Ok(settings) => format!("{settings:?}"),
                Err(errors) => format!("{errors} {errors:?}"),
            };
            prop_assert!(!shown.contains(&secret), "{text}\n{shown}");
        }
        let variables = [
            ("CLOUDFLARE_API_TOKEN", secret.as_str()),
            ("CLOUDFLARE_API_KEY", secret.as_str()),
            ("ORIGIN_REGION_EXPORTER__ACCOUNTS", secret.as_str()),
            ("ORIGIN_REGION_EXPORTER__API_TOKEN", secret.as_str()),
        ];
        let shown = messages(load_with(Format::Yaml, "", &variables)).join("\n");
        prop_assert!(!shown.contains(&secret), "{shown}");
        let shown = format!("{:?}", Environment::new(variables, None));
        prop_assert!(!shown.contains(&secret), "{shown}");
    }

    #[test]
    fn a_variable_replaces_its_value_of_the_file_and_no_other(
        file in prop::option::of([1_u32..100, 1_u32..10]),
        environment in prop::array::uniform2(prop::option::of(1_u32..10)),
    ) {
        let text = file.map_or_else(String::new, |[concurrency, retries]| {
            format!("poll: {{concurrency: {concurrency}, retries: {retries}}}")
        });
        let names = ["CONCURRENCY", "RETRIES"]
            .map(|key| format!("ORIGIN_REGION_EXPORTER__POLL__{key}"));
        let values = environment.map(|value| value.map(|value| value.to_string()));
        let mut variables = vec![TOKEN];
        for (name, value) in names.iter().zip(&values) {
            variables.extend(value.as_deref().map(|value| (name.as_str(), value)));
        }
        let settings = load_with(Format::Yaml, &text, &variables).unwrap().cloudflare;
        let [concurrency, retries] = [0, 1].map(|index| {
            let of_file = file.and_then(|values| values.get(index).copied());
            environment.get(index).copied().flatten().or(of_file)
        });
        prop_assert_eq!(u32::try_from(settings.concurrency).unwrap(), concurrency.unwrap_or(8));
        prop_assert_eq!(settings.retries, retries.unwrap_or(3));
    }

    #[test]
    fn no_document_ends_the_process(text in "[a-z:{}\\[\\]&*!|>'\"#,.0-9 \n-]{0,200}") {
        for format in [Format::Yaml, Format::Toml] {
            let _ = load_with(format, &text, &[TOKEN]);
        }
    }

    #[test]
    fn no_value_ends_the_process(value in "[ -~]{0,80}") {
        let quoted = serde_json::to_string(&value).unwrap();
        for path in ["INTERVAL", "RETRIES", "TIMEOUT"] {
            let name = format!("ORIGIN_REGION_EXPORTER__POLL__{path}");
            let _ = load_with(Format::Yaml, "", &[TOKEN, (&name, &value)]);
        }
        let yaml = format!(
            "accounts: [{{name: a, api_token: t, zones: {{include: [{quoted}]}}}}]\n\
             cloudflare: {{base_url: {quoted}, rate_limit: {{share: {quoted}}}}}"
        );
        let _ = load(&yaml);
    }
}
