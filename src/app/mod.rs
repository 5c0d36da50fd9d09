//! Wires up the components, runs the commands, supervises and drains.

mod check;
mod daemon;
mod demo;
mod get;
mod healthcheck;
mod limits;
mod logging;
mod once;
mod output;
mod parts;
mod plan;
mod rate_limits;
mod reload;
mod secret_check;
mod signals;
mod sources;
mod stored_ranges;
mod supervisor;
mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::config::cli::CliError;
use crate::config::{self, Cli, Command, ConfigErrors, Environment, Settings};
use crate::web::ProtectionError;

/// The exit code for an invalid command line or configuration, and for an unknown answer of `get`.
const USAGE: u8 = 2;
/// The exit code if the output could not be written.
const NOT_WRITTEN: u8 = 3;

/// Why a command failed, described for the user.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// The most worker threads. There is one for every two cores, where tokio's default is one for each.
/// More bring no benefit: one task polls, a scrape takes a few milliseconds, and most of that is
/// spent on threads for blocking work. The system's allocator keeps memory for each thread.
const MOST_THREADS: usize = 4;

/// How long an idle thread for blocking work is kept. The system's allocator keeps memory for each
/// thread, and tokio gives work to the one that has been idle the longest. So threads that are only
/// needed at the start should end soon; starting one takes some 50 microseconds.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn run(cli: &Cli, environment: &Environment) -> ExitCode {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .div_ceil(2)
        .min(MOST_THREADS);
    let outcome = run_on(threads, cli, environment);
    let code = outcome.unwrap_or_else(|error| {
        logging::print(&format!("error: {error}"));
        let is_usage = error.is::<ConfigErrors>() || error.is::<ProtectionError>();
        let is_output = error.is::<output::OutputError>();
        ExitCode::from(match cli.command {
            _ if is_usage => USAGE,
            // `get` and `plan` have no separate exit code for this.
            Command::Get { .. } | Command::Plan { .. } if is_output => USAGE,
            _ if is_output => NOT_WRITTEN,
            _ => 1,
        })
    });
    logging::flush();
    code
}

fn run_on(threads: usize, cli: &Cli, environment: &Environment) -> Result<ExitCode, Error> {
    limits::check(threads)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let outcome = runtime.block_on(command(cli, environment));
    // Do not wait for a thread that hangs on a file.
    runtime.shutdown_background();
    outcome
}

/// Prints help, the version, or the error in the command line.
pub fn explain(error: &CliError) -> ExitCode {
    let (text, asked_for) = error.text();
    if asked_for {
        // If standard output is closed, there is no one to report to.
        drop(output::write(None, text.as_bytes()));
    } else {
        logging::print(text.trim_end());
    }
    ExitCode::from(if asked_for { 0 } else { USAGE })
}

async fn command(cli: &Cli, environment: &Environment) -> Result<ExitCode, Error> {
    match &cli.command {
        Command::Demo { api_listen_address } => {
            demo::run(&cli.flags, environment, api_listen_address.as_deref()).await
        }
        Command::Serve => {
            let settings = load(cli, environment)?;
            let (flags, environment) = (cli.flags.clone(), environment.clone());
            let load = move || config::load(&flags, &environment);
            daemon::run(settings, Arc::new(load)).await
        }
        Command::Check { online } => check::run(&cli.flags, environment, *online).await,
        Command::Once {
            format,
            output,
            findings,
        } => {
            let settings = load(cli, environment)?;
            once::run(settings, *format, output.as_deref(), *findings).await
        }
        Command::Plan {
            zones,
            format,
            prune,
        } => plan::run(load(cli, environment)?, zones, *format, *prune).await,
        Command::Get { zone, ip, format } => {
            get::run(load(cli, environment)?, zone, *ip, *format).await
        }
        Command::Healthcheck => healthcheck::run(&cli.flags.web()).await,
        Command::Completions { shell } => {
            let (mut command, name) = (config::cli::command(), env!("CARGO_PKG_NAME"));
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, name, &mut script);
            output::write(None, &script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(config::cli::command()).render(&mut page)?;
            output::write(None, &page)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(cli: &Cli, environment: &Environment) -> Result<Settings, Error> {
    let settings = config::load(&cli.flags, environment)?;
    logging::init(&settings.log);
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}
