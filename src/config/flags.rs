//! The flags of the process with their bounds and defaults. A flag on the command line overrides
//! its environment variable.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches};
use serde::Deserialize;
use tracing::Level;

use super::cli;
use super::environment::Environment;
use super::file::sections;
use super::layers::{self, Layer};
use super::values::{FilePath, LevelName, ListenAddress, LogFormatName, ShardName, TelemetryPath};
use super::{LogFormat, LogSettings};
use crate::config_tree::{ConfigError, ConfigErrors, Number, Place, Reader, plain};
use crate::poller::Shard;
use crate::{storage, web};

const VARIABLE_PREFIX: &str = "ORIGIN_REGION_EXPORTER_";
const LISTEN_ADDRESS: &str = ":10955";
const TELEMETRY_PATH: &str = "/metrics";
const MAX_REQUESTS: u32 = 40;

sections! {
    /// The flags that every command accepts. Each key is the end of a variable's name, in lower
    /// case.
    #[derive(Debug, Clone)]
    pub ProcessFlags {
        config_file: Option<FilePath> = None,
        web_listen_address: Vec<ListenAddress> = vec![ListenAddress(LISTEN_ADDRESS.to_owned())],
        web_telemetry_path: TelemetryPath = TelemetryPath(TELEMETRY_PATH.to_owned()),
        web_config_file: Option<FilePath> = None,
        web_systemd_socket: bool = false,
        web_enable_lifecycle: bool = false,
        web_max_requests: Number<1, 100_000> = Number(MAX_REQUESTS),
        log_level: LevelName = LevelName(Level::INFO),
        log_format: LogFormatName = LogFormatName(LogFormat::Logfmt),
        storage_path: Option<FilePath> = None,
        shard: Option<ShardName> = None,
        total_shards: Number<1, 10_000> = Number(1),
    }
}

impl ProcessFlags {
    /// Reads the flags of the command line, before and after the command, and their variables.
    /// Other variables with the same prefix are ignored: Kubernetes creates some from the names of
    /// services.
    pub(super) fn read(
        matches: &ArgMatches,
        environment: &Environment,
    ) -> Result<Self, ConfigErrors> {
        let after_command = matches.subcommand().map(|(_, matches)| matches);
        let (mut variables, mut arguments) = (Vec::new(), Vec::new());
        for flag in cli::flags() {
            let name = variable(&flag);
            let text = environment.get(&name);
            let texts = text.into_iter().flat_map(|text| match flag.get_action() {
                ArgAction::Append => text.split(',').map(str::trim).collect(),
                _ => vec![text],
            });
            let texts = texts.filter(|text| !text.is_empty());
            variables.extend(value(&flag, texts, &Place::variable(&name)));
            let matches = std::iter::once(matches).chain(after_command);
            let given = matches.filter_map(|matches| matches.get_many(flag.get_id().as_str()));
            let texts = given.flatten().map(String::as_str);
            let place = Place::Flag(format!("--{}", flag.get_long().unwrap_or_default()));
            arguments.extend(value(&flag, texts, &place));
        }
        let mut reader = Reader::new(layers::stack([Layer(variables), Layer(arguments)]));
        let flags = reader.read()?;
        reader.mistakes().map_or(Ok(flags), Err)
    }

    /// The configuration file.
    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.as_ref().map(|path| path.0.as_path())
    }

    /// The settings of the HTTP server.
    pub fn web(&self) -> web::Settings {
        let listen = self.web_listen_address.iter();
        web::Settings {
            listen: listen.map(|address| address.0.clone()).collect(),
            telemetry_path: self.web_telemetry_path.0.clone(),
            max_requests: self.web_max_requests.0 as usize,
            web_config_file: self.web_config_file.clone().map(|path| path.0),
            systemd_socket: self.web_systemd_socket,
            enable_lifecycle: self.web_enable_lifecycle,
        }
    }

    /// The settings of the storage.
    pub(super) fn storage(&self) -> Option<storage::Settings> {
        let FilePath(path) = self.storage_path.clone()?;
        Some(storage::Settings { path })
    }

    /// The settings of the log.
    pub fn log(&self) -> LogSettings {
        LogSettings {
            level: self.log_level.0,
            format: self.log_format.0,
        }
    }

    /// The shard of the zones that this process polls.
    pub(super) fn shard(&self, environment: &Environment) -> Result<Shard, ConfigError> {
        let total = self.total_shards.0;
        let host = environment.host_name().unwrap_or_default();
        let ordinal = match self.shard {
            Some(ShardName(Some(ordinal))) => Some(ordinal),
            Some(ShardName(None)) => ordinal_of(host),
            None => (total == 1).then_some(0),
        };
        let problem = match ordinal {
            Some(ordinal) if ordinal < total => return Ok(Shard { ordinal, total }),
            Some(ordinal) => {
                format!("expected a number below --total-shards ({total}), found {ordinal}")
            }
            None if self.shard.is_some() => format!(
                "\"auto\" expects a host name that ends in \"-\" and a number, found {host:?}"
            ),
            None => {
                format!("expected the number of this one of {total} shards, from 0, or \"auto\"")
            }
        };
        Err(ConfigError::whole(Place::Flag("--shard".into()), problem))
    }
}

/// The environment variable of a flag.
pub(super) fn variable(flag: &Arg) -> String {
    let key = flag.get_id().as_str().to_ascii_uppercase();
    format!("{VARIABLE_PREFIX}{key}")
}

/// The value of a flag, if it is given: all texts of one that can be repeated, otherwise the last.
fn value<'a>(
    flag: &Arg,
    texts: impl Iterator<Item = &'a str>,
    place: &Place,
) -> Option<layers::Entry> {
    let values: Vec<_> = texts.map(|text| plain(text, place.clone())).collect();
    let last = values.last().cloned()?;
    let value = match flag.get_action() {
        ArgAction::Append => plain(values, place.clone()),
        _ => last,
    };
    Some((vec![flag.get_id().to_string()], value))
}

/// The ordinal in the host name of a `StatefulSet` pod: `name-3`, possibly with a domain.
fn ordinal_of(host_name: &str) -> Option<u32> {
    let host = host_name.split('.').next()?;
    let (_, ordinal) = host.rsplit_once('-')?;
    let is_number = ordinal.bytes().all(|byte| byte.is_ascii_digit());
    ordinal.parse().ok().filter(|_| is_number)
}
