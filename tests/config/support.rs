//! Helpers that load documents and variables.

use std::path::Path;

use cloudflare_origin_region_exporter::cloudflare::{Credentials, Secret};
use cloudflare_origin_region_exporter::config::{
    self, ConfigErrors, Environment, Format, ProcessFlags, Settings,
};
use secrecy::ExposeSecret as _;

pub(crate) const TOKEN: (&str, &str) = ("CLOUDFLARE_API_TOKEN", "environment-token");

pub(crate) const ACCOUNT: &str = "accounts: [{name: a, api_token: t0ken}]\n";

pub(crate) fn load_with(
    format: Format,
    text: &str,
    variables: &[(&str, &str)],
) -> Result<Settings, ConfigErrors> {
    config::load_text(
        "x",
        format,
        text,
        &ProcessFlags::default(),
        &Environment::new(variables.to_vec(), None),
    )
}

pub(crate) fn load(yaml: &str) -> Result<Settings, ConfigErrors> {
    load_with(Format::Yaml, yaml, &[TOKEN])
}

pub(crate) fn errors(yaml: &str) -> Vec<String> {
    messages(load(yaml))
}

pub(crate) fn messages(loaded: Result<Settings, ConfigErrors>) -> Vec<String> {
    loaded
        .expect_err("the configuration is rejected")
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Checks that each document is rejected with exactly this message.
pub(crate) fn each_is_refused(mistakes: &[(&str, &str)]) {
    for (yaml, expected) in mistakes {
        assert_eq!(errors(yaml), [*expected], "{yaml}");
    }
}

pub(crate) fn variable_errors(variables: &[(&str, &str)]) -> Vec<String> {
    messages(load_with(Format::Yaml, "", variables))
}

pub(crate) fn inline(credentials: &Credentials) -> &str {
    match credentials {
        Credentials::Token(Secret::Inline(secret))
        | Credentials::Key {
            key: Secret::Inline(secret),
            ..
        } => secret.expose_secret(),
        other => panic!("{other:?} has no inline secret"),
    }
}

pub(crate) fn load_path(path: &Path) -> Result<Settings, ConfigErrors> {
    let arguments = ["x".into(), "--config.file".into(), path.into()];
    let cli = config::cli::parse(arguments, &Environment::default()).unwrap();
    config::load(&cli.flags, &Environment::new([TOKEN], None))
}
