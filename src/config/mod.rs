//! Turns the file, the environment and the flags into one validated [`Settings`]. No other code
//! knows where a setting came from.
//!
//! `docs/configuration.md` is the reference. Flags configure the process; the file configures
//! accounts, zones and polls. [`load`] reports every mistake at once.

mod accounts;
mod certificates;
pub mod cli;
mod environment;
mod file;
mod flags;
mod layers;
mod near_misses;
mod proxies;
mod settings;
mod values;
mod zones;

use std::path::Path;

use ::config::{Map, Value};

pub use cli::{Cli, Command};
pub use environment::Environment;
pub use flags::ProcessFlags;

use crate::config_tree::MAX_BYTES;
pub use crate::config_tree::{ConfigError, ConfigErrors, Format, Place};
use crate::words::words;
use crate::{
    cloudflare, file_io, findings, history, origin_hosts, poller, storage, vendor_ranges, web,
};

/// All settings of the daemon.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the API is used.
    pub cloudflare: cloudflare::Settings,
    /// The accounts, at least one, in the order of the configuration; names are unique.
    pub accounts: Vec<poller::AccountSettings>,
    /// Which zones are polled, and how often.
    pub poller: poller::Settings,
    /// Where expected origins come from.
    pub expect: findings::ExpectSettings,
    /// How origin hosts are resolved.
    pub hosts: origin_hosts::Settings,
    /// How the audit logs are read.
    pub audit_log: cloudflare::AuditLogSettings,
    /// How long changes are kept.
    pub history: history::Settings,
    /// Where the storage is; `None` without storage.
    pub storage: Option<storage::Settings>,
    /// Which checks are enabled.
    pub verify: findings::VerifySettings,
    /// The vendors' published ranges.
    pub vendor_ranges: vendor_ranges::Settings,
    /// Whether each mapping has its own series (`mappings.detail`).
    pub detail: bool,
    /// The HTTP server.
    pub web: web::Settings,
    /// The log.
    pub log: LogSettings,
    /// Settings that are valid but probably unintended, described for the operator.
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

words! {
    /// The format of the log lines.
    pub enum LogFormat {
        /// `level=info message="…"`
        Logfmt = "logfmt",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Loads the configuration file, if there is one, and applies the environment and the flags on top.
///
/// Blocks while it reads the file. Fails with every mistake found.
pub fn load(flags: &ProcessFlags, environment: &Environment) -> Result<Settings, ConfigErrors> {
    whole(load_in_part(flags, environment)?)
}

/// Like [`load`], but returns the valid settings together with the mistakes, so that the files they
/// name can be checked too. Fails if the configuration cannot be read at all.
pub fn load_in_part(
    flags: &ProcessFlags,
    environment: &Environment,
) -> Result<(Settings, Option<ConfigErrors>), ConfigErrors> {
    let Some(path) = flags.config_file() else {
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

/// Like [`load`], with the text of the file; errors call the file `name`.
pub fn load_text(
    name: &str,
    format: Format,
    text: &str,
    flags: &ProcessFlags,
    environment: &Environment,
) -> Result<Settings, ConfigErrors> {
    let document = format.parse(text, &Place::file(name))?;
    whole(finish(document, Path::new(""), flags, environment)?)
}

fn whole((settings, mistakes): (Settings, Option<ConfigErrors>)) -> Result<Settings, ConfigErrors> {
    mistakes.map_or(Ok(settings), Err)
}

fn finish(
    document: Value,
    folder: &Path,
    flags: &ProcessFlags,
    environment: &Environment,
) -> Result<(Settings, Option<ConfigErrors>), ConfigErrors> {
    let mut reader = layers::merge(document, environment);
    let file = reader.read()?;
    let folder = values::Folder(folder);
    let mut settings = settings::settings(file, folder, flags, environment, &mut reader);
    settings.warnings.extend(near_misses::warnings(environment));
    reader.extend(proxies::mistakes(environment));
    reader.extend(certificates::mistakes(environment));
    Ok((settings, reader.mistakes()))
}

/// YAML, unless the extension is `.toml`: a mounted key or a temporary file may have none.
fn format_of(path: &Path) -> Format {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("toml") => Format::Toml,
        _ => Format::Yaml,
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file_io::bounded(path, MAX_BYTES)
        .map_err(|error| format!("cannot read the configuration file: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
}
