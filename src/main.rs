//! The `cloudflare-origin-region-exporter` command.

use std::process::ExitCode;

use cloudflare_origin_region_exporter::app;
use cloudflare_origin_region_exporter::config::{Environment, cli};

fn main() -> ExitCode {
    let environment = Environment::of_process();
    match cli::parse(std::env::args_os(), &environment) {
        Ok(cli) => app::run(&cli, &environment),
        Err(error) => app::explain(&error),
    }
}
