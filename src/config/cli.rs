//! The command line, and the environment variables of its flags.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::ProcessFlags;
use super::environment::Environment;
use super::values::listen_address;
use crate::build_info;
use crate::config_tree::ConfigErrors;
use crate::domain::OriginIp;

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
    /// Poll every zone once, print the result and exit: 0, 1 if a zone could not be read, or 3 if no
    /// account could be read or --output could not be written
    Once {
        /// How to print it
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: OnceFormat,
        /// Replace this file, atomically, instead of writing to standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Leave out zones and mappings without findings
        #[arg(long)]
        findings: bool,
    },
    /// Look up one mapping and exit: 0 mapped, 1 not mapped, 2 unknown
    Get {
        /// The zone's name or identifier
        zone: String,
        /// The origin's address
        #[arg(value_parser = origin_ip)]
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
        #[arg(long = "api.listen-address", value_name = "ADDRESS", value_parser = api_address)]
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

/// The flags that every command accepts, as text. [`ProcessFlags`] validates them.
#[derive(Args)]
struct Flags {
    /// Configuration file, YAML or, by the ending .toml, TOML
    #[arg(long = "config.file", value_name = "FILE")]
    #[arg(help_heading = "Configuration")]
    config_file: Option<String>,
    /// Address to listen on, "host:port" or ":port"; may be repeated [default: :10955]
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    #[arg(help_heading = "Web")]
    web_listen_address: Vec<String>,
    /// Path of the metrics; "/" replaces the pages with them [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH", help_heading = "Web")]
    web_telemetry_path: Option<String>,
    /// File with TLS and basic authentication settings
    #[arg(long = "web.config.file", value_name = "FILE", help_heading = "Web")]
    web_config_file: Option<String>,
    /// Take the listeners from systemd instead of --web.listen-address
    #[arg(long = "web.systemd-socket", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Web")]
    web_systemd_socket: Option<String>,
    /// Serve /-/reload
    #[arg(long = "web.enable-lifecycle", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Web")]
    web_enable_lifecycle: Option<String>,
    /// Scrapes served at once; more are answered with 503 [default: 40]
    #[arg(long = "web.max-requests", value_name = "NUMBER", help_heading = "Web")]
    web_max_requests: Option<String>,
    /// Lowest level that is logged: trace, debug, info, warn or error [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", help_heading = "Log")]
    log_level: Option<String>,
    /// Format of the log lines [default: logfmt]
    #[arg(long = "log.format", value_name = "FORMAT", value_parser = ["logfmt", "json"], ignore_case = true, help_heading = "Log")]
    log_format: Option<String>,
    /// Directory for the state that survives a restart; created if it does not exist. Without it,
    /// nothing is kept
    #[arg(long = "storage.path", value_name = "FOLDER", help_heading = "Storage")]
    storage_path: Option<String>,
    /// Ordinal of this shard, from 0, or "auto" for the number at the end of the host name. Required
    /// with several shards [default: 0]
    #[arg(long, value_name = "NUMBER", help_heading = "Sharding")]
    shard: Option<String>,
    /// Number of shards, the processes that share the zones [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Sharding")]
    total_shards: Option<String>,
}

/// Why the command line could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is invalid, or asks for help or the version.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// Flags or their environment variables have invalid values.
    #[error(transparent)]
    Flags(#[from] ConfigErrors),
}

impl CliError {
    /// The text, and whether it is requested output (help, version) rather than an error.
    pub fn text(&self) -> (String, bool) {
        match self {
            Self::Arguments(error) => (error.render().to_string(), !error.use_stderr()),
            Self::Flags(errors) => {
                let lines = errors.iter().map(|error| format!("error: {error}\n"));
                (lines.collect(), false)
            }
        }
    }
}

#[derive(Parser)]
#[command(
    name = env!("CARGO_PKG_NAME"),
    about = ABOUT,
    after_help = AFTER_HELP,
    version = build_info::LINE
)]
struct Arguments {
    #[command(flatten)]
    _flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

const ABOUT: &str = "Exports to Prometheus in which cloud region Cloudflare's Tiered Cache believes \
    each origin to be, and which of these mappings are missing, wrong, stale or unused.";
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
    let command = Arguments::from_arg_matches(&matches)?.command;
    Ok(Cli {
        command: command.unwrap_or(Command::Serve),
        flags: ProcessFlags::read(&matches, environment)?,
    })
}

/// Flags are accepted before and after the command. They are not global flags in clap, because a
/// repeatable global flag given on both sides loses the values before the command.
pub fn command() -> clap::Command {
    Arguments::command().mut_subcommands(|command| {
        // `augment_args` replaces the description of the command with its own.
        let about = command.get_about().cloned().unwrap_or_default();
        Flags::augment_args(command)
            .about(about)
            .long_about(None::<&str>)
    })
}

/// The definitions of the flags.
pub(super) fn flags() -> Vec<Arg> {
    let command = Flags::augment_args(clap::Command::new(""));
    command.get_arguments().cloned().collect()
}

fn origin_ip(text: &str) -> Result<OriginIp, &'static str> {
    OriginIp::parse(text).map_err(|_| "expected an IPv4 or IPv6 address")
}

/// An address in `--api.listen-address`.
fn api_address(text: &str) -> Result<String, String> {
    listen_address(text).map_err(|expected| format!("expected {expected}"))
}

#[cfg(test)]
mod tests;
