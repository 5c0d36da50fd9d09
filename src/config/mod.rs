//! File, environment and flags to one validated [`Settings`]; nothing else knows where a setting
//! came from.
//!
//! `docs/configuration.md` is the reference. Flags are about the process; the file is about accounts,
//! zones and polls. [`load`] reports every mistake at once.

mod accounts;
pub mod cli;
mod environment;
mod file;
mod layers;
mod near_misses;
mod proxies;
mod settings;
mod values;
mod zones;

use std::path::Path;

use ::config::{Map, Value};

pub use cli::{Cli, Command, ProcessFlags};
pub use environment::Environment;

use crate::config_tree::MAX_BYTES;
pub use crate::config_tree::{ConfigError, ConfigErrors, Format, Place};
use crate::{
    cloudflare, file_io, findings, history, origin_hosts, poller, storage, vendor_ranges, web,
};

/// Everything that the daemon needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the API is used.
    pub cloudflare: cloudflare::Settings,
    /// The accounts, at least one, in the order of the configuration; names are unique.
    pub accounts: Vec<poller::AccountSettings>,
    /// Which zones are read, and how often.
    pub poller: poller::Settings,
    /// Where expectations come from.
    pub expect: findings::ExpectSettings,
    /// How origin hosts are resolved.
    pub hosts: origin_hosts::Settings,
    /// How the audit logs are read.
    pub audit_log: cloudflare::AuditLogSettings,
    /// How long changes are kept.
    pub history: history::Settings,
    /// Where the storage is; `None` where nothing is kept.
    pub storage: Option<storage::Settings>,
    /// Which checks are made.
    pub verify: findings::VerifySettings,
    /// The vendors' published ranges.
    pub vendor_ranges: vendor_ranges::Settings,
    /// Whether each mapping has series of its own (`mappings.detail`).
    pub detail: bool,
    /// The HTTP server.
    pub web: web::Settings,
    /// The log.
    pub log: LogSettings,
    /// What is allowed and yet probably not meant, in words for an operator.
    pub warnings: Vec<String>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level that is written.
    pub level: tracing::Level,
    /// The format of its lines.
    pub format: LogFormat,
}

/// The format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `level=info message="…"`
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Reads the configuration file, if one is named, and puts environment and flags on top of it.
///
/// Blocks on reading the file. Fails with every mistake found.
pub fn load(flags: &ProcessFlags, environment: &Environment) -> Result<Settings, ConfigErrors> {
    let Some(path) = &flags.config_file else {
        let nothing = Map::<String, Value>::new().into();
        return finish(nothing, Path::new(""), flags, environment);
    };
    let place = Place::file(&path.display().to_string());
    let fail = |problem: String| ConfigErrors::from(ConfigError::whole(place.clone(), problem));
    let format = format_of(path);
    let text = read(path).map_err(fail)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    finish(format.parse(&text, &place)?, folder, flags, environment)
}

/// As [`load`], with a text in place of the file; `name` is what errors call it.
pub fn load_text(
    name: &str,
    format: Format,
    text: &str,
    flags: &ProcessFlags,
    environment: &Environment,
) -> Result<Settings, ConfigErrors> {
    let document = format.parse(text, &Place::file(name))?;
    finish(document, Path::new(""), flags, environment)
}

fn finish(
    document: Value,
    folder: &Path,
    flags: &ProcessFlags,
    environment: &Environment,
) -> Result<Settings, ConfigErrors> {
    let mut reader = layers::merge(document, environment);
    let file = reader.read()?;
    let folder = values::Folder(folder);
    let mut settings = settings::settings(file, folder, flags, environment, &mut reader);
    settings.warnings.extend(near_misses::warnings(environment));
    for mistake in proxies::mistakes(environment) {
        reader.push(mistake);
    }
    reader.check(settings)
}

/// YAML, unless the ending says TOML: a mounted key or a temporary file may have no ending.
fn format_of(path: &Path) -> Format {
    let ending = path.extension().and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        Format::Toml
    } else {
        Format::Yaml
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file_io::bounded(path, MAX_BYTES)
        .map_err(|error| format!("cannot read the configuration file: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
}
