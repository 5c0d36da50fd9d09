//! The command line, and the environment variables of its flags.

mod parsers;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tracing::Level;

use super::environment::Environment;
use super::{LogFormat, LogSettings};
use crate::build_info;
use crate::config_tree::{ConfigError, Place};
use crate::domain::OriginIp;
use crate::poller::Shard;
use crate::{storage, web};
use parsers::{ShardFlag, listen_address, telemetry_path};

const VARIABLE_PREFIX: &str = "ORIGIN_REGION_EXPORTER_";
const LISTEN_ADDRESS: &str = ":10955";
const TELEMETRY_PATH: &str = "/metrics";
const MAX_REQUESTS: u32 = 40;

/// The parsed command line.
#[derive(Debug, Clone)]
pub struct Cli {
    /// The command; [`Command::Serve`] by default.
    pub command: Command,
    /// The flags, including those set by environment variables.
    pub flags: ProcessFlags,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the daemon (the default)
    Serve,
    /// Read the configuration and report every mistake at once
    Check {
        /// Also try each account and zone, and list what each source needs
        #[arg(long)]
        online: bool,
    },
    /// Poll every zone once, print what was found and exit: 0, 1 if a zone could not be read, or 3
    /// if --output could not be written or no account could be read for it
    Once {
        /// How to print it
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: OnceFormat,
        /// Write to this file, which is replaced in one step, instead of to the standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Leave out the zones and mappings that are in order
        #[arg(long)]
        findings: bool,
    },
    /// Look up one mapping and exit: 0 mapped, 1 not mapped, 2 unknown
    Get {
        /// The zone's name or identifier
        zone: String,
        /// The origin's address
        #[arg(value_parser = parsers::origin_ip)]
        ip: OriginIp,
        /// How to print it
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: GetFormat,
    },
    /// Print what would fix the findings, change nothing and exit: 0 nothing to fix, 1 something,
    /// 2 unknown
    Plan {
        /// Names or identifiers of zones [default: all]
        #[arg(value_name = "ZONE")]
        zones: Vec<String>,
        /// How to print it
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: PlanFormat,
        /// Also delete unused mappings
        #[arg(long)]
        prune: bool,
    },
    /// Ask the daemon's own /-/healthy at its first listen address and exit: 0 healthy, 1 not
    Healthcheck,
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man,
    /// Run the daemon over an embedded simulation of the Cloudflare API
    Demo {
        /// Also serve the simulated API to others, here
        #[arg(long = "api.listen-address", value_name = "ADDRESS", value_parser = listen_address)]
        api_listen_address: Option<String>,
    },
}

/// How `plan` prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PlanFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// Commands that carry it out
    Curl,
    /// Terraform configuration
    Terraform,
}

/// How `once` prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OnceFormat {
    /// The text format of Prometheus, for the textfile collector
    #[default]
    Prometheus,
    /// For people
    Table,
    /// For programs
    Json,
}

/// How `get` prints the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GetFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// The flags that every command accepts; `None` or empty if not given.
#[derive(Debug, Clone, Default, Args)]
pub struct ProcessFlags {
    /// Configuration file, YAML or, by the ending .toml, TOML
    #[arg(
        long = "config.file",
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    pub config_file: Option<PathBuf>,

    /// Address to listen on, "host:port" or ":port"; may be repeated [default: :10955]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = listen_address, help_heading = "Web")]
    listen: Vec<String>,

    /// Path of the metrics; "/" puts them in the place of the page [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", value_parser = telemetry_path, help_heading = "Web")]
    telemetry_path: Option<String>,

    /// File with TLS and basic authentication settings
    #[arg(long = "web.config.file", value_name = "FILE", help_heading = "Web")]
    web_config_file: Option<PathBuf>,

    /// Take the listeners from systemd instead of --web.listen-address
    #[arg(long = "web.systemd-socket", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, help_heading = "Web")]
    systemd_socket: Option<bool>,

    /// Serve /-/reload
    #[arg(long = "web.enable-lifecycle", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true, help_heading = "Web")]
    enable_lifecycle: Option<bool>,

    /// Scrapes served at once; more are answered with 503 [default: 40]
    #[arg(long = "web.max-requests", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Web")]
    max_requests: Option<u32>,

    /// Least important level that is logged: trace, debug, info, warn or error [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", value_parser = parsers::level, help_heading = "Log")]
    log_level: Option<Level>,

    /// Format of the log lines [default: logfmt]
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        value_enum,
        ignore_case = true,
        help_heading = "Log"
    )]
    log_format: Option<LogFormat>,

    /// Folder in which to keep what survives a restart; created where it does not exist. Without
    /// it nothing is kept
    #[arg(long = "storage.path", value_name = "FOLDER", help_heading = "Storage")]
    storage_path: Option<PathBuf>,

    /// Number of this process among --total-shards, from 0, or "auto": the number at the end of the
    /// host's name. Required with several shards [default: 0]
    #[arg(long, value_name = "NUMBER", value_parser = parsers::shard, help_heading = "Sharding")]
    shard: Option<ShardFlag>,

    /// How many processes share the zones [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Sharding")]
    total_shards: Option<u32>,
}

/// Why the command line could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is invalid, or asks for help or the version.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The environment variable of a flag has an invalid value.
    #[error("environment variable {name}: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CliError {
    /// The exit code: 0 for help and version, otherwise 2.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(error) if !error.use_stderr() => 0,
            Self::Arguments(_) | Self::Variable { .. } => 2,
        }
    }

    /// The text, and whether it is requested output (help, version) rather than an error.
    pub fn text(&self) -> (String, bool) {
        match self {
            Self::Arguments(error) => (error.render().to_string(), !error.use_stderr()),
            Self::Variable { .. } => (format!("error: {self}\n"), false),
        }
    }
}

#[derive(Debug, Parser)]
#[command(
    name = env!("CARGO_PKG_NAME"),
    about = ABOUT,
    after_help = AFTER_HELP,
    version = build_info::LINE
)]
struct Arguments {
    #[command(flatten)]
    flags: ProcessFlags,
    #[command(subcommand)]
    command: Option<Command>,
}

const ABOUT: &str = "Tells Prometheus which origins Cloudflare's Tiered Cache believes to be in \
    which cloud region, and which mappings are missing, wrong, stale or unused.";
const AFTER_HELP: &str = "Flags come before or after the command. Each can also be given in the \
    environment: --web.listen-address as ORIGIN_REGION_EXPORTER_WEB_LISTEN_ADDRESS, several \
    addresses with commas between them.\n\n\
    Without a configuration file, every zone that CLOUDFLARE_API_TOKEN can list is polled.";

/// Parses the command line, with the program name first, and the environment variables of the
/// flags. A flag on the command line overrides its variable.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Cli, CliError> {
    let matches = command().try_get_matches_from(arguments)?;
    let parsed = Arguments::from_arg_matches(&matches)?;
    let mut flags = ProcessFlags::from_environment(environment)?;
    let mut listen = Vec::new();
    let after_command = matches.subcommand().map(|(_, matches)| matches);
    for matches in std::iter::once(&matches).chain(after_command) {
        flags.update_from_arg_matches(matches)?;
        listen.extend(
            matches
                .get_many::<String>("listen")
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    if !listen.is_empty() {
        flags.listen = listen;
    }
    Ok(Cli {
        command: parsed.command.unwrap_or(Command::Serve),
        flags,
    })
}

/// Flags are accepted before and after the command. They are not global flags in clap, because a
/// repeatable global flag given on both sides loses the values before the command.
pub fn command() -> clap::Command {
    Arguments::command().mut_subcommands(|command| {
        // `augment_args` replaces the description of the command with its own.
        let about = command.get_about().cloned().unwrap_or_default();
        ProcessFlags::augment_args(command)
            .about(about)
            .long_about(None::<&str>)
    })
}

impl ProcessFlags {
    /// Reads the variables of the flags, each parsed like its flag. Other variables with the same
    /// prefix are ignored: Kubernetes creates some from the names of services.
    fn from_environment(environment: &Environment) -> Result<Self, CliError> {
        let command = Self::augment_args(clap::Command::new("").no_binary_name(true));
        let mut flags = Self::default();
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            let name = variable_of(flag);
            let Some(value) = environment.get(&name) else {
                continue;
            };
            let arguments = value
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| format!("--{flag}={part}"));
            command
                .clone()
                .try_get_matches_from(arguments)
                .and_then(|matches| flags.update_from_arg_matches(&matches))
                .map_err(|error| CliError::Variable {
                    name,
                    problem: first_line(&error),
                })?;
        }
        Ok(flags)
    }

    /// The settings of the HTTP server.
    pub fn web(&self) -> web::Settings {
        web::Settings {
            listen: if self.listen.is_empty() {
                vec![LISTEN_ADDRESS.to_owned()]
            } else {
                self.listen.clone()
            },
            telemetry_path: self
                .telemetry_path
                .clone()
                .unwrap_or_else(|| TELEMETRY_PATH.to_owned()),
            max_requests: self.max_requests.unwrap_or(MAX_REQUESTS) as usize,
            web_config_file: self.web_config_file.clone(),
            systemd_socket: self.systemd_socket.unwrap_or(false),
            enable_lifecycle: self.enable_lifecycle.unwrap_or(false),
        }
    }

    /// The settings of the storage.
    pub(super) fn storage(&self) -> Option<storage::Settings> {
        let path = self.storage_path.clone()?;
        Some(storage::Settings { path })
    }

    /// The settings of the log.
    pub fn log(&self) -> LogSettings {
        LogSettings {
            level: self.log_level.unwrap_or(Level::INFO),
            format: self.log_format.unwrap_or(LogFormat::Logfmt),
        }
    }

    /// The shard of the zones that this process polls.
    pub(super) fn shard(&self, environment: &Environment) -> Result<Shard, ConfigError> {
        let total = self.total_shards.unwrap_or(1);
        let reject = |problem: String| {
            let flag = Place::Flag("--shard".into());
            Err(ConfigError::whole(flag, problem))
        };
        let ordinal = match self.shard {
            Some(ShardFlag::Ordinal(ordinal)) => ordinal,
            Some(ShardFlag::Auto) => {
                let host = environment.host_name().unwrap_or_default();
                match parsers::ordinal_of(host) {
                    Some(ordinal) => ordinal,
                    None => {
                        return reject(format!(
                            "\"auto\" expects a host name that ends in \"-\" and a number, found \
                             {host:?}"
                        ));
                    }
                }
            }
            None if total > 1 => {
                return reject(format!(
                    "expected the number of this one of {total} shards, from 0, or \"auto\""
                ));
            }
            None => 0,
        };
        if ordinal < total {
            Ok(Shard { ordinal, total })
        } else {
            reject(format!(
                "expected a number below --total-shards ({total}), found {ordinal}"
            ))
        }
    }
}

/// The environment variables of all flags.
pub(super) fn variables() -> impl Iterator<Item = String> {
    let command = ProcessFlags::augment_args(clap::Command::new(""));
    let flags = command.get_arguments().filter_map(clap::Arg::get_long);
    flags.map(variable_of).collect::<Vec<_>>().into_iter()
}

/// The environment variable of a flag.
fn variable_of(flag: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        flag.to_ascii_uppercase().replace(['.', '-'], "_")
    )
}

/// The first line of clap's message, without its advice on usage.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
